//! Where everything is: the state directory, the socket, the key and the configuration. As root the system's
//! directories, otherwise those of the XDG base directory specification; flags and configuration win.

use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

use crate::config::Config;
use crate::identity::key_file::KEY;
use crate::start::Start;

/// Where everything is.
pub(crate) struct Places {
    pub(crate) state_dir: PathBuf,
    pub(crate) socket: PathBuf,
    pub(crate) key: Key,
}

/// Where the secret key is.
pub(crate) enum Key {
    /// In a file, made at the first start.
    File(PathBuf),
    /// In a file that systemd passed.
    Credential(PathBuf),
}

impl Places {
    /// As the flags say, else the configuration, else what is usual for who runs it.
    pub(crate) fn of(flags: &Start, config: &Config) -> Self {
        let chosen = |flag: &Option<PathBuf>, config: &Path| {
            flag.clone().or_else(|| (!config.as_os_str().is_empty()).then(|| config.to_owned()))
        };
        let state_dir = chosen(&flags.state_dir, &config.state_dir).unwrap_or_else(default_state_dir);
        let socket = chosen(&flags.socket, &config.socket).unwrap_or_else(default_socket);
        let credential = std::env::var_os("CREDENTIALS_DIRECTORY").map(|directory| Path::new(&directory).join(KEY));
        let key = match (chosen(&None, &config.key_file), credential.filter(|path| path.exists())) {
            (Some(file), _) => Key::File(file),
            (None, Some(credential)) => Key::Credential(credential),
            (None, None) => Key::File(state_dir.join(KEY)),
        };
        Self { state_dir, socket, key }
    }
}

fn is_root() -> bool {
    geteuid().is_root()
}

/// An absolute directory from the environment, as the XDG specification wants it, or one below the home directory.
fn xdg(variable: &str, below_home: &str) -> PathBuf {
    let set = std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    set.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(below_home))
}

/// The configuration that is read if it is there and no other is named.
pub(crate) fn default_config() -> Option<PathBuf> {
    Some(if is_root() {
        PathBuf::from("/etc/enrolld/enrolld.toml")
    } else {
        xdg("XDG_CONFIG_HOME", ".config").join("enrolld/enrolld.toml")
    })
}

fn default_state_dir() -> PathBuf {
    if is_root() { PathBuf::from("/var/lib/enrolld") } else { xdg("XDG_STATE_HOME", ".local/state").join("enrolld") }
}

fn default_socket() -> PathBuf {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
    match runtime {
        _ if is_root() => PathBuf::from("/run/enrolld/enrolld.sock"),
        Some(runtime) => runtime.join("enrolld/enrolld.sock"),
        None => default_state_dir().join("run/enrolld.sock"),
    }
}

/// How to call `enrollctl` from here so that it works as printed: beside this binary, through cargo, or by its name.
pub(crate) fn control_command(places: &Places) -> String {
    let beside = std::env::current_exe().ok().map(|path| path.with_file_name("enrollctl")).filter(|path| path.exists());
    let mut command = match beside {
        Some(path) => quoted(&path),
        None if std::env::var_os("CARGO").is_some() => "cargo run -q --release --bin enrollctl --".to_owned(),
        None => "enrollctl".to_owned(),
    };
    if places.socket != default_socket() {
        command.push_str(&format!(" --socket {}", quoted(&places.socket)));
    }
    command
}

/// A path as a shell reads it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%".contains(c);
    if text.chars().all(is_plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}
