//! What happens when the disk says no: the batch is answered as unknown, nothing after it is acknowledged, and the
//! writer ends.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use enroll_protocol::{Code, Refusal, token};
use enroll_tests::registry::Registry;
use enrolld::store::memory::MemoryStore;
use enrolld::store::{Store, StoreError, View, Writes};

/// A memory store whose commits fail when told to, with or without having been done.
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
        Err(StoreError("input/output error".to_owned()))
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
fn whoever_asks_again_with_the_key_learns_what_became_of_it() {
    for was_done in [false, true] {
        let store = Arc::new(Failing::default());
        let mut registry = Registry::over(store.clone(), &Default::default());
        store.fails.store(true, Ordering::Relaxed);
        store.does_it_all_the_same.store(was_done, Ordering::Relaxed);
        let key = enroll_protocol::Key(enroll_protocol::Pk::from_bytes([1; 16]));
        let envelope = enroll_protocol::Envelope { key: Some(key), ..Default::default() };
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
