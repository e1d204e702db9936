//! Rate limits of uids and their origins: whose wrong codes count together, what refused calls leave in the store, and
//! the bytes that each uid has written.

use enroll_core::context::Grant;
use enroll_core::model::key::Family;
use enroll_core::rules::rate_limit::SHARE_MAX;
use enroll_protocol::server::{DaemonStatus, Status};
use enroll_protocol::{Code, Envelope, Origin, code, enrollment, person, pool, token};
use enroll_tests::registry::Registry;

use super::{check, key};

fn guess(registry: &mut Registry, uid: u32, origin: &str) -> Code {
    registry.peer.uid = uid;
    let origin = Some(origin).filter(|origin| !origin.is_empty()).map(|origin| Origin::new(origin).expect("one"));
    let list = enrollment::List { pool: Some("WRONG22".parse().expect("a name")), ..Default::default() };
    registry.call_with(Envelope { origin, ..Envelope::default() }, list).expect_err("refused").code
}

fn entries(registry: &Registry, family: Family) -> usize {
    let (from, to) = family.bounds();
    registry.store().view().expect("a view").range(&from, &to, usize::MAX).expect("readable").len()
}

fn status(registry: &mut Registry) -> DaemonStatus {
    registry.call(Status {}).expect("a status")
}

/// The subjects of the warnings of rate limits.
fn warned(registry: &mut Registry) -> Vec<String> {
    let warnings = status(registry).warnings.into_iter();
    warnings.filter(|warning| warning.topic == "rate_limits").map(|warning| warning.subject).collect()
}

#[test]
fn a_source_is_a_uid_with_the_origin_that_it_names() {
    let registry = &mut Registry::with_settings(|settings| {
        settings.guesses_per_minute = 1;
        settings.count_together = [(3000, 3000), (4000, 3000)].into();
    });
    for (uid, origin, answer) in [
        (1000, "here", Code::NOT_FOUND),
        (1000, "here", Code::TOO_MANY_ATTEMPTS),
        (1000, "there", Code::NOT_FOUND),
        (1000, "", Code::NOT_FOUND),
        (1000, "", Code::TOO_MANY_ATTEMPTS),
        (2000, "here", Code::NOT_FOUND),
        (2000, "", Code::NOT_FOUND),
        (3000, "here", Code::NOT_FOUND),
        (4000, "here", Code::TOO_MANY_ATTEMPTS),
        (4000, "", Code::NOT_FOUND),
        (3000, "", Code::TOO_MANY_ATTEMPTS),
    ] {
        assert_eq!(guess(registry, uid, origin), answer, "uid {uid} from \"{origin}\"");
    }
    registry.pass_seconds(60);
    assert_eq!(guess(registry, 1000, "here"), Code::NOT_FOUND);
}

