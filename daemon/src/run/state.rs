//! Opening the state of a start: lock, key, database, registry and authority; then the writer and flusher threads.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::cluster::{self, Member, Shared};
use super::systemd::{self, Stage};
use super::{StartError, authority, migrate};
use crate::config::{Config, ConfigError};
use crate::daemon::Daemon;
use crate::daemon::clock::{Clock, draw_salt, draw_seed};
use crate::daemon::warnings::Topic;
use crate::metrics::JournalFigures;
use crate::ownership::Own;
use crate::run::paths::{Key, Paths};
use crate::storage::journal::{Flusher, JournalOptions, JournalStore};
use crate::storage::key_file;
use crate::storage::open::{OpenOptions, StateDir};
use crate::sys;
use crate::writer::{self, Queue, Writer, WriterThread};
use enroll_core::context::Identity;
use enroll_core::draft::Draft;
use enroll_core::identity::{CountingSeal, Secrets};
use enroll_core::model::key;
use enroll_core::model::record::ChangesHead;
use enroll_core::rules::bootstrap::{self, RegistryError, SCHEMA, Standing};
use enroll_core::rules::changes;
use enroll_core::settings::Settings;
use enroll_core::state::{ReadTxn, Store, StoreError, Writes};
use enroll_protocol::MemberName;

/// The warning of a start that found a key and no database; it stands until the next start. For an installation with a
/// key made beforehand it is expected.
const NEW_UNDER_OLD_KEY: &str = "this start made a new, empty registry, with a secret key that was there before; if this \
    is no installation, the state directory of the registry that had the key is missing, and every token that was used \
    there can be used again here: stop enrolld, and put the directory back or restore a backup";

/// Time that scans and the work of timers have for letting the store go, so that it can be closed.
const CLOSING: Duration = Duration::from_secs(2);

/// Between two looks at who holds the store.
const LOOK: Duration = Duration::from_millis(1);

/// The result of the writer thread; an error of the channel means that it panicked.
pub(super) type WriterEnd = oneshot::Receiver<Result<(), StoreError>>;

/// A locked state directory, and the open store in it.
pub(super) struct Opened {
    pub(super) store: Arc<JournalStore>,
    pub(super) daemon: Arc<Daemon>,
    pub(super) clock: Clock,
    pub(super) head: ChangesHead,
    /// Where the journal is shared.
    pub(super) member: Option<Arc<Member>>,
    /// Set once a standby is elected and its writer may begin.
    pub(super) is_elected: Arc<AtomicBool>,
    /// The database, for errors.
    pub(super) path: PathBuf,
    _state_dir: StateDir,
}

impl Opened {
    pub(super) fn open(config: &Config, paths: &Paths, stage: &Stage) -> Result<Self, StartError> {
        config.check_files(Own::user())?;
        let (trusted, distrusted) = config.trust(Own::user())?;
        let state_dir = &paths.state_dir;
        make_state_dir(state_dir)?;
        let locked = StateDir::lock(state_dir)?;
        let path = locked.database_path();
        let had_key = paths.key.path().exists() && !paths.key.is_new(Clock::default().now());
        let secret = match &paths.key {
            Key::File(file) => key_file::read_or_make(file, locked.has_database().then(|| path.clone()), draw_seed())?,
            Key::Credential(file) => key_file::read_credential(file)?,
        };
        let secrets = Secrets::derive(&secret)?;
        let options = open_options(config);
        let registry = |source: RegistryError| StartError::Registry { path: path.clone(), source };
        let figures = JournalFigures::default();
        let shared = cluster::journal(config, state_dir)?;
        let (store, member, leader) = open_store(&locked, &options, &secrets, shared, figures.clone(), stage)?;
        let unreadable = |err: StoreError| registry(err.into());

        let is_new = !bootstrap::verify(&*store.view().map_err(unreadable)?, Some(&secrets)).map_err(registry)?;
        if is_new {
            let first = foundation(&store, config, &secrets).map_err(registry)?;
            // Flushed, so that the next start can check the key in the tree before it reads the journal.
            store.commit(&first).and_then(|()| store.flush()).map_err(StartError::Storage)?;
        }
        let authority = authority::open(&store, config, &secrets, &path, leader.is_none())?;
        let view = store.view().map_err(unreadable)?;
        let secrets = bootstrap::hashes(&*view, secrets).map_err(registry)?;
        let keys = bootstrap::key_ring(&*view, &secrets).map_err(registry)?;
        let head = changes::head(&*view).map_err(unreadable)?;
        drop(view);
        if leader.is_none() {
            bootstrap::sign_store(&store).map_err(StartError::Storage)?;
        }
        let clock = Clock::default();
        let started = clock.now();
        let (count_together, unknown) = config.count_together();
        let settings = Settings { trusted, count_together, ..config.settings(state_dir) };
        let identity = Identity { secrets: secrets.into(), keys: keys.into(), authority: authority.into() };
        let daemon = Daemon::new(settings, identity, started).with_journal(&figures).kept_in(&locked.directory());
        daemon.metrics.database_bytes.set(store.bytes());
        if let Some(member) = &member {
            let name: Result<MemberName, _> = member.name().parse();
            daemon.role.join(name.map_err(|err| ConfigError(format!("cluster.member: {err}")))?);
        }
        match (&member, leader) {
            (Some(_), Some(leader)) => daemon.role.follow(&leader),
            (Some(member), None) => daemon.role.lead(member.name()),
            (None, _) => {}
        }
        let lost = (is_new && had_key).then(|| (String::new(), NEW_UNDER_OLD_KEY.to_owned()));
        daemon.warnings.replace(Topic::Registry, lost);
        daemon.warnings.replace(Topic::Issuers, distrusted);
        daemon.warnings.replace(Topic::Guesses, unknown);
        let daemon = Arc::new(daemon);
        let (store, member) = (Arc::new(store), member.map(Arc::new));
        if let Some(member) = &member {
            daemon.membership.join(member.look());
        }
        Ok(Self { store, daemon, clock, head, member, is_elected: Arc::default(), path, _state_dir: locked })
    }

