//! Failed commits: a batch whose commit fails is answered as unknown, nothing after it is acknowledged, and the writer
//! ends. While there is too little space, no commit is tried.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use enroll_core::state::memory::MemoryStore;
use enroll_core::state::{Store, StoreError, View, Writes};
use enroll_protocol::{Code, Envelope, Key, Pk, Refusal, code, person, pool, token};
use enroll_tests::oracle::everything;
use enroll_tests::registry::Registry;
use enrolld::storage::io_error;

/// A memory store with commits that fail on request, before or after they are done.
#[derive(Default)]
struct Failing {
    store: MemoryStore,
    fails: AtomicBool,
    does_it_all_the_same: AtomicBool,
}

impl Store for Failing {
    fn view(&self) -> Result<View, StoreError> {
        self.store.view()
    }

    fn commit(&self, writes: &Writes) -> Result<(), StoreError> {
        if !self.fails.load(Ordering::Relaxed) {
            return self.store.commit(writes);
        }
        if self.does_it_all_the_same.load(Ordering::Relaxed) {
            self.store.commit(writes)?;
        }
        Err(io_error("the journal can not be written")("input/output error"))
    }

    fn bytes(&self) -> u64 {
        0
    }
}

fn spend(token: &str) -> token::Use {
    token::Use::new(token.parse().expect("a token"))
}

#[test]
fn a_failed_commit_answers_the_whole_batch_as_unknown_and_ends_the_writer() {
    let store = Arc::new(Failing::default());
    let mut registry = Registry::over(store.clone(), &Default::default());
    registry.call(spend("before")).expect("used");
    store.fails.store(true, Ordering::Relaxed);

    let outcomes: Arc<Mutex<Vec<Result<(), Code>>>> = Arc::default();
    let requests = ["new", "before", "other"].map(|token| {
        let outcomes = Arc::clone(&outcomes);
        let answer = move |outcome: Result<Vec<u8>, Refusal>| {
            outcomes.lock().expect("unpoisoned").push(outcome.map(drop).map_err(|refusal| refusal.code));
        };
        registry.request(Default::default(), &spend(token), answer)
    });
    registry.serve(requests).expect_err("the writer ends");
    // The refusal of "before" may have rested on what was never committed, so it is unknown as well.
    assert_eq!(*outcomes.lock().expect("unpoisoned"), [Err(Code::OUTCOME_UNKNOWN); 3]);
}

#[test]
fn a_call_repeated_with_its_key_learns_what_became_of_it() {
    for was_done in [false, true] {
        let store = Arc::new(Failing::default());
        let mut registry = Registry::over(store.clone(), &Default::default());
        store.fails.store(true, Ordering::Relaxed);
        store.does_it_all_the_same.store(was_done, Ordering::Relaxed);
        let envelope = under_key(1);
        let request = registry.request(envelope.clone(), &spend("t"), |outcome| {
            assert_eq!(outcome.map_err(|refusal| refusal.code), Err(Code::OUTCOME_UNKNOWN));
        });
        registry.serve([request]).expect_err("the writer ends");

        store.fails.store(false, Ordering::Relaxed);
        let mut restarted = Registry::reopened(store);
        restarted.call_with(envelope, spend("t")).expect("used once, whether it was done or not");
        assert_eq!(restarted.call(spend("t")).map_err(|refusal| refusal.code), Err(Code::TOKEN_REUSE));
        assert_eq!(restarted.violations(), Vec::<String>::new());
    }
}

/// A memory store on a disk with so much free space.
struct Filling {
    store: MemoryStore,
    free_bytes: AtomicU64,
}

impl Filling {
    fn with(free_bytes: u64) -> Arc<Self> {
        Arc::new(Self { store: MemoryStore::default(), free_bytes: AtomicU64::new(free_bytes) })
    }
}

impl Store for Filling {
    fn view(&self) -> Result<View, StoreError> {
        self.store.view()
    }

    fn commit(&self, writes: &Writes) -> Result<(), StoreError> {
        self.store.commit(writes)
    }

    fn bytes(&self) -> u64 {
        0
    }

