//! The client of etcd against real etcds: transactions, leases, watches, compaction, quota, failing members.

use std::time::{Duration, Instant};

use enroll_etcd::messages::{RangeRequest, TxnResponse, response_op};
use enroll_etcd::{Change, Client, Config, Error, Txn};
use enroll_tests::etcd::Etcd;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// The value that the only step of a transaction read.
fn value(response: &TxnResponse) -> Option<Vec<u8>> {
    match response.responses.first()?.response.as_ref()? {
        response_op::Response::Range(range) => Some(range.kvs.first()?.value.clone()),
        _ => None,
    }
}

async fn get(client: &Client, key: &str) -> Option<(Vec<u8>, i64)> {
    let range = RangeRequest { key: key.into(), ..Default::default() };
    let kvs = client.range(range).await.expect("a range").kvs;
    kvs.into_iter().next().map(|kv| (kv.value, kv.create_revision))
}

async fn put(client: &Client, key: &str, value: &str) -> i64 {
    let done = client.txn(Txn::new().put(key, value, 0)).await.expect("a put");
    done.header.expect("a header").revision
}

#[test]
fn a_transaction_compares_and_swaps() {
    let Some(etcd) = Etcd::start("a_transaction_compares_and_swaps", 1, &[]) else { return };
    runtime().block_on(async {
        etcd.await_ready().await;
        let client = etcd.client();
        let claim = |who: &str| Txn::new().if_missing("leader").put("leader", who, 0).else_get("leader");
        assert!(client.txn(claim("a")).await.expect("done").succeeded);
        let second = client.txn(claim("b")).await.expect("done");
        assert_eq!((second.succeeded, value(&second)), (false, Some(b"a".to_vec())));
        // A key that was deleted and made again is another one.
        let (_, term) = get(&client, "leader").await.expect("a leader");
        assert_eq!(client.delete_range("leader", "").await, Ok(1));
        assert!(client.txn(claim("b")).await.expect("done").succeeded);
        let fenced = |term| Txn::new().if_created_at("leader", term).put("head", "1", 0).else_get("leader");
        let late = client.txn(fenced(term)).await.expect("done");
        assert_eq!((late.succeeded, value(&late)), (false, Some(b"b".to_vec())));
        assert_eq!(get(&client, "head").await, None);
        let (_, term) = get(&client, "leader").await.expect("a leader");
        assert!(client.txn(fenced(term)).await.expect("done").succeeded);
    });
}

