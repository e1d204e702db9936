//! Joining a cluster with a backup on real etcds, and beginning and leaving one with a database, each with what is refused.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use enroll_tests::etcd::Etcd;
use enroll_tests::member::MemberHost;
use enroll_tests::poll::{RaisedAtEnd, until_within};
use enroll_tests::process::{Home, Output, PATIENCE, run, run_refused};
use tokio::runtime::Runtime;

fn started(test: &str, members: usize) -> Option<(Runtime, Etcd)> {
    let etcd = Etcd::start(test, members, &[])?;
    let runtime = Runtime::new().expect("a runtime");
    runtime.block_on(etcd.await_ready());
    Some((runtime, etcd))
}

/// Asserts that it was refused with this exit code and these words.
#[track_caller]
fn refused(output: &Output, code: i32, words: &str) {
    assert_eq!(output.code, Some(code), "{output:?}");
    assert!(output.stderr.contains(words), "{words}: {output:?}");
}

/// Starts a daemon that is expected to refuse.
#[track_caller]
fn start_refused(host: &MemberHost, words: &str) {
    refused(&run_refused(&mut host.home.enrolld()), 5, words);
}

/// Asserts that the members have the same records, and sound ones. `others` are standbys.
#[track_caller]
fn expect_alike(leader: &MemberHost, others: &[&MemberHost]) {
    let records = leader.records();
    for other in others {
        assert!(other.records() == records, "{} records, and others", records.len());
    }
    for host in others.iter().chain([&leader]) {
        assert_eq!(host.done(&["server", "check"]), "");
    }
}

#[test]
fn a_host_joins_with_a_backup_while_the_leader_writes_and_follows_from_there() {
    let Some((_runtime, etcd)) =
        started("a_host_joins_with_a_backup_while_the_leader_writes_and_follows_from_there", 3)
    else {
        return;
    };
    let trimming = "copies = 1\nlog_mib = 1\n";
    let mut a = MemberHost::new("a", &etcd, trimming);
    a.start_leading();
    a.done(&["person", "create", "BOSS", "--role", "superuser"]);
    let mut b = MemberHost::new("b", &etcd, trimming).with_key_of(&a);
    let mut c = MemberHost::new("c", &etcd, trimming).with_key_of(&a);
    let (is_over, made) = (AtomicBool::new(false), AtomicU32::new(0));
    std::thread::scope(|scope| {
        let end = RaisedAtEnd(&is_over);
        scope.spawn(|| {
            while !is_over.load(Ordering::SeqCst) {
                let number = made.fetch_add(1, Ordering::SeqCst);
                let used = run(&mut a.home.enrollctl(&["token", "use"]), &format!("nonce-{number}"));
                assert_eq!(used.code, Some(0), "{used:?}");
            }
        });
        until_within(PATIENCE, "a load", || made.load(Ordering::SeqCst) > 5);
        let joined = b.join(&a);
        assert_eq!(joined.code, Some(0), "{joined:?}");
        assert!(joined.stdout.contains("start the daemon: it follows from there on"), "{joined:?}");
        b.start();
        b.await_answers();
        // A standby's backup will do as well.
        let joined = c.join(&b);
        assert_eq!(joined.code, Some(0), "{joined:?}");
        c.start();
        c.await_answers();
        let before = made.load(Ordering::SeqCst);
        until_within(PATIENCE, "more load", || made.load(Ordering::SeqCst) > before + 5);
        drop(end);
    });
    expect_alike(&a, &[&b, &c]);
    a.kill9();
    until_within(PATIENCE, "another leader", || {
        let status = b.ask(&["cluster", "status", "--json"]);
        status.code == Some(0) && matches!(status.json()["leader"].as_str(), Some("b" | "c"))
    });
    let again = [&b, &c].map(|host| run(&mut host.home.enrollctl(&["--json", "token", "get"]), "nonce-0"));
    assert!(again.iter().all(|found| found.code == Some(0)), "{again:?}");
    // A host that lost its disk joins again by its name, and what it had claimed is no copy any more.
    std::fs::remove_dir_all(a.home.state_dir()).expect("removed");
    a.home = MemberHost::new("a", &etcd, trimming).with_key_of(&b).home;
    let joined = a.join(&c);
    assert_eq!(joined.code, Some(0), "{joined:?}");
    a.start();
    a.await_answers();
    until_within(PATIENCE, "it has caught up", || a.records() == b.records());
}

