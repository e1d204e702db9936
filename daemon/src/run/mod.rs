//! Start and stop of the daemon: configuration, directories, lock, key, database, registry, writer, socket, in that
//! order, and in reverse at the end.

mod authority;
#[cfg(feature = "etcd")]
pub(crate) mod cluster;
#[cfg(not(feature = "etcd"))]
#[path = "alone.rs"]
pub(crate) mod cluster;
mod crl_file;
mod forwarding;
mod log;
mod memory_limit;
pub(crate) mod migrate;
pub(crate) mod paths;
mod reload;
mod serve;
mod standby;
pub(crate) mod state;
mod stop;
pub mod systemd;
mod wakers;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use nix::sys::signal::Signal;
use nix::unistd::geteuid;
use tracing::Level;

use crate::config::{self, Config, ConfigError, EXAMPLE, LogFormat, Warned};
use crate::daemon::warnings::Topic;
use crate::file_error::{self, FileError, is_disk_full, is_out_of_files};
use crate::net::grants::{Grants, OVERFLOW_UID};
use crate::net::listener::{self, SocketError};
use crate::ownership::Own;
use crate::process;
use crate::storage::key_file::KeyError;
use crate::storage::open::{DATABASE, OpenError};
use enroll_core::identity::IdentityError;
use enroll_core::model::record::Kind;
use enroll_core::rules::bootstrap::RegistryError;
use enroll_core::state::StoreError;
use migrate::MigrationError;
use paths::Paths;
use serve::Serving;
use state::Opened;
use stop::Ended;

/// The flags of the command line.
#[derive(Debug, Clone, Default)]
pub struct Start {
    /// The file of the configuration.
    pub config: Option<PathBuf>,
    /// Wins over the configuration.
    pub state_dir: Option<PathBuf>,
    /// Wins over the configuration.
    pub socket: Option<PathBuf>,
    /// True if it ends with its parent.
    pub exit_with_parent: bool,
}

/// An error that kept the daemon from starting, or ended it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("{path}: {source}")]
    Registry { path: PathBuf, source: RegistryError },
    #[error(
        "{path}: migrating it from schema {before} to {after} failed: {source}; it is as it was, so the version that wrote it \
         still starts on it"
    )]
    Migration { path: PathBuf, before: u32, after: u32, source: Box<MigrationError> },
    /// A member alone does not migrate what all of them share.
    #[error(
        "{path}: schema {before}, which this enrolld migrates to {after}, is that of the journal, which other members follow; \
         with all of them stopped, one migrates: enrolld cluster begin (see Updating in the page on clusters); it is as it was, \
         so the version that wrote it still starts on it"
    )]
    OlderJournal { path: PathBuf, before: u32, after: u32 },
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error("certificates: {0}")]
    Authority(IdentityError),
    #[cfg(feature = "etcd")]
    #[error(transparent)]
    Etcd(enroll_etcd::Error),
    #[error(transparent)]
    Socket(#[from] SocketError),
    #[error(
        "enrolld must not run as uid {OVERFLOW_UID}: the kernel shows every user it can not map as that one, so nobody \
         could be told apart; run it as a user of its own"
    )]
    Nobody,
    #[error("{0}: {1}{limit}", limit = file_error::limit_reached(.1))]
    Io(String, std::io::Error),
    #[error("ended by {0}, with everything that was begun finished: {meaning}", meaning = stop::meaning(*.0))]
    Signal(Signal),
    #[error("{}", storage(.0))]
    Storage(StoreError),
}

