//! Recovery of a cluster on real etcds, with the commands of docs/cluster.md: etcds are lost or went back, hosts
//! are lost, the secret key is another one, and every host is restarted in turn while others write.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use enroll_tests::etcd::Etcd;
use enroll_tests::member::MemberHost;
use enroll_tests::poll::{RaisedAtEnd, until_within};
use enroll_tests::process::{Output, PATIENCE, run, run_refused};
use enroll_tests::skip::skipped;
use tokio::runtime::Runtime;

/// The exit code of a daemon that was deposed, or handed over.
const DEPOSED: Option<i32> = Some(7);

fn started(test: &str, members: usize) -> Option<(Runtime, Etcd)> {
    let etcd = Etcd::start(test, members, &[])?;
    let runtime = Runtime::new().expect("a runtime");
    runtime.block_on(etcd.await_ready());
    Some((runtime, etcd))
}

/// A cluster of so many hosts, of which the first one leads, with a person and a token that was used.
fn cluster(etcd: &Etcd, names: &[&str]) -> Vec<MemberHost> {
    let mut hosts: Vec<MemberHost> = Vec::new();
    for name in names {
        let host = MemberHost::new(name, etcd, "");
        let mut host = match hosts.first() {
            Some(first) => host.with_key_of(first),
            None => host,
        };
        host.start();
        host.await_answers();
        hosts.push(host);
    }
    hosts[0].await_lead();
    hosts[0].done(&["person", "create", "CAT"]);
    assert_eq!(use_token(&hosts[0], "before").code, Some(0));
    hosts
}

fn use_token(host: &MemberHost, token: &str) -> Output {
    run(&mut host.home.enrollctl(&["token", "use"]), token)
}

/// Uses a token at any host. One that was deposed meanwhile is started again, as systemd does.
fn use_somewhere(hosts: &mut [MemberHost], token: &str) {
    until_within(PATIENCE, "a write", || {
        hosts.iter_mut().any(|host| {
            if host.has_ended() {
                host.start();
            }
            let used = use_token(host, token);
            // Perhaps by the attempt before, whose answer was lost.
            used.code == Some(0) || used.stderr.contains("token_reuse")
        })
    });
    for host in hosts {
        if host.has_ended() {
            host.start();
        }
        host.await_answers();
    }
}

/// Asserts that these have the same records, sound ones, in which `before` was used.
#[track_caller]
fn expect_alike(hosts: &[MemberHost]) {
    until_within(PATIENCE, "the same records", || hosts[0].records() == hosts[hosts.len() - 1].records());
    for host in hosts {
        assert_eq!(host.done(&["server", "check"]), "");
        let found = run(&mut host.home.enrollctl(&["token", "get"]), "before");
        assert_eq!(found.code, Some(0), "{found:?}");
    }
}

/// Begins a new journal with the first host, and has the others join it.
fn begin_anew(hosts: &mut [MemberHost], args: &[&str]) {
    let (first, others) = hosts.split_first_mut().expect("a host");
    let begun = first.offline(&[&["cluster", "begin"], args].concat());
    assert_eq!(begun.code, Some(0), "{begun:?}");
    first.start_leading();
    first.done(&["person", "create", "AFTER"]);
    for other in others {
        // It says that the journal is another one, and joins with a backup, which takes the place of what it has.
        let refused = run_refused(&mut other.home.enrolld());
        assert!(refused.code == Some(5) && refused.stderr.contains("if the cluster began anew"), "{refused:?}");
        std::fs::remove_file(other.home.state_dir().join("enrolld.redb")).expect("moved away");
        let joined = other.join(first);
        assert_eq!(joined.code, Some(0), "{joined:?}");
        other.start();
        other.await_answers();
    }
}

#[test]
fn one_etcd_is_lost_and_replaced_while_the_registry_goes_on() {
    const TEST: &str = "one_etcd_is_lost_and_replaced_while_the_registry_goes_on";
    if !Path::new("/usr/bin/etcdctl").exists() {
        return skipped(TEST, "needs etcdctl");
    }
    let Some((runtime, mut etcd)) = started(TEST, 3) else { return };
    let mut hosts = cluster(&etcd, &["a", "b"]);
    for lost in [0, 1] {
        etcd.kill(lost);
        use_somewhere(&mut hosts, &format!("without-{lost}"));
        etcd.replace(lost);
        until_within(PATIENCE, "the new one has everything", || {
            let key = b"enrolld/about".to_vec();
            let range = enroll_etcd::messages::RangeRequest { key, ..Default::default() };
            let answer = runtime.block_on(async { etcd.client_of(lost).range(range).await });
            answer.is_ok_and(|found| found.kvs.len() == 1)
        });
    }
    // The one that was there from the beginning ends, and the two new ones are a majority.
    etcd.kill(2);
    use_somewhere(&mut hosts, "without-2");
    expect_alike(&hosts);
}

