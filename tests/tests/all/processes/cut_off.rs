//! Hosts that are paused or cut off from etcd, both ways, one way, or with what they sent delivered late: nothing that was
//! acknowledged is lost, nobody answers from the past, and all hosts hold the same in the end.

use std::time::{Duration, Instant};

use enroll_protocol::{Code, Envelope, Key, Operation as _, Pk, Token, codec, token};
use enroll_tests::cluster::{Cluster, DEPOSED, LEASE};
use enroll_tests::poll::until_within;
use enroll_tests::process::PATIENCE;
use enroll_tests::proxy::Fate;
use enroll_tests::socket::Socket;
use enroll_tests::token_race::Race;
use nix::sys::signal::Signal;

/// Clients of the hosts.
const CLIENTS: usize = 6;

/// Longer than another member needs to lead.
const TAKE_OVER: Duration = Duration::from_secs(8);

fn name(what: &str) -> Token {
    what.parse().expect("a token")
}

fn race(cluster: &Cluster) -> Race {
    Race::at(cluster.hosts.iter().map(|host| host.home.socket()).collect())
}

/// Sends a use under a key, and does not wait.
fn send_use(socket: &mut Socket, token: &str, key: u8) -> u64 {
    let envelope = Envelope { key: Some(Key(Pk::from_bytes([key; 16]))), ..Envelope::default() };
    let mut bytes = Vec::new();
    let id = socket.frame(&mut bytes, &envelope, token::Use::ROW.number, &codec::encode(&token::Use::new(name(token))));
    socket.send(&bytes).expect("sent");
    id
}

#[test]
fn a_leader_that_was_paused_beyond_its_lease_tells_nothing_of_the_past() {
    let test = "a_leader_that_was_paused_beyond_its_lease_tells_nothing_of_the_past";
    let Some(mut cluster) = Cluster::start(test, &["a", "b", "c"]) else { return };
    let race = race(&cluster);
    let ((), tally) = race.run(CLIENTS, 1, || {
        race.await_progress(PATIENCE);
        // Connections from before, one with requests in flight.
        let mut readers: Vec<_> = (0..4).map(|_| Socket::connect(&cluster.hosts[0].home.socket())).collect();
        let mut writer = Socket::connect(&cluster.hosts[0].home.socket());
        assert!(writer.call(&token::Get { token: name("paused") }).is_err());
        let paused = Instant::now();
        cluster.hosts[0].process().signal(Signal::SIGSTOP);
        send_use(&mut writer, "in-flight", 1);
        let leads = cluster.await_leader(Some(0));
        let mut elsewhere = Socket::connect(&cluster.hosts[leads].home.socket());
        elsewhere.call(&token::Use::new(name("paused"))).expect("used");
        for reader in &mut readers[..2] {
            reader.ask(&token::Get { token: name("paused") });
        }
        // For longer than a call to etcd is repeated.
        until_within(PATIENCE, "a long pause", || paused.elapsed() > LEASE * 5 / 2);
        cluster.hosts[0].process().signal(Signal::SIGCONT);
        for reader in &mut readers[2..] {
            let mut bytes = Vec::new();
            let get = codec::encode(&token::Get { token: name("paused") });
            reader.frame(&mut bytes, &Envelope::default(), token::Get::ROW.number, &get);
            // It may have ended by now.
            let _ = reader.send(&bytes);
        }
        for reader in &mut readers {
            if let Some(Err(refusal)) = reader.receive_within(PATIENCE).map(|frame| frame.outcome()) {
                assert_ne!(refusal.code, Code::NOT_FOUND, "a deposed daemon tells of the past");
            }
        }
        if let Some(frame) = writer.receive_within(PATIENCE) {
            let code = frame.outcome().expect_err("a deposed daemon acknowledges a write").code;
            assert!([Code::OUTCOME_UNKNOWN, Code::SHUTTING_DOWN].contains(&code), "{code:?}");
        }
        assert_eq!(cluster.hosts[0].ended(), Some(DEPOSED), "{}", cluster.hosts[0].log());
        cluster.hosts[0].start();
        race.await_progress(TAKE_OVER);
    });
    assert!(tally.histories > 20 && tally.reads > 100, "{tally:?}");
    cluster.expect_same_everywhere();
}

