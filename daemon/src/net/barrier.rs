//! The barrier of linearizable reads: where several daemons may commit, a read is answered from a view that was taken
//! after a look which began after the read arrived, and which confirmed that nobody else has committed.
//!
//! One look is under way at a time. Those that come meanwhile share the next one, so a look costs a round trip for many
//! reads. No clock and no lease is asked: a daemon that was paused or cut off can not answer from the past.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use enroll_core::state::{Store, StoreError};
use tokio::sync::Mutex;

use crate::metrics::Histogram;

/// See the module.
pub struct Barrier {
    store: Arc<dyn Store>,
    /// Reads that have arrived.
    arrived: AtomicU64,
    /// Held by the look that is under way.
    latest: Mutex<Look>,
    /// The times of looks.
    times: Histogram,
}

/// A look that has ended.
struct Look {
    /// It began after so many reads had arrived.
    covers: u64,
    outcome: Result<(), StoreError>,
}

impl Barrier {
    /// The barrier of this store, which counts its looks here; none where nobody else may commit.
    pub fn of(store: Arc<dyn Store>, times: &Histogram) -> Option<Arc<Self>> {
        let latest = Mutex::new(Look { covers: 0, outcome: Ok(()) });
        let times = times.clone();
        store.is_shared().then(|| Arc::new(Self { store, arrived: AtomicU64::new(0), latest, times }))
    }

    /// Waits for a look that begins after this call, and returns its outcome.
    pub(super) async fn pass(&self) -> Result<(), StoreError> {
        let place = self.arrived.fetch_add(1, Ordering::SeqCst) + 1;
        let mut latest = self.latest.lock().await;
        if latest.covers < place {
            let covers = self.arrived.load(Ordering::SeqCst);
            let store = Arc::clone(&self.store);
            let began = Instant::now();
            let looked = tokio::task::spawn_blocking(move || store.confirm()).await;
            self.times.observe(began.elapsed().as_secs_f64());
            *latest = Look { covers, outcome: looked.unwrap_or(Err(StoreError::Closed("the look at other daemons"))) };
        }
        latest.outcome.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use enroll_core::state::{View, Writes};

    use super::*;

    /// A store whose looks are told when they begin, and end as they are bidden.
    struct Looked {
        begun: mpsc::Sender<()>,
        ends: std::sync::Mutex<mpsc::Receiver<Result<(), StoreError>>>,
        is_shared: bool,
    }

    impl Store for Looked {
        fn view(&self) -> Result<View, StoreError> {
            Err(StoreError::Closed("a view"))
        }

        fn commit(&self, _: &Writes) -> Result<(), StoreError> {
            Err(StoreError::Closed("a commit"))
        }

        fn confirm(&self) -> Result<(), StoreError> {
            self.begun.send(()).expect("somebody listens");
            self.ends.lock().expect("a lock").recv().expect("an end")
        }

        fn is_shared(&self) -> bool {
            self.is_shared
        }

        fn bytes(&self) -> u64 {
            0
        }
    }

    fn times() -> Histogram {
        Histogram::new(&[1.0])
    }

    type Ends = mpsc::Sender<Result<(), StoreError>>;

    fn store(is_shared: bool) -> (Arc<dyn Store>, mpsc::Receiver<()>, Ends) {
        let ((begun, begins), (end, ends)) = (mpsc::channel(), mpsc::channel());
        (Arc::new(Looked { begun, ends: std::sync::Mutex::new(ends), is_shared }), begins, end)
    }

    async fn until_arrived(barrier: &Barrier, count: u64) {
        while barrier.arrived.load(Ordering::SeqCst) < count {
            tokio::task::yield_now().await;
        }
    }

    #[test]
    fn a_store_of_one_daemon_has_no_barrier() {
        assert!(Barrier::of(store(false).0, &times()).is_none());
    }

    #[tokio::test]
    async fn reads_that_come_during_a_look_share_the_next_one() {
        let (store, begins, end) = store(true);
        let barrier = Barrier::of(store, &times()).expect("a barrier");
        let pass = || {
            let barrier = Arc::clone(&barrier);
            tokio::spawn(async move { barrier.pass().await })
        };
        let first = pass();
        until_arrived(&barrier, 1).await;
        let begins = tokio::task::spawn_blocking(move || begins.recv().map(|()| begins)).await;
        let begins = begins.expect("a thread").expect("the first look");
        let later: Vec<_> = (0..8).map(|_| pass()).collect();
        until_arrived(&barrier, 9).await;
        // The first look began before they came: it says nothing about them.
        end.send(Ok(())).expect("the first look ends");
        assert_eq!(first.await.expect("the first read"), Ok(()));
        end.send(Err(StoreError::Deposed)).expect("the second look ends");
        for read in later {
            assert_eq!(read.await.expect("a later read"), Err(StoreError::Deposed));
        }
        assert_eq!(begins.try_iter().count(), 1, "eight reads share one look");
        // What one look found says nothing about the next.
        end.send(Ok(())).expect("the third look ends");
        assert_eq!(barrier.pass().await, Ok(()));
        assert_eq!(begins.recv_timeout(Duration::ZERO), Ok(()));
    }
}
