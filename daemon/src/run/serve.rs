//! The serving phase and the graceful shutdown: from the first connection to the last answer.

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::crl_file;
use super::reload::{LogFilter, Reload};
use super::state::{Opened, WriterEnd};
use super::stop::{Ended, StopSignals};
use super::{Start, StartError, forwarding, standby, wakers};
use crate::config::{Config, Reads};
use crate::daemon::Swap;
use crate::daemon::clock::Seeds;
use crate::net::Shared;
use crate::net::barrier::Barrier;
use crate::net::grants::Grants;
use crate::net::listener::{self, Terms};
use crate::net::memory_budget::MemoryBudget;
use crate::net::worker_pool::WorkerPool;
use crate::run::paths::Paths;
use crate::run::systemd;
use crate::storage::io_error;
use enroll_core::state::StoreError;

/// The time that connections have to take their last answers at a shutdown (drain).
const DRAIN: Duration = Duration::from_secs(3);

/// The time that the writer then has for queued writes.
const LAST_COMMITS: Duration = Duration::from_secs(1);

/// Connections of other hosts that wait to be served, at a time.
const FORWARDED_MAX: usize = 16;

/// The result of a start, which serving takes over.
pub(super) struct Serving<'a> {
    pub(super) flags: Start,
    pub(super) config: Config,
    pub(super) paths: &'a Paths,
    pub(super) opened: &'a Opened,
    pub(super) grants: Grants,
    pub(super) log: LogFilter,
    pub(super) flusher_failed: oneshot::Receiver<StoreError>,
}

/// The tokio runtime of the connections, with as many threads as the configuration says.
pub(super) fn runtime(config: &Config) -> Result<tokio::runtime::Runtime, StartError> {
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

/// Serves until a signal comes or the writer ends, then lets the connections take their last answers. Fails if the
/// flusher or the writer failed, or if the last commits take too long.
pub(super) async fn serve(
    serving: Serving<'_>,
    listener: std::os::unix::net::UnixListener,
) -> Result<Ended, StartError> {
    let Serving { flags, config, paths, opened, grants, log, flusher_failed } = serving;
    let io = |what: &str| {
        let what = what.to_owned();
        move |err| StartError::Io(what, err)
    };
    let listener = enroll_socket::Listener::new(listener).map_err(io("the socket"))?;
    let mut stop_signals = StopSignals::listen().map_err(io("the signals"))?;
    let hangup = signal(SignalKind::hangup()).map_err(io("SIGHUP"))?;
    let (changes, latest) = watch::channel(opened.head.seq);
    let applied = changes.clone();
    let committed = move |head| {
        changes.send_if_modified(|latest| std::mem::replace(latest, head) != head);
    };
    let (queue, mut ended) = opened.start_writer(committed)?;
    let makers = std::thread::available_parallelism().map_or(1, usize::from);
    let (sessions, forwarded) = mpsc::channel(FORWARDED_MAX);
    let shared = Arc::new(Shared {
        daemon: Arc::clone(&opened.daemon),
        barrier: Barrier::of(opened.store.clone(), &opened.daemon.metrics.looks).map_err(io("the thread of looks"))?,
        store: opened.store.clone(),
        reads_locally: config.cluster.reads == Reads::Local,
        forwarding: forwarding::start(opened, sessions)?,
        clock: opened.clock.clone(),
        seeds: Seeds::default(),
        terms: Swap::new(Terms { grants, limits: config.limits() }),
        memory: MemoryBudget::new(config.server.memory_mib << 20),
        scans: WorkerPool::start("scans", 1).map_err(io("the thread of scans"))?,
        makers: WorkerPool::start("makers", makers).map_err(io("the threads that make certificates"))?,
        walks: Arc::new(Semaphore::new(1)),
        changes: latest,
    });
    let (stop, stopping) = watch::channel(false);
    let listening = format!("listening on {}", paths.socket.display());
    let promoted = || systemd::ready(&listening);
    let mut role = Box::pin(standby::watch(opened, config.clone(), applied, queue.clone(), promoted));
    let summing = Arc::clone(&opened.daemon);
    tokio::spawn(async move { summing.abuse.watch().await });
    let wakers = tokio::spawn(wakers::wake(queue.clone(), Arc::clone(&shared)));
    let mut listener =
        tokio::spawn(listener::serve(listener, config.server.threads, Arc::clone(&shared), queue, forwarded, stopping));
    let status = match opened.daemon.role.is_standby() {
        true => format!("{listening}, as a standby"),
        false => listening.clone(),
    };
    super::announce(config.log_format, paths, opened);
    systemd::ready(&status);
    let state_dir = paths.state_dir.clone();
    tokio::spawn(crl_file::keep(Arc::clone(&shared)));
    tokio::spawn(super::authority::watch(Arc::clone(&shared)));
    let mut reloads = tokio::spawn(Reload { flags, config, state_dir, log, shared, status }.at_every(hangup));
    let (mut result, mut by) = (None, Ended::InOrder);
    let (unread, mut read_failures) = mpsc::unbounded_channel();
    opened.store.read_failure().tell(move |err| drop(unread.send(err.clone())));
    let mut unreadable = None;
    tokio::select! {
        ended = stop_signals.next() => by = ended,
        _ = &mut reloads => {
            tracing::info!("SIGHUP: the terminal is gone; stopping; requests that were begun are finished");
        }
        end = &mut ended => result = Some(end),
        () = opened.daemon.membership.handed_over() => {
            tracing::info!("handing over to another member; requests that were begun are finished");
            by = Ended::HandedOver;
        }
        err = &mut role => return Err(err),
        failure = flusher_failed => {
            let died = |_| StoreError::Closed("the flusher ended");
            return Err(StartError::Storage(failure.unwrap_or_else(died)));
        }
        Some(err) = read_failures.recv() => {
            tracing::error!(%err, "the database can not be read any more; stopping; requests that were begun are finished");
            unreadable = Some(err);
        }
    }
    reloads.abort();
    wakers.abort();
    drop(role);
    systemd::stopping();
    let _ = stop.send(true);
    drain(&mut listener).await;
    opened.daemon.abuse.close();
    let result = match result {
        Some(result) => result,
        None => last_commits(&mut ended).await?,
    };
    match result {
        Ok(Ok(())) => unreadable.map_or(Ok(by), |err| Err(StartError::Storage(err))),
        Ok(Err(err)) => Err(StartError::Storage(err)),
        Err(_) => Err(StartError::Storage(StoreError::Closed("the writer ended"))),
    }
}

/// Waits until the connections have taken their last answers, for [`DRAIN`] at most.
async fn drain(listener: &mut JoinHandle<()>) {
    if tokio::time::timeout(DRAIN, &mut *listener).await.is_err() {
        tracing::warn!("some connections did not take their last answers in time and are closed");
        listener.abort();
        let _ = listener.await;
    }
}

/// Waits for the end of the writer, for [`LAST_COMMITS`] at most. No connection is left to send writes, so it commits
/// the queued ones and ends.
async fn last_commits(ended: &mut WriterEnd) -> Result<<WriterEnd as Future>::Output, StartError> {
    tokio::time::timeout(LAST_COMMITS, ended)
        .await
        .map_err(|_| StartError::Storage(io_error("the last commits can not be made durable")("they took too long")))
}
