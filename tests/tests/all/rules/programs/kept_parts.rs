//! The kept parts of bulk writes: the bytes that progress costs, and the expiry of the parts.

use std::sync::{Arc, Mutex};

use enroll_core::identity::Secrets;
use enroll_core::identity::secrets::SecretKey;
use enroll_core::model::idempotency::{Kept, KeptPart};
use enroll_core::model::key::{self, Family};
use enroll_core::model::record;
use enroll_core::state::memory::MemoryStore;
use enroll_core::state::{Store, StoreError, View, Writes};
use enroll_protocol::{codec, program};
use enroll_tests::registry::{KEY, Registry};
use enrolld::config::Config;
use enrolld::writer::UNITS_MAX;

use super::super::key;
use super::PROGRAM;
use super::parts::{Slot, filled, link_all, linked, put};

const KEYS: usize = 3 * UNITS_MAX;
const DAY: u64 = 24 * 60 * 60;

/// The bytes that commits wrote: of what is kept of calls, and of everything.
#[derive(Clone, Copy, Default)]
struct Bytes {
    kept: usize,
    all: usize,
}

/// A store in memory that counts the bytes of its commits.
#[derive(Default)]
struct Counting {
    store: MemoryStore,
    bytes: Mutex<Bytes>,
}

impl Store for Counting {
    fn view(&self) -> Result<View, StoreError> {
        self.store.view()
    }

    fn commit(&self, writes: &Writes) -> Result<(), StoreError> {
        let mut bytes = self.bytes.lock().expect("unpoisoned");
        for (place, value) in writes {
            let count = place.len() + value.as_ref().map_or(0, Vec::len);
            bytes.all += count;
            if [Family::Kept, Family::KeptParts].iter().any(|family| family.holds(place)) {
                bytes.kept += count;
            }
        }
        self.store.commit(writes)
    }

    fn bytes(&self) -> u64 {
        0
    }
}

fn enroll_all(keys: usize) -> program::Enroll {
    let unit = |number: usize| program::EnrollmentUnit {
        external_key: format!("k-{number:05}").parse().expect("a key"),
        curriculum: Some(PROGRAM.parse().expect("a curriculum")),
        person: None,
        status: "enrolled".to_owned(),
    };
    program::Enroll {
        program: PROGRAM.parse().expect("a program"),
        create: true,
        update: false,
        enrollments: (0..keys).map(unit).collect(),
    }
}

/// The numbers of idempotency records, of parts, and of entries of the expiry index without the revocation list's.
fn kept(registry: &Registry) -> [usize; 3] {
    let view = registry.store().view().expect("a view");
    let count = |family: Family| {
        let (from, to) = family.bounds();
        view.range(&from, &to, usize::MAX).expect("entries").len()
    };
    [count(Family::Kept), count(Family::KeptParts), count(Family::Dues) - 1]
}

/// Begins a call under the first key and runs its first part; nobody is answered.
fn begin(registry: &mut Registry) {
    let slot = Slot::default();
    let link = registry.request(key(1), &link_all(KEYS), put(&slot, "link"));
    registry.serve([link]).expect("committed");
    assert!(slot.lock().expect("unpoisoned").is_empty());
    registry.restart();
}

#[test]
fn the_bytes_that_are_written_grow_with_the_units_and_not_with_their_square() {
    let [one, two, most] = [2_500, 5_000, 10_000].map(|keys| {
        let store = Arc::new(Counting::default());
        let mut registry = Registry::over(store.clone(), &Config::default());
        *store.bytes.lock().expect("unpoisoned") = Bytes::default();
        let reply = registry.call_with(key(1), enroll_all(keys)).expect("enrolled");
        assert_eq!(reply.len(), keys);
        let bytes = *store.bytes.lock().expect("unpoisoned");
        let per_unit = (bytes.kept - codec::encode(&reply).len()) / keys;
        assert!(per_unit < 16, "{per_unit} bytes of each unit beside its answer");
        assert_eq!(registry.call_with(key(1), enroll_all(keys)), Ok(reply), "the parts make up the first answer");
        bytes
    });
    for (fewer, more) in [(one, two), (two, most)] {
        assert!(more.kept * 100 <= fewer.kept * 205, "{} and {} bytes are kept", fewer.kept, more.kept);
        assert!(more.all * 100 <= fewer.all * 205, "{} and {} bytes", fewer.all, more.all);
    }
}

#[test]
fn parts_go_with_their_answer_in_bounded_steps() {
    let mut registry = Registry::in_memory();
    let keys = 257 * UNITS_MAX;
    let (first, other) = (key(1), key(2));
    registry.call_with(first.clone(), enroll_all(keys)).expect("enrolled");
    registry.call_with(other, enroll_all(2 * UNITS_MAX)).expect("answered");
    assert_eq!(kept(&registry), [2, 257 + 2, 2]);
    registry.pass_seconds(DAY - 1);
    registry.wake();
    assert_eq!(kept(&registry), [2, 257 + 2, 2]);
    registry.pass_seconds(1);
    for left in [[1, 1 + 2, 2], [0, 0, 0]] {
        registry.wake();
        assert_eq!(kept(&registry), left);
    }
    assert_eq!(registry.violations(), Vec::<String>::new());
    let again = registry.call_with(first, enroll_all(UNITS_MAX)).expect("a new call");
    assert!(again.values().all(|word| word == "conflict"), "{again:?}");
}

