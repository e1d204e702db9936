//! Fair queueing of sessions over uids. The connections of one uid share a lane, which is one task of the runtime. Lanes
//! take turns round-robin, and within a lane its connections do; so many connections of one uid cost another uid no more
//! than one of them would.
//!
//! - A lane has everything that its connections do from their first byte to their end: the hello, requests, reads,
//!   streams, and the closing of the socket.
//! - A turn is bounded in time, not in work. A connection asks whether the turn is over between two requests.
//! - After its turn a lane goes behind all lanes that are ready by then. Every few turns the runtime looks at the sockets
//!   as well: at each turn that system call would cost as much as a third of a request.
//! - Where the runtime has several threads, a uid has as many lanes: alone, it may use all of them.

use std::collections::hash_map::{Entry, HashMap};
use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use enroll_core::fault::Fault;
use tokio::task::{unconstrained, yield_now};
use tokio::time::Instant;

/// The length of a turn. What was begun in it is finished, so a turn may take longer by one request.
pub(super) const TURN: Duration = Duration::from_micros(50);

/// Turns of a lane after which the runtime looks at the sockets.
const SOCKETS_TURNS: u32 = 4;

/// A session from its first byte to its end, or the task of a lane.
pub(super) type Session = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The lanes of all uids.
pub(super) struct Turns {
    /// Lanes of each uid.
    width: u64,
    lanes: Mutex<BTreeMap<LaneId, Arc<Lane>>>,
}

/// A uid, and which of its lanes.
type LaneId = (u32, u64);

/// The queue of one lane, which wakers and sessions share with its task.
struct Lane {
    waiting: Mutex<Waiting>,
    /// The end of the turn, in nanoseconds since `epoch`.
    turn_end: AtomicU64,
    epoch: Instant,
}

#[derive(Default)]
struct Waiting {
    /// Sessions that have work, in the order of their turns.
    ready: VecDeque<u64>,
    /// Sessions that the task does not have yet.
    arrived: Vec<(u64, Session)>,
    /// Sessions that have not ended.
    open: usize,
    /// Wakes the task, if it waits.
    task: Option<Waker>,
}

/// The turn of the session that runs.
#[derive(Clone)]
pub(super) struct Turn(Arc<Lane>);

/// The task of a lane.
struct LaneTask {
    lane: Arc<Lane>,
    sessions: HashMap<u64, (Session, Arc<Ready>, Waker)>,
}

/// Puts one session into its lane's queue when something wakes it.
struct Ready {
    lane: Arc<Lane>,
    number: u64,
    is_queued: AtomicBool,
}

impl Turns {
    /// No lane yet; there will be so many for each uid.
    pub(super) fn new(width: usize) -> Arc<Self> {
        Arc::new(Self { width: width.max(1) as u64, lanes: Mutex::default() })
    }

    /// Adds a session, made with its turn, to a lane of this uid. `number` tells it from all others. Where the lane is
    /// new, its task is answered, and is to be spawned.
    pub(super) fn add(
        self: &Arc<Self>,
        uid: u32,
        number: u64,
        session: impl FnOnce(Turn) -> Session,
    ) -> Option<Session> {
        let id = (uid, number % self.width);
        let mut lanes = locked(&self.lanes);
        let is_new = !lanes.contains_key(&id);
        let lane = Arc::clone(lanes.entry(id).or_insert_with(|| Arc::new(Lane::new())));
        lane.arrive(number, session(Turn(Arc::clone(&lane))));
        drop(lanes);
        let turns = Arc::clone(self);
        let run = || unconstrained(run(turns, id, LaneTask { lane, sessions: HashMap::new() }));
        is_new.then(|| Box::pin(run()) as Session)
    }

    /// Forgets a lane that has no session; false if it has one again.
    fn forget(&self, id: LaneId, lane: &Lane) -> bool {
        let mut lanes = locked(&self.lanes);
        let is_empty = locked(&lane.waiting).open == 0;
        if is_empty {
            lanes.remove(&id);
        }
        is_empty
    }
}

impl Turn {
    /// The moment from which the turn is over.
    pub(super) fn end(&self) -> Instant {
        self.0.epoch + Duration::from_nanos(self.0.turn_end.load(Ordering::Relaxed))
    }

    /// Waits for the session's next turn, if this one is over.
    pub(super) async fn wait(&self) {
        if Instant::now() >= self.end() {
            self.next().await;
        }
    }

    /// Ends the session's part of this turn: the other connections of its lane, and the other lanes, come first.
    pub(super) async fn next(&self) {
        go_behind().await;
    }
}