#[test]
fn a_leader_that_is_cut_off_from_etcd_is_deposed_and_late_appends_are_refused() {
    let test = "a_leader_that_is_cut_off_from_etcd_is_deposed_and_late_appends_are_refused";
    let Some(mut cluster) = Cluster::start(test, &["a", "b", "c"]) else { return };
    let race = race(&cluster);
    let (lose, pass) = (Fate::Lose, Fate::Pass);
    let ways = [(lose, lose), (lose, pass), (pass, lose), (Fate::Hold, Fate::Hold), (Fate::Hold, pass)];
    let ((), tally) = race.run(CLIENTS, 2, || {
        for (asked, answered) in ways {
            race.await_progress(PATIENCE);
            let leads = cluster.await_leader(None);
            cluster.hosts[leads].set(asked, answered);
            let begun = Instant::now();
            let next = cluster.await_leader(Some(leads));
            race.await_progress(TAKE_OVER);
            // Where answers alone are lost, a lease that is asked for is prolonged; the daemon gives up by itself.
            assert!(begun.elapsed() < LEASE * 2 + TAKE_OVER, "{asked:?} {answered:?}: {:?}", begun.elapsed());
            // What was held arrives now, while another one leads.
            cluster.hosts[leads].mend();
            assert_eq!(cluster.hosts[leads].ended(), Some(DEPOSED), "{asked:?} {answered:?}");
            assert_ne!(next, leads);
            cluster.hosts[leads].start();
            cluster.hosts[leads].await_serving();
        }
    });
    assert!(tally.histories > 20 && tally.reads > 100, "{tally:?}");
    cluster.expect_same_everywhere();
}

#[test]
fn a_standby_that_is_cut_off_waits_and_is_there_again_after_it() {
    let test = "a_standby_that_is_cut_off_waits_and_is_there_again_after_it";
    let Some(mut cluster) = Cluster::start(test, &["a", "b"]) else { return };
    let race = race(&cluster);
    let ((), _) = race.run(CLIENTS, 3, || {
        race.await_progress(PATIENCE);
        cluster.hosts[1].set(Fate::Lose, Fate::Lose);
        let mut reader = Socket::connect(&cluster.hosts[1].home.socket());
        let refused = reader.call(&token::Get { token: name("nobody") }).expect_err("no look");
        assert_eq!(refused.code, Code::BUSY, "{refused:?}");
        race.await_progress(PATIENCE);
        cluster.hosts[1].mend();
        until_within(PATIENCE, "the standby", || {
            let told = reader.call(&token::Get { token: name("nobody") });
            told.is_err_and(|refusal| refusal.code == Code::NOT_FOUND)
        });
        assert_eq!(cluster.leader(), Some(0));
        // Slow is not cut off.
        let slow = Fate::Delay(Duration::from_millis(40));
        cluster.hosts[0].set(slow, slow);
        race.await_progress(PATIENCE);
        cluster.hosts[0].mend();
        assert_eq!(cluster.leader(), Some(0));
    });
    cluster.expect_same_everywhere();
}

#[test]
fn an_answer_that_is_lost_and_a_commit_that_lands_late_are_answered_under_their_key() {
    let test = "an_answer_that_is_lost_and_a_commit_that_lands_late_are_answered_under_their_key";
    let Some(mut cluster) = Cluster::start(test, &["a", "b"]) else { return };
    // The answers are lost for less than a lease: the same transaction again finds its own record.
    let mut client = Socket::connect(&cluster.hosts[0].home.socket());
    client.call(&token::Use::new(name("first"))).expect("used");
    cluster.hosts[0].set(Fate::Pass, Fate::Lose);
    send_use(&mut client, "lost-answer", 1);
    until_within(LEASE, "its record", || cluster.value("enrolld/head").is_some_and(|head| head[7] >= 3));
    cluster.hosts[0].mend();
    let answered = client.receive().expect("an answer").outcome();
    assert!(answered.is_ok(), "{answered:?}");
    assert_eq!(cluster.leader(), Some(0));

    // The request is on its way for longer than its writer waits, but arrives before another one leads.
    let head = cluster.value("enrolld/head").expect("a head");
    cluster.hosts[0].set(Fate::Pass, Fate::Lose);
    send_use(&mut client, "landed", 2);
    until_within(LEASE, "its record", || cluster.value("enrolld/head").is_some_and(|now| now != head));
    let answered = client.receive_within(PATIENCE).map(|frame| frame.outcome());
    if let Some(answered) = &answered {
        let code = answered.as_ref().expect_err("it can not know").code;
        assert!([Code::OUTCOME_UNKNOWN, Code::SHUTTING_DOWN].contains(&code), "{code:?}");
    }
    let next = cluster.await_leader(Some(0));
    cluster.hosts[0].mend();
    assert_eq!(cluster.hosts[0].ended(), Some(DEPOSED), "{}", cluster.hosts[0].log());
    // Whoever asks again under the key is given the answer, everybody else is refused.
    let mut again = Socket::connect(&cluster.hosts[next].home.socket());
    for key in [1, 2] {
        send_use(&mut again, if key == 1 { "lost-answer" } else { "landed" }, key);
        let kept = again.receive().expect("an answer").outcome();
        assert!(kept.is_ok(), "key {key}: {kept:?}");
    }
    for token in ["lost-answer", "landed"] {
        let reuse = again.call(&token::Use::new(name(token))).expect_err("used");
        assert_eq!(reuse.code, Code::TOKEN_REUSE, "{token}");
    }
    cluster.expect_same_everywhere();
}

