//! Delegation: whom a peer may act for, by name and by session JWT, and that no peer becomes more than it is.

use std::sync::Arc;

use enroll_core::context::Grant;
use enroll_core::delegation::{ActFor, Delegation};
use enroll_protocol::{Actor, Code, Envelope, Jwt, code, jwt, person};
use enroll_tests::registry::Registry;

use super::{call, check, key, login};

/// A registry with a superuser, an administrator, a helper who may make codes, and two others.
fn peopled() -> Registry {
    let mut registry = Registry::in_memory();
    check(
        &mut registry,
        r#"
        permission.grant {"role":"helper","permission":"/codes/"} => true
        permission.grant {"role":"helper","permission":"/people/"} => true
        permission.grant {"role":"helper","permission":"/roles/"} => true
        permission.grant {"role":"helper","permission":"/supervisors/"} => true
        person.create {"callsign":"BOSS","roles":["superuser","supervisor"],"certificate":"generate"} => {"pk"..
        person.create {"callsign":"HELPER","roles":["helper"]} => {"pk"..
        person.create {"callsign":"DOG","roles":["member"],"certificate":"generate"} => {"pk"..
        person.create {"callsign":"CAT","roles":["supervisor"]} => {"pk"..
        "#,
    );
    registry
}

fn proven(jwt: &Jwt) -> Envelope {
    Envelope { actor: Some(Actor::Proven(jwt.clone())), ..Envelope::default() }
}

fn session(registry: &mut Registry, sub: &str) -> Jwt {
    let login = login(registry, sub);
    registry.call(code::Use::new(login)).expect("exchanged").jwt.expect("a JWT")
}

/// The code of a refusal of `person.get` about oneself, or none.
fn refused(registry: &mut Registry, envelope: Envelope, sub: &str) -> Option<Code> {
    let get = person::Get::new(sub.parse().expect("a name"));
    registry.call_with(envelope, get).err().map(|refusal| refusal.code)
}

#[test]
fn a_superuser_acts_through_an_admin_or_a_peer_that_is_named() {
    let registry = &mut peopled();
    let jwt = session(registry, "BOSS");
    for (grant, superusers, expected) in [
        (Grant::Operate, false, Some(Code::PERMISSION_DENIED)),
        (Grant::Decide, false, Some(Code::PERMISSION_DENIED)),
        (Grant::Operate, true, None),
        (Grant::Decide, true, None),
        (Grant::Admin, false, None),
    ] {
        registry.peer.grant = grant;
        registry.peer.delegation = Arc::new(Delegation { superusers, ..Delegation::default() });
        let named = Envelope { actor: "boss".parse().ok(), ..Envelope::default() };
        assert_eq!(refused(registry, named, "BOSS"), expected, "{grant:?} {superusers}");
        assert_eq!(refused(registry, proven(&jwt), "BOSS"), expected, "proven, {grant:?} {superusers}");
    }
}

#[test]
fn a_list_bounds_whom_a_peer_acts_for_and_makes_logins_for() {
    let registry = &mut peopled();
    let members = ActFor { roles: ["member".parse().expect("a role")].into(), ..ActFor::default() };
    let helper = ActFor { callsigns: ["helper".to_owned(), "boss".to_owned()].into(), ..ActFor::default() };
    let dogs = ActFor { callsigns: ["dog".to_owned()].into(), ..members.clone() };
    let bounded = |lists: &[&ActFor]| {
        let act_for = lists.iter().map(|list| (*list).clone()).collect();
        Arc::new(Delegation { act_for, ..Delegation::default() })
    };
    for (grant, lists, who, allowed) in [
        (Grant::Operate, &[&members][..], "DOG", true),
        (Grant::Operate, &[&members], "CAT", false),
        (Grant::Operate, &[&helper], "HELPER", true),
        (Grant::Operate, &[&helper], "BOSS", false),
        (Grant::Admin, &[&helper], "BOSS", true),
        (Grant::Admin, &[&helper], "CAT", false),
        (Grant::Operate, &[&members, &dogs], "DOG", true),
        (Grant::Operate, &[&members, &helper], "DOG", false),
        (Grant::Operate, &[&members, &helper], "HELPER", false),
    ] {
        (registry.peer.grant, registry.peer.delegation) = (grant, bounded(lists));
        let named = Envelope { actor: who.parse().ok(), ..Envelope::default() };
        assert_eq!(refused(registry, named, who).is_none(), allowed, "{grant:?} {lists:?} {who}");
    }
    (registry.peer.grant, registry.peer.delegation) = (Grant::Decide, bounded(&[&helper]));
    check(
        registry,
        r#"
        HELPER> code.create {"claims":{"sub":"helper"}} => {"code"..
        HELPER> code.create {"claims":{"sub":"DOG"}} => permission_denied
        HELPER> code.create {"claims":{"CN":"DOG"}} => permission_denied
        HELPER> code.create {"claims":{"sub":"guest-7"}} => {"code"..
        code.create {"claims":{"sub":"helper"}} => permission_denied
        person.get {"person":"DOG"} => permission_denied
        jwt.keys => {"keys"..
        "#,
    );
}

#[test]
fn a_peer_that_must_prove_its_actors_does_nothing_on_its_own_word() {
    let registry = &mut peopled();
    let (dog, boss) = (session(registry, "DOG"), session(registry, "BOSS"));
    registry.peer.grant = Grant::Operate;
    registry.peer.delegation = Arc::new(Delegation { proven: true, ..Delegation::default() });
    check(
        registry,
        r#"
        DOG> person.get {"person":"DOG"} => permission_denied
        person.get {"person":"DOG"} => permission_denied
        code.create {"claims":{"sub":"DOG"}} => permission_denied
        enrollment.create {"callsign":"NEW"} => {"pk"..
        "#,
    );
    assert_eq!(refused(registry, proven(&dog), "DOG"), None);
    assert_eq!(refused(registry, proven(&dog), "CAT"), Some(Code::PERMISSION_DENIED));
    assert_eq!(refused(registry, proven(&boss), "BOSS"), Some(Code::PERMISSION_DENIED));
    let own = call(registry, proven(&dog), "code.create", r#"{"claims":{"sub":"DOG"}}"#);
    assert!(own.is_ok(), "{own:?}");
    let others = call(registry, proven(&dog), "code.create", r#"{"claims":{"sub":"CAT"}}"#);
    assert_eq!(others.map_err(|refusal| refusal.code), Err(Code::PERMISSION_DENIED));
}

#[test]
fn a_session_proves_a_person_as_long_as_it_is_valid() {
    let registry = &mut peopled();
    let dog = session(registry, "DOG");
    let nobody = session(registry, "guest-7");
    let without_sub = call(registry, Envelope::default(), "code.create", r#"{"claims":{"CN":"DOG"}}"#);
    let without_sub = code::Use::new(without_sub.expect("made")[9..21].parse().expect("a code"));
    let without_sub = registry.call(without_sub).expect("exchanged").jwt.expect("a JWT");
    let forged = Jwt::new(format!("{}x", dog.as_str())).expect("a text");
    registry.peer.grant = Grant::Operate;
    for (jwt, what) in [(&nobody, "nobody"), (&without_sub, "no sub"), (&forged, "forged")] {
        assert_eq!(refused(registry, proven(jwt), "DOG"), Some(Code::JWT_INVALID), "{what}");
    }
    assert_eq!(refused(registry, proven(&dog), "dog"), None);
    registry.pass_seconds(3599);
    let again = registry.call(jwt::Refresh { jwt: dog.clone() }).expect("refreshed").jwt.expect("a JWT");
    registry.pass_seconds(1);
    assert_eq!(refused(registry, proven(&dog), "DOG"), Some(Code::JWT_INVALID), "it has expired");
    assert_eq!(refused(registry, proven(&again), "DOG"), None);
    registry.peer.grant = Grant::Admin;
    check(registry, r#"person.delete {"person":"DOG"} => {"pk".."#);
    assert_eq!(refused(registry, proven(&again), "DOG"), Some(Code::JWT_INVALID), "deleted");
}

#[test]
fn a_retry_with_a_newer_session_of_the_same_person_gets_the_first_answer() {
    let registry = &mut peopled();
    let (first, cat) = (session(registry, "DOG"), session(registry, "CAT"));
    registry.pass_seconds(10);
    let newer = registry.call(jwt::Refresh { jwt: first.clone() }).expect("refreshed").jwt.expect("a JWT");
    registry.peer.grant = Grant::Operate;
    let under_key = |actor: &Jwt| Envelope { actor: Some(actor.clone().into()), ..key(1) };
    let create = |registry: &mut Registry, actor| call(registry, under_key(actor), "pool.create", "{}");
    let made = create(registry, &first).expect("made");
    assert_eq!(create(registry, &newer), Ok(made));
    assert_eq!(create(registry, &cat).map_err(|refusal| refusal.code), Err(Code::KEY_REUSED));
    let forged = Jwt::new(format!("{}x", first.as_str())).expect("a text");
    assert_eq!(create(registry, &forged).map_err(|refusal| refusal.code), Err(Code::JWT_INVALID));
}

#[test]
fn nobody_can_make_a_login_for_a_person_who_does_not_exist_yet() {
    let registry = &mut peopled();
    registry.peer.grant = Grant::Operate;
    let (early, session) = (login(registry, "LATER"), session(registry, "LATER"));
    registry.pass_seconds(10);
    registry.peer.grant = Grant::Admin;
    check(registry, r#"person.create {"callsign":"LATER","roles":["superuser"]} => {"pk".."#);
    assert_eq!(refused(registry, proven(&session), "LATER"), Some(Code::JWT_INVALID));
    let verified = registry.call(jwt::Verify { jwt: session.clone() }).map_err(|refusal| refusal.code);
    assert_eq!(verified, Err(Code::JWT_INVALID));
    let refreshed = registry.call(jwt::Refresh { jwt: session }).map_err(|refusal| refusal.code);
    assert_eq!(refreshed.map(drop), Err(Code::JWT_INVALID));
    let used = registry.call(code::Use::new(early)).map_err(|refusal| refusal.code);
    assert_eq!(used.map(drop), Err(Code::EXPIRED));
}

#[test]
fn what_changes_a_superuser_takes_one_or_an_admin_peer() {
    let table = r#"
        code.create {"claims":{"sub":"BOSS"}}
        code.create {"claims":{"CN":"BOSS"}}
        certificate.renew {"person":"BOSS"}
        certificate.revoke {"person":"BOSS","reason":"superseded"}
        role.assign {"person":"BOSS","role":"member"}
        role.remove {"person":"BOSS","role":"superuser"}
        supervisor.assign {"person":"BOSS","supervisor":"CAT"}
        supervisor.unassign {"person":"BOSS"}
        supervisor.add_representative {"supervisor":"BOSS","representative":"CAT"}
        supervisor.remove_representative {"supervisor":"BOSS","representative":"CAT"}
        person.update {"person":"BOSS","extra":{}}
        person.revoke {"person":"BOSS","reason":"unspecified"}
        person.delete {"person":"BOSS"}
        role.assign {"person":"DOG","role":"superuser"}
        person.create {"callsign":"NEW","roles":["superuser"]}
        permission.grant {"role":"member","permission":"/"}
        certificate.key {"person":"DOG"}
    "#;
    for line in table.lines().map(str::trim).filter(|line| !line.is_empty()) {
        for (grant, actor, allowed) in [
            (Grant::Operate, "HELPER> ", false),
            (Grant::Decide, "HELPER> ", false),
            (Grant::Decide, "", false),
            (Grant::Admin, "", true),
        ] {
            let registry = &mut peopled();
            registry.peer.grant = grant;
            let expected = if allowed { ".." } else { "permission_denied" };
            check(registry, &format!("{actor}{line} => {expected}"));
        }
    }
}

#[test]
fn a_renewal_is_a_decision_but_of_ones_own_certificate() {
    let registry = &mut peopled();
    registry.peer.grant = Grant::Operate;
    check(
        registry,
        r#"
        certificate.renew {"person":"DOG"} => permission_denied
        CAT> certificate.renew {"person":"DOG"} => permission_denied
        DOG> certificate.renew {"person":"DOG"} => "-----BEGIN..
        HELPER> certificate.renew {"person":"DOG"} => "-----BEGIN..
        code.create {"claims":{"sub":"DOG"}} => permission_denied
        DOG> code.create {"claims":{"sub":"DOG"}} => {"code"..
        code.create {"claims":{"role":"admin"}} => {"code"..
        "#,
    );
    registry.peer.grant = Grant::Decide;
    check(
        registry,
        r#"
        certificate.renew {"person":"DOG"} => "-----BEGIN..
        code.create {"claims":{"sub":"DOG"}} => {"code"..
        "#,
    );
}