#[test]
fn a_backup_that_does_not_fit_the_cluster_is_refused_with_what_to_do() {
    let Some((runtime, etcd)) = started("a_backup_that_does_not_fit_the_cluster_is_refused_with_what_to_do", 1) else {
        return;
    };
    let mut a = MemberHost::new("a", &etcd, "copies = 1\nlog_mib = 1\n");
    a.start_leading();
    a.done(&["person", "create", "CAT"]);
    let mut b = MemberHost::new("b", &etcd, "").with_key_of(&a);
    let files = Home::make();
    let path = |name: &str| files.path(name).display().to_string();
    a.done(&["server", "backup", &path("early")]);

    // Of a registry of its own, and with a configuration of one.
    let lone = Home::make().start();
    lone.done(&["server", "backup", &path("local")]);
    refused(&b.offline(&["restore", "--join", &path("local")]), 5, "taken from a registry that was no cluster's");
    let joined = run(lone.home.enrolld_with(&["restore", "--join"]).arg(path("early")), "");
    refused(&joined, 2, "set store = \"etcd\" first");
    // With another key, or none.
    let other = MemberHost::new("b", &etcd, "");
    let joined = other.offline(&["restore", "--join", &path("early")]);
    assert_eq!(joined.code, Some(4), "{joined:?}");
    // By the name of a daemon that runs.
    let same = MemberHost::new("a", &etcd, "").with_key_of(&a);
    refused(&same.offline(&["restore", "--join", &path("early")]), 5, "is the member \"a\"; stop that one, or give");
    // Cut off on the way.
    let whole = std::fs::read(path("early")).expect("read");
    std::fs::write(path("cut"), &whole[..whole.len() - 9]).expect("written");
    let cut = b.offline(&["restore", "--join", &path("cut")]);
    assert_eq!(cut.code, Some(5), "{cut:?}");
    assert_eq!(claim(&runtime, &etcd, "b"), None, "nothing is kept for a member that did not join");
    // Restored without joining, it is no member's.
    let plain = b.offline(&["restore", &path("early")]);
    assert!(plain.code == Some(0) && plain.stdout.contains("it is no member's database"), "{plain:?}");
    start_refused(&b, "enrolld cluster begin begins a cluster with it");
    refused(&b.offline(&["restore", "--join", &path("early")]), 1, "is there already; move it away first");
    std::fs::remove_file(b.home.state_dir().join("enrolld.redb")).expect("removed");
    // What came after it is trimmed by now.
    let extra = format!("{{\"text\":\"{}\"}}", "x".repeat(12_000));
    let mut made = 0;
    until_within(PATIENCE, "a trimmed journal", || {
        a.done(&["person", "create", &format!("DOG{made}"), "--extra", &extra]);
        made += 1;
        let status = a.ask(&["cluster", "status", "--json"]).json();
        status["oldest_record"].as_u64() > Some(20)
    });
    refused(&b.offline(&["restore", "--join", &path("early")]), 5, "by now; take a newer backup");
    start_refused(&b, "it was away for too long, or is new; it joins with a backup");
    // The start has left an empty database, which a backup replaces.
    let joined = b.join(&a);
    assert_eq!(joined.code, Some(0), "{joined:?}");
    assert_eq!(claim(&runtime, &etcd, "b").as_deref(), Some("0"), "it is waited for, and no copy yet");
    b.start();
    b.await_answers();
    expect_alike(&a, &[&b]);
    b.stop();
    // Older than what it has.
    a.done(&["person", "create", "LATER"]);
    std::fs::write(path("early"), &whole).expect("written");
    refused(&b.offline(&["restore", "--join", &path("early")]), 5, "start the daemon, or take a backup now");
}

