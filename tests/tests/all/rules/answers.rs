//! Answers that are whole: what a record and a refusal tell, so that nobody has to ask a second time.

use std::sync::Arc;

use enroll_core::context::Grant;
use enroll_core::delegation::{ActFor, Delegation};
use enroll_protocol::{Envelope, Json, code, enrollment};
use enroll_tests::registry::Registry;

use super::{call, check, login};

#[test]
fn a_person_is_answered_with_their_roles_everywhere() {
    let registry = &mut Registry::in_memory();
    check(
        registry,
        r#"
        person.create {"callsign":"DOG","roles":["member","guest","member"]} => ..,"roles":["guest","member"],..
        person.create {"callsign":"CAT"} => ..,"roles":[],..
        person.get {"person":"DOG"} => ..,"roles":["guest","member"],..
        person.find {"claims":{"sub":"DOG"}} => ..,"roles":["guest","member"],..
        person.list {} => {"items":[{..,"roles":["guest","member"],..},{..,"roles":[],..}],"next":null}
        person.list {"role":"guest"} => {"items":[{..,"roles":["guest","member"],..}],"next":null}
        person.update {"person":"DOG","extra":{}} => ..,"roles":["guest","member"],..
        enrollment.create {"callsign":"ANT"} => {"pk"..
        enrollment.approve {"enrollment":"ANT"} => ..,"callsign":"ANT",..,"roles":[],..
        person.delete {"person":"DOG"} => ..,"roles":[],..
        "#,
    );
    registry.peer.grant = Grant::Read;
    check(registry, r#"person.list {"prefix":"cat"} => {"items":[{..,"roles":[],..}],"next":null}"#);
}

#[test]
fn the_deleted_are_answered_where_they_are_allowed() {
    check(
        &mut Registry::in_memory(),
        r#"
        person.create {"callsign":"DOG","roles":["member"]} => {"pk"..
        person.create {"callsign":"CAT","roles":["member"]} => {"pk"..
        person.delete {"person":"DOG"} => {"pk"..
        person.find {"claims":{"sub":"DOG"}} => deleted
        person.find {"claims":{"sub":"DOG"},"allow_deleted":true} => ..,"deleted":"2..
        person.find {"claims":{"CN":"dog"},"allow_deleted":true} => ..,"deleted":"2..
        person.find {"claims":{"sub":"nobody"},"allow_deleted":true} => not_found
        CAT> person.find {"claims":{"sub":"DOG"},"allow_deleted":true} => permission_denied
        role.has {"person":"DOG","role":"member"} => deleted
        role.has {"person":"DOG","role":"member","allow_deleted":true} => false
        role.has {"person":"CAT","role":"member","allow_deleted":true} => true
        role.has {"person":"nobody","role":"member","allow_deleted":true} => not_found
        role.list {"person":"DOG"} => deleted
        role.list {"person":"DOG","allow_deleted":true} => []
        role.list {"person":"CAT","allow_deleted":true} => ["member"]
        CAT> role.list {"person":"DOG","allow_deleted":true} => permission_denied

        person.list {} => {"items":[{"pk":"..","callsign":"CAT",..}],"next":null}
        person.list {"include_deleted":true} => {"items":[{"pk":"..","callsign":"DOG",..},{"pk":"..","callsign":"CAT",..}],"next":null}
        person.list {"deleted_only":true} => {"items":[{"pk":"..","callsign":"DOG",..}],"next":null}
        person.list {"deleted_only":true,"include_deleted":true} => {"items":[{"pk":"..","callsign":"DOG",..}],"next":null}
        person.list {"deleted_only":true,"prefix":"d"} => {"items":[{"pk":"..","callsign":"DOG",..}],"next":null}
        person.list {"deleted_only":true,"prefix":"c"} => {"items":[],"next":null}
        person.list {"deleted_only":true,"role":"member"} => {"items":[],"next":null}
        pool.create {"owner":"CAT"} => {"pk"..
        +1
        $GONE = pool.create {"owner":"CAT"} => {"pk"..
        pool.delete {"pool":"$GONE"} => ..,"usable":"deleted",..
        pool.list {"deleted_only":true} => {"items":[{"pk":"$GONE",..}],"next":null}
        pool.list {"deleted_only":true,"owner":"CAT"} => {"items":[{"pk":"$GONE",..}],"next":null}
        pool.list {"deleted_only":true,"owner":"DOG"} => {"items":[],"next":null}
        pool.get {"pool":"$GONE","allow_deleted":true} => ..,"usable":"deleted",..
        "#,
    );
}

#[test]
fn a_page_of_the_deleted_ends_after_a_bounded_scan_and_goes_on() {
    let registry = &mut Registry::in_memory();
    for number in 0..1_100 {
        registry.now = registry.now.plus_seconds(1);
        let callsign = format!("DOG{number}").parse().expect("a callsign");
        registry.call(enroll_protocol::person::Create::new(callsign)).expect("made");
    }
    check(registry, r#"person.delete {"person":"DOG1099"} => {"pk".."#);
    let list = enroll_protocol::person::List { deleted_only: true, ..Default::default() };
    let first = registry.call(list.clone()).expect("a page");
    assert!(first.items.is_empty() && first.next.is_some());
    let second = registry.call(enroll_protocol::person::List { after: first.next, ..list }).expect("a page");
    assert_eq!((second.items.len(), second.next), (1, None));
}

#[test]
fn a_pool_tells_whether_it_can_be_used_without_a_guess() {
    let registry = &mut Registry::in_memory();
    registry.peer.grant = Grant::Admin;
    check(
        registry,
        r#"
        person.create {"callsign":"BOSS"} => {"pk"..
        $POOL = pool.create {"owner":"BOSS","max_uses":1,"expires":"2027-01-15T09:00:00Z"} => ..,"active":true,"usable":"yes",..
        enrollment.create {"callsign":"A","pool":{"pk":"$POOL"}} => {"pk"..
        pool.get {"pool":"$POOL"} => ..,"active":true,"usable":"exhausted",..
        pool.update {"pool":"$POOL","max_uses":2} => ..,"usable":"yes",..
        +7200
        pool.get {"pool":"$POOL"} => ..,"usable":"expired",..
        pool.update {"pool":"$POOL","clear":["expires"]} => ..,"usable":"yes",..
        pool.set_active {"pool":"$POOL","active":false} => ..,"active":false,"usable":"inactive",..
        pool.set_active {"pool":"$POOL","active":true} => ..,"active":true,"usable":"yes",..
        person.delete {"person":"BOSS"} => {"pk"..
        pool.get {"pool":"$POOL"} => ..,"usable":"owner_deleted",..
        "#,
    );
    registry.peer.grant = Grant::Read;
    check(registry, r#"pool.list {} => {"items":[{..,"usable":"owner_deleted",..}],"next":null}"#);
}

/// The details of a refusal, as JSON.
fn details(registry: &mut Registry, envelope: Envelope, op: &str, args: &str) -> serde_json::Value {
    let refusal = call(registry, envelope, op, args).expect_err("refused");
    let details = refusal.details.map(|details| details.as_str().to_owned());
    serde_json::from_str(&details.expect("details")).expect("JSON")
}

fn acting(actor: &str) -> Envelope {
    let actor = enroll_protocol::Reference::by_callsign(actor).expect("a name");
    Envelope { actor: Some(actor.into()), ..Envelope::default() }
}

#[test]
fn a_decision_that_was_made_is_told_with_its_state_time_and_maker() {
    let registry = &mut Registry::in_memory();
    check(
        registry,
        r#"
        person.create {"callsign":"BOSS","roles":["admin"]} => {"pk"..
        enrollment.create {"callsign":"DOG"} => {"pk"..
        enrollment.create {"callsign":"CAT"} => {"pk"..
        BOSS> enrollment.approve {"enrollment":"DOG"} => {"pk"..
        enrollment.reject {"enrollment":"CAT"} => {"pk"..
        "#,
    );
    let boss = registry.call(enroll_protocol::person::Get::new("BOSS".parse().expect("a name"))).expect("shown").pk;
    for op in ["enrollment.approve", "enrollment.reject", "enrollment.reopen"] {
        let told = details(registry, Envelope::default(), op, r#"{"enrollment":"DOG"}"#);
        let by = serde_json::json!({"person": boss.to_string()});
        let on = "2027-01-15T08:00:00.000000Z";
        assert_eq!(told, serde_json::json!({"state": "approved", "decided_on": on, "decided_by": by}), "{op}");
    }
    for op in ["enrollment.approve", "enrollment.reject", "enrollment.reset_code"] {
        let told = details(registry, Envelope::default(), op, r#"{"enrollment":"CAT"}"#);
        assert_eq!((&told["state"], &told["decided_by"]["uid"]), (&"rejected".into(), &1000.into()), "{op}");
    }
}

#[test]
fn a_used_token_or_code_tells_its_user_to_those_who_may_know() {
    let registry = &mut Registry::in_memory();
    check(
        registry,
        r#"
        permission.grant {"role":"clerk","permission":"/tokens/"} => true
        permission.grant {"role":"clerk","permission":"/codes/"} => true
        person.create {"callsign":"CLERK","roles":["clerk"]} => {"pk"..
        person.create {"callsign":"OTHER","roles":["clerk"]} => {"pk"..
        person.create {"callsign":"DOG"} => {"pk"..
        CLERK> token.use {"token":"a"} => {"token"..
        token.use {"token":"b"} => {"token"..
        "#,
    );
    let clerk = registry.call(enroll_protocol::person::Get::new("CLERK".parse().expect("a name"))).expect("shown").pk;
    let by_clerk = serde_json::json!({"person": clerk.to_string()});
    let on = "2027-01-15T08:00:00.000000Z";
    let told = |by: &serde_json::Value| serde_json::json!({"state": "used", "used_on": on, "used_by": by});
    for envelope in [Envelope::default(), acting("CLERK"), acting("OTHER")] {
        assert_eq!(details(registry, envelope, "token.use", r#"{"token":"a"}"#), told(&by_clerk));
    }
    let by_uid = serde_json::json!({"uid": 1000});
    assert_eq!(details(registry, Envelope::default(), "token.use", r#"{"token":"b"}"#), told(&by_uid));

    let code = login(registry, "DOG");
    let args = format!(r#"{{"code":"{}"}}"#, code.as_str());
    call(registry, acting("CLERK"), "code.use", &args).expect("exchanged");
    assert_eq!(details(registry, acting("OTHER"), "code.use", &args), told(&by_clerk));
    // DOG may use a code of their own, and may not know who else has.
    assert_eq!(details(registry, acting("DOG"), "code.use", &args), told(&serde_json::Value::Null));
    registry.peer.grant = Grant::Operate;
    registry.peer.delegation = Arc::new(Delegation { act_for: vec![ActFor::default()], ..Delegation::default() });
    assert_eq!(details(registry, Envelope::default(), "code.use", &args), told(&serde_json::Value::Null));
    assert_eq!(details(registry, Envelope::default(), "token.use", r#"{"token":"b"}"#), told(&by_uid));
}

#[test]
fn a_code_is_exchanged_for_a_jwt_and_its_claims() {
    let registry = &mut Registry::in_memory();
    let claims = Json::new(r#"{"sub":"DOGGO01a","n":1.50}"#).expect("claims");
    let code = registry.call(code::Create::new(claims.clone())).expect("made").code.expect("a code");
    let dry = Envelope { dry_run: true, ..Envelope::default() };
    let rehearsed = registry.call_with(dry, code::Use::new(code.clone())).expect("rehearsed");
    assert_eq!((rehearsed.jwt, &rehearsed.claims), (None, &claims));
    let key = Envelope { key: "0195aaaa-0000-7000-8000-000000000001".parse().ok(), ..Envelope::default() };
    let used = registry.call_with(key.clone(), code::Use::new(code.clone())).expect("exchanged");
    assert_eq!((used.jwt.is_some(), &used.claims), (true, &claims));
    assert_eq!(registry.call_with(key, code::Use::new(code)).expect("the kept answer"), used);
}

#[test]
fn an_enrollment_tells_its_signing_request_to_those_who_see_codes() {
    let registry = &mut Registry::in_memory();
    let csr = include_str!("../../../requests/p256.pem");
    let create = |callsign: &str, csr: Option<&str>| enrollment::Create {
        csr: csr.map(str::to_owned),
        ..enrollment::Create::new(callsign.parse().expect("a callsign"))
    };
    let made = registry.call(create("DOGGO01a", Some(csr))).expect("enrolled");
    assert_eq!((made.csr.as_deref(), made.has_csr), (Some(csr), true));
    registry.call(create("CAT", None)).expect("enrolled");
    let listed = registry.call(enrollment::List::default()).expect("a page").items;
    let told: Vec<_> = listed.iter().map(|item| (item.csr.as_deref(), item.has_csr)).collect();
    assert_eq!(told, [(Some(csr), true), (None, false)]);
    registry.peer.grant = Grant::Read;
    let listed = registry.call(enrollment::List::default()).expect("a page").items;
    let told: Vec<_> = listed.iter().map(|item| (item.csr.as_deref(), item.has_csr)).collect();
    assert_eq!(told, [(None, true), (None, false)]);
    let get = enrollment::Get { enrollment: "DOGGO01a".parse().expect("a name") };
    let shown = registry.call(get).expect("shown");
    assert_eq!((shown.csr, shown.has_csr), (None, true));
}

#[test]
fn pages_of_large_signing_requests_fit_a_frame() {
    let registry = &mut Registry::in_memory();
    let csr = include_str!("../../../requests/p256.pem");
    let padded = format!("{csr}{}", "\n".repeat(enroll_protocol::limits::PEM_BYTES_MAX - csr.len()));
    let create =
        enrollment::Create { csr: Some(padded), ..enrollment::Create::new("DOGGO01a".parse().expect("a callsign")) };
    assert!(registry.call(create).expect("enrolled").csr.is_some_and(|csr| csr.len() > 30 << 10));
    let page = registry.call(enrollment::List::default()).expect("a page");
    assert!(enroll_protocol::codec::encode(&page).len() < enroll_protocol::limits::PAGE_BYTES_MAX);
}
