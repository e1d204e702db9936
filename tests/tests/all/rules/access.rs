//! Grants of peers and permissions of actors: both must allow it.

use enroll_core::context::Grant;
use enroll_tests::registry::Registry;

use super::check;

#[test]
fn an_actor_needs_the_permission_for_what_is_not_their_own() {
    let registry = &mut Registry::in_memory();
    check(
        registry,
        r#"
        person.create {"callsign":"BOSS","roles":["superuser"]} => {"pk"..
        person.create {"callsign":"ADMIN","roles":["admin"]} => {"pk"..
        person.create {"callsign":"MOD","roles":["moderator"]} => {"pk"..
        person.create {"callsign":"DOG"} => {"pk"..
        DOG> person.get {"person":"dog"} => {"pk"..
        DOG> person.get {"person":"BOSS"} => permission_denied
        DOG> person.list {} => permission_denied
        DOG> person.create {"callsign":"CAT"} => permission_denied
        DOG> role.list {"person":"DOG"} => []
        DOG> role.list {"person":"BOSS"} => permission_denied
        DOG> role.assign {"person":"DOG","role":"member"} => permission_denied
        DOG> token.use {"token":"a"} => permission_denied
        DOG> code.create {"claims":{}} => permission_denied
        DOG> changes.list {} => permission_denied
        DOG> server.status {} => permission_denied
        DOG> jwt.keys {} => {"keys"..
        NOBODY> person.get {"person":"DOG"} => not_found
        ADMIN> person.get {"person":"DOG"} => {"pk"..
        ADMIN> code.create {"claims":{}} => {"code"..
        ADMIN> token.use {"token":"a"} => permission_denied
        ADMIN> role.assign {"person":"DOG","role":"member"} => permission_denied
        BOSS> role.assign {"person":"DOG","role":"member"} => true
        BOSS> token.use {"token":"a"} => {"token"..
        BOSS> changes.list {"limit":1} => {"items":[{"seq":1..
        MOD> role.assign {"person":"DOG","role":"supervisor"} => true
        MOD> role.remove {"person":"DOG","role":"supervisor"} => true
        MOD> role.assign {"person":"DOG","role":"member"} => permission_denied
        ADMIN> role.assign {"person":"DOG","role":"supervisor"} => permission_denied
        "#,
    );
}

#[test]
fn nobody_hands_out_more_than_they_have() {
    let registry = &mut Registry::in_memory();
    check(
        registry,
        r#"
        person.create {"callsign":"BOSS","roles":["superuser"]} => {"pk"..
        person.create {"callsign":"ADMIN","roles":["admin"]} => {"pk"..
        ADMIN> person.create {"callsign":"A","roles":["superuser"]} => permission_denied
        ADMIN> person.create {"callsign":"A","roles":["moderator"]} => permission_denied
        ADMIN> person.create {"callsign":"A","roles":["admin","member"]} => {"pk"..
        BOSS> person.create {"callsign":"B","roles":["superuser"]} => {"pk"..
        person.get {"person":"A"} => {"pk"..
        "#,
    );
    registry.peer.grant = Grant::Operate;
    check(
        registry,
        r#"
        person.create {"callsign":"C"} => {"pk"..
        person.create {"callsign":"D","roles":["member"]} => permission_denied
        role.assign {"person":"C","role":"member"} => permission_denied
        BOSS> role.assign {"person":"C","role":"member"} => permission_denied
        "#,
    );
    registry.peer.grant = Grant::Decide;
    check(
        registry,
        r#"
        person.create {"callsign":"D","roles":["member","admin"]} => {"pk"..
        person.create {"callsign":"E","roles":["superuser"]} => permission_denied
        role.assign {"person":"C","role":"moderator"} => true
        role.assign {"person":"C","role":"superuser"} => permission_denied
        role.remove {"person":"C","role":"moderator"} => true
        "#,
    );
    registry.peer.grant = Grant::Read;
    check(
        registry,
        r#"
        person.get {"person":"C"} => {"pk"..
        BOSS> person.get {"person":"C"} => permission_denied
        person.create {"callsign":"E"} => permission_denied
        token.use {"token":"x"} => permission_denied
        code.get {"code":"x"} => permission_denied
        "#,
    );
}

#[test]
fn a_person_may_exchange_their_own_code() {
    let registry = &mut Registry::in_memory();
    check(
        registry,
        r#"
        person.create {"callsign":"DOG"} => {"pk"..
        person.create {"callsign":"CAT"} => {"pk"..
        "#,
    );
    let claims = r#"{"claims":{"sub":"dog"}}"#;
    let made = super::call(registry, Default::default(), "code.create", claims).expect("made");
    let code = &made[9..21];
    check(registry, &format!("CAT> code.use {{\"code\":\"{code}\"}} => permission_denied"));
    check(registry, &format!("DOG> code.use {{\"code\":\"{code}\"}} => {{\"jwt\".."));
}

#[test]
fn an_events_owner_a_supervisor_and_their_representative_need_no_permission() {
    let registry = &mut Registry::in_memory();
    check(
        registry,
        r#"
        person.create {"callsign":"BOSS","roles":["superuser"]} => {"pk"..
        person.create {"callsign":"OWNER"} => {"pk"..
        person.create {"callsign":"EDITOR","roles":["editor"]} => {"pk"..
        person.create {"callsign":"CHIEF","roles":["supervisor"]} => {"pk"..
        person.create {"callsign":"DEPUTY","roles":["supervisor"]} => {"pk"..
        person.create {"callsign":"DOG"} => {"pk"..
        permission.grant {"role":"editor","permission":"/events/edit/camp/"} => true
        supervisor.assign {"person":"DOG","supervisor":"CHIEF"} => {"pk"..
        $E = OWNER> event.create {"title":"Camp","kind":"camp","start":"2999-01-01T00:00:00Z","duration_minutes":60,"approval":"supervisor"} => {"pk"..
        OWNER> event.create {"title":"Camp","kind":"camp","owner":"DOG","start":"2999-01-01T00:00:00Z","duration_minutes":60} => permission_denied
        DOG> event.publish {"event":"$E"} => permission_denied
        OWNER> event.publish {"event":"$E"} => {"pk"..
        EDITOR> event.update {"event":"$E","title":"Trip"} => {"pk"..
        EDITOR> event.update {"event":"$E","kind":"trip"} => permission_denied
        OWNER> event.update {"event":"$E","kind":"trip"} => {"pk"..
        EDITOR> event.update {"event":"$E","title":"Camp"} => permission_denied
        CHIEF> registration.create {"event":"$E","person":"DOG"} => permission_denied
        DOG> registration.create {"event":"$E","person":"DOG"} => {"pk"..
        OWNER> registration.list {"event":"$E"} => {"items":[{"pk"..
        DOG> registration.list {"event":"$E"} => permission_denied
        DOG> registration.list {"person":"DOG"} => {"items":[{"pk"..
        OWNER> registration.approve {"event":"$E","person":"DOG"} => permission_denied
        DOG> registration.approve {"event":"$E","person":"DOG"} => permission_denied
        DEPUTY> registration.approve {"event":"$E","person":"DOG"} => permission_denied
        DEPUTY> supervisor.add_representative {"supervisor":"CHIEF","representative":"DEPUTY"} => permission_denied
        DEPUTY> supervisor.pending {"supervisor":"CHIEF"} => permission_denied
        CHIEF> supervisor.add_representative {"supervisor":"CHIEF","representative":"DEPUTY"} => true
        DEPUTY> supervisor.pending {"supervisor":"DEPUTY"} => {"items":[{"pk"..
        DEPUTY> registration.approve {"event":"$E","person":"DOG"} => ..,"approval":"approved"..
        role.remove {"person":"CHIEF","role":"supervisor"} => true
        DEPUTY> registration.reject {"event":"$E","person":"DOG"} => permission_denied
        OWNER> registration.cancel {"event":"$E","person":"DOG"} => permission_denied
        DOG> registration.cancel {"event":"$E","person":"DOG"} => ..,"canceled":true..
        "#,
    );
}
