//! Events of more people than one step changes: what is left for later steps, in whose name these are, and positions
//! far down a waiting list.

use enroll_protocol::{Envelope, PageLimit, changes};
use enroll_tests::registry::Registry;

use super::people;
use crate::rules::{call, check};

/// People who wait.
const CROWD: usize = 130;

/// An event whose two pools are taken by a member and a guest, and 130 members who wait behind them: what it is called
/// in a table.
fn crowd(registry: &mut Registry) -> String {
    let call = |registry: &mut Registry, actor: Option<&str>, op: &str, args: &str| {
        let actor = actor.map(|actor| actor.parse().expect("an actor"));
        call(registry, Envelope { actor, ..Envelope::default() }, op, args).expect("done")
    };
    let pools =
        r#"[{"name":"members","capacity":1,"roles":["member"]},{"name":"guests","capacity":1,"roles":["guest"]}]"#;
    let made = call(
        registry,
        Some("OWNER"),
        "event.create",
        &format!(
            r#"{{"title":"Camp","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60,"published":true,"pools":{pools}}}"#
        ),
    );
    let event = made.split_once("\"pk\":\"").and_then(|(_, rest)| rest.split_once('"')).expect("a pk").0.to_owned();
    for number in 0..CROWD {
        call(registry, None, "person.create", &format!(r#"{{"callsign":"W{number}","roles":["member"]}}"#));
    }
    let waiting = (0..CROWD).map(|number| format!("W{number}"));
    for person in ["M1".to_owned(), "G1".to_owned()].into_iter().chain(waiting) {
        call(registry, None, "registration.create", &format!(r#"{{"event":"{event}","person":"{person}"}}"#));
    }
    event
}

fn play(registry: &mut Registry, event: &str, table: &str) {
    check(registry, &table.replace("$E", event));
}

#[test]
fn a_position_far_down_the_list_is_counted_and_found() {
    let registry = &mut people();
    let event = crowd(registry);
    play(
        registry,
        &event,
        r#"
        W0> registration.get {"event":"$E","person":"W0"} => ..,"waiting_position":1,..
        W62> registration.get {"event":"$E","person":"W62"} => ..,"waiting_position":63,..
        W64> registration.get {"event":"$E","person":"W64"} => ..,"waiting_position":65,..
        W129> registration.get {"event":"$E","person":"W129"} => ..,"waiting_position":130,..
        OWNER> registration.place {"event":"$E","person":"M2","position":100,"reason":"x"} => ..,"waiting_position":100,..
        W98> registration.get {"event":"$E","person":"W98"} => ..,"waiting_position":99,..
        W99> registration.get {"event":"$E","person":"W99"} => ..,"waiting_position":101,..
        OWNER> registration.place {"event":"$E","person":"M3","position":70,"reason":"x"} => ..,"waiting_position":70,..
        W129> registration.get {"event":"$E","person":"W129"} => ..,"waiting_position":132,..
        "#,
    );
}

#[test]
fn one_write_seats_so_many_and_what_is_left_is_seated_in_the_name_of_the_daemon() {
    let registry = &mut people();
    let event = crowd(registry);
    let since = registry.call(changes::Head {}).expect("a head").seq;
    play(
        registry,
        &event,
        r#"
        +60
        OWNER> event.update_pool {"event":"$E","pool":"members","capacity":121} => ..,"places_taken":102,"waiting_count":30,..
        M1> registration.cancel {"event":"$E","person":"M1"} => ..,"canceled":true,..,"updated":"2027-01-15T08:01:00..
        W0> registration.get {"event":"$E","person":"W0"} => ..,"waiting":false,..,"updated":"2027-01-15T08:01:00..
        W120> registration.get {"event":"$E","person":"W120"} => ..,"waiting":false,..
        W121> registration.get {"event":"$E","person":"W121"} => ..,"waiting_position":1,..
        "#,
    );
    let limit = PageLimit::new(1000).expect("a limit");
    let list = changes::List { since: Some(since), limit, ..changes::List::default() };
    let told = registry.call(list).expect("listed").items;
    let seated = |behind: u64, is_daemons: bool| {
        let causes = told.iter().filter(|change| change.verb == "seated" && change.cause == Some(since + behind));
        causes.filter(|change| change.actor.is_none() == is_daemons).count()
    };
    // What a write leaves is done before the next one, and follows from the write that left it.
    assert_eq!((seated(1, false), seated(1, true)), (100, 20));
    assert_eq!((told[121].verb.as_str(), told[121].cause), ("cancel", None));
    assert_eq!((seated(122, false), told.len()), (1, 123));
}

#[test]
fn a_pool_of_another_role_admits_so_many_in_one_write_and_the_others_after_it() {
    let registry = &mut people();
    let event = crowd(registry);
    play(
        registry,
        &event,
        r#"
        OWNER> event.update_pool {"event":"$E","pool":"guests","roles":["guest","member"]} => ..,"name":"guests",..,"waiting_count":98}..
        wake
        event.get {"event":"$E"} => ..,"name":"guests",..,"waiting_count":130}..
        OWNER> event.update_pool {"event":"$E","pool":"members","roles":["moderator"]} => ..,"name":"members",..,"waiting_count":32},{..
        wake
        event.get {"event":"$E"} => ..,"name":"members",..,"waiting_count":0},{..,"name":"guests",..,"waiting_count":130}..
        "#,
    );
}
