//! The line of those that have had a turn and want another one at once. Only its first has one, so however many
//! connections are busy, whoever comes with one small thing to ask finds one turn before them and not all.

use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::task::yield_now;

/// The turns of those in the line.
#[derive(Debug)]
pub struct Turns {
    /// One for each thread that serves connections.
    permits: Arc<Semaphore>,
    /// What the writer is about, one of those below.
    writer: AtomicU8,
}

/// The writer works on another thread, so the line is not in its way.
const AWAY: u8 = 0;
/// It would work on this one.
const HERE: u8 = 1;
/// It has been asked to, and has not begun.
const ASKED: u8 = 2;

impl Turns {
    /// With so many threads that serve connections.
    pub fn new(threads: usize) -> Self {
        Self { permits: Arc::new(Semaphore::new(threads)), writer: AtomicU8::new(HERE) }
    }

    /// Something is asked of the writer.
    pub(super) fn writer_is_asked(&self) {
        // If it is away or asked already, that stays so.
        let _ = self.writer.compare_exchange(HERE, ASKED, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// The writer begins with what it was asked: where connections are served, or elsewhere.
    pub fn writer_begins(&self, is_here: bool) {
        self.writer.store(if is_here { HERE } else { AWAY }, Ordering::Relaxed);
    }

    /// The next turn, for whoever brought the writer something in the last one or did not.
    pub(crate) async fn next(&self, has_brought: bool) -> Result<OwnedSemaphorePermit, AcquireError> {
        let turn = Arc::clone(&self.permits).acquire_owned().await;
        // Those who are not in the line come first, also before the only one in it, and so does what they ask for. But the
        // writer waits for more of that, so whoever has brought some goes on.
        yield_now().await;
        while !has_brought && self.writer.load(Ordering::Relaxed) == ASKED {
            yield_now().await;
        }
        turn
    }
}

type Coming = Pin<Box<dyn Future<Output = Result<OwnedSemaphorePermit, AcquireError>> + Send>>;

/// One connection's place in the line, if it is in it.
pub(super) struct Line {
    turns: Arc<Turns>,
    coming: Option<Coming>,
    /// Kept until it is over.
    turn: Option<OwnedSemaphorePermit>,
}

impl Line {
    /// For these turns.
    pub(super) fn new(turns: Arc<Turns>) -> Self {
        Self { turns, coming: None, turn: None }
    }

    /// Whether a turn is waited for.
    pub(super) fn is_waiting(&self) -> bool {
        self.coming.is_some()
    }

    /// The turn is over, in which the writer was brought something or not; whoever wants another one lines up behind the
    /// others.
    pub(super) fn turn_is_over(&mut self, wants_another: bool, has_brought: bool) {
        self.turn = None;
        self.coming = wants_another.then(|| {
            let turns = Arc::clone(&self.turns);
            let coming: Coming = Box::pin(async move { turns.next(has_brought).await });
            coming
        });
    }

    /// Waits for the turn. The place in the line is kept where this is given up.
    pub(super) async fn advance(&mut self) {
        match &mut self.coming {
            // Nobody closes the semaphore; if somebody did, there would be no line.
            Some(coming) => self.turn = coming.await.ok(),
            None => pending().await,
        }
        self.coming = None;
    }
}