/// Goes behind all that is ready in the queue of the same waker.
async fn go_behind() {
    let mut has_waited = false;
    poll_fn(|context| {
        if std::mem::replace(&mut has_waited, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Runs a lane until it has no session.
async fn run(turns: Arc<Turns>, id: LaneId, mut task: LaneTask) {
    let mut count = 0_u32;
    loop {
        while poll_fn(|context| task.take_turn(context)).await {
            count = count.wrapping_add(1);
            match count % SOCKETS_TURNS {
                // The runtime's own pause has it look at the sockets.
                0 => yield_now().await,
                _ => go_behind().await,
            }
        }
        if turns.forget(id, &task.lane) {
            return;
        }
    }
}

impl LaneTask {
    /// Polls sessions that have work until the turn is over: ready with true if there are more, with false once no
    /// session is left.
    fn take_turn(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        let end = self.lane.begin_turn();
        loop {
            let next = {
                let mut waiting = locked(&self.lane.waiting);
                for (number, session) in waiting.arrived.drain(..) {
                    let ready =
                        Arc::new(Ready { lane: Arc::clone(&self.lane), number, is_queued: AtomicBool::new(true) });
                    let waker = Waker::from(Arc::clone(&ready));
                    self.sessions.insert(number, (session, ready, waker));
                }
                match waiting.ready.pop_front() {
                    Some(next) => next,
                    None if waiting.open == 0 => return Poll::Ready(false),
                    None => {
                        waiting.task = Some(context.waker().clone());
                        return Poll::Pending;
                    }
                }
            };
            self.poll_session(next);
            if Instant::now() >= end {
                return Poll::Ready(true);
            }
        }
    }

    fn poll_session(&mut self, number: u64) {
        let Entry::Occupied(mut entry) = self.sessions.entry(number) else { return };
        let (session, ready, waker) = entry.get_mut();
        // Before the poll: what happens meanwhile wakes it again.
        ready.is_queued.store(false, Ordering::Release);
        let polled = catch_unwind(AssertUnwindSafe(|| session.as_mut().poll(&mut Context::from_waker(waker))));
        if let Err(panic) = &polled {
            let fault = Fault::of_panic(&**panic);
            tracing::error!(%fault, "a connection is closed: its session failed");
        }
        if !matches!(polled, Ok(Poll::Pending)) {
            drop(entry.remove());
            locked(&self.lane.waiting).open -= 1;
        }
    }
}

impl Lane {
    fn new() -> Self {
        Self { waiting: Mutex::default(), turn_end: AtomicU64::new(0), epoch: Instant::now() }
    }

    fn begin_turn(&self) -> Instant {
        let end = Instant::now() + TURN;
        let nanoseconds = u64::try_from((end - self.epoch).as_nanos()).unwrap_or(u64::MAX);
        self.turn_end.store(nanoseconds, Ordering::Relaxed);
        end
    }

    fn arrive(&self, number: u64, session: Session) {
        let mut waiting = locked(&self.waiting);
        waiting.open += 1;
        waiting.arrived.push((number, session));
        waiting.ready.push_back(number);
        wake(waiting);
    }
}

impl Wake for Ready {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_queued.swap(true, Ordering::AcqRel) {
            let mut waiting = locked(&self.lane.waiting);
            waiting.ready.push_back(self.number);
            wake(waiting);
        }
    }
}

/// Wakes the task of a lane after its queue was left.
fn wake(mut waiting: MutexGuard<'_, Waiting>) {
    let task = waiting.task.take();
    drop(waiting);
    if let Some(task) = task {
        task.wake();
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use tokio::task::JoinSet;

    use super::*;

    /// Sessions that use up so many turns each, and note their uid after each turn.
    async fn run_all(sessions: &[(u32, usize)]) -> Vec<u32> {
        let (turns, noted, mut lanes) = (Turns::new(1), Arc::new(Mutex::new(Vec::new())), JoinSet::new());
        for (number, (uid, count)) in (0..).zip(sessions.iter().copied()) {
            let noted = Arc::clone(&noted);
            let session = move |turn: Turn| async move {
                for _ in 0..count {
                    while Instant::now() < turn.end() {
                        std::hint::spin_loop();
                    }
                    locked(&noted).push(uid);
                    turn.wait().await;
                }
            };
            if let Some(lane) = turns.add(uid, number, |turn| Box::pin(session(turn))) {
                lanes.spawn(lane);
            }
        }
        while lanes.join_next().await.is_some() {}
        assert!(locked(&turns.lanes).is_empty(), "nothing is remembered of a uid that has left");
        std::mem::take(&mut *locked(&noted))
    }

    #[tokio::test]
    async fn a_uid_with_many_connections_has_one_turn_where_another_has_one() {
        let mut sessions = vec![(7, 4); 50];
        sessions.push((8, 10));
        let noted = run_all(&sessions).await;
        let last = noted.iter().rposition(|uid| *uid == 8).expect("it had turns");
        assert!(last <= 21, "its ten turns were over after {last}: {noted:?}");
        assert_eq!(noted.len(), 210);
    }

    #[tokio::test]
    async fn connections_of_one_uid_take_turns_among_themselves() {
        let order = Arc::new(Mutex::new(Vec::new()));
        let (turns, mut lanes) = (Turns::new(1), JoinSet::new());
        for number in 0..3 {
            let order = Arc::clone(&order);
            let session = move |turn: Turn| async move {
                for _ in 0..3 {
                    locked(&order).push(number);
                    turn.next().await;
                }
            };
            turns.add(7, number, |turn| Box::pin(session(turn))).map(|lane| lanes.spawn(lane));
        }
        while lanes.join_next().await.is_some() {}
        assert_eq!(*locked(&order), [0, 1, 2, 0, 1, 2, 0, 1, 2]);
    }

    #[tokio::test]
    async fn a_session_that_fails_ends_alone() {
        let (turns, mut lanes) = (Turns::new(1), JoinSet::new());
        let ended = Arc::new(AtomicBool::new(false));
        let failing = turns.add(7, 1, |_| Box::pin(async { panic!("by the test") }));
        lanes.spawn(failing.expect("a new lane"));
        let ends = Arc::clone(&ended);
        let joined = turns.add(7, 2, |turn| {
            Box::pin(async move {
                turn.next().await;
                ends.store(true, Ordering::Relaxed);
            })
        });
        assert!(joined.is_none(), "it has the lane of its uid");
        while lanes.join_next().await.is_some() {}
        assert!(ended.load(Ordering::Relaxed));
    }
}
