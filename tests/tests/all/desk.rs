//! Where the writer works: little is done on the thread that drives the connections, the rest on another one, and nobody
//! can tell from the answers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};

use enroll_protocol::{Code, Envelope, Key, Operation, Pk, Refusal, code, person, token};
use enroll_tests::oracle::everything;
use enroll_tests::registry::Registry;
use enrolld::store::memory::MemoryStore;
use enrolld::store::{Store, StoreError, View, Writes};
use enrolld::systemd::Watchdog;
use enrolld::writer::desk::Here;
use enrolld::writer::{Outcome, Request};
use tokio::sync::mpsc;

/// A memory store that remembers which threads began a batch, and whose commits fail when told to.
#[derive(Default)]
struct Witnessed {
    store: MemoryStore,
    threads: Mutex<Vec<ThreadId>>,
    fails: AtomicBool,
}

impl Witnessed {
    /// Whether the batches since the last time were run on this thread.
    fn were_run_here(&self) -> Vec<bool> {
        let threads = std::mem::take(&mut *self.threads.lock().expect("unpoisoned"));
        threads.into_iter().map(|thread| thread == thread::current().id()).collect()
    }
}

impl Store for Witnessed {
    fn view(&self) -> Result<View, StoreError> {
        self.threads.lock().expect("unpoisoned").push(thread::current().id());
        self.store.view()
    }

    fn commit(&self, writes: &Writes) -> Result<(), StoreError> {
        match self.fails.load(Ordering::Relaxed) {
            true => Err(StoreError("input/output error".to_owned())),
            false => self.store.commit(writes),
        }
    }

    fn bytes(&self) -> u64 {
        0
    }
}

/// Where nothing is ever taken for slow.
const PATIENT: Here = Here { seconds_max: f64::INFINITY, ..Here::ONE_THREAD };

fn spend(number: usize) -> token::Use {
    token::Use::new(format!("token {number}").parse().expect("a token"))
}

fn wrong() -> code::Get {
    code::Get { code: "NOSUCHCODE22".parse().expect("a code") }
}

/// Answers as they come, each with the place of its request among all.
struct Answers {
    given: mpsc::UnboundedSender<(usize, Outcome)>,
    asked: usize,
}

impl Answers {
    fn new() -> (Self, mpsc::UnboundedReceiver<(usize, Outcome)>) {
        let (given, taken) = mpsc::unbounded_channel();
        (Self { given, asked: 0 }, taken)
    }

    fn request<O: Operation>(&mut self, registry: &mut Registry, envelope: Envelope, operation: &O) -> Request {
        let (given, place) = (self.given.clone(), self.asked);
        self.asked += 1;
        registry.request(envelope, operation, move |outcome| given.send((place, outcome)).expect("somebody waits"))
    }
}

/// Sends each batch at once when the one before is answered; all answers, and how the desk ended.
fn serve(
    registry: &Registry,
    here: Here,
    batches: Vec<Vec<Request>>,
    mut taken: mpsc::UnboundedReceiver<(usize, Outcome)>,
) -> (Vec<(usize, Outcome)>, Result<(), StoreError>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let (queue, desk) = registry.desk(here);
        let served = tokio::spawn(desk.serve(Watchdog::of_environment(), |_| {}));
        let mut answers = Vec::new();
        for batch in batches {
            let count = answers.len() + batch.len();
            for request in batch {
                assert!(queue.try_send(request).is_ok(), "there is a place in the queue");
            }
            while answers.len() < count {
                answers.push(taken.recv().await.expect("an answer"));
            }
        }
        drop(queue);
        (answers, served.await.expect("the desk does not panic"))
    })
}

#[test]
fn wherever_requests_are_run_their_answers_are_the_same_and_in_the_same_order() {
    let places = [
        (PATIENT, Some(true)),
        (Here { requests_max: 256, writes_max: 256, ..PATIENT }, Some(true)),
        (Here::SEVERAL_THREADS, Some(false)),
        (Here::ONE_THREAD, None),
    ];
    let runs = places.map(|(here, is_here)| {
        let store = Arc::new(Witnessed::default());
        let mut registry = Registry::over(store.clone(), &Default::default());
        let (mut answers, taken) = Answers::new();
        let batch = |size: usize, registry: &mut Registry, answers: &mut Answers| -> Vec<Request> {
            let requests = (0..size).map(|number| match number % 4 {
                0 => answers.request(registry, Envelope::default(), &spend(number + size)),
                1 => answers.request(registry, Envelope::default(), &spend(number / 2)),
                2 => answers.request(registry, Envelope::default(), &wrong()),
                _ => {
                    let key = Some(Key(Pk::from_bytes([u8::try_from(number % 5).expect("small"); 16])));
                    let create = person::Create::new(format!("DOGGO{}", number % 5).parse().expect("a callsign"));
                    answers.request(registry, Envelope { key, ..Envelope::default() }, &create)
                }
            });
            requests.collect()
        };
        let batches = [1, 2, 8, 3, 1].map(|size| batch(size, &mut registry, &mut answers)).into();
        store.were_run_here();
        let (outcomes, ended) = serve(&registry, here, batches, taken);
        assert_eq!(ended, Ok(()));
        let were_here = store.were_run_here();
        if let Some(is_here) = is_here {
            // The first is the writer's own look at the store.
            assert!(were_here[1..].iter().all(|here| *here == is_here), "{here:?}: {were_here:?}");
        }
        assert_eq!(registry.violations(), Vec::<String>::new());
        (outcomes, everything(&*store).expect("a view"))
    });
    let (outcomes, _) = &runs[0];
    assert!(outcomes.iter().map(|(place, _)| *place).eq(0..15), "in the order they were asked");
    assert!(
        outcomes.iter().any(|(_, outcome)| outcome.is_ok()) && outcomes.iter().any(|(_, outcome)| outcome.is_err())
    );
    assert!(runs.iter().all(|run| *run == runs[0]), "the same answers and the same state");
}

