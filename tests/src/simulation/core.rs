//! The core of a daemon without threads: what a start puts together, over simulated disks, and its steps.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use enroll_core::context::{Grant, Identity, Peer};
use enroll_core::identity::CountingSeal;
use enroll_core::model::key::{self, WITHOUT_ORDER};
use enroll_core::rules::bootstrap::{self, RegistryError};
use enroll_core::rules::{authority, changes, check};
use enroll_core::settings::Settings;
use enroll_core::state::overlay::Overlay;
use enroll_core::state::{Store, StoreError};
use enroll_protocol::Time;
use enrolld::config::Config;
use enrolld::daemon::clock::{Clock, MachineClock, Seeds};
use enrolld::daemon::{Daemon, Swap};
use enrolld::net::grants::Grants;
use enrolld::net::listener::Terms;
use enrolld::net::memory_budget::MemoryBudget;
use enrolld::net::worker_pool::WorkerPool;
use enrolld::net::{Shared, serve_alone};
use enrolld::storage::journal::{Flush, JournalOptions, JournalStore, Moved};
use enrolld::storage::redb::RedbOptions;
use enrolld::writer::{self, Queue, Writer, WriterThread};
use rand::rngs::ChaCha20Rng;
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use tokio::sync::{Semaphore, watch};

use super::control::Control;
use super::limits;
use super::sessions::Sessions;
use super::wire::{Wire, connection};
use crate::machine::{Lent, Machine};
use crate::oracle::{Oracle, Recorder, Verdict, everything};
use crate::registry::foundation::{found, secrets};

/// Free bytes of the disk that the configuration wants left.
pub(super) const LEFT_BYTES: u64 = 1 << 20;

/// The memory of connections.
const MEMORY_BYTES: usize = 64 << 20;

/// A start that came to nothing.
#[derive(Debug)]
pub(super) enum NoStart {
    /// The disk failed or lost its power meanwhile.
    Fault,
    /// It is wrong.
    Wrong(String),
}

/// The end of a step.
#[derive(Debug)]
pub(super) struct Ended(pub(super) StoreError);

/// A running daemon, without its threads.
pub(super) struct Core {
    pub(super) machine: Machine,
    pub(super) sessions: Sessions,
    pub(super) seen: Arc<dyn Store>,
    store: Arc<Lent>,
    pub(super) shared: Arc<Shared>,
    queue: Option<Queue>,
    writer: WriterThread,
    flush: Flushing,
    changes: watch::Sender<u64>,
    stop: watch::Sender<bool>,
    guesses: Option<u32>,
}

/// The progress of a flush.
enum Flushing {
    None,
    Frozen(Flush),
    Moved(Moved),
}

impl Core {
    /// Opens what lies on the machine's disks as a start does, checks it, and puts a daemon together.
    pub(super) fn start(
        machine: Machine,
        clock: &Arc<MachineClock>,
        random: &mut ChaCha20Rng,
        oracle: &Arc<Mutex<Oracle>>,
        (control, guesses): (Control, Option<u32>),
    ) -> Result<Self, (Box<Machine>, NoStart)> {
        match Self::open(&machine, clock, random, oracle, (control, guesses)) {
            Ok((store, seen, daemon, writer, queue, changes)) => {
                let (head, latest) = changes;
                let (stop, _) = watch::channel(false);
                let shared = shared(random, &seen, daemon, clock, latest);
                let (sessions, queue, flush) = (Sessions::default(), Some(queue), Flushing::None);
                Ok(Self { machine, sessions, seen, store, shared, queue, writer, flush, changes: head, stop, guesses })
            }
            Err(_) if machine.has_met_its_fate() => Err((Box::new(machine), NoStart::Fault)),
            Err(wrong) => Err((Box::new(machine), NoStart::Wrong(wrong))),
        }
    }

