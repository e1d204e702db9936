//! Permissions of roles, also of people who are deleted.

use enroll_tests::registry::Registry;

use super::check;

#[test]
fn a_role_carries_what_it_was_granted_and_what_lies_below() {
    check(
        &mut Registry::in_memory(),
        r#"
        person.create {"callsign":"A","roles":["organizer"]} => {"pk"..
        permission.has {"person":"A","permission":"/events/create/social/"} => false
        permission.grant {"role":"organizer","permission":"/events/"} => true
        permission.grant {"role":"organizer","permission":"/events/"} => false
        permission.has {"person":"A","permission":"/events/create/social/"} => true
        permission.has {"person":"A","permission":"/events/"} => true
        permission.has {"person":"A","permission":"/"} => false
        permission.grant {"role":"organizer","permission":"/pe/"} => true
        permission.has {"person":"A","permission":"/people/"} => false
        permission.list {"role":"organizer"} => [{"role":"organizer","permission":"/events/"},{"role":"organizer","permission":"/pe/"}]
        permission.revoke {"role":"organizer","permission":"/events/"} => true
        permission.revoke {"role":"organizer","permission":"/events/"} => false
        permission.has {"person":"A","permission":"/events/create/social/"} => false
        permission.list {"role":"nobody"} => []
        permission.grant {"role":"organizer","permission":"/events"} => invalid_argument
        permission.has {"person":"B","permission":"/events/"} => not_found
        "#,
    );
}

#[test]
fn built_in_roles_are_there_and_can_be_changed() {
    check(
        &mut Registry::in_memory(),
        r#"
        permission.list {} => [{"role":"admin","permission":"/codes/"},{"role":"admin","permission":"/enrollments/"},{"role":"admin","permission":"/people/"},{"role":"admin","permission":"/pools/"},{"role":"moderator","permission":"/constants/"},{"role":"moderator","permission":"/supervisors/"},{"role":"superuser","permission":"/"},{"role":"supervisor","permission":"/representatives/"}]
        person.create {"callsign":"A","roles":["admin"]} => {"pk"..
        A> person.list {} => {"items":[..
        permission.revoke {"role":"admin","permission":"/people/"} => true
        A> person.list {} => permission_denied
        "#,
    );
}

#[test]
fn only_who_has_everything_changes_permissions() {
    check(
        &mut Registry::in_memory(),
        r#"
        person.create {"callsign":"BOSS","roles":["superuser"]} => {"pk"..
        person.create {"callsign":"ADMIN","roles":["admin"]} => {"pk"..
        ADMIN> permission.grant {"role":"admin","permission":"/roles/"} => permission_denied
        ADMIN> permission.revoke {"role":"superuser","permission":"/"} => permission_denied
        ADMIN> permission.list {} => permission_denied
        ADMIN> permission.has {"person":"ADMIN","permission":"/people/"} => true
        ADMIN> permission.has {"person":"BOSS","permission":"/people/"} => permission_denied
        BOSS> permission.grant {"role":"admin","permission":"/roles/"} => true
        ADMIN> permission.list {"role":"superuser"} => [{"role":"superuser","permission":"/"}]
        "#,
    );
}

#[test]
fn a_deleted_person_keeps_the_callsign_and_passes_no_check() {
    check(
        &mut Registry::in_memory(),
        r#"
        person.create {"callsign":"BOSS","roles":["superuser"]} => {"pk"..
        person.create {"callsign":"DOG","roles":["member","staff"],"extra":{"a":1}} => {"pk"..
        BOSS> person.delete {"person":"dog"} => {"pk":"..","extra":{"a":1},..,"revocation":null,..,"deleted":"2027-01-15T08:00:00.000000Z"}
        person.get {"person":"DOG"} => deleted
        person.get {"person":"DOG","allow_deleted":true} => {"pk":"..","deleted":"2027..
        person.create {"callsign":"dog"} => callsign_reserved
        person.delete {"person":"DOG"} => deleted
        person.update {"person":"DOG","extra":{}} => deleted
        person.find {"claims":{"sub":"DOG"}} => deleted
        person.list {} => {"items":[{"pk":"..","callsign":"BOSS"..}],"next":null}
        person.list {"include_deleted":true} => {"items":[{"pk"..,"callsign":"DOG"..}],"next":null}
        person.list {"role":"member"} => {"items":[],"next":null}
        person.list {"role":"member","include_deleted":true} => {"items":[],"next":null}
        role.list {"person":"DOG"} => deleted
        role.assign {"person":"DOG","role":"x"} => deleted
        permission.has {"person":"DOG","permission":"/"} => deleted
        code.create {"claims":{"sub":"DOG"}} => deleted
        DOG> jwt.keys {} => deleted
        person.create {"callsign":"CAT"} => {"pk"..
        person.revoke {"person":"CAT","reason":"lost"} => invalid_argument
        person.revoke {"person":"CAT","reason":"key_compromise"} => {"pk":"..,"revocation":{"reason":"key_compromise","at":"2027-01-15T08:00:00.000000Z"},..,"deleted":"2027..
        "#,
    );
}

#[test]
fn codes_and_jwts_of_a_deleted_person_are_refused() {
    use enroll_protocol::{Code, Json, code, jwt, person};
    let registry = &mut Registry::in_memory();
    check(registry, r#"person.create {"callsign":"DOG"} => {"pk".."#);
    let mut make = || {
        let create = code::Create::new(Json::new(r#"{"sub":"dog"}"#).expect("claims"));
        registry.call(create).expect("made").code.expect("a code")
    };
    let (first, second) = (make(), make());
    let jwt = registry.call(code::Use::new(first)).expect("exchanged").jwt.expect("a JWT");
    registry.call(jwt::Verify { jwt: jwt.clone() }).expect("valid");
    registry.call(person::Delete { person: "DOG".parse().expect("a name") }).expect("deleted");
    assert_eq!(registry.call(code::Use::new(second)).expect_err("refused").code, Code::DELETED);
    assert_eq!(registry.call(jwt::Verify { jwt }).expect_err("refused").code, Code::JWT_INVALID);
}

#[test]
fn people_are_found_by_claims_and_changed_by_those_who_may() {
    check(
        &mut Registry::in_memory(),
        r#"
        person.create {"callsign":"ADMIN","roles":["admin"]} => {"pk"..
        person.create {"callsign":"DOG"} => {"pk"..
        person.find {"claims":{"sub":"dog","CN":"ADMIN"}} => {"pk":"..","callsign":"DOG"..
        person.find {"claims":{"CN":"admin"}} => {"pk":"..","callsign":"ADMIN"..
        person.find {"claims":{"sub":"cat"}} => not_found
        person.find {"claims":{}} => invalid_argument
        person.find {"claims":{"sub":7}} => invalid_argument
        DOG> person.find {"claims":{"sub":"DOG"}} => {"pk"..
        DOG> person.find {"claims":{"sub":"ADMIN"}} => permission_denied
        DOG> person.update {"person":"DOG","extra":{}} => permission_denied
        DOG> person.delete {"person":"DOG"} => permission_denied
        ADMIN> person.update {"person":"DOG","extra":{"team":"red"}} => {"pk":"..","extra":{"team":"red"}..
        +1
        person.update {"person":"DOG","extra":{"a":1}} => {"pk":"..","extra":{"a":1},..,"created":"2027-01-15T08:00:00.000000Z","updated":"2027-01-15T08:00:01.000000Z","deleted":null}
        "#,
    );
}
