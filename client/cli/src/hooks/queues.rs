//! The queues of a runner: changes of one key wait for each other, and those of different keys run at the same time.
//!
//! A batch that failed stays at the head of its queue until it is done, given up or skipped, so nothing of its key
//! overtakes it.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use enroll_client::protocol::Pk;
use enroll_client::protocol::changes::Change;

use super::position::Stuck;

const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(60);

/// The key of a queue; `None` for changes without one.
pub(super) type QueueKey = Option<Pk>;

/// Queues by key.
#[derive(Debug)]
pub(super) struct Queues {
    parallel: usize,
    batch: usize,
    queues: BTreeMap<QueueKey, Queue>,
    /// Changes at which an earlier runner was stuck and that have not been tried here.
    known: Vec<Stuck>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Change>,
    /// The changes of the command that runs, or that failed.
    batch: Vec<Change>,
    failures: Option<Failures>,
    state: State,
}

#[derive(Debug)]
struct Failures {
    tries: u32,
    since: String,
    why: String,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Ready,
    Running,
    /// It is tried again at this time.
    Until(Instant),
}

/// The standing of a change that is to be skipped.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ToSkip {
    /// Its command runs just now.
    Runs,
    /// It has not failed.
    NotStuck,
    /// It was taken out. Its failures.
    Taken(Stuck),
}

impl Queues {
    /// Empty ones. So many commands run at the same time, each for so many changes at most.
    pub(super) fn new(parallel: usize, batch: usize, known: Vec<Stuck>) -> Self {
        Self { parallel, batch, queues: BTreeMap::new(), known }
    }

    /// Changes that wait or run.
    pub(super) fn len(&self) -> usize {
        self.queues.values().map(|queue| queue.waiting.len() + queue.batch.len()).sum()
    }

    /// Commands that run.
    pub(super) fn running(&self) -> usize {
        self.queues.values().filter(|queue| queue.state == State::Running).count()
    }

    /// Adds a change behind those of its key.
    pub(super) fn push(&mut self, key: QueueKey, change: Change) {
        self.queues.entry(key).or_default().waiting.push_back(change);
    }

    /// The next batch to run: of the queues that may run the one with the oldest change. `None` if nothing may run now.
    pub(super) fn begin(&mut self, now: Instant) -> Option<(QueueKey, Vec<Change>)> {
        if self.running() >= self.parallel {
            return None;
        }
        let ready = self.queues.iter().filter(|(_, queue)| queue.is_ready(now));
        let (key, _) = ready.min_by_key(|(_, queue)| queue.first())?;
        let key = *key;
        let queue = self.queues.get_mut(&key)?;
        queue.state = State::Running;
        if queue.batch.is_empty() {
            let count = self.batch.min(queue.waiting.len());
            queue.batch = queue.waiting.drain(..count).collect();
            let first = queue.first();
            if let Some(at) = self.known.iter().position(|stuck| Some(stuck.seq) == first) {
                let Stuck { tries, since, why, .. } = self.known.remove(at);
                queue.failures = Some(Failures { tries, since, why });
            }
        }
        Some((key, queue.batch.clone()))
    }

    /// The batch that ran.
    pub(super) fn batch(&self, key: QueueKey) -> Vec<Change> {
        self.queues.get(&key).map(|queue| queue.batch.clone()).unwrap_or_default()
    }

    /// Takes out the batch that ran: it is done, or given up.
    pub(super) fn take(&mut self, key: QueueKey) -> Vec<Change> {
        let Some(queue) = self.queues.get_mut(&key) else { return Vec::new() };
        (queue.failures, queue.state) = (None, State::Ready);
        let batch = std::mem::take(&mut queue.batch);
        if queue.waiting.is_empty() {
            self.queues.remove(&key);
        }
        batch
    }

    /// Counts a failure of the batch that ran, and has it run again after a while. Returns the number of tries and that
    /// while: a second, doubling to a minute, times `jitter`.
    pub(super) fn fail(&mut self, key: QueueKey, why: &str, now: (Instant, String), jitter: f64) -> (u32, Duration) {
        let Some(queue) = self.queues.get_mut(&key) else { return (0, Duration::ZERO) };
        let (now, at) = now;
        let failures = queue.failures.get_or_insert(Failures { tries: 0, since: at, why: String::new() });
        failures.tries = failures.tries.saturating_add(1);
        why.clone_into(&mut failures.why);
        let doublings = (failures.tries - 1).min(10);
        let wait = RETRY_FIRST.saturating_mul(1 << doublings).min(RETRY_MAX).mul_f64(jitter);
        queue.state = State::Until(now + wait);
        (failures.tries, wait)
    }

    /// Has a batch whose command was ended by the runner itself wait, without counting a failure.
    pub(super) fn put_back(&mut self, key: QueueKey) {
        if let Some(queue) = self.queues.get_mut(&key) {
            queue.state = State::Ready;
        }
    }

    /// Takes one change out of a batch that failed. The rest of it is tried again at once.
    pub(super) fn skip(&mut self, seq: u64) -> ToSkip {
        let of = |queue: &Queue| queue.batch.iter().position(|change| change.seq == seq);
        let Some((key, at)) = self.queues.iter().find_map(|(key, queue)| Some((*key, of(queue)?))) else {
            return ToSkip::NotStuck;
        };
        let Some(queue) = self.queues.get_mut(&key) else { return ToSkip::NotStuck };
        if queue.state == State::Running {
            return ToSkip::Runs;
        }
        let Some(stuck) = queue.stuck() else { return ToSkip::NotStuck };
        queue.batch.remove(at);
        (queue.failures, queue.state) = (None, State::Ready);
        if queue.batch.is_empty() && queue.waiting.is_empty() {
            self.queues.remove(&key);
        }
        ToSkip::Taken(Stuck { seq, last: seq, ..stuck })
    }