#[test]
fn a_lease_takes_its_keys_along() {
    let Some(etcd) = Etcd::start("a_lease_takes_its_keys_along", 1, &[]) else { return };
    runtime().block_on(async {
        etcd.await_ready().await;
        let client = etcd.client();
        let (lease, ttl) = client.grant_lease(Duration::from_secs(2)).await.expect("a lease");
        assert!(ttl >= Duration::from_secs(2), "{ttl:?}");
        client.txn(Txn::new().put("member", "a", lease)).await.expect("a put");
        assert_eq!(client.keep_alive(lease).await, Ok(ttl));
        client.revoke_lease(lease).await.expect("ended");
        assert_eq!(get(&client, "member").await, None);
        assert_eq!(client.keep_alive(lease).await, Err(Error::NoLease));
        client.revoke_lease(lease).await.expect("ended already");
        let put = client.txn(Txn::new().put("member", "a", lease)).await;
        assert_eq!(put.expect_err("no lease"), Error::NoLease);
        // One that is not kept ends by itself.
        let (lease, ttl) = client.grant_lease(Duration::from_secs(2)).await.expect("a lease");
        client.txn(Txn::new().put("member", "b", lease)).await.expect("a put");
        let begun = Instant::now();
        while get(&client, "member").await.is_some() {
            assert!(begun.elapsed() < ttl * 5, "the lease does not end");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(begun.elapsed() >= ttl - Duration::from_millis(500), "{:?}", begun.elapsed());
    });
}

#[test]
fn a_watch_tells_everything_in_order_from_where_it_began() {
    let Some(etcd) = Etcd::start("a_watch_tells_everything_in_order_from_where_it_began", 1, &[]) else { return };
    runtime().block_on(async {
        etcd.await_ready().await;
        let client = etcd.client();
        let first = put(&client, "j/0", "old").await;
        // More than the 4 MiB that a message may have, so it comes in fragments.
        let large = "x".repeat(1 << 20);
        for number in 1..10 {
            put(&client, &format!("j/{number}"), &large).await;
        }
        let mut watch = client.watch("j/", "j0", first).await.expect("a watch");
        let mut told = Vec::new();
        while told.len() < 10 {
            told.extend(watch.next().await.expect("changes"));
        }
        put(&client, "other", "x").await;
        client.delete_range("j/3", "").await.expect("deleted");
        told.extend(loop {
            let changes = watch.next().await.expect("changes");
            if !changes.is_empty() {
                break changes;
            }
        });
        let keys = told.iter().map(|change| match change {
            Change::Put(kv) => String::from_utf8_lossy(&kv.key).into_owned(),
            Change::Deleted { key, .. } => format!("-{}", String::from_utf8_lossy(key)),
        });
        let expected = (0..10).map(|number| format!("j/{number}")).chain(["-j/3".to_owned()]);
        assert_eq!(keys.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
        // What is compacted can not be told any more, and what is gone needs no deletion.
        let newest = put(&client, "j/x", "new").await;
        client.compact(newest).await.expect("compacted");
        client.compact(newest).await.expect("compacted already");
        let mut late = client.watch("j/", "j0", first).await.expect("a watch");
        let err = loop {
            match late.next().await {
                Ok(changes) => assert_eq!(changes, Vec::new()),
                Err(err) => break err,
            }
        };
        assert!(matches!(err, Error::Compacted(_)), "{err}");
        let old = RangeRequest { key: b"j/0".to_vec(), revision: first, ..Default::default() };
        assert!(matches!(client.range(old).await, Err(Error::Compacted(_))));
    });
}

#[test]
fn what_etcd_can_not_take_is_told_apart() {
    let Some(etcd) = Etcd::start("what_etcd_can_not_take_is_told_apart", 1, &["--quota-backend-bytes=16777216"]) else {
        return;
    };
    runtime().block_on(async {
        etcd.await_ready().await;
        let client = etcd.client();
        let too_large = client.txn(Txn::new().put("k", vec![0; 2 << 20], 0)).await;
        assert!(matches!(too_large, Err(Error::Refused(_))), "{too_large:?}");
        let full = loop {
            if let Err(err) = client.txn(Txn::new().put("k", vec![0; 1 << 20], 0)).await {
                break err;
            }
        };
        assert!(matches!(full, Error::Full(_)), "{full}");
        // Reads and deletions go on, and the state says why.
        assert!(get(&client, "k").await.is_some());
        client.delete_range("k", "").await.expect("deleted");
        let status = client.status().await.expect("a state");
        assert!(status.errors.iter().any(|error| error.contains("NOSPACE")), "{status:?}");
        assert!(status.db_size > 8 << 20 && status.version.starts_with('3'), "{status:?}");
    });
}

#[test]
fn a_client_goes_on_with_another_member() {
    let Some(mut etcd) = Etcd::start("a_client_goes_on_with_another_member", 3, &[]) else { return };
    runtime().block_on(async {
        etcd.await_ready().await;
        let client = etcd.client();
        put(&client, "k", "1").await;
        etcd.kill(0);
        let begun = Instant::now();
        while let Err(err) = client.txn(Txn::new().put("k", "2", 0)).await {
            assert!(err.is_transient() && begun.elapsed() < Duration::from_secs(30), "{err}");
        }
        // Without a majority nothing is answered but by a member's own state.
        etcd.kill(1);
        let lone = etcd.client_of(2);
        let range = |serializable| RangeRequest { key: b"k".to_vec(), serializable, ..Default::default() };
        let err = lone.range(range(false)).await.expect_err("no majority");
        assert!(err.is_transient(), "{err}");
        assert_eq!(lone.range(range(true)).await.expect("its own").kvs.len(), 1);
        etcd.start_member(0);
        etcd.await_ready().await;
        assert_eq!(get(&lone, "k").await.map(|(value, _)| value), Some(b"2".to_vec()));
    });
}

#[test]
fn a_user_has_a_session_that_is_opened_again() {
    let Some(mut etcd) = Etcd::start("a_user_has_a_session_that_is_opened_again", 1, &[]) else { return };
    let endpoint = etcd.endpoints().remove(0);
    let etcdctl = |args: &[&str]| {
        let mut command = std::process::Command::new("etcdctl");
        command.env("ETCDCTL_API", "3").args(["--endpoints", &endpoint]).args(args);
        let output = command.output().expect("etcdctl");
        assert!(output.status.success(), "{args:?}: {output:?}");
    };
    let as_user = |password: &str| {
        let user = Some(("enrolld".to_owned(), password.to_owned()));
        let config =
            Config { endpoints: vec![endpoint.clone()], user, timeout: Duration::from_secs(2), ..Config::default() };
        Client::new(&config).expect("a client")
    };
    runtime().block_on(async {
        etcd.await_ready().await;
        etcdctl(&["user", "add", "root:secret"]);
        etcdctl(&["user", "grant-role", "root", "root"]);
        etcdctl(&["user", "add", "enrolld:secret"]);
        etcdctl(&["role", "add", "enrolld"]);
        etcdctl(&["role", "grant-permission", "enrolld", "--prefix=true", "readwrite", "enrolld/"]);
        etcdctl(&["user", "grant-role", "enrolld", "enrolld"]);
        etcdctl(&["auth", "enable"]);
        let client = as_user("secret");
        put(&client, "enrolld/k", "1").await;
        let outside = client.txn(Txn::new().put("other", "1", 0)).await;
        assert!(matches!(outside, Err(Error::Denied(_))), "{outside:?}");
        let wrong = as_user("wrong").txn(Txn::new().put("enrolld/k", "2", 0)).await;
        assert!(matches!(wrong, Err(Error::Denied(_))), "{wrong:?}");
        let nobody = etcd.client().txn(Txn::new().put("enrolld/k", "2", 0)).await;
        assert!(matches!(nobody, Err(Error::Denied(_))), "{nobody:?}");
        // A server that restarts has forgotten the session.
        etcd.kill(0);
        etcd.start_member(0);
        let begun = Instant::now();
        while let Err(err) = client.txn(Txn::new().put("enrolld/k", "3", 0)).await {
            assert!(err.is_transient() && begun.elapsed() < Duration::from_secs(30), "{err}");
        }
    });
}
