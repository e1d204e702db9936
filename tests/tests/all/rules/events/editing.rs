//! Updates of events and of their pools: what may be set at once, lists by what an event is, and pools that are added.

use super::people;
use crate::rules::check;

#[test]
fn a_list_has_the_events_of_an_owner_and_of_a_state() {
    check(
        &mut people(),
        r#"
        OWNER> event.create {"title":"Past","kind":"camp","start":"2027-01-15T06:00:00Z","duration_minutes":60,"published":true} => {"pk"..
        OWNER> event.create {"title":"Ends","kind":"camp","start":"2027-01-15T07:00:00Z","duration_minutes":60,"published":true} => {"pk"..
        OWNER> event.create {"title":"Lasts","kind":"camp","start":"2027-01-15T07:00:01Z","duration_minutes":60,"published":true} => {"pk"..
        OWNER> event.create {"title":"Begins","kind":"camp","start":"2027-01-15T08:00:00Z","duration_minutes":60,"published":true} => {"pk"..
        BOSS> event.create {"title":"Comes","kind":"camp","start":"2027-01-15T08:00:01Z","duration_minutes":60,"published":true} => {"pk"..
        event.list {"owner":"BOSS"} => {"items":[{"pk":"..","title":"Comes"..],"next":null}
        event.list {"owner":"OWNER"} => {"items":[..,"title":"Past",..,"title":"Ends",..,"title":"Lasts",..,"title":"Begins",..,"next":null}
        event.list {"time_state":"past"} => {"items":[{"pk":"..","title":"Past",..{"pk":"..","title":"Ends",..],"next":null}
        event.list {"time_state":"current","limit":1} => {"items":[{"pk":"..","title":"Lasts"..
        event.list {"time_state":"upcoming","limit":1} => {"items":[{"pk":"..","title":"Comes"..
        event.list {"time_state":"upcoming","owner":"OWNER"} => {"items":[],"next":null}
        event.list {"kind":"walk"} => {"items":[],"next":null}
        "#,
    );
}

#[test]
fn an_update_that_changes_no_state_is_taken_in_every_state() {
    check(
        &mut people(),
        r#"
        $E = OWNER> event.create {"title":"Camp","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60,"extra":{"a":1}} => {"pk"..
        OWNER> event.update {"event":"$E","extra":{"b":1},"clear":["extra"]} => invalid_argument
        OWNER> event.update {"event":"$E","patch":{"b":1},"clear":["extra"]} => invalid_argument
        OWNER> event.update {"event":"$E","clear":["extra"]} => ..,"extra":{}..
        OWNER> event.update {"event":"$E","published":false} => ..,"published":false..
        OWNER> event.update {"event":"$E","leisure":true} => ..,"leisure":true..
        OWNER> event.update {"event":"$E","leisure":false,"published":true} => ..,"published":true..
        M1> registration.create {"event":"$E","person":"M1"} => ..,"waiting":false..
        OWNER> event.update {"event":"$E","leisure":true} => event_has_registrations
        OWNER> event.update {"event":"$E","published":true,"title":"Tent"} => ..,"title":"Tent"..
        OWNER> event.update {"event":"$E","published":false} => event_has_registrations
        OWNER> event.cancel {"event":"$E"} => ..,"canceled":true..
        OWNER> event.update {"event":"$E","published":true,"title":"Hut"} => ..,"title":"Hut"..
        OWNER> event.update {"event":"$E","published":false} => invalid_transition
        "#,
    );
}

#[test]
fn pools_that_are_added_hold_their_own_places() {
    check(
        &mut people(),
        r#"
        $E = OWNER> event.create {"title":"Camp","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60,"published":true} => {"pk"..
        OWNER> event.add_pool {"event":"$E","name":"a","capacity":1,"roles":[]} => invalid_argument
        OWNER> event.add_pool {"event":"$E","name":"a","capacity":1,"roles":["member"]} => ..,"name":"a"..
        OWNER> event.update_pool {"event":"$E","pool":"a","roles":[]} => invalid_argument
        OWNER> event.add_pool {"event":"$E","name":"b","capacity":1,"roles":["member"]} => ..,"name":"a",..,"name":"b"..
        OWNER> event.add_pool {"event":"$E","name":"c","capacity":1,"roles":["member"]} => ..,"name":"a",..,"name":"b",..,"name":"c"..
        M1> registration.create {"event":"$E","person":"M1"} => ..,"waiting":false..
        M2> registration.create {"event":"$E","person":"M2"} => ..,"waiting":false..
        M3> registration.create {"event":"$E","person":"M3"} => ..,"waiting":false..
        event.get {"event":"$E"} => ..,"places_taken":3,..,"name":"a",..,"places_taken":1,..,"name":"b",..,"places_taken":1,..,"name":"c",..,"places_taken":1,..
        B1> registration.create {"event":"$E","person":"B1"} => ..,"waiting_position":1..
        # A pool is named by its pk too.
        $A = B1> registration.explain {"event":"$E","person":"B1"} => {"outcome":"already_registered"..
        OWNER> event.update_pool {"event":"$E","pool":"$A","name":"first"} => ..,"name":"first",..,"name":"b"..
        OWNER> event.update_pool {"event":"$E","pool":"$E","name":"none"} => not_found
        # Before it opens nobody waits for a pool.
        OWNER> event.add_pool {"event":"$E","name":"d","capacity":1,"roles":["member"],"opens":"2027-01-15T08:05:00Z"} => ..,"name":"c",..,"waiting_count":1},{..,"name":"d",..,"waiting_count":0}..
        OWNER> event.add_pool {"event":"$E","name":"e","capacity":1,"roles":["member"],"opens":"2027-01-15T08:00:00Z"} => ..,"places_taken":4,"waiting_count":0,..,"name":"e",..,"places_taken":1..
        "#,
    );
}

#[test]
fn an_event_that_is_moved_out_of_the_past_admits_by_the_roles_of_now() {
    check(
        &mut people(),
        r#"
        $E = OWNER> event.create {"title":"Camp","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60,"published":true,"pools":[{"name":"guests","capacity":1,"roles":["guest"]},{"name":"members","capacity":2,"roles":["member"]}]} => {"pk"..
        G1> registration.create {"event":"$E","person":"G1"} => ..,"waiting":false..
        B1> registration.create {"event":"$E","person":"B1"} => ..,"waiting":false..
        B2> registration.create {"event":"$E","person":"B2"} => ..,"waiting":false..
        M1> registration.create {"event":"$E","person":"M1"} => ..,"waiting_position":1..
        OWNER> event.update {"event":"$E","start":"2027-01-01T10:00:00Z"} => ..,"time_state":"past"..
        BOSS> role.assign {"person":"M1","role":"guest"} => true
        # While it is over the new role counts for nothing.
        OWNER> registration.list {"event":"$E","waiting":true} => {"items":[{..,"waiting_pools":["..
        OWNER> event.update {"event":"$E","title":"Tent","start":"2027-01-02T10:00:00Z"} => ..,"time_state":"past"..
        OWNER> event.update {"event":"$E","start":"2027-02-01T10:00:00Z"} => ..,"time_state":"upcoming"..
        G1> registration.cancel {"event":"$E","person":"G1"} => ..,"canceled":true..
        M1> registration.get {"event":"$E","person":"M1"} => ..,"waiting":false..
        "#,
    );
}
