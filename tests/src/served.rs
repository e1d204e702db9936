//! Daemons of a cluster in this process: real sessions on sockets, writer threads and stores, over a shared journal in
//! memory. One is elected without the one before being told, as if that were paused or cut off; it goes on serving until it
//! learns that it was deposed.

use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use enroll_core::context::{Grant, Peer};
use enroll_core::identity::Secrets;
use enroll_core::identity::secrets::SecretKey;
use enroll_core::model::key::WITHOUT_ORDER;
use enroll_core::state::{Store, StoreError, View, Writes};
use enrolld::config::Config;
use enrolld::daemon::Swap;
use enrolld::daemon::clock::Seeds;
use enrolld::metrics::JournalFigures;
use enrolld::net::barrier::Barrier;
use enrolld::net::grants::Grants;
use enrolld::net::listener::Terms;
use enrolld::net::memory_budget::MemoryBudget;
use enrolld::net::worker_pool::WorkerPool;
use enrolld::net::{Shared, serve_alone};
use enrolld::storage::journal::{JournalOptions, JournalStore};
use enrolld::storage::redb::{RedbOptions, RedbStore};
use enrolld::storage::shared_journal::Term;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Semaphore, watch};

use crate::disk::SimulatedDisk;
use crate::registry::{KEY, Registry};
use crate::shared_memory::SharedMemory;

/// Between two looks at what a daemon does by itself.
const LOOK: Duration = Duration::from_micros(500);

/// The memory of connections.
const MEMORY_BYTES: usize = 64 << 20;

/// A defect of the daemons that the tests have to notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defect {
    /// None.
    None,
    /// A confirmation without a look: writer and barrier are told that nobody else has committed.
    ConfirmsAnything,
    /// A standby answers reads without a look at the journal.
    StandbyDoesNotWait,
    /// One that leads, or believes to, answers reads without passing the barrier.
    SkipsBarrier,
}

/// A store with a defect.
struct Defective {
    store: Arc<JournalStore>,
    /// Confirms without looking: always, or while it leads or does not.
    confirms: Option<Confirms>,
    leads: Arc<AtomicBool>,
}

#[derive(Clone, Copy)]
enum Confirms {
    Always,
    WhereItLeads(bool),
}

impl Store for Defective {
    fn view(&self) -> Result<View, StoreError> {
        self.store.view()
    }

    fn commit(&self, writes: &Writes) -> Result<(), StoreError> {
        self.store.commit(writes)
    }

    fn confirm(&self) -> Result<(), StoreError> {
        match self.confirms {
            Some(Confirms::Always) => Ok(()),
            Some(Confirms::WhereItLeads(leads)) if self.leads.load(Ordering::SeqCst) == leads => Ok(()),
            _ => self.store.confirm(),
        }
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn bytes(&self) -> u64 {
        self.store.bytes()
    }
}

/// A daemon on a host of its own.
pub struct Served {
    journal: Arc<SharedMemory>,
    defect: Defect,
    socket: PathBuf,
    disk: Arc<SimulatedDisk>,
    life: Option<Life>,
}

/// A daemon between a start and an end.
struct Life {
    store: Arc<JournalStore>,
    leads: Arc<AtomicBool>,
    /// It serves no more, or must not.
    has_ended: Arc<AtomicBool>,
    runtime: Option<Runtime>,
    /// Told of the term in which it leads.
    elected: watch::Sender<Option<Term>>,
    thread: Option<JoinHandle<()>>,
    faults: Arc<Mutex<Vec<StoreError>>>,
}

impl Served {
    /// A new host at this socket, without a daemon.
    pub fn new(journal: &Arc<SharedMemory>, defect: Defect, socket: &Path) -> Self {
        let disk = Arc::new(SimulatedDisk::holding(Vec::new()));
        Self { journal: Arc::clone(journal), defect, socket: socket.to_owned(), disk, life: None }
    }

    /// Its socket.
    pub fn socket(&self) -> PathBuf {
        self.socket.clone()
    }

    /// Its store, once it was started.
    pub fn store(&self) -> &Arc<JournalStore> {
        &self.life.as_ref().expect("a daemon").store
    }

    /// The first daemon: founds the registry.
    pub fn found(&mut self, term: Term) {
        let store = Arc::new(opened(&self.journal, &self.disk).expect("a standby"));
        store.lead(term, |_| ()).expect("leads");
        Registry::started(store.clone()).map(drop).expect("a registry");
        store.flush().expect("flushed");
    }

    /// Ends its daemon, if one runs, and starts it again as a standby, with what its database's file has.
    /// Fails where that is not of the journal's history.
    pub fn restart(&mut self) -> Result<(), String> {
        self.life = None;
        self.disk = Arc::new(SimulatedDisk::holding(self.disk.live()));
        let store = Arc::new(opened(&self.journal, &self.disk)?);
        store.catch_up(|_| ()).map_err(|err| format!("a host can not follow: {err}"))?;
        self.life = Some(Life::begin(store, self.defect, &self.socket));
        Ok(())
    }

    /// Has its daemon lead in this term, where it follows. The one before is not told.
    pub fn elect(&mut self, term: Term) -> Result<(), String> {
        let life = self.life.as_ref().expect("a daemon");
        if life.leads.load(Ordering::SeqCst) || life.has_ended() {
            self.restart()?;
        }
        self.life.as_ref().expect("a daemon").elected.send_replace(Some(term));
        Ok(())
    }

    /// True if its daemon has learnt that it was deposed, or failed.
    pub fn has_ended(&self) -> bool {
        self.life.as_ref().is_none_or(Life::has_ended)
    }

    /// The errors of its daemons that could not follow, though nothing was trimmed.
    pub fn fault(&self) -> Option<StoreError> {
        let life = self.life.as_ref()?;
        life.faults.lock().unwrap_or_else(PoisonError::into_inner).first().cloned()
    }

