//! The barrier of linearizable reads: where several daemons may commit, a read is answered from a view that was taken
//! after a look which began after the read arrived, and which confirmed that nobody else has committed.
//!
//! One look is under way at a time, on a thread of its own. Those that come meanwhile share the next one, so a look costs a
//! round trip for many reads. No clock and no lease is asked: a daemon that was paused or cut off can not answer from
//! the past.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use enroll_core::state::{Store, StoreError};
use tokio::sync::{mpsc, watch};

use crate::linger::Linger;
use crate::metrics::Histogram;

/// See the module. Its thread ends with it.
pub struct Barrier {
    arrivals: Arc<Arrivals>,
    looks: watch::Receiver<Look>,
}

/// The reads that have arrived.
#[derive(Default)]
struct Arrivals {
    counted: Mutex<Counted>,
    /// Enough of them are there for a look, or no more come.
    enough: Condvar,
}

#[derive(Default)]
struct Counted {
    arrived: u64,
    /// How many the next look waits for.
    wanted: u64,
    is_closed: bool,
}

/// The looks of a barrier without a thread. Somebody else takes them, one step after another.
pub struct Looks {
    arrivals: Arc<Arrivals>,
    /// The last look began after so many reads had arrived.
    covered: u64,
    shown: watch::Sender<Look>,
}

/// A look that has ended.
struct Look {
    /// It began after so many reads had arrived.
    covers: u64,
    outcome: Result<(), StoreError>,
}

impl Barrier {
    /// The barrier of this store, which counts the times of its looks here; none where nobody else may commit. To be called on
    /// the runtime of the reads.
    pub fn of(store: Arc<dyn Store>, times: &Histogram) -> io::Result<Option<Arc<Self>>> {
        if !store.is_shared() {
            return Ok(None);
        }
        let (shown, looks) = watch::channel(Look { covers: 0, outcome: Ok(()) });
        let (ended, mut looked) = mpsc::unbounded_channel();
        let arrivals = Arc::<Arrivals>::default();
        let (arriving, times) = (Arc::clone(&arrivals), times.clone());
        let look = move || {
            let began = Instant::now();
            let outcome = store.confirm();
            times.observe(began.elapsed().as_secs_f64());
            outcome
        };
        thread::Builder::new().name("looks".to_owned()).spawn(move || arriving.look_for_each(look, &ended))?;
        // Shown on the runtime of the reads: there one wake from another thread is enough for all of them.
        tokio::spawn(async move {
            while let Some(look) = looked.recv().await {
                shown.send_replace(look);
            }
        });
        Ok(Some(Arc::new(Self { arrivals, looks })))
    }

    /// A barrier without a thread, and its looks.
    pub fn without_thread() -> (Arc<Self>, Looks) {
        let (shown, looks) = watch::channel(Look { covers: 0, outcome: Ok(()) });
        let arrivals = Arc::<Arrivals>::default();
        (Arc::new(Self { arrivals: Arc::clone(&arrivals), looks }), Looks { arrivals, covered: 0, shown })
    }

    /// Waits for a look that begins after this call, and returns its outcome.
    pub(super) async fn pass(&self) -> Result<(), StoreError> {
        let place = self.arrivals.add();
        let mut looks = self.looks.clone();
        let look = looks.wait_for(|look| look.covers >= place).await;
        look.map_or(Err(StoreError::Closed("the look at other daemons")), |look| look.outcome.clone())
    }
}

impl Drop for Barrier {
    fn drop(&mut self) {
        self.arrivals.counted().is_closed = true;
        self.arrivals.enough.notify_one();
    }
}

impl Looks {
    /// True if a read waits for a look that begins later.
    pub fn are_due(&self) -> bool {
        self.arrivals.counted().arrived > self.covered
    }

    /// Begins a look, for all reads that have arrived.
    pub fn begin(&mut self) {
        self.covered = self.arrivals.counted().arrived;
    }

    /// Ends the look that was begun last.
    pub fn end(&self, outcome: Result<(), StoreError>) {
        self.shown.send_replace(Look { covers: self.covered, outcome });
    }
}

impl Arrivals {
    /// Adds one, and returns how many have arrived with it.
    fn add(&self) -> u64 {
        let mut counted = self.counted();
        counted.arrived += 1;
        if counted.arrived >= counted.wanted {
            self.enough.notify_one();
        }
        counted.arrived
    }

    /// One look after another, each for all that have arrived before it.
    fn look_for_each(&self, look: impl Fn() -> Result<(), StoreError>, ended: &mpsc::UnboundedSender<Look>) {
        let (mut linger, mut covered) = (Linger::default(), 0);
        while let Some(covers) = self.next(&linger, covered) {
            let began = Instant::now();
            let outcome = look();
            let answered = covers - covered;
            covered = covers;
            linger = Linger::after(began, answered, self.counted().arrived - covered);
            // Nobody waits any more where the runtime has ended.
            let _ = ended.send(Look { covers, outcome });
        }
    }

    /// Waits for a read beyond those that are covered, and then for those that are expected soon. Returns how many have
    /// arrived; `None` once no more come.
    fn next(&self, linger: &Linger, covered: u64) -> Option<u64> {
        let mut counted = self.counted();
        counted.wanted = covered + 1;
        while counted.arrived == covered && !counted.is_closed {
            counted = self.enough.wait(counted).unwrap_or_else(PoisonError::into_inner);
        }
        counted.wanted = covered + linger.expected;
        while counted.arrived < counted.wanted && !counted.is_closed {
            let Some(left) = linger.left() else { break };
            (counted, _) = self.enough.wait_timeout(counted, left).unwrap_or_else(PoisonError::into_inner);
        }
        counted.wanted = u64::MAX;
        (!counted.is_closed).then_some(counted.arrived)
    }

    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
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
        ends: Mutex<mpsc::Receiver<Result<(), StoreError>>>,
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
        (Arc::new(Looked { begun, ends: Mutex::new(ends), is_shared }), begins, end)
    }

    async fn until_arrived(barrier: &Barrier, count: u64) {
        while barrier.arrivals.counted().arrived < count {
            tokio::task::yield_now().await;
        }
    }

    #[test]
    fn a_store_of_one_daemon_has_no_barrier() {
        assert!(Barrier::of(store(false).0, &times()).expect("a barrier").is_none());
    }

    #[tokio::test]
    async fn a_look_without_a_thread_is_for_those_that_came_before_it() {
        let (barrier, mut looks) = Barrier::without_thread();
        let pass = || {
            let barrier = Arc::clone(&barrier);
            tokio::spawn(async move { barrier.pass().await })
        };
        assert!(!looks.are_due());
        let first = pass();
        until_arrived(&barrier, 1).await;
        assert!(looks.are_due());
        looks.begin();
        let later = pass();
        until_arrived(&barrier, 2).await;
        looks.end(Ok(()));
        assert_eq!(first.await.expect("the first read"), Ok(()));
        assert!(looks.are_due() && !later.is_finished(), "the first look began before the later one came");
        looks.begin();
        looks.end(Err(StoreError::Deposed));
        assert_eq!(later.await.expect("the later read"), Err(StoreError::Deposed));
        assert!(!looks.are_due());
    }

    #[tokio::test]
    async fn reads_that_come_during_a_look_share_the_next_one() {
        let (store, begins, end) = store(true);
        let barrier = Barrier::of(store, &times()).expect("a thread").expect("a barrier");
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
