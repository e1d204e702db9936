//! Rules of transactions: all units or none, the refusals of units, and what is counted though it is undone.

use enroll_protocol::transaction::{Run, Unit};
use enroll_protocol::{Code, Envelope, Refusal, role, token};
use enroll_tests::registry::Registry;
use enrolld::config::{Config, Guesses, Server};

use super::{call, check, key};

/// The index of the refused unit, which the details name.
fn unit_of(refusal: &Refusal) -> Option<u64> {
    refusal.details.as_ref().and_then(|details| details.member("unit").expect("details"))
}

fn run(registry: &mut Registry, units: &[&str]) -> Result<String, Refusal> {
    let args = format!("{{\"units\":[{}]}}", units.join(","));
    call(registry, Envelope::default(), "transaction.run", &args)
}

#[test]
fn units_are_done_together_and_each_sees_those_before_it() {
    check(
        &mut Registry::in_memory(),
        r#"
        transaction.run {"units":[{"op":"person.create","args":{"callsign":"DOG"}},{"op":"role.assign","args":{"person":"DOG","role":"member"}},{"op":"person.update","args":{"person":"DOG","patch":{"a":1}}}]} => [{"pk":"..,"callsign":"DOG","extra":{},..},true,{"pk":"..,"extra":{"a":1},..}]
        role.has {"person":"DOG","role":"member"} => true
        changes.list => {"items":[{"seq":1,..,"area":"person","verb":"create",..},{"seq":2,..,"area":"role","verb":"assign",..},{"seq":3,..,"area":"person","verb":"update",..}],..}
        transaction.run {"units":[{"op":"person.create","args":{"callsign":"CAT"}},{"op":"person.create","args":{"callsign":"dog"}}]} => callsign_reserved
        person.get {"person":"CAT"} => not_found
        transaction.run {"units":[{"op":"person.create","args":{"callsign":"CAT","certificate":"generate"}}]} => invalid_argument
        transaction.run {"units":[]} => invalid_argument
        "#,
    );
}