#[test]
fn a_half_done_call_that_expires_leaves_nothing() {
    let mut registry = filled(KEYS);
    begin(&mut registry);
    assert_eq!(kept(&registry), [1, 1, 1]);
    registry.pass_seconds(DAY);
    registry.wake();
    assert_eq!(kept(&registry), [0, 0, 0]);
    assert_eq!(linked(&mut registry), UNITS_MAX, "what was done stays done");
    assert_eq!(registry.violations(), Vec::<String>::new());
}

#[test]
fn a_part_that_is_run_later_keeps_those_before_it() {
    let mut registry = filled(KEYS);
    begin(&mut registry);
    registry.pass_seconds(DAY - 1);
    let failures = registry.call_with(key(1), link_all(KEYS)).expect("linked");
    registry.pass_seconds(DAY - 1);
    registry.wake();
    assert_eq!(kept(&registry), [1, 3, 1]);
    assert_eq!(registry.call_with(key(1), link_all(KEYS)), Ok(failures));
    registry.pass_seconds(61);
    registry.wake();
    assert_eq!(kept(&registry), [0, 0, 0]);
}

#[test]
fn another_call_under_an_expired_key_has_parts_of_its_own() {
    let mut registry = Registry::in_memory();
    registry.call_with(key(1), enroll_all(KEYS)).expect("enrolled");
    registry.pass_seconds(DAY);
    // The first part of the second call finds those of the first one.
    let second = registry.call_with(key(1), enroll_all(KEYS - UNITS_MAX)).expect("answered");
    assert_eq!(second.len(), KEYS - UNITS_MAX);
    assert_eq!(kept(&registry)[..2], [1, 2]);
    assert_eq!(registry.call_with(key(1), enroll_all(KEYS - UNITS_MAX)), Ok(second));
    for _ in 0..2 {
        registry.pass_seconds(DAY);
        registry.wake();
    }
    assert_eq!(kept(&registry), [0, 0, 0]);
}

#[test]
fn parts_that_a_clock_ahead_kept_go_a_day_after_it_went_back() {
    const AHEAD: i64 = 3650 * DAY as i64;
    let mut registry = Registry::in_memory();
    registry.set_clock_by(AHEAD);
    let first = registry.call_with(key(1), enroll_all(KEYS)).expect("enrolled");
    registry.set_clock_by(-AHEAD);
    assert_eq!(registry.call_with(key(1), enroll_all(KEYS)), Ok(first));
    registry.wake();
    registry.pass_seconds(DAY - 60);
    registry.wake();
    assert_eq!(kept(&registry)[..2], [1, 3]);
    registry.pass_seconds(120);
    registry.wake();
    assert_eq!(kept(&registry)[..2], [0, 0]);
}

/// Before parts were records of their own, an idempotency record held the whole reply so far.
#[test]
fn a_call_that_was_half_done_when_parts_were_no_records_goes_on() {
    let mut registry = filled(KEYS);
    begin(&mut registry);
    let view = registry.store().view().expect("a view");
    let (uid, call) = (registry.peer.uid, key(1).key.expect("a key"));
    let (place, part) = (key::kept(uid, call), key::kept_part(uid, call, 0));
    let secrets = Secrets::derive(&SecretKey::new(KEY)).expect("secrets");
    let KeptPart { sealed } = record::get(&*view, &part).expect("readable").expect("a part");
    let reply = secrets.open_counted(&part, &sealed).expect("opened");
    let so_far = [codec::encode(&(UNITS_MAX as u64)), reply.to_vec()].concat();
    // The third of the forms of a kept answer.
    let plain = codec::encode(&(2_u32, so_far));
    let old: Kept = record::get(&*view, &place).expect("readable").expect("a record");
    let sealed = secrets.seal(&place, [7; 24], &plain).expect("sealed");
    let writes = [(part, None), (place, Some(record::encode(&Kept { sealed, ..old })))];
    registry.store().commit(&writes.into()).expect("committed");
    let failures = registry.call_with(key(1), link_all(KEYS)).expect("linked");
    assert_eq!((failures.len(), linked(&mut registry)), (1, KEYS - 1));
    assert_eq!(kept(&registry)[..2], [1, 3]);
    assert_eq!(registry.call_with(key(1), link_all(KEYS)), Ok(failures));
    registry.pass_seconds(DAY);
    registry.wake();
    assert_eq!(kept(&registry), [0, 0, 0]);
}
