//! The signals that end the daemon. All of them end it in good order, and it says which one it was; those by which nobody
//! asks a service to stop, such as the one at a limit, make it fail.

use std::future::poll_fn;
use std::io;
use std::task::Poll;

use nix::sys::signal::Signal;
use tokio::signal::unix::{SignalKind, signal};

/// Signals that ask for an end.
const ASKING: &[Signal] = &[Signal::SIGTERM, Signal::SIGINT];

/// Signals that would end the process without a word. What can not be caught, or comes of a defect, is not among them.
const OTHERS: &[Signal] = &[
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGALRM,
    Signal::SIGVTALRM,
    Signal::SIGPROF,
    Signal::SIGIO,
    Signal::SIGPWR,
    Signal::SIGXCPU,
];

/// Why the daemon ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// It was asked to, or has ended by itself.
    InOrder,
    /// By a signal that does not ask for it.
    By(Signal),
}

/// Waits for signals that end the daemon.
#[derive(Debug)]
pub(super) struct StopSignals(Vec<(Signal, tokio::signal::unix::Signal)>);

impl StopSignals {
    /// From now on they are waited for, and end nothing by themselves.
    pub(super) fn listen() -> io::Result<Self> {
        let listen = |of: &Signal| Ok((*of, signal(SignalKind::from_raw(*of as i32))?));
        ASKING.iter().chain(OTHERS).map(listen).collect::<io::Result<_>>().map(Self)
    }

    /// The next one.
    pub(super) async fn next(&mut self) -> Ended {
        let came = poll_fn(|context| {
            let came = self.0.iter_mut().find_map(|(of, signal)| signal.poll_recv(context).is_ready().then_some(*of));
            came.map_or(Poll::Pending, Poll::Ready)
        });
        let signal = came.await;
        tracing::info!("{signal}: finishing what was begun");
        if ASKING.contains(&signal) { Ended::InOrder } else { Ended::By(signal) }
    }
}

/// What a signal says, for people.
pub(super) fn meaning(signal: Signal) -> &'static str {
    match signal {
        Signal::SIGXCPU => "the limit of processor time (LimitCPU=, ulimit -t) is reached; raise it, then start again",
        _ => "it was sent by another program or from a terminal; SIGTERM is what asks for an end",
    }
}
