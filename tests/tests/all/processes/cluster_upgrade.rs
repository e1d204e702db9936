//! Upgrades of a cluster over a change of the schema: a member does not migrate alone what all of them follow, and beginning
//! anew migrates it.

use enroll_core::rules::bootstrap::SCHEMA;
use enroll_tests::etcd::Etcd;
use enroll_tests::member::MemberHost;
use enroll_tests::poll::until_within;
use enroll_tests::process::{PATIENCE, run_refused};
use tokio::runtime::Runtime;

use super::databases::{home_of, schema_of};
use super::upgrade::{NOT_MIGRATED, copies, database, entries};

#[test]
fn a_member_does_not_migrate_alone_and_beginning_anew_migrates_for_all() {
    let test = "a_member_does_not_migrate_alone_and_beginning_anew_migrates_for_all";
    let Some(etcd) = Etcd::start(test, 3, &[]) else { return };
    let runtime = Runtime::new().expect("a runtime");
    runtime.block_on(etcd.await_ready());
    let mut a = MemberHost { home: home_of(SCHEMA - 1), daemon: None };
    a.configure("a", &etcd, "");
    let before = entries(&database(&a.home));
    let refused = run_refused(&mut a.home.enrolld());
    assert_eq!(refused.code, Some(NOT_MIGRATED), "{refused:?}");
    assert!(refused.stderr.contains("enrolld cluster begin"), "{refused:?}");
    assert!(entries(&database(&a.home)) == before && copies(&a.home).is_empty(), "it was changed");

    let begun = a.offline(&["cluster", "begin"]);
    assert_eq!(begun.code, Some(0), "{begun:?}");
    assert_eq!(schema_of(&database(&a.home)), SCHEMA);
    let [copy] = copies(&a.home).try_into().expect("one copy for the way back");
    assert!(entries(&copy) == before, "the copy is as it was");

    a.start_leading();
    let mut b = MemberHost::new("b", &etcd, "").with_key_of(&a);
    let joined = b.join(&a);
    assert_eq!(joined.code, Some(0), "{joined:?}");
    b.start();
    b.await_answers();
    until_within(PATIENCE, "the same people", || {
        let people = |host: &MemberHost| host.done(&["person", "list", "--json"]);
        people(&a) == people(&b)
    });
    for host in [&a, &b] {
        host.done(&["server", "check"]);
    }
}
