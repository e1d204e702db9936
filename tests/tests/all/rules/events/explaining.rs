//! Explanations: the verdict on each pool, the outcome, and how far a place is.

use super::people;
use crate::rules::check;

#[test]
fn each_pool_has_the_verdict_that_the_choice_is_made_by() {
    check(
        &mut people(),
        r#"
        $E = OWNER> event.create {"title":"Camp","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60,"published":true,"pools":[{"name":"a","capacity":1,"roles":["guest"]},{"name":"b","capacity":2,"roles":["guest"]},{"name":"c","capacity":2,"roles":["guest"]},{"name":"d","capacity":5,"roles":["member"]},{"name":"e","capacity":1,"roles":["moderator"]},{"name":"f","capacity":9,"roles":["guest"],"opens":"2027-01-20T08:00:00Z"}]} => {"pk"..
        B1> registration.explain {"event":"$E","person":"B1"} => {"outcome":"seat","pool":"..","waiting_position":null,"pools":[{..,"name":"a","admits":true,"open":true,"opens":null,"capacity":1,"places_taken":0,"exclusivity":3,"chosen":false,"because":"it is as exclusive as the chosen one and has fewer places"},{..,"name":"b",..,"exclusivity":3,"chosen":true,"because":"of those that are as exclusive and as large it is the oldest"},{..,"name":"c",..,"chosen":false,"because":"it is as exclusive and as large as the chosen one, and younger"},{..,"name":"d",..,"exclusivity":5,"chosen":false,"because":"more people have its roles than those of the chosen one"},{..,"name":"e","admits":false,"open":true,..,"exclusivity":0,"chosen":false,"because":"the person has none of its roles (moderator)"},{..,"name":"f","admits":true,"open":false,..,"chosen":false,"because":"it opens at 2027-01-20T08:00:00.000000Z"}],"because":["there is a free place in the pool \"b\""]}
        B1> registration.create {"event":"$E","person":"B1"} => ..,"waiting":false..
        B2> registration.explain {"event":"$E","person":"B2"} => ..,"name":"b",..,"places_taken":1,..,"name":"c",..,"places_taken":0,..
        # Who is registered is shown no choice.
        B1> registration.explain {"event":"$E","person":"B1"} => {"outcome":"already_registered","pool":null..
        OWNER> event.remove_pool {"event":"$E","pool":"c"} => {"pk"..
        B2> registration.explain {"event":"$E","person":"B2"} => ..,"name":"b",..,"chosen":true,"because":"of those that are as exclusive it has the most places"..,"name":"d",..
        B2> registration.create {"event":"$E","person":"B2"} => ..,"waiting":false..
        OWNER> event.update_pool {"event":"$E","pool":"d","capacity":1} => {"pk"..
        BOSS> role.assign {"person":"G1","role":"member"} => true
        G1> registration.explain {"event":"$E","person":"G1"} => {"outcome":"seat",..,"name":"a",..,"chosen":true,"because":"fewer people have its roles than those of any other with a free place"},{..,"name":"b",..,"because":"all of its 2 places are taken"},{..,"name":"d",..,"because":"more people have its roles than those of the chosen one"}..
        M1> registration.explain {"event":"$E","person":"M1"} => {"outcome":"seat",..,"name":"d",..,"chosen":true,"because":"it is the only one with a free place for the person"}..
        M1> registration.create {"event":"$E","person":"M1"} => ..,"waiting":false..
        M2> registration.explain {"event":"$E","person":"M2"} => {"outcome":"wait",..,"name":"d",..,"chosen":false,"because":"its one place is taken"}..,"because":["every place that the person could have is taken","number 1 in the waiting list","the next place that comes free there is theirs"]}
        OWNER> event.update {"event":"$E","max_participants":3} => {"pk"..
        G1> registration.explain {"event":"$E","person":"G1"} => {"outcome":"wait",..,"name":"a",..,"because":"the event has no place left, whatever this pool has"}..
        "#,
    );
}

#[test]
fn a_pool_that_somebody_leaves_for_another_is_chosen_though_it_is_full() {
    check(
        &mut people(),
        r#"
        $E = OWNER> event.create {"title":"Camp","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60,"published":true,"pools":[{"name":"guests","capacity":1,"roles":["guest"]},{"name":"members","capacity":2,"roles":["member"]}]} => {"pk"..
        B1> registration.create {"event":"$E","person":"B1"} => ..,"waiting":false..
        G1> registration.explain {"event":"$E","person":"G1"} => {"outcome":"seat",..,"name":"guests",..,"chosen":true,"because":"its places are taken, and somebody there can move to another pool"},{..,"name":"members",..,"chosen":false..
        OWNER> event.update_pool {"event":"$E","pool":"members","capacity":1} => {"pk"..
        M1> registration.create {"event":"$E","person":"M1"} => ..,"waiting":false..
        G1> registration.explain {"event":"$E","person":"G1"} => {"outcome":"wait",..,"name":"guests",..,"because":"its one place is taken"},{..
        "#,
    );
}

#[test]
fn who_waits_is_told_how_many_stand_before_them_for_the_least_wanted_pool() {
    check(
        &mut people(),
        r#"
        $E = OWNER> event.create {"title":"Camp","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60,"published":true,"pools":[{"name":"guests","capacity":1,"roles":["guest"]},{"name":"members","capacity":1,"roles":["member"]}]} => {"pk"..
        G1> registration.create {"event":"$E","person":"G1"} => ..,"waiting":false..
        M1> registration.create {"event":"$E","person":"M1"} => ..,"waiting":false..
        M2> registration.create {"event":"$E","person":"M2"} => ..,"waiting_position":1..
        M3> registration.explain {"event":"$E","person":"M3"} => ..,"because":[..,"number 2 in the waiting list","at most 2 people would have to leave before a place comes"]}
        B1> registration.create {"event":"$E","person":"B1"} => ..,"waiting_position":2..
        M3> registration.explain {"event":"$E","person":"M3"} => ..,"because":[..,"number 3 in the waiting list","at most 3 people would have to leave before a place comes"]}
        B2> registration.explain {"event":"$E","person":"B2"} => ..,"because":[..,"number 3 in the waiting list","at most 2 people would have to leave before a place comes"]}
        "#,
    );
}

#[test]
fn a_position_by_hand_is_told_also_to_who_has_a_place_by_now() {
    check(
        &mut people(),
        r#"
        $E = OWNER> event.create {"title":"Camp","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60,"published":true,"max_participants":1} => {"pk"..
        M1> registration.create {"event":"$E","person":"M1"} => ..,"waiting":false..
        OWNER> registration.place {"event":"$E","person":"M2","position":1,"reason":"ill"} => ..,"waiting_position":1..
        M2> registration.explain {"event":"$E","person":"M2"} => ..,"the position in the waiting list was given by hand: ill"]}
        M1> registration.cancel {"event":"$E","person":"M1"} => ..,"canceled":true..
        M2> registration.explain {"event":"$E","person":"M2"} => ..,"the position in the waiting list was given by hand: ill"]}
        OWNER> registration.place {"event":"$E","person":"M3","reason":"cooks"} => ..,"waiting":false..
        M3> registration.explain {"event":"$E","person":"M3"} => ..,"the place was given by hand, and nobody moves it to another pool: cooks"]}
        M3> registration.cancel {"event":"$E","person":"M3"} => ..,"canceled":true..
        M3> registration.explain {"event":"$E","person":"M3"} => {"outcome":"wait",..,"because":[..,"number 1 in the waiting list","the next place that comes free there is theirs"]}
        "#,
    );
}
