//! Registration and cancelation: each refusal, in order of checks; deleted people; events that are over.

use super::people;
use crate::rules::check;

#[test]
fn refusals_of_registering_come_in_their_order() {
    check(
        &mut people(),
        r#"
        registration.create {"event":"01994f3a-7c1e-7d55-a1b2-3c4d5e6f7a8b","person":"NOBODY"} => not_found
        # Everything speaks against it, and then one thing less each time.
        $E = OWNER> event.create {"title":"Camp","kind":"camp","start":"2027-01-15T06:00:00Z","duration_minutes":60,"leisure":true,"waiting_list":false,"pools":[{"name":"staff","capacity":1,"roles":["staff"],"opens":"2027-01-20T10:00:00Z"}]} => ..,"time_state":"past","update_state":"draft","actions":["save","publish"]..
        M2> registration.create {"event":"$E","person":"M1"} => permission_denied
        M1> registration.create {"event":"$E","person":"M1"} => registration_not_required
        OWNER> registration.explain {"event":"$E","person":"M1"} => {"outcome":"registration_not_required"..
        OWNER> event.update {"event":"$E","leisure":false} => {"pk"..
        M1> registration.create {"event":"$E","person":"M1"} => event_not_published
        OWNER> event.publish {"event":"$E"} => {"pk"..
        M1> registration.create {"event":"$E","person":"M1"} => event_past
        OWNER> event.update {"event":"$E","start":"2027-01-15T07:30:00Z"} => ..,"time_state":"current"..
        M1> registration.create {"event":"$E","person":"M1"} => registration_closed
        OWNER> event.update {"event":"$E","registration_closes":"2027-01-15T08:20:00Z"} => {"pk"..
        M1> registration.create {"event":"$E","person":"M1"} => no_permission
        BOSS> role.assign {"person":"M1","role":"staff"} => true
        M1> registration.create {"event":"$E","person":"M1"} => registration_not_open
        OWNER> event.update_pool {"event":"$E","pool":"staff","opens":"2027-01-10T10:00:00Z"} => {"pk"..
        M1> registration.create {"event":"$E","person":"M1"} => ..,"waiting":false..
        BOSS> role.assign {"person":"M2","role":"staff"} => true
        M2> registration.create {"event":"$E","person":"M2"} => no_free_slots
        M2> registration.explain {"event":"$E","person":"M2"} => {"outcome":"no_free_slots"..
        M1> registration.create {"event":"$E","person":"M1"} => already_registered
        M1> registration.cancel {"event":"$E","person":"M2"} => not_found
        M1> registration.cancel {"event":"$E","person":"M1"} => registration_closed
        OWNER> event.update {"event":"$E","unregistration_closes":"2027-01-15T08:10:00Z"} => {"pk"..
        M2> registration.cancel {"event":"$E","person":"M1"} => permission_denied
        M1> registration.cancel {"event":"$E","person":"M1"} => ..,"pool":null,"waiting":false,"waiting_pools":[]..,"canceled":true,"canceled_at":"2027-01-15T08:00:00..
        M1> registration.cancel {"event":"$E","person":"M1"} => invalid_transition
        M1> registration.create {"event":"$E","person":"M1"} => ..,"canceled":false,"canceled_at":null..
        OWNER> event.cancel {"event":"$E"} => ..,"canceled":true,..,"update_state":"canceled","actions":["save"]..
        M1> registration.create {"event":"$E","person":"M1"} => event_canceled
        +1200
        M1> registration.create {"event":"$E","person":"M1"} => event_canceled
        "#,
    );
}

#[test]
fn a_person_who_registers_again_comes_last() {
    check(
        &mut people(),
        r#"
        $E = OWNER> event.create {"title":"Camp","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60,"published":true,"max_participants":1} => {"pk"..,"pools":[]..
        NONE> registration.create {"event":"$E","person":"NONE"} => ..,"pool":null,"waiting":false..
        M1> registration.create {"event":"$E","person":"M1"} => ..,"waiting":true,"waiting_pools":[],"waiting_position":1..
        M2> registration.create {"event":"$E","person":"M2"} => ..,"waiting_position":2..
        M1> registration.cancel {"event":"$E","person":"M1"} => ..,"canceled":true..
        M1> registration.create {"event":"$E","person":"M1"} => ..,"waiting_position":2..
        NONE> registration.cancel {"event":"$E","person":"NONE"} => ..,"canceled":true..
        M2> registration.get {"event":"$E","person":"M2"} => ..,"waiting":false..
        OWNER> event.update {"event":"$E","max_participants":0} => ..,"places_taken":1,"waiting_count":1..
        OWNER> event.add_pool {"event":"$E","name":"members","capacity":1,"roles":["member"]} => pool_has_registrations
        "#,
    );
}

#[test]
fn deleted_people_give_up_their_places_and_get_none() {
    check(
        &mut people(),
        r#"
        $E = OWNER> event.create {"title":"Camp","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60,"published":true,"approval":"supervisor","max_participants":2} => {"pk"..
        M1> registration.create {"event":"$E","person":"M1"} => ..,"waiting":false..
        M2> registration.create {"event":"$E","person":"M2"} => ..,"waiting":false..
        M3> registration.create {"event":"$E","person":"M3"} => ..,"waiting_position":1..
        G1> registration.create {"event":"$E","person":"G1"} => ..,"waiting_position":2..
        BOSS> person.delete {"person":"M3"} => {"pk"..
        G1> registration.get {"event":"$E","person":"G1"} => ..,"waiting_position":1..
        BOSS> person.delete {"person":"M1"} => {"pk"..
        G1> registration.get {"event":"$E","person":"G1"} => ..,"waiting":false..
        BOSS> registration.reject {"event":"$E","person":"M2"} => ..,"approval":"rejected"..
        BOSS> person.delete {"person":"M2"} => {"pk"..
        BOSS> registration.approve {"event":"$E","person":"M2"} => deleted
        BOSS> registration.create {"event":"$E","person":"M2"} => deleted
        BOSS> registration.cancel {"event":"$E","person":"M2"} => deleted
        OWNER> event.get {"event":"$E"} => ..,"places_taken":1,"waiting_count":0..
        "#,
    );
}

#[test]
fn an_event_that_was_over_and_comes_again_seats_nobody_who_was_deleted() {
    check(
        &mut people(),
        r#"
        $E = OWNER> event.create {"title":"Camp","kind":"camp","start":"2027-01-15T08:05:00Z","duration_minutes":5,"published":true,"max_participants":1} => {"pk"..
        M1> registration.create {"event":"$E","person":"M1"} => ..,"waiting":false..
        M2> registration.create {"event":"$E","person":"M2"} => ..,"waiting":true..
        M3> registration.create {"event":"$E","person":"M3"} => ..,"waiting":true..
        +600
        # What was stays as it was.
        BOSS> person.delete {"person":"M1"} => {"pk"..
        BOSS> person.delete {"person":"M2"} => {"pk"..
        OWNER> event.get {"event":"$E"} => ..,"time_state":"past"..,"places_taken":1,"waiting_count":2..
        OWNER> event.update {"event":"$E","start":"2027-02-01T10:00:00Z"} => ..,"time_state":"upcoming"..,"places_taken":1,"waiting_count":0..
        M3> registration.get {"event":"$E","person":"M3"} => ..,"waiting":false..
        "#,
    );
}

#[test]
fn who_only_waits_leaves_after_the_last_day_to_cancel() {
    check(
        &mut people(),
        r#"
        $E = OWNER> event.create {"title":"Camp","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60,"published":true,"max_participants":1,"unregistration_closes":"2027-01-01T10:00:00Z"} => {"pk"..
        M1> registration.create {"event":"$E","person":"M1"} => ..,"waiting":false..
        M2> registration.create {"event":"$E","person":"M2"} => ..,"waiting":true..
        M1> registration.cancel {"event":"$E","person":"M1"} => registration_closed
        M2> registration.cancel {"event":"$E","person":"M2"} => ..,"canceled":true..
        "#,
    );
}

#[test]
fn a_last_day_to_cancel_behind_the_end_is_everybody_s() {
    check(
        &mut people(),
        r#"
        $E = OWNER> event.create {"title":"Camp","kind":"camp","start":"2027-01-15T08:05:00Z","duration_minutes":1,"published":true,"max_participants":1,"unregistration_closes":"2027-02-01T10:00:00Z"} => {"pk"..
        M1> registration.create {"event":"$E","person":"M1"} => ..,"waiting":false..
        M2> registration.create {"event":"$E","person":"M2"} => ..,"waiting":true..
        +600
        OWNER> event.get {"event":"$E"} => ..,"time_state":"past"..
        M2> registration.cancel {"event":"$E","person":"M2"} => ..,"canceled":true..
        M1> registration.cancel {"event":"$E","person":"M1"} => ..,"canceled":true..
        "#,
    );
}

/// An event that a clock ahead saw begin and end, and somebody with a place deleted; the clock is before its creation now.
const OF_A_CLOCK_AHEAD: &str = r#"
        clock 3600
        $E = OWNER> event.create {"title":"Camp","kind":"camp","start":"2027-01-15T09:05:00Z","duration_minutes":5,"published":true,"pools":[{"name":"all","capacity":1,"roles":["member"]}]} => {"pk"..
        M1> registration.create {"event":"$E","person":"M1"} => ..,"waiting":false..
        M2> registration.create {"event":"$E","person":"M2"} => ..,"waiting":true..
        +900
        BOSS> person.delete {"person":"M1"} => {"pk"..
        OWNER> event.get {"event":"$E"} => ..,"time_state":"past"..,"places_taken":1,"waiting_count":1..
        clock -7200
        OWNER> event.get {"event":"$E"} => ..,"time_state":"upcoming"..,"places_taken":1,"waiting_count":1..
        server.check {} => []
"#;

#[test]
fn an_event_of_a_clock_ahead_goes_on_at_its_creation_or_with_its_next_change() {
    for next in [
        // Its creation, at nine.
        r"
        +6400
        wake
        ",
        r#"
        M3> registration.create {"event":"$E","person":"M3"} => ..,"waiting":true..
        M3> registration.cancel {"event":"$E","person":"M3"} => ..,"canceled":true..
        "#,
    ] {
        let end = r#"
        OWNER> event.get {"event":"$E"} => ..,"time_state":"upcoming"..,"places_taken":1,"waiting_count":0..
        M2> registration.get {"event":"$E","person":"M2"} => ..,"waiting":false..
        changes.list {} => ..,"verb":"clock"..,"verb":"left",..,"verb":"seated",..
        server.check {} => []
        "#;
        check(&mut people(), &[OF_A_CLOCK_AHEAD, next, end].concat());
    }
}

#[test]
fn an_event_that_was_over_by_the_right_clock_stays_as_it_was() {
    let end = r#"
        clock 7200
        OWNER> event.get {"event":"$E"} => ..,"time_state":"past"..,"places_taken":1,"waiting_count":1..
        server.check {} => []
    "#;
    check(&mut people(), &[OF_A_CLOCK_AHEAD, end].concat());
}