#[test]
fn a_standby_that_is_cut_off_from_the_leader_alone_reads_on_and_is_busy_for_writes() {
    let test = "a_standby_that_is_cut_off_from_the_leader_alone_reads_on_and_is_busy_for_writes";
    let Some(mut cluster) = Cluster::start(test, &["a", "b"]) else { return };
    let race = race(&cluster);
    let ((), _) = race.run(CLIENTS, 5, || {
        race.await_progress(PATIENCE);
        for (asked, answered) in [(Fate::Lose, Fate::Lose), (Fate::Pass, Fate::Lose), (Fate::Hold, Fate::Pass)] {
            cluster.hosts[0].peers.set(asked, answered);
            let mut at_standby = Socket::connect(&cluster.hosts[1].home.socket());
            let refused = at_standby.call(&token::Use::new(name("forwarded"))).expect_err("no way to the leader");
            assert!([Code::BUSY, Code::OUTCOME_UNKNOWN].contains(&refused.code), "{asked:?} {answered:?}: {refused:?}");
            let mut reader = Socket::connect(&cluster.hosts[1].home.socket());
            let told = reader.call(&token::Get { token: name("nobody") }).expect_err("nobody used it");
            assert_eq!(told.code, Code::NOT_FOUND, "{told:?}");
            cluster.hosts[0].peers.mend();
        }
        // A write that was on its way arrives late, after its caller was told that nobody knows.
        let mut at_standby = Socket::connect(&cluster.hosts[1].home.socket());
        until_within(PATIENCE, "forwarding", || {
            at_standby = Socket::connect(&cluster.hosts[1].home.socket());
            at_standby.call(&token::Use::new(name("link"))).map_or_else(|err| err.code == Code::TOKEN_REUSE, |_| true)
        });
        cluster.hosts[0].peers.set(Fate::Hold, Fate::Pass);
        send_use(&mut at_standby, "late", 9);
        if let Some(frame) = at_standby.receive_within(PATIENCE) {
            let code = frame.outcome().expect_err("it is held").code;
            assert!([Code::BUSY, Code::OUTCOME_UNKNOWN].contains(&code), "{code:?}");
        }
        cluster.hosts[0].peers.mend();
        until_within(PATIENCE, "its answer", || {
            let mut again = Socket::connect(&cluster.hosts[1].home.socket());
            send_use(&mut again, "late", 9);
            again.receive_within(PATIENCE).is_some_and(|frame| match frame.outcome() {
                Ok(_) => true,
                Err(refusal) => {
                    assert_ne!(refusal.code, Code::TOKEN_REUSE, "its key has the answer");
                    false
                }
            })
        });
        let mut other = Socket::connect(&cluster.hosts[0].home.socket());
        assert_eq!(other.call(&token::Use::new(name("late"))).expect_err("used").code, Code::TOKEN_REUSE);
        assert_eq!(cluster.leader(), Some(0), "etcd was there all the time");
        race.await_progress(PATIENCE);
    });
    cluster.expect_same_everywhere();
}
