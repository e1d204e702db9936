//! From arguments to a running daemon and back: configuration, directories, lock, key, database, registry, writer,
//! socket, in that order, and the same way out.

use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use nix::unistd::geteuid;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use crate::config::{self, Config, ConfigError, EXAMPLE, LogFormat};
use crate::context::{Clock, Daemon, Gauges, Keys, draw_seed};
use crate::grants::{Grants, OVERFLOW_UID};
use crate::identity::key_file::{self, KeyError};
use crate::identity::{IdentityError, Secrets};
use crate::model::record::{ChangesHead, Kind};
use crate::places::{self, Key, Places};
use crate::rules::bootstrap::{self, RegistryError};
use crate::rules::changes;
use crate::server::{self, SocketError};
use crate::session::Shared;
use crate::store::open::{DATABASE, OpenError, StateDir};
use crate::store::overlay::Overlay;
use crate::store::redb::{RedbOptions, RedbStore};
use crate::store::{Store, StoreError};
use crate::writer::{Answers, QUEUE_MAX, Request, Writer};

/// How long connections have to take their last answers when the daemon stops.
const DRAIN: Duration = Duration::from_secs(3);

/// How long the writer has for what is queued after that.
const LAST_COMMITS: Duration = Duration::from_secs(1);

/// What the command line says.
#[derive(Debug, Clone, Default)]
pub struct Start {
    /// The configuration's file.
    pub config: Option<PathBuf>,
    /// Wins over the configuration.
    pub state_dir: Option<PathBuf>,
    /// Wins over the configuration.
    pub socket: Option<PathBuf>,
}

/// Why the daemon did not start, or stopped.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("{path}: {source}")]
    Registry { path: PathBuf, source: RegistryError },
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Socket(#[from] SocketError),
    #[error(
        "enrolld must not run as uid {OVERFLOW_UID}: the kernel shows every user it can not map as that one, so nobody \
         could be told apart; run it as a user of its own"
    )]
    Nobody,
    #[error("{0}: {1}")]
    Io(String, std::io::Error),
    #[error("the disk failed, and nothing was acknowledged since: {0}; see to the disk, then start again")]
    Storage(StoreError),
}

impl StartError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Nobody | Self::Io(..) | Self::Socket(_) | Self::Identity(_) => 1,
            Self::Open(OpenError::File(_)) => 1,
            Self::Config(_) => 2,
            Self::Open(OpenError::InUse(_)) => 3,
            Self::Key(_) | Self::Registry { source: RegistryError::OtherKey, .. } => 4,
            Self::Open(OpenError::Database { .. }) | Self::Registry { .. } => 5,
            Self::Storage(_) => 6,
        }
    }
}

/// Prints every key of the configuration.
pub fn print_example() -> ExitCode {
    print(EXAMPLE);
    ExitCode::SUCCESS
}

impl Start {
    /// Reads the configuration and says whether it can be used.
    pub fn check_config(self) -> ExitCode {
        let checked = self.read_config().and_then(|(config, file)| {
            Grants::resolve(&config.grants)?;
            log_filter(&config)?;
            let places = Places::of(&self, &config)?;
            server::check_path(&places.socket)?;
            Ok((places, file))
        });
        match checked {
            Ok((places, file)) => {
                let file = file.map_or("the defaults".to_owned(), |file| file.display().to_string());
                print(&format!(
                    "{file}: fine\n  state directory  {}\n  socket           {}\n",
                    places.state_dir.display(),
                    places.socket.display()
                ));
                ExitCode::SUCCESS
            }
            Err(err) => fail(&err),
        }
    }

    /// Runs the daemon to its end.
    pub fn run(self) -> ExitCode {
        match self.try_run() {
            Ok(()) => ExitCode::SUCCESS,
            Err(err) => fail(&err),
        }
    }

    fn read_config(&self) -> Result<(Config, Option<PathBuf>), StartError> {
        let file = self.config.clone().or_else(|| places::default_config().filter(|path| path.exists()));
        let config = Config::read(file.as_deref(), config::environment()?)?;
        Ok((config, file))
    }

    fn try_run(self) -> Result<(), StartError> {
        let (config, _) = self.read_config()?;
        let grants = Grants::resolve(&config.grants)?;
        start_log(&config)?;
        let places = Places::of(&self, &config)?;
        if geteuid().as_raw() == OVERFLOW_UID {
            return Err(StartError::Nobody);
        }
        let opened = Opened::open(&config, &places)?;
        let listener = server::listen_on(&places.socket)?;
        let runtime = runtime(&config)?;
        let (writer, end) = opened.start_writer(runtime.handle().clone())?;
        announce(&places, &opened);

        let result = runtime.block_on(serve(&config, &opened, listener, grants, writer, end));
        runtime.shutdown_background();
        let _ = std::fs::remove_file(&places.socket);
        result?;
        opened.close()?;
        tracing::info!("stopped");
        Ok(())
    }
}

