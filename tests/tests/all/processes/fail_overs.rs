//! Fail-overs under load: leaders are killed, paused, cut off, stopped and asked to hand over, standbys and etcds fail too, all
//! by a seed, while clients of all hosts race for tokens. What they are answered fits into one order, the feed has no hole, and
//! all hosts hold the same.
//!
//! `ENROLL_FAILOVERS=N` has the leader fail so many times and prints how long nobody was answered, `ENROLL_SEED=S` draws others:
//! `ENROLL_FAILOVERS=200 cargo test -p enroll-tests --test all -- fail_overs`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use enroll_protocol::changes;
use enroll_tests::cluster::{Cluster, DEPOSED, LEASE};
use enroll_tests::poll::until_within;
use enroll_tests::process::PATIENCE;
use enroll_tests::proxy::Fate;
use enroll_tests::seed::Seed;
use enroll_tests::skip::say;
use enroll_tests::socket::Socket;
use enroll_tests::token_race::Race;
use nix::sys::signal::Signal;
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

/// Fail-overs in one run.
const FAIL_OVERS: usize = 20;

/// Clients of the hosts.
const CLIENTS: usize = 6;

/// The longest time without an acknowledged write after a failure.
const RECOVERY: Duration = Duration::from_secs(20);

/// A failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Failure {
    Killed,
    Paused,
    CutOff,
    HandedOver,
    Stopped,
    /// Of a standby.
    StandbyKilled,
    /// Of an etcd, which may lead the others.
    EtcdKilled,
    /// The etcd that leads the others is cut off from them.
    EtcdIsolated,
}

impl Failure {
    /// Those of a leader, in turns, and others between them.
    fn draw(random: &mut SmallRng) -> Self {
        use Failure::{CutOff, EtcdIsolated, EtcdKilled, HandedOver, Killed, Paused, StandbyKilled, Stopped};
        let all =
            [Killed, Killed, Killed, Paused, CutOff, HandedOver, Stopped, StandbyKilled, EtcdKilled, EtcdIsolated];
        all[random.random_range(0..all.len())]
    }

    fn is_of_the_leader(self) -> bool {
        !matches!(self, Self::StandbyKilled | Self::EtcdKilled | Self::EtcdIsolated)
    }
}

/// Waits until writes go on, and starts the daemons that were deposed meanwhile.
fn await_progress(cluster: &mut Cluster, race: &Race) {
    let before = race.acknowledged_count();
    until_within(RECOVERY, "acknowledged writes", || {
        cluster.revive();
        race.acknowledged_count() > before + 30
    });
}

/// Lets this happen, and puts everything in order again.
fn fail(cluster: &mut Cluster, race: &Race, failure: Failure, random: &mut SmallRng) {
    let leads = cluster.await_leader(None);
    let etcd = cluster.runtime.block_on(cluster.etcd.leader());
    match failure {
        Failure::Killed => cluster.hosts[leads].kill9(),
        Failure::Paused => {
            cluster.hosts[leads].process().signal(Signal::SIGSTOP);
            cluster.await_leader(Some(leads));
            await_progress_without(cluster, race, leads);
            cluster.hosts[leads].process().signal(Signal::SIGCONT);
            assert_eq!(cluster.hosts[leads].ended(), Some(DEPOSED));
        }
        Failure::CutOff => {
            let fates = [Fate::Pass, Fate::Lose, Fate::Hold];
            // One way at least.
            let (asked, answered) = (fates[random.random_range(0..3)], fates[random.random_range(1..3)]);
            cluster.hosts[leads].set(asked, answered);
            cluster.await_leader(Some(leads));
            await_progress_without(cluster, race, leads);
            cluster.hosts[leads].mend();
            assert_eq!(cluster.hosts[leads].ended(), Some(DEPOSED));
        }
        Failure::HandedOver => {
            // It may not see the others yet; then this is none.
            let handed = cluster.hosts[leads].run(&["cluster", "hand-over"], "");
            if handed.code == Some(0) && !handed.stdout.trim().is_empty() {
                assert_eq!(cluster.hosts[leads].ended(), Some(DEPOSED));
            }
        }
        Failure::Stopped => {
            cluster.hosts[leads].process().signal(Signal::SIGTERM);
            assert_eq!(cluster.hosts[leads].ended(), Some(0));
        }
        Failure::StandbyKilled => cluster.hosts[(leads + 1) % 3].kill9(),
        Failure::EtcdKilled => {
            let member = random.random_range(0..3);
            cluster.etcd.kill(member);
            await_progress(cluster, race);
            cluster.etcd.start_member(member);
        }
        Failure::EtcdIsolated => {
            cluster.runtime.block_on(cluster.etcd.isolate(etcd));
            await_progress(cluster, race);
            cluster.etcd.rejoin();
        }
    }
    await_progress(cluster, race);
    cluster.start_all();
    cluster.hosts.iter().for_each(enroll_tests::cluster::Host::await_serving);
}

