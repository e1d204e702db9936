//! Metrics of a running daemon: counts of requests by answer, and nothing of their content.

use enroll_protocol::{Code, changes, person, server, token};
use enroll_tests::openmetrics::Exposition;
use enroll_tests::process::Daemon;

use enroll_tests::socket::Socket;

const TOKEN: &str = "canary-token";
const CALLSIGN: &str = "CANARY22b";

fn read(socket: &mut Socket) -> (String, Exposition) {
    let text = socket.call(&server::Metrics {}).expect("a text");
    let read = Exposition::read(&text);
    (text, read)
}

fn spend(number: u8) -> token::Use {
    token::Use::new(format!("{TOKEN}-{number}").parse().expect("a token"))
}

#[test]
fn the_numbers_are_those_of_what_was_asked() {
    let daemon = Daemon::start();
    let mut sockets = [(); 3].map(|()| Socket::connect(&daemon.home.socket()));
    for number in 0..5 {
        sockets[usize::from(number) % 3].call(&spend(number)).expect("used");
    }
    for number in 0..2 {
        assert_eq!(sockets[0].call(&spend(number)).expect_err("used before").code, Code::TOKEN_REUSE);
    }
    // A lone write is answered before it is counted, and counted before its connection's next request is.
    sockets[0].call(&person::Create::new(CALLSIGN.parse().expect("a callsign"))).expect("made");
    for socket in &mut sockets[1..] {
        let unknown = socket.call_all(&[(Default::default(), 9999, Vec::new())]);
        assert_eq!(unknown[0].as_ref().map_err(|refusal| refusal.code), Err(Code::UNKNOWN_OPERATION));
    }
    let mut stranger = Socket::silent(&daemon.home.socket());
    stranger.send(&[0, 0, 0, 1, 1]).expect("sent");
    while stranger.receive().is_some() {}

    let (_, read) = read(&mut sockets[0]);
    let by = |operation, outcome| [("operation", operation), ("outcome", outcome)];
    for (labels, expected) in [
        (by("token.use", "done"), Some(5.0)),
        (by("token.use", "refused"), Some(2.0)),
        (by("token.use", "failed"), None),
        (by("unknown", "refused"), Some(2.0)),
        (by("person.create", "done"), Some(1.0)),
        (by("server.metrics", "done"), None),
    ] {
        assert_eq!(read.value("enrolld_operations_total", &labels), expected, "{labels:?}");
        assert_eq!(read.value("enrolld_operation_seconds_count", &labels), expected, "{labels:?}");
    }
    assert_eq!(read.sum("enrolld_operations_total"), 10.0);
    let spent = read.value("enrolld_operation_seconds_sum", &by("token.use", "done")).expect("a sum");
    let committed = read.value("enrolld_commit_seconds_sum", &[]).expect("a sum");
    assert!(spent > 0.0 && committed > 0.0, "{spent} and {committed}");
    for (name, labels, expected) in [
        ("enrolld_refusals_total", &[("code", "token_reuse")][..], 2.0),
        ("enrolld_refusals_total", &[("code", "unknown_operation")], 2.0),
        ("enrolld_connections", &[], 3.0),
        ("enrolld_connections_accepted_total", &[], 4.0),
        ("enrolld_connections_refused_total", &[("code", "invalid_argument")], 1.0),
        ("enrolld_batch_requests_sum", &[], 8.0),
        ("enrolld_batch_requests_count", &[], 8.0),
        ("enrolld_queue_requests", &[], 0.0),
        ("enrolld_records", &[("kind", "token")], 5.0),
        ("enrolld_records", &[("kind", "person")], 1.0),
        ("enrolld_streams", &[], 0.0),
    ] {
        assert_eq!(read.value(name, labels), Some(expected), "{name} {labels:?}");
    }
    assert_eq!(read.sum("enrolld_refusals_total"), 4.0);
    let status = sockets[0].call(&server::Status {}).expect("a status");
    assert_eq!(read.value("enrolld_database_bytes", &[]), Some(status.database.bytes as f64));
    assert_eq!(read.value("enrolld_changes_head", &[]), Some(status.changes_head as f64));
}

#[test]
fn a_stream_is_counted_with_its_items() {
    let daemon = Daemon::start();
    let mut socket = Socket::connect(&daemon.home.socket());
    for number in 0..3 {
        socket.call(&spend(number)).expect("used");
    }
    let mut follower = Socket::connect(&daemon.home.socket());
    follower.ask(&changes::Follow { since: Some(0) });
    for _ in 0..4 {
        follower.receive().expect("its beginning, and three items");
    }
    let (_, during) = read(&mut socket);
    assert_eq!(during.value("enrolld_streams", &[]), Some(1.0));
    assert_eq!(during.value("enrolld_stream_items_total", &[]), Some(3.0));
    let begun = [("operation", "changes.follow"), ("outcome", "done")];
    assert_eq!(during.value("enrolld_operations_total", &begun), Some(1.0));
    follower.end();
    while follower.receive().is_some() {}
    assert_eq!(read(&mut socket).1.value("enrolld_streams", &[]), Some(0.0), "it ended before it was refused");
}

#[test]
fn the_text_says_nothing_of_what_it_counts() {
    let daemon = Daemon::start();
    let made = daemon.enrollctl(&["--json", "code", "create", "{\"sub\":\"canary\"}"], "").json();
    let code = made["code"].as_str().expect("a code").to_owned();
    let exchanged = daemon.enrollctl(&["--json", "code", "use"], &code).json();
    let jwt = exchanged["jwt"].as_str().expect("a JWT").to_owned();
    let mut socket = Socket::connect(&daemon.home.socket());
    socket.call(&person::Create::new(CALLSIGN.parse().expect("a callsign"))).expect("made");
    socket.call(&spend(1)).expect("used");
    socket.call(&spend(1)).expect_err("used before");
    for args in [&["person", "get", CALLSIGN][..], &["--as", CALLSIGN, "pool", "list"], &["person", "get", "CANARY"]] {
        daemon.enrollctl(args, "");
    }
    let (text, read) = read(&mut socket);
    let lower = text.to_lowercase();
    for secret in [TOKEN, CALLSIGN, "canary", &code].into_iter().chain(jwt.split('.')) {
        assert!(!lower.contains(&secret.to_lowercase()), "{secret} is in\n{text}");
    }
    let is_ours = |value: &str| value.bytes().all(|byte| byte.is_ascii_lowercase() || b"_.".contains(&byte));
    let is_number = |value: &str| value.bytes().all(|byte| byte.is_ascii_digit() || b"+.e-Inf".contains(&byte));
    let others: Vec<_> = read.label_values().into_iter().filter(|value| !is_ours(value) && !is_number(value)).collect();
    assert_eq!(others, Vec::<&str>::new());

    let printed = daemon.enrollctl(&["server", "metrics"], "");
    assert!(printed.stderr.is_empty() && printed.code == Some(0), "{printed:?}");
    Exposition::read(&printed.stdout);
    let json = daemon.enrollctl(&["--json", "server", "metrics"], "").json();
    Exposition::read(json.as_str().expect("a text"));
}
