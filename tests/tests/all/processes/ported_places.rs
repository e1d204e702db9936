//! A service that gives its own database up: who decides on the places of an event does it in one call here. Its adapter
//! granted a role, raised a capacity and reopened the deadline, and took everything back afterwards.

use enroll_tests::process::Daemon;

use super::expect_sound;
use super::script::Script;

#[test]
fn ported_places_by_hand_need_no_role_no_capacity_and_no_open_deadline() {
    let mut script = Script::of(Daemon::start());
    script.run(
        r#"
        $ person create BOSS --json
            {"pk":"<BOSS>",..}
        $ person create DOG --role member --json
            {"pk":"<DOG>",..}
        $ person create CAT --role member --json
            {"pk":"<CAT>",..}
        $ person create FOX --json
            {"pk":"<FOX>",..}
        $ person create ELK --json
            {"pk":"<ELK>",..}
        $ --json event create Camp --kind camp --owner BOSS --start 2999-07-01T10:00:00Z --duration-minutes 120 --published true --pool {"name":"members","capacity":1,"roles":["member"]}
            {"pk":"<EVENT>",..}
        $ registration create $EVENT DOG --json
            {"pk":"..",..,"waiting":false,..}
        $ registration create $EVENT CAT --json
            {"pk":"..",..,"waiting_position":1,..}
        $ event update $EVENT --registration-closes 2020-01-01T00:00:00Z --unregistration-closes 2020-01-01T00:00:00Z --json
            {"pk":"$EVENT",..}
        $ registration create $EVENT FOX ! 1 registration_closed
        $ --as BOSS registration place $EVENT FOX --pool members --reason speaks --json
            {"pk":"..",..,"waiting":false,..,"placed":{"by":{"person":"$BOSS"},..,"reason":"speaks"},..}
        $ --as BOSS registration place $EVENT ELK --position 1 --reason helps --json
            {"pk":"..",..,"waiting_position":1,..,"placed":{"by":{"person":"$BOSS"},..,"reason":"helps"},..}
        $ role list FOX --json
            []
        $ event get $EVENT --json
            {"pk":"$EVENT",..,"registration_closes":"2020-01-01T00:00:00.000000Z",..,"places_taken":2,"waiting_count":2,"pools":[{..,"capacity":1,..}],..}
        "#,
    );
    expect_sound(&script.daemon);
}

#[test]
fn ported_waiting_lists_are_left_after_the_deadline_without_reopening_it() {
    let mut script = Script::of(Daemon::start());
    script.run(
        r#"
        $ person create BOSS --json
            {"pk":"<BOSS>",..}
        $ person create DOG --json
            {"pk":"<DOG>",..}
        $ person create CAT --json
            {"pk":"<CAT>",..}
        $ --json event create Camp --kind camp --owner BOSS --start 2999-07-01T10:00:00Z --duration-minutes 120 --published true --max-participants 1
            {"pk":"<EVENT>",..}
        $ registration create $EVENT DOG --json
            {"pk":"..",..,"waiting":false,..}
        $ registration create $EVENT CAT --json
            {"pk":"..",..,"waiting_position":1,..}
        $ event update $EVENT --unregistration-closes 2020-01-01T00:00:00Z --json
            {"pk":"$EVENT",..}
        $ registration cancel $EVENT DOG ! 1 registration_closed
        $ registration cancel $EVENT CAT --json
            {"pk":"..",..,"waiting":false,..,"canceled":true,..}
        "#,
    );
    expect_sound(&script.daemon);
}
