//! Moves in a simulation: the registry is exported with its secrets, and an import by real requests, in pieces, makes a new
//! daemon of it, which goes on. Other writes are refused meanwhile, a file that is wrong is refused and changes nothing,
//! lives end in the middle, and at the end the same export comes out.

use std::time::Duration;

use enroll_core::model::key;
use enroll_protocol::envelope::{Hello, MAGIC, PROTOCOL_VERSION};
use enroll_protocol::frame::{self, FrameKind, FrameReader};
use enroll_protocol::limits::FRAME_BYTES_MAX;
use enroll_protocol::server::{Export, Import};
use enroll_protocol::{Code, Envelope, Invalid, Key, Operation, Pk, Refusal, Time, codec, token};
use rand::RngExt as _;

use super::beginning;
use super::core::{Core, Ended, NoStart, now, peer};
use super::hosts::End;
use super::operations::encoded;
use super::plan::Fault;
use super::run::Run;
use super::wire::Wire;
use crate::machine::{Machine, Platters};
use crate::oracle::Oracle;

/// Rounds after which a request should have been answered.
const ROUNDS_MAX: usize = 1000;

/// The user that imports.
const IMPORTER: u32 = 0;

/// The progress of an import, over all lives of the daemon that reads.
struct Progress {
    /// The file, and the bytes of it that were taken.
    file: String,
    at: usize,
    /// Bytes of a piece at most.
    piece_bytes: usize,
    /// The key of the piece that is sent next, or again.
    key: Key,
    /// A wrong file, which is refused with this code at its end at the latest.
    is_wrong: bool,
    /// The end was sent, and may have been taken.
    is_ending: bool,
}

/// The end of the import in one life.
enum Came {
    ToItsEnd,
    /// The daemon ended before.
    NoFarther,
}