/// A state directory that is locked, and what was found in it.
struct Opened {
    store: Arc<RedbStore>,
    daemon: Arc<Daemon>,
    clock: Clock,
    head: ChangesHead,
    _state_dir: StateDir,
}

impl Opened {
    fn open(config: &Config, places: &Places) -> Result<Self, StartError> {
        let state_dir = &places.state_dir;
        let io = |err| StartError::Io(state_dir.display().to_string(), err);
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(state_dir).map_err(io)?;
        let locked = StateDir::lock(state_dir)?;
        let path = locked.database_path();
        let secret = match &places.key {
            Key::File(file) => key_file::read_or_make(file, locked.has_database().then(|| path.clone()), draw_seed())?,
            Key::Credential(file) => key_file::read_credential(file)?,
        };
        let secrets = Secrets::derive(&secret)?;
        let options =
            RedbOptions { cache_bytes: config.database.cache_mib << 20, fast_start: config.database.fast_start };
        let registry = |source: RegistryError| StartError::Registry { path: path.clone(), source };
        locked.peek(|view| bootstrap::verify(view, &secrets))?.transpose().map_err(registry)?;
        let store = locked.open_database(options)?;
        let unreadable = |err: StoreError| registry(err.into());

        if !bootstrap::verify(&*store.view().map_err(unreadable)?, &secrets).map_err(registry)? {
            found(&store, &secrets).map_err(registry)?;
        }
        let view = store.view().map_err(unreadable)?;
        let keys = bootstrap::key_ring(&*view, &secrets).map_err(registry)?;
        let head = changes::head(&*view).map_err(unreadable)?;
        drop(view);
        let clock = Clock::starting(Some(head.at));
        if clock.is_ahead() {
            tracing::warn!(latest = %head.at, "the system's clock is behind the latest change; time stands still until then");
        }
        let started = clock.now();
        let gauges = Gauges::default();
        gauges.database_bytes.store(store.bytes(), Ordering::Relaxed);
        let settings = config.settings(state_dir);
        let daemon = Arc::new(Daemon { settings, secrets, keys: Keys::new(keys), started, gauges });
        Ok(Self { store: Arc::new(store), daemon, clock, head, _state_dir: locked })
    }

    /// Starts the writer's thread. Its answers and its end, whatever it was, are told on the second half.
    fn start_writer(&self, runtime: tokio::runtime::Handle) -> Result<(mpsc::Sender<Request>, WriterEnd), StartError> {
        let (sender, queue) = mpsc::channel(QUEUE_MAX);
        let (answers, answered) = mpsc::unbounded_channel();
        let (end, ended) = oneshot::channel();
        let writer = Writer::new(self.store.clone(), Arc::clone(&self.daemon)).map_err(StartError::Storage)?;
        let clock = self.clock.clone();
        let thread = std::thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || {
                let result = writer.run(queue, answers, &clock, &runtime);
                let _ = end.send(result);
            })
            .map_err(|err| StartError::Io("the writer's thread".to_owned(), err))?;
        Ok((sender, WriterEnd { thread, answered, ended }))
    }

    fn close(self) -> Result<(), StartError> {
        match Arc::try_unwrap(self.store) {
            Ok(store) => store.close().map_err(StartError::Storage),
            // A scan is still looking; the process ends, and every commit is durable already.
            Err(_) => Ok(()),
        }
    }
}

struct WriterEnd {
    thread: JoinHandle<()>,
    answered: mpsc::UnboundedReceiver<(Answers, u64)>,
    ended: oneshot::Receiver<Result<(), StoreError>>,
}

/// Makes a new registry in an empty database.
fn found(store: &RedbStore, secrets: &Secrets) -> Result<(), RegistryError> {
    let view = store.view()?;
    let mut overlay = Overlay::new(&*view);
    bootstrap::create(&mut overlay, secrets, Clock::starting(None).now(), draw_seed())?;
    Ok(store.commit(&overlay.into_parts().0)?)
}

fn runtime(config: &Config) -> Result<tokio::runtime::Runtime, StartError> {
    let mut builder = match config.server.threads {
        1 => tokio::runtime::Builder::new_current_thread(),
        threads => {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            builder.worker_threads(threads);
            builder
        }
    };
    builder.enable_all().build().map_err(|err| StartError::Io("the runtime".to_owned(), err))
}

