//! Bulk writes in parts: other requests between them, a crash in their midst, a dry run.

use std::sync::{Arc, Mutex};

use enroll_protocol::{Envelope, Refusal, codec, person, program};
use enroll_tests::registry::Registry;
use enrolld::writer::{Outcome, UNITS_MAX};

use super::super::{call, check, key};
use super::{PROGRAM, check_on_ground, emitted};

const KEYS: usize = 3 * UNITS_MAX;

/// A registry with so many people, and as many keys that wait, each with a course.
pub(super) fn filled(keys: usize) -> Registry {
    let mut registry = Registry::in_memory();
    check(&mut registry, r#"course.create {"key":"Hiking","modes":["audit","masters"]} => {"pk".."#);
    for number in 0..keys {
        let callsign = format!("P{number:05}").parse().expect("a callsign");
        registry.call(person::Create::new(callsign)).expect("a person");
    }
    let unit = |number: usize, rest: &str| format!(r#"{{"external_key":"k-{number:05}",{rest}}}"#);
    let units = |rest: &str| (0..keys).map(|number| unit(number, rest)).collect::<Vec<_>>().join(",");
    let head = format!(r#""program":"{PROGRAM}","create":true,"update":false"#);
    let in_program = units(&format!(r#""curriculum":"{PROGRAM}","status":"enrolled""#));
    let in_course = units(r#""status":"active""#);
    for (op, args) in [
        ("program.enroll", format!(r#"{{{head},"enrollments":[{in_program}]}}"#)),
        ("program.enroll_course", format!(r#"{{{head},"course":"Hiking","enrollments":[{in_course}]}}"#)),
    ] {
        call(&mut registry, Envelope::default(), op, &args).expect("enrolled");
    }
    registry
}

/// Links every key, the last one to nobody.
pub(super) fn link_all(keys: usize) -> program::Link {
    let pair = |number| {
        let person = if number + 1 == keys { "NOBODY".to_owned() } else { format!("P{number:05}") };
        format!("k-{number:05}={person}").parse().expect("a pair")
    };
    program::Link { program: PROGRAM.parse().expect("a program"), links: (0..keys).map(pair).collect() }
}

pub(super) fn linked(registry: &mut Registry) -> usize {
    let (mut count, mut after) = (0, None);
    loop {
        let list = program::Enrollments {
            program: PROGRAM.parse().expect("a program"),
            external_key: None,
            person: None,
            linked: Some(true),
            after,
            limit: "1000".parse().expect("a limit"),
        };
        let page = registry.call(list).expect("a page");
        assert!(page.items.iter().all(|item| item.courses.iter().all(|course| course.enrolled)));
        count += page.items.len();
        after = page.next;
        if after.is_none() {
            return count;
        }
    }
}

pub(super) type Slot = Arc<Mutex<Vec<(&'static str, Outcome)>>>;

pub(super) fn put(slot: &Slot, name: &'static str) -> impl FnOnce(Outcome) + Send + 'static {
    let slot = Arc::clone(slot);
    move |outcome| slot.lock().expect("unpoisoned").push((name, outcome))
}

fn failures(outcome: &Outcome) -> program::Failures {
    codec::decode(outcome.as_ref().expect("an answer")).expect("failures")
}

#[test]
fn others_are_answered_between_the_parts() {
    let mut registry = filled(KEYS);
    let slot = Slot::default();
    let link = registry.request(Envelope::default(), &link_all(KEYS), put(&slot, "link"));
    registry.serve([link]).expect("committed");
    assert_eq!(linked(&mut registry), UNITS_MAX);
    let cat = person::Create::new("CAT".parse().expect("a callsign"));
    let cat = registry.request(Envelope::default(), &cat, put(&slot, "cat"));
    registry.serve([cat]).expect("committed");
    registry.wake();
    let answers = slot.lock().expect("unpoisoned");
    assert_eq!(answers.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["cat", "link"]);
    assert_eq!(failures(&answers[1].1).len(), 1);
    drop(answers);
    assert_eq!(linked(&mut registry), KEYS - 1);
    assert_eq!(registry.violations(), Vec::<String>::new());
}

#[test]
fn a_crash_in_the_middle_and_the_same_key_again_is_as_if_nothing_had_happened() {
    let (mut whole, mut broken) = (filled(KEYS), filled(KEYS));
    let expected = whole.call_with(key(1), link_all(KEYS)).expect("linked");
    assert_eq!(expected.len(), 1);
    let slot = Slot::default();
    let link = broken.request(key(1), &link_all(KEYS), put(&slot, "link"));
    broken.serve([link]).expect("committed");
    broken.restart();
    assert_eq!(linked(&mut broken), UNITS_MAX);
    assert!(slot.lock().expect("unpoisoned").is_empty(), "nobody was answered");
    assert_eq!(broken.call_with(key(1), link_all(KEYS)), Ok(expected.clone()));
    assert_eq!(emitted(&mut broken, 0), emitted(&mut whole, 0), "no pair was done twice");
    assert_eq!(broken.call_with(key(1), link_all(KEYS)), Ok(expected), "and the answer is kept");
    assert_eq!(linked(&mut broken), KEYS - 1);
    assert_eq!(broken.violations(), Vec::<String>::new());
    let again = broken.call_with(key(1), link_all(KEYS - 1)).map_err(|refusal: Refusal| refusal.code);
    assert_eq!(again, Err(enroll_protocol::Code::KEY_REUSED));
    broken.pass_seconds(400 * 24 * 60 * 60);
    broken.wake();
    assert_eq!(broken.violations(), Vec::<String>::new(), "when what was kept is due");
}

/// A client that lost its connection asks again while the first call still runs.
#[test]
fn the_same_call_twice_at_a_time_is_done_once() {
    let mut registry = filled(KEYS);
    let slot = Slot::default();
    for name in ["first", "second"] {
        let link = registry.request(key(1), &link_all(KEYS), put(&slot, name));
        registry.serve([link]).expect("committed");
    }
    for _ in 0..4 {
        registry.wake();
    }
    let answers = slot.lock().expect("unpoisoned");
    assert_eq!(answers.len(), 2);
    assert_eq!(answers[0].1, answers[1].1);
    assert_eq!(failures(&answers[0].1).len(), 1);
}

/// Two calls with other keys and other people for the same external keys: each ends with exactly one of both.
#[test]
fn two_links_of_the_same_keys_at_a_time_leave_each_key_with_one_person() {
    let mut registry = filled(KEYS);
    let slot = Slot::default();
    let (first, mut second) = (link_all(KEYS), link_all(KEYS));
    let people: Vec<_> = second.links.iter().rev().map(|pair| pair.person.clone()).collect();
    second.links.iter_mut().zip(people).for_each(|(pair, person)| pair.person = person);
    let requests =
        [registry.request(key(1), &first, put(&slot, "1")), registry.request(key(2), &second, put(&slot, "2"))];
    registry.serve(requests).expect("committed");
    for _ in 0..8 {
        registry.wake();
        assert_eq!(registry.violations(), Vec::<String>::new());
    }
    assert_eq!(slot.lock().expect("unpoisoned").len(), 2);
    assert!(linked(&mut registry) > KEYS / 2);
}

#[test]
fn a_dry_run_says_what_would_fail_and_writes_nothing() {
    let mut registry = filled(KEYS);
    let before = registry.store().view().expect("a view");
    let everything = |view: &enroll_core::state::View| view.range(&[0], &[0xff], usize::MAX).expect("entries");
    let dry = Envelope { dry_run: true, ..Envelope::default() };
    let failures = registry.call_with(dry.clone(), link_all(KEYS)).expect("tried");
    assert_eq!(failures.keys().map(|key| key.as_str()).collect::<Vec<_>>(), [format!("k-{:05}", KEYS - 1)]);
    let after = registry.store().view().expect("a view");
    assert!(everything(&before) == everything(&after), "nothing was written");
    // A pair finds what those before it would have left.
    let twice = [("k-00000", "P00000"), ("k-00001", "p00000")];
    let links = twice.iter().map(|(key, person)| format!("{key}={person}").parse().expect("a pair")).collect();
    let twice = program::Link { program: PROGRAM.parse().expect("a program"), links };
    assert_eq!(registry.call_with(dry, twice).expect("tried").len(), 1);
}

#[test]
fn an_actor_who_may_not_any_more_is_refused_in_the_middle() {
    let mut registry = filled(KEYS);
    check(&mut registry, r#"person.create {"callsign":"BOSS","roles":["superuser"]} => {"pk".."#);
    let slot = Slot::default();
    let boss = Envelope { actor: Some("BOSS".parse().expect("a name")), ..key(1) };
    let link = registry.request(boss, &link_all(KEYS), put(&slot, "link"));
    registry.serve([link]).expect("committed");
    let delete = person::Delete { person: "BOSS".parse().expect("a name") };
    let delete = registry.request(Envelope::default(), &delete, put(&slot, "delete"));
    registry.serve([delete]).expect("committed");
    registry.wake();
    let answers = slot.lock().expect("unpoisoned");
    let refused = answers.iter().find(|(name, _)| *name == "link").map(|(_, outcome)| outcome.clone());
    assert_eq!(refused.expect("answered").map_err(|refusal| refusal.code), Err(enroll_protocol::Code::DELETED));
    assert_eq!(registry.violations(), Vec::<String>::new());
}

#[test]
fn when_many_fail_the_answer_is_short() {
    let mut registry = check_on_ground("");
    let pair = |number: usize| format!("nobody-has-this-key-{number:05}=NOBODY").parse().expect("a pair");
    let links = (0..10_000).map(pair).collect();
    let link = program::Link { program: PROGRAM.parse().expect("a program"), links };
    let failures = registry.call(link).expect("answered");
    assert_eq!(failures.len(), 10_000);
    let bytes = codec::encode(&failures).len();
    assert!(bytes < enroll_protocol::limits::FRAME_BYTES_MAX - 1024, "{bytes} bytes");
    assert!(failures.values().any(|failure| failure.message.contains("NOBODY")));
}

#[test]
fn units_of_keys_and_people_that_are_not_there_do_nothing_and_the_same_again_is_no_change() {
    let registry = &mut Registry::in_memory();
    let program = r#""program":"00000000-0000-0000-0000-00000000000a""#;
    let curriculum = r#""curriculum":"00000000-0000-0000-0000-00000000000a""#;
    let fill = |table: &str| table.replace("$P", program).replace("$C", curriculum);
    check(
        registry,
        &fill(
            r#"
        person.create {"callsign":"CAT"} => {"pk"..
        person.create {"callsign":"DOG"} => {"pk"..
        person.create {"callsign":"GONE"} => {"pk"..
        person.delete {"person":"GONE"} => {"pk"..
        course.create {"key":"Hiking","modes":["audit","masters"]} => {"pk"..
        program.enroll {$P,"create":true,"update":false,"enrollments":[{"external_key":"z",$C,"status":"enrolled","person":"GONE"}]} => {"z":"not-found"}
        program.enroll {$P,"create":false,"update":true,"enrollments":[{"external_key":"z",$C,"status":"enrolled"}]} => {"z":"not-in-program"}
        program.enroll {$P,"create":true,"update":false,"enrollments":[{"external_key":"a",$C,"status":"enrolled"}]} => {"a":"enrolled"}
        program.enroll_course {$P,"course":"Hiking","create":true,"update":true,"enrollments":[{"external_key":"a","status":"active"}]} => {"a":"active"}
        changes.head {} => {"seq":7,..
        program.enroll_course {$P,"course":"Hiking","create":true,"update":true,"enrollments":[{"external_key":"a","status":"active"}]} => {"a":"active"}
        changes.head {} => {"seq":7,..
        program.assign_course_role {$P,"external_key":"a","course":"Hiking","role":"staff"} => true
        program.link {$P,"links":{"a":"CAT"}} => {}
        changes.list {"since":8} => {"items":[{..,"verb":"link",..},{..,"verb":"enrolled",..},{..,"verb":"role_given",..}],"next":null}
        program.enroll_course {$P,"course":"Hiking","create":true,"update":true,"enrollments":[{"external_key":"a","status":"inactive"}]} => {"a":"inactive"}
        changes.list {"since":11} => {"items":[{..,"verb":"enroll_course",..},{..,"verb":"deactivated",..,"cause":12,..}],"next":null}
        program.unlink {$P,"external_keys":["a"]} => {}
        program.link {$P,"links":{"a":"CAT"}} => {}
        person.delete {"person":"CAT"} => {"pk"..
        # Deleted people hold no roles.
        course.roles {"course":"Hiking"} => []
        "#,
        ),
    );
    // The enrollment was inactive already as its key was unlinked.
    let unlinked = emitted(registry, 13);
    assert_eq!(unlinked[..3], ["program.unlink", "> course.moved_to_audit", "> course.role_taken"]);
    let dry = Envelope { dry_run: true, ..Envelope::default() };
    let args = fill(r#"{$P,"links":{"a":"DOG"}}"#);
    let would = call(registry, dry, "program.link", &args).expect("tried");
    assert!(would.contains(r#""code":"would_move""#) && would.contains("CAT"), "{would}");
    check(registry, &fill(r#"program.link {$P,"links":{"a":"DOG"}} => {}"#));
}