#[test]
fn a_refusal_has_the_code_and_the_index_of_its_unit() {
    let registry = &mut Registry::in_memory();
    let fine = r#"{"op":"token.use","args":{"token":"t"}}"#;
    let cases = [
        (r#"{"op":"token.use","args":{"token":"t"}}"#, Code::TOKEN_REUSE),
        (r#"{"op":"person.delete","args":{"person":"NOBODY"}}"#, Code::NOT_FOUND),
        (r#"{"op":"person.update","args":{"person":"NOBODY"}}"#, Code::INVALID_ARGUMENT),
        (r#"{"op":"person.get","args":{"person":"NOBODY"}}"#, Code::INVALID_ARGUMENT),
        (r#"{"op":"changes.follow"}"#, Code::INVALID_ARGUMENT),
        (r#"{"op":"server.accept_clock"}"#, Code::INVALID_ARGUMENT),
        (r#"{"op":"jwt.rotate"}"#, Code::INVALID_ARGUMENT),
        (r#"{"op":"permission.grant","args":{"role":"a","permission":"/a/"}}"#, Code::INVALID_ARGUMENT),
        (r#"{"op":"certificate.renew","args":{"person":"NOBODY"}}"#, Code::INVALID_ARGUMENT),
        (r#"{"op":"code.use","args":{"code":"AAAAAAAAAAAA"}}"#, Code::INVALID_ARGUMENT),
        (r#"{"op":"transaction.run","args":{"units":[]}}"#, Code::INVALID_ARGUMENT),
        (r#"{"op":"enrollment.delete","args":{"enrollment":"A"}}"#, Code::FORBIDDEN_OPERATION),
    ];
    for (unit, code) in cases {
        let refusal = run(registry, &[fine, unit]).expect_err("refused");
        assert_eq!((refusal.code, unit_of(&refusal)), (code, Some(1)), "{unit}: {refusal}");
    }
    run(registry, &[fine]).expect("nothing of the refused ones was done");
    assert_eq!(run(registry, &[fine; 33]).expect_err("too many").code, Code::INVALID_ARGUMENT);
}

#[test]
fn a_transaction_has_one_kept_answer() {
    let registry = &mut Registry::in_memory();
    let args = r#"{"units":[{"op":"token.use","args":{"token":"a"}},{"op":"token.use","args":{"token":"b"}}]}"#;
    let first = call(registry, key(1), "transaction.run", args).expect("done");
    assert_eq!(call(registry, key(1), "transaction.run", args), Ok(first));
    let refusal = call(registry, key(2), "transaction.run", args).expect_err("used");
    assert_eq!((refusal.code, unit_of(&refusal)), (Code::TOKEN_REUSE, Some(0)));
}

#[test]
fn events_are_filled_after_the_last_unit() {
    check(
        &mut Registry::in_memory(),
        r#"
        person.create {"callsign":"BOSS"} => {"pk"..
        person.create {"callsign":"ANT"} => {"pk"..
        person.create {"callsign":"BEE"} => {"pk"..
        person.create {"callsign":"CAT"} => {"pk"..
        $CAMP = event.create {"title":"Camp","kind":"camp","owner":"BOSS","start":"2027-07-01T10:00:00Z","duration_minutes":60,"max_participants":1,"published":true} => {"pk"..
        registration.create {"event":"$CAMP","person":"ANT"} => {"pk":"..,"waiting":false,..}
        registration.create {"event":"$CAMP","person":"BEE"} => {"pk":"..,"waiting":true,..}
        transaction.run {"units":[{"op":"registration.cancel","args":{"event":"$CAMP","person":"ANT"}},{"op":"registration.create","args":{"event":"$CAMP","person":"CAT"}}]} => [{"pk":"..,"canceled":true,..},{"pk":"..,"waiting":false,..}]
        registration.get {"event":"$CAMP","person":"BEE"} => {"pk":"..,"waiting":true,..}
        transaction.run {"units":[{"op":"registration.cancel","args":{"event":"$CAMP","person":"CAT"}},{"op":"constant.set","args":{"list":"l","value":"v"}}]} => [{"pk"..
        registration.get {"event":"$CAMP","person":"BEE"} => {"pk":"..,"waiting":false,..}
        # In the name of who asked for it, and as what follows from the last unit.
        changes.list {"since":9} => {"items":[{"seq":10,..,"verb":"cancel",..},{"seq":11,..,"verb":"set",..},{"seq":12,..,"verb":"seated",..,"peer":{"uid":1000,..},..,"cause":11,..
        "#,
    );
}

#[test]
fn codes_that_were_right_in_a_refused_transaction_count_as_guesses() {
    let guesses = Guesses { per_minute: 2, ..Guesses::default() };
    let registry = &mut Registry::configured(&Config { guesses, ..Config::default() });
    call(registry, Envelope::default(), "person.create", r#"{"callsign":"BOSS"}"#).expect("made");
    let pool = call(registry, Envelope::default(), "pool.create", r#"{"owner":"BOSS"}"#).expect("made");
    let code = pool.split_once("\"invitecode\":\"").and_then(|(_, rest)| rest.split_once('"')).expect("a code").0;
    let right = format!(r#"{{"op":"pool.set_active","args":{{"pool":"{code}","active":true}}}}"#);
    let refused = r#"{"op":"person.delete","args":{"person":"NOBODY"}}"#;
    run(registry, &[&right]).expect("done, so it counts for nothing");
    for _ in 0..2 {
        assert_eq!(run(registry, &[&right, refused]).expect_err("refused").code, Code::NOT_FOUND);
    }
    let refusal = run(registry, &[refused.replace("NOBODY", "BOSS").as_str(), &right]).expect_err("past the limit");
    assert_eq!((refusal.code, unit_of(&refusal)), (Code::TOO_MANY_ATTEMPTS, Some(1)));
    call(registry, Envelope::default(), "person.get", r#"{"person":"BOSS"}"#).expect("nothing was done");
}

#[test]
fn replies_past_a_frame_are_refused_before_anything_is_done() {
    let (guesses, server) =
        (Guesses { per_minute: 2, ..Guesses::default() }, Server { frame_kib: 256, ..Server::default() });
    let registry = &mut Registry::configured(&Config { guesses, server, ..Config::default() });
    let create = format!(r#"{{"callsign":"BOSS","extra":{{"text":"{}"}}}}"#, "x".repeat(60_000));
    call(registry, Envelope::default(), "person.create", &create).expect("made");
    let pool = call(registry, Envelope::default(), "pool.create", r#"{"owner":"BOSS"}"#).expect("made");
    let code = pool.split_once("\"invitecode\":\"").and_then(|(_, rest)| rest.split_once('"')).expect("a code").0;
    let right = format!(r#"{{"op":"pool.set_active","args":{{"pool":"{code}","active":false}}}}"#);
    let large = r#"{"op":"person.update","args":{"person":"BOSS","patch":{}}}"#;
    let status = |registry: &mut Registry| registry.call(enroll_protocol::server::Status {}).expect("a status");
    let before = status(registry).changes_head;
    for _ in 0..2 {
        let refusal = run(registry, &[&right, large, large, large, large, large]).expect_err("too large");
        assert_eq!((refusal.code, unit_of(&refusal)), (Code::TOO_LARGE, Some(5)), "{refusal}");
        assert!(refusal.message.contains("256 KiB"), "{refusal}");
    }
    assert_eq!(status(registry).changes_head, before, "nothing was done");
    let refusal = run(registry, &[&right]).expect_err("each of them had told that the code is right");
    assert_eq!(refusal.code, Code::TOO_MANY_ATTEMPTS);
    run(registry, &[large; 4]).expect("it fits");
}

#[test]
fn refused_attempts_are_told_though_the_rest_is_undone() {
    let registry = &mut Registry::in_memory();
    check(
        registry,
        r#"
        token.use {"token":"t"} => {"token"..
        transaction.run {"units":[{"op":"person.create","args":{"callsign":"CAT"}},{"op":"token.use","args":{"token":"t"}}]} => token_reuse
        transaction.run {"units":[{"op":"person.create","args":{"callsign":"CAT"}},{"op":"pool.set_active","args":{"pool":"AAAAAAAA","active":true}}]} => not_found
        enrollment.create {"callsign":"ANT"} => {"pk"..
        transaction.run {"units":[{"op":"person.create","args":{"callsign":"CAT"}},{"op":"enrollment.approve","args":{"enrollment":"ANT","approvecode":"WRONG22"}}]} => code_mismatch
        person.get {"person":"CAT"} => not_found
        enrollment.get {"enrollment":"ANT"} => {..,"state":"pending",..}
        wake
        changes.list => {"items":[{"seq":1,..},{"seq":2,..,"area":"token","verb":"use",..,"refused":"token_reuse"},{"seq":3,..,"area":"pool","verb":"set_active",..,"refused":"not_found"},{"seq":4,..,"area":"enrollment","verb":"create",..,"refused":null},{"seq":5,..,"area":"enrollment","verb":"approve",..,"refused":"code_mismatch"}],..}
        "#,
    );
}

#[test]
fn wrong_codes_of_units_count_as_guesses() {
    let guesses = Guesses { per_minute: 2, ..Guesses::default() };
    let registry = &mut Registry::configured(&Config { guesses, ..Config::default() });
    let fine = r#"{"op":"person.create","args":{"callsign":"CAT"}}"#;
    let wrong = r#"{"op":"pool.set_active","args":{"pool":"AAAAAAAA","active":true}}"#;
    for code in [Code::NOT_FOUND, Code::NOT_FOUND, Code::TOO_MANY_ATTEMPTS] {
        let refusal = run(registry, &[fine, wrong]).expect_err("refused");
        assert_eq!((refusal.code, unit_of(&refusal)), (code, Some(1)), "{refusal}");
    }
    run(registry, &[fine]).expect("it takes no code");
}

#[test]
fn actor_and_dry_run_are_those_of_the_call() {
    let registry = &mut Registry::in_memory();
    let units = r#"{"units":[{"op":"person.create","args":{"callsign":"CAT"}},{"op":"role.assign","args":{"person":"CAT","role":"cook"}}]}"#;
    call(registry, Envelope::default(), "person.create", r#"{"callsign":"BOSS","roles":["superuser"]}"#).expect("made");
    let actor = Some("BOSS".parse().expect("an actor"));
    let envelope = Envelope { actor, ..Envelope::default() };
    call(registry, Envelope { dry_run: true, ..envelope.clone() }, "transaction.run", units).expect("it would be done");
    call(registry, Envelope::default(), "person.get", r#"{"person":"CAT"}"#).expect_err("nothing was done");
    call(registry, envelope, "transaction.run", units).expect("done");
    let page = registry.call(enroll_protocol::changes::List { since: Some(0), limit: Default::default(), after: None });
    let changes = page.expect("changes").items;
    let by_boss: Vec<_> = changes.iter().filter(|change| change.actor.is_some()).map(|it| it.verb.as_str()).collect();
    assert_eq!(by_boss, ["create", "assign"]);
}

#[test]
fn units_that_no_operation_takes_are_refused_by_their_index() {
    let registry = &mut Registry::in_memory();
    let fine = Unit::of(&role::List::new("CAT".parse().expect("a name")));
    let spend = Unit::of(&token::Use::new("t".parse().expect("a token")));
    let cases = [
        (Unit { number: 9999, ..spend.clone() }, Code::UNKNOWN_OPERATION),
        (Unit { request: Vec::new(), ..spend.clone() }, Code::INVALID_ARGUMENT),
        (Unit { request: [&spend.request[..], &[0]].concat(), ..spend.clone() }, Code::INVALID_ARGUMENT),
        (fine, Code::INVALID_ARGUMENT),
    ];
    for (unit, code) in cases {
        let refusal = registry.call(Run { units: vec![spend.clone(), unit.clone()] }).expect_err("refused");
        assert_eq!((refusal.code, unit_of(&refusal)), (code, Some(1)), "{unit:?}: {refusal}");
    }
    registry.call(Run { units: vec![spend] }).expect("nothing of the refused ones was done");
}