#[test]
fn a_uid_with_too_many_wrong_codes_in_all_its_origins_is_an_alarm_and_refuses_nobody() {
    let registry = &mut Registry::with_settings(|settings| {
        settings.guesses_uid_per_minute = 3;
        settings.guesses_total_per_minute = 5;
    });
    for number in 0..5 {
        assert_eq!(guess(registry, 1000, &format!("198.51.100.{number}")), Code::NOT_FOUND);
    }
    assert_eq!(guess(registry, 2000, ""), Code::NOT_FOUND);
    assert_eq!(warned(registry), ["all uids", "uid 1000"]);
    check(
        registry,
        r#"
        token.use {"token":"a"} => {"token"..
        changes.list {"since":3} => {"items":[{"seq":4,..,"verb":"uid_alarm",..,"peer":{"uid":1000,..},..},{"seq":5,..,"refused":"not_found"},{"seq":6,..},{"seq":7,..,"verb":"alarm",..,"peer":{"uid":2000,..},..},{..},{..}],"next":null}
        "#,
    );
    let message = &status(registry).warnings[0].message;
    assert!(message.contains("5 of them by uid 1000"), "{message}");
    registry.pass_seconds(60);
    assert_eq!(warned(registry), [""; 0]);
}

#[test]
fn the_alarm_of_wrong_codes_in_dry_runs_is_no_record() {
    let registry = &mut Registry::with_settings(|settings| settings.guesses_uid_per_minute = 1);
    for _ in 0..3 {
        let wrong = code::Use::new("WRONGWRONG22".parse().expect("a text"));
        let dry = Envelope { dry_run: true, ..Envelope::default() };
        assert_eq!(registry.call_with(dry, wrong).expect_err("refused").code, Code::NOT_FOUND);
    }
    registry.wake();
    assert_eq!(warned(registry), ["uid 1000"]);
    assert_eq!((entries(registry, Family::Changes), entries(registry, Family::Guesses)), (0, 0));
}

#[test]
fn origins_beyond_the_share_of_a_uid_count_as_one_and_leave_a_bounded_number_of_records() {
    let registry = &mut Registry::with_settings(|settings| settings.refused_per_minute = 100);
    for number in 0..SHARE_MAX + 30 {
        assert_eq!(guess(registry, 1000, &format!("origin {number}")), Code::NOT_FOUND);
    }
    assert_eq!(guess(registry, 1000, "one more"), Code::TOO_MANY_ATTEMPTS);
    assert_eq!(guess(registry, 1000, "origin 7"), Code::NOT_FOUND, "it has a window of its own");
    assert_eq!(guess(registry, 2000, "one more"), Code::NOT_FOUND, "another uid has its own share");
    registry.wake();
    assert_eq!(entries(registry, Family::Guesses), 101);
    registry.pass_seconds(200);
    while entries(registry, Family::Guesses) > 0 {
        registry.wake();
    }
    assert_eq!(guess(registry, 1000, "one more"), Code::NOT_FOUND);
    for number in 0..40 {
        assert_eq!(
            guess(registry, 1000, &format!("later {number}")),
            Code::NOT_FOUND,
            "it has a window of its own again"
        );
    }
}

#[test]
fn refused_attempts_past_the_limit_of_their_uid_are_one_summary() {
    let registry = &mut Registry::with_settings(|settings| settings.refused_per_minute = 2);
    let spent = || token::Use::new("spent".parse().expect("a token"));
    registry.call(spent()).expect("the first use");
    for _ in 0..50 {
        assert_eq!(registry.call(spent()).expect_err("refused").code, Code::TOKEN_REUSE);
    }
    assert_eq!(warned(registry), ["uid 1000, refused calls"]);
    registry.peer.uid = 2000;
    assert_eq!(registry.call(spent()).expect_err("refused").code, Code::TOKEN_REUSE);
    registry.pass_seconds(60);
    registry.peer.uid = 1000;
    assert_eq!(registry.call(spent()).expect_err("refused").code, Code::TOKEN_REUSE);
    check(
        registry,
        r#"
        changes.list {"since":1} => {"items":[{"seq":2,..,"verb":"use",..},{"seq":3,..,"verb":"use",..},{"seq":4,..,"area":"server","verb":"refusals",..,"peer":{"uid":1000,..},..,"refused":"token_reuse"},{"seq":5,..,"peer":{"uid":2000,..},..},{"seq":6,..,"verb":"use",..,"peer":{"uid":1000,..},..}],"next":null}
        "#,
    );
    assert_eq!(warned(registry), [""; 0]);
}

#[test]
fn a_dry_run_leaves_no_record_whatever_it_is_refused() {
    let registry = &mut Registry::in_memory();
    let spent = || token::Use::new("spent".parse().expect("a token"));
    registry.call(spent()).expect("the first use");
    let changes = entries(registry, Family::Changes);
    let dry = || Envelope { dry_run: true, ..key(1) };
    assert_eq!(registry.call_with(dry(), spent()).expect_err("refused").code, Code::TOKEN_REUSE);
    let wrong = code::Use::new("WRONGWRONG22".parse().expect("a text"));
    assert_eq!(registry.call_with(dry(), wrong).expect_err("refused").code, Code::NOT_FOUND);
    registry.wake();
    let families = [Family::Changes, Family::Guesses, Family::Kept];
    assert_eq!(families.map(|family| entries(registry, family)), [changes, 0, 0]);
}

#[test]
fn refusals_past_the_limit_of_their_uid_are_not_kept_and_decided_anew() {
    let registry = &mut Registry::with_settings(|settings| settings.refused_per_minute = 2);
    let assign =
        || enroll_protocol::role::Assign { person: "A".parse().expect("a name"), role: "x".parse().expect("one") };
    for number in 0..50 {
        assert_eq!(registry.call_with(key(number), assign()).expect_err("refused").code, Code::NOT_FOUND);
    }
    assert_eq!(entries(registry, Family::Kept), 2);
    registry.call_with(key(50), person::Create::new("A".parse().expect("a callsign"))).expect("what is done is kept");
    assert_eq!(entries(registry, Family::Kept), 3);
    assert_eq!(registry.call_with(key(1), assign()).expect_err("the first answer").code, Code::NOT_FOUND);
    assert_eq!(registry.call_with(key(2), assign()), Ok(true));
    let dry = Envelope { dry_run: true, ..key(60) };
    let before = entries(registry, Family::Kept);
    registry.call_with(dry, person::Create::new("A".parse().expect("a callsign"))).expect_err("refused");
    assert_eq!(entries(registry, Family::Kept), before);
}

#[test]
fn what_has_the_length_of_no_code_of_its_kind_is_no_guess() {
    let registry = &mut Registry::with_settings(|settings| settings.guesses_per_minute = 1);
    check(registry, r#"enrollment.create {"callsign":"A"} => {"pk".."#);
    let long = "A".repeat(65);
    for _ in 0..3 {
        let login = |code: &str| code::Use::new(code.parse().expect("a text"));
        assert_eq!(registry.call(login("AAAA-AAAA-AAA")).expect_err("refused").code, Code::NOT_FOUND);
        assert_eq!(registry.call(login("AAAA-AAAA-AAAA-A")).expect_err("refused").code, Code::NOT_FOUND);
        for typed in ["A-A-A-A-A", &long] {
            assert_eq!(registry.call(pool::Check { invitecode: typed.parse().expect("a text") }), Ok(false));
        }
        check(
            registry,
            r#"
            pool.get {"pool":"SHORT"} => not_found
            enrollment.find {"approvecode":"SHORT"} => not_found
            enrollment.approve {"enrollment":"A","approvecode":"SHORT"} => code_mismatch
            "#,
        );
    }
    registry.wake();
    assert_eq!((entries(registry, Family::Changes), entries(registry, Family::Guesses)), (1, 0));
    assert_eq!(registry.call(code::Use::new("AAAA-AAAA-AAAA".parse().expect("a text"))).expect_err("a guess").code, {
        Code::NOT_FOUND
    });
    check(registry, r#"pool.check {"invitecode":"SHORT"} => too_many_attempts"#);
}

#[test]
fn the_status_tells_who_has_written_how_many_bytes() {
    let registry = &mut Registry::in_memory();
    let spend = |registry: &mut Registry, uid, token: &str| {
        registry.peer.uid = uid;
        registry.call(token::Use::new(token.parse().expect("a token"))).map(drop).map_err(|refusal| refusal.code)
    };
    assert_eq!(spend(registry, 1000, "a"), Ok(()));
    assert_eq!(spend(registry, 2000, "a"), Err(Code::TOKEN_REUSE));
    assert_eq!(spend(registry, 2000, "b"), Ok(()));
    let rows = |registry: &mut Registry| {
        status(registry).written.into_iter().map(|row| (row.uid, row.bytes_this_hour, row.bytes_last_hour)).collect()
    };
    let written: Vec<_> = rows(registry);
    let [(Some(2000), two, 0), (Some(1000), one, 0)] = written[..] else { panic!("{written:?}") };
    assert!(one > 60 && two > one + 40 && two < 3 * one, "{written:?}");
    registry.peer.grant = Grant::Read;
    assert_eq!(guess(registry, 3000, ""), Code::PERMISSION_DENIED);
    registry.wake();
    registry.peer.grant = Grant::Admin;
    assert_eq!(rows(registry), written);
    registry.pass_seconds(3600);
    assert_eq!(rows(registry), [(Some(2000), 0, two), (Some(1000), 0, one)]);
    let metrics = registry.call(enroll_protocol::server::Metrics {}).expect("metrics");
    assert!(metrics.contains(&format!("enrolld_uid_written_bytes{{uid=\"2000\",hour=\"last\"}} {two}")), "{metrics}");
}

#[test]
fn a_uid_at_its_limit_is_no_alarm_yet() {
    let registry = &mut Registry::with_settings(|settings| settings.guesses_uid_per_minute = 3);
    for number in 0..3 {
        assert_eq!(guess(registry, 1000, &format!("198.51.100.{number}")), Code::NOT_FOUND);
        assert_eq!(warned(registry), [""; 0]);
    }
    assert_eq!(guess(registry, 1000, "198.51.100.3"), Code::NOT_FOUND);
    assert_eq!(warned(registry), ["uid 1000"]);
}
