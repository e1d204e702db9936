//! External keys: enrolling them in a program, and invalid ones.

use super::{PROGRAM, check_on_ground};

#[test]
fn keys_are_enrolled_one_by_one() {
    check_on_ground(
        r#"
        program.enroll {"program":"$P","create":false,"update":false,"enrollments":[]} => invalid_argument
        program.enroll {"program":"$P","create":true,"update":false,"enrollments":[{"external_key":"s-9","status":"enrolled"}]} => invalid_argument
        program.enroll {"program":"$P","create":true,"update":false,"enrollments":[{"external_key":"S-1","curriculum":"$P","status":"ended"},{"external_key":"s-4","curriculum":"$P","status":"Enrolled"},{"external_key":"s-5","curriculum":"$P","status":"canceled"},{"external_key":"x","curriculum":"$P","status":"ended"},{"external_key":"X","curriculum":"$P","status":"ended"}]} => {"S-1":"conflict","X":"duplicated","s-4":"invalid-status","s-5":"canceled","x":"duplicated"}
        program.enroll {"program":"$P","create":false,"update":true,"enrollments":[{"external_key":"S-1","status":"ended"},{"external_key":"x","status":"ended"}]} => {"S-1":"ended","x":"not-in-program"}
        program.enrollments {"program":"$P","external_key":"s-1"} => {"items":[{"pk":..,"external_key":"s-1","person":null,"status":"ended",..
        program.enrollments {"program":"00000000-0000-0000-0000-00000000000b"} => {"items":[],"next":null}
        program.enroll {"program":"00000000-0000-0000-0000-00000000000b","create":true,"update":true,"enrollments":[{"external_key":"S-1","curriculum":"$P","status":"enrolled"}]} => {"S-1":"enrolled"}
        "#,
    );
}

#[test]
fn a_key_can_be_enrolled_with_its_person() {
    check_on_ground(
        r#"
        program.enroll {"program":"$P","create":true,"update":false,"enrollments":[{"external_key":"s-4","curriculum":"$P","status":"enrolled","person":"ANT"},{"external_key":"s-5","curriculum":"$P","status":"enrolled","person":"ant"},{"external_key":"s-6","curriculum":"$P","status":"enrolled","person":"NOBODY"}]} => {"s-4":"enrolled","s-5":"conflict","s-6":"not-found"}
        program.enrollments {"program":"$P","person":"ANT"} => {"items":[{"pk":..,"external_key":"s-4",..}],"next":null}
        program.enrollments {"program":"$P","external_key":"s-5"} => {"items":[],"next":null}
        program.enroll {"program":"$P","create":false,"update":true,"enrollments":[{"external_key":"s-1","status":"pending","person":"BEE"}]} => {"s-1":"pending"}
        course.enrollments {"person":"BEE"} => {"items":[{"course":"Hiking",..,"mode":"masters","active":true}],"next":null}
        program.enroll {"program":"$P","create":false,"update":true,"enrollments":[{"external_key":"s-1","status":"ended","person":"ANT"}]} => {"s-1":"conflict"}
        program.enrollments {"program":"$P","external_key":"s-1"} => {"items":[{"pk":..,"person":"$B","status":"pending",..
        "#,
    );
}

#[test]
fn a_person_is_in_a_program_once_per_curriculum() {
    check_on_ground(
        r#"
        program.enroll {"program":"$P","create":true,"update":false,"enrollments":[{"external_key":"other","curriculum":"00000000-0000-0000-0000-00000000000c","status":"enrolled"}]} => {"other":"enrolled"}
        program.link {"program":"$P","links":{"s-1":"ANT","other":"ANT"}} => {}
        program.enrollments {"program":"$P","person":"ANT"} => {"items":[{..},{..}],"next":null}
        program.enroll {"program":"$P","create":false,"update":true,"enrollments":[{"external_key":"other","curriculum":"$P","status":"enrolled"}]} => {"other":"conflict"}
        program.unlink {"program":"$P","external_keys":["s-1"]} => {}
        program.enroll {"program":"$P","create":false,"update":true,"enrollments":[{"external_key":"other","curriculum":"$P","status":"enrolled"}]} => {"other":"enrolled"}
        program.link {"program":"$P","links":{"s-1":"ANT"}} => {"s-1":{"code":"conflict"..
        "#,
    );
}

#[test]
fn what_is_no_key_is_refused_with_the_whole_call() {
    let (fits, too_long) = ("é".repeat(255), "é".repeat(256));
    check_on_ground(&format!(
        r#"
        program.link {{"program":"$P","links":{{"":"ANT"}}}} => invalid_argument
        program.link {{"program":"$P","links":{{"s-1":null}}}} => invalid_argument
        program.link {{"program":"$P","links":{{"s-1":"ANT","S-1":"BEE"}}}} => invalid_argument
        program.link {{"program":"$P","links":{{"s-1":"ANT","s-1":"BEE"}}}} => invalid_argument
        program.link {{"program":"$P","links":{{"straße":"ANT","STRASSE":"BEE"}}}} => invalid_argument
        program.link {{"program":"$P","links":{{"s-2":"ANT","{too_long}":"BEE"}}}} => invalid_argument
        program.link {{"program":"$P","links":{{"a\u0007":"BEE"}}}} => invalid_argument
        program.link {{"program":"no uuid","links":{{"s-1":"ANT"}}}} => invalid_argument
        program.link {{"program":"$P","links":{{"{fits}":"ANT"}}}} => {{"{fits}":{{"code":"not_found"..
        program.link {{"program":"$P","links":{{}}}} => {{}}
        program.unlink {{"program":"$P","external_keys":["s-1","S-1"]}} => invalid_argument
        program.unlink {{"program":"$P","external_keys":[null]}} => invalid_argument
        program.enroll {{"program":"$P","create":true,"update":false,"enrollments":[{{"external_key":null,"curriculum":"$P","status":"enrolled"}}]}} => invalid_argument
        program.enroll {{"program":"$P","create":true,"update":false,"enrollments":[{{"external_key":"{too_long}","curriculum":"$P","status":"enrolled"}}]}} => invalid_argument
        program.enroll {{"program":"$P","create":true,"update":false,"enrollments":[{{"external_key":"{fits}","curriculum":"$P","status":"enrolled"}}]}} => {{"{fits}":"enrolled"}}
        program.assign_course_role {{"program":"$P","external_key":"s-1","course":"Hiking","role":"owner"}} => invalid_argument
        program.assign_course_role {{"program":"$P","external_key":"s-9","course":"Hiking","role":"staff"}} => not_found
        program.assign_course_role {{"program":"$P","external_key":"s-1","course":"Rowing","role":"staff"}} => not_found
        program.enrollments {{"program":"$P","linked":true}} => {{"items":[],"next":null}}
        "#
    ));
    assert!(PROGRAM.len() == 36, "a program is a UUID");
}
