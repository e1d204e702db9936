//! Seeded histories of several daemons over a shared journal in memory: who leads changes, answers and requests are lost,
//! late appends arrive, daemons are paused and crash, the journal is trimmed, and a member that comes too late joins anew. No
//! token is used twice, nothing acknowledged is lost, no deposed daemon tells anything, and in the end all hosts hold the
//! same bytes.
//!
//! `ENROLL_HISTORIES=N` runs N of them, `ENROLL_SEED=S` only the one of that seed; a failure prints the seed:
//! `ENROLL_HISTORIES=2000 cargo test -p enroll-tests --test all -- whoever_leads`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use enroll_core::identity::Secrets;
use enroll_core::identity::secrets::SecretKey;
use enroll_core::model::key::WITHOUT_ORDER;
use enroll_core::state::{Store as _, StoreError};
use enroll_protocol::{Code, Envelope, Key, Pk, Token, changes, token};
use enroll_tests::disk::SimulatedDisk;
use enroll_tests::oracle::everything;
use enroll_tests::registry::{KEY, Registry};
use enroll_tests::seed::of_histories;
use enroll_tests::shared_memory::{AppendFate, Sabotage, SharedMemory};
use enrolld::cluster::trim::Retention;
use enrolld::metrics::JournalFigures;
use enrolld::storage::journal::{JournalOptions, JournalStore};
use enrolld::storage::redb::{RedbOptions, RedbStore};
use enrolld::storage::shared_journal::{SharedJournal as _, Term};
use enrolld::writer::Outcome;
use rand::rngs::ChaCha20Rng;
use rand::{RngExt as _, SeedableRng as _};

const HISTORIES: u64 = 60;
const STEPS: usize = 60;
const MEMBERS: usize = 3;
const TOKENS: usize = 12;

/// Longer than an answer takes that waits for nothing.
const EARLY: Duration = Duration::from_millis(20);

/// Databases that must have a record.
const COPIES: usize = 2;

/// A daemon on a host of its own.
struct Member {
    disk: Arc<SimulatedDisk>,
    store: Arc<JournalStore>,
    /// Where it leads, or believes to.
    registry: Option<Registry>,
}

/// The knowledge about a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    Unused,
    /// A use was not answered.
    Perhaps,
    Used,
}

struct History {
    random: ChaCha20Rng,
    journal: Arc<SharedMemory>,
    members: Vec<Member>,
    leader: usize,
    term: Term,
    tokens: BTreeMap<usize, Known>,
    /// The beginnings of the random bytes of those who lead, so that none come twice.
    led: u64,
}

pub(super) fn options() -> JournalOptions {
    JournalOptions { segment_bytes: 16 << 10, memory_bytes: 16 << 20, unordered: WITHOUT_ORDER, identity: 7 }
}

fn opened(journal: &Arc<SharedMemory>, disk: &Arc<SimulatedDisk>) -> JournalStore {
    let redb = RedbOptions { cache_bytes: 1 << 20, verify: true };
    let tree = RedbStore::open_on(disk.clone(), redb).map_err(|err| err.to_string()).expect("a tree");
    let secrets = Secrets::derive(&SecretKey::new(KEY)).expect("keys");
    JournalStore::open_shared(tree, journal.clone(), secrets.into(), options(), JournalFigures::default())
        .expect("a standby")
}

impl Member {
    fn new(journal: &Arc<SharedMemory>, image: Vec<u8>) -> Self {
        let disk = Arc::new(SimulatedDisk::holding(image));
        Self { store: Arc::new(opened(journal, &disk)), disk, registry: None }
    }

    /// Ends and starts again as a standby, with what its database's file has.
    fn crash(&mut self, journal: &Arc<SharedMemory>) {
        *self = Self::new(journal, self.disk.live());
    }
}

impl History {
    fn begin(seed: u64, sabotage: Sabotage) -> Self {
        let journal = Arc::new(SharedMemory::new(sabotage));
        let members = (0..MEMBERS).map(|_| Member::new(&journal, Vec::new())).collect();
        let tokens = (0..TOKENS).map(|token| (token, Known::Unused)).collect();
        let random = ChaCha20Rng::seed_from_u64(seed);
        let mut history = Self { random, journal, members, leader: 0, term: Term(0), tokens, led: 0 };
        history.elect(0).expect("the first leader");
        history
    }

    /// Elects this member; the one before does not know.
    fn elect(&mut self, member: usize) -> Result<(), String> {
        let term = self.journal.elect();
        let store = Arc::clone(&self.members[member].store);
        // A daemon that led before and was deposed starts again first.
        if self.members[member].registry.is_some() {
            self.members[member].crash(&self.journal);
            return self.elect(member);
        }
        self.term = term;
        match store.lead(term, |_| ()) {
            Err(StoreError::Trimmed(_)) => {
                drop(store);
                self.join(member)?;
                return self.elect(member);
            }
            led => led.map_err(|err| format!("{member} can not lead: {err}"))?,
        }
        self.led += 1;
        let registry = Registry::started(store).map_err(|err| format!("{member} can not lead: {err}"))?;
        self.members[member].registry = Some(registry.with_randomness(self.led));
        self.leader = member;
        Ok(())
    }

