//! The writer thread: writes that wait share a commit, a failed commit ends it, and a full queue is backpressure.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use enroll_core::state::memory::MemoryStore;
use enroll_core::state::{Store, StoreError, View, Writes};
use enroll_protocol::{Code, Envelope, Refusal, token};
use enroll_tests::registry::Registry;
use enrolld::writer::{Outcome, QUEUE_MAX, Queue, Request, SendError};

/// A memory store that counts its commits, blocks each one until it is released, and fails on request.
struct Gated {
    store: MemoryStore,
    commits: AtomicUsize,
    begun: Sender<()>,
    let_go: Mutex<Receiver<()>>,
    is_open: AtomicBool,
    fails: AtomicBool,
}

impl Store for Gated {
    fn view(&self) -> Result<View, StoreError> {
        self.store.view()
    }

    fn commit(&self, writes: &Writes) -> Result<(), StoreError> {
        if !self.is_open.load(Ordering::Relaxed) {
            self.commits.fetch_add(1, Ordering::Relaxed);
            self.begun.send(()).expect("a test");
            self.let_go.lock().expect("unpoisoned").recv().expect("a test");
        }
        match self.fails.load(Ordering::Relaxed) {
            true => Err(StoreError::Closed("the test")),
            false => self.store.commit(writes),
        }
    }

    fn bytes(&self) -> u64 {
        0
    }
}

/// A registry over such a store; commits that have begun; and where they are let go.
fn gated() -> (Registry, Arc<Gated>, Receiver<()>, Sender<()>) {
    let ((begun, has_begun), (go, let_go)) = (channel(), channel());
    let store = Arc::new(Gated {
        store: MemoryStore::default(),
        commits: AtomicUsize::new(0),
        begun,
        let_go: Mutex::new(let_go),
        is_open: AtomicBool::new(true),
        fails: AtomicBool::new(false),
    });
    let registry = Registry::in_store(store.clone());
    store.is_open.store(false, Ordering::Relaxed);
    (registry, store, has_begun, go)
}

/// A writer thread that is in its first commit, and the queue to it.
fn in_first_commit(
    registry: &mut Registry,
    has_begun: &Receiver<()>,
    answers: &Sender<Outcome>,
) -> (Queue, JoinHandle<Result<(), StoreError>>) {
    let (queue, writer) = registry.writer_thread(registry.clock());
    let working = thread::spawn(|| writer.run(|_| {}));
    assert!(queue.try_send(spend(registry, 0, answers)).is_ok());
    has_begun.recv().expect("a commit");
    (queue, working)
}

fn spend(registry: &mut Registry, number: usize, answers: &Sender<Outcome>) -> Box<Request> {
    let (token, answers) = (token::Use::new(format!("token {number}").parse().expect("a token")), answers.clone());
    Box::new(registry.request(Envelope::default(), &token, move |outcome| answers.send(outcome).expect("a test")))
}

#[test]
fn writes_that_arrive_during_a_commit_share_the_next_one() {
    let (mut registry, store, has_begun, go) = gated();
    let (answers, answered) = channel();
    let (queue, working) = in_first_commit(&mut registry, &has_begun, &answers);
    for number in 1..=50 {
        assert!(queue.try_send(spend(&mut registry, number, &answers)).is_ok());
    }
    assert!(answered.try_recv().is_err(), "nothing is answered before it is durable");
    go.send(()).expect("a writer");
    has_begun.recv().expect("a commit");
    go.send(()).expect("a writer");
    drop(queue);
    working.join().expect("ended").expect("committed");
    drop(answers);
    assert_eq!(answered.iter().filter(Result::is_ok).count(), 51);
    assert_eq!(store.commits.load(Ordering::Relaxed), 2);
}

#[test]
fn a_failed_commit_ends_the_thread_and_what_waits_is_not_begun() {
    let (mut registry, store, has_begun, go) = gated();
    let (answers, answered) = channel();
    let (queue, working) = in_first_commit(&mut registry, &has_begun, &answers);
    assert!(queue.try_send(spend(&mut registry, 1, &answers)).is_ok());
    store.fails.store(true, Ordering::Relaxed);
    go.send(()).expect("a writer");
    assert!(working.join().expect("ended").is_err());
    let codes = |outcome: Outcome| outcome.map_err(|refusal: Refusal| refusal.code);
    assert_eq!(answered.recv().map(codes), Ok(Err(Code::OUTCOME_UNKNOWN)));
    assert_eq!(answered.recv().map(codes), Ok(Err(Code::SHUTTING_DOWN)));
    assert!(matches!(queue.try_send(spend(&mut registry, 2, &answers)), Err(SendError::Closed)));
}

#[test]
fn a_full_queue_hands_the_write_back() {
    let mut registry = Registry::in_memory();
    let (answers, answered) = channel();
    let (queue, writer) = registry.writer_thread(registry.clock());
    for number in 0..QUEUE_MAX {
        assert!(queue.try_send(spend(&mut registry, number, &answers)).is_ok());
    }
    let one_more = spend(&mut registry, QUEUE_MAX, &answers);
    let Err(SendError::Full(_)) = queue.try_send(one_more) else { panic!("there is no room") };
    drop(queue);
    writer.run(|_| {}).expect("committed");
    drop(answers);
    assert_eq!(answered.iter().filter(Result::is_ok).count(), QUEUE_MAX);
}
