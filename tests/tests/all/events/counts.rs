//! The cost of a registration in keys: a call reads and writes as few of them with a hundred thousand people at an
//! event as with a few hundred, however long the waiting list is.
//!
//! `ENROLL_PEOPLE=N` has the largest event be of N people.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use enroll_core::state::memory::MemoryStore;
use enroll_core::state::{Entries, ReadTxn, Store, StoreError, View, Writes};
use enroll_protocol::event::{self, NewPool};
use enroll_protocol::registration::{Cancel, Create, Explain, Get, List};
use enroll_protocol::{Envelope, Operation, Reference, Time, person};
use enroll_tests::registry::{BEGIN_MICROS, Registry};

const POOLS: usize = 5;
const FEW: usize = 200;
const MANY: usize = 4_000;

/// Requests of one commit.
const BATCH: usize = 200;

/// The keys that were read and written.
#[derive(Debug, Default)]
struct Counts {
    gets: AtomicUsize,
    ranges: AtomicUsize,
    entries: AtomicUsize,
    writes: AtomicUsize,
}

impl Counts {
    fn take(&self) -> [usize; 4] {
        [&self.gets, &self.ranges, &self.entries, &self.writes].map(|count| count.swap(0, Ordering::Relaxed))
    }
}

/// A memory store that counts.
#[derive(Default)]
struct Counting {
    store: MemoryStore,
    counts: Arc<Counts>,
}

struct CountingView {
    view: View,
    counts: Arc<Counts>,
}

impl Store for Counting {
    fn view(&self) -> Result<View, StoreError> {
        Ok(Box::new(CountingView { view: self.store.view()?, counts: Arc::clone(&self.counts) }))
    }

    fn commit(&self, writes: &Writes) -> Result<(), StoreError> {
        self.counts.writes.fetch_add(writes.len(), Ordering::Relaxed);
        self.store.commit(writes)
    }

    fn bytes(&self) -> u64 {
        0
    }
}

impl ReadTxn for CountingView {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.counts.gets.fetch_add(1, Ordering::Relaxed);
        self.view.get(key)
    }

    fn range(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Entries, StoreError> {
        let entries = self.view.range(from, to, limit)?;
        self.counts.ranges.fetch_add(1, Ordering::Relaxed);
        self.counts.entries.fetch_add(entries.len(), Ordering::Relaxed);
        Ok(entries)
    }
}

/// An event of five overlapping pools with a place for one in ten, a fifth of whom have canceled.
struct Crowd {
    registry: Registry,
    counts: Arc<Counts>,
    event: Reference,
    people: usize,
}

impl Crowd {
    fn gather(people: usize) -> Self {
        let store = Counting::default();
        let counts = Arc::clone(&store.counts);
        let registry = Registry::over(Arc::new(store), &Default::default());
        let event = "none".parse().expect("a name");
        let mut crowd = Self { registry, counts, event, people };
        // A few more, to come later.
        let creates = (0..people + 10).map(|at| person::Create {
            roles: vec![role(at).parse().expect("a role")],
            ..person::Create::new(format!("P{at}").parse().expect("a callsign"))
        });
        crowd.serve(creates.collect());
        let start = Time::from_micros(BEGIN_MICROS).expect("a time").plus_seconds(1_000_000);
        let (title, kind) = ("Camp".parse().expect("a title"), "camp".parse().expect("a kind"));
        let mut create = event::Create::new(title, kind, start, 60);
        create.owner = Some(name(0));
        create.published = Some(true);
        create.pools = (0..POOLS)
            .map(|at| NewPool {
                name: format!("pool {at}").parse().expect("a name"),
                capacity: u32::try_from(people / 10 / POOLS).expect("few"),
                roles: [at, at + 1].map(|at| role(at).parse().expect("a role")).to_vec(),
                opens: None,
            })
            .collect();
        let event = crowd.registry.call(create).expect("an event");
        crowd.event = event.pk.to_string().parse().expect("a pk");
        let event = || crowd.event.clone();
        let creates = (0..people).map(|at| Create { event: event(), person: name(at) }).collect();
        let cancels = (0..people).step_by(5).map(|at| Cancel { event: event(), person: name(at) }).collect();
        crowd.serve::<Create>(creates);
        crowd.serve::<Cancel>(cancels);
        let shown = crowd.registry.call(event::Get { event: crowd.event.clone() }).expect("an event");
        let places = people / 10 / POOLS * POOLS;
        assert_eq!((shown.places_taken as usize, shown.waiting_count as usize), (places, people * 4 / 5 - places));
        crowd
    }

