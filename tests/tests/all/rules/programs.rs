//! Courses and programs: every outcome of enrolling, linking, relinking and unlinking.

mod courses;
mod kept_parts;
mod keys;
mod parts;

use enroll_protocol::Envelope;
use enroll_tests::registry::Registry;

use super::{call, check};

const PROGRAM: &str = "00000000-0000-0000-0000-00000000000a";

/// A registry with three people, two courses and three keys that wait in the program.
const GROUND: &str = r#"
    $A = person.create {"callsign":"ANT"} => {"pk"..
    $B = person.create {"callsign":"BEE"} => {"pk"..
    $C = person.create {"callsign":"COW"} => {"pk"..
    course.create {"key":"Hiking","modes":["audit","honor","verified","masters"]} => {"pk"..
    course.create {"key":"Sailing","modes":["masters"]} => {"pk"..
    program.enroll {"program":"$P","create":true,"update":false,"enrollments":[{"external_key":"s-1","curriculum":"$P","status":"enrolled"},{"external_key":"s-2","curriculum":"$P","status":"pending"},{"external_key":"s-3","curriculum":"$P","status":"enrolled"}]} => {"s-1":"enrolled","s-2":"pending","s-3":"enrolled"}
    program.enroll_course {"program":"$P","course":"Hiking","create":true,"update":false,"enrollments":[{"external_key":"s-1","status":"active"},{"external_key":"s-2","status":"inactive"}]} => {"s-1":"active","s-2":"inactive"}
"#;

/// Runs a table over [`GROUND`].
fn check_on_ground(table: &str) -> Registry {
    let mut registry = Registry::in_memory();
    check(&mut registry, &[GROUND, table].concat().replace("$P", PROGRAM));
    registry
}

/// The changes after this one: area, verb, and a mark for a derived event.
fn emitted(registry: &mut Registry, since: usize) -> Vec<String> {
    let page = call(registry, Envelope::default(), "changes.list", r#"{"limit":1000}"#).expect("a page");
    let page: serde_json::Value = serde_json::from_str(&page).expect("JSON");
    let change = |change: &serde_json::Value| {
        let name = format!("{}.{}", change["area"].as_str().expect("a word"), change["verb"].as_str().expect("a word"));
        if change["cause"].is_null() { name } else { format!("> {name}") }
    };
    page["items"].as_array().expect("items").iter().map(change).skip(since).collect()
}

#[test]
fn a_link_materializes_what_waited() {
    check_on_ground(
        r#"
        program.enrollments {"program":"$P","linked":false} => {"items":[{"pk":..,"external_key":"s-1","person":null,"status":"enrolled","courses":[{"course":"Hiking","status":"active","enrolled":false}],..
        program.link {"program":"$P","links":{"S-1":"ant","s-2":"BEE"}} => {}
        course.enrollments {"course":"Hiking","person":"ANT"} => {"items":[{"course":"Hiking","person":"$A","mode":"masters","active":true}],"next":null}
        course.enrollments {"course":"Hiking","person":"BEE"} => {"items":[{"course":"Hiking","person":"$B","mode":"masters","active":false}],"next":null}
        program.enrollments {"program":"$P","external_key":"s-1"} => {"items":[{"pk":..,"external_key":"s-1","person":"$A","status":"enrolled","courses":[{"course":"Hiking","status":"active","enrolled":true}],..
        program.enrollments {"program":"$P","person":"BEE"} => {"items":[{"pk":..,"external_key":"s-2",..
        program.enrollments {"program":"$P","linked":false} => {"items":[{"pk":..,"external_key":"s-3",..
        "#,
    );
}

#[test]
fn audit_and_honor_are_converted_and_another_mode_stays() {
    let mut registry = check_on_ground(
        r#"
        course.enroll {"course":"Hiking","person":"ANT","mode":"audit"} => {"course":"Hiking","person":"$A","mode":"audit","active":true}
        course.enroll {"course":"Hiking","person":"BEE","mode":"honor"} => {"course":..
        course.enroll {"course":"Hiking","person":"COW","mode":"verified"} => {"course":..
        program.enroll_course {"program":"$P","course":"Hiking","create":true,"update":false,"enrollments":[{"external_key":"s-3","status":"active"}]} => {"s-3":"active"}
        "#,
    );
    let before = emitted(&mut registry, 0).len();
    let link =
        format!(r#"program.link {{"program":"{PROGRAM}","links":{{"s-1":"ANT","s-2":"BEE","s-3":"COW"}}}} => {{}}"#);
    check(&mut registry, &link);
    check(
        &mut registry,
        r#"
        course.enrollments {"person":"ANT"} => {"items":[{"course":"Hiking","person":..,"mode":"masters","active":true}],"next":null}
        course.enrollments {"person":"BEE"} => {"items":[{"course":"Hiking","person":..,"mode":"masters","active":false}],"next":null}
        course.enrollments {"person":"COW"} => {"items":[{"course":"Hiking","person":..,"mode":"verified","active":true}],"next":null}
        "#,
    );
    let expected = [
        "program.link",
        "> course.converted",
        "program.link",
        "> course.converted",
        "> course.deactivated",
        "program.link",
        "> course.mode_kept",
    ];
    assert_eq!(emitted(&mut registry, before), expected);
}

#[test]
fn who_left_a_course_is_enrolled_in_it_anew() {
    check_on_ground(
        r#"
        course.enroll {"course":"Hiking","person":"ANT","mode":"verified"} => {"course":..
        course.unenroll {"course":"Hiking","person":"ANT"} => {"course":"Hiking","person":"$A","mode":"verified","active":false}
        program.link {"program":"$P","links":{"s-1":"ANT"}} => {}
        course.enrollments {"person":"ANT"} => {"items":[{"course":"Hiking","person":..,"mode":"masters","active":true}],"next":null}
        "#,
    );
}

#[test]
fn each_pair_that_fails_says_why_and_costs_the_others_nothing() {
    check_on_ground(
        r#"
        person.create {"callsign":"DOG"} => {"pk"..
        person.delete {"person":"DOG"} => {"pk"..
        program.link {"program":"$P","links":{"s-1":"ANT"}} => {}
        program.link {"program":"$P","links":{"s-1":"ANT","s-2":"BEE","s-3":"NOBODY","s-4":"COW","S-3x":"COW"}} => {"S-3x":{"code":"not_found","message":"key \"S-3x\", person \"COW\": no enrollment in this program has the key \"S-3x\"; enroll it first"},"s-1":{"code":"conflict","message":"key \"s-1\", person \"ANT\": it is linked to that person already"},"s-3":{"code":"not_found","message":"key \"s-3\", person \"NOBODY\": there is no such person; create them first"},"s-4":{"code":"not_found",..
        program.enrollments {"program":"$P","external_key":"s-2"} => {"items":[{"pk":..,"person":"$B",..
        program.link {"program":"$P","links":{"s-3":"DOG"}} => {"s-3":{"code":"deleted","message":"key \"s-3\", person \"DOG\":..
        program.link {"program":"$P","links":{"s-3":"BEE"}} => {"s-3":{"code":"conflict","message":"key \"s-3\", person \"BEE\": the person is in this program and curriculum already, by the key \"s-2\""}}
        program.link {"program":"$P","links":{"s-3":"COW"}} => {}
        "#,
    );
}

#[test]
fn one_person_for_two_keys_of_one_program_has_the_first_alone() {
    check_on_ground(
        r#"
        program.link {"program":"$P","links":{"s-2":"ANT","s-1":"ANT"}} => {"s-1":{"code":"conflict"..
        program.enrollments {"program":"$P","person":"ANT"} => {"items":[{"pk":..,"external_key":"s-2",..
        "#,
    );
}

/// In the order of the call: who is taken from one key may be given the next, and not the other way about.
#[test]
fn a_pair_finds_what_those_before_it_have_left() {
    check_on_ground(
        r#"
        program.link {"program":"$P","links":{"s-2":"BEE"}} => {}
        program.link {"program":"$P","links":{"s-1":"BEE","s-2":"ANT"}} => {"s-1":{"code":"conflict",..
        program.link {"program":"$P","links":{"s-2":"BEE","s-1":"ANT"}} => {}
        program.enroll {"program":"$P","create":false,"update":true,"enrollments":[{"external_key":"s-2","curriculum":"$P","status":"ended","person":"COW"},{"external_key":"s-1","curriculum":"$P","status":"ended","person":"BEE"}]} => {"s-1":"ended","s-2":"ended"}
        program.enrollments {"program":"$P","person":"ANT"} => {"items":[],"next":null}
        program.enrollments {"program":"$P","person":"BEE"} => {"items":[{"pk":..,"external_key":"s-1",..
        "#,
    );
}

#[test]
fn a_pair_whose_course_is_unknown_leaves_nothing_behind() {
    let mut registry = check_on_ground(
        r#"
        course.create {"key":"Zoology","modes":["masters"]} => {"pk"..
        course.create {"key":"Welding","modes":["audit"]} => {"pk"..
        program.enroll_course {"program":"$P","course":"Zoology","create":true,"update":false,"enrollments":[{"external_key":"s-1","status":"active"}]} => {"s-1":"active"}
        program.enroll_course {"program":"$P","course":"Welding","create":true,"update":false,"enrollments":[{"external_key":"s-3","status":"active"}]} => {"s-3":"active"}
        course.delete {"key":"Zoology"} => true
        course.delete {"key":"Zoology"} => false
        course.get {"key":"Zoology"} => not_found
        "#,
    );
    let before = emitted(&mut registry, 0).len();
    check(
        &mut registry,
        &r#"
        program.link {"program":"$P","links":{"s-1":"ANT","s-3":"COW"}} => {"s-1":{"code":"not_found","message":"key \"s-1\", person \"ANT\": no course has the key \"Zoology\""},"s-3":{"code":"conflict","message":"key \"s-3\", person \"COW\": the course \"Welding\" does not offer masters"}}
        program.enrollments {"program":"$P","linked":true} => {"items":[],"next":null}
        course.enrollments {} => {"items":[],"next":null}
        "#
        .replace("$P", PROGRAM),
    );
    assert_eq!(emitted(&mut registry, before), Vec::<String>::new());
    check(
        &mut registry,
        &r#"
        course.create {"key":"Zoology","modes":["masters"]} => {"pk"..
        program.link {"program":"$P","links":{"s-1":"ANT"}} => {}
        "#
        .replace("$P", PROGRAM),
    );
}

/// Two programs give a person the same course and role in it. What either of them does alone takes nothing away.
#[test]
fn what_two_enrollments_give_is_lost_with_the_last_of_them() {
    let shared = r#"
        program.enroll {"program":"$Q","create":true,"update":false,"enrollments":[{"external_key":"q-1","curriculum":"$P","status":"enrolled"}]} => {"q-1":"enrolled"}
        program.enroll_course {"program":"$Q","course":"Hiking","create":true,"update":false,"enrollments":[{"external_key":"q-1","status":"active"}]} => {"q-1":"active"}
        program.assign_course_role {"program":"$Q","external_key":"q-1","course":"Hiking","role":"staff"} => true
        program.assign_course_role {"program":"$P","external_key":"s-1","course":"Hiking","role":"staff"} => true
        program.link {"program":"$P","links":{"s-1":"ANT"}} => {}
        program.link {"program":"$Q","links":{"q-1":"ANT"}} => {}
        course.enrollments {"person":"ANT"} => $ACTIVE
        course.roles {"person":"ANT"} => $STAFF
    "#;
    let ways = [
        // Unlinked.
        r#"program.unlink {"program":"$P","external_keys":["s-1"]} => {}"#,
        // Linked to somebody else.
        r#"program.link {"program":"$P","links":{"s-1":"BEE"}} => {}"#,
        r#"program.enroll {"program":"$P","create":false,"update":true,"enrollments":[{"external_key":"s-1","status":"ended","person":"BEE"}]} => {"s-1":"ended"}"#,
    ];
    let last = r#"
        program.unlink {"program":"$Q","external_keys":["q-1"]} => {}
        course.enrollments {"person":"ANT"} => {"items":[{"course":"Hiking","person":"$A","mode":"audit","active":false}],"next":null}
        course.roles {"person":"ANT"} => []
    "#;
    let status = r#"
        program.enroll_course {"program":"$P","course":"Hiking","create":false,"update":true,"enrollments":[{"external_key":"s-1","status":"inactive"}]} => {"s-1":"inactive"}
        course.enrollments {"person":"ANT"} => $ACTIVE
        program.enroll_course {"program":"$Q","course":"Hiking","create":false,"update":true,"enrollments":[{"external_key":"q-1","status":"inactive"}]} => {"q-1":"inactive"}
        course.enrollments {"person":"ANT"} => {"items":[{"course":"Hiking","person":"$A","mode":"masters","active":false}],"next":null}
        course.roles {"person":"ANT"} => $STAFF
        program.enroll_course {"program":"$P","course":"Hiking","create":false,"update":true,"enrollments":[{"external_key":"s-1","status":"active"}]} => {"s-1":"active"}
        course.enrollments {"person":"ANT"} => $ACTIVE
        program.unlink {"program":"$P","external_keys":["s-1"]} => {}
        course.enrollments {"person":"ANT"} => {"items":[{"course":"Hiking","person":"$A","mode":"masters","active":false}],"next":null}
    "#;
    let then = r#"
        course.enrollments {"person":"ANT"} => $ACTIVE
        course.roles {"person":"ANT"} => $STAFF
    "#;
    let stories =
        ways.iter().map(|way| format!("{shared}\n{way}\n{then}{last}")).chain([format!("{shared}{status}{last}")]);
    for story in stories {
        let active = r#"{"items":[{"course":"Hiking","person":"$A","mode":"masters","active":true}],"next":null}"#;
        let story = story.replace("$ACTIVE", active);
        let story = story.replace("$STAFF", r#"[{"person":"$A","course":"Hiking","role":"staff"}]"#);
        check_on_ground(&story.replace("$Q", "00000000-0000-0000-0000-00000000000b"));
    }
}

/// Realised inactive by one enrollment, a course stays active that another has active.
#[test]
fn an_inactive_course_of_one_enrollment_leaves_it_active_by_another() {
    let story = r#"
        program.enroll {"program":"$Q","create":true,"update":false,"enrollments":[{"external_key":"q-1","curriculum":"$P","status":"enrolled"}]} => {"q-1":"enrolled"}
        program.enroll_course {"program":"$Q","course":"Hiking","create":true,"update":false,"enrollments":[{"external_key":"q-1","status":"inactive"}]} => {"q-1":"inactive"}
        program.link {"program":"$P","links":{"s-1":"ANT"}} => {}
        program.link {"program":"$Q","links":{"q-1":"ANT"}} => {}
        course.enrollments {"person":"ANT"} => {"items":[{"course":"Hiking","person":"$A","mode":"masters","active":true}],"next":null}
        program.unlink {"program":"$P","external_keys":["s-1"]} => {}
        course.enrollments {"person":"ANT"} => {"items":[{"course":"Hiking","person":"$A","mode":"masters","active":false}],"next":null}
    "#;
    check_on_ground(&story.replace("$Q", "00000000-0000-0000-0000-00000000000b"));
}

#[test]
fn a_wrong_link_is_moved_to_the_right_person() {
    let mut registry = check_on_ground(
        r#"
        program.enroll_course {"program":"$P","course":"Sailing","create":true,"update":false,"enrollments":[{"external_key":"s-1","status":"active"}]} => {"s-1":"active"}
        program.assign_course_role {"program":"$P","external_key":"S-1","course":"Hiking","role":"staff"} => true
        program.assign_course_role {"program":"$P","external_key":"s-1","course":"Hiking","role":"staff"} => false
        program.link {"program":"$P","links":{"s-1":"ANT"}} => {}
        course.roles {} => [{"person":"$A","course":"Hiking","role":"staff"}]
        "#,
    );
    let before = emitted(&mut registry, 0).len();
    check(
        &mut registry,
        &r#"
        program.link {"program":"$P","links":{"s-1":"BEE"}} => {}
        course.enrollments {"person":"ANT"} => {"items":[{"course":"Hiking","person":..,"mode":"audit","active":false},{"course":"Sailing","person":..,"mode":"masters","active":false}],"next":null}
        course.enrollments {"person":"BEE"} => {"items":[{"course":"Hiking","person":..,"mode":"masters","active":true},{"course":"Sailing","person":..,"mode":"masters","active":true}],"next":null}
        course.roles {"person":"ANT"} => []
        course.roles {"person":"BEE"} => [{"person":..,"course":"Hiking","role":"staff"}]
        course.roles {"course":"Hiking"} => [{"person":..
        course.roles {"course":"Sailing"} => []
        program.enrollments {"program":"$P","person":"ANT"} => {"items":[],"next":null}
        "#
        .replace("$P", PROGRAM),
    );
    let expected = [
        "program.link",
        "> program.unlinked",
        "> course.deactivated",
        "> course.moved_to_audit",
        "> course.deactivated",
        "> course.role_taken",
        "> course.enrolled",
        "> course.enrolled",
        "> course.role_given",
    ];
    assert_eq!(emitted(&mut registry, before), expected);
}

/// Both or neither: where the right person can not be linked, the wrong one stays.
#[test]
fn a_relink_that_fails_leaves_the_earlier_person_linked() {
    let mut registry = check_on_ground(
        r#"
        program.link {"program":"$P","links":{"s-1":"ANT","s-3":"BEE"}} => {}
        "#,
    );
    let before = emitted(&mut registry, 0).len();
    check(
        &mut registry,
        &r#"
        program.link {"program":"$P","links":{"s-1":"BEE"}} => {"s-1":{"code":"conflict"..
        course.enrollments {"person":"ANT"} => {"items":[{"course":"Hiking","person":..,"mode":"masters","active":true}],"next":null}
        program.enrollments {"program":"$P","person":"ANT"} => {"items":[{"pk":..,"external_key":"s-1",..
        "#
        .replace("$P", PROGRAM),
    );
    assert_eq!(emitted(&mut registry, before), Vec::<String>::new());
}

#[test]
fn an_unlinked_key_waits_again() {
    check_on_ground(
        r#"
        program.assign_course_role {"program":"$P","external_key":"s-1","course":"Hiking","role":"staff"} => true
        program.link {"program":"$P","links":{"s-1":"ANT"}} => {}
        program.unlink {"program":"$P","external_keys":["S-1","s-2","s-9"]} => {"s-2":{"code":"conflict","message":"key \"s-2\": it is not linked to anybody"},"s-9":{"code":"not_found"..
        course.enrollments {"person":"ANT"} => {"items":[{"course":"Hiking","person":..,"mode":"audit","active":false}],"next":null}
        course.roles {} => []
        program.enrollments {"program":"$P","external_key":"s-1"} => {"items":[{"pk":..,"person":null,"status":"enrolled","courses":[{"course":"Hiking","status":"active","enrolled":false}],..
        program.link {"program":"$P","links":{"s-1":"BEE"}} => {}
        course.roles {} => [{"person":"$B","course":"Hiking","role":"staff"}]
        "#,
    );
}

#[test]
fn a_role_that_was_held_is_not_taken_back_and_one_that_can_not_be_given_waits() {
    let mut registry = check_on_ground(
        r#"
        program.assign_course_role {"program":"$P","external_key":"s-3","course":"Hiking","role":"staff"} => true
        program.link {"program":"$P","links":{"s-3":"ANT"}} => {}
        program.enroll {"program":"00000000-0000-0000-0000-00000000000b","create":true,"update":false,"enrollments":[{"external_key":"x","curriculum":"$P","status":"enrolled","person":"ANT"}]} => {"x":"enrolled"}
        program.assign_course_role {"program":"00000000-0000-0000-0000-00000000000b","external_key":"x","course":"Hiking","role":"staff"} => false
        program.unlink {"program":"00000000-0000-0000-0000-00000000000b","external_keys":["x"]} => {}
        course.roles {"person":"ANT"} => [{"person":..
        course.create {"key":"Zoology","modes":["masters"]} => {"pk"..
        program.assign_course_role {"program":"$P","external_key":"s-2","course":"Zoology","role":"staff"} => true
        course.delete {"key":"Zoology"} => true
        "#,
    );
    let before = emitted(&mut registry, 0).len();
    check(
        &mut registry,
        &r#"
        program.link {"program":"$P","links":{"s-2":"BEE"}} => {}
        changes.list {"since":0,"limit":1000} => {"items":[..,"area":"course","verb":"role_failed",..,"refused":"not_found"}],"next":null}
        "#
        .replace("$P", PROGRAM),
    );
    let expected = ["program.link", "> course.enrolled", "> course.deactivated", "> course.role_failed"];
    assert_eq!(emitted(&mut registry, before), expected);
}
