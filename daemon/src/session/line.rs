//! The line of those that have had a turn and want another one at once. Only its first has one, so however many
//! connections are busy, whoever comes with one small thing to ask finds one turn before them and not all.

use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

type Coming = Pin<Box<dyn Future<Output = Result<OwnedSemaphorePermit, AcquireError>> + Send>>;

/// One connection's place in the line, if it is in it.
pub(super) struct Line {
    turns: Arc<Semaphore>,
    coming: Option<Coming>,
    /// Kept until it is over.
    turn: Option<OwnedSemaphorePermit>,
}

impl Line {
    /// Of these turns, one for each thread that serves connections.
    pub(super) fn new(turns: Arc<Semaphore>) -> Self {
        Self { turns, coming: None, turn: None }
    }

    /// Whether a turn is waited for.
    pub(super) fn is_waiting(&self) -> bool {
        self.coming.is_some()
    }

    /// The turn is over; whoever wants another one lines up behind the others.
    pub(super) fn turn_is_over(&mut self, wants_another: bool) {
        self.turn = None;
        self.coming = wants_another.then(|| {
            let turns = Arc::clone(&self.turns);
            let coming: Coming = Box::pin(async move {
                let turn = turns.acquire_owned().await;
                // Those who are not in the line come first, also before the only one in it.
                tokio::task::yield_now().await;
                turn
            });
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
