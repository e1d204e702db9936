//! A pseudo-terminal: a program's terminal, whose keys are typed and whose screen is read by a test.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use nix::fcntl::OFlag;
use nix::libc::O_NOCTTY;
use nix::poll::{PollFd, PollFlags, poll};
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::termios::{Termios, tcgetattr};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::poll::until;

/// A pseudo-terminal of 80 columns and 24 lines. [`Terminal::hang_up`] ends it.
#[derive(Debug)]
pub struct Terminal {
    keys: File,
    /// The end of the program, kept so that the attributes can be read when the program has ended.
    program: File,
    shown: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
    is_over: Arc<AtomicBool>,
}

/// True if a terminal is the controlling one of its program, as that of a login is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Controls {
    /// Its hang-up is a signal to the program.
    Yes,
    /// The program only has it open.
    No,
}

/// Between two looks of the reader at whether it is over.
const LOOK: u16 = 20;

impl Terminal {
    /// Opens one.
    pub fn open() -> Self {
        // Neither end is inherited by a process that another test starts, which would keep it open.
        let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let master = posix_openpt(flags).expect("a pseudo-terminal");
        grantpt(&master).and_then(|()| unlockpt(&master)).expect("unlocked");
        let name = ptsname_r(&master).expect("a name");
        let program = OpenOptions::new().read(true).write(true).custom_flags(O_NOCTTY).open(name).expect("its end");
        let mut screen = File::from(OwnedFd::from(master));
        let keys = screen.try_clone().expect("a copy");
        let shown = Arc::new(Mutex::new(Vec::new()));
        let is_over = Arc::new(AtomicBool::new(false));
        let (all, over) = (Arc::clone(&shown), Arc::clone(&is_over));
        let reader = std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while !over.load(Ordering::Relaxed) {
                let mut ready = [PollFd::new(screen.as_fd(), PollFlags::POLLIN)];
                if poll(&mut ready, LOOK).is_ok_and(|ready| ready > 0) {
                    let Ok(count @ 1..) = screen.read(&mut bytes) else { return };
                    all.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&bytes[..count]);
                }
            }
        });
        let terminal = Self { keys, program, shown, reader: Some(reader), is_over };
        terminal.resize(80, 24);
        terminal
    }

    /// Gives it another size, of which its program is told.
    pub fn resize(&self, columns: u16, lines: u16) {
        let size = Winsize { ws_row: lines, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.program, size).expect("a size");
    }

    /// Hangs it up, as the end of a connection does.
    pub fn hang_up(mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(reader) = self.reader.take() {
            reader.join().expect("read to the end");
        }
    }

    /// The command in a session of its own, with this terminal.
    pub fn command(&self, command: &Command, controls: Controls) -> Command {
        let mut session = Command::new("setsid");
        session.args((controls == Controls::Yes).then_some("--ctty"));
        session.arg(command.get_program()).args(command.get_args()).env_clear();
        session.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        session.current_dir(command.get_current_dir().unwrap_or(Path::new("/")));
        session.env("TERM", "xterm-256color").env("LANG", "C.UTF-8");
        let end = || Stdio::from(self.program.try_clone().expect("a copy"));
        session.stdin(end()).stdout(end()).stderr(end());
        session
    }

    /// Types keys.
    pub fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("typed");
    }

    /// Everything that was written to it.
    pub fn shown(&self) -> String {
        String::from_utf8_lossy(&self.all()).into_owned()
    }

    /// Waits until this was written to it, and forgets what was written up to there.
    pub fn expect(&self, text: &str) {
        until(&format!("{text:?}"), || self.position(text).is_some());
        let end = self.position(text).map_or(0, |at| at + text.len());
        self.all().drain(..end);
    }

    /// Its attributes: echo, line mode, and how its keys become signals.
    pub fn attributes(&self) -> Termios {
        tcgetattr(&self.program).expect("attributes")
    }

    fn position(&self, text: &str) -> Option<usize> {
        self.all().windows(text.len()).position(|window| window == text.as_bytes())
    }

    fn all(&self) -> MutexGuard<'_, Vec<u8>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
