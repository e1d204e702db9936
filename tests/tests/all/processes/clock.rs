//! Clock at a start: one after a clock that was ahead, and one whose own clock is doubted. The state directories are
//! made by the library, by a clock that is set; the daemon goes by the real one.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use enroll_core::model::key::WITHOUT_ORDER;
use enroll_protocol::{Json, Time, code, jwt, person, token};
use enroll_tests::process::{Daemon, Home, PATIENCE};
use enroll_tests::registry::{KEY, Registry};
use enrolld::daemon::clock::Clock;
use enrolld::metrics::JournalFigures;
use enrolld::storage::journal::JournalOptions;
use enrolld::storage::open::{OpenOptions, StateDir};
use enrolld::sys;
use serde_json::Value;

use super::expect_sound;

const DAY: u64 = 24 * 60 * 60;

/// A home whose registry was made, and written to in this way, when the clock said that it was then.
fn made_at(now: Time, how: impl FnOnce(&mut Registry)) -> Home {
    let home = Home::make();
    let state_dir = home.state_dir();
    std::fs::create_dir_all(&state_dir).expect("a directory");
    std::fs::set_permissions(&state_dir, std::fs::Permissions::from_mode(0o700)).expect("a mode");
    let key = state_dir.join("enrolld.key");
    std::fs::write(&key, format!("{}\n", STANDARD.encode(KEY))).expect("a key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).expect("a mode");
    let locked = StateDir::lock(&state_dir).expect("locked");
    let journal =
        JournalOptions { segment_bytes: 1 << 20, memory_bytes: 16 << 20, unordered: WITHOUT_ORDER, identity: 1 };
    let options = OpenOptions { cache_bytes: 1 << 20, verify_bytes_max: 1 << 20, journal };
    let store = Arc::new(locked.open_database(&options, JournalFigures::default()).expect("a database"));
    let mut registry = Registry::in_store(store.clone());
    registry.now = now;
    how(&mut registry);
    drop(registry);
    Arc::into_inner(store).expect("nobody else has it").close().expect("closed");
    home
}

fn status(daemon: &Daemon) -> Value {
    daemon.enrollctl(&["server", "status", "--json"], "").json()
}

/// The step of the clock that a status tells. A start records it with the writer's first batch, beside the first calls.
fn recorded_step(daemon: &Daemon) -> i64 {
    let until = Instant::now() + PATIENCE;
    loop {
        let status = status(daemon);
        if let Some(seconds) = status["clock"]["last_step_seconds"].as_i64() {
            return seconds;
        }
        assert!(Instant::now() < until, "no step was recorded: {status}");
    }
}

/// The warnings of a topic.
fn warned(daemon: &Daemon, topic: &str) -> String {
    let status = status(daemon);
    let warnings = status["warnings"].as_array().expect("warnings").iter();
    let messages: Vec<_> =
        warnings.filter(|warning| warning["topic"] == topic).map(|of| of["message"].as_str()).collect();
    messages.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

#[test]
fn after_a_clock_that_was_years_ahead_everything_goes_by_the_real_one() {
    let ahead = Clock::default().now().plus_seconds(3650 * DAY);
    let mut old = None;
    let home = made_at(ahead, |registry| {
        registry.call(person::Create::new("DOG".parse().expect("a name"))).expect("a person");
        registry.call(jwt::Rotate {}).expect("rotated");
        let code = registry.call(code::Create::new(Json::default())).expect("made").code.expect("a code");
        old = registry.call(code::Use::new(code)).expect("used").jwt;
    });
    let mut daemon = home.start();
    let before = Clock::default().now();
    let seconds = recorded_step(&daemon);
    assert!((-3650 * 86_400 - 60..-3649 * 86_400).contains(&seconds), "{seconds}");
    assert!(warned(&daemon, "clock").contains("set back"), "{}", status(&daemon));
    // Records bear the time of now, and a JWT of the time ahead is not valid.
    let made = daemon.enrollctl(&["person", "create", "CAT", "--json"], "").json();
    let created: Time = made["created"].as_str().expect("a time").parse().expect("a time");
    assert!(created <= Clock::default().now() && before <= created.plus_seconds(60), "{created}");
    let refused = daemon.enrollctl(&["jwt", "verify"], old.expect("a JWT").as_str());
    assert!(refused.stderr.contains("jwt_invalid"), "{refused:?}");
    // Its list of revoked certificates is of now; its authority is, once it is sure that the clock is.
    let printed = daemon.enrollctl(&["changes", "list", "--json"], "").stdout;
    assert!(printed.contains("\"verb\":\"clock\"") && printed.contains("\"verb\":\"listed\""), "{printed}");
    if sys::is_clock_unsynchronised() {
        let refused = daemon.enrollctl(&["person", "create", "TLS", "--certificate", "generate"], "");
        assert!(refused.stderr.contains("conflict") || refused.code == Some(1), "{refused:?}");
        assert!(warned(&daemon, "authority").contains("accept-clock"), "{}", status(&daemon));
        assert_eq!(daemon.enrollctl(&["server", "accept-clock"], "").code, Some(0));
    }
    daemon.terminate();
    daemon.restart();
    let issued = daemon.enrollctl(&["person", "create", "TLS", "--certificate", "generate"], "");
    assert_eq!(issued.code, Some(0), "{issued:?}");
    assert_eq!(warned(&daemon, "authority"), "");
    expect_sound(&daemon);
}

#[test]
fn a_start_long_after_the_latest_change_is_doubted_only_where_nothing_keeps_the_clock() {
    let then = Clock::default().now().minus_seconds(60 * DAY);
    let home = made_at(then, |registry| {
        let mut owner = person::Create::new("OWNER".parse().expect("a name"));
        owner.roles = vec!["superuser".parse::<enroll_protocol::RoleName>().expect("a role")].into_iter().collect();
        registry.call(owner).expect("a person");
        registry.call(token::Use::new("a".parse().expect("a token"))).expect("used");
    });
    let mut daemon = home.start();
    let is_doubted =
        |daemon: &Daemon| warned(daemon, "clock").contains("59 days") || warned(daemon, "clock").contains("60 days");
    assert_eq!(is_doubted(&daemon), sys::is_clock_unsynchronised(), "{}", status(&daemon));
    assert_eq!(daemon.enrollctl(&["person", "create", "CAT"], "").code, Some(0), "writes go on");
    daemon.terminate();
    daemon.restart();
    assert_eq!(is_doubted(&daemon), sys::is_clock_unsynchronised(), "{}", status(&daemon));
    let refused = daemon.enrollctl(&["server", "accept-clock", "--as", "CAT"], "");
    assert!(refused.stderr.contains("permission_denied"), "{refused:?}");
    let accepted = daemon.enrollctl(&["server", "accept-clock", "--json"], "").json();
    assert!(!accepted["warnings"].to_string().contains("\"clock\""), "{accepted}");
    assert!(!is_doubted(&daemon));
    daemon.terminate();
    daemon.restart();
    assert!(!is_doubted(&daemon), "{}", status(&daemon));
    let printed = daemon.enrollctl(&["changes", "list", "--json"], "").stdout;
    assert_eq!(printed.contains("accept_clock"), sys::is_clock_unsynchronised(), "{printed}");
    expect_sound(&daemon);
}
