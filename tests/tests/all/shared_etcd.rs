//! The shared journal on three real etcds: who is elected appends, who was deposed is refused, and etcd sees no content.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use enroll_core::identity::Secrets;
use enroll_core::identity::secrets::SecretKey;
use enroll_core::state::{Store as _, StoreError};
use enroll_etcd::Config;
use enroll_protocol::{Code, token};
use enroll_tests::disk::SimulatedDisk;
use enroll_tests::etcd::Etcd;
use enroll_tests::oracle::everything;
use enroll_tests::registry::{KEY, Registry};
use enrolld::cluster::etcd_journal::{EtcdJournal, Leadership};
use enrolld::metrics::JournalFigures;
use enrolld::storage::journal::JournalStore;
use enrolld::storage::redb::{RedbOptions, RedbStore};
use enrolld::storage::shared_journal::{Head, SharedError, SharedJournal as _, Term};

use super::cluster::{name, options};

/// Three real etcds: who is elected appends, who was deposed is refused, and what was appended is read by all.
#[test]
fn etcd_elects_fences_and_keeps_the_journal() {
    let Some(mut etcd) = Etcd::start("etcd_elects_fences_and_keeps_the_journal", 3, &[]) else { return };
    tokio::runtime::Runtime::new().expect("a runtime").block_on(etcd.await_ready());
    let lease = Duration::from_secs(2);
    let config = Config { endpoints: etcd.endpoints(), timeout: Duration::from_millis(500), ..Config::default() };
    let member = |name: &str| Arc::new(EtcdJournal::new(&config, "enrolld/", name, lease).expect("a journal"));
    let (a, b) = (member("a"), member("b"));
    assert_eq!(a.identity(7), Ok(7));
    assert_eq!(b.identity(8), Ok(7));
    let first = until_elected(&a);
    assert_eq!(b.campaign().expect("answered").err().as_deref(), Some("a"));

    let secrets = || Arc::new(Secrets::derive(&SecretKey::new(KEY)).expect("keys"));
    let standby = |journal: &Arc<EtcdJournal>| {
        let redb = RedbOptions { cache_bytes: 1 << 20, verify: true };
        let tree = RedbStore::open_on(Arc::new(SimulatedDisk::holding(Vec::new())), redb);
        let tree = tree.map_err(|err| err.to_string()).expect("a tree");
        let figures = JournalFigures::default();
        JournalStore::open_shared(tree, journal.clone(), secrets(), options(), figures)
            .map(Arc::new)
            .expect("a standby")
    };
    let (of_a, of_b) = (standby(&a), standby(&b));
    of_a.lead(first.term, |_| ()).expect("leads");
    let mut registry = Registry::started(of_a.clone()).expect("a registry");
    for number in 0..40 {
        registry.call(token::Use::new(name(number))).expect("used");
    }
    // etcd's own members may fail, one at a time.
    etcd.kill(0);
    registry.call(token::Use::new(name(40))).expect("used while a member is away");
    etcd.start_member(0);

    while b.look(None).expect("a head").number < 41 {
        b.wait(40, lease).expect("a hint");
    }
    of_b.catch_up(|_| ()).expect("followed");
    assert!(everything(&*of_a).expect("read") == everything(&*of_b).expect("read"), "the standby holds other entries");
    // A deposed daemon learns it from its next write or look, however late.
    a.resign(first);
    let second = until_elected(&b);
    assert!(!*second.is_lost().borrow());
    of_b.lead(second.term, |_| ()).expect("leads");
    assert_eq!(of_a.confirm(), Err(StoreError::Deposed));
    let served = registry.serve([]);
    assert_eq!(served, Ok(()), "nothing to say");
    let late = Head { number: 1000, sum: 1 };
    assert_eq!(a.append(Term(1), late, b"late"), Err(SharedError::Deposed));
    // A repetition of the leader's own that arrives after its record was trimmed has no record before it.
    assert_eq!(b.append(second.term, late, b"trimmed"), Err(SharedError::Deposed));
    let mut registry = Registry::started(of_b).expect("the registry").with_randomness(2);
    let again = registry.call(token::Use::new(name(40))).expect_err("used");
    assert_eq!(again.code, Code::TOKEN_REUSE);
    registry.call(token::Use::new(name(41))).expect("used");
    // What lies in etcd says nothing.
    let values = etcd.data_of(1);
    let holds = |text: &str| contains(&values, text.as_bytes());
    assert!(holds("enrolld/j/"), "the keys are there");
    assert!(!holds("token-4") && !holds("superuser"), "etcd sees content");
}

fn until_elected(journal: &EtcdJournal) -> Leadership {
    let begun = Instant::now();
    loop {
        match journal.campaign().expect("answered") {
            Ok(leadership) => return leadership,
            Err(leader) => assert!(begun.elapsed() < Duration::from_secs(30), "{leader} leads for ever"),
        }
        journal.wait(u64::MAX, Duration::from_secs(1)).expect("answered");
    }
}

/// True if a file below this directory contains these bytes.
fn contains(directory: &Path, bytes: &[u8]) -> bool {
    std::fs::read_dir(directory).expect("a directory").flatten().any(|entry| match entry.path() {
        path if path.is_dir() => contains(&path, bytes),
        path => std::fs::read(path).expect("a file").windows(bytes.len()).any(|window| window == bytes),
    })
}