impl Run<'_> {
    /// Exports the registry; whoever goes on with it comes next.
    pub(super) fn move_out(&mut self, core: &Core) -> Result<Option<End>, String> {
        self.faults_left -= 1;
        match exported(core, now(&self.hosts[0].clock)) {
            Ok(text) => {
                self.export = text;
                Ok(Some(End::Moved))
            }
            Err(_) if core.machine.has_met_its_fate() => Ok(None),
            Err(wrong) => Err(wrong),
        }
    }

    /// The disks of a new daemon that has imported the export.
    pub(super) fn move_in(&mut self) -> Result<Platters, String> {
        let (database, committed) = beginning::registry().clone();
        *self.oracle.lock().map_err(|err| err.to_string())? = Oracle::expecting(committed);
        let mut platters = Platters::of(database);
        let mut progress = self.begin_import();
        loop {
            let machine = Machine::with(platters, self.fate(), self.control.liar());
            self.figures.starts += 1;
            let terms = self.terms();
            let started = Core::start(machine, &self.hosts[0].clock, &mut self.random, &self.oracle, terms);
            let mut core = match started {
                Ok(core) => core,
                Err((machine, NoStart::Fault)) => {
                    platters = self.fallen(&machine);
                    continue;
                }
                Err((_, NoStart::Late)) => return Err("a host alone is late".to_owned()),
                Err((_, NoStart::Wrong(wrong))) => return Err(format!("in an import it does not start: {wrong}")),
            };
            self.set_space(0, &core, false);
            match self.import(&mut core, &mut progress)? {
                Came::ToItsEnd => {
                    return Ok(match self.stop(core)? {
                        (machine, true) => machine.live(),
                        (machine, false) => self.fallen(&machine),
                    });
                }
                Came::NoFarther => platters = self.fallen(&core.crash()),
            }
        }
    }

    fn begin_import(&mut self) -> Progress {
        let is_wrong = self.random.random_bool(0.3);
        let file = if is_wrong { self.wrong_file() } else { self.export.clone() };
        let (piece_bytes, key) = ([5_000, 30_000, 300_000][self.random.random_range(0..3)], self.some_key());
        Progress { file, at: 0, piece_bytes, key, is_wrong, is_ending: false }
    }

    fn some_key(&mut self) -> Key {
        Key(Pk::from_bytes(self.random.random()))
    }

    /// The export with one thing wrong: it is cut off, or a line stands there twice, or is missing.
    fn wrong_file(&mut self) -> String {
        let mut lines: Vec<_> = self.export.split_inclusive('\n').collect();
        // Neither the first line nor the last one.
        let drawn = self.random.random_range(1..lines.len() - 1);
        match self.random.random_range(0..3) {
            0 => lines.truncate(drawn + 1),
            1 => lines.insert(drawn, lines[drawn]),
            _ => drop(lines.remove(drawn)),
        }
        lines.concat()
    }

    fn import(&mut self, core: &mut Core, progress: &mut Progress) -> Result<Came, String> {
        self.connections += 1;
        let mut asking = Asking::begin(core.connect(IMPORTER, self.connections));
        loop {
            if self.plan.has(Fault::Kills) && self.faults_left > 0 && self.random.random_bool(0.05) {
                self.faults_left -= 1;
                return Ok(Came::NoFarther);
            }
            // Not what was asked before a crash: that may have been taken as the end.
            if progress.at > 0 && !progress.is_ending && self.random.random_bool(0.02) {
                (progress.at, progress.key) = (0, self.some_key());
            }
            let end = progress.file.floor_char_boundary(progress.at + progress.piece_bytes);
            let text = progress.file[progress.at..end].to_owned();
            progress.is_ending |= text.is_empty();
            let import = Import { at: progress.at as u64, text };
            let Some(answer) = self.ask(core, &mut asking, &import, Some(progress.key))? else {
                return Ok(Came::NoFarther);
            };
            match answer {
                Ok(imported) => {
                    if imported.records.is_some() {
                        return self.has_come(core, progress);
                    }
                    let was_again = imported.at == 0;
                    progress.at = usize::try_from(imported.at).map_err(|err| err.to_string())?;
                    if progress.at != end && !was_again {
                        return Err(format!("an import of a piece up to {end} is at {}", progress.at));
                    }
                }
                Err(_) if core.machine.has_met_its_fate() => return Ok(Came::NoFarther),
                Err(refusal) if refusal.code.is_passing() && refusal.code != Code::INTERNAL => continue,
                Err(refusal) if progress.is_wrong && refusal.code == Code::INVALID_ARGUMENT => {
                    let (file, piece_bytes) = (self.export.clone(), progress.piece_bytes);
                    *progress =
                        Progress { file, at: 0, piece_bytes, key: progress.key, is_wrong: false, is_ending: false };
                }
                Err(refusal) => return Err(format!("an import was refused as {}: {}", refusal.code, refusal.message)),
            }
            progress.key = self.some_key();
            let is_open = self.random.random_bool(0.1) && self.is_importing(core);
            if is_open && !self.expect_refused(core, &mut asking)? {
                return Ok(Came::NoFarther);
            }
        }
    }

    /// Fails unless another write is refused meanwhile. False where the daemon ended.
    fn expect_refused(&mut self, core: &mut Core, asking: &mut Asking) -> Result<bool, String> {
        let token = token::Use::new("somebody's".parse().map_err(|_| "a token")?);
        match self.ask(core, asking, &token, None)? {
            None => Ok(false),
            Some(Err(refusal)) if refusal.code == Code::CONFLICT || refusal.code.is_passing() => Ok(true),
            Some(answer) => Err(format!("a token was used during an import: {answer:?}")),
        }
    }

    /// Holds the new registry against the file.
    fn has_come(&mut self, core: &mut Core, progress: &Progress) -> Result<Came, String> {
        if progress.is_wrong {
            return Err("a file that is wrong was imported".to_owned());
        }
        let view = core.seen.view().map_err(|err| err.to_string());
        let is_open =
            core.machine.watch(|| view.and_then(|view| view.get(&key::importing()).map_err(|err| err.to_string())));
        match is_open {
            Ok(None) => Ok(Came::ToItsEnd),
            Ok(Some(_)) => Err("an import has ended, and is under way".to_owned()),
            Err(_) if core.machine.has_met_its_fate() => Ok(Came::NoFarther),
            Err(wrong) => Err(wrong),
        }
    }

    /// Asks, and takes steps up to the answer. None where the daemon ended before.
    fn ask<O: Operation>(
        &mut self,
        core: &mut Core,
        asking: &mut Asking,
        operation: &O,
        key: Option<Key>,
    ) -> Result<Option<Result<O::Reply, Refusal>>, String> {
        asking.send(operation, key);
        for _ in 0..ROUNDS_MAX {
            self.poll_all(core);
            let was_open = self.is_importing(core);
            if let Err(Ended(_)) = core.write() {
                self.failed(core, "the writer")?;
                return Ok(None);
            }
            if was_open && !self.is_importing(core) {
                self.expect_equal(core)?;
            }
            while core.work() {}
            if self.random.random_bool(0.2) && core.flush().is_err() {
                self.failed(core, "the flusher")?;
                return Ok(None);
            }
            self.poll_all(core);
            if let Some(answer) = asking.take::<O>()? {
                return Ok(Some(answer));
            }
            let time = Duration::from_millis(1);
            self.hosts[0].clock.pass(time);
            self.runtime.block_on(tokio::time::advance(time));
            self.look_at_clocks();
            if core.machine.has_met_its_fate() && matches!(core.machine.fate(), crate::disk::Fate::PowerLoss(_)) {
                return Ok(None);
            }
        }
        Err(format!("{} is not answered", O::ROW.name))
    }

    fn is_importing(&self, core: &Core) -> bool {
        core.machine
            .watch(|| core.seen.view().is_ok_and(|view| view.get(&key::importing()).is_ok_and(|found| found.is_some())))
    }

    /// Fails unless the export of the new daemon is the one that it has read, but for the time in its first line.
    fn expect_equal(&self, core: &Core) -> Result<(), String> {
        let records = |text: &str| text.split_once('\n').map(|(_, records)| records.to_owned());
        let there = match core.machine.watch(|| exported(core, now(&self.hosts[0].clock))) {
            Err(_) if core.machine.has_met_its_fate() => return Ok(()),
            there => there?,
        };
        if records(&there) == records(&self.export) {
            return Ok(());
        }
        let differs = self.export.lines().zip(there.lines()).skip(1).find(|(before, after)| before != after);
        Err(format!("what was imported is exported in another form: {differs:?}"))
    }
}

