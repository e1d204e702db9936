//! Seating: the decision on places, moving, merging, and the effect of changes of pools and roles.

use super::people;
use crate::rules::check;

#[test]
fn the_most_exclusive_pool_is_chosen_then_the_largest_then_the_oldest() {
    check(
        &mut people(),
        r#"
        # Five people are members and three are guests.
        $E = OWNER> event.create {"title":"Camp","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60,"published":true,"pools":[{"name":"members","capacity":9,"roles":["member"]},{"name":"guests","capacity":1,"roles":["guest"]},{"name":"both","capacity":0,"roles":["member","guest"]}]} => {"pk"..
        B1> registration.explain {"event":"$E","person":"B1"} => {"outcome":"seat"..,"name":"guests"..,"exclusivity":3,"chosen":true..
        B1> registration.create {"event":"$E","person":"B1"} => ..,"waiting":false..
        OWNER> event.get {"event":"$E"} => .."name":"members","capacity":9,..,"places_taken":0,.."name":"guests",..,"places_taken":1,..
        B2> registration.explain {"event":"$E","person":"B2"} => {"outcome":"seat"..,"name":"members"..,"exclusivity":5,"chosen":true..
        $F = OWNER> event.create {"title":"Camp","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60,"published":true,"pools":[{"name":"a","capacity":1,"roles":["guest"]},{"name":"b","capacity":2,"roles":["guest"]},{"name":"c","capacity":2,"roles":["guest"]}]} => {"pk"..
        G1> registration.explain {"event":"$F","person":"G1"} => {"outcome":"seat"..,"name":"b"..,"chosen":true,"because":"of those that are as exclusive and as large it is the oldest"..
        OWNER> event.update_pool {"event":"$F","pool":"c","capacity":0} => {"pk"..
        G1> registration.explain {"event":"$F","person":"G1"} => {"outcome":"seat"..,"name":"c"..,"chosen":true,"because":"of those that are as exclusive it has the most places"..
        "#,
    );
}

#[test]
fn a_person_who_registers_gets_the_place_of_somebody_who_can_move() {
    check(
        &mut people(),
        r#"
        $E = OWNER> event.create {"title":"Camp","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60,"published":true,"pools":[{"name":"guests","capacity":1,"roles":["guest"]},{"name":"members","capacity":1,"roles":["member"]}]} => {"pk"..
        B1> registration.create {"event":"$E","person":"B1"} => ..,"waiting":false..
        G1> registration.explain {"event":"$E","person":"G1"} => {"outcome":"seat","pool":"..,"waiting_position":null,..,"because":["somebody moves to another pool, which leaves a place in the pool \"guests\""]}
        G1> registration.create {"event":"$E","person":"G1"} => ..,"waiting":false..
        BOSS> changes.list {"since":11} => .."verb":"create"..{"seq":13,..,"verb":"moved"..,"cause":12..{"seq":14,..,"verb":"seated"..,"cause":12..
        M1> registration.create {"event":"$E","person":"M1"} => ..,"waiting":true..
        "#,
    );
}

#[test]
fn nobody_moves_out_of_a_pool_that_holds_more_than_it_has() {
    check(
        &mut people(),
        r#"
        $E = OWNER> event.create {"title":"Camp","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60,"published":true,"pools":[{"name":"guests","capacity":3,"roles":["guest"]},{"name":"members","capacity":2,"roles":["member"]}]} => {"pk"..
        G1> registration.create {"event":"$E","person":"G1"} => ..,"waiting":false..
        B1> registration.create {"event":"$E","person":"B1"} => ..,"waiting":false..
        B2> registration.create {"event":"$E","person":"B2"} => ..,"waiting":false..
        OWNER> event.update_pool {"event":"$E","pool":"guests","capacity":2} => ..,"places_taken":3..
        BOSS> role.assign {"person":"NONE","role":"guest"} => true
        NONE> registration.explain {"event":"$E","person":"NONE"} => {"outcome":"wait","pool":null,"waiting_position":1..
        NONE> registration.create {"event":"$E","person":"NONE"} => ..,"waiting":true..
        B1> registration.cancel {"event":"$E","person":"B1"} => ..,"canceled":true..
        # Now two hold the two places, and one of them can move.
        NONE> registration.get {"event":"$E","person":"NONE"} => ..,"waiting":false..
        OWNER> event.get {"event":"$E"} => ..,"places_taken":3,"waiting_count":0..,"name":"guests",..,"places_taken":2,..,"name":"members",..,"places_taken":1,..
        "#,
    );
}

#[test]
fn a_merge_that_is_taken_back_leaves_pools_with_more_than_they_have() {
    check(
        &mut people(),
        r#"
        $E = OWNER> event.create {"title":"Camp","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60,"published":true,"merge_time":"2027-01-15T07:00:00Z","pools":[{"name":"members","capacity":1,"roles":["member"]},{"name":"guests","capacity":1,"roles":["guest"]},{"name":"late","capacity":5,"roles":["guest"],"opens":"2027-01-20T00:00:00Z"}]} => {"pk"..
        M1> registration.create {"event":"$E","person":"M1"} => ..,"waiting":false..
        B1> registration.create {"event":"$E","person":"B1"} => ..,"waiting":false..
        G1> registration.create {"event":"$E","person":"G1"} => ..,"waiting":true..
        M2> registration.create {"event":"$E","person":"M2"} => ..,"waiting":true..
        OWNER> event.get {"event":"$E"} => ..,"name":"members",..,"places_taken":2,.."name":"guests",..,"places_taken":0,..
        OWNER> event.update {"event":"$E","clear":["merge_time"]} => ..,"places_taken":3,"waiting_count":1..
        M1> registration.cancel {"event":"$E","person":"M1"} => ..,"canceled":true..
        M2> registration.get {"event":"$E","person":"M2"} => ..,"waiting":true..
        OWNER> event.update_pool {"event":"$E","pool":"late","opens":"2027-01-15T00:00:00Z"} => ..,"places_taken":3,"waiting_count":0..
        # Closed again: people who hold a place there stay, and count.
        OWNER> event.update_pool {"event":"$E","pool":"late","opens":"2027-01-16T00:00:00Z"} => ..,"places_taken":3..
        M3> registration.create {"event":"$E","person":"M3"} => ..,"waiting":true..
        "#,
    );
}

#[test]
fn both_bounds_hold_and_a_bigger_one_seats_the_first() {
    check(
        &mut people(),
        r#"
        $E = OWNER> event.create {"title":"Camp","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60,"published":true,"max_participants":1,"pools":[{"name":"members","capacity":9,"roles":["member"]}]} => {"pk"..
        M1> registration.create {"event":"$E","person":"M1"} => ..,"waiting":false..
        M2> registration.create {"event":"$E","person":"M2"} => ..,"waiting":true,"waiting_pools":["..
        M3> registration.create {"event":"$E","person":"M3"} => ..,"waiting_position":2..
        OWNER> event.update {"event":"$E","max_participants":2} => ..,"places_taken":2,"waiting_count":1..
        OWNER> event.update {"event":"$E","max_participants":1} => ..,"places_taken":2,"waiting_count":1..
        M1> registration.cancel {"event":"$E","person":"M1"} => ..,"canceled":true..
        OWNER> event.get {"event":"$E"} => ..,"places_taken":1,"waiting_count":1..
        OWNER> event.update {"event":"$E","waiting_list":false} => ..,"waiting_count":1..
        M1> registration.create {"event":"$E","person":"M1"} => no_free_slots
        OWNER> event.update {"event":"$E","clear":["max_participants"]} => ..,"places_taken":2,"waiting_count":0..
        "#,
    );
}

#[test]
fn roles_decide_who_waits_for_what_and_unseat_nobody() {
    check(
        &mut people(),
        r#"
        $E = OWNER> event.create {"title":"Camp","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60,"published":true,"pools":[{"name":"members","capacity":1,"roles":["member"]},{"name":"guests","capacity":1,"roles":["guest"]}]} => {"pk"..
        M1> registration.create {"event":"$E","person":"M1"} => ..,"waiting":false..
        M2> registration.create {"event":"$E","person":"M2"} => ..,"waiting":true..
        BOSS> role.remove {"person":"M1","role":"member"} => true
        M1> registration.get {"event":"$E","person":"M1"} => ..,"pool":"..,"waiting":false..
        BOSS> role.assign {"person":"M2","role":"guest"} => true
        M2> registration.get {"event":"$E","person":"M2"} => ..,"waiting":false..
        M3> registration.create {"event":"$E","person":"M3"} => ..,"waiting":true,"waiting_pools":["..
        OWNER> event.update_pool {"event":"$E","pool":"members","roles":["staff"]} => {"pk"..
        M3> registration.get {"event":"$E","person":"M3"} => ..,"waiting":true,"waiting_pools":[],"waiting_position":1..
        OWNER> event.add_pool {"event":"$E","name":"more","capacity":1,"roles":["member"]} => ..,"places_taken":3,"waiting_count":0..
        OWNER> event.remove_pool {"event":"$E","pool":"more"} => pool_has_registrations
        BOSS> person.delete {"person":"M3"} => {"pk"..
        OWNER> event.remove_pool {"event":"$E","pool":"more"} => ..,"places_taken":2..
        "#,
    );
}

#[test]
fn an_opening_and_a_merge_while_nobody_looked_come_before_the_next_person() {
    let mut registry = people();
    check(
        &mut registry,
        r#"
        $E = OWNER> event.create {"title":"Camp","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60,"published":true,"merge_time":"2027-01-15T08:10:00Z","pools":[{"name":"early","capacity":1,"roles":["member"]},{"name":"late","capacity":2,"roles":["guest"],"opens":"2027-01-15T08:05:00Z"}]} => {"pk"..
        M1> registration.create {"event":"$E","person":"M1"} => ..,"waiting":false..
        B1> registration.create {"event":"$E","person":"B1"} => ..,"waiting":true,.."waiting_position":1..
        M2> registration.create {"event":"$E","person":"M2"} => ..,"waiting_position":2..
        M3> registration.create {"event":"$E","person":"M3"} => ..,"waiting_position":3..
        +900
        # B1 went to the pool that opened, and at the merge M2 took the last of three places.
        G1> registration.create {"event":"$E","person":"G1"} => ..,"waiting_position":2..
        M2> registration.get {"event":"$E","person":"M2"} => ..,"waiting":false..
        M3> registration.get {"event":"$E","person":"M3"} => ..,"waiting_position":1..
        BOSS> changes.list {"since":14} => {"items":[{..,"verb":"opened"..,"actor":null..,"verb":"seated"..,"verb":"merged"..,"verb":"seated"..,"verb":"create"..
        "#,
    );
}

#[test]
fn a_merge_before_an_opening_counts_only_what_is_open() {
    check(
        &mut people(),
        r#"
        $E = OWNER> event.create {"title":"Camp","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60,"published":true,"merge_time":"2027-01-15T08:00:00Z","pools":[{"name":"early","capacity":1,"roles":["member"]},{"name":"late","capacity":1,"roles":["guest"],"opens":"2027-01-15T08:05:00Z"}]} => {"pk"..
        M1> registration.create {"event":"$E","person":"M1"} => ..,"waiting":false..
        M2> registration.create {"event":"$E","person":"M2"} => ..,"waiting":true..
        G1> registration.create {"event":"$E","person":"G1"} => registration_not_open
        +300
        wake
        M2> registration.get {"event":"$E","person":"M2"} => ..,"waiting":false..
        G1> registration.create {"event":"$E","person":"G1"} => ..,"waiting":true..
        "#,
    );
}

#[test]
fn who_moves_goes_to_a_free_pool_that_admits_them_and_who_was_placed_by_hand_stays() {
    check(
        &mut people(),
        r#"
        $E = OWNER> event.create {"title":"Camp","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60,"published":true,"pools":[{"name":"moderators","capacity":5,"roles":["moderator"]},{"name":"guests","capacity":1,"roles":["guest"]},{"name":"members","capacity":1,"roles":["member"]}]} => {"pk"..
        $F = OWNER> event.create {"title":"Walk","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60,"published":true,"pools":[{"name":"guests","capacity":1,"roles":["guest"]},{"name":"members","capacity":1,"roles":["member"]}]} => {"pk"..
        B1> registration.create {"event":"$E","person":"B1"} => ..,"waiting":false..
        OWNER> registration.place {"event":"$F","person":"B1","pool":"guests","reason":"x"} => ..,"waiting":false..
        +60
        G1> registration.create {"event":"$E","person":"G1"} => ..,"waiting":false..
        B1> registration.get {"event":"$E","person":"B1"} => ..,"waiting":false,..,"created":"2027-01-15T08:00:00.000000Z","updated":"2027-01-15T08:01:00.000000Z"..
        event.get {"event":"$E"} => ..,"name":"moderators",..,"places_taken":0,..,"name":"guests",..,"places_taken":1,..,"name":"members",..,"places_taken":1,..
        G1> registration.create {"event":"$F","person":"G1"} => ..,"waiting_position":1..
        "#,
    );
}

#[test]
fn the_feed_names_the_pool_in_which_a_place_was_taken() {
    check(
        &mut people(),
        r#"
        $G1 = person.get {"person":"G1"} => {"pk"..
        $M1 = person.get {"person":"M1"} => {"pk"..
        $E = OWNER> event.create {"title":"Camp","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60,"published":true,"pools":[{"name":"guests","capacity":1,"roles":["guest"]},{"name":"members","capacity":1,"roles":["member"]}]} => {"pk"..
        G1> registration.create {"event":"$E","person":"G1"} => ..,"waiting":false..
        $P = G1> registration.explain {"event":"$E","person":"G1"} => {"outcome":"already_registered"..
        M1> registration.create {"event":"$E","person":"M1"} => ..,"waiting":false..
        changes.list {"since":10} => {"items":[{..,"verb":"create","subjects":["$E","$G1","$P"],..},{..,"verb":"create","subjects":["$E","$M1","..
        "#,
    );
}

#[test]
fn an_event_that_is_over_seats_nobody_and_what_became_of_its_people_counts_once_it_is_to_come() {
    check(
        &mut people(),
        r#"
        $E = OWNER> event.create {"title":"Camp","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60,"published":true,"pools":[{"name":"members","capacity":2,"roles":["member"]}]} => {"pk"..
        M1> registration.create {"event":"$E","person":"M1"} => ..,"waiting":false..
        M2> registration.create {"event":"$E","person":"M2"} => ..,"waiting":false..
        M3> registration.create {"event":"$E","person":"M3"} => ..,"waiting":true..
        M2> registration.cancel {"event":"$E","person":"M2"} => ..,"canceled":true..
        M2> registration.create {"event":"$E","person":"M2"} => ..,"waiting":true..
        M2> registration.cancel {"event":"$E","person":"M2"} => ..,"canceled":true..
        OWNER> event.update {"event":"$E","start":"2027-01-01T10:00:00Z"} => ..,"time_state":"past"..
        BOSS> person.delete {"person":"M1"} => {"pk"..
        BOSS> person.delete {"person":"M2"} => {"pk"..
        B1> registration.create {"event":"$E","person":"B1"} => event_past
        OWNER> event.update_pool {"event":"$E","pool":"members","capacity":9,"roles":["member","moderator"]} => ..,"places_taken":2,"waiting_count":0..
        +60
        OWNER> event.update {"event":"$E","start":"2027-02-01T10:00:00Z"} => ..,"time_state":"upcoming",..,"places_taken":1,"waiting_count":0..
        BOSS> registration.list {"event":"$E"} => {"items":[{..,"canceled":true,"canceled_at":"2027-01-15T08:01:00..,"canceled":true,"canceled_at":"2027-01-15T08:00:00..
        "#,
    );
}

#[test]
fn a_place_that_is_made_in_an_event_that_is_over_stays_free() {
    check(
        &mut people(),
        r#"
        $E = OWNER> event.create {"title":"Camp","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60,"published":true,"max_participants":1} => {"pk"..
        M1> registration.create {"event":"$E","person":"M1"} => ..,"waiting":false..
        M2> registration.create {"event":"$E","person":"M2"} => ..,"waiting":true..
        OWNER> event.update {"event":"$E","start":"2027-01-01T10:00:00Z"} => ..,"time_state":"past"..
        OWNER> event.update {"event":"$E","max_participants":9} => ..,"places_taken":1,"waiting_count":1..
        OWNER> event.update {"event":"$E","start":"2027-02-01T10:00:00Z"} => ..,"places_taken":2,"waiting_count":0..
        "#,
    );
}
