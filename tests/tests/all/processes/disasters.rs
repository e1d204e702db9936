//! Disasters of a cluster: a host that lost its database, and etcds that were restored from an older copy.

use enroll_tests::cluster::Cluster;
use enroll_tests::process::run_refused;
use enrolld::storage::open::DATABASE;
use nix::sys::signal::Signal;

/// Spends so many tokens at the host that leads.
fn spend(cluster: &Cluster, what: &str, count: usize) {
    let leads = cluster.await_leader(None);
    for number in 0..count {
        cluster.hosts[leads].done(&["token", "use"], &format!("{what}-{number}"));
    }
}

#[test]
fn a_host_that_lost_its_database_joins_again_and_an_older_copy_of_etcd_is_refused() {
    let test = "a_host_that_lost_its_database_joins_again_and_an_older_copy_of_etcd_is_refused";
    let Some(mut cluster) = Cluster::start(test, &["a", "b", "c"]) else { return };
    spend(&cluster, "before", 10);
    for lost in [1, 0] {
        cluster.hosts[lost].kill9();
        std::fs::remove_file(cluster.hosts[lost].home.state_dir().join(DATABASE)).expect("removed");
        spend(&cluster, &format!("without-{lost}"), 10);
        cluster.expect_same_everywhere();
    }

    let copy = cluster.hosts[0].home.path("etcd.snapshot");
    cluster.etcd.save_snapshot(&copy);
    spend(&cluster, "after", 10);
    cluster.expect_same_everywhere();
    for host in &mut cluster.hosts {
        host.process().signal(Signal::SIGTERM);
        assert_eq!(host.ended(), Some(0), "{}", host.log());
    }
    cluster.etcd.restore_snapshot(&copy);
    cluster.runtime.block_on(cluster.etcd.await_ready());
    for host in &cluster.hosts {
        let refused = run_refused(&mut host.home.enrolld());
        assert_eq!(refused.code, Some(5), "{refused:?}");
        assert!(refused.stderr.contains("it was restored from an older copy"), "{refused:?}");
    }
}