impl StartError {
    /// The exit code, as listed in the binary's help.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Storage(StoreError::Deposed) => 7,
            Self::Storage(StoreError::Trimmed(_)) | Self::Open(OpenError::Late { .. }) => 5,
            Self::Storage(_) | Self::Open(OpenError::Disk { .. }) => 6,
            Self::Io(_, err) if is_disk_full(err) => 6,
            Self::Open(OpenError::File(err)) | Self::Key(KeyError::File(err)) if err.is_disk_full() => 6,
            Self::Key(KeyError::File(FileError::Io { source, .. })) if is_out_of_files(source) => 1,
            #[cfg(feature = "etcd")]
            Self::Etcd(enroll_etcd::Error::Configuration(_)) => 2,
            #[cfg(feature = "etcd")]
            Self::Etcd(_) => 1,
            Self::Nobody | Self::Signal(_) | Self::Io(..) | Self::Socket(_) | Self::Identity(_) => 1,
            Self::Open(OpenError::File(_)) => 1,
            Self::Config(_) | Self::Authority(_) => 2,
            Self::Registry { source: RegistryError::OtherAuthority | RegistryError::NoAuthority, .. } => 2,
            Self::Open(OpenError::InUse(_)) => 3,
            Self::Migration { .. } | Self::OlderJournal { .. } => 8,
            Self::Key(_) | Self::Registry { source: RegistryError::OtherKey, .. } => 4,
            Self::Open(OpenError::Database { .. } | OpenError::NoDatabase(_) | OpenError::OtherJournal(_))
            | Self::Open(OpenError::OfMember(_) | OpenError::OtherShared { .. })
            | Self::Registry { .. } => 5,
        }
    }
}

/// A storage error that ended the daemon, with the way out.
fn storage(err: &StoreError) -> String {
    match err {
        StoreError::Io { .. } => {
            format!("the disk failed, and nothing was acknowledged since: {err}; see to the disk, then start again")
        }
        StoreError::Corrupt(_) => {
            format!("the database is damaged, and nothing was acknowledged since: {err}; restore a backup")
        }
        StoreError::Trimmed(_) => format!("{err}; start again, which says how it joins again"),
        StoreError::Deposed => format!("{err}; started again, it follows the one that leads"),
        StoreError::Closed(_) => {
            format!("nothing was acknowledged any more: {err}; see the log above, then start again")
        }
    }
}

/// Prints every key of the configuration.
pub fn print_example() -> ExitCode {
    print(EXAMPLE);
    ExitCode::SUCCESS
}

impl Start {
    /// Checks the configuration and prints the result, with the paths that it gives.
    pub fn check_config(self) -> ExitCode {
        let checked = self.read_config().and_then(|(config, file)| {
            // Printed at once, so that a later error does not hide the warnings.
            warn_of_unknown_variables()?;
            let paths = Paths::of(&self, &config, None)?;
            let own = Own::user_of(&paths.state_dir);
            config.check_files(own)?;
            config.trust(own)?.1.into_iter().for_each(warn);
            config.count_together().1.into_iter().for_each(warn);
            Grants::resolve(&config.grants)?.1.into_iter().for_each(warn);
            log::filter(&config)?;
            listener::check_path(&paths.socket)?;
            Ok((paths, file))
        });
        match checked {
            Ok((paths, file)) => {
                let file = file.map_or("the defaults".to_owned(), |file| file.display().to_string());
                print(&format!(
                    "{file}: fine\n  state directory  {}\n  socket           {}\n",
                    paths.state_dir.display(),
                    paths.socket.display()
                ));
                ExitCode::SUCCESS
            }
            Err(err) => fail(&err, err.exit_code()),
        }
    }

    /// Runs the daemon until it ends.
    pub fn run(self) -> ExitCode {
        match self.try_run() {
            Ok(()) => ExitCode::SUCCESS,
            Err(err) => fail(&err, err.exit_code()),
        }
    }

    /// The configuration and, if there is one, its file.
    pub(crate) fn read_config(&self) -> Result<(Config, Option<PathBuf>), StartError> {
        let file = self.config.clone().or_else(|| paths::default_config().filter(|path| path.exists()));
        let config = Config::read(file.as_deref(), config::environment()?)?;
        Ok((config, file))
    }

