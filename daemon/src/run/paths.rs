//! Paths of the state directory, the socket, the secret key and the configuration. Defaults are the system's
//! directories for root, otherwise those of the XDG base directory specification; flags and configuration win.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use enroll_protocol::Time;
use nix::unistd::{User, geteuid};

use crate::config::{Config, ConfigError};
use crate::run::Start;
use crate::storage::key_file::{self, KEY, KeyError};
use enroll_core::identity::secrets::SecretKey;

/// The paths of the service of systemd: its state directory, and the file of the key that it is passed.
const SERVICE_STATE_DIR: &str = "/var/lib/enrolld";
const SERVICE_KEY: &str = "/etc/enrolld/enrolld.key";

/// The password of the user of etcd, which the drop-in for members passes.
#[cfg(feature = "etcd")]
const SERVICE_ETCD_PASSWORD: &str = "/etc/enrolld/etcd.password";

/// The file that `enrolld-key.service` touches when it has made the key, and the seconds for which that is news: the
/// start that asked for the key may wait until the clock is set.
const KEY_MADE: &str = "/run/enrolld-key/made";
const KEY_NEW_SECONDS: i64 = 600;

/// The paths of a daemon.
pub(crate) struct Paths {
    pub(crate) state_dir: PathBuf,
    pub(crate) socket: PathBuf,
    pub(crate) key: Key,
}

/// The source of the secret key.
pub(crate) enum Key {
    /// A file, made at the first start.
    File(PathBuf),
    /// A credential that systemd passed.
    Credential(PathBuf),
}

impl Key {
    /// Reads the key, if it is there.
    pub(crate) fn find(&self) -> Result<Option<SecretKey>, KeyError> {
        match self {
            Self::File(file) => key_file::find(file),
            Self::Credential(file) => key_file::read_credential(file).map(Some),
        }
    }

    /// True for a credential that was made for this start, so that no registry had it before.
    pub(crate) fn is_new(&self, now: Time) -> bool {
        let age = Path::new(KEY_MADE).metadata().map(|made| now.seconds() - made.mtime());
        matches!(self, Self::Credential(_)) && age.is_ok_and(|age| (0..KEY_NEW_SECONDS).contains(&age))
    }

    /// The path of the key, whether it is there or not.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::File(file) | Self::Credential(file) => file,
        }
    }
}

impl Paths {
    /// The paths of the flags, else of the configuration, else the user's defaults. `passed` is the path of a socket
    /// that systemd passed, and wins. Refuses a user without a home directory, if a default is needed.
    pub(crate) fn of(flags: &Start, config: &Config, passed: Option<&Path>) -> Result<Self, ConfigError> {
        let chosen = |flag: &Option<PathBuf>, config: &Path| {
            let chosen = flag.clone().or_else(|| (!config.as_os_str().is_empty()).then(|| config.to_owned()))?;
            Some(std::path::absolute(&chosen).unwrap_or(chosen))
        };
        let state_dir = chosen(&flags.state_dir, &config.state_dir).map_or_else(default_state_dir, Ok)?;
        let socket = passed.map(Path::to_owned).or_else(|| chosen(&flags.socket, &config.socket));
        let socket = socket.map_or_else(default_socket, Ok)?;
        let key = match (chosen(&None, &config.key_file), credential(KEY)) {
            (Some(file), _) => Key::File(file),
            (None, Some(credential)) => Key::Credential(credential),
            (None, None) => Key::File(state_dir.join(KEY)),
        };
        Ok(Self { state_dir, socket, key })
    }

    /// The same for a command of an administrator: the key of the service's registry is where its unit has it, unless it
    /// is in the state directory.
    pub(crate) fn with_key_of_service(self) -> Self {
        let is_missing = matches!(&self.key, Key::File(file) if !file.exists());
        let of_service = Path::new(SERVICE_KEY);
        let has_one = || key_file::all(of_service).is_ok_and(|files| !files.is_empty());
        match is_missing && self.state_dir == Path::new(SERVICE_STATE_DIR) && has_one() {
            true => Self { key: Key::File(of_service.to_owned()), ..self },
            false => self,
        }
    }
}

