//! A thread pool for work that is too long for a turn, with fair queueing over uids and a low priority: scans, and keys and
//! certificates that are made. It yields the processor to connections and writer, and no uid keeps the others from it.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::fair_queue::FairQueue;
use crate::sys;

/// The nice value of its threads.
const NICE: i32 = 5;

/// A piece of work. It answers by itself.
type Work = Box<dyn FnOnce() + Send>;

/// Threads that do work for connections, until this is dropped.
pub struct WorkerPool(Arc<Waiting>);

#[derive(Default)]
struct Waiting {
    state: Mutex<State>,
    arrived: Condvar,
}

#[derive(Default)]
struct State {
    work: FairQueue<Work>,
    is_closed: bool,
}

impl WorkerPool {
    /// Starts so many threads of this name.
    pub fn start(name: &str, threads: usize) -> io::Result<Self> {
        let pool = Self(Arc::default());
        for _ in 0..threads {
            let waiting = Arc::clone(&pool.0);
            std::thread::Builder::new().name(name.to_owned()).spawn(move || {
                sys::lower_priority(NICE);
                while let Some(work) = waiting.next() {
                    done(work);
                }
            })?;
        }
        Ok(pool)
    }

    /// Does the next piece of work that waits, where no thread does it. Returns whether there was one.
    pub fn step(&self) -> bool {
        let work = self.0.state.lock().unwrap_or_else(PoisonError::into_inner).work.pop();
        let is_some = work.is_some();
        work.into_iter().for_each(done);
        is_some
    }

    /// Drops the work that waits, which may hold this pool.
    pub fn clear(&self) {
        let waiting = std::mem::take(&mut self.0.state.lock().unwrap_or_else(PoisonError::into_inner).work);
        drop(waiting);
    }

    /// Has work done for a uid, behind what it has waiting.
    pub(crate) fn run(&self, uid: u32, work: impl FnOnce() + Send + 'static) {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner).work.push(uid, Box::new(work));
        self.0.arrived.notify_one();
    }
}

/// Does a piece of work.
fn done(work: Work) {
    // Work answers for its own panics; one that does not must not cost the pool a thread.
    let _ = catch_unwind(AssertUnwindSafe(work));
}

impl Drop for WorkerPool {
    fn drop(&mut self) {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner).is_closed = true;
        self.0.arrived.notify_all();
    }
}

impl Waiting {
    /// The next piece of work; `None` once the pool is closed.
    fn next(&self) -> Option<Work> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if state.is_closed {
                return None;
            }
            if let Some(work) = state.work.pop() {
                return Some(work);
            }
            state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn who_has_much_work_waiting_makes_others_wait_for_one_piece() {
        let pool = WorkerPool::start("test", 1).expect("a thread");
        let ((go, gate), (done, order)) = (channel::<()>(), channel());
        pool.run(7, move || gate.recv().expect("the test goes on"));
        for uid in [7, 7, 7, 8] {
            let done = done.clone();
            pool.run(uid, move || done.send(uid).expect("the test listens"));
        }
        pool.run(9, || panic!("by the test"));
        drop(done);
        go.send(()).expect("the thread waits");
        let order: Vec<u32> = order.iter().collect();
        assert!(order[..2].contains(&8), "{order:?}");
        assert_eq!(order.len(), 4, "a thread outlives a panic");
    }
}