#[test]
fn all_etcds_are_lost_and_the_host_with_the_highest_record_begins_anew() {
    let test = "all_etcds_are_lost_and_the_host_with_the_highest_record_begins_anew";
    let Some((runtime, mut etcd)) = started(test, 3) else { return };
    let mut hosts = cluster(&etcd, &["a", "b", "c"]);
    // One of them is behind.
    hosts[2].stop();
    assert_eq!(use_token(&hosts[0], "late").code, Some(0));
    (0..3).for_each(|member| etcd.kill(member));
    (0..3).for_each(|member| etcd.forget(member));
    (0..3).for_each(|member| etcd.start_member(member));
    runtime.block_on(etcd.await_ready());
    // No member leads on an etcd that knows nothing, not even one that runs.
    for host in &mut hosts[..2] {
        let ended = host.daemon.as_mut().expect("a daemon").ended(PATIENCE);
        assert!(matches!(ended, Some(5 | 7)), "{ended:?} {}", host.log());
        host.daemon = None;
        let _ = std::fs::remove_file(host.home.socket());
    }
    for host in &hosts {
        let refused = run_refused(&mut host.home.enrolld());
        let words = "if etcd has lost everything, begin a new journal with enrolld cluster begin";
        assert!(refused.code == Some(5) && refused.stderr.contains(words), "{refused:?}");
    }
    // Each tells how far it has come.
    let record = |host: &MemberHost| -> u64 {
        let checked = host.offline(&["check"]);
        let line = checked.stdout.lines().find_map(|line| line.trim().strip_prefix("record")).map(str::trim);
        line.and_then(|record| record.split(' ').next()?.parse().ok()).unwrap_or_else(|| panic!("{checked:?}"))
    };
    assert!(record(&hosts[0]) > record(&hosts[2]), "the one that was stopped is behind");
    begin_anew(&mut hosts, &[]);
    assert!(use_token(&hosts[0], "late").stderr.contains("token_reuse"));
    expect_alike(&hosts);
}

#[test]
fn an_etcd_that_went_back_is_refused_and_replaced_by_what_the_hosts_have() {
    let test = "an_etcd_that_went_back_is_refused_and_replaced_by_what_the_hosts_have";
    let Some((runtime, mut etcd)) = started(test, 1) else { return };
    let mut hosts = cluster(&etcd, &["a", "b"]);
    let copy = |from: &Path, to: &Path| {
        let _ = std::fs::remove_dir_all(to);
        assert!(Command::new("cp").arg("-r").args([from, to]).status().expect("cp").success());
    };
    let (data, old) = (etcd.data_of(0), etcd.data_of(7));
    hosts.iter_mut().rev().for_each(MemberHost::stop);
    etcd.kill(0);
    copy(&data, &old);
    etcd.start_member(0);
    runtime.block_on(etcd.await_ready());
    hosts[0].start_leading();
    hosts[1].start();
    hosts[1].await_answers();
    assert_eq!(use_token(&hosts[0], "late").code, Some(0));
    until_within(PATIENCE, "b has it", || run(&mut hosts[1].home.enrollctl(&["token", "get"]), "late").code == Some(0));
    hosts.iter_mut().rev().for_each(MemberHost::stop);
    etcd.kill(0);
    copy(&old, &data);
    etcd.start_member(0);
    runtime.block_on(etcd.await_ready());
    for host in &hosts {
        let refused = run_refused(&mut host.home.enrolld());
        assert!(refused.code == Some(5) && refused.stderr.contains("restored from an older copy"), "{refused:?}");
    }
    let begun = hosts[0].offline(&["cluster", "begin"]);
    assert!(begun.code == Some(1) && begun.stderr.contains("say --replace"), "{begun:?}");
    begin_anew(&mut hosts, &["--replace"]);
    assert!(use_token(&hosts[0], "late").stderr.contains("token_reuse"), "nothing is used twice");
    expect_alike(&hosts);
}