#[test]
fn the_thread_of_the_connections_takes_only_what_is_little_and_quick() {
    let few = Here { writes_max: 2, requests_max: 4, ..PATIENT };
    for (what, here, writes, lookups, is_here) in [
        ("a lone write", few, 1, 0, true),
        ("as many writes as it takes", few, 2, 0, true),
        ("one more", few, 3, 0, false),
        ("as many look-ups as it takes", few, 0, 4, true),
        ("one more", few, 0, 5, false),
        ("both", few, 2, 2, true),
        ("a lone write where several threads drive the connections", Here::SEVERAL_THREADS, 1, 0, false),
    ] {
        let store = Arc::new(Witnessed::default());
        let mut registry = Registry::over(store.clone(), &Default::default());
        let (mut answers, taken) = Answers::new();
        let mut batch = Vec::new();
        (0..writes).for_each(|number| batch.push(answers.request(&mut registry, Envelope::default(), &spend(number))));
        (0..lookups).for_each(|_| batch.push(answers.request(&mut registry, Envelope::default(), &wrong())));
        store.were_run_here();
        let (_, ended) = serve(&registry, here, vec![batch], taken);
        assert_eq!((ended, store.were_run_here()), (Ok(()), vec![true, is_here]), "{what}");
    }
}

#[test]
fn connections_do_not_wait_for_what_takes_long_or_is_due() {
    let store = Arc::new(Witnessed::default());
    let mut registry = Registry::over(store.clone(), &Default::default());
    let (mut answers, taken) = Answers::new();
    let batches = (0..3).map(|number| vec![answers.request(&mut registry, Envelope::default(), &spend(number))]);
    let batches = batches.collect();
    store.were_run_here();
    let any_time_is_long = Here { seconds_max: 0.0, ..PATIENT };
    let (_, ended) = serve(&registry, any_time_is_long, batches, taken);
    assert_eq!((ended, store.were_run_here()), (Ok(()), vec![true, true, false, false]), "behind a long one");

    let key = Some(Key(Pk::from_bytes([7; 16])));
    registry.call_with(Envelope { key, ..Envelope::default() }, spend(10)).expect("used, and the answer kept");
    registry.pass_seconds(10 * 365 * 86_400);
    let (mut answers, taken) = Answers::new();
    let batch = vec![answers.request(&mut registry, Envelope::default(), &spend(11))];
    store.were_run_here();
    let (_, ended) = serve(&registry, PATIENT, vec![batch], taken);
    assert_eq!(ended, Ok(()));
    assert!(!store.were_run_here()[1..].contains(&true), "the kept answer is due to be forgotten");
}

#[test]
fn a_failed_commit_ends_the_desk_wherever_it_was_and_the_rest_is_not_begun() {
    for here in [PATIENT, Here::SEVERAL_THREADS] {
        let store = Arc::new(Witnessed::default());
        let mut registry = Registry::over(store.clone(), &Default::default());
        store.fails.store(true, Ordering::Relaxed);
        let (mut answers, taken) = Answers::new();
        // The first batch is full, so the last ones are still in the queue.
        let batch = (0..300).map(|number| answers.request(&mut registry, Envelope::default(), &spend(number)));
        let batch = batch.collect();
        let (first, ended) = serve(&registry, here, vec![batch], taken);
        let told = |outcome: &Outcome| outcome.as_ref().map(drop).map_err(|refusal: &Refusal| refusal.code);
        let codes: Vec<_> = first.iter().map(|(_, outcome)| told(outcome)).collect();
        assert_eq!(codes[..256], [Err(Code::OUTCOME_UNKNOWN); 256]);
        assert_eq!(codes[256..], [Err(Code::SHUTTING_DOWN); 44]);
        assert_eq!(ended, Err(StoreError("input/output error".to_owned())));

        let (mut answers, taken) = Answers::new();
        let lone = vec![answers.request(&mut registry, Envelope::default(), &spend(0))];
        let (outcomes, ended) = serve(&registry, here, vec![lone], taken);
        assert_eq!(told(&outcomes[0].1), Err(Code::OUTCOME_UNKNOWN));
        assert!(ended.is_err());
    }
}