    fn free_bytes(&self) -> u64 {
        self.free_bytes.load(Ordering::Relaxed)
    }
}

/// Free space that the configuration wants by default.
const RESERVE: u64 = 64 << 20;

fn under_key(number: u8) -> Envelope {
    Envelope { key: Some(Key(Pk::from_bytes([number; 16]))), ..Envelope::default() }
}

fn refused<T>(outcome: Result<T, Refusal>) -> Option<Code> {
    outcome.err().map(|refusal| refusal.code)
}

#[test]
fn while_there_is_too_little_space_what_would_write_is_refused_and_the_rest_goes_on() {
    let store = Filling::with(u64::MAX);
    let mut registry = Registry::over(store.clone(), &Default::default());
    registry.call_with(under_key(1), spend("before")).expect("used");
    registry.call(person::Create::new("DOGGO01a".parse().expect("a callsign"))).expect("made");
    let wrong = || code::Use::new("NOSUCHCODE22".parse().expect("a code"));
    assert_eq!(refused(registry.call(wrong())), Some(Code::NOT_FOUND));
    let before = everything(&*store).expect("a view");

    store.free_bytes.store(RESERVE, Ordering::Relaxed);
    registry.pass_seconds(600);
    let refusal = registry.call_with(under_key(2), spend("new")).expect_err("no space");
    assert_eq!(refusal.code, Code::STORAGE);
    assert!(refusal.message.contains("/nowhere"), "{}", refusal.message);
    assert_eq!(refused(registry.call(spend("before"))), Some(Code::STORAGE), "an attempt would be recorded");
    assert_eq!(refused(registry.call(wrong())), Some(Code::STORAGE), "a guess would be counted");
    let taken = || person::Create::new("doggo01A".parse().expect("a callsign"));
    assert_eq!(refused(registry.call_with(under_key(3), taken())), Some(Code::STORAGE), "the answer would be kept");

    assert_eq!(refused(registry.call(taken())), Some(Code::CALLSIGN_RESERVED), "nothing is written of this refusal");
    registry.call_with(under_key(1), spend("before")).expect("the kept answer");
    let dry = Envelope { dry_run: true, ..Envelope::default() };
    registry.call_with(dry, spend("new")).expect("a dry run writes nothing");
    assert_eq!(registry.call(person::List::default()).expect("people").items.len(), 1);
    let check = pool::Check { invitecode: "NOSUCH22".parse().expect("a code") };
    assert_eq!(registry.call(check), Ok(false), "a look-up goes on, and its record waits");
    registry.wake();
    assert_eq!(everything(&*store).expect("a view"), before, "nothing was written, nor anything due removed");

    store.free_bytes.store(u64::MAX, Ordering::Relaxed);
    registry.call_with(under_key(2), spend("new")).expect("used now: the refusal was not kept");
    registry.pass_seconds(600);
    let entries = everything(&*store).expect("a view").len();
    registry.wake();
    assert!(everything(&*store).expect("a view").len() < entries, "what was due is removed now");
    assert_eq!(registry.violations(), Vec::<String>::new());
}

#[test]
fn a_batch_takes_no_more_than_there_is() {
    let store = Filling::with(RESERVE + (200 << 10));
    let mut registry = Registry::over(store, &Default::default());
    let outcomes: Arc<Mutex<Vec<Option<Code>>>> = Arc::default();
    let requests = ["a", "b", "c", "d", "e"].map(|token| {
        let outcomes = Arc::clone(&outcomes);
        let answer = move |outcome| outcomes.lock().expect("unpoisoned").push(refused(outcome));
        registry.request(Default::default(), &spend(token), answer)
    });
    registry.serve(requests).expect("committed");
    assert_eq!(*outcomes.lock().expect("unpoisoned"), [None, None, None, Some(Code::STORAGE), Some(Code::STORAGE)]);
    assert_eq!(registry.violations(), Vec::<String>::new());
}

#[test]
fn a_disk_that_is_not_asked_is_never_too_small() {
    let mut config = enrolld::config::Config::default();
    config.database.free_mib = 0;
    Registry::over(Filling::with(0), &config).call(spend("t")).expect("used");
}
