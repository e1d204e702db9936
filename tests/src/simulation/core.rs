//! The core of a daemon without threads: what a start puts together, over simulated disks, and its steps.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use enroll_core::context::{Grant, Peer};
use enroll_core::settings::Settings;
use enroll_core::state::{Store, StoreError};
use enroll_protocol::Time;
use enrolld::config::Config;
use enrolld::daemon::clock::{Clock, MachineClock, Seeds};
use enrolld::daemon::{Daemon, Swap};
use enrolld::net::barrier::Barrier;
use enrolld::net::grants::Grants;
use enrolld::net::listener::Terms;
use enrolld::net::memory_budget::MemoryBudget;
use enrolld::net::worker_pool::WorkerPool;
use enrolld::net::{Shared, serve_alone};
use enrolld::storage::journal::{Flush, JournalStore, Moved};
use enrolld::writer::{self, Queue, Writer, WriterThread};
use rand::rngs::ChaCha20Rng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::{Semaphore, watch};

use super::control::Control;
use super::member::Member;
use super::opening::{Journal, Opened, Refused, settings};
use super::sessions::Sessions;
use super::shared_journal::Way;
use super::wire::{Wire, connection};
use crate::machine::{Lent, Machine};
use crate::oracle::Oracle;

/// Free bytes of the disk that the configuration wants left.
pub(super) const LEFT_BYTES: u64 = 1 << 20;

/// The memory of connections.
const MEMORY_BYTES: usize = 64 << 20;

/// A start that came to nothing.
#[derive(Debug)]
pub(super) enum NoStart {
    /// The disk failed or lost its power meanwhile.
    Fault,
    /// The shared journal begins behind what the database has.
    Late,
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
    pub(super) store: Arc<Lent>,
    pub(super) shared: Arc<Shared>,
    pub(super) queue: Option<Queue>,
    /// None while it is a standby.
    pub(super) writer: Option<WriterThread>,
    /// Its part in a cluster, if it has one.
    pub(super) member: Option<Member>,
    flush: Flushing,
    pub(super) changes: watch::Sender<u64>,
    stop: watch::Sender<bool>,
    /// Wrong codes of a source in a minute, if there is a limit.
    guesses: Option<u32>,
    _work: Waiting,
}

/// The work of a daemon that waits for a thread. It holds the daemon, and goes with it.
struct Waiting(Arc<Shared>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.scans.clear();
        self.0.makers.clear();
    }
}

