//! Pages of lists, and cursors.

use enroll_protocol::{Code, Json, PageLimit, Person, person};
use enroll_tests::registry::Registry;

use super::check;

/// All pages of a list, and how many there were.
fn all(registry: &mut Registry, list: &person::List) -> (Vec<String>, usize) {
    let (mut list, mut callsigns, mut pages) = (list.clone(), Vec::new(), 0);
    loop {
        let page = registry.call(list.clone()).expect("a page");
        assert!(page.items.len() <= list.limit.items());
        callsigns.extend(page.items.iter().map(|person: &Person| person.callsign.to_string()));
        pages += 1;
        match page.next {
            Some(next) => list.after = Some(next),
            None => return (callsigns, pages),
        }
    }
}

fn with_people(count: usize) -> Registry {
    let mut registry = Registry::in_memory();
    for number in 0..count {
        registry.now = enroll_protocol::Time::from_micros(registry.now.micros() + 1).expect("a time");
        let callsign = format!("{}{number:03}", if number % 2 == 0 { "Even" } else { "odd" });
        let mut create = person::Create::new(callsign.parse().expect("a callsign"));
        create.roles = if number % 3 == 0 { vec!["third".parse().expect("a role")] } else { Vec::new() };
        registry.call(create).expect("made");
    }
    registry
}

#[test]
fn pages_join_to_the_whole_list_in_order() {
    let registry = &mut with_people(25);
    let limit = |items| PageLimit::new(items).expect("a limit");
    let everybody: Vec<String> =
        (0..25).map(|number| format!("{}{number:03}", if number % 2 == 0 { "Even" } else { "odd" })).collect();
    for (items, pages) in [(1, 25), (7, 4), (24, 2), (25, 1), (1000, 1)] {
        let list = person::List { limit: limit(items), ..person::List::default() };
        assert_eq!(all(registry, &list), (everybody.clone(), pages), "limit {items}");
    }
    let third = person::List { role: Some("third".parse().expect("a role")), limit: limit(4), ..Default::default() };
    let expected: Vec<String> = everybody.iter().step_by(3).cloned().collect();
    assert_eq!(all(registry, &third), (expected, 3));
    let even =
        person::List { prefix: Some("EVEN00".parse().expect("a prefix")), limit: limit(2), ..Default::default() };
    let expected: Vec<String> = ["Even000", "Even002", "Even004", "Even006", "Even008"].map(str::to_owned).to_vec();
    assert_eq!(all(registry, &even), (expected, 3));
    let both = person::List { role: Some("third".parse().expect("a role")), ..even };
    assert_eq!(all(registry, &both).0, ["Even000", "Even006"]);
}

#[test]
fn a_cursor_of_another_list_is_refused() {
    let registry = &mut with_people(5);
    let limit = PageLimit::new(1).expect("a limit");
    let next = registry.call(person::List { limit, ..Default::default() }).expect("a page").next;
    let role = Some("third".parse().expect("a role"));
    for list in [
        person::List { after: next.clone(), role, ..Default::default() },
        person::List { after: next.clone(), include_deleted: true, ..Default::default() },
        person::List { after: Some("nonsense".parse().expect("a text")), ..Default::default() },
    ] {
        assert_eq!(registry.call(list).expect_err("refused").code, Code::INVALID_ARGUMENT);
    }
    let changes = enroll_protocol::changes::List { after: next, ..Default::default() };
    assert_eq!(registry.call(changes).expect_err("refused").code, Code::INVALID_ARGUMENT);
}

#[test]
fn a_page_of_large_records_fits_a_frame() {
    let registry = &mut Registry::in_memory();
    let extra = Json::new(&format!("{{\"a\":\"{}\"}}", "x".repeat(60_000))).expect("an object");
    for number in 0..20 {
        let mut create = person::Create::new(format!("P{number}").parse().expect("a callsign"));
        create.extra = extra.clone();
        registry.call(create).expect("made");
    }
    let page = registry.call(person::List::default()).expect("a page");
    assert!(page.items.len() < 20 && page.next.is_some());
    assert!(enroll_protocol::codec::encode(&page).len() < enroll_protocol::limits::FRAME_BYTES_MAX);
    assert_eq!(all(registry, &person::List::default()).0.len(), 20);
}

#[test]
fn a_prefix_selects_by_the_name_in_any_case_or_by_the_pk() {
    check(
        &mut Registry::in_memory(),
        r#"
        person.create {"callsign":"BOSS","roles":["superuser"]} => {"pk"..
        enrollment.create {"callsign":"Dog1"} => {"pk"..
        person.create {"callsign":"Dog2","roles":["member","mentor"]} => {"pk"..
        $POOL = pool.create {"owner":"BOSS"} => {"pk"..
        enrollment.create {"callsign":"DOG0"} => {"pk"..
        enrollment.create {"callsign":"cat"} => {"pk"..
        enrollment.list {"prefix":"dog"} => {"items":[{"pk":"..","callsign":"DOG0",..},{"pk":"..","callsign":"Dog1",..}],"next":null}
        enrollment.approve {"enrollment":"Dog1"} => {"pk"..
        enrollment.list {"prefix":"DOG","state":"pending"} => {"items":[{"pk":"..","callsign":"DOG0",..}],"next":null}
        enrollment.list {"prefix":"dog","pool":{"pk":"$POOL"}} => {"items":[],"next":null}
        enrollment.list {"prefix":"x"} => {"items":[],"next":null}
        Dog2> enrollment.list {"prefix":"dog"} => permission_denied

        pool.list {"prefix":"$POOL"} => {"items":[{"pk":"$POOL",..}],"next":null}
        pool.list {"prefix":"$POOL","owner":"Dog2"} => {"items":[],"next":null}
        pool.list {"prefix":"$POOL","deleted_only":true} => {"items":[],"next":null}
        pool.list {"prefix":"ffffffff-ffff"} => {"items":[],"next":null}
        pool.list {"prefix":"zz"} => invalid_argument

        $HIKE = BOSS> event.create {"title":"Hike","kind":"hike","start":"2999-01-01T00:00:00Z","duration_minutes":60} => {"pk"..
        event.list {"prefix":"$HIKE"} => {"items":[{"pk":"$HIKE",..}],"next":null}
        event.list {"prefix":"$HIKE","kind":"camp"} => {"items":[],"next":null}
        event.list {"prefix":"f"} => {"items":[],"next":null}
        Dog2> event.list {"prefix":"$HIKE"} => {"items":[],"next":null}

        course.create {"key":"Hiking+2027","modes":["audit"]} => {"pk"..
        course.create {"key":"hiking-2026","modes":["audit"]} => {"pk"..
        course.create {"key":"Knots","modes":["audit"]} => {"pk"..
        course.delete {"key":"hiking-2026"} => true
        course.list {"prefix":"HIK"} => {"items":[{"pk":"..","key":"Hiking+2027",..}],"next":null}

        role.list {"prefix":"me"} => ["member","mentor"]
        role.list {"prefix":"MEN"} => ["mentor"]
        role.list {"person":"Dog2","prefix":"mem"} => ["member"]
        role.remove {"person":"Dog2","role":"mentor"} => true
        permission.grant {"role":"greeter","permission":"/enrollments/"} => true
        role.list {"prefix":"me"} => ["member"]
        role.list {} => [..,"greeter","member",..]
        Dog2> role.list {} => permission_denied
        Dog2> role.list {"person":"Dog2"} => ["member"]
        "#,
    );
}