    fn serve<O: Operation>(&mut self, operations: Vec<O>) {
        for batch in operations.chunks(BATCH) {
            let answer = |outcome: enrolld::writer::Outcome| drop(outcome.expect("answered"));
            let requests: Vec<_> =
                batch.iter().map(|operation| self.registry.request(Envelope::default(), operation, answer)).collect();
            self.registry.serve(requests).expect("committed");
        }
    }

    /// The keys that a write touches.
    fn write<O: Operation>(&mut self, operation: O) -> [usize; 4] {
        self.counts.take();
        self.serve(vec![operation]);
        self.counts.take()
    }

    /// The keys that a read touches.
    fn read<O: Operation>(&mut self, operation: O) -> [usize; 4] {
        self.counts.take();
        self.registry.call(operation).expect("answered");
        self.counts.take()
    }

    /// The keys that each kind of call touches.
    fn measure(&mut self) -> Vec<(&'static str, [usize; 4])> {
        let (event, people) = (self.event.clone(), self.people);
        // Somebody who came early and holds a place, and the last who waits.
        let waiting = List { event: Some(event.clone()), waiting: Some(false), ..List::default() };
        let seated = self.registry.call(waiting).expect("a page").items;
        let seated = seated.iter().find(|item| item.pool.is_some()).expect("somebody seated").person;
        let seated: Reference = seated.to_string().parse().expect("a pk");
        let last = people - 1;
        let (event_of, new) = (event.clone(), name(people));
        let list = |waiting| List { event: Some(event.clone()), waiting, ..List::default() };
        vec![
            ("explain", self.read(Explain { event: event_of.clone(), person: new.clone() })),
            ("register", self.write(Create { event: event_of.clone(), person: new })),
            ("cancel a place", self.write(Cancel { event: event_of.clone(), person: seated })),
            ("cancel the wait", self.write(Cancel { event: event_of.clone(), person: name(last) })),
            ("register again", self.write(Create { event: event_of.clone(), person: name(last) })),
            ("get", self.read(Get { event: event_of, person: name(last) })),
            ("list", self.read(list(None))),
            ("list who waits", self.read(list(Some(true)))),
        ]
    }
}

fn name(at: usize) -> Reference {
    format!("P{at}").parse().expect("a name")
}

fn role(at: usize) -> String {
    format!("role-{}", at % POOLS)
}

#[test]
fn a_call_touches_as_few_keys_at_a_large_event_as_at_a_small_one() {
    let many = std::env::var("ENROLL_PEOPLE").ok().map_or(MANY, |text| text.parse().expect("a number"));
    let [few, many] = [FEW, many].map(|people| Crowd::gather(people).measure());
    // A position in the waiting list is the sum of at most 63 counts for each of six levels, and a page shows a
    // hundred.
    for ((what, few), (_, many)) in few.iter().zip(&many) {
        let positions = if what.starts_with("list") { 101 } else { 1 };
        let more = [40, 10 * positions, 6 * 64 * positions, 10];
        let most: Vec<usize> = few.iter().zip(more).map(|(few, more)| few + more).collect();
        assert!(many.iter().zip(&most).all(|(many, most)| many <= most), "{what}: {many:?}, more than {most:?}");
    }
}
