//! The executor of a simulation: the sessions of all connections as tasks, of which the scheduler polls one that is ready.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};

/// A session from its first byte to its end.
pub(super) type Task = Pin<Box<dyn Future<Output = ()>>>;

/// The sessions that have not ended, by the numbers of their connections.
#[derive(Default)]
pub(super) struct Sessions(BTreeMap<u64, (Task, Arc<Ready>)>);

struct Ready(AtomicBool);

impl Wake for Ready {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Sessions {
    /// Adds one, which is ready.
    pub(super) fn add(&mut self, number: u64, task: Task) {
        self.0.insert(number, (task, Arc::new(Ready(AtomicBool::new(true)))));
    }

    /// The numbers of those that can go on.
    pub(super) fn ready(&self) -> Vec<u64> {
        let is_ready = |(_, (_, ready)): &(&u64, &(Task, Arc<Ready>))| ready.0.load(Ordering::Relaxed);
        self.0.iter().filter(is_ready).map(|(number, _)| *number).collect()
    }

    /// The numbers of all.
    pub(super) fn numbers(&self) -> Vec<u64> {
        self.0.keys().copied().collect()
    }

    /// Polls one.
    pub(super) fn poll(&mut self, number: u64) {
        let Some((task, ready)) = self.0.get_mut(&number) else { return };
        ready.0.store(false, Ordering::Relaxed);
        let waker = Waker::from(Arc::clone(ready));
        if task.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
            self.0.remove(&number);
        }
    }

    /// True if all have ended.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
