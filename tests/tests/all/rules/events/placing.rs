//! Placements by hand: every outcome, the order of refusals, and what becomes of the place.

use super::people;
use crate::rules::check;

#[test]
fn a_place_by_hand_lies_beyond_deadline_role_capacity_and_maximum_and_is_never_moved() {
    check(
        &mut people(),
        r#"
        $E = OWNER> event.create {"title":"Camp","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60,"published":true,"max_participants":2,"registration_closes":"2020-01-01T00:00:00Z","pools":[{"name":"members","capacity":1,"roles":["member"]},{"name":"guests","capacity":1,"roles":["guest"]}]} => {"pk"..
        M1> registration.create {"event":"$E","person":"M1"} => registration_closed
        M1> registration.place {"event":"$E","person":"M1","reason":"x"} => permission_denied
        OWNER> registration.place {"event":"$E","person":"NONE","pool":"members","position":1,"reason":"x"} => invalid_argument
        OWNER> registration.place {"event":"$E","person":"NONE","position":0,"reason":"x"} => invalid_argument
        OWNER> registration.place {"event":"$E","person":"NONE","pool":"nowhere","reason":"x"} => not_found
        OWNER> registration.place {"event":"$E","person":"NOBODY","reason":"x"} => not_found
        OWNER> registration.place {"event":"$E","person":"B1","pool":"members","reason":"speaks"} => ..,"waiting":false,..,"approval":"not_required","decided_by":null,..,"placed":{"by":{"person":"..,"reason":"speaks"}..
        OWNER> registration.place {"event":"$E","person":"B1","pool":"members","reason":"speaks"} => conflict
        OWNER> registration.place {"event":"$E","person":"B1","reason":"speaks"} => conflict
        OWNER> registration.place {"event":"$E","person":"NONE","pool":"members","reason":"cooks"} => ..,"waiting":false..
        OWNER> registration.place {"event":"$E","person":"M3","reason":"helps"} => ..,"waiting":false..
        OWNER> event.get {"event":"$E"} => ..,"places_taken":3,"waiting_count":0..
        B1> registration.explain {"event":"$E","person":"B1"} => {"outcome":"registration_closed"..given by hand, and nobody moves it..speaks..
        OWNER> event.update {"event":"$E","clear":["registration_closes","max_participants"]} => {"pk"..
        M1> registration.create {"event":"$E","person":"M1"} => ..,"waiting":true..
        OWNER> event.update_pool {"event":"$E","pool":"members","capacity":2} => ..,"places_taken":3,"waiting_count":1..
        OWNER> event.remove_pool {"event":"$E","pool":"members"} => pool_has_registrations
        NONE> registration.cancel {"event":"$E","person":"NONE"} => ..,"canceled":true..,"placed":null..
        OWNER> event.update_pool {"event":"$E","pool":"members","capacity":3} => ..,"waiting_count":0..
        server.check {} => []
        "#,
    );
}

#[test]
fn a_place_by_hand_leaves_the_old_one_to_the_next_and_the_feed_tells_it() {
    check(
        &mut people(),
        r#"
        $E = OWNER> event.create {"title":"Camp","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60,"published":true,"pools":[{"name":"members","capacity":1,"roles":["member"]},{"name":"guests","capacity":1,"roles":["guest"]}]} => {"pk"..
        M1> registration.create {"event":"$E","person":"M1"} => ..,"waiting":false..
        M2> registration.create {"event":"$E","person":"M2"} => ..,"waiting_position":1..
        OWNER> registration.place {"event":"$E","person":"M1","pool":"guests","reason":"they asked"} => ..,"waiting":false..
        M2> registration.get {"event":"$E","person":"M2"} => ..,"waiting":false..
        BOSS> changes.list {"since":12} => ..verb":"place"..,"verb":"seated"..,"cause":13..
        G1> registration.create {"event":"$E","person":"G1"} => ..,"waiting_position":1..
        M3> registration.create {"event":"$E","person":"M3"} => ..,"waiting_position":2..
        OWNER> registration.place {"event":"$E","person":"M2","position":3,"reason":"late"} => ..,"waiting_position":2..
        M3> registration.get {"event":"$E","person":"M3"} => ..,"waiting":false..
        # Nobody else fits into the place that they leave: they have it again.
        OWNER> registration.place {"event":"$E","person":"M3","position":1,"reason":"late"} => ..,"waiting":false..
        server.check {} => []
        "#,
    );
}

#[test]
fn a_position_by_hand_is_before_the_one_who_stands_there() {
    check(
        &mut people(),
        r#"
        $E = OWNER> event.create {"title":"Camp","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60,"published":true,"pools":[{"name":"members","capacity":1,"roles":["member"]},{"name":"guests","capacity":1,"roles":["guest"]}]} => {"pk"..
        M1> registration.create {"event":"$E","person":"M1"} => ..,"waiting":false..
        G1> registration.create {"event":"$E","person":"G1"} => ..,"waiting":false..
        M2> registration.create {"event":"$E","person":"M2"} => ..,"waiting_position":1..
        M3> registration.create {"event":"$E","person":"M3"} => ..,"waiting_position":2..
        B1> registration.create {"event":"$E","person":"B1"} => ..,"waiting_position":3..
        OWNER> registration.place {"event":"$E","person":"B1","position":1,"reason":"ill"} => ..,"waiting_position":1..
        OWNER> registration.place {"event":"$E","person":"B1","position":1,"reason":"ill"} => conflict
        OWNER> registration.place {"event":"$E","person":"B1","position":2,"reason":"ill"} => ..,"waiting_position":2..
        M2> registration.get {"event":"$E","person":"M2"} => ..,"waiting_position":1..
        OWNER> registration.place {"event":"$E","person":"B1","position":99,"reason":"ill"} => ..,"waiting_position":3..
        OWNER> registration.place {"event":"$E","person":"B1","position":3,"reason":"ill"} => conflict
        OWNER> registration.place {"event":"$E","person":"B1","position":9,"reason":"ill"} => conflict
        # Without a role they wait for every pool, and stay so.
        OWNER> registration.place {"event":"$E","person":"NONE","position":1,"reason":"speaks"} => ..,"waiting_pools":["..","..],"waiting_position":1..
        G1> registration.cancel {"event":"$E","person":"G1"} => ..,"canceled":true..
        NONE> registration.get {"event":"$E","person":"NONE"} => ..,"waiting":false..
        server.check {} => []
        "#,
    );
}

#[test]
fn placements_are_refused_in_this_order() {
    check(
        &mut people(),
        r#"
        $L = OWNER> event.create {"title":"L","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60,"leisure":true} => {"pk"..
        $D = OWNER> event.create {"title":"D","kind":"camp","start":"2020-02-01T10:00:00Z","duration_minutes":60} => {"pk"..
        $P = OWNER> event.create {"title":"P","kind":"camp","start":"2020-02-01T10:00:00Z","duration_minutes":60,"published":true} => {"pk"..
        $E = OWNER> event.create {"title":"E","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60,"published":true,"approval":"supervisor"} => {"pk"..
        OWNER> registration.place {"event":"$L","person":"M1","reason":"x"} => registration_not_required
        OWNER> registration.place {"event":"$D","person":"M1","reason":"x"} => event_not_published
        OWNER> registration.place {"event":"$P","person":"M1","reason":"x"} => event_past
        M2> registration.place {"event":"$P","person":"M1","reason":"x"} => permission_denied
        M1> registration.create {"event":"$E","person":"M1"} => ..,"approval":"pending"..
        BOSS> registration.reject {"event":"$E","person":"M1"} => ..,"approval":"rejected"..
        OWNER> registration.place {"event":"$E","person":"M1","reason":"x"} => permission_denied
        M1> registration.cancel {"event":"$E","person":"M1"} => ..,"canceled":true..
        OWNER> registration.place {"event":"$E","person":"M1","position":1,"reason":"x"} => permission_denied
        OWNER> registration.place {"event":"$E","person":"M2","reason":"x"} => ..,"pool":null,"waiting":false,..,"approval":"approved","decided_by":{"person":"..,"reason":"x","placed":{..
        BOSS> registration.reject {"event":"$E","person":"M2"} => ..,"approval":"rejected",..,"placed":null..
        BOSS> registration.approve {"event":"$E","person":"M2"} => ..,"waiting":false,..,"placed":null..
        BOSS> person.delete {"person":"M3"} => {"pk"..
        OWNER> registration.place {"event":"$E","person":"M3","reason":"x"} => deleted
        OWNER> event.cancel {"event":"$E"} => ..,"canceled":true..
        OWNER> registration.place {"event":"$E","person":"G1","reason":"x"} => event_canceled
        BOSS> permission.grant {"role":"member","permission":"/events/edit/camp/"} => true
        M2> registration.place {"event":"$E","person":"G1","reason":"x"} => event_canceled
        server.check {} => []
        "#,
    );
}

#[test]
fn a_place_by_hand_counts_through_a_merge_and_ends_with_its_person() {
    check(
        &mut people(),
        r#"
        $E = OWNER> event.create {"title":"Camp","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60,"published":true,"merge_time":"2027-01-15T08:05:00Z","pools":[{"name":"members","capacity":1,"roles":["member"]},{"name":"guests","capacity":2,"roles":["guest"]}]} => {"pk"..
        M1> registration.create {"event":"$E","person":"M1"} => ..,"waiting":false..
        OWNER> registration.place {"event":"$E","person":"NONE","pool":"members","reason":"cooks"} => ..,"waiting":false..
        G1> registration.create {"event":"$E","person":"G1"} => ..,"waiting":false..
        M2> registration.create {"event":"$E","person":"M2"} => ..,"waiting_position":1..
        +300
        wake
        # The third place of the two pools is taken beyond the capacity of one.
        M2> registration.get {"event":"$E","person":"M2"} => ..,"waiting_position":1..
        NONE> registration.get {"event":"$E","person":"NONE"} => ..,"waiting":false,..,"placed":{..
        OWNER> event.get {"event":"$E"} => ..,"places_taken":3,"waiting_count":1..
        OWNER> registration.place {"event":"$E","person":"B1","position":1,"reason":"ill"} => ..,"waiting_position":1..
        BOSS> person.delete {"person":"NONE"} => {"pk"..
        B1> registration.get {"event":"$E","person":"B1"} => ..,"waiting":false..
        BOSS> person.restore {"person":"NONE"} => {"pk"..
        NONE> registration.get {"event":"$E","person":"NONE"} => ..,"waiting":false,..,"canceled":true,..,"placed":null..
        OWNER> registration.place {"event":"$E","person":"NONE","position":1,"reason":"cooks"} => ..,"waiting_position":1..
        OWNER> registration.place {"event":"$E","person":"M3","position":1,"reason":"helps"} => ..,"waiting_position":1..
        BOSS> person.delete {"person":"M3"} => {"pk"..
        NONE> registration.get {"event":"$E","person":"NONE"} => ..,"waiting_position":1..
        BOSS> person.delete {"person":"B1"} => {"pk"..
        NONE> registration.get {"event":"$E","person":"NONE"} => ..,"waiting":false..
        OWNER> event.get {"event":"$E"} => ..,"places_taken":3,"waiting_count":1..
        server.check {} => []
        "#,
    );
}

#[test]
fn many_placed_one_before_the_other_keep_their_order() {
    let mut script = r#"
        $E = OWNER> event.create {"title":"Camp","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60,"published":true,"max_participants":1} => {"pk"..
        M1> registration.create {"event":"$E","person":"M1"} => ..,"waiting":false..
        M2> registration.create {"event":"$E","person":"M2"} => ..,"waiting_position":1..
        M3> registration.create {"event":"$E","person":"M3"} => ..,"waiting_position":2..
        "#
    .to_owned();
    // More than the gap between two order numbers has room for: before the first, and each before the same one.
    for number in 0..150 {
        let at = if number % 2 == 0 { 1 } else { number + 2 };
        let person = format!("W{number}");
        script.push_str(&format!("person.create {{\"callsign\":\"{person}\"}} => {{\"pk\"..\n"));
        script.push_str(&format!(
            "OWNER> registration.place {{\"event\":\"$E\",\"person\":\"{person}\",\"position\":{at},\"reason\":\"x\"}} \
             => ..,\"waiting_position\":{at}..\n"
        ));
    }
    script.push_str(
        r#"
        M2> registration.get {"event":"$E","person":"M2"} => ..,"waiting_position":76..
        M3> registration.get {"event":"$E","person":"M3"} => ..,"waiting_position":152..
        server.check {} => []
        "#,
    );
    check(&mut people(), &script);
}

#[test]
fn a_place_anywhere_is_a_free_one_of_their_roles_or_a_free_one_or_the_oldest_open_one() {
    check(
        &mut people(),
        r#"
        $E = OWNER> event.create {"title":"Camp","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60,"published":true,"pools":[{"name":"late","capacity":9,"roles":["member"],"opens":"2027-01-20T08:00:00Z"},{"name":"guests","capacity":2,"roles":["guest"]},{"name":"members","capacity":1,"roles":["member"]}]} => {"pk"..
        OWNER> registration.place {"event":"$E","person":"M1","reason":"x"} => ..,"waiting":false..
        event.get {"event":"$E"} => ..,"name":"late",..,"places_taken":0,..,"name":"guests",..,"places_taken":0,..,"name":"members",..,"places_taken":1,..
        OWNER> registration.place {"event":"$E","person":"M2","reason":"x"} => ..,"waiting":false..
        event.get {"event":"$E"} => ..,"name":"late",..,"places_taken":0,..,"name":"guests",..,"places_taken":1,..,"name":"members",..,"places_taken":1,..
        OWNER> registration.place {"event":"$E","person":"G1","reason":"x"} => ..,"waiting":false..
        # Every place is taken: the one that is open for their role, and for nobody's role the oldest open one.
        OWNER> registration.place {"event":"$E","person":"M3","reason":"x"} => ..,"waiting":false..
        event.get {"event":"$E"} => ..,"name":"late",..,"places_taken":0,..,"name":"guests",..,"places_taken":2,..,"name":"members",..,"places_taken":2,..
        OWNER> registration.place {"event":"$E","person":"NONE","reason":"x"} => ..,"waiting":false..
        event.get {"event":"$E"} => ..,"name":"late",..,"places_taken":0,..,"name":"guests",..,"places_taken":3,..,"name":"members",..,"places_taken":2,..
        "#,
    );
}

#[test]
fn a_placement_keeps_the_time_of_a_live_registration_and_tells_who_stands_behind() {
    check(
        &mut people(),
        r#"
        $E = OWNER> event.create {"title":"Camp","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60,"published":true,"pools":[{"name":"members","capacity":1,"roles":["member"]},{"name":"guests","capacity":1,"roles":["guest"]}]} => {"pk"..
        M1> registration.create {"event":"$E","person":"M1"} => ..,"waiting":false..
        G1> registration.create {"event":"$E","person":"G1"} => ..,"waiting":false..
        M2> registration.create {"event":"$E","person":"M2"} => ..,"waiting_position":1..
        +60
        OWNER> registration.place {"event":"$E","person":"M1","pool":"guests","reason":"x"} => ..,"registered_at":"2027-01-15T08:00:00..
        BOSS> changes.list {"since":13} => {"items":[{"seq":14,..,"verb":"place",..},{"seq":15,..,"verb":"seated",..,"cause":14..
        M2> registration.get {"event":"$E","person":"M2"} => ..,"waiting":false..
        M1> registration.cancel {"event":"$E","person":"M1"} => ..,"canceled":true..
        OWNER> registration.place {"event":"$E","person":"M1","position":1,"reason":"x"} => ..,"waiting_position":1,"registered_at":"2027-01-15T08:01:00..
        # A position by hand waits for what their roles admit them to, and for nothing else.
        G1> registration.cancel {"event":"$E","person":"G1"} => ..,"canceled":true..
        M1> registration.get {"event":"$E","person":"M1"} => ..,"waiting":true..
        M3> registration.create {"event":"$E","person":"M3"} => ..,"waiting_position":2..
        OWNER> registration.place {"event":"$E","person":"M3","position":1,"reason":"x"} => ..,"waiting_position":1..
        $M1 = person.get {"person":"M1"} => {"pk"..
        $M3 = person.get {"person":"M3"} => {"pk"..
        BOSS> changes.list {"since":20} => {"items":[{..,"verb":"place"..{..,"verb":"positioned","subjects":["$E","$M3","$M1"],..,"cause":21..
        "#,
    );
}