    fn step(&mut self) -> Result<(), String> {
        let (token, member) = (self.random.random_range(0..TOKENS), self.random.random_range(0..MEMBERS));
        match self.random.random_range(0..23) {
            0..9 => self.use_token(self.leader, token),
            9..12 => self.get_token(self.leader, token),
            // One that was deposed goes on, as after a pause.
            12 => self.use_token(member, token),
            13 => self.get_token(member, token),
            14 if member != self.leader => self.elect(member),
            15 => {
                self.journal.deliver();
                Ok(())
            }
            16 if member != self.leader => {
                self.members[member].crash(&self.journal);
                Ok(())
            }
            17 => {
                self.members[member].store.flush().map_err(|err| format!("{member} can not flush: {err}"))?;
                self.journal.claim(member, self.members[member].store.progress().flushed());
                Ok(())
            }
            20..23 => {
                // A short journal is kept for everybody, a long one is not.
                let bytes_max = if self.random.random_bool(0.5) { u64::MAX } else { 0 };
                self.journal.trim(self.term, Retention { copies: COPIES, bytes_max });
                Ok(())
            }
            18 if self.members[member].registry.is_none() => match self.random.random() {
                true => self.catch_up(member),
                false => self.read_at_standby(member),
            },
            19 => {
                let fates = [AppendFate::RequestLost, AppendFate::AnswerLost, AppendFate::Held, AppendFate::Full];
                self.journal.decide(Some(fates[self.random.random_range(0..fates.len())]));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn catch_up(&mut self, member: usize) -> Result<(), String> {
        match self.members[member].store.catch_up(|_| ()) {
            Err(StoreError::Trimmed(_)) => {
                self.join(member)?;
                self.catch_up(member)
            }
            done => done.map_err(|err| format!("{member} can not follow: {err}")),
        }
    }

    /// A member that comes too late begins with a copy of another one's database.
    fn join(&mut self, member: usize) -> Result<(), String> {
        let low = self.journal.low();
        let has = |other: &Member| other.store.progress().flushed() + 1 >= low;
        let having = self.members.iter().filter(|other| has(other)).count();
        if having < COPIES {
            return Err(format!("{having} databases have what was trimmed before {low}"));
        }
        let source = self.members.iter().find(|other| has(other)).ok_or("nobody has it")?;
        self.members[member] = Member::new(&self.journal, source.disk.live());
        self.journal.claim(member, self.members[member].store.progress().flushed());
        Ok(())
    }

    /// Reads at a standby while it follows: it waits for all that was acknowledged before.
    fn read_at_standby(&mut self, member: usize) -> Result<(), String> {
        let store = Arc::clone(&self.members[member].store);
        let acknowledged = self.members[self.leader].store.number();
        let waits = self.journal.sabotage() != Sabotage::StandbyDoesNotWait;
        let (answer, answered) = std::sync::mpsc::channel();
        let reading = Arc::clone(&store);
        std::thread::spawn(move || {
            let confirmed = if waits { reading.confirm() } else { Ok(()) };
            let _ = answer.send(confirmed.map(|()| reading.number()));
        });
        // What is answered before the host has received anything was not waited for.
        let early = answered.recv_timeout(EARLY).ok();
        let followed = store.catch_up(|_| ());
        let seen = early.unwrap_or_else(|| answered.recv().expect("an answer"));
        match (followed, seen) {
            (Err(StoreError::Trimmed(_)), _) => self.join(member),
            (Err(err), _) | (_, Err(err)) => Err(format!("{member} can not follow: {err}")),
            (_, Ok(seen)) if seen < acknowledged => {
                Err(format!("{member} answers as of {seen}, behind {acknowledged}"))
            }
            _ => Ok(()),
        }
    }

    /// Uses a token at a member that leads, or believes to.
    fn use_token(&mut self, member: usize, token: usize) -> Result<(), String> {
        let Some(registry) = &mut self.members[member].registry else { return Ok(()) };
        registry.pass_seconds(1);
        let answer: Arc<Mutex<Option<Outcome>>> = Arc::default();
        let slot = Arc::clone(&answer);
        let using = token::Use::new(name(token));
        let request = registry.request(Envelope::default(), &using, move |outcome| {
            *slot.lock().expect("unpoisoned") = Some(outcome);
        });
        let served = registry.serve([request]);
        let answer = answer.lock().expect("unpoisoned").take().expect("an answer");
        let before = self.tokens[&token];
        let now = match (&served, answer.map(|_| ()).map_err(|err| err.code)) {
            (Ok(()), Ok(())) if before == Known::Used => return Err(format!("token {token} was used twice")),
            (Ok(()), Ok(())) => Known::Used,
            (Ok(()), Err(code)) if code == Code::TOKEN_REUSE => match before {
                Known::Unused => return Err(format!("token {token} is refused, and nobody used it")),
                _ => Known::Used,
            },
            (Err(StoreError::Deposed), Err(code)) if code == Code::OUTCOME_UNKNOWN => before,
            (Err(_), Err(code)) if code == Code::OUTCOME_UNKNOWN => before.max_perhaps(),
            (served, answer) => return Err(format!("use of token {token}: {answer:?} with {served:?}")),
        };
        if served.is_ok() && member != self.leader {
            return Err(format!("{member} was deposed, and answered"));
        }
        self.tokens.insert(token, now);
        match served {
            Ok(()) => Ok(()),
            Err(_) => self.end(member),
        }
    }

    /// The daemon ends, as it does when a commit failed; where it led, another one is elected.
    fn end(&mut self, member: usize) -> Result<(), String> {
        self.members[member].crash(&self.journal);
        if member != self.leader {
            return Ok(());
        }
        let next = self.random.random_range(0..MEMBERS);
        self.elect(next)
    }

    fn get_token(&mut self, member: usize, token: usize) -> Result<(), String> {
        let Some(registry) = &mut self.members[member].registry else { return Ok(()) };
        if registry.store().confirm().is_err() {
            return if member == self.leader { Err("the leader was deposed".to_owned()) } else { self.end(member) };
        }
        if member != self.leader {
            return Err(format!("{member} was deposed, and its reads are confirmed"));
        }
        let found = registry.call(token::Get { token: name(token) });
        let before = self.tokens[&token];
        let now = match found.map_err(|err| err.code) {
            Ok(_) if before == Known::Unused => return Err(format!("token {token} is there, and nobody used it")),
            Ok(_) => Known::Used,
            Err(code) if code == Code::NOT_FOUND && before == Known::Used => {
                return Err(format!("token {token} was used, and is lost"));
            }
            Err(_) => before,
        };
        self.tokens.insert(token, now);
        Ok(())
    }

    /// All members hold the same, and it is sound.
    fn finish(mut self) -> Result<(), String> {
        self.journal.decide(None);
        self.journal.deliver();
        let next = self.random.random_range(0..MEMBERS);
        self.elect(next)?;
        let registry = self.members[self.leader].registry.as_mut().expect("a leader");
        let violations = registry.violations();
        if !violations.is_empty() {
            return Err(format!("{violations:?}"));
        }
        let list = changes::List { limit: "1000".parse().expect("a limit"), ..changes::List::default() };
        let numbers: Vec<u64> = registry.call(list).expect("the feed").items.iter().map(|change| change.seq).collect();
        let used = self.tokens.values().filter(|known| **known == Known::Used).count();
        if numbers.iter().enumerate().any(|(at, number)| *number != at as u64 + 1) || numbers.len() < used {
            return Err(format!("the feed has holes: {numbers:?}, and {used} tokens were used"));
        }
        for token in 0..TOKENS {
            self.get_token(self.leader, token)?;
        }
        let leader = everything(&*self.members[self.leader].store).expect("read");
        let led = self.leader;
        for member in (0..MEMBERS).filter(|member| *member != led) {
            self.members[member].crash(&self.journal);
            self.catch_up(member)?;
            if everything(&*self.members[member].store).expect("read") != leader {
                return Err(format!("{member} holds other entries than the leader"));
            }
        }
        Ok(())
    }
}

impl Known {
    fn max_perhaps(self) -> Self {
        if self == Self::Used { Self::Used } else { Self::Perhaps }
    }
}

pub(super) fn name(token: usize) -> Token {
    format!("token-{token}").parse().expect("a token")
}

fn history(seed: u64, sabotage: Sabotage) -> Result<(), String> {
    let mut history = History::begin(seed, sabotage);
    for step in 0..STEPS {
        history.step().map_err(|why| format!("step {step}: {why}"))?;
    }
    history.finish()
}

#[test]
fn no_token_is_used_twice_and_nothing_is_lost_whoever_leads() {
    for seed in of_histories(HISTORIES) {
        history(seed, Sabotage::None).unwrap_or_else(|why| panic!("ENROLL_SEED={seed}: {why}"));
    }
}

/// The control: an engine that does not fence, that confirms anybody, that appends again under a new number or trims too
/// early, and a standby that does not wait for its look, are found.
#[test]
fn an_engine_that_does_not_fence_or_trims_too_early_is_found() {
    let sabotages = [
        Sabotage::NoCompare,
        Sabotage::ComparesNothing,
        Sabotage::ConfirmsAnybody,
        Sabotage::RetriesUnderNewNumber,
        Sabotage::TrimsTooEarly,
        Sabotage::StandbyDoesNotWait,
    ];
    for sabotage in sabotages {
        let is_found = (0..HISTORIES).any(|seed| history(seed, sabotage).is_err());
        assert!(is_found, "{sabotage:?} is not found in {HISTORIES} histories");
    }
}

/// A kept answer is due on the member that leads by then, once, and what that removes is removed everywhere.
#[test]
fn what_is_due_after_a_fail_over_is_done_by_the_next_leader() {
    let mut history = History::begin(1, Sabotage::None);
    let envelope = Envelope { key: Some(Key(Pk::from_bytes([1; 16]))), ..Envelope::default() };
    let leader = history.members[0].registry.as_mut().expect("a leader");
    leader.call_with(envelope.clone(), token::Use::new(name(1))).expect("used");
    history.elect(1).expect("elected");
    let entries = |history: &History| everything(&*history.members[1].store).expect("read").len();
    let before = entries(&history);
    let registry = history.members[1].registry.as_mut().expect("a leader");
    registry.call_with(envelope.clone(), token::Use::new(name(1))).expect("kept");
    registry.pass_seconds(2 * 24 * 60 * 60);
    registry.wake();
    assert!(entries(&history) < before, "nothing was removed");
    let registry = history.members[1].registry.as_mut().expect("a leader");
    let again = registry.call_with(envelope, token::Use::new(name(1))).expect_err("no longer kept");
    assert_eq!(again.code, Code::TOKEN_REUSE);
    history.tokens.insert(1, Known::Used);
    history.finish().expect("the same everywhere");
}

/// A host whose database is of another journal, or newer than the journal, does not follow it.
#[test]
fn a_host_follows_its_own_history_only() {
    let mut one = History::begin(1, Sabotage::None);
    one.use_token(0, 1).expect("used");
    one.members[0].store.flush().expect("flushed");
    let image = one.members[0].disk.live();
    let open = |journal: &Arc<SharedMemory>, key: u8, identity: u64| {
        let tree = RedbStore::open_on(
            Arc::new(SimulatedDisk::holding(image.clone())),
            RedbOptions { cache_bytes: 1 << 20, verify: true },
        );
        let secrets = Secrets::derive(&SecretKey::new([key; 32])).expect("keys");
        let options = JournalOptions { identity, ..options() };
        let (tree, figures) = (tree.map_err(|err| err.to_string()).expect("a tree"), JournalFigures::default());
        JournalStore::open_shared(tree, journal.clone(), secrets.into(), options, figures).map(|_| ())
    };
    open(&one.journal, KEY[0], 7).expect("its own");
    let foreign = open(&one.journal, KEY[0], 8).expect_err("another identity");
    assert!(foreign.to_string().contains("another database"), "{foreign}");
    let empty = Arc::new(SharedMemory::new(Sabotage::None));
    let older = open(&empty, KEY[0], 7).expect_err("an older journal");
    assert!(older.to_string().contains("restored from an older copy"), "{older}");
    // One that went another way from the beginning.
    let mut other = History::begin(2, Sabotage::None);
    for token in 2..9 {
        other.use_token(0, token).expect("used");
    }
    let other_way = JournalStore::open_shared(
        RedbStore::open_on(
            Arc::new(SimulatedDisk::holding(image.clone())),
            RedbOptions { cache_bytes: 1 << 20, verify: true },
        )
        .map_err(|err| err.to_string())
        .expect("a tree"),
        other.journal.clone(),
        Arc::new(Secrets::derive(&SecretKey::new(KEY)).expect("keys")),
        options(),
        JournalFigures::default(),
    )
    .expect("longer, so it may follow");
    let forked = other_way.catch_up(|_| ()).expect_err("another history");
    assert!(forked.to_string().contains("another history"), "{forked}");
    // Another secret key opens nothing.
    let key = Secrets::derive(&SecretKey::new([1; 32])).expect("keys");
    let tree = RedbStore::open_on(
        Arc::new(SimulatedDisk::holding(Vec::new())),
        RedbOptions { cache_bytes: 1 << 20, verify: true },
    );
    let tree = tree.map_err(|err| err.to_string()).expect("a tree");
    let store = JournalStore::open_shared(tree, one.journal.clone(), key.into(), options(), JournalFigures::default());
    let sealed = store.expect("an empty one").catch_up(|_| ()).expect_err("sealed");
    assert!(sealed.to_string().contains("another secret key"), "{sealed}");
    assert_eq!(one.journal.look(None).expect("a head").number, 2);
}
