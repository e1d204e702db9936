//! The terminal: taken for the screen, given back as it was, and read key by key. No other module of this command
//! touches it.
//!
//! It is given back by a guard, so also after an error and a panic, whose message then stands on the usual screen. The
//! keys are read from a descriptor of their own, because the usual one shares its modes with other processes; a
//! terminal that is gone reads as its end, which ends the command.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal as _, Read as _, stdout};
use std::mem::ManuallyDrop;
use std::os::unix::fs::OpenOptionsExt as _;

use nix::libc::{O_NOCTTY, O_NONBLOCK};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, disable_raw_mode, enable_raw_mode};
use ratatui::layout::{Position, Rect};
use ratatui::{DefaultTerminal, Frame};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::keys::{Key, Keys};

/// The terminal of standard input.
const STDIN: &str = "/proc/self/fd/0";

/// A terminal that shows the screen. Dropping it gives the terminal back.
#[derive(Debug)]
pub(crate) struct Screen {
    /// Never dropped: it would print the error of a terminal that is gone, and panic because that fails, too.
    terminal: ManuallyDrop<DefaultTerminal>,
}

/// The keys of the terminal.
#[derive(Debug)]
pub(crate) struct Keyboard {
    file: AsyncFd<File>,
    keys: Keys,
}

/// True if standard output is a terminal that can show a screen.
pub(crate) fn is_capable() -> bool {
    let kind = std::env::var_os("TERM").unwrap_or_default();
    stdout().is_terminal() && !kind.is_empty() && kind != "dumb"
}

impl Screen {
    /// Takes the terminal.
    pub(crate) fn enter() -> io::Result<Self> {
        let terminal = ratatui::try_init().inspect_err(|_| leave())?;
        Ok(Self { terminal: ManuallyDrop::new(terminal) })
    }

    /// Shows a frame; only what changed is written.
    pub(crate) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.terminal.draw(draw).map(drop)
    }

    /// Gives the terminal back, stops this job as the terminal would, and takes it again when the job goes on.
    pub(crate) fn suspend(&mut self) -> io::Result<()> {
        leave();
        // Without a shell that could continue it, the kernel stops nothing.
        kill(Pid::from_raw(0), Signal::SIGTSTP)?;
        self.resume()
    }

    /// Takes the terminal again after the job was continued, whatever was done to it meanwhile.
    pub(crate) fn resume(&mut self) -> io::Result<()> {
        disable_raw_mode()?;
        enable_raw_mode()?;
        execute!(stdout(), EnterAlternateScreen, Hide)?;
        // Clears it and has all of it drawn anew. The function for that asks the terminal where its cursor is, and the
        // answer would arrive among the keys.
        let size = self.terminal.size()?;
        self.terminal.resize(Rect::from((Position::ORIGIN, size)))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        leave();
    }
}

/// Gives the terminal back; of one that is gone nothing is left to give.
fn leave() {
    let _ = ratatui::try_restore();
    let _ = execute!(stdout(), Show);
}

impl Keyboard {
    /// Opens the terminal for reading.
    pub(crate) fn open() -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(O_NONBLOCK | O_NOCTTY);
        // The terminal of this session can be opened also where its device belongs to another user, as after su.
        let file = match options.open("/dev/tty") {
            Ok(file) => file,
            Err(_) => options.open(STDIN)?,
        };
        #[expect(deprecated, reason = "what replaces it is unsafe; the file is owned, and stays the same")]
        let file = AsyncFd::with_interest(file, Interest::READABLE)?;
        Ok(Self { file, keys: Keys::default() })
    }

    /// Waits for the next keys; none at the end of the terminal.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Vec<Key>>> {
        let mut bytes = [0; 256];
        loop {
            let mut ready = self.file.readable().await?;
            match ready.try_io(|file| file.get_ref().read(&mut bytes)) {
                Ok(Ok(0)) => return Ok(None),
                Ok(Ok(count)) => return Ok(Some(self.keys.read(&bytes[..count]))),
                Ok(Err(err)) if err.kind() == io::ErrorKind::Interrupted => {}
                Ok(Err(err)) => return Err(err),
                Err(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;
    use std::process::{Command, Stdio};

    use nix::fcntl::OFlag;
    use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
    use nix::sys::termios::tcgetattr;

    use super::*;

    /// Set for the child process of the test, which panics.
    const PANICS: &str = "ENROLLCTL_TEST_PANICS";

    /// The test's own program runs this test in a terminal, and panics there while it shows a screen.
    #[test]
    fn a_panic_gives_the_terminal_back() {
        if std::env::var_os(PANICS).is_some() {
            let mut screen = Screen::enter().expect("a screen");
            screen.draw(|_| panic!("a panic of the test")).expect("drawn");
        }
        // Neither end is inherited by other processes, which would keep it open.
        let master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC).expect("a pseudo-terminal");
        grantpt(&master).and_then(|()| unlockpt(&master)).expect("unlocked");
        let name = ptsname_r(&master).expect("a name");
        let program = OpenOptions::new().read(true).write(true).custom_flags(O_NOCTTY).open(name).expect("its end");
        let before = tcgetattr(&program).expect("attributes");
        let end = || Stdio::from(program.try_clone().expect("a copy"));
        let mut child = Command::new(std::env::current_exe().expect("the test's own path"));
        child.args(["--exact", "top::term::tests::a_panic_gives_the_terminal_back", "--nocapture", "--test-threads=1"]);
        child.env(PANICS, "1").stdin(end()).stdout(end()).stderr(end());
        let status = child.status().expect("run");
        assert!(!status.success());
        assert_eq!(tcgetattr(&program).expect("attributes"), before);
        // Nobody has the end of the programs open any more, so what was written has an end.
        drop((child, program));
        let mut shown = Vec::new();
        let _ = File::from(OwnedFd::from(master)).read_to_end(&mut shown);
        let shown = String::from_utf8_lossy(&shown);
        let position = |text: &str| shown.find(text).unwrap_or_else(|| panic!("no {text:?} in {shown:?}"));
        let entered = position("\u{1b}[?1049h");
        assert!(entered < position("\u{1b}[?1049l") && shown.contains("\u{1b}[?25h"), "{shown:?}");
        assert!(position("\u{1b}[?1049l") < position("a panic of the test"), "{shown:?}");
    }
}
