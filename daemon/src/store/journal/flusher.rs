//! The threads behind the journal: one moves frozen maps into the tree and makes the segments that will be needed, one
//! makes the filter, at the start and whenever it is outgrown.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{JournalStore, State, log};
use crate::store::{Store as _, StoreError};

/// How long a write stays out of the tree when few come.
const FLUSH_PAUSE: Duration = Duration::from_secs(2);

/// What works behind the journal.
pub struct Flusher {
    store: Arc<JournalStore>,
    threads: [JoinHandle<()>; 2],
}

impl Flusher {
    /// Starts the threads. `failed` is told if it has to give up; nothing can be committed then.
    pub fn start(store: Arc<JournalStore>, failed: impl FnOnce(StoreError) + Send + 'static) -> std::io::Result<Self> {
        store.has_flusher.store(true, Ordering::Release);
        let of_thread = Arc::clone(&store);
        let flusher = std::thread::Builder::new().name("flusher".to_owned()).spawn(move || {
            let result = of_thread.flush_on();
            of_thread.has_flusher.store(false, Ordering::Release);
            if let Err(err) = result {
                of_thread.fail(err.clone());
                failed(err);
            }
        })?;
        let of_thread = Arc::clone(&store);
        let filter = std::thread::Builder::new().name("filter".to_owned()).spawn(move || {
            if let Err(err) = of_thread.make_filters() {
                // Everything is found without it, only not as fast.
                tracing::error!(%err, "there is no filter of the keys");
            }
        })?;
        Ok(Self { store, threads: [flusher, filter] })
    }

    /// Lets it finish what it is doing. What is active stays active.
    pub fn stop(self) {
        self.store.state().is_closing = true;
        self.store.work.notify_all();
        self.store.outgrown.notify_all();
        for thread in self.threads {
            // They report their failures themselves.
            let _ = thread.join();
        }
    }
}

impl JournalStore {
    /// Flushes whenever there is enough, or the oldest write has waited long enough, until the store is closed.
    fn flush_on(&self) -> Result<(), StoreError> {
        while self.wait_for_work() {
            // Where there is hardly place for one, it is made when nothing goes on without it.
            let has_place = self.tree.free_bytes() / 2 >= self.options.segment_bytes;
            let wanted = if has_place { self.log().make_wanted()? } else { None };
            if let Some(disk) = wanted {
                log::fill(&*disk, self.options.segment_bytes)?;
                self.log().add_slot(disk);
            }
            self.flush_some()?;
            self.outgrown.notify_all();
        }
        Ok(())
    }

    /// Makes a filter, and another one whenever that is outgrown, until the store is closed.
    fn make_filters(&self) -> Result<(), StoreError> {
        loop {
            self.make_filter()?;
            let wait = |state: &mut State| {
                let filter = state.current.filter.as_ref();
                !state.is_closing && filter.is_none_or(|filter| filter.outgrown().is_none())
            };
            let state = self.outgrown.wait_while(self.state(), wait).unwrap_or_else(PoisonError::into_inner);
            if state.is_closing {
                return Ok(());
            }
        }
    }

    /// Whether there is more to do.
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
