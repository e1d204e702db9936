//! Restoring people who were deleted, and reopening enrollments that were rejected.

use std::sync::Arc;

use enroll_core::context::Grant;
use enroll_core::state::memory::MemoryStore;
use enroll_core::state::{Store as _, Writes};
use enroll_protocol::{Code, code, enrollment, event, jwt, person, pool};
use enroll_tests::registry::Registry;
use enrolld::config::Config;

use super::{check, login};

#[test]
fn a_deletion_is_undone_and_a_revocation_never_is() {
    let registry = &mut Registry::in_memory();
    check(
        registry,
        r#"
        person.create {"callsign":"DOG","extra":{"a":1},"roles":["member"]} => {"pk"..
        person.restore {"person":"DOG"} => conflict
        person.restore {"person":"nobody"} => not_found
        person.delete {"person":"DOG"} => {"pk"..
        +1
        person.restore {"person":"dog"} => {"pk":"..,"callsign":"DOG","extra":{"a":1},"roles":[],"supervisor":null,"certificate":false,"revocation":null,..,"updated":"2027-01-15T08:00:01.000000Z","deleted":null}
        changes.list {} => {"items":[..,"verb":"restore",..}],"next":null}
        person.get {"person":"DOG"} => {"pk"..
        person.list {"deleted_only":true} => {"items":[],"next":null}
        person.restore {"person":"DOG"} => conflict
        DOG> event.create {"title":"Camp","kind":"camp","start":"2999-01-01T00:00:00Z","duration_minutes":60} => {"pk"..

        person.create {"callsign":"TLS","certificate":"generate"} => {"pk"..
        person.delete {"person":"TLS"} => ..,"revocation":{"reason":"privilege_withdrawn",..
        person.restore {"person":"TLS"} => ..,"revocation":null,..,"deleted":null}
        certificate.revoke {"person":"TLS","reason":"superseded"} => not_found
        certificate.renew {"person":"TLS"} => "-----BEGIN CERTIFICATE..
        person.delete {"person":"TLS"} => ..,"revocation":{"reason":"privilege_withdrawn",..
        person.restore {"person":"TLS"} => ..,"revocation":null,..,"deleted":null}

        person.create {"callsign":"CAT"} => {"pk"..
        person.revoke {"person":"CAT","reason":"key_compromise"} => {"pk"..
        person.restore {"person":"CAT"} => conflict
        person.create {"callsign":"COW"} => {"pk"..
        person.revoke {"person":"COW","reason":"privilege_withdrawn"} => {"pk"..
        person.restore {"person":"COW"} => conflict
        "#,
    );
}

#[test]
fn a_restore_takes_an_administrators_peer_and_the_actors_permission() {
    let registry = &mut Registry::in_memory();
    check(
        registry,
        r#"
        person.create {"callsign":"BOSS","roles":["admin"]} => {"pk"..
        person.create {"callsign":"OTHER"} => {"pk"..
        person.create {"callsign":"DOG"} => {"pk"..
        person.delete {"person":"DOG"} => {"pk"..
        OTHER> person.restore {"person":"DOG"} => permission_denied
        OTHER> person.restore {"person":"BOSS"} => permission_denied
        OTHER> person.restore {"person":"nobody"} => not_found
        "#,
    );
    registry.peer.grant = Grant::Decide;
    check(registry, r#"person.restore {"person":"DOG"} => permission_denied"#);
    check(registry, r#"BOSS> person.restore {"person":"DOG"} => permission_denied"#);
    registry.peer.grant = Grant::Admin;
    registry.reload(&Config { reserved_callsigns: vec!["dog".to_owned()], ..Config::default() });
    check(registry, r#"BOSS> person.restore {"person":"DOG"} => callsign_reserved"#);
    check(registry, r#"BOSS> person.restore {"person":"BOSS"} => conflict"#);
    registry.reload(&Config::default());
    check(registry, r#"BOSS> person.restore {"person":"DOG"} => {"pk".."#);
}

#[test]
fn what_was_issued_before_a_restore_stays_refused() {
    let registry = &mut Registry::in_memory();
    check(registry, r#"person.create {"callsign":"DOG"} => {"pk".."#);
    let (used, kept) = (login(registry, "DOG"), login(registry, "DOG"));
    let before = registry.call(code::Use::new(used)).expect("exchanged").jwt.expect("a JWT");
    registry.call(jwt::Verify { jwt: before.clone() }).expect("valid");
    check(registry, r#"person.delete {"person":"DOG"} => {"pk".."#);
    let refused = |registry: &mut Registry| {
        let verified = registry.call(jwt::Verify { jwt: before.clone() });
        assert_eq!(verified.expect_err("refused").code, Code::JWT_INVALID);
        let refreshed = registry.call(jwt::Refresh { jwt: before.clone() });
        assert_eq!(refreshed.expect_err("refused").code, Code::JWT_INVALID);
        assert_eq!(registry.call(code::Use::new(kept.clone())).expect_err("refused").code, Code::DELETED);
    };
    refused(registry);
    check(registry, r#"person.restore {"person":"DOG"} => {"pk".."#);
    refused(registry);
    registry.pass_seconds(1);
    refused(registry);
    let fresh = login(registry, "DOG");
    let after = registry.call(code::Use::new(fresh)).expect("exchanged").jwt.expect("a JWT");
    registry.call(jwt::Verify { jwt: after.clone() }).expect("valid");
    registry.set_clock_by(-3600);
    registry.wake();
    refused(registry);
    // A clock that has gone back shuts out newer sessions rather than letting older ones in. Another restore ends that.
    check(registry, r#"person.delete {"person":"DOG"} => {"pk".."#);
    check(registry, r#"person.restore {"person":"DOG"} => {"pk".."#);
    registry.pass_seconds(1);
    let fresh = login(registry, "DOG");
    let again = registry.call(code::Use::new(fresh)).expect("exchanged").jwt.expect("a JWT");
    registry.call(jwt::Verify { jwt: again }).expect("valid");
    refused(registry);
}

#[test]
fn pools_of_a_restored_person_come_back_inactive() {
    let registry = &mut Registry::in_memory();
    check(registry, r#"person.create {"callsign":"BOSS"} => {"pk".."#);
    let create = pool::Create { owner: "BOSS".parse().ok(), ..Default::default() };
    let made = registry.call(create).expect("made");
    let (pk, code) = (made.pk, made.invitecode.expect("a code"));
    let table = r#"
        pool.get {"pool":"$PK"} => ..,"active":true,"usable":"yes",..
        person.delete {"person":"BOSS"} => {"pk"..
        pool.get {"pool":"$PK"} => ..,"active":true,"usable":"owner_deleted",..
        enrollment.create {"callsign":"A","pool":"$CODE"} => pool_inactive
        person.restore {"person":"BOSS"} => {"pk"..
        pool.get {"pool":"$PK"} => ..,"active":false,"usable":"inactive",..
        pool.list {} => {"items":[{..,"active":false,"usable":"inactive",..}],"next":null}
        pool.check {"invitecode":"$CODE"} => false
        enrollment.create {"callsign":"A","pool":"$CODE"} => pool_inactive
        pool.update {"pool":"$PK","max_uses":5} => ..,"active":false,"usable":"inactive",..
        pool.set_active {"pool":"$PK","active":true} => ..,"active":true,"usable":"yes",..
        enrollment.create {"callsign":"A","pool":"$CODE"} => {"pk"..
        pool.create {"owner":"BOSS"} => ..,"active":true,"usable":"yes",..
        BOSS> pool.create {} => ..,"active":true,"usable":"yes",..
    "#;
    check(registry, &table.replace("$PK", &pk.to_string()).replace("$CODE", code.as_str()));
}

#[test]
fn ties_of_supervisors_and_representatives_do_not_come_back() {
    let registry = &mut Registry::in_memory();
    check(
        registry,
        r#"
        person.create {"callsign":"BOSS","roles":["supervisor"]} => {"pk"..
        person.create {"callsign":"DEPUTY","roles":["supervisor"]} => {"pk"..
        person.create {"callsign":"OTHER","roles":["supervisor"]} => {"pk"..
        person.create {"callsign":"DOG"} => {"pk"..
        person.create {"callsign":"CAT"} => {"pk"..
        supervisor.assign {"person":"DOG","supervisor":"BOSS"} => {"pk"..
        supervisor.assign {"person":"BOSS","supervisor":"OTHER"} => {"pk"..
        supervisor.add_representative {"supervisor":"BOSS","representative":"DEPUTY"} => true
        supervisor.add_representative {"supervisor":"OTHER","representative":"BOSS"} => true
        "#,
    );
    let start = "2999-01-01T00:00:00Z".parse().expect("a time");
    let create = event::Create {
        owner: "OTHER".parse().ok(),
        published: Some(true),
        approval: Some(event::Approval::Supervisor),
        ..event::Create::new("Camp".parse().expect("a title"), "camp".parse().expect("a kind"), start, 60)
    };
    let camp = registry.call(create).expect("made").pk.to_string();
    let table = r#"
        registration.create {"event":"$CAMP","person":"DOG"} => ..,"approval":"pending",..
        registration.create {"event":"$CAMP","person":"BOSS"} => ..,"approval":"pending",..
        supervisor.pending {"supervisor":"BOSS"} => {"items":[{..}],"next":null}
        supervisor.pending {"supervisor":"DEPUTY"} => {"items":[{..}],"next":null}
        supervisor.pending {"supervisor":"OTHER"} => {"items":[{..}],"next":null}
        person.delete {"person":"BOSS"} => {"pk"..
        person.restore {"person":"BOSS"} => ..,"roles":[],"supervisor":null,..
        role.assign {"person":"BOSS","role":"supervisor"} => true
        person.get {"person":"DOG"} => ..,"supervisor":null,..
        supervisor.pending {"supervisor":"BOSS"} => {"items":[],"next":null}
        supervisor.pending {"supervisor":"DEPUTY"} => {"items":[],"next":null}
        supervisor.pending {"supervisor":"OTHER"} => {"items":[],"next":null}
        BOSS> registration.approve {"event":"$CAMP","person":"DOG"} => permission_denied
        DEPUTY> registration.approve {"event":"$CAMP","person":"DOG"} => permission_denied
        registration.get {"event":"$CAMP","person":"BOSS"} => ..,"canceled":true,..
        registration.create {"event":"$CAMP","person":"BOSS"} => ..,"approval":"pending",..
        supervisor.pending {"supervisor":"OTHER"} => {"items":[],"next":null}
        supervisor.assign {"person":"DOG","supervisor":"BOSS"} => {"pk"..
        person.get {"person":"DOG"} => ..,"supervisor":"..-..-..",..
        supervisor.pending {"supervisor":"BOSS"} => {"items":[{..}],"next":null}
        supervisor.pending {"supervisor":"DEPUTY"} => {"items":[],"next":null}
        BOSS> registration.approve {"event":"$CAMP","person":"DOG"} => ..,"approval":"approved",..
        supervisor.pending {"supervisor":"BOSS"} => {"items":[],"next":null}
    "#;
    check(registry, &table.replace("$CAMP", &camp));
}

#[test]
fn a_restore_survives_a_start() {
    let mut registry = Registry::in_memory();
    check(&mut registry, r#"person.create {"callsign":"DOG"} => {"pk".."#);
    let kept = login(&mut registry, "DOG");
    check(&mut registry, r#"person.delete {"person":"DOG"} => {"pk".."#);
    check(&mut registry, r#"person.restore {"person":"DOG"} => {"pk".."#);
    let entries = registry.store().view().expect("a view").range(&[], &[0xff; 64], usize::MAX).expect("entries");
    let writes: Writes = entries.into_iter().map(|(key, value)| (key, Some(value))).collect();
    let store = MemoryStore::default();
    store.commit(&writes).expect("committed");
    let mut again = Registry::reopened(Arc::new(store));
    assert_eq!(again.call(code::Use::new(kept)).expect_err("refused").code, Code::DELETED);
    let shown = again.call(person::Get::new("DOG".parse().expect("a name"))).expect("shown");
    assert_eq!(shown.deleted, None);
    check(&mut again, r#"person.list {} => {"items":[{..}],"next":null}"#);
}

#[test]
fn a_rejected_enrollment_is_reopened_with_another_code() {
    let registry = &mut Registry::in_memory();
    let create = enrollment::Create::new("DOG".parse().expect("a callsign"));
    let first = registry.call(create).expect("enrolled").approvecode.expect("a code");
    check(
        registry,
        &r#"
        person.create {"callsign":"BOSS","roles":["admin"]} => {"pk"..
        person.create {"callsign":"OTHER"} => {"pk"..
        enrollment.reopen {"enrollment":"nobody"} => not_found
        enrollment.reopen {"enrollment":"DOG"} => conflict
        enrollment.reject {"enrollment":"DOG","reason":"no"} => {"pk"..
        enrollment.reset_code {"enrollment":"DOG"} => already_decided
        OTHER> enrollment.reopen {"enrollment":"DOG"} => permission_denied
        BOSS> enrollment.reopen {"enrollment":"DOG"} => ..,"state":"pending",..,"decided_by":null,"decided_on":null,"reason":null,..
        changes.list {} => {"items":[..,"area":"enrollment","verb":"reopen",..}],"next":null}
        enrollment.list {"state":"rejected"} => {"items":[],"next":null}
        enrollment.list {"state":"pending"} => {"items":[{..}],"next":null}
        enrollment.find {"approvecode":"$FIRST"} => not_found
        enrollment.approve {"enrollment":"DOG","approvecode":"$FIRST"} => code_mismatch
        enrollment.approve {"enrollment":"DOG"} => {"pk"..
        enrollment.reopen {"enrollment":"DOG"} => already_decided
        "#
        .replace("$FIRST", first.as_str()),
    );
    let reset = enrollment::ResetCode { enrollment: "DOG".parse().expect("a name") };
    let code = registry.call(reset).expect("reset").approvecode.expect("a code");
    let found = registry.call(enrollment::Find { approvecode: code }).expect("found");
    assert_eq!((found.state, found.person.is_some()), (enrollment::State::Approved, true));
    registry.peer.grant = Grant::Operate;
    check(registry, r#"enrollment.reopen {"enrollment":"DOG"} => permission_denied"#);
}