    /// The batches that failed, oldest first, and those that another runner was stuck at.
    pub(super) fn stuck(&self) -> Vec<Stuck> {
        let mut stuck: Vec<Stuck> = self.queues.values().filter_map(Queue::stuck).collect();
        stuck.extend(self.known.iter().cloned());
        stuck.sort_by_key(|stuck| stuck.seq);
        stuck
    }

    /// Forgets what another runner was stuck at, where that is passed.
    pub(super) fn forget(&mut self, is_passed: impl Fn(u64) -> bool) {
        self.known.retain(|stuck| !is_passed(stuck.seq));
    }

    /// The time of the next retry.
    pub(super) fn next_retry(&self) -> Option<Instant> {
        let times = self.queues.values().filter_map(|queue| match queue.state {
            State::Until(at) => Some(at),
            State::Ready | State::Running => None,
        });
        times.min()
    }
}

impl Queue {
    fn first(&self) -> Option<u64> {
        self.batch.first().or(self.waiting.front()).map(|change| change.seq)
    }

    fn is_ready(&self, now: Instant) -> bool {
        self.first().is_some()
            && match self.state {
                State::Ready => true,
                State::Running => false,
                State::Until(at) => at <= now,
            }
    }

    fn stuck(&self) -> Option<Stuck> {
        let failures = self.failures.as_ref()?;
        let (first, last) = (self.batch.first()?.seq, self.batch.last()?.seq);
        let Failures { tries, since, why } = failures;
        Some(Stuck { seq: first, last, tries: *tries, since: since.clone(), why: why.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::super::subjects::tests::change;
    use super::*;

    fn key(byte: u8) -> QueueKey {
        Some(Pk::from_bytes([byte; 16]))
    }

    fn seqs(batch: Option<(QueueKey, Vec<Change>)>) -> Vec<u64> {
        batch.into_iter().flat_map(|(_, batch)| batch).map(|change| change.seq).collect()
    }

    /// Queues in which these changes wait, by the byte of their key.
    fn queues(parallel: usize, batch: usize, waiting: &[(u8, u64)]) -> Queues {
        let mut queues = Queues::new(parallel, batch, Vec::new());
        for (byte, seq) in waiting {
            queues.push(key(*byte), change(*seq, "token.use", &[]));
        }
        queues
    }

    #[test]
    fn one_key_waits_for_itself_and_not_for_others() {
        let now = Instant::now();
        let mut queues = queues(3, 1, &[(1, 1), (1, 2), (2, 3), (3, 4), (4, 5)]);
        assert_eq!([(); 4].map(|()| seqs(queues.begin(now))), [vec![1], vec![3], vec![4], vec![]]);
        assert_eq!(queues.take(key(1)).len(), 1);
        assert_eq!([(); 2].map(|()| seqs(queues.begin(now))), [vec![2], vec![]]);
        assert_eq!(queues.len(), 4);
    }

    #[test]
    fn a_failed_batch_stays_in_front_and_is_tried_later_and_later() {
        let now = Instant::now();
        let mut queues = queues(1, 2, &[(1, 1), (1, 2), (1, 3)]);
        for (tries, seconds) in [(1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 32), (7, 60), (8, 60)] {
            assert_eq!(seqs(queues.begin(now + Duration::from_secs(1000))), [1, 2]);
            let failed = queues.fail(key(1), "no", (now + Duration::from_secs(1000), "then".to_owned()), 1.0);
            assert_eq!(failed, (tries, Duration::from_secs(seconds)));
            queues.push(key(1), change(100 + u64::from(tries), "token.use", &[]));
            let before = now + Duration::from_secs(1000 + seconds) - Duration::from_millis(1);
            assert_eq!(seqs(queues.begin(before)), [0; 0]);
            queues.queues.get_mut(&key(1)).expect("a queue").state = State::Ready;
        }
        assert_eq!(queues.stuck(), [Stuck { seq: 1, last: 2, tries: 8, since: "then".into(), why: "no".into() }]);
    }

    #[test]
    fn only_what_failed_and_does_not_run_is_skipped() {
        let now = Instant::now();
        let mut queues = queues(1, 2, &[(1, 1), (1, 2), (1, 3)]);
        assert_eq!(queues.skip(1), ToSkip::NotStuck);
        queues.begin(now);
        assert_eq!(queues.skip(2), ToSkip::Runs);
        queues.fail(key(1), "no", (now, "then".to_owned()), 1.0);
        assert_eq!(queues.skip(3), ToSkip::NotStuck, "it waits behind");
        let ToSkip::Taken(stuck) = queues.skip(2) else { panic!("it is stuck") };
        assert_eq!((stuck.seq, stuck.tries), (2, 1));
        assert_eq!(seqs(queues.begin(now)), [1], "the rest of the batch, at once");
    }

    #[test]
    fn tries_are_counted_across_runners() {
        let stuck = |seq, tries| Stuck { seq, last: seq, tries, since: "then".to_owned(), why: "no".to_owned() };
        let mut queues = Queues::new(1, 1, vec![stuck(5, 7), stuck(3, 1)]);
        queues.forget(|seq| seq == 3);
        queues.push(None, change(5, "token.use", &[]));
        assert_eq!(queues.stuck(), [stuck(5, 7)]);
        let now = Instant::now();
        queues.begin(now);
        assert_eq!(queues.stuck(), [stuck(5, 7)]);
        assert_eq!(queues.fail(None, "still", (now, "now".to_owned()), 1.0).0, 8);
    }
}