/// The progress of a flush.
enum Flushing {
    /// None is needed: a store without memory flushes at each commit.
    ByCommits,
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
        match Opened::open(&machine, clock, random, &Journal::Own(oracle), (control, guesses)) {
            Ok(opened) => {
                let flush = if opened.has_memory { Flushing::None } else { Flushing::ByCommits };
                Self::leading(machine, clock, random, opened).map(|core| Self { guesses, flush, ..core })
            }
            Err(refused) => Err(no_start(machine, refused)),
        }
    }

    /// The same for a member of a cluster, which is a standby at first. The way is that of this life.
    pub(super) fn start_standby(
        machine: Machine,
        clock: &Arc<MachineClock>,
        random: &mut ChaCha20Rng,
        (way, name): (&Arc<Way>, &str),
        control: Control,
    ) -> Result<Self, (Box<Machine>, NoStart)> {
        let opened = match Opened::open(&machine, clock, random, &Journal::Shared(way), (control, None)) {
            Ok(opened) => opened,
            Err(refused) => return Err(no_start(machine, refused)),
        };
        let Opened { store, seen, daemon, latest, seal, .. } = opened;
        let (queue, inbox) = writer::queue();
        let (barrier, looks) = Barrier::without_thread();
        let member = Member::new(name, way, looks, (inbox, seal), Clock::of(clock), control);
        member.join(&daemon);
        let (changes, head) = watch::channel(latest);
        let shared = shared(random, &seen, daemon, clock, head, Some(barrier));
        let (writer, member) = (None, Some(member));
        Ok(Self::of(machine, (store, seen), shared, (queue, writer), member, changes))
    }

    fn leading(
        machine: Machine,
        clock: &Arc<MachineClock>,
        random: &mut ChaCha20Rng,
        opened: Opened,
    ) -> Result<Self, (Box<Machine>, NoStart)> {
        let Opened { store, seen, daemon, latest, seal, .. } = opened;
        let mut writer = match Writer::new(Arc::clone(&seen), Arc::clone(&daemon), seal) {
            Ok(writer) => writer,
            Err(err) => return Err(no_start(machine, err.to_string().into())),
        };
        let of_writer = Clock::of(clock);
        writer.start_at(of_writer.now(), false);
        let (queue, inbox) = writer::queue();
        let writer = WriterThread::new(writer, inbox, of_writer, || {});
        let (changes, head) = watch::channel(latest);
        let shared = shared(random, &seen, daemon, clock, head, None);
        Ok(Self::of(machine, (store, seen), shared, (queue, Some(writer)), None, changes))
    }

    fn of(
        machine: Machine,
        (store, seen): (Arc<Lent>, Arc<dyn Store>),
        shared: Arc<Shared>,
        (queue, writer): (Queue, Option<WriterThread>),
        member: Option<Member>,
        changes: watch::Sender<u64>,
    ) -> Self {
        let (stop, _) = watch::channel(false);
        let (sessions, queue, flush, guesses) = (Sessions::default(), Some(queue), Flushing::None, None);
        let _work = Waiting(Arc::clone(&shared));
        Self { machine, sessions, seen, store, shared, queue, writer, member, flush, changes, stop, guesses, _work }
    }

    /// Accepts a connection of this user.
    pub(super) fn connect(&mut self, uid: u32, number: u64) -> Wire {
        let (wire, halves) = connection();
        let Some(queue) = self.queue.clone() else { return wire };
        let mut peer = peer(uid, number);
        peer.member = self.shared.daemon.role.member().cloned();
        let stopping = self.stop.subscribe();
        self.sessions.add(number, Box::pin(serve_alone(halves, peer, Arc::clone(&self.shared), queue, stopping)));
        wire
    }

    /// True if the writer has something to do: a message may wait for it too.
    pub(super) fn is_due(&self) -> bool {
        self.writer.as_ref().is_some_and(|writer| writer.longest_wait() == Duration::ZERO)
    }

    /// True if it writes.
    pub(super) fn leads(&self) -> bool {
        self.writer.is_some()
    }

    /// One batch of the writer. False once nobody can send it anything any more.
    pub(super) fn write(&mut self) -> Result<bool, Ended> {
        let Some(writer) = &mut self.writer else { return Ok(false) };
        match writer.step(Duration::ZERO).map_err(Ended)? {
            Some(head) => {
                self.changes.send_if_modified(|latest| std::mem::replace(latest, head) != head);
                Ok(true)
            }
            None => Ok(false),
        }
    }

    /// The end that a read which failed brings, or the flusher's next step: a segment and a frozen memtable, its move into the
    /// tree, or the end of that.
    pub(super) fn flush(&mut self) -> Result<(), Ended> {
        self.store.with(JournalStore::expect_readable).map_err(Ended)?;
        let step = |flush| {
            self.store.with(|store| match flush {
                Flushing::ByCommits => store.make_segment().map(|()| Flushing::ByCommits),
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
        while matches!(self.flush, Flushing::Frozen(_) | Flushing::Moved(_)) && done.is_ok() {
            done = self.flush().map_err(|Ended(err)| err);
        }
        let closed = done.and_then(|()| self.store.close());
        (self.machine, closed)
    }

    /// The state of before a crash is gone; what is on the disks is left.
    pub(super) fn crash(self) -> Machine {
        self.machine.crash();
        self.machine
    }
}

fn no_start(machine: Machine, refused: Refused) -> (Box<Machine>, NoStart) {
    let why = match refused {
        _ if machine.has_met_its_fate() => NoStart::Fault,
        Refused::Late => NoStart::Late,
        Refused::Other(wrong) => NoStart::Wrong(wrong),
    };
    (Box::new(machine), why)
}

fn shared(
    random: &mut ChaCha20Rng,
    store: &Arc<dyn Store>,
    daemon: Arc<Daemon>,
    clock: &Arc<MachineClock>,
    changes: watch::Receiver<u64>,
    barrier: Option<Arc<Barrier>>,
) -> Arc<Shared> {
    let config = Config::default();
    let (grants, _) = Grants::resolve(&config.grants).expect("no grants");
    Arc::new(Shared {
        reads_locally: false,
        forwarding: None,
        daemon,
        store: Arc::clone(store),
        barrier,
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

/// The time on a machine's clock.
pub(super) fn now(clock: &Arc<MachineClock>) -> Time {
    Clock::of(clock).now()
}
