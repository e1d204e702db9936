//! The snapshot rule: what it shows to whom, and the look for the fullest pools.

use enroll_core::context::Grant;
use enroll_protocol::server::{DaemonSnapshot, Snapshot};
use enroll_protocol::{Envelope, person, pool};
use enroll_tests::registry::Registry;

use super::check;

fn snapshot(registry: &mut Registry) -> DaemonSnapshot {
    registry.call(Snapshot {}).expect("a snapshot")
}

fn lists(snapshot: &DaemonSnapshot) -> [bool; 3] {
    let DaemonSnapshot { oldest_enrollments, fullest_pools, next_events, .. } = snapshot;
    [oldest_enrollments.is_some(), fullest_pools.is_some(), next_events.is_some()]
}

/// Owners and uses of the fullest pools.
fn fullest(snapshot: &DaemonSnapshot) -> Vec<(String, u32, u32)> {
    let pools = &snapshot.fullest_pools.as_ref().expect("pools").pools;
    pools.iter().map(|pool| (pool.owner.to_string(), pool.uses, pool.max_uses)).collect()
}

#[test]
fn the_ends_of_the_registry_are_shown_and_no_codes() {
    let registry = &mut Registry::in_memory();
    check(
        registry,
        r#"
        person.create {"callsign":"OWNER"} => {"pk"..
        person.create {"callsign":"DOG","roles":["member"]} => {"pk"..
        person.create {"callsign":"CAT","roles":["member"]} => {"pk"..
        OWNER> event.create {"title":"Camp","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60,"published":true,"pools":[{"name":"members","capacity":1,"roles":["member"]}]} => {"pk"..
        $E = OWNER> event.create {"title":"Hike","kind":"hike","start":"2027-01-31T10:00:00Z","duration_minutes":60,"published":true,"max_participants":5,"pools":[{"name":"all","capacity":1,"roles":["member"]}]} => {"pk"..
        OWNER> event.create {"title":"Draft","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60} => {"pk"..
        OWNER> event.create {"title":"Party","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60,"published":true,"leisure":true} => {"pk"..
        DOG> registration.create {"event":"$E","person":"DOG"} => ..,"waiting":false..
        CAT> registration.create {"event":"$E","person":"CAT"} => ..,"waiting":true..
        pool.create {"owner":"OWNER","max_uses":2,"invitecode":"SPRINGFIRST"} => {"pk"..
        pool.create {"owner":"DOG","max_uses":4,"invitecode":"SPRINGSECOND"} => {"pk"..
        DOG> pool.create {} => {"pk"..
        enrollment.create {"callsign":"FIRST","pool":"SPRINGFIRST"} => {"pk"..
        +60
        enrollment.create {"callsign":"SECOND","pool":"SPRINGSECOND"} => {"pk"..
        enrollment.create {"callsign":"THIRD"} => {"pk"..
        enrollment.reject {"enrollment":"THIRD"} => {"pk"..
        enrollment.create {"callsign":"NOBODY","pool":"SPRINGTHIRD"} => not_found
        "#,
    );
    let shown = snapshot(registry);
    let oldest: Vec<&str> = shown.oldest_enrollments.iter().flatten().map(|row| row.callsign.as_str()).collect();
    assert_eq!((oldest, shown.waiting.enrollments), (vec!["FIRST", "SECOND"], 2));
    assert_eq!(fullest(&shown), [("OWNER".to_owned(), 1, 2), ("DOG".to_owned(), 1, 4)]);
    let next = shown.next_events.as_ref().expect("events");
    let events: Vec<_> =
        next.events.iter().map(|event| (event.title.as_str(), event.places_taken, event.waiting_count)).collect();
    assert_eq!((events, next.more), (vec![("Hike", 1, 1), ("Camp", 0, 0)], false));
    let places = &next.events[0].pools[0];
    assert_eq!((places.name.as_str(), places.capacity, places.places_taken, places.waiting_count), ("all", 1, 1, 1));
    // Each write was a batch of one.
    assert!(shown.writer.batched > 10);
    assert_eq!(shown.writer.batched, shown.writer.batches.iter().sum::<u64>());
    let json = serde_json::to_string(&shown).expect("JSON");
    assert!(!json.contains("invitecode") && !json.contains("approvecode"), "{json}");
    assert_eq!(serde_json::from_str::<DaemonSnapshot>(&json).expect("a snapshot"), shown, "a recording can be read");
}

#[test]
fn names_are_for_those_who_may_list_them() {
    let registry = &mut Registry::in_memory();
    check(
        registry,
        r#"
        person.create {"callsign":"BOSS","roles":["superuser"]} => {"pk"..
        person.create {"callsign":"WATCHER","roles":["watcher"]} => {"pk"..
        permission.grant {"role":"watcher","permission":"/server/"} => true
        person.create {"callsign":"DOG"} => {"pk"..
        DOG> server.snapshot => permission_denied
        "#,
    );
    for (grant, actor, expected) in [
        (Grant::Metrics, None, [false; 3]),
        (Grant::Read, None, [true; 3]),
        (Grant::Admin, None, [true; 3]),
        (Grant::Operate, Some("WATCHER"), [false, false, true]),
        (Grant::Admin, Some("BOSS"), [true; 3]),
    ] {
        registry.peer.grant = grant;
        let actor = actor.map(|actor| actor.parse().expect("an actor"));
        let shown = registry.call_with(Envelope { actor, ..Envelope::default() }, Snapshot {}).expect("a snapshot");
        assert_eq!(lists(&shown), expected, "{grant:?}");
        assert_eq!(shown.duration_bounds_micros.len() + 1, shown.writer.commits.len());
    }
}

/// Full pools come first, of equally full ones the youngest; those by which nobody could enroll anyway are left out.
#[test]
fn the_fullest_pools_are_usable_or_full() {
    let registry = &mut Registry::in_memory();
    check(
        registry,
        r#"
        person.create {"callsign":"A"} => {"pk"..
        person.create {"callsign":"B"} => {"pk"..
        person.create {"callsign":"C"} => {"pk"..
        person.create {"callsign":"GONE"} => {"pk"..
        pool.create {"owner":"A","max_uses":1,"invitecode":"SPRINGAAA"} => {"pk"..
        +1
        pool.create {"owner":"B","max_uses":1,"invitecode":"SPRINGBBB"} => {"pk"..
        +1
        pool.create {"owner":"C","max_uses":1,"expires":"2027-01-15T09:00:00Z","invitecode":"SPRINGCCC"} => {"pk"..
        pool.create {"owner":"GONE","max_uses":1,"invitecode":"SPRINGGGG"} => {"pk"..
        pool.create {"owner":"C","max_uses":100} => {"pk"..
        enrollment.create {"callsign":"N1","pool":"SPRINGAAA"} => {"pk"..
        enrollment.create {"callsign":"N2","pool":"SPRINGBBB"} => {"pk"..
        enrollment.create {"callsign":"N3","pool":"SPRINGCCC"} => {"pk"..
        enrollment.create {"callsign":"N4","pool":"SPRINGGGG"} => {"pk"..
        person.delete {"person":"GONE"} => ..
        "#,
    );
    let owners = |registry: &mut Registry| {
        let owners = fullest(&snapshot(registry)).into_iter().map(|(owner, uses, _)| format!("{owner}{uses}"));
        owners.collect::<Vec<_>>()
    };
    assert_eq!(owners(registry), ["C1", "B1", "A1", "C0"]);
    registry.pass_seconds(24 * 3_600);
    assert_eq!(owners(registry), ["B1", "A1", "C0"]);
    let fullest = snapshot(registry).fullest_pools.expect("pools");
    assert_eq!((fullest.complete_since, fullest.looked_at), (Some(snapshot(registry).at), 0));
}

/// With more pools than a snapshot looks at, the look goes on with the next, and says how far it is.
#[test]
fn many_pools_are_looked_at_a_stretch_at_a_time() {
    let registry = &mut Registry::in_memory();
    check(registry, r#"person.create {"callsign":"A"} => {"pk".."#);
    let owner = |name: &str| Some(name.parse().expect("a person"));
    for number in 0..2_100 {
        let (max_uses, code) = if number == 2_050 { (2, Some("SPRINGLATE")) } else { (100, None) };
        let invitecode = code.map(|code| code.parse().expect("a code"));
        let create =
            pool::Create { owner: owner("A"), max_uses: Some(max_uses), invitecode, ..pool::Create::default() };
        registry.call(create).expect("a pool");
    }
    let mut looks = Vec::new();
    for _ in 0..4 {
        let fullest = snapshot(registry).fullest_pools.expect("pools");
        looks.push((fullest.looked_at, fullest.complete_since.is_some()));
    }
    assert_eq!(looks, [(1_024, false), (2_048, false), (0, true), (1_024, true)]);
    // A use shows at once where the pool was found, and by the next look where it was not.
    for callsign in ["N1", "N2"] {
        let create = enroll_protocol::enrollment::Create {
            pool: Some("SPRINGLATE".parse().expect("a pool")),
            ..enroll_protocol::enrollment::Create::new(callsign.parse().expect("a callsign"))
        };
        registry.call(create).expect("enrolled");
    }
    snapshot(registry);
    let shown = snapshot(registry);
    assert_eq!(fullest(&shown)[0], ("A".to_owned(), 2, 2));
    registry.call(person::Delete { person: "A".parse().expect("a person") }).expect("deleted");
    assert_eq!(fullest(&snapshot(registry)), []);
}

#[test]
fn the_next_events_are_ten_at_most_and_found_behind_those_that_nobody_registers_for() {
    let registry = &mut Registry::in_memory();
    let create = |title: &str, day: u32, rest: &str| {
        format!(
            "event.create {{\"title\":\"{title}\",\"kind\":\"camp\",\"owner\":\"OWNER\",\
             \"start\":\"2027-02-{day:02}T10:00:00Z\",\"duration_minutes\":60{rest}}} => {{\"pk\"..\n"
        )
    };
    check(registry, r#"person.create {"callsign":"OWNER"} => {"pk".."#);
    let drafts: String = (0..12).map(|number| create(&format!("Draft {number}"), 1, "")).collect();
    let pools = r#","published":true,"pools":[{"name":"late","capacity":1,"roles":["member"],"opens":"2027-01-20T08:00:00Z"},{"name":"now","capacity":1,"roles":["member"]}]"#;
    check(registry, &format!("{drafts}{}", create("First", 2, pools)));
    let titles = |registry: &mut Registry| {
        let next = snapshot(registry).next_events.expect("events");
        (next.events.into_iter().map(|event| event.title.to_string()).collect::<Vec<_>>(), next.more)
    };
    assert_eq!(titles(registry), (vec!["First".to_owned()], false));
    let others: String = (2..=10).map(|day| create(&format!("Event {day}"), day + 1, r#","published":true"#)).collect();
    check(registry, &others);
    assert_eq!((titles(registry).0.len(), titles(registry).1), (10, false));
    check(registry, &create("Last", 20, r#","published":true"#));
    assert_eq!((titles(registry).0.len(), titles(registry).1), (10, true));
    // Nobody waits yet for a pool that has not opened.
    let first = registry.call(enroll_protocol::event::List::default()).expect("listed");
    let first = first.items.iter().find(|event| event.title.as_str() == "First").expect("the first").pk;
    for name in ["A", "B"] {
        check(
            registry,
            &format!(
                "person.create {{\"callsign\":\"{name}\",\"roles\":[\"member\"]}} => {{\"pk\"..\n\
                 registration.create {{\"event\":\"{first}\",\"person\":\"{name}\"}} => {{\"pk\".."
            ),
        );
    }
    let next = snapshot(registry).next_events.expect("events");
    let waiting: Vec<_> = next.events[0].pools.iter().map(|pool| (pool.places_taken, pool.waiting_count)).collect();
    assert_eq!(waiting, [(0, 0), (1, 1)]);
}

#[test]
fn the_fullest_pool_is_the_one_with_the_largest_share_taken() {
    let registry = &mut Registry::in_memory();
    check(
        registry,
        r#"
        person.create {"callsign":"A"} => {"pk"..
        pool.create {"owner":"A","max_uses":4,"invitecode":"SPRINGAAA"} => {"pk"..
        pool.create {"owner":"A","max_uses":2,"invitecode":"SPRINGBBB"} => {"pk"..
        enrollment.create {"callsign":"N1","pool":"SPRINGAAA"} => {"pk"..
        enrollment.create {"callsign":"N2","pool":"SPRINGAAA"} => {"pk"..
        enrollment.create {"callsign":"N3","pool":"SPRINGAAA"} => {"pk"..
        enrollment.create {"callsign":"N4","pool":"SPRINGBBB"} => {"pk"..
        "#,
    );
    let shares: Vec<_> = fullest(&snapshot(registry)).into_iter().map(|(_, uses, most)| (uses, most)).collect();
    assert_eq!(shares, [(3, 4), (1, 2)]);
}

#[test]
fn those_that_wait_are_counted_up_to_a_thousand() {
    let registry = &mut Registry::in_memory();
    for number in 0..1_001 {
        if number % 500 == 0 {
            let waiting = registry.call(enroll_protocol::server::Status {}).expect("a status").waiting;
            assert_eq!((waiting.enrollments, waiting.more), (number, false));
        }
        let callsign = format!("W{number}").parse().expect("a callsign");
        registry.call(enroll_protocol::enrollment::Create::new(callsign)).expect("enrolled");
    }
    let waiting = registry.call(enroll_protocol::server::Status {}).expect("a status").waiting;
    assert_eq!((waiting.enrollments, waiting.more), (1_000, true));
}

#[test]
fn the_next_events_are_looked_for_among_so_many() {
    let registry = &mut Registry::in_memory();
    check(registry, r#"person.create {"callsign":"OWNER"} => {"pk".."#);
    let create = |registry: &mut Registry, start: &str, published: bool| {
        let (title, kind) = ("Camp".parse().expect("a title"), "camp".parse().expect("a kind"));
        let create = enroll_protocol::event::Create {
            owner: Some("OWNER".parse().expect("a name")),
            published: Some(published),
            ..enroll_protocol::event::Create::new(title, kind, start.parse().expect("a time"), 60)
        };
        registry.call(create).expect("made");
    };
    let shown = |registry: &mut Registry| {
        let next = snapshot(registry).next_events.expect("events");
        (next.events.len(), next.more)
    };
    create(registry, "2027-03-01T00:00:00Z", true);
    for (drafts, expected) in [(100, (1, false)), (140, (1, false)), (20, (0, true))] {
        (0..drafts).for_each(|_| create(registry, "2027-02-01T00:00:00Z", false));
        assert_eq!(shown(registry), expected);
    }
}
