//! The terminal: taken for the screen, given back as it was, and read key by key. No other module of this command touches
//! it.
//!
//! It is given back by a guard, so also after an error and a panic, whose message then stands on the usual screen. The
//! keys are read from a descriptor of their own, because the usual one shares its modes with other processes; a terminal
//! that is gone reads as its end, which ends the command.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal as _, Read as _, stdout};
use std::os::unix::fs::OpenOptionsExt as _;

use nix::libc::{O_NOCTTY, O_NONBLOCK};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, disable_raw_mode, enable_raw_mode};
use ratatui::{DefaultTerminal, Frame};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::keys::{Key, Keys};

/// The terminal of standard input.
const STDIN: &str = "/proc/self/fd/0";

/// A terminal that shows the screen. Dropping it gives the terminal back.
#[derive(Debug)]
pub(crate) struct Screen {
    terminal: DefaultTerminal,
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
        Ok(Self { terminal })
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
        self.terminal.clear()
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