#[test]
fn another_secret_key_is_that_of_one_host_and_then_of_all() {
    let Some((_runtime, etcd)) = started("another_secret_key_is_that_of_one_host_and_then_of_all", 1) else { return };
    let mut hosts = cluster(&etcd, &["a", "b"]);
    hosts.iter_mut().rev().for_each(MemberHost::stop);
    let rotated = hosts[0].offline(&["rotate-key"]);
    assert_eq!(rotated.code, Some(0), "{rotated:?}");
    let begun = hosts[0].offline(&["cluster", "begin", "--replace"]);
    assert_eq!(begun.code, Some(0), "{begun:?}");
    hosts[0].start_leading();
    // With the key before, a backup of the registry is of no use.
    std::fs::remove_file(hosts[1].home.state_dir().join("enrolld.redb")).expect("moved away");
    let refused = hosts[1].join(&hosts[0]);
    assert_eq!(refused.code, Some(4), "{refused:?}");
    hosts[1].take_key_of(&hosts[0]);
    let joined = hosts[1].join(&hosts[0]);
    assert_eq!(joined.code, Some(0), "{joined:?}");
    hosts[1].start();
    hosts[1].await_answers();
    expect_alike(&hosts);
}

#[test]
fn a_backup_is_restored_for_the_whole_cluster() {
    let Some((_runtime, etcd)) = started("a_backup_is_restored_for_the_whole_cluster", 1) else { return };
    let mut hosts = cluster(&etcd, &["a", "b"]);
    let file = hosts[0].home.path("registry.backup").display().to_string();
    hosts[0].done(&["server", "backup", &file]);
    hosts[0].done(&["person", "create", "MISTAKE"]);
    hosts.iter_mut().rev().for_each(MemberHost::stop);
    std::fs::remove_file(hosts[0].home.state_dir().join("enrolld.redb")).expect("moved away");
    let restored = hosts[0].offline(&["restore", &file]);
    assert!(restored.code == Some(0) && restored.stdout.contains("cluster begin --replace"), "{restored:?}");
    begin_anew(&mut hosts, &["--replace"]);
    assert_eq!(hosts[1].ask(&["person", "get", "MISTAKE"]).code, Some(1));
    expect_alike(&hosts);
}

#[test]
fn every_host_is_restarted_in_turn_and_no_write_is_lost() {
    let Some((_runtime, etcd)) = started("every_host_is_restarted_in_turn_and_no_write_is_lost", 3) else { return };
    let mut hosts = cluster(&etcd, &["a", "b", "c"]);
    let (is_over, done) = (AtomicBool::new(false), AtomicU32::new(0));
    let homes: Vec<_> = hosts.iter().map(|host| host.home.socket()).collect();
    let client = MemberHost::new("client", &etcd, "");
    std::thread::scope(|scope| {
        let end = RaisedAtEnd(&is_over);
        scope.spawn(|| {
            while !is_over.load(Ordering::SeqCst) {
                let (number, mut host) = (done.load(Ordering::SeqCst), 0);
                let key = format!("00000000-0000-4000-8000-{number:012x}");
                loop {
                    let mut enrollctl = client.home.command(&enroll_tests::process::binary("enrollctl"));
                    enrollctl.arg("--socket").arg(&homes[host]).args(["token", "use", "--key", &key]);
                    let used = run(&mut enrollctl, &format!("nonce-{number}"));
                    assert!(!used.stderr.contains("token_reuse"), "{used:?}");
                    if used.code == Some(0) {
                        break;
                    }
                    host = (host + 1) % homes.len();
                }
                done.fetch_add(1, Ordering::SeqCst);
            }
        });
        let more = || {
            let before = done.load(Ordering::SeqCst);
            until_within(PATIENCE, "writes go on", || done.load(Ordering::SeqCst) > before + 3);
        };
        more();
        for standby in [1, 2] {
            hosts[standby].stop();
            more();
            hosts[standby].start();
            hosts[standby].await_answers();
        }
        // It hands over once it has seen that the others are there again.
        until_within(PATIENCE, "a hand-over", || !hosts[0].done(&["cluster", "hand-over"]).trim().is_empty());
        let ended = hosts[0].daemon.take().expect("a daemon").ended(PATIENCE);
        assert_eq!(ended, DEPOSED, "{}", hosts[0].log());
        hosts[0].start();
        hosts[0].await_answers();
        more();
        drop(end);
    });
    expect_alike(&hosts);
    for number in 0..done.load(Ordering::SeqCst) {
        let found = run(&mut hosts[0].home.enrollctl(&["token", "get"]), &format!("nonce-{number}"));
        assert_eq!(found.code, Some(0), "{number}: {found:?}");
    }
}
