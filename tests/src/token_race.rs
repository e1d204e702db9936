//! A race for tokens by clients of all hosts of a cluster, which write and read at any of them: what was answered must fit
//! into one order whatever happens to the hosts meanwhile.
//!
//! A write that is refused as busy was not done, and is sent to another host. One without an answer is sent again under its
//! idempotency key, to whatever host answers, or stays open: then it may have been done at any time. Use number and audit
//! tell which use was the first.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use enroll_protocol::{Code, Envelope, Key, Pk, Refusal, codec, token};
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::linearizability::{Answer, Call, History, Operation, State};
use crate::poll::RaisedAtEnd;
use crate::socket::Socket;

/// Tokens that are raced for at one time.
const WINDOW: usize = 2;

/// Calls after which the window moves on.
const CALLS_EACH: u64 = 12;

/// Calls of a token that are recorded, at most; the last ones are left to the end of the race.
const CALLS_MAX: usize = 56;

/// The longest wait for one answer.
const WAIT: Duration = Duration::from_millis(1500);

/// The longest time for which a write is sent again.
const PATIENCE: Duration = Duration::from_secs(20);

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(10);

/// See the module.
pub struct Race {
    sockets: Vec<PathBuf>,
    next_call: AtomicU64,
    /// Counts every call and every answer.
    next_moment: AtomicU64,
    is_over: AtomicBool,
    /// The host that answered the latest write.
    leads: AtomicU64,
    seen: Mutex<BTreeMap<usize, Vec<Operation>>>,
    acknowledged: Mutex<Vec<Instant>>,
}

/// The figures of a race.
#[derive(Debug)]
pub struct Tally {
    /// Tokens that were raced for.
    pub histories: usize,
    /// Calls that were recorded.
    pub calls: usize,
    /// Uses that were never answered.
    pub open: usize,
    /// Calls with an answer, by host.
    pub reads: usize,
}

impl Race {
    /// A race at these sockets.
    pub fn at(sockets: Vec<PathBuf>) -> Self {
        Self {
            sockets,
            next_call: AtomicU64::new(0),
            next_moment: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
            leads: AtomicU64::new(0),
            seen: Mutex::default(),
            acknowledged: Mutex::default(),
        }
    }

    /// Lets so many clients race until this is done. Panics with a history that fits into no order.
    pub fn run<T>(&self, clients: usize, seed: u64, meanwhile: impl FnOnce() -> T) -> (T, Tally) {
        self.try_run(clients, seed, meanwhile).unwrap_or_else(|why| panic!("{why}"))
    }

    /// The same; a history that fits into no order is an error.
    pub fn try_run<T>(&self, clients: usize, seed: u64, meanwhile: impl FnOnce() -> T) -> Result<(T, Tally), String> {
        let done = std::thread::scope(|scope| {
            let _end = RaisedAtEnd(&self.is_over);
            for client in 0..clients {
                let random = SmallRng::seed_from_u64(seed ^ (client as u64 + 1) << 32);
                scope.spawn(move || Client::new(self, client, random).run());
            }
            meanwhile()
        });
        Ok((done, self.judge()?))
    }

    /// When writes were acknowledged, in their order.
    pub fn acknowledged(&self) -> Vec<Instant> {
        let mut acknowledged = self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).clone();
        acknowledged.sort_unstable();
        acknowledged
    }

    /// Calls that were begun so far.
    pub fn calls(&self) -> u64 {
        self.next_call.load(Ordering::SeqCst)
    }

    /// Writes that were acknowledged so far.
    pub fn acknowledged_count(&self) -> usize {
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// The longest time without an acknowledged write that lies at least partly between these.
    pub fn longest_gap(&self, from: Instant, to: Instant) -> Duration {
        let acknowledged = self.acknowledged();
        let gaps = acknowledged.windows(2).filter(|gap| gap[1] > from && gap[0] < to);
        gaps.map(|gap| gap[1] - gap[0]).max().unwrap_or(Duration::MAX)
    }

    /// Waits until a write is acknowledged that was sent after now.
    pub fn await_progress(&self, longest: Duration) {
        let before = self.acknowledged_count();
        // The first ones may have been under way.
        crate::poll::until_within(longest, "acknowledged writes", || self.acknowledged_count() > before + 100);
    }

    fn judge(&self) -> Result<Tally, String> {
        let seen = std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner));
        let mut random = SmallRng::seed_from_u64(0);
        let mut reader = Client::new(self, usize::MAX, random.clone());
        let mut tally = Tally { histories: seen.len(), calls: 0, open: 0, reads: 0 };
        let total = seen.len();
        for (at, (token, mut operations)) in seen.into_iter().enumerate() {
            // The state in the end is a part of the history; of a long race it is asked for in samples.
            if total < 500 || at % (total / 500) == 0 {
                let host = random.random_range(0..self.sockets.len());
                let called = self.moment();
                if let Some(answer) = reader.look(host, token) {
                    let answered = Some((self.moment(), answer));
                    operations.push(Operation { client: usize::MAX, called, call: Call::Get, answered });
                }
            }
            tally.calls += operations.len();
            tally.open += operations.iter().filter(|operation| operation.answered.is_none()).count();
            tally.reads += operations.iter().filter(|operation| operation.call == Call::Get).count();
            let history = History { begins: State::Unused, operations };
            if !history.is_linearizable() {
                return Err(format!("what was answered about token {token} fits into no order:\n{history}"));
            }
        }
        Ok(tally)
    }

    fn moment(&self) -> u64 {
        self.next_moment.fetch_add(1, Ordering::SeqCst)
    }
}

