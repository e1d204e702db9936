//! Failures of etcd's own members under a race for tokens: one is killed, the one that leads is killed or stopped, they are cut
//! off from each other, and a majority is gone. Nothing that was acknowledged is lost, and a minority serves nothing.

use std::path::Path;
use std::time::Duration;

use enroll_protocol::{Code, token};
use enroll_tests::cluster::Cluster;
use enroll_tests::poll::until_within;
use enroll_tests::socket::Socket;
use enroll_tests::token_race::Race;
use nix::sys::signal::Signal;

/// Clients of the hosts.
const CLIENTS: usize = 6;

/// etcd's own election takes two seconds; daemons that were deposed meanwhile start again.
const RECOVERY: Duration = Duration::from_secs(20);

/// Waits until writes go on, and starts the daemons that were deposed meanwhile.
fn await_progress(cluster: &mut Cluster, race: &Race) {
    let before = race.acknowledged_count();
    until_within(RECOVERY, "acknowledged writes", || {
        cluster.revive();
        race.acknowledged_count() > before + 100
    });
}

/// The code with which a host refuses to tell of a token, or its silence.
fn refusal(host: &Path) -> Option<Code> {
    let mut socket = Socket::try_connect(host, Duration::from_secs(5))?;
    socket.ask(&token::Get { token: "nobody".parse().expect("a token") });
    let frame = socket.receive_within(Duration::from_secs(10))?;
    Some(frame.outcome().expect_err("nobody used it").code)
}

#[test]
fn etcds_members_fail_one_at_a_time_and_are_cut_off_from_each_other() {
    let test = "etcds_members_fail_one_at_a_time_and_are_cut_off_from_each_other";
    let Some(mut cluster) = Cluster::start(test, &["a", "b", "c"]) else { return };
    let race = Race::at(cluster.hosts.iter().map(|host| host.home.socket()).collect());
    let ((), tally) = race.run(CLIENTS, 4, || {
        await_progress(&mut cluster, &race);
        let leader = cluster.runtime.block_on(cluster.etcd.leader());
        cluster.etcd.kill((leader + 1) % 3);
        await_progress(&mut cluster, &race);
        cluster.etcd.start_member((leader + 1) % 3);
        await_progress(&mut cluster, &race);
        cluster.etcd.kill(leader);
        await_progress(&mut cluster, &race);
        cluster.etcd.start_member(leader);
        await_progress(&mut cluster, &race);
        let leader = cluster.runtime.block_on(cluster.etcd.leader());
        cluster.etcd.signal(leader, Signal::SIGSTOP);
        await_progress(&mut cluster, &race);
        cluster.etcd.signal(leader, Signal::SIGCONT);
        await_progress(&mut cluster, &race);
        // The one that leads believes for a while that it still does; nobody is told anything by it.
        let leader = cluster.runtime.block_on(cluster.etcd.leader());
        cluster.runtime.block_on(cluster.etcd.isolate(leader));
        await_progress(&mut cluster, &race);
        let alone = enroll_etcd::messages::RangeRequest { key: b"enrolld/head".to_vec(), ..Default::default() };
        let told = cluster.runtime.block_on(async { cluster.etcd.client_of(leader).range(alone).await });
        assert!(told.as_ref().is_err_and(enroll_etcd::Error::is_transient), "a minority serves: {told:?}");
        cluster.etcd.rejoin();
        await_progress(&mut cluster, &race);
    });
    assert!(tally.histories > 50 && tally.reads > 500, "{tally:?}");
    cluster.expect_same_everywhere();
}

#[test]
fn without_a_majority_of_etcd_nobody_is_answered_from_the_past_and_nothing_is_lost() {
    let test = "without_a_majority_of_etcd_nobody_is_answered_from_the_past_and_nothing_is_lost";
    let Some(mut cluster) = Cluster::start(test, &["a", "b"]) else { return };
    let race = Race::at(cluster.hosts.iter().map(|host| host.home.socket()).collect());
    let ((), tally) = race.run(CLIENTS, 5, || {
        await_progress(&mut cluster, &race);
        cluster.etcd.kill(0);
        cluster.etcd.kill(1);
        let before = race.acknowledged_count();
        let told: Vec<Option<Code>> = std::thread::scope(|scope| {
            let sockets = cluster.hosts.iter().map(|host| host.home.socket());
            let asks: Vec<_> = sockets.map(|socket| scope.spawn(move || refusal(&socket))).collect();
            asks.into_iter().map(|ask| ask.join().expect("no panic")).collect()
        });
        let allowed = [None, Some(Code::BUSY), Some(Code::SHUTTING_DOWN), Some(Code::UNAVAILABLE)];
        assert!(told.iter().all(|code| allowed.contains(code)), "{told:?}");
        assert!(race.acknowledged_count() <= before + CLIENTS, "writes are acknowledged without a majority");
        cluster.etcd.start_member(0);
        await_progress(&mut cluster, &race);
        cluster.etcd.start_member(1);
        await_progress(&mut cluster, &race);
    });
    assert!(tally.histories > 20, "{tally:?}");
    cluster.expect_same_everywhere();
}