/// The private key and the certificates of an authority, if systemd passed them; refused where there is only one.
pub(crate) fn authority_credentials() -> Result<Option<(PathBuf, PathBuf)>, ConfigError> {
    match (credential("enrolld.ca.key"), credential("enrolld.ca.pem")) {
        (Some(key), Some(chain)) => Ok(Some((key, chain))),
        (None, None) => Ok(None),
        _ => Err(ConfigError(
            "the credentials enrolld.ca.key and enrolld.ca.pem belong together; pass both or none".into(),
        )),
    }
}

/// The password of the user of etcd, from the credential that systemd passed, or for an offline command of root's from the
/// file that systemd would pass.
#[cfg(feature = "etcd")]
pub(crate) fn etcd_password() -> Result<String, ConfigError> {
    let missing = |why: &str| ConfigError(format!("etcd.user is set, and the credential enrolld.etcd.password {why}"));
    let of_service = || Some(PathBuf::from(SERVICE_ETCD_PASSWORD)).filter(|file| is_root() && file.exists());
    let path = credential("enrolld.etcd.password").or_else(of_service).ok_or_else(|| missing("is not passed"))?;
    let password = std::fs::read_to_string(path).map_err(|err| missing(&format!("can not be read: {err}")))?;
    Ok(password.trim_end_matches('\n').to_owned())
}

/// The path of a credential that systemd passed.
fn credential(name: &str) -> Option<PathBuf> {
    let directory = std::env::var_os("CREDENTIALS_DIRECTORY")?;
    Some(Path::new(&directory).join(name)).filter(|path| path.exists())
}

fn is_root() -> bool {
    geteuid().is_root()
}

/// An absolute directory from the environment, as the XDG specification wants it, or one below the home directory.
/// `None` for a user who has no home.
fn xdg(variable: &str, below_home: &str) -> Option<PathBuf> {
    let absolute = |variable| std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || User::from_uid(geteuid()).ok().flatten().map(|user| user.dir).filter(|home| home.is_absolute());
    absolute(variable).or_else(|| Some(absolute("HOME").or_else(home)?.join(below_home)))
}

/// The default path of the configuration; a file that is not there is not read.
pub(crate) fn default_config() -> Option<PathBuf> {
    if is_root() {
        return Some(PathBuf::from("/etc/enrolld/enrolld.toml"));
    }
    Some(xdg("XDG_CONFIG_HOME", ".config")?.join("enrolld/enrolld.toml"))
}

fn default_state_dir() -> Result<PathBuf, ConfigError> {
    if is_root() {
        return Ok(PathBuf::from(SERVICE_STATE_DIR));
    }
    match xdg("XDG_STATE_HOME", ".local/state") {
        Some(state) => Ok(state.join("enrolld")),
        None => {
            Err(ConfigError("this user has no home directory; say where to keep the state with --state-dir".into()))
        }
    }
}

fn default_socket() -> Result<PathBuf, ConfigError> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
    match runtime {
        _ if is_root() => Ok(PathBuf::from("/run/enrolld/enrolld.sock")),
        Some(runtime) => Ok(runtime.join("enrolld/enrolld.sock")),
        None => Ok(default_state_dir()?.join("run/enrolld.sock")),
    }
}

/// The command that calls `enrollctl` for this daemon, to be printed: beside this binary, through cargo, or by name.
pub(crate) fn control_command(paths: &Paths) -> String {
    let mut command = match control_program() {
        Some(path) => quoted(&path),
        None if std::env::var_os("CARGO").is_some() => "cargo run -q --release --bin enrollctl --".to_owned(),
        None => "enrollctl".to_owned(),
    };
    if default_socket().ok().as_ref() != Some(&paths.socket) {
        command.push_str(&format!(" --socket {}", quoted(&paths.socket)));
    }
    command
}

/// The `enrollctl` that lies beside this program.
pub(crate) fn control_program() -> Option<PathBuf> {
    std::env::current_exe().ok().map(|path| path.with_file_name("enrollctl")).filter(|path| path.exists())
}

/// A path, quoted for a shell.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%".contains(c);
    if text.chars().all(is_plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}