/// The export of a moment, with secrets.
fn exported(core: &Core, now: Time) -> Result<String, String> {
    let mut text = String::new();
    let export = Export { with_secrets: true };
    let walked = core.walk(&export, peer(IMPORTER, 0), (now, [0; 32]), |piece: String| text.push_str(&piece));
    walked.map_err(|fault| format!("an export: {fault}"))?;
    Ok(text)
}

/// A connection with one request at a time.
struct Asking {
    wire: Wire,
    frames: FrameReader,
    id: u64,
}

impl Asking {
    fn begin(wire: Wire) -> Self {
        let hello = Hello { magic: MAGIC, protocol: PROTOCOL_VERSION, client: "import".to_owned() };
        let mut bytes = Vec::new();
        frame::append(&mut bytes, FrameKind::Hello, 0, 0, &hello);
        wire.deliver(bytes.into_iter());
        Self { wire, frames: FrameReader::new(FRAME_BYTES_MAX), id: 0 }
    }

    fn send<O: Operation>(&mut self, operation: &O, key: Option<Key>) {
        self.id += 1;
        let request = encoded(&Envelope { key, ..Envelope::default() }, operation);
        let mut bytes = Vec::new();
        frame::append_with(&mut bytes, FrameKind::Request, request.operation, self.id, |bytes| {
            bytes.extend_from_slice(&request.body);
        });
        self.wire.deliver(bytes.into_iter());
    }

    /// The answer, if it has come.
    fn take<O: Operation>(&mut self) -> Result<Option<Result<O::Reply, Refusal>>, String> {
        let bytes = self.wire.take(usize::MAX);
        self.frames.push(&bytes);
        while let Some(frame) = self.frames.next_frame().map_err(|err| err.to_string())? {
            let unread = |err: Invalid| err.to_string();
            match frame.kind {
                FrameKind::Reply => return codec::decode(frame.body).map(|reply| Some(Ok(reply))).map_err(unread),
                FrameKind::Refused => return codec::decode(frame.body).map(|why| Some(Err(why))).map_err(unread),
                _ => {}
            }
        }
        Ok(None)
    }
}
