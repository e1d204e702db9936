//! Lists of registrations: of an event, of a person, by standing and by approval.

use enroll_protocol::registration::{ApprovalState, List};
use enroll_protocol::{Cursor, Pk, Reference};
use enroll_tests::registry::Registry;

use super::people;
use crate::rules::check;

const EVENTS: &str = r#"
    OWNER> event.create {"title":"Camp","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60,"published":true,"max_participants":1,"approval":"supervisor"} => {"pk"..
    OWNER> event.create {"title":"Walk","kind":"walk","start":"2027-02-02T10:00:00Z","duration_minutes":60,"published":true,"max_participants":1} => {"pk"..
"#;

fn events(registry: &mut Registry) -> [Pk; 2] {
    let listed = registry.call(enroll_protocol::event::List::default()).expect("listed");
    [0, 1].map(|at| listed.items[at].pk)
}

/// How many registrations a list has of each event.
fn counts(registry: &mut Registry, events: [Pk; 2], list: List) -> [usize; 2] {
    let listed = registry.call(list).expect("listed");
    assert_eq!(listed.next, None::<Cursor>);
    events.map(|event| listed.items.iter().filter(|item| item.event == event).count())
}

#[test]
fn a_list_has_those_of_an_event_a_person_a_standing_and_an_approval_and_no_others() {
    let registry = &mut people();
    check(registry, EVENTS);
    let pks = events(registry);
    for (event, person) in [(0, "M1"), (0, "M2"), (0, "M3"), (1, "M1"), (1, "M2")] {
        let args = format!(r#"{{"event":"{}","person":"{person}"}}"#, pks[event]);
        check(registry, &format!("{person}> registration.create {args} => {{\"pk\".."));
    }
    check(registry, &format!(r#"BOSS> registration.approve {{"event":"{}","person":"M2"}} => {{"pk".."#, pks[0]));
    let all = List::default;
    let event = |at: usize| Some(pks[at].to_string().parse::<Reference>().expect("a pk"));
    let person = |name: &str| Some(name.parse::<Reference>().expect("a callsign"));
    for (list, expected) in [
        (all(), [3, 2]),
        (List { waiting: Some(true), ..all() }, [2, 1]),
        (List { waiting: Some(false), ..all() }, [1, 1]),
        (List { approval: Some(ApprovalState::Pending), ..all() }, [2, 0]),
        (List { approval: Some(ApprovalState::Approved), ..all() }, [1, 0]),
        (List { approval: Some(ApprovalState::NotRequired), ..all() }, [0, 2]),
        (List { event: event(0), ..all() }, [3, 0]),
        (List { event: event(0), waiting: Some(true), ..all() }, [2, 0]),
        (List { event: event(0), waiting: Some(false), ..all() }, [1, 0]),
        (List { event: event(1), approval: Some(ApprovalState::Pending), ..all() }, [0, 0]),
        (List { person: person("M1"), ..all() }, [1, 1]),
        (List { person: person("M2"), waiting: Some(true), ..all() }, [1, 1]),
        (List { person: person("M2"), approval: Some(ApprovalState::Approved), ..all() }, [1, 0]),
        (List { person: person("M3"), event: event(1), ..all() }, [0, 0]),
        (List { person: person("M3"), event: event(0), ..all() }, [1, 0]),
    ] {
        assert_eq!(counts(registry, pks, list.clone()), expected, "{list:?}");
    }
    // Each shows the pools of its own event.
    let listed = registry.call(all()).expect("listed");
    assert!(listed.items.iter().all(|item| item.waiting == item.waiting_position.is_some()), "{listed:?}");
}

#[test]
fn a_registration_shows_the_open_pools_that_it_waits_for_in_each_event_its_own() {
    let registry = &mut people();
    check(
        registry,
        r#"
        $E = OWNER> event.create {"title":"Camp","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60,"published":true,"pools":[{"name":"members","capacity":1,"roles":["member"]},{"name":"late","capacity":1,"roles":["member"],"opens":"2027-01-30T10:00:00Z"},{"name":"guests","capacity":1,"roles":["guest"]}]} => {"pk"..
        $F = OWNER> event.create {"title":"Walk","kind":"walk","start":"2027-02-01T10:00:00Z","duration_minutes":60,"published":true,"pools":[{"name":"walkers","capacity":1,"roles":["member"]}]} => {"pk"..
        M1> registration.create {"event":"$E","person":"M1"} => ..,"waiting":false..
        M1> registration.create {"event":"$F","person":"M1"} => ..,"waiting":false..
        M2> registration.create {"event":"$E","person":"M2"} => ..,"waiting":true..
        M2> registration.create {"event":"$F","person":"M2"} => ..,"waiting":true..
        "#,
    );
    let pools = registry.call(enroll_protocol::event::List::default()).expect("listed");
    let pool = |event: usize, at: usize| pools.items[event].pools[at].pk;
    let listed = registry.call(List::default()).expect("listed").items;
    let shown: Vec<_> = listed.iter().map(|item| (item.pool, item.waiting_pools.clone())).collect();
    let expected =
        [(Some(pool(0, 0)), vec![]), (None, vec![pool(0, 0)]), (Some(pool(1, 0)), vec![]), (None, vec![pool(1, 0)])];
    assert_eq!(shown.len(), 4);
    assert!(expected.iter().all(|one| shown.contains(one)), "{shown:?} is not {expected:?}");
}