    /// Waits until it has what was appended up to now.
    pub fn catch_up(&self) -> Result<(), StoreError> {
        self.store().confirm()
    }
}

fn opened(journal: &Arc<SharedMemory>, disk: &Arc<SimulatedDisk>) -> Result<JournalStore, String> {
    let options =
        JournalOptions { segment_bytes: 16 << 10, memory_bytes: 16 << 20, unordered: WITHOUT_ORDER, identity: 7 };
    let redb = RedbOptions { cache_bytes: 1 << 20, verify: true };
    let tree = RedbStore::open_on(disk.clone(), redb).map_err(|err| err.to_string()).expect("a tree");
    let secrets = Secrets::derive(&SecretKey::new(KEY)).expect("keys");
    JournalStore::open_shared(tree, journal.clone(), secrets.into(), options, JournalFigures::default())
        .map_err(|err| format!("a host can not follow: {err}"))
}

impl Life {
    fn begin(store: Arc<JournalStore>, defect: Defect, socket: &Path) -> Self {
        let leads = Arc::<AtomicBool>::default();
        let with = |confirms| -> Arc<dyn Store> {
            Arc::new(Defective { store: Arc::clone(&store), confirms, leads: Arc::clone(&leads) })
        };
        let (of_writer, of_reads) = match defect {
            Defect::None => (None, None),
            Defect::ConfirmsAnything => (Some(Confirms::Always), Some(Confirms::Always)),
            Defect::StandbyDoesNotWait => (None, Some(Confirms::WhereItLeads(false))),
            Defect::SkipsBarrier => (None, Some(Confirms::WhereItLeads(true))),
        };
        let registry = Registry::started(with(of_writer)).expect("a registry");
        let reads = with(of_reads);
        registry.daemon.role.follow("another");
        let ((changes, latest), (elected, election)) = (watch::channel(0), watch::channel(None));
        let (queue, inbox) = enrolld::writer::queue();
        let config = Config::default();
        let (grants, _) = Grants::resolve(&config.grants).expect("no grants");
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let barrier = runtime.block_on(async { Barrier::of(Arc::clone(&reads), &registry.daemon.metrics.looks) });
        let shared = Arc::new(Shared {
            daemon: Arc::clone(&registry.daemon),
            forwarding: None,
            barrier: barrier.expect("a thread"),
            reads_locally: false,
            store: reads,
            clock: registry.clock(),
            seeds: Seeds::default(),
            terms: Swap::new(Terms { grants, limits: config.limits() }),
            memory: MemoryBudget::new(MEMORY_BYTES),
            scans: WorkerPool::start("scans", 1).expect("a thread"),
            makers: WorkerPool::start("makers", 1).expect("a thread"),
            walks: Arc::new(Semaphore::new(1)),
            changes: latest,
        });
        runtime.spawn(accept(socket.to_owned(), shared, queue.clone()));
        let (has_ended, faults) = (Arc::<AtomicBool>::default(), Arc::<Mutex<Vec<StoreError>>>::default());
        let thread = {
            let (store, leads) = (Arc::clone(&store), Arc::clone(&leads));
            let (has_ended, faults) = (Arc::clone(&has_ended), Arc::clone(&faults));
            let fail = move |err| faults.lock().unwrap_or_else(PoisonError::into_inner).push(err);
            std::thread::spawn(move || {
                let followed = follow(&store, election, &has_ended);
                match followed {
                    Ok(true) => {
                        leads.store(true, Ordering::SeqCst);
                        let writer = registry.writer_thread_of(inbox, registry.clock());
                        registry.daemon.role.lead("this one");
                        drop(queue);
                        let _ = writer.run(|head| {
                            changes.send_replace(head);
                        });
                    }
                    Ok(false) => {}
                    Err(StoreError::Deposed) => {}
                    Err(err) => fail(err),
                }
                has_ended.store(true, Ordering::SeqCst);
            })
        };
        Self { store, leads, has_ended, runtime: Some(runtime), elected, thread: Some(thread), faults }
    }

    fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::SeqCst) || self.store.has_failed()
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.has_ended.store(true, Ordering::SeqCst);
        // Its sessions end, and with them the queue of its writer.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(5));
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Follows until it is elected and leads; false if it has to end.
fn follow(
    store: &JournalStore,
    election: watch::Receiver<Option<Term>>,
    has_ended: &AtomicBool,
) -> Result<bool, StoreError> {
    while !has_ended.load(Ordering::SeqCst) {
        let term = *election.borrow();
        if let Some(term) = term {
            return store.lead(term, |_| ()).map(|()| true);
        }
        store.catch_up(|_| ())?;
        std::thread::sleep(LOOK);
    }
    Ok(false)
}

async fn accept(socket: PathBuf, shared: Arc<Shared>, queue: enrolld::writer::Queue) {
    let _ = std::fs::remove_file(&socket);
    let listener = UnixListener::bind(&socket).expect("a socket");
    listener.set_nonblocking(true).expect("set");
    let listener = tokio::net::UnixListener::from_std(listener).expect("a listener");
    let (_stop, stopping) = watch::channel(false);
    let mut number = 0;
    while let Ok((stream, _)) = listener.accept().await {
        number += 1;
        let peer = Peer {
            uid: 1000,
            pid: 1,
            connection: number,
            grant: Grant::Admin,
            delegation: Arc::default(),
            member: None,
        };
        let stream = stream.into_std().expect("a stream");
        let (input, output) = enroll_socket::split(stream).expect("a socket");
        let sender = output.sender().clone();
        tokio::spawn(serve_alone((input, output, sender), peer, Arc::clone(&shared), queue.clone(), stopping.clone()));
    }
}