    #[expect(clippy::type_complexity, reason = "the parts of one value")]
    fn open(
        machine: &Machine,
        clock: &Arc<MachineClock>,
        random: &mut ChaCha20Rng,
        oracle: &Arc<Mutex<Oracle>>,
        (control, guesses): (Control, Option<u32>),
    ) -> Result<
        (Arc<Lent>, Arc<dyn Store>, Arc<Daemon>, WriterThread, Queue, (watch::Sender<u64>, watch::Receiver<u64>)),
        String,
    > {
        let redb = RedbOptions { cache_bytes: [0, 64 << 10, 1 << 20][random.random_range(0..3)], verify: true };
        let journal = JournalOptions {
            segment_bytes: [9 << 10, 12 << 10, 64 << 10][random.random_range(0..3)],
            memory_bytes: 16 << 20,
            unordered: WITHOUT_ORDER,
            identity: random.next_u64(),
        };
        let store = machine.open(redb, journal)?;
        let found_there = everything(&store).map_err(|err| err.to_string())?;
        let _: Verdict = oracle.lock().map_err(|err| err.to_string())?.judge(found_there)?;
        let store = Lent::new(store);
        let seen = control.over(Arc::new(Recorder::of(store.clone(), oracle)));
        let wrong = |err: RegistryError| err.to_string();
        let unreadable = |err: StoreError| err.to_string();
        let secrets = secrets();
        if !bootstrap::verify(&*seen.view().map_err(unreadable)?, Some(&secrets)).map_err(wrong)? {
            found(&*seen).map_err(wrong)?;
            store.flush().map_err(unreadable)?;
        }
        let view = seen.view().map_err(unreadable)?;
        let authority = authority::open(&*view, &secrets).map_err(wrong)?.ok_or("it has no authority")?;
        let secrets = bootstrap::hashes(&*view, secrets).map_err(wrong)?;
        let keys = bootstrap::key_ring(&*view, &secrets).map_err(wrong)?;
        let head = changes::head(&*view).map_err(unreadable)?;
        let mut overlay = Overlay::new(&*view);
        bootstrap::sign(&mut overlay).map_err(unreadable)?;
        let writes = overlay.into_writes();
        let violations = check::violations(&*view, Some(&secrets)).map_err(unreadable)?;
        // In the middle of an import much is missing.
        let is_importing = view.get(&key::importing()).map_err(unreadable)?.is_some();
        if let Some(first) = violations.first().filter(|_| !is_importing) {
            return Err(format!("{} {}: {} (server check)", first.invariant, first.subject, first.message));
        }
        drop(view);
        if !writes.is_empty() {
            seen.commit(&writes).map_err(unreadable)?;
        }
        let clock = Clock::of(clock);
        let identity = Identity { secrets: secrets.into(), keys: keys.into(), authority: authority.into() };
        let mut salt = [0; 32];
        random.fill_bytes(&mut salt);
        let seal = CountingSeal::new(&identity.secrets, *salt.first_chunk().ok_or("a salt")?);
        let daemon = Arc::new(Daemon::new(settings(guesses), identity, clock.now()));
        let seal = seal.map_err(|err| err.to_string())?;
        let mut writer = Writer::new(Arc::clone(&seen), Arc::clone(&daemon), seal).map_err(unreadable)?;
        writer.start_at(clock.now(), false);
        let (queue, inbox) = writer::queue();
        let writer = WriterThread::new(writer, inbox, clock, || {});
        Ok((store, seen, daemon, writer, queue, watch::channel(head.seq)))
    }

    /// Accepts a connection of this user.
    pub(super) fn connect(&mut self, uid: u32, number: u64) -> Wire {
        let (wire, halves) = connection();
        let Some(queue) = self.queue.clone() else { return wire };
        let peer = peer(uid, number);
        let stopping = self.stop.subscribe();
        self.sessions.add(number, Box::pin(serve_alone(halves, peer, Arc::clone(&self.shared), queue, stopping)));
        wire
    }

    /// True if the writer has something to do: a message may wait for it too.
    pub(super) fn is_due(&self) -> bool {
        self.writer.longest_wait() == Duration::ZERO
    }

    /// One batch of the writer. False once nobody can send it anything any more.
    pub(super) fn write(&mut self) -> Result<bool, Ended> {
        match self.writer.step(Duration::ZERO).map_err(Ended)? {
            Some(head) => {
                self.changes.send_if_modified(|latest| std::mem::replace(latest, head) != head);
                Ok(true)
            }
            None => Ok(false),
        }
    }

