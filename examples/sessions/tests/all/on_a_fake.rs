//! The service with a fake daemon, in this process.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use enroll_client::Client;
use enroll_client::fake::Daemon;
use enroll_client::protocol::{Time, code, jwt, person};
use sessions_example::{Keys, router};
use tokio::net::TcpListener;

use crate::http::{CODES, Visitor, WORKERS, race};

/// The service with its daemon, and an administrator's client of that.
struct Site {
    daemon: Daemon,
    admin: Client,
    visitor: Visitor,
}

impl Site {
    /// A service whose daemon has the time of this machine, some seconds later or earlier.
    async fn start(seconds: i64) -> Self {
        Self::start_with(seconds, [1; 32]).await
    }

    /// The same with keys of this seed.
    async fn start_with(seconds: i64, seed: [u8; 32]) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_secs();
        let now = i64::try_from(now).expect("a time") + seconds;
        let time = Time::from_micros(now * 1_000_000).expect("a time");
        let daemon = Daemon::builder().time(time).seed(seed).start().expect("a daemon");
        let builder = Client::builder(daemon.socket_of(1001, enroll_client::fake::Grant::Operate).expect("a socket"));
        let client = builder.reconnect_for(Duration::from_secs(1)).lazy();
        let keys = Keys::fetch(client.clone(), "enrolld", "enrolld").await.expect("keys");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
        let visitor = Visitor::at(listener.local_addr().expect("an address"));
        let service = router(client, keys).into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, service).await });
        let admin = daemon.client().expect("a client");
        admin.call(person::Create::new("DOGGO01a".parse().expect("a callsign"))).await.expect("made");
        Self { daemon, admin, visitor }
    }

    async fn code(&self) -> String {
        let claims = r#"{"sub":"DOGGO01a"}"#.parse().expect("claims");
        let made = self.admin.call(code::Create::new(claims)).await.expect("made");
        made.code.expect("a code").as_str().to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_workers_open_two_hundred_sessions_by_two_hundred_codes() {
    let site = Site::start(0).await;
    let mut codes = Vec::new();
    for _ in 0..CODES {
        codes.push(site.code().await);
    }
    let visitor = &site.visitor;
    race(&codes, 200, |_, code| {
        let visitor = visitor.clone();
        async move { visitor.log_in(&code).await }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_workers_spend_two_hundred_tickets_once_each() {
    let site = Site::start(0).await;
    let mut visitors = Vec::new();
    for _ in 0..WORKERS {
        visitors.push(site.visitor.logged_in(&site.code().await).await);
    }
    let tickets: Vec<String> = (0..CODES).map(|n| format!("ticket-{n}")).collect();
    race(&tickets, 204, |worker, ticket| {
        let visitor = visitors[worker].clone();
        async move { visitor.spend(&ticket).await }
    })
    .await;
}

#[tokio::test]
async fn a_session_is_verified_without_the_daemon() {
    let site = Site::start(0).await;
    let visitor = site.visitor.logged_in(&site.code().await).await;
    let record = visitor.get("/me/record").await;
    assert_eq!((record.status, &record.body["callsign"]), (200, &"DOGGO01a".into()));
    drop(site.daemon);
    let me = visitor.get("/me").await;
    assert_eq!((me.status, &me.body["callsign"]), (200, &"DOGGO01a".into()));
    let (record, spent, logged_in) =
        tokio::join!(visitor.get("/me/record"), visitor.spend("t-1"), visitor.log_in("AAAAAAAAAAAA"));
    for away in [record, spent, logged_in] {
        assert_eq!(away.status, 503, "{away:?}");
        assert_eq!(away.headers.get("retry-after").map(String::as_str), Some("1"), "{away:?}");
        assert!(!away.body.to_string().contains("sock"), "{away:?}");
    }
}

#[tokio::test]
async fn the_daemon_knows_that_a_person_is_gone() {
    let site = Site::start(0).await;
    let visitor = site.visitor.logged_in(&site.code().await).await;
    site.admin.call(person::Delete { person: "DOGGO01a".parse().expect("a person") }).await.expect("deleted");
    assert_eq!(visitor.get("/me").await.status, 200, "until it expires");
    assert_eq!(visitor.get("/me/record").await.status, 401);
}

#[tokio::test]
async fn what_is_no_session_is_refused() {
    let site = Site::start(0).await;
    let session = site.visitor.logged_in(&site.code().await).await.session.expect("a session");
    let mut parts: Vec<&str> = session.split('.').collect();
    // {"alg":"none"}, and the claims of somebody else under the signature of this session.
    let none = format!("eyJhbGciOiJub25lIn0.{}.", parts[1]);
    parts[1] = "eyJzdWIiOiJCT1NTIn0";
    for forged in [None, Some(String::new()), Some("a.b.c".to_owned()), Some(none), Some(parts.join("."))] {
        let visitor = Visitor { session: forged, ..site.visitor.clone() };
        for answer in [visitor.get("/me").await, visitor.get("/me/record").await, visitor.spend("t-1").await] {
            assert_eq!((answer.status, &answer.body["code"]), (401, &"jwt_invalid".into()), "{visitor:?}");
        }
    }
    // A session of another daemon has another key, and one of the same key that began two days ago has expired.
    for other in [Site::start_with(0, [2; 32]).await, Site::start(-2 * 24 * 3600).await] {
        let theirs = other.visitor.logged_in(&other.code().await).await;
        let here = Visitor { address: site.visitor.address, ..theirs };
        assert_eq!(here.get("/me").await.status, 401);
    }
}

#[tokio::test]
async fn a_new_key_is_fetched_when_it_is_met() {
    let site = Site::start(0).await;
    let before = site.visitor.logged_in(&site.code().await).await;
    site.admin.call(jwt::Rotate {}).await.expect("rotated");
    let after = site.visitor.logged_in(&site.code().await).await;
    // Forged names of keys would else cause a call each.
    assert_eq!(after.get("/me").await.status, 401);
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(10)).await;
    tokio::time::resume();
    assert_eq!((after.get("/me").await.status, before.get("/me").await.status), (200, 200));
}

#[tokio::test]
async fn bad_requests_are_refused_in_words() {
    let site = Site::start(0).await;
    let long = format!("{{\"code\":\"{}\"}}", "A".repeat(5000));
    for (body, status) in [("", 400), ("{}", 422), (r#"{"code":7}"#, 422), (r#"{"code":""}"#, 422), (&long, 413)] {
        assert_eq!(site.visitor.post("/login", body).await.status, status, "{body:.40}");
    }
    let wrong = site.visitor.log_in("AAAAAAAAAAAA").await;
    assert_eq!((wrong.status, &wrong.body["code"]), (404, &"not_found".into()));
    assert_eq!(site.visitor.get("/nowhere").await.status, 404);
    for _ in 0..60 {
        site.visitor.log_in("AAAAAAAAAAAA").await;
    }
    let limited = site.visitor.log_in("AAAAAAAAAAAA").await;
    assert_eq!(limited.status, 429);
    assert!(limited.headers["retry-after"].parse::<u64>().is_ok_and(|seconds| seconds > 0), "{limited:?}");
}
