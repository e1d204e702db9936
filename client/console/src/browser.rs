//! The user's browser: opened on a file that only this user can read and that leads to the address, so that its code
//! stands on no command line.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use enrollctl::process::which;
use maud::{DOCTYPE, html};
use nix::unistd::geteuid;
use tempfile::{Builder, TempPath};
use tokio::process::Command;

use crate::console::Console;

/// The time between two looks whether the code is spent.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A file that leads to the address. It is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct OpenFile(Arc<TempPath>);

/// Opens the address in a browser. `None` where there is none.
pub(crate) fn open(address: &str) -> Result<Option<OpenFile>, String> {
    let Some(program) = program() else { return Ok(None) };
    let home = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
    let home = home.ok_or("HOME names no directory for the file that leads there")?;
    let file = write(&home, address).map_err(|err| format!("{}: {err}", home.display()))?;
    let path: &Path = &file;
    let started =
        Command::new(&program).arg(path).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    // The runtime reaps it; it may live as long as the browser.
    started.map(drop).map_err(|err| format!("{}: {err}", program.display()))?;
    Ok(Some(OpenFile(Arc::new(file))))
}

impl OpenFile {
    /// Removes the file as soon as the code in it is spent, or the session has ended.
    pub(crate) fn remove_when_spent(&self, console: Arc<Console>) {
        let path = self.0.to_path_buf();
        tokio::spawn(async move {
            while console.session.code().is_some() && !console.session.has_ended() {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            // It may be gone already.
            let _ = std::fs::remove_file(path);
        });
    }
}

/// The command that a person behind SSH types on their own machine.
pub(crate) fn tunnel(port: u16) -> Option<String> {
    let connection = std::env::var("SSH_CONNECTION").ok()?;
    let user = std::env::var("USER").ok().filter(|user| !user.is_empty());
    tunnel_line(port, &connection, user.as_deref())
}

/// `SSH_CONNECTION` is the client's address and port, and the server's.
fn tunnel_line(port: u16, connection: &str, user: Option<&str>) -> Option<String> {
    let host = connection.split(' ').nth(2)?;
    let user = user.map(|user| format!("{user}@")).unwrap_or_default();
    Some(format!("ssh -L {port}:127.0.0.1:{port} {user}{host}"))
}

/// The program that opens a file: the one of `BROWSER`, or `xdg-open` on a desktop of this user's.
fn program() -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(named) = variable("BROWSER") {
        return which::find(named.to_str()?.split(':').next()?);
    }
    let has_desktop = variable("DISPLAY").is_some() || variable("WAYLAND_DISPLAY").is_some();
    // A browser of root's is not started by itself, and one behind SSH is not where the user sits.
    let is_here = !geteuid().is_root() && variable("SSH_CONNECTION").is_none();
    if has_desktop && is_here { which::find("xdg-open") } else { None }
}

/// A page of mode 0600 that leads to the address. Its directory is one that a confined browser may read, too: neither
/// hidden nor temporary.
fn write(directory: &Path, address: &str) -> std::io::Result<TempPath> {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="referrer" content="no-referrer";
                meta http-equiv="refresh" content={ "0;url=" (address) };
                title { "enrolld" }
            }
            body { p { a href=(address) { "Go on to the console of enrolld" } } }
        }
    };
    let mut file = Builder::new().prefix("enrollctl-console-").suffix(".html").tempfile_in(directory)?;
    file.write_all(page.into_string().as_bytes())?;
    Ok(file.into_temp_path())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_file_is_its_owners_and_leads_to_the_address() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = write(directory.path(), "http://127.0.0.1:1/x/enter?code=c").expect("written");
        assert_eq!(path.metadata().expect("metadata").permissions().mode() & 0o777, 0o600);
        let page = std::fs::read_to_string(&path).expect("a page");
        assert!(page.contains("content=\"0;url=http://127.0.0.1:1/x/enter?code=c\""), "{page}");
        let kept = path.to_path_buf();
        drop(path);
        assert!(!kept.exists());
    }

    #[test]
    fn behind_ssh_the_tunnel_is_told() {
        let line = tunnel_line(8480, "192.0.2.1 50000 192.0.2.9 22", Some("dog"));
        assert_eq!(line.as_deref(), Some("ssh -L 8480:127.0.0.1:8480 dog@192.0.2.9"));
        assert_eq!(tunnel_line(1, "", None), None);
    }
}