    /// The end that a read which failed brings, or the flusher's next step: a segment and a frozen memtable, its move into the tree, or the end of that.
    pub(super) fn flush(&mut self) -> Result<(), Ended> {
        self.store.with(JournalStore::expect_readable).map_err(Ended)?;
        let step = |flush| {
            self.store.with(|store| match flush {
                Flushing::None => {
                    store.make_segment()?;
                    Ok(store.freeze().map_or(Flushing::None, Flushing::Frozen))
                }
                Flushing::Frozen(flush) => Ok(Flushing::Moved(store.move_over(flush)?)),
                Flushing::Moved(moved) => {
                    store.settle(moved);
                    Ok(Flushing::None)
                }
            })
        };
        self.flush = step(std::mem::replace(&mut self.flush, Flushing::None)).map_err(Ended)?;
        Ok(())
    }

    /// Does a piece of work that waits for a thread.
    pub(super) fn work(&self) -> bool {
        self.shared.scans.step() || self.shared.makers.step()
    }

    /// Reads a configuration whose codes have so many characters.
    pub(super) fn reload(&self, code_size: usize) {
        self.shared.daemon.settings.replace(Settings { code_size, ..settings(self.guesses) });
        if let Some(queue) = &self.queue {
            queue.wake();
        }
    }

    /// Asks the sessions to end.
    pub(super) fn stop(&mut self) {
        let _ = self.stop.send(true);
        self.queue = None;
    }

    /// Closes the store in good order. The sessions have ended.
    pub(super) fn close(mut self) -> (Machine, Result<(), StoreError>) {
        let mut done = Ok(());
        while !matches!(self.flush, Flushing::None) && done.is_ok() {
            done = self.flush().map_err(|Ended(err)| err);
        }
        let closed = done.and_then(|()| self.store.close());
        (self.machine, closed)
    }

    /// The state of before a crash is gone; what is on the disks is left.
    pub(super) fn crash(self) -> Machine {
        self.machine
    }
}

fn shared(
    random: &mut ChaCha20Rng,
    store: &Arc<dyn Store>,
    daemon: Arc<Daemon>,
    clock: &Arc<MachineClock>,
    changes: watch::Receiver<u64>,
) -> Arc<Shared> {
    let config = Config::default();
    let (grants, _) = Grants::resolve(&config.grants).expect("no grants");
    Arc::new(Shared {
        reads_locally: false,
        forwarding: None,
        daemon,
        store: Arc::clone(store),
        barrier: None,
        clock: Clock::of(clock),
        seeds: Seeds::of(ChaCha20Rng::from_rng(random).random()),
        terms: Swap::new(Terms { grants, limits: config.limits() }),
        memory: MemoryBudget::new(MEMORY_BYTES),
        scans: WorkerPool::start("scans", 0).expect("no thread"),
        makers: WorkerPool::start("makers", 0).expect("no thread"),
        walks: Arc::new(Semaphore::new(1)),
        changes,
    })
}

/// A process of this user, with every grant.
pub(super) fn peer(uid: u32, connection: u64) -> Peer {
    Peer { uid, pid: 1, connection, grant: Grant::Admin, delegation: Arc::default(), member: None }
}

/// The default settings, with so many guesses of a source in a minute; without a number no client is refused for guessing.
/// Every refused call may leave its record, by which guesses are counted.
fn settings(guesses: Option<u32>) -> Settings {
    let mut settings = Config::default().settings(Path::new("/nowhere"));
    settings.free_bytes = LEFT_BYTES;
    settings.guesses_per_minute = guesses.unwrap_or(u32::MAX);
    settings.guesses_uid_per_minute = guesses.map_or(u32::MAX, limits::of_uid);
    settings.guesses_total_per_minute = guesses.map_or(u32::MAX, limits::of_all);
    settings.refused_per_minute = u32::MAX;
    settings
}

/// The time on a machine's clock.
pub(super) fn now(clock: &Arc<MachineClock>) -> Time {
    Clock::of(clock).now()
}
