//! The hosts of a simulation and the lives of their daemons: a start, its checks, and the ends.

use std::hash::Hasher as _;
use std::sync::Arc;

use enrolld::daemon::clock::MachineClock;
use rand::RngExt as _;

use super::core::{Core, Ended, NoStart};
use super::operations::time;
use super::plan::Fault;
use super::run::Run;
use crate::disk::Fate;
use crate::machine::{Machine, Platters};

/// A host.
pub(super) struct Host {
    pub(super) clock: Arc<MachineClock>,
    /// Its daemon, while one runs.
    pub(super) core: Option<Core>,
    /// Its disks, while none does; none where it has to join first.
    pub(super) platters: Option<Platters>,
    /// Its disk has no free space.
    pub(super) is_full: bool,
    /// It stands still.
    pub(super) is_halted: bool,
    /// The latest daemon ended in good order, with all that it had to tell written.
    was_stopped: bool,
}

impl Host {
    /// A host with these disks, whose daemon does not run.
    pub(super) fn with(platters: Option<Platters>) -> Self {
        let clock = MachineClock::at(time(1));
        Self { clock, core: None, platters, is_full: false, is_halted: false, was_stopped: false }
    }
}

/// The end of a life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The store failed, or its power is gone.
    Failed,
    Killed,
    /// The disks are replaced by those of a backup.
    Restored,
    /// Another daemon goes on with an export.
    Moved,
    Stopped,
    /// The daemon ended by itself, as the shared journal refused it or did not answer.
    Refused,
    /// The shared journal is no longer kept from where the database ends.
    Late,
}