    /// Starts the writer thread; that of a standby begins to write when this member is elected. Returns its queue, and a
    /// channel with its result.
    pub(super) fn start_writer(
        &self,
        committed: impl FnMut(u64) + Send + 'static,
    ) -> Result<(Queue, WriterEnd), StartError> {
        let (queue, inbox) = writer::queue();
        let seal = CountingSeal::new(&self.daemon.identity.now().secrets, draw_salt())?;
        let (store, daemon, clock) = (self.store.clone(), Arc::clone(&self.daemon), self.clock.clone());
        let make = move |seal| -> Result<Writer, StoreError> {
            let mut writer = Writer::new(store.clone(), Arc::clone(&daemon), seal)?;
            writer.start_at(clock.now(), sys::is_clock_unsynchronised());
            Ok(writer)
        };
        let (daemon, clock, is_elected) = (Arc::clone(&self.daemon), self.clock.clone(), Arc::clone(&self.is_elected));
        let (ended, end) = oneshot::channel();
        let run: Box<dyn FnOnce() + Send> = match (&self.member, self.daemon.role.is_standby()) {
            (Some(member), true) => {
                let (member, mut seal) = (Arc::clone(member), Some(seal));
                let begin = move || {
                    let made = make(seal.take_if(|_| is_elected.load(Ordering::SeqCst))?);
                    // Writes that come from now on wait for the writer.
                    daemon.role.lead(member.name());
                    Some(made)
                };
                let run = move || WriterThread::run_when(inbox, clock, systemd::feed_watchdog, begin, committed);
                Box::new(move || drop(ended.send(run())))
            }
            _ => {
                let writer = make(seal).map_err(StartError::Storage)?;
                let thread = WriterThread::new(writer, inbox, clock, systemd::feed_watchdog);
                Box::new(move || drop(ended.send(thread.run(committed))))
            }
        };
        let started = std::thread::Builder::new().name("writer".to_owned()).spawn(run);
        started.map_err(|err| StartError::Io("the writer thread".to_owned(), err))?;
        Ok((queue, end))
    }

    /// Starts the flusher. Returns it, and a channel with the error that ended it.
    pub(super) fn start_flusher(&self) -> Result<(Flusher, oneshot::Receiver<StoreError>), StartError> {
        let (failed, failure) = oneshot::channel();
        let flusher = Flusher::start(Arc::clone(&self.store), move |err| {
            // A receiver that is gone means that the daemon ends already.
            let _ = failed.send(err);
        });
        Ok((flusher.map_err(|err| StartError::Io("the flusher's thread".to_owned(), err))?, failure))
    }

    /// Lets another member lead, and closes the store: nothing is appended here any more.
    pub(super) fn close(self) -> Result<(), StartError> {
        // The next one leads while this one moves into its database what the shared journal has.
        if let Some(member) = &self.member {
            if let Some(next) = self.daemon.membership.next() {
                member.name_next(&next);
            }
            member.resign();
        }
        match sole(self.store, CLOSING) {
            Some(store) => store.close().map_err(StartError::Storage),
            // Every commit is durable, so the process may end without closing it.
            None => {
                tracing::info!("a scan still holds the database; the next start has to repair it, and loses nothing");
                Ok(())
            }
        }
    }

