//! Events, their pools and seating.

mod crowds;
mod deciding;
mod editing;
mod explaining;
mod listing;
mod placing;
mod publishing;
mod registering;
mod seating;

use enroll_tests::registry::Registry;

/// A registry with an owner, three members and two guests.
pub(super) fn people() -> Registry {
    let mut registry = Registry::in_memory();
    super::check(
        &mut registry,
        r#"
        person.create {"callsign":"BOSS","roles":["superuser"]} => {"pk"..
        person.create {"callsign":"OWNER"} => {"pk"..
        person.create {"callsign":"M1","roles":["member"]} => {"pk"..
        person.create {"callsign":"M2","roles":["member"]} => {"pk"..
        person.create {"callsign":"M3","roles":["member"]} => {"pk"..
        person.create {"callsign":"G1","roles":["guest"]} => {"pk"..
        person.create {"callsign":"B1","roles":["member","guest"]} => {"pk"..
        person.create {"callsign":"B2","roles":["member","guest"]} => {"pk"..
        person.create {"callsign":"NONE"} => {"pk"..
        "#,
    );
    registry
}

#[test]
fn the_first_of_the_waiting_list_gets_what_comes_free() {
    super::check(
        &mut people(),
        r#"
        $E = OWNER> event.create {"title":"Camp","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60,"published":true,"pools":[{"name":"members","capacity":1,"roles":["member"]}]} => {"pk"..,"update_state":"published","actions":["save","unpublish"]..
        NONE> registration.create {"event":"$E","person":"NONE"} => no_permission
        M1> registration.explain {"event":"$E","person":"M1"} => {"outcome":"seat"..
        M1> registration.create {"event":"$E","person":"M1"} => ..,"waiting":false..
        M1> registration.create {"event":"$E","person":"M1"} => already_registered
        M2> registration.explain {"event":"$E","person":"M2"} => {"outcome":"wait","pool":null,"waiting_position":1..
        M2> registration.create {"event":"$E","person":"M2"} => ..,"pool":null,"waiting":true,..,"waiting_position":1..
        M3> registration.create {"event":"$E","person":"M3"} => ..,"waiting":true,..,"waiting_position":2..
        M1> event.get {"event":"$E"} => ..,"places_taken":1,"waiting_count":2..
        OWNER> event.unpublish {"event":"$E"} => event_has_registrations
        M1> registration.cancel {"event":"$E","person":"M1"} => ..,"canceled":true..
        M1> registration.cancel {"event":"$E","person":"M1"} => invalid_transition
        M2> registration.get {"event":"$E","person":"M2"} => ..,"waiting":false..
        M3> registration.get {"event":"$E","person":"M3"} => ..,"waiting_position":1..
        M1> registration.create {"event":"$E","person":"M1"} => ..,"waiting_position":2..
        BOSS> changes.list {"since":13} => ..verb":"cancel"..{"seq":15,..,"verb":"seated"..,"cause":14..
        OWNER> event.update_pool {"event":"$E","pool":"members","capacity":3} => ..,"places_taken":3,"waiting_count":0..
        "#,
    );
}

#[test]
fn somebody_moves_if_that_gives_somebody_a_place() {
    super::check(
        &mut people(),
        r#"
        $E = OWNER> event.create {"title":"Camp","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60,"published":true,"pools":[{"name":"members","capacity":1,"roles":["member"]},{"name":"guests","capacity":1,"roles":["guest"]}]} => {"pk"..
        G1> registration.create {"event":"$E","person":"G1"} => ..,"waiting":false..
        B1> registration.create {"event":"$E","person":"B1"} => ..,"waiting":false..
        M1> registration.create {"event":"$E","person":"M1"} => ..,"waiting":true..
        G1> registration.cancel {"event":"$E","person":"G1"} => ..,"canceled":true..
        M1> registration.get {"event":"$E","person":"M1"} => ..,"waiting":false..
        BOSS> changes.list {"since":13} => ..verb":"cancel"..,"verb":"moved"..,"verb":"seated"..
        "#,
    );
}

#[test]
fn openings_and_merges_happen_by_themselves() {
    super::check(
        &mut people(),
        r#"
        $E = OWNER> event.create {"title":"Camp","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60,"published":true,"merge_time":"2027-01-15T08:10:00Z","pools":[{"name":"members","capacity":1,"roles":["member"]},{"name":"late","capacity":2,"roles":["guest"],"opens":"2027-01-15T08:05:00Z"}]} => {"pk"..
        G1> registration.create {"event":"$E","person":"G1"} => registration_not_open
        B1> registration.create {"event":"$E","person":"B1"} => ..,"waiting":false..
        B2> registration.create {"event":"$E","person":"B2"} => ..,"waiting":true..
        M1> registration.create {"event":"$E","person":"M1"} => ..,"waiting":true..
        +300
        wake
        B2> registration.get {"event":"$E","person":"B2"} => ..,"waiting":false..
        M1> registration.get {"event":"$E","person":"M1"} => ..,"waiting":false..
        M2> registration.create {"event":"$E","person":"M2"} => ..,"waiting":true..
        G1> registration.create {"event":"$E","person":"G1"} => ..,"waiting":true..
        M1> registration.cancel {"event":"$E","person":"M1"} => ..,"canceled":true..
        +300
        M3> registration.create {"event":"$E","person":"M3"} => ..,"waiting":true,..,"waiting_position":2..
        BOSS> role.assign {"person":"G1","role":"member"} => true
        "#,
    );
}

#[test]
fn rejections_free_places_and_can_be_taken_back() {
    super::check(
        &mut people(),
        r#"
        BOSS> role.assign {"person":"OWNER","role":"supervisor"} => true
        BOSS> supervisor.assign {"person":"M1","supervisor":"OWNER"} => {"pk"..
        $E = OWNER> event.create {"title":"Camp","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60,"published":true,"approval":"supervisor","max_participants":1} => {"pk"..
        M1> registration.create {"event":"$E","person":"M1"} => ..,"approval":"pending"..
        OWNER> supervisor.pending {"supervisor":"OWNER"} => {"items":[{"pk"..
        M2> registration.create {"event":"$E","person":"M2"} => ..,"waiting":true..
        M2> registration.reject {"event":"$E","person":"M1"} => permission_denied
        OWNER> registration.reject {"event":"$E","person":"M1","reason":"no"} => ..,"approval":"rejected"..
        M2> registration.get {"event":"$E","person":"M2"} => ..,"waiting":false..
        OWNER> registration.approve {"event":"$E","person":"M1"} => no_free_slots
        M2> registration.cancel {"event":"$E","person":"M2"} => ..,"canceled":true..
        OWNER> registration.approve {"event":"$E","person":"M1"} => ..,"waiting":false..,"approval":"approved"..
        OWNER> supervisor.pending {"supervisor":"OWNER"} => {"items":[]..
        BOSS> person.delete {"person":"M1"} => {"pk"..
        BOSS> event.get {"event":"$E"} => ..,"places_taken":0..
        "#,
    );
}