impl Run<'_> {
    /// Starts the daemon of a host, and looks at what it has. A fault of the disks may come to it before.
    pub(super) fn start(&mut self, host: usize) -> Result<(), String> {
        let Some(platters) = self.platters_of(host)? else { return Ok(()) };
        self.note_disks(&platters);
        let machine = Machine::with(platters, self.fate(), self.control.liar());
        self.figures.starts += 1;
        let terms = self.terms();
        let started = match &self.cluster {
            None => Core::start(machine, &self.hosts[host].clock, &mut self.random, &self.oracle, terms),
            Some(cluster) => {
                let (way, name) = cluster.way_of(host);
                let clock = &self.hosts[host].clock;
                Core::start_standby(machine, clock, &mut self.random, (&way, name), self.control)
            }
        };
        let core = match started {
            Ok(core) => core,
            Err((machine, NoStart::Fault)) => {
                self.hosts[host].platters = Some(self.fallen(&machine));
                return Ok(());
            }
            Err((_, NoStart::Late)) if self.cluster.is_some() => return Ok(()),
            Err((_, NoStart::Late)) => return Err("a host alone is late".to_owned()),
            Err((_, NoStart::Wrong(wrong))) => return Err(format!("it does not start: {wrong}")),
        };
        self.look_at_clocks();
        let was_stopped = std::mem::take(&mut self.hosts[host].was_stopped);
        match self.looked(&core, was_stopped) {
            Err(_) if core.machine.has_met_its_fate() => self.end(host, core, End::Failed),
            Err(wrong) => Err(format!("after a start: {wrong}")),
            Ok(()) => {
                self.set_space(host, &core, false);
                self.hosts[host].core = Some(core);
                Ok(())
            }
        }
    }

    /// Compares what a daemon that was just started has with the model, and with the journal.
    fn looked(&mut self, core: &Core, was_stopped: bool) -> Result<(), String> {
        core.machine.watch(|| {
            let view = core.seen.view().map_err(|err| err.to_string())?;
            match &self.cluster {
                None => {
                    self.judge.follow(&*view)?;
                    self.judge.begin_life(&core.shared.daemon.identity.now().secrets, was_stopped)?;
                }
                Some(cluster) => cluster.expect_same(&*core.seen)?,
            }
            self.judge.compare(&*view)
        })
    }

    /// Ends the life of a daemon.
    pub(super) fn end(&mut self, host: usize, core: Core, end: End) -> Result<(), String> {
        for client in self.clients.iter_mut().filter(|client| client.host == host) {
            client.lose_link(&self.judge);
        }
        self.hosts[host].is_halted = false;
        self.hosts[host].platters = match end {
            End::Stopped => match self.stop(core)? {
                (machine, true) => {
                    // Without space nothing is written of those who were refused.
                    self.hosts[host].was_stopped = !self.hosts[host].is_full;
                    Some(machine.live())
                }
                (machine, false) => Some(self.fallen(&machine)),
            },
            End::Killed => Some(core.crash().live()),
            End::Restored => {
                drop(core);
                Some(self.restore()?)
            }
            End::Moved => {
                drop(core);
                Some(self.move_in()?)
            }
            End::Failed => Some(self.fallen(&core.crash())),
            // What it has may be moved into its database, or may not.
            End::Refused => match self.random.random() {
                true => Some(core.close().0.live()),
                false => Some(core.crash().live()),
            },
            End::Late => None,
        };
        Ok(())
    }

    /// Ends a host alone in good order, and compares everything after a last start.
    pub(super) fn finish_alone(&mut self) -> Result<(), String> {
        let Some(core) = self.hosts[0].core.take() else { return Ok(()) };
        self.end(0, core, End::Stopped)?;
        let platters = self.hosts[0].platters.take().unwrap_or_default();
        self.note_disks(&platters);
        let machine = Machine::with(platters, Fate::None, self.control.liar());
        let terms = self.terms();
        let started = Core::start(machine, &self.hosts[0].clock, &mut self.random, &self.oracle, terms);
        let core = started.map_err(|(_, why)| format!("the last start: {why:?}"))?;
        let was_stopped = self.hosts[0].was_stopped;
        let looked = self.looked(&core, was_stopped).map_err(|wrong| format!("at the end: {wrong}"));
        // Nobody needs what a close would write.
        core.crash();
        looked
    }

    /// The disks after their fate has come: at the call at which the power is lost, the process may be killed instead.
    pub(super) fn fallen(&mut self, machine: &Machine) -> Platters {
        let is_lost = matches!(machine.fate(), Fate::PowerLoss(_)) && machine.has_met_its_fate();
        let may_be_killed = is_lost && self.plan.has(Fault::Kills);
        match may_be_killed && (!self.plan.has(Fault::Power) || self.random.random()) {
            true => machine.live(),
            false => machine.after_power_loss(&mut self.disks),
        }
    }

    /// The fate of the next life's disks.
    pub(super) fn fate(&mut self) -> Fate {
        let faults = [Fault::Power, Fault::Kills, Fault::FailsOnce, Fault::FailsFrom];
        let faults: Vec<_> = faults.into_iter().filter(|fault| self.plan.has(*fault)).collect();
        if faults.is_empty() || self.faults_left == 0 || self.random.random_bool(0.2) {
            return Fate::None;
        }
        self.faults_left -= 1;
        // A start makes some ten calls, and what it has read may be lost as long as it has synced nothing.
        let at = [10, 40, 240, 240][self.random.random_range(0..4)];
        let at = self.random.random_range(0..at);
        match faults[self.random.random_range(0..faults.len())] {
            Fault::Power | Fault::Kills => Fate::PowerLoss(at),
            Fault::FailsOnce => Fate::FailsOnce(2 * at),
            _ => Fate::FailsFrom(2 * at),
        }
    }

    /// Stops in good order. False where the disk failed meanwhile.
    pub(super) fn stop(&mut self, mut core: Core) -> Result<(Machine, bool), String> {
        core.stop();
        for _ in 0..1000 {
            self.poll_all(&mut core);
            if core.sessions.is_empty() {
                break;
            }
            if let Err(Ended(_)) = core.write() {
                let end = self.failed(&core, "the writer")?;
                return Ok((core.crash(), end == End::Refused));
            }
            core.begin_look();
            core.end_look();
            self.run_waiting();
            while core.work() {}
        }
        if !core.sessions.is_empty() {
            return Err("sessions whose clients are gone do not end".to_owned());
        }
        loop {
            match core.write() {
                Ok(true) => {}
                Ok(false) => break,
                Err(Ended(_)) => {
                    let end = self.failed(&core, "the writer")?;
                    return Ok((core.crash(), end == End::Refused));
                }
            }
        }
        core.resign();
        let may_be_refused = core.was_refused();
        let (machine, closed) = core.close();
        match closed {
            Ok(()) => Ok((machine, true)),
            Err(_) if machine.has_met_its_fate() => Ok((machine, false)),
            Err(_) if may_be_refused => Ok((machine, true)),
            Err(err) => Err(format!("it does not close: {err}")),
        }
    }

    /// The end of a daemon whose step failed. Fails if nothing made it.
    pub(super) fn failed(&self, core: &Core, what: &str) -> Result<End, String> {
        match () {
            () if core.machine.has_met_its_fate() => Ok(End::Failed),
            () if core.was_refused() => Ok(End::Refused),
            () => Err(format!("{what} failed, and no disk did")),
        }
    }

    pub(super) fn note_disks(&mut self, platters: &Platters) {
        self.trace.write(&platters.database);
        platters.slots.iter().for_each(|slot| self.trace.write(slot));
    }
}
