//! Rules of invite codes that an administrator chooses, as for codes that are printed already.

use enroll_core::context::Grant;
use enroll_protocol::pool;
use enroll_tests::registry::Registry;

use super::check;

const PEOPLE: &str = r#"
    person.create {"callsign":"BOSS","roles":["admin"]} => {"pk"..
    person.create {"callsign":"DOG"} => {"pk"..
"#;

#[test]
fn a_chosen_code_is_read_as_a_typed_one_and_unique_among_live_pools() {
    let registry = &mut Registry::in_memory();
    check(registry, PEOPLE);
    check(
        registry,
        r#"
        $A = pool.create {"owner":"BOSS","invitecode":"spring-2027"} => ..,"invitecode":"SPRING2O27",..
        pool.check {"invitecode":"Spring 2027"} => true
        enrollment.create {"callsign":"CAT","pool":"spring2o27"} => ..,"pool":"$A",..
        pool.create {"owner":"BOSS","invitecode":"SPRING2O27"} => conflict
        pool.create {"owner":"BOSS","invitecode":"spring 2O27"} => conflict
        pool.reset_code {"pool":"$A","invitecode":"SPRING2027"} => conflict
        # The form of a code comes before who is named.
        pool.create {"owner":"NOBODY","invitecode":"1234567"} => invalid_argument
        pool.create {"owner":"NOBODY","invitecode":"12345678"} => not_found
        $B = pool.create {"owner":"BOSS"} => {"pk"..
        pool.reset_code {"pool":"$B","invitecode":"SPRING2027"} => conflict
        pool.reset_code {"pool":"$B","invitecode":"autumn2027"} => ..,"invitecode":"AUTUMN2O27",..
        pool.reset_code {"pool":"$B"} => {"pk"..
        pool.check {"invitecode":"AUTUMN2027"} => false
        # A code of a deleted pool is free, and leads to the new pool.
        pool.delete {"pool":"SPRING2027"} => {"pk"..
        pool.get {"pool":"SPRING2027"} => deleted
        pool.check {"invitecode":"SPRING2027"} => false
        $C = pool.create {"owner":"BOSS","invitecode":"SPRING2027"} => {"pk"..
        pool.get {"pool":"SPRING2027"} => {"pk":"$C",..
        pool.get {"pool":"$A","allow_deleted":true} => {"pk":"$A",..,"invitecode":"SPRING2O27",..
        pool.reset_code {"pool":"$C"} => {"pk":"$C",..
        pool.get {"pool":"SPRING2027"} => not_found
        "#,
    );
}

#[test]
fn a_chosen_code_has_8_to_64_letters_and_digits_and_no_form_of_a_pk() {
    let registry = &mut Registry::in_memory();
    check(registry, PEOPLE);
    for (code, is_accepted) in [
        ("1234567", false),
        ("12-34 56", false),
        ("12345678", true),
        (&"A".repeat(64), true),
        (&"A".repeat(65), false),
        ("SPRING_27", false),
        ("ÄPFELBAUM", false),
        ("\u{ff33}PRING27", true),
        // In lower case this is the base64url form of a UUIDv7.
        ("AAAAAAAACAAAAAAAAAAAAG", false),
        ("AAAAAAAAAAAAAAAAAAAAAG", true),
        ("019aab01-997b-774b-bfff-ffffffffffff", false),
        ("019aab01997b774bbfffffffffffffff", true),
    ] {
        let answer = if is_accepted { "{\"pk\".." } else { "invalid_argument" };
        check(registry, &format!(r#"pool.create {{"owner":"BOSS","invitecode":"{code}"}} => {answer}"#));
    }
}

#[test]
fn only_an_admin_peer_chooses_a_code_and_with_an_actor_one_who_has_the_permission() {
    let registry = &mut Registry::in_memory();
    check(registry, PEOPLE);
    check(
        registry,
        r#"
        $P = DOG> pool.create {} => {"pk"..
        DOG> pool.create {"invitecode":"MYCODE22"} => permission_denied
        DOG> pool.reset_code {"pool":"$P","invitecode":"MYCODE22"} => permission_denied
        DOG> pool.reset_code {"pool":"$P"} => {"pk"..
        BOSS> pool.reset_code {"pool":"$P","invitecode":"MYCODE22"} => {"pk"..
        "#,
    );
    for grant in [Grant::Operate, Grant::Decide] {
        registry.peer.grant = grant;
        check(
            registry,
            r#"
            pool.create {"owner":"DOG","invitecode":"OTHER222"} => permission_denied
            BOSS> pool.create {"invitecode":"OTHER222"} => permission_denied
            pool.reset_code {"pool":"MYCODE22","invitecode":"OTHER222"} => permission_denied
            pool.reset_code {"pool":"MYCODE22","invitecode":"short"} => invalid_argument
            "#,
        );
    }
}

#[test]
fn the_length_of_a_chosen_code_counts_as_one_that_codes_have() {
    let registry = &mut Registry::in_memory();
    check(registry, PEOPLE);
    let code = "A".repeat(64);
    let chosen = pool::Create {
        owner: Some("BOSS".parse().expect("a name")),
        invitecode: Some(code.parse().expect("a code")),
        ..pool::Create::default()
    };
    registry.call(chosen).expect("made");
    let wrong = "B".repeat(64);
    for _ in 0..30 {
        check(registry, &format!(r#"pool.check {{"invitecode":"{wrong}"}} => false"#));
    }
    check(registry, &format!(r#"pool.check {{"invitecode":"{code}"}} => too_many_attempts"#));
}