/// The same as [`await_progress`], while one daemon is left as it is.
fn await_progress_without(cluster: &mut Cluster, race: &Race, paused: usize) {
    let daemon = cluster.hosts[paused].daemon.take();
    await_progress(cluster, race);
    cluster.hosts[paused].daemon = daemon;
}

/// The feed of every host, whose numbers have no hole.
fn expect_feeds(cluster: &Cluster) {
    for host in &cluster.hosts {
        let mut socket = Socket::connect(&host.home.socket());
        let mut latest = 0;
        loop {
            let limit = "1000".parse().expect("a limit");
            let page = changes::List { since: Some(latest), limit, ..changes::List::default() };
            let items = socket.call(&page).expect("a page").items;
            if items.is_empty() {
                break;
            }
            for change in items {
                assert_eq!(change.seq, latest + 1, "{} has a hole", host.name);
                latest = change.seq;
            }
        }
        assert!(latest > 100, "{} has {latest} changes", host.name);
    }
}

/// This part of these times, in per cent.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

#[test]
fn leaders_fail_again_and_again_and_nothing_is_lost() {
    let test = "leaders_fail_again_and_again_and_nothing_is_lost";
    let Some(mut cluster) = Cluster::start(test, &["a", "b", "c"]) else { return };
    let seed = Seed::of_this_run();
    let by_hand = std::env::var("ENROLL_FAILOVERS").ok().map(|text| text.parse::<usize>().expect("a number"));
    let mut random = SmallRng::seed_from_u64(seed.0);
    let race = Race::at(cluster.hosts.iter().map(|host| host.home.socket()).collect());
    let mut gaps = BTreeMap::<Failure, Vec<Duration>>::new();
    let ((), tally) = race.run(CLIENTS, seed.0, || {
        await_progress(&mut cluster, &race);
        let mut failed = 0;
        while failed < by_hand.unwrap_or(FAIL_OVERS) {
            let failure = Failure::draw(&mut random);
            let begun = Instant::now();
            fail(&mut cluster, &race, failure, &mut random);
            gaps.entry(failure).or_default().push(race.longest_gap(begun, Instant::now()));
            failed += usize::from(failure.is_of_the_leader());
        }
    });
    for (failure, gaps) in &mut gaps {
        gaps.sort();
        let (half, most) = (percentile(gaps, 50), percentile(gaps, 99));
        if by_hand.is_some() {
            say(&format!("{failure:?} {} times: longest gap p50 {half:.2?}, p99 {most:.2?}", gaps.len()));
        }
        assert!(most < RECOVERY, "{failure:?}: {gaps:?}");
    }
    if by_hand.is_some() {
        say(&format!("lease {LEASE:?}, {tally:?}"));
    }
    assert!(tally.histories > 50 && tally.reads > 300, "{tally:?}");
    until_within(PATIENCE, "a leader that serves", || cluster.leader().is_some());
    cluster.expect_same_everywhere();
    expect_feeds(&cluster);
}
