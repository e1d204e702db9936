//! Login codes, the JWTs they are exchanged for, and guessing.

use std::sync::Arc;

use enroll_core::context::Grant;
use enroll_core::state::memory::MemoryStore;
use enroll_protocol::{Code, Envelope, Json, LoginCode, Origin, code, jwt, pool};
use enroll_tests::registry::Registry;
use enrolld::config::{Config, Guesses};

use super::check;

fn make(registry: &mut Registry, claims: &str) -> LoginCode {
    registry.call(code::Create::new(Json::new(claims).expect("claims"))).expect("made").code.expect("a code")
}

#[test]
fn a_code_is_exchanged_once_for_a_jwt_with_its_claims() {
    let registry = &mut Registry::in_memory();
    let typed = make(registry, r#"{"sub":"DOGGO01a","n":1.50}"#);
    assert_eq!(typed.as_str().len(), 12);
    let exchanged = registry.call(code::Use::new(typed.clone())).expect("exchanged");
    let jwt = exchanged.jwt.expect("a JWT");
    let claims = registry.call(jwt::Verify { jwt: jwt.clone() }).expect("valid");
    assert!(claims.as_str().contains(r#""sub":"DOGGO01a","n":1.50"#), "{claims:?}");
    let names: Vec<String> = claims.members().expect("members").into_keys().collect();
    assert_eq!(names, ["aud", "exp", "iat", "iss", "jti", "n", "sub"]);

    let again = registry.call(code::Use::new(typed.clone())).expect_err("refused");
    assert_eq!(again.code, Code::TOKEN_REUSE);
    let deleted = registry.call(code::Delete { code: typed }).expect_err("refused");
    assert_eq!(deleted.code, Code::FORBIDDEN_OPERATION);

    registry.now = exchanged.expires;
    assert_eq!(registry.call(jwt::Verify { jwt }).expect_err("refused").code, Code::JWT_INVALID);
}

#[test]
fn codes_are_read_as_people_type_them() {
    let registry = &mut Registry::in_memory();
    let code = make(registry, "{}");
    let typed = format!(" {}-{} ", code.as_str()[..6].to_lowercase(), &code.as_str()[6..])
        .replace('o', "0")
        .replace(['i', 'I'], "1");
    let typed = LoginCode::new(typed).expect("a text");
    assert!(registry.call(code::Use::new(typed)).expect("exchanged").jwt.is_some());
    assert_eq!(registry.call(code::Use::new(code)).expect_err("refused").code, Code::TOKEN_REUSE);
}

#[test]
fn a_code_shows_what_it_carries() {
    let registry = &mut Registry::in_memory();
    let create = code::Create {
        claims: Json::new(r#"{"sub":"A"}"#).expect("claims"),
        audit: Some(Json::new(r#"{"by":"portal","n":1}"#).expect("audit")),
        expires: Some(registry.now.plus_seconds(60)),
    };
    let code = registry.call(create.clone()).expect("made").code.expect("a code");
    let shown = registry.call(code::Get { code: code.clone() }).expect("shown");
    assert_eq!((shown.claims, shown.audit, shown.used_on), (create.claims, create.audit, None));
    assert_eq!(shown.expires, create.expires);
    let used = code::Use { code: code.clone(), audit: Some(Json::new(r#"{"n":2}"#).expect("audit")) };
    registry.call(used).expect("exchanged");
    let shown = registry.call(code::Get { code }).expect("shown");
    assert_eq!(shown.used_on, Some(registry.now));
    assert_eq!(shown.audit.expect("audit").as_str(), r#"{"by":"portal","n":2}"#);
}

#[test]
fn claims_that_the_jwt_sets_itself_are_refused() {
    let mut table = String::new();
    for name in ["iss", "aud", "iat", "nbf", "exp", "jti"] {
        table.push_str(&format!("code.create {{\"claims\":{{\"{name}\":\"x\"}}}} => invalid_argument\n"));
    }
    // Characters that some readers ignore must not hide a claim.
    table.push_str(
        "code.create {\"claims\":{\"x\":{\"$serde_json::private::RawValue\":1},\"exp\":9}} => invalid_argument\n",
    );
    table.push_str("code.create {\"claims\":{},\"expires\":\"2027-01-15T08:00:00Z\"} => invalid_argument\n");
    table.push_str("code.create {\"claims\":[]} => invalid_argument\n");
    table.push_str("code.create {\"claims\":{\"sub\":\"nobody\"}} => {\"code\":\"..\",\"expires\":null}");
    check(&mut Registry::in_memory(), &table);
}

#[test]
fn an_expired_code_is_refused_and_a_used_one_stays_used() {
    let registry = &mut Registry::in_memory();
    let expires = Some(registry.now.plus_seconds(60));
    let mut create = || registry.call(code::Create { expires, ..code::Create::new(Json::default()) });
    let first = create().expect("made").code.expect("a code");
    let second = create().expect("made").code.expect("a code");
    registry.call(code::Use::new(first.clone())).expect("exchanged");
    registry.pass_seconds(60);
    assert_eq!(registry.call(code::Use::new(second)).expect_err("refused").code, Code::EXPIRED);
    assert_eq!(registry.call(code::Use::new(first)).expect_err("refused").code, Code::TOKEN_REUSE);
}

#[test]
fn a_dry_run_changes_nothing_and_shows_no_secret() {
    let registry = &mut Registry::in_memory();
    let dry = Envelope { dry_run: true, ..Envelope::default() };
    let reply = registry.call_with(dry.clone(), code::Create::new(Json::default())).expect("would be made");
    assert_eq!(reply.code, None);
    let code = make(registry, "{}");
    let reply = registry.call_with(dry, code::Use::new(code.clone())).expect("would be exchanged");
    assert_eq!(reply.jwt, None);
    assert!(registry.call(code::Use::new(code)).expect("exchanged").jwt.is_some());
}

#[test]
fn a_source_that_guesses_too_often_waits_and_others_do_not() {
    let guesses = Guesses { per_minute: 3, total_per_minute: 5, ..Guesses::default() };
    let registry = &mut Registry::configured(&Config { guesses, ..Config::default() });
    let code = make(registry, "{}");
    let wrong = || code::Use::new(LoginCode::new("WRONGWRONG22").expect("a text"));
    let from = |origin: &str| Envelope { origin: Some(Origin::new(origin).expect("one")), ..Envelope::default() };
    for _ in 0..3 {
        assert_eq!(registry.call_with(from("here"), wrong()).expect_err("refused").code, Code::NOT_FOUND);
    }
    for _ in 0..3 {
        let refusal = registry.call_with(from("here"), code::Use::new(code.clone())).expect_err("refused");
        assert_eq!(refusal.code, Code::TOO_MANY_ATTEMPTS);
        assert!(refusal.details.expect("details").as_str().contains("retry_after_ms"));
    }
    let get = code::Get { code: code.clone() };
    assert_eq!(registry.call_with(from("here"), get.clone()).expect_err("refused").code, Code::TOO_MANY_ATTEMPTS);
    registry.call_with(from("there"), get).expect("another origin is not slowed down");
    registry.pass_seconds(60);
    registry.call_with(from("here"), code::Use::new(code)).expect("the window has passed");
    assert_eq!(registry.violations(), Vec::<String>::new());
}

#[test]
fn guesses_are_recorded_one_by_one_and_what_is_past_the_limit_once() {
    let guesses = Guesses { per_minute: 2, total_per_minute: 3, ..Guesses::default() };
    let registry = &mut Registry::configured(&Config { guesses, ..Config::default() });
    check(
        registry,
        r#"
        code.get {"code":"WRONGWRONG22"} => not_found
        code.use {"code":"WRONGWRONG22"} => not_found
        code.use {"code":"WRONGWRONG22"} => too_many_attempts
        code.use {"code":"WRONGWRONG22"} => too_many_attempts
        code.get {"code":"WRONGWRONG22"} => too_many_attempts
        changes.list {} => {"items":[{"seq":1,..,"verb":"get",..,"refused":"not_found"},{"seq":2,..,"verb":"use",..,"refused":"not_found"},{"seq":3,..,"verb":"use",..,"refused":"too_many_attempts"}],"next":null}
        +60
        code.use {"code":"WRONGWRONG22"} => not_found
        changes.list {"since":3} => {"items":[{"seq":4,..,"refused":"not_found"}],"next":null}
        "#,
    );
    registry.peer.uid = 2000;
    for _ in 0..2 {
        check(registry, r#"code.use {"code":"WRONGWRONG22"} => not_found"#);
    }
    registry.peer.uid = 3000;
    check(
        registry,
        r#"
        code.use {"code":"WRONGWRONG22"} => not_found
        changes.list {"since":6} => {"items":[{"seq":7,..,"verb":"alarm",..},{"seq":8,..,"refused":"not_found"}],"next":null}
        "#,
    );
}

#[test]
fn guesses_are_remembered_over_a_restart() {
    let store = Arc::new(MemoryStore::default());
    let registry = &mut Registry::over(store.clone(), &Config::default());
    for _ in 0..30 {
        check(registry, r#"code.use {"code":"WRONGWRONG22"} => not_found"#);
    }
    let restarted = &mut Registry::reopened(store);
    check(restarted, r#"code.use {"code":"WRONGWRONG22"} => too_many_attempts"#);
    restarted.pass_seconds(60);
    check(restarted, r#"code.use {"code":"WRONGWRONG22"} => not_found"#);
}

#[test]
fn of_a_peer_that_may_only_read_nothing_is_recorded() {
    let guesses = Guesses { per_minute: 2, total_per_minute: 1, ..Guesses::default() };
    let registry = &mut Registry::configured(&Config { guesses, ..Config::default() });
    let entries =
        |registry: &Registry| registry.store().view().expect("a view").range(&[], &[255], 10_000).expect("all");
    let before = entries(registry);
    registry.peer.grant = Grant::Read;
    // By a code it finds nothing at all, so a pk that is nobody's is all that it can guess.
    let get = |registry: &mut Registry| {
        let get =
            pool::Get { pool: "01900000-0000-7000-8000-000000000000".parse().expect("a pk"), allow_deleted: false };
        registry.call(get).expect_err("refused").code
    };
    assert_eq!([(); 4].map(|()| get(registry)), [Code::NOT_FOUND; 4]);
    registry.wake();
    assert_eq!(entries(registry), before);
}

#[test]
fn look_ups_are_recorded_with_the_next_batch_and_before_its_writes() {
    let registry = &mut Registry::in_memory();
    check(
        registry,
        r#"
        code.get {"code":"WRONGWRONG22"} => not_found
        pool.check {"invitecode":"WRONG22"} => false
        changes.list {} => {"items":[],"next":null}
        +5
        token.use {"token":"a"} => {"token"..
        changes.list {} => {"items":[{"seq":1,..,"area":"code","verb":"get",..,"refused":"not_found"},{"seq":2,..,"area":"pool","verb":"check",..,"refused":"not_found"},{"seq":3,..,"area":"token","verb":"use",..}],"next":null}
        "#,
    );
}

#[test]
fn a_code_that_exists_is_no_guess() {
    let guesses = Guesses { per_minute: 1, total_per_minute: 1, ..Guesses::default() };
    let registry = &mut Registry::configured(&Config { guesses, ..Config::default() });
    let code = make(registry, "{}");
    registry.call(code::Use::new(code.clone())).expect("exchanged");
    for _ in 0..5 {
        assert_eq!(registry.call(code::Use::new(code.clone())).expect_err("refused").code, Code::TOKEN_REUSE);
    }
}

#[test]
fn the_key_set_has_the_public_key_only() {
    let registry = &mut Registry::in_memory();
    let set = registry.call(jwt::Keys {}).expect("a set");
    let keys: Vec<serde_json::Value> = set.member("keys").expect("members").expect("keys");
    assert_eq!(keys.len(), 1);
    assert_eq!(keys[0]["kty"], "OKP");
    assert_eq!(keys[0]["crv"], "Ed25519");
    assert!(keys[0].get("d").is_none());
    check(registry, r#"jwt.verify {"jwt":"no.jwt.atall"} => jwt_invalid"#);
}

#[test]
fn the_largest_claims_that_are_taken_verify() {
    let registry = &mut Registry::in_memory();
    let claims = |bytes: usize| Json::new(&format!("{{\"a\":\"{}\"}}", "x".repeat(bytes - 8))).expect("claims");
    let code = registry.call(code::Create::new(claims(60 << 10))).expect("made").code.expect("a code");
    let jwt = registry.call(code::Use::new(code)).expect("exchanged").jwt.expect("a JWT");
    registry.call(jwt::Verify { jwt }).expect("valid");
    let refusal = registry.call(code::Create::new(claims((60 << 10) + 1))).expect_err("refused");
    assert_eq!(refusal.code, Code::INVALID_ARGUMENT);
}

#[test]
fn an_actor_who_may_not_use_a_code_is_remembered_for_trying() {
    let registry = &mut Registry::in_memory();
    check(registry, r#"person.create {"callsign":"DOG"} => {"pk".."#);
    let code = make(registry, "{}");
    for op in ["use", "get"] {
        check(registry, &format!("DOG> code.{op} {{\"code\":\"{}\"}} => permission_denied", code.as_str()));
    }
    registry.wake();
    check(
        registry,
        r#"changes.list {"since":2} => {"items":[{"seq":3,..,"verb":"use","subjects":["..-.."],..,"refused":"permission_denied"},{"seq":4,..,"verb":"get",..,"refused":"permission_denied"}],"next":null}"#,
    );
}

#[test]
fn who_a_code_is_for_reads_it_without_a_permission_and_nobody_else_does() {
    let registry = &mut Registry::in_memory();
    check(
        registry,
        r#"
        person.create {"callsign":"DOG"} => {"pk"..
        person.create {"callsign":"CAT"} => {"pk"..
        "#,
    );
    let code = make(registry, r#"{"sub":"DOG"}"#);
    assert_eq!(registry.call_as("DOG", code::Get { code: code.clone() }).expect("shown").used_on, None);
    assert_eq!(registry.call_as("CAT", code::Get { code }).expect_err("refused").code, Code::PERMISSION_DENIED);
}

#[test]
fn who_has_guessed_too_often_is_told_for_how_long() {
    let registry = &mut Registry::with_settings(|settings| settings.guesses_per_minute = 1);
    let wrong = || code::Get { code: "WRONGWRONG22".parse().expect("a code") };
    assert_eq!(registry.call(wrong()).expect_err("refused").code, Code::NOT_FOUND);
    for (passed, left) in [(0, 61), (10, 51), (49, 2)] {
        registry.pass_seconds(passed);
        let refusal = registry.call(wrong()).expect_err("refused");
        assert_eq!(refusal.code, Code::TOO_MANY_ATTEMPTS);
        assert!(refusal.message.ends_with(&format!("try again in {left} seconds")), "{refusal}");
        let details = refusal.details.expect("details");
        assert!(details.as_str().contains(&format!("\"retry_after_ms\":{left}000")), "{details:?}");
    }
}

#[test]
fn a_peer_that_acts_for_everybody_is_shown_who_used_a_code() {
    let registry = &mut Registry::in_memory();
    let code = make(registry, "{}");
    registry.call(code::Use::new(code.clone())).expect("exchanged");
    (registry.peer.uid, registry.peer.grant) = (2000, Grant::Operate);
    let details = registry.call(code::Use::new(code)).expect_err("used").details.expect("details");
    assert!(details.as_str().contains(r#""used_by":{"uid":1000}"#), "{details:?}");
}