/// A client that is connected to every host it has asked.
struct Client<'a> {
    race: &'a Race,
    number: usize,
    random: SmallRng,
    lines: Vec<Option<Socket>>,
}

/// The end of one attempt.
enum Attempt<T> {
    Answered(Result<T, Refusal>),
    /// Nobody knows.
    Lost,
    /// It was not done: nobody took it.
    NotSent,
}

impl<'a> Client<'a> {
    fn new(race: &'a Race, number: usize, random: SmallRng) -> Self {
        let lines = race.sockets.iter().map(|_| None).collect();
        Self { race, number, random, lines }
    }

    fn run(mut self) {
        while !self.race.is_over.load(Ordering::SeqCst) {
            let call = self.race.next_call.fetch_add(1, Ordering::SeqCst);
            let token = usize::try_from(call / CALLS_EACH).expect("a number") + self.random.random_range(0..WINDOW);
            let (called, is_use) = (self.race.moment(), self.random.random_bool(0.4));
            let operation = if is_use {
                let answered = self.use_token(token, call).map(|answer| (self.race.moment(), answer));
                Operation { client: self.number, called, call: Call::Use(call), answered }
            } else {
                let host = self.random.random_range(0..self.lines.len());
                let Some(answer) = self.look(host, token) else { continue };
                let answered = Some((self.race.moment(), answer));
                Operation { client: self.number, called, call: Call::Get, answered }
            };
            let mut seen = self.race.seen.lock().unwrap_or_else(PoisonError::into_inner);
            let operations = seen.entry(token).or_default();
            // A use that is not recorded could be seen, so only looks may be left out.
            if operations.len() < CALLS_MAX || operation.call != Call::Get {
                operations.push(operation);
            }
        }
    }

    /// Uses a token at whichever host takes it.
    fn use_token(&mut self, token: usize, by: u64) -> Option<Answer> {
        let audit = Some(format!("{{\"by\":{by}}}").parse().expect("JSON"));
        let using = token::Use { audit, ..token::Use::new(name(token)) };
        let envelope = Envelope { key: Some(Key(Pk::from_bytes(self.random.random()))), ..Envelope::default() };
        let begun = Instant::now();
        let mut host = match self.random.random_bool(0.5) {
            true => usize::try_from(self.race.leads.load(Ordering::SeqCst)).expect("a host"),
            false => self.random.random_range(0..self.lines.len()),
        };
        let mut was_sent = false;
        loop {
            match self.attempt(host, &envelope, &using) {
                Attempt::Answered(Ok(_)) => return Some(self.acknowledge(host, Answer::Done)),
                Attempt::Answered(Err(refusal)) if refusal.code == Code::TOKEN_REUSE => {
                    return Some(self.acknowledge(host, Answer::Reuse));
                }
                Attempt::Answered(Err(refusal)) => {
                    let is_passing = [Code::BUSY, Code::OUTCOME_UNKNOWN, Code::SHUTTING_DOWN, Code::UNAVAILABLE];
                    assert!(is_passing.contains(&refusal.code), "use of token {token}: {refusal:?}");
                    was_sent |= refusal.code == Code::OUTCOME_UNKNOWN;
                }
                Attempt::Lost => was_sent = true,
                Attempt::NotSent => {}
            }
            // Some give up though they do not know. So do all when the race is over.
            let gives_up = self.random.random_bool(0.05) || self.race.is_over.load(Ordering::SeqCst);
            if was_sent && gives_up || begun.elapsed() > PATIENCE {
                return None;
            }
            if !was_sent && self.race.is_over.load(Ordering::SeqCst) {
                return None;
            }
            host = (host + 1) % self.lines.len();
            std::thread::sleep(PAUSE);
        }
    }

    fn acknowledge(&self, host: usize, answer: Answer) -> Answer {
        self.race.leads.store(host as u64, Ordering::SeqCst);
        self.race.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).push(Instant::now());
        answer
    }

    /// The state of a token at this host, if it tells.
    fn look(&mut self, host: usize, token: usize) -> Option<Answer> {
        match self.attempt(host, &Envelope::default(), &token::Get { token: name(token) }) {
            Attempt::Answered(Ok(spent)) => {
                let audit = serde_json::to_value(spent.audit?).ok()?;
                Some(Answer::Is(State::Used(audit["by"].as_u64()?)))
            }
            Attempt::Answered(Err(refusal)) if refusal.code == Code::NOT_FOUND => Some(Answer::Is(State::Unused)),
            Attempt::Answered(Err(_)) | Attempt::Lost | Attempt::NotSent => None,
        }
    }

    fn attempt<O: enroll_protocol::Operation>(
        &mut self,
        host: usize,
        envelope: &Envelope,
        operation: &O,
    ) -> Attempt<O::Reply> {
        let line = match self.lines[host].take() {
            Some(line) => Some(line),
            None => Socket::try_connect(&self.race.sockets[host], WAIT),
        };
        let Some(mut line) = line else { return Attempt::NotSent };
        let mut bytes = Vec::new();
        let id = line.frame(&mut bytes, envelope, O::ROW.number, &codec::encode(operation));
        if line.send(&bytes).is_err() {
            return Attempt::Lost;
        }
        // Without an answer the connection is of no use.
        let Some(frame) = line.receive_within(WAIT).filter(|frame| frame.id == id) else { return Attempt::Lost };
        self.lines[host] = Some(line);
        Attempt::Answered(frame.outcome().map(|reply| codec::decode(&reply).expect("a reply of its type")))
    }
}

fn name(token: usize) -> enroll_protocol::Token {
    format!("raced-{token}").parse().expect("a token")
}
