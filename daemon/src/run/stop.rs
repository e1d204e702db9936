//! Shutdown signals. Each ends the daemon in good order and is named in the log; signals that do not ask a service to
//! stop, such as the one at a limit, give an exit code of failure.

use std::future::poll_fn;
use std::io;
use std::task::Poll;

use nix::sys::signal::Signal;
use tokio::signal::unix::{SignalKind, signal};

/// Signals that ask for an end.
const ASKING: &[Signal] = &[Signal::SIGTERM, Signal::SIGINT];

/// Signals that would end the process without a log line, except those of a defect and those that can not be caught.
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

/// The end of a daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// It was asked to end, or ended by itself.
    InOrder,
    /// Another member is to lead.
    HandedOver,
    /// A signal ended it that does not ask for an end.
    By(Signal),
}

/// Waits for signals that end the daemon.
#[derive(Debug)]
pub(super) struct StopSignals(Vec<(Signal, tokio::signal::unix::Signal)>);

impl StopSignals {
    /// Registers the handlers: from now on the signals do not end the process by themselves.
    pub(super) fn listen() -> io::Result<Self> {
        let listen = |of: &Signal| Ok((*of, signal(SignalKind::from_raw(*of as i32))?));
        ASKING.iter().chain(OTHERS).map(listen).collect::<io::Result<_>>().map(Self)
    }

    /// Waits for the next signal.
    pub(super) async fn next(&mut self) -> Ended {
        let came = poll_fn(|context| {
            let came = self.0.iter_mut().find_map(|(of, signal)| signal.poll_recv(context).is_ready().then_some(*of));
            came.map_or(Poll::Pending, Poll::Ready)
        });
        let signal = came.await;
        tracing::info!("{signal}: stopping; requests that were begun are finished");
        if ASKING.contains(&signal) { Ended::InOrder } else { Ended::By(signal) }
    }
}

/// The meaning of a signal, for people.
pub(super) fn meaning(signal: Signal) -> &'static str {
    match signal {
        Signal::SIGXCPU => "the limit of processor time (LimitCPU=, ulimit -t) is reached; raise it, then start again",
        _ => "it was sent by another program or from a terminal; SIGTERM is what asks for an end",
    }
}