    fn try_run(self) -> Result<(), StartError> {
        let (config, _) = self.read_config()?;
        let (grants, unknown) = Grants::resolve(&config.grants)?;
        let log = log::start(&config)?;
        if self.exit_with_parent {
            process::exit_with_parent();
        }
        process::keep_memory_private();
        process::outlive_file_size_limit();
        process::raise_file_limit(&config.limits());
        let passed = systemd::passed_socket()?;
        let paths = Paths::of(&self, &config, passed.as_ref().map(|(_, path)| path.as_path()))?;
        if geteuid().as_raw() == OVERFLOW_UID {
            return Err(StartError::Nobody);
        }
        let is_own = passed.is_none();
        let opened = systemd::while_starting(|stage| Opened::open(&config, &paths, stage))?;
        opened.daemon.warnings.replace(Topic::Grants, unknown);
        opened.daemon.warnings.replace(Topic::Memory, memory_limit::warning(&config));
        opened.daemon.warnings.replace(Topic::Environment, config::unknown_variables(&config::environment()?));
        let listener = match passed {
            Some((listener, _)) => listener,
            None => listener::listen_on(&paths.socket)?,
        };
        let runtime = serve::runtime(&config)?;
        let (flusher, flusher_failed) = opened.start_flusher()?;
        let serving = Serving { flags: self, config, paths: &paths, opened: &opened, grants, log, flusher_failed };
        let result = runtime.block_on(serve::serve(serving, listener));
        runtime.shutdown_background();
        if is_own {
            listener::remove(&paths.socket);
        }
        let ended = match result {
            Ok(ended) => ended,
            Err(err) => {
                flusher.stop();
                opened.resign();
                return Err(err);
            }
        };
        flusher.stop();
        let (started, requests) = (*opened.daemon.started.now(), opened.daemon.metrics.requests());
        let uptime_seconds = opened.clock.now().seconds() - started.seconds();
        opened.close()?;
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            uptime_seconds,
            done = requests.done,
            refused = requests.refused,
            failed = requests.failed,
            "stopped in good order"
        );
        match ended {
            Ended::InOrder => Ok(()),
            Ended::HandedOver => Err(StartError::Storage(StoreError::Deposed)),
            Ended::By(signal) => Err(StartError::Signal(signal)),
        }
    }
}

/// Prints the socket, the database and commands to try. For a log of JSON, and for the journal, it writes one line of
/// that instead.
fn announce(format: LogFormat, paths: &Paths, opened: &Opened) {
    if format == LogFormat::Json || log::is_journal() {
        let (socket, database) = (paths.socket.display(), paths.state_dir.join(DATABASE));
        let people = opened.head.records.get(&Kind::Person).copied().unwrap_or(0);
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            %socket,
            database = %database.display(),
            key = %paths.key.path().display(),
            uid = geteuid().as_raw(),
            people,
            latest_change = opened.head.seq,
            "listening"
        );
        return;
    }
    let count = |kind| opened.head.records.get(&kind).copied().unwrap_or(0);
    let counts: Vec<String> = Kind::ALL.iter().map(|(kind, name)| format!("{name} {}", count(*kind))).collect();
    let control = paths::control_command(paths);
    let first = if count(Kind::Person) == 0 { "person create BOSS --role superuser" } else { "person list" };
    print(&format!(
        "enrolld {}\n  listens on  {}\n  database    {} (records: {})\n  try         {control} {first}\n              \
         {control} server status\n",
        env!("CARGO_PKG_VERSION"),
        paths.socket.display(),
        paths.state_dir.join(DATABASE).display(),
        counts.join(", "),
    ));
}

/// Prints the error that ends the process, on one line.
pub(crate) fn fail(err: &impl std::fmt::Display, exit_code: u8) -> ExitCode {
    say(Level::ERROR, &err.to_string());
    ExitCode::from(exit_code)
}

/// Prints the warnings of variables that look like keys of the configuration and are none.
pub(crate) fn warn_of_unknown_variables() -> Result<(), ConfigError> {
    config::unknown_variables(&config::environment()?).into_iter().for_each(warn);
    Ok(())
}

/// Prints a warning on standard error.
fn warn((subject, message): Warned) {
    say(Level::WARN, &format!("warning: {subject}: {message}"));
}

/// Prints one line for people on standard error.
fn say(level: Level, what: &str) {
    let mut stderr = std::io::stderr().lock();
    let _ = writeln!(stderr, "{}enrolld: {}", log::prefix(level), log::one_line(what));
}

/// Prints text on standard output.
pub(crate) fn print(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}