/// The claim of a member.
fn claim(runtime: &Runtime, etcd: &Etcd, member: &str) -> Option<String> {
    let key = format!("enrolld/k/{member}").into_bytes();
    let range = enroll_etcd::messages::RangeRequest { key, ..Default::default() };
    let found = runtime.block_on(async { etcd.client().range(range).await }).expect("answered");
    found.kvs.first().map(|kv| String::from_utf8_lossy(&kv.value).into_owned())
}

#[test]
fn a_registry_of_one_host_becomes_a_cluster_and_one_again() {
    let Some((_runtime, etcd)) = started("a_registry_of_one_host_becomes_a_cluster_and_one_again", 1) else { return };
    let mut a = MemberHost::new("a", &etcd, "");
    a.home.configure("");
    a.start();
    until_within(PATIENCE, "a daemon", || a.ask(&["person", "create", "CAT"]).code == Some(0));
    assert_eq!(run(&mut a.home.enrollctl(&["token", "use"]), "once").code, Some(0));
    // Killed, so that its journal has what its database lacks.
    a.kill9();
    refused(&a.offline(&["cluster", "begin"]), 2, "set store = \"etcd\" first");
    a.configure("a", &etcd, "");
    start_refused(&a, "enrolld cluster begin begins a cluster with it");
    let begun = a.offline(&["cluster", "begin"]);
    assert!(begun.code == Some(0) && begun.stdout.contains("begins a journal under \"enrolld/\""), "{begun:?}");
    refused(&a.offline(&["cluster", "begin"]), 1, "there is a journal under \"enrolld/\" in etcd");
    a.start_leading();
    a.done(&["person", "create", "DOG"]);
    refused(&a.offline(&["cluster", "leave"]), 3, "in use by another enrolld");
    // A member without a database can not begin from nothing.
    let mut b = MemberHost::new("b", &etcd, "").with_key_of(&a);
    start_refused(&b, "it joins with a backup of another member");
    refused(&b.offline(&["cluster", "begin", "--replace"]), 5, "there is no registry in it");
    let joined = b.join(&a);
    assert_eq!(joined.code, Some(0), "{joined:?}");
    b.start();
    b.await_answers();
    expect_alike(&a, &[&b]);
    let again = run(&mut b.home.enrollctl(&["--json", "token", "get"]), "once");
    assert_eq!(again.code, Some(0), "what was used before the cluster is used: {again:?}");

    b.stop();
    refused(&b.offline(&["cluster", "begin", "--replace"]), 1, "the member a runs on");

    // A mistyped key does not fork the registry; leaving does, and says so.
    a.done(&["person", "create", "LATE"]);
    refused(&b.offline(&["cluster", "leave"]), 1, "start the daemon until it has caught up, or say --as-it-is");
    let local = MemberHost { home: b.home, daemon: None };
    local.home.configure("store = \"local\"");
    start_refused(&local, "is the database of a member of a cluster");
    refused(&local.offline(&["cluster", "leave"]), 1, "so etcd can not be asked");
    let left = local.offline(&["cluster", "leave", "--as-it-is"]);
    assert_eq!(left.code, Some(0), "{left:?}");
    let mut local = local;
    local.start();
    until_within(PATIENCE, "a daemon", || local.ask(&["person", "create", "OWN"]).code == Some(0));
    assert_eq!(local.ask(&["server", "check"]).code, Some(0));
    assert_eq!(local.ask(&["person", "get", "LATE"]).code, Some(1));
    a.done(&["person", "get", "DOG"]);
}
