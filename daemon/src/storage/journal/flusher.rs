//! The journal's background threads: one flushes frozen memtables into the tree and makes segments before they are
//! needed, one builds the Bloom filter at the start. Both have a low priority: no caller waits for them unless memory is
//! short, and then the processors are free.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::JournalStore;
use crate::sys::lower_priority;
use enroll_core::state::StoreError;

/// The age of the oldest write at which a memtable is flushed, even if it is small.
const FLUSH_PAUSE: Duration = Duration::from_secs(2);

/// The nice value of the threads.
const NICE: i32 = 15;

/// The running threads.
pub struct Flusher {
    store: Arc<JournalStore>,
    threads: [JoinHandle<()>; 2],
}

impl Flusher {
    /// Starts the threads. `failed` is called if flushing fails; nothing can be committed then.
    pub fn start(store: Arc<JournalStore>, failed: impl FnOnce(StoreError) + Send + 'static) -> std::io::Result<Self> {
        store.has_flusher.store(true, Ordering::Release);
        let of_thread = Arc::clone(&store);
        let flusher = std::thread::Builder::new().name("flusher".to_owned()).spawn(move || {
            lower_priority(NICE);
            let result = of_thread.flush_on();
            of_thread.has_flusher.store(false, Ordering::Release);
            if let Err(err) = result {
                of_thread.fail(err.clone());
                failed(err);
            }
        })?;
        let of_thread = Arc::clone(&store);
        let filter = std::thread::Builder::new().name("filter".to_owned()).spawn(move || {
            if let Err(err) = of_thread.make_filter(|| lower_priority(NICE)) {
                // Look-ups work without it, only slower.
                tracing::error!(%err, "the Bloom filter is not built; new keys are looked up in the tree until a restart");
            }
        })?;
        Ok(Self { store, threads: [flusher, filter] })
    }

    /// Stops the threads after the work that they have begun. The active memtable stays in the log.
    pub fn stop(self) {
        self.store.state().is_closing = true;
        self.store.work.notify_all();
        for thread in self.threads {
            // The threads report their failures themselves.
            let _ = thread.join();
        }
    }
}

/// The work beside a flush, whose end stops the flushing thread, also where it panics.
struct Beside<'a>(&'a JournalStore);

impl Drop for Beside<'_> {
    fn drop(&mut self) {
        self.0.state().is_closing = true;
        self.0.work.notify_all();
    }
}

impl JournalStore {
    /// Runs work of a start beside a thread that flushes, in a store that has no [`Flusher`] yet: what is read of a journal may
    /// exceed the memory, and one processor can read on while another one flushes.
    pub fn beside_flush<T>(&self, work: impl FnOnce() -> T) -> T {
        let flush = || {
            let flushed = self.flush_on();
            self.has_flusher.store(false, Ordering::Release);
            if let Err(err) = flushed {
                self.fail(err);
            }
        };
        let done = std::thread::scope(|scope| {
            self.has_flusher.store(true, Ordering::Release);
            let started = std::thread::Builder::new().name("flusher".to_owned()).spawn_scoped(scope, flush);
            // Without the thread the work flushes by itself.
            self.has_flusher.fetch_and(started.is_ok(), Ordering::AcqRel);
            let _beside = Beside(self);
            work()
        });
        self.state().is_closing = false;
        done
    }

    /// Flushes whenever the active memtable is full or old enough, until the store is closed.
    fn flush_on(&self) -> Result<(), StoreError> {
        while self.wait_for_work() {
            self.make_segment()?;
            self.flush_some()?;
        }
        Ok(())
    }

    /// Waits until a flush is due. Returns `false` when the store is closed or failed.
    fn wait_for_work(&self) -> bool {
        let mut state = self.state();
        loop {
            if state.is_closing || state.failed.is_some() {
                return false;
            }
            let waited = state.begun.map(|begun| begun.elapsed());
            if waited.is_some_and(|waited| waited >= FLUSH_PAUSE) || self.is_full(&state.current.active) {
                return true;
            }
            let wait = |state| match waited {
                Some(waited) => self
                    .work
                    .wait_timeout(state, FLUSH_PAUSE - waited)
                    .map(|(state, _)| state)
                    .map_err(|err| err.into_inner().0),
                None => self.work.wait(state).map_err(PoisonError::into_inner),
            };
            state = wait(state).unwrap_or_else(|state| state);
        }
    }
}
