//! Courses: making, changing and deleting them, and external keys in them.

use enroll_core::model::program::{CourseRoleOf, ProgramEnrollment, RoleStand};
use enroll_core::model::{key, record};
use enroll_protocol::course::{self, CourseRole};
use enroll_protocol::limits::{COURSE_GIVERS_MAX, COURSE_ROLES_MAX, PROGRAM_COURSES_MAX};
use enroll_protocol::{Code, Envelope, person};
use enroll_tests::registry::Registry;

use super::super::call;
use super::{PROGRAM, check, check_on_ground};

#[test]
fn a_course_has_a_key_of_its_own_and_modes() {
    check_on_ground(
        r#"
        course.create {"key":"Hiking","modes":["audit"]} => conflict
        course.create {"key":"hiking","modes":["audit"]} => conflict
        course.create {"key":"rowing","modes":["masters","audit","masters"]} => {"pk":..,"key":"rowing","modes":["audit","masters"],"created":..,"updated":..,"deleted":null}
        course.create {"key":"X","modes":[]} => invalid_argument
        course.create {"key":"X","modes":["bachelor"]} => invalid_argument
        course.create {"key":"","modes":["audit"]} => invalid_argument
        $X = course.create {"key":"X","modes":["audit"]} => {"pk"..
        course.get {"key":"$X"} => {"pk":"$X","key":"X",..
        course.get {"key":"nothing"} => not_found
        course.list {"limit":2} => {"items":[{"pk":..},{"pk":..}],"next":"..
        course.delete {"key":"$X"} => true
        course.delete {"key":"X"} => false
        "#,
    );
}

#[test]
fn people_enter_and_leave_courses() {
    check_on_ground(
        r#"
        course.enroll {"course":"Sailing","person":"ANT","mode":"audit"} => invalid_argument
        course.enroll {"course":"Sailing","person":"ANT","mode":"expert"} => invalid_argument
        course.enroll {"course":"Rowing","person":"ANT","mode":"audit"} => not_found
        course.enroll {"course":"Sailing","person":"NOBODY","mode":"masters"} => not_found
        course.unenroll {"course":"Sailing","person":"ANT"} => not_found
        course.enroll {"course":"Hiking","person":"ANT","mode":"audit"} => {"course":"Hiking","person":"$A","mode":"audit","active":true}
        course.enroll {"course":"Hiking","person":"ANT","mode":"honor"} => {"course":"Hiking","person":"$A","mode":"honor","active":true}
        course.delete {"key":"Hiking"} => conflict
        course.unenroll {"course":"Hiking","person":"ANT"} => {"course":"Hiking","person":"$A","mode":"honor","active":false}
        course.unenroll {"course":"Hiking","person":"ANT"} => {"course":"Hiking","person":"$A","mode":"honor","active":false}
        course.enroll {"course":"Sailing","person":"BEE","mode":"masters"} => {"course":..
        course.enrollments {} => {"items":[{"course":"Hiking","person":"$A",..},{"course":"Sailing","person":"$B",..}],"next":null}
        course.enrollments {"limit":1} => {"items":[{"course":"Hiking",..}],"next":"..
        course.enrollments {"person":"BEE"} => {"items":[{"course":"Sailing",..}],"next":null}
        course.delete {"key":"Hiking"} => true
        "#,
    );
}

#[test]
fn people_act_for_themselves_and_others_need_the_permission() {
    check_on_ground(
        r#"
        ANT> course.enroll {"course":"Hiking","person":"ANT","mode":"audit"} => {"course":..
        ANT> course.enroll {"course":"Hiking","person":"BEE","mode":"audit"} => permission_denied
        ANT> course.enrollments {"person":"ANT"} => {"items":[{..
        ANT> course.enrollments {} => permission_denied
        ANT> course.roles {"person":"ANT"} => []
        ANT> course.roles {"person":"BEE"} => permission_denied
        ANT> course.unenroll {"course":"Hiking","person":"ANT"} => {"course":..
        ANT> program.enrollments {"program":"$P","person":"ANT"} => {"items":[]..
        ANT> program.enrollments {"program":"$P"} => permission_denied
        ANT> program.link {"program":"$P","links":{"s-1":"ANT"}} => permission_denied
        ANT> program.link {"program":"$P","links":{}} => permission_denied
        ANT> course.create {"key":"X","modes":["audit"]} => permission_denied
        "#,
    );
}

#[test]
fn keys_are_enrolled_in_courses_one_by_one() {
    check_on_ground(
        r#"
        program.enroll_course {"program":"$P","course":"Rowing","create":true,"update":true,"enrollments":[]} => not_found
        program.enroll_course {"program":"$P","course":"Hiking","create":false,"update":false,"enrollments":[]} => invalid_argument
        program.enroll_course {"program":"$P","course":"Hiking","create":true,"update":false,"enrollments":[{"external_key":"S-1","status":"inactive"},{"external_key":"s-3","status":"active"},{"external_key":"s-4","status":"active"}]} => {"S-1":"conflict","s-3":"active","s-4":"not-in-program"}
        program.enroll_course {"program":"$P","course":"Sailing","create":false,"update":true,"enrollments":[{"external_key":"s-1","status":"active"},{"external_key":"s-2","status":"enrolled"},{"external_key":"s-3","status":"active"},{"external_key":"S-3","status":"active"}]} => {"S-3":"duplicated","s-1":"not-found","s-2":"invalid-status","s-3":"duplicated"}
        program.enroll_course {"program":"$P","course":"Hiking","create":false,"update":true,"enrollments":[{"external_key":"s-1","status":"inactive"}]} => {"s-1":"inactive"}
        program.enrollments {"program":"$P","external_key":"S-1"} => {"items":[{"pk":..,"courses":[{"course":"Hiking","status":"inactive","enrolled":false}],..
        "#,
    );
}

#[test]
fn a_linked_keys_person_follows_at_once() {
    check_on_ground(
        r#"
        program.link {"program":"$P","links":{"s-1":"ANT"}} => {}
        program.enroll_course {"program":"$P","course":"Sailing","create":true,"update":false,"enrollments":[{"external_key":"s-1","status":"active"}]} => {"s-1":"active"}
        course.enrollments {"course":"Sailing"} => {"items":[{"course":"Sailing","person":"$A","mode":"masters","active":true}],"next":null}
        program.enroll_course {"program":"$P","course":"Sailing","create":true,"update":true,"enrollments":[{"external_key":"s-1","status":"inactive"}]} => {"s-1":"inactive"}
        course.enrollments {"course":"Sailing"} => {"items":[{"course":"Sailing","person":"$A","mode":"masters","active":false}],"next":null}
        program.enroll_course {"program":"$P","course":"Sailing","create":true,"update":true,"enrollments":[{"external_key":"s-1","status":"active"}]} => {"s-1":"active"}
        course.enrollments {"course":"Sailing"} => {"items":[{"course":"Sailing","person":"$A","mode":"masters","active":true}],"next":null}
        course.create {"key":"Welding","modes":["audit"]} => {"pk"..
        program.enroll_course {"program":"$P","course":"Welding","create":true,"update":true,"enrollments":[{"external_key":"s-1","status":"active"}]} => {"s-1":"conflict"}
        "#,
    );
}

#[test]
fn a_key_has_so_many_courses_and_no_more() {
    let mut table = String::new();
    for number in 0..256 {
        let course = format!("C{number}");
        table += &format!("course.create {{\"key\":\"{course}\",\"modes\":[\"masters\"]}} => {{\"pk\"..\n");
        let expected = if number < 255 { "active" } else { "conflict" };
        table += &format!(
            "program.enroll_course {{\"program\":\"$P\",\"course\":\"{course}\",\"create\":true,\"update\":false,\"enrollments\":\
             [{{\"external_key\":\"s-1\",\"status\":\"active\"}}]}} => {{\"s-1\":\"{expected}\"}}\n"
        );
    }
    check_on_ground(&table);
}

#[test]
fn a_course_key_is_one_courses_in_any_case() {
    check(
        &mut Registry::in_memory(),
        r#"
        person.create {"callsign":"ANT"} => {"pk"..
        course.create {"key":"Hiking","modes":["audit"]} => {"pk"..
        course.create {"key":"hiking","modes":["audit"]} => conflict
        course.get {"key":"HIKING"} => {"pk":..,"key":"Hiking"..
        course.get {"key":{"name":"hi\u200bking"}} => {"pk":..,"key":"Hiking"..
        course.enroll {"course":"hiking","person":"ANT","mode":"audit"} => {"course":"Hiking"..
        course.unenroll {"course":"HIKING","person":"ANT"} => {"course":"Hiking"..
        course.delete {"key":"hiking"} => true
        course.get {"key":"Hiking"} => not_found
        course.create {"key":"hiking","modes":["audit"]} => conflict
        course.create {"key":"Hiking","modes":["audit"]} => {"pk"..
        "#,
    );
}

#[test]
fn a_course_of_one_person_has_no_more_than_so_many_givers() {
    let mut registry = check_on_ground("");
    let given = |at: usize| {
        format!(r#"{{"external_key":"g-{at:03}","curriculum":"00000000-0000-0000-0001-{at:012}","status":"enrolled"}}"#)
    };
    let active = |at: usize| format!(r#"{{"external_key":"g-{at:03}","status":"active"}}"#);
    let linked = |at: usize| format!(r#""g-{at:03}":"ANT""#);
    let all = |part: &dyn Fn(usize) -> String| (0..=COURSE_GIVERS_MAX).map(part).collect::<Vec<_>>().join(",");
    let head = format!(r#""program":"{PROGRAM}","create":true,"update":false"#);
    for (operation, args) in [
        ("program.enroll", format!(r#"{{{head},"enrollments":[{}]}}"#, all(&given))),
        ("program.enroll_course", format!(r#"{{{head},"course":"Hiking","enrollments":[{}]}}"#, all(&active))),
    ] {
        call(&mut registry, Envelope::default(), operation, &args).expect("enrolled");
    }
    let args = format!(r#"{{"program":"{PROGRAM}","links":{{{}}}}}"#, all(&linked));
    let reply = call(&mut registry, Envelope::default(), "program.link", &args).expect("linked");
    assert!(
        reply.starts_with(r#"{"g-256":{"code":"conflict","message":"#) && reply.matches("code").count() == 1,
        "{reply}"
    );
}

#[test]
fn a_list_of_all_roles_is_refused_past_its_bound() {
    let mut registry = check_on_ground("");
    let person = registry.call(person::Get::new("ANT".parse().expect("a callsign"))).expect("a person").pk;
    let role = |number: usize| {
        let course = format!("course-{number}").parse().expect("a key");
        (key::course_role(&course, person, CourseRole::Staff), Some(record::encode(&CourseRoleOf::default())))
    };
    registry.store().commit(&(0..COURSE_ROLES_MAX).map(role).collect()).expect("committed");
    assert_eq!(registry.call(course::Roles::default()).expect("listed").len(), COURSE_ROLES_MAX);
    registry.store().commit(&[role(COURSE_ROLES_MAX)].into()).expect("committed");
    assert_eq!(registry.call(course::Roles::default()).expect_err("refused").code, Code::TOO_LARGE);
}

#[test]
fn a_key_has_so_many_courses_and_roles_together() {
    let mut registry = check_on_ground("");
    let stored = key::program_enrollment(PROGRAM.parse().expect("a pk"), "s-3");
    let found = record::get::<ProgramEnrollment>(&*registry.store().view().expect("a view"), &stored);
    let mut enrollment = found.expect("readable").expect("an enrollment");
    let role = |number| ((format!("course-{number}").parse().expect("a key"), CourseRole::Staff), RoleStand::Waiting);
    enrollment.roles = (1..PROGRAM_COURSES_MAX).map(role).collect();
    let writes = [(stored, Some(record::encode(&enrollment)))].into();
    registry.store().commit(&writes).expect("committed");
    let enroll = |course: &str| {
        format!(
            r#"program.enroll_course {{"program":"{PROGRAM}","course":"{course}","create":true,"update":false,"enrollments":[{{"external_key":"s-3","status":"active"}}]}}"#
        )
    };
    check(&mut registry, &format!("{} => {{\"s-3\":\"active\"}}", enroll("Hiking")));
    check(&mut registry, &format!("{} => {{\"s-3\":\"conflict\"}}", enroll("Sailing")));
    check(
        &mut registry,
        &format!(
            r#"program.assign_course_role {{"program":"{PROGRAM}","external_key":"s-3","course":"Sailing","role":"staff"}} => conflict"#
        ),
    );
}