    /// Lets another member lead at once, where this one failed. Moves what it has into its database: etcd has it too, but
    /// may be what was lost.
    pub(super) fn resign(self) {
        let Some(member) = self.member else { return };
        member.resign();
        if let Err(err) = self.store.flush() {
            tracing::warn!(%err, "the database has not everything that this daemon had; the next start reads the journal");
        }
    }
}

/// The value, once nobody else holds it; `None` where somebody still does after this time.
fn sole<T>(mut shared: Arc<T>, at_most: Duration) -> Option<T> {
    let end = Instant::now() + at_most;
    loop {
        match Arc::try_unwrap(shared) {
            Ok(value) => return Some(value),
            Err(_) if Instant::now() >= end => return None,
            Err(held) => shared = held,
        }
        std::thread::sleep(LOOK);
    }
}

/// Makes the state directory, if there is none.
pub(crate) fn make_state_dir(state_dir: &Path) -> Result<(), StartError> {
    let io = |err| StartError::Io(state_dir.display().to_string(), err);
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(state_dir).map_err(io)
}

/// The options of the configuration for opening the store.
pub(crate) fn open_options(config: &Config) -> OpenOptions {
    let Config { database, journal, .. } = config;
    OpenOptions {
        cache_bytes: database.cache_mib << 20,
        verify_bytes_max: database.verify_mib << 20,
        journal: JournalOptions {
            segment_bytes: journal.segment_mib << 20,
            memory_bytes: journal.memory_mib << 20,
            unordered: key::WITHOUT_ORDER,
            identity: draw_seed().first_chunk().copied().map_or(0, u64::from_le_bytes),
        },
    }
}

/// Opens the store, and migrates a database of an older schema that is this host's alone. Refusals come before anything is
/// written, but for a repair after a crash.
fn open_store(
    locked: &StateDir,
    options: &OpenOptions,
    secrets: &Secrets,
    shared: Option<Shared>,
    figures: JournalFigures,
    stage: &Stage,
) -> Result<(JournalStore, Option<Member>, Option<String>), StartError> {
    let registry = |source: RegistryError| StartError::Registry { path: locked.database_path(), source };
    let standing = |view: &dyn ReadTxn| bootstrap::standing(view, Some(secrets)).map_err(registry);
    if let (Some(Standing::Older(before)), Some(_)) = (locked.peek(standing)?.transpose()?, &shared) {
        return Err(StartError::OlderJournal { path: locked.database_path(), before, after: SCHEMA });
    }
    let tree = locked.open_tree(options)?;
    let view = tree.view().map_err(|err| registry(err.into()))?;
    let found = standing(&*view)?;
    drop(view);
    let tree = match found {
        Standing::Older(schema) => migrate::migrate(locked, tree, options, schema, stage)?,
        Standing::Missing | Standing::Present => tree,
    };
    let Some(shared) = shared else { return Ok((locked.open_journal(tree, options, figures)?, None, None)) };
    // Registry and authority are two commits of a first start. What is wrong with one is found when it is opened.
    let is_whole = |view: &dyn ReadTxn| match bootstrap::verify(view, Some(secrets)) {
        Ok(true) => !matches!(view.get(&key::authority()), Ok(None)),
        Ok(false) => false,
        Err(_) => true,
    };
    let joined = cluster::join(tree, shared, secrets.clone(), options.journal, figures, stage, is_whole);
    let joined = joined.map_err(|fault| fault.at(locked.database_path()))?;
    Ok((joined.0, Some(joined.1), joined.2))
}

/// The first writes of an empty database.
fn foundation(store: &JournalStore, config: &Config, secrets: &Secrets) -> Result<Writes, RegistryError> {
    let view = store.view()?;
    let mut draft = Draft::new(&*view);
    bootstrap::create(&mut draft, secrets, config.jwt.algorithm, Clock::default().now(), draw_seed())?;
    Ok(draft.into_parts().0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_is_taken_back_when_the_last_one_lets_go() {
        let shared = Arc::new(7);
        let (held, (let_go, wait)) = (Arc::clone(&shared), std::sync::mpsc::channel::<()>());
        let holder = std::thread::spawn(move || {
            let _ = wait.recv();
            drop(held);
        });
        assert_eq!(sole(Arc::clone(&shared), Duration::ZERO), None, "somebody holds it");
        drop(let_go);
        assert_eq!(sole(shared, Duration::from_secs(30)), Some(7));
        holder.join().expect("ended");
    }
}