/// Serves until a signal comes or the writer ends, then lets the connections take their last answers.
async fn serve(
    config: &Config,
    opened: &Opened,
    listener: std::os::unix::net::UnixListener,
    grants: Grants,
    writer: mpsc::Sender<Request>,
    end: WriterEnd,
) -> Result<(), StartError> {
    let io = |what: &str| {
        let what = what.to_owned();
        move |err| StartError::Io(what, err)
    };
    let listener = tokio::net::UnixListener::from_std(listener).map_err(io("the socket"))?;
    let mut terminate = signal(SignalKind::terminate()).map_err(io("SIGTERM"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(io("SIGINT"))?;
    let mut hangup = signal(SignalKind::hangup()).map_err(io("SIGHUP"))?;
    let (changes, latest) = watch::channel(opened.head.seq);
    let shared = Arc::new(Shared {
        daemon: Arc::clone(&opened.daemon),
        store: opened.store.clone(),
        clock: opened.clock.clone(),
        idle: Duration::from_secs(config.server.idle_seconds),
        scans: Arc::new(Semaphore::new(1)),
        changes: latest,
    });
    let (stop, stopping) = watch::channel(false);
    let mut server = tokio::spawn(server::serve(listener, grants, shared, writer, stopping));

    let WriterEnd { thread, mut answered, mut ended } = end;
    tokio::spawn(async move {
        while let Some((answers, head)) = answered.recv().await {
            answers.into_iter().for_each(|(answer, outcome)| answer(outcome));
            changes.send_if_modified(|latest| std::mem::replace(latest, head) != head);
        }
    });
    let mut result = None;
    tokio::select! {
        _ = terminate.recv() => tracing::info!("SIGTERM: finishing what was begun"),
        _ = interrupt.recv() => tracing::info!("SIGINT: finishing what was begun"),
        _ = hangup.recv() => tracing::info!("SIGHUP: finishing what was begun"),
        end = &mut ended => result = Some(end),
    }
    let _ = stop.send(true);
    if tokio::time::timeout(DRAIN, &mut server).await.is_err() {
        tracing::warn!("some connections did not take their last answers and are cut off");
        server.abort();
        let _ = server.await;
    }
    // No connection is left to send anything, so the writer finishes what is queued and ends.
    let result = match result {
        Some(result) => result,
        None => match tokio::time::timeout(LAST_COMMITS, &mut ended).await {
            Ok(result) => result,
            Err(_) => return Err(StartError::Storage(StoreError("the last commits took too long".to_owned()))),
        },
    };
    match result {
        Ok(Ok(())) => {
            let _ = thread.join();
            Ok(())
        }
        Ok(Err(err)) => Err(StartError::Storage(err)),
        Err(_) => Err(StartError::Storage(StoreError("the writer died".to_owned()))),
    }
}

fn log_filter(config: &Config) -> Result<tracing_subscriber::EnvFilter, ConfigError> {
    let filter = tracing_subscriber::EnvFilter::try_new(&config.log);
    filter.map_err(|err| ConfigError(format!("log: \"{}\": {err}", config.log)))
}

fn start_log(config: &Config) -> Result<(), StartError> {
    // A log that nobody reads any more must not end the daemon, nor what it says about that.
    let builder = tracing_subscriber::fmt()
        .log_internal_errors(false)
        .with_env_filter(log_filter(config)?)
        .with_writer(std::io::stderr);
    let started = match config.log_format {
        LogFormat::Text => builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    started.map_err(|err| StartError::Io("the log".to_owned(), std::io::Error::other(err)))
}

/// Says where it listens, what it opened, and what to try.
fn announce(places: &Places, opened: &Opened) {
    let count = |kind| opened.head.records.get(&kind).copied().unwrap_or(0);
    let counts: Vec<String> = Kind::ALL.iter().map(|(kind, name)| format!("{name} {}", count(*kind))).collect();
    let control = places::control_command(places);
    let first = if count(Kind::Person) == 0 { "person create BOSS --role superuser" } else { "person list" };
    print(&format!(
        "enrolld {}\n  listens on  {}\n  database    {} (records: {})\n  try         {control} {first}\n              \
         {control} server status\n",
        env!("CARGO_PKG_VERSION"),
        places.socket.display(),
        places.state_dir.join(DATABASE).display(),
        counts.join(", "),
    ));
}

fn fail(err: &StartError) -> ExitCode {
    let mut stderr = std::io::stderr().lock();
    let _ = writeln!(stderr, "enrolld: {err}");
    ExitCode::from(err.exit_code())
}

fn print(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}
