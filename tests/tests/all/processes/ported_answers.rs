//! A service that gives its own database up: what its adapter asked twice, guessed or remembered is in one answer here.

use enroll_tests::process::Daemon;

use super::expect_sound;
use super::script::Script;

#[test]
fn ported_people_come_with_their_roles_and_deleted_ones_are_answered() {
    let mut script = Script::of(Daemon::start());
    script.run(
        r#"
        $ person create DOG --role member --json
            {"pk":"<DOG>",..,"roles":["member"],..}
        $ person get DOG --json
            {"pk":"$DOG",..,"roles":["member"],..}
        $ person find {"sub":"DOG"} --json
            {"pk":"$DOG",..,"roles":["member"],..}
        $ person list --json
            {"items":[{"pk":"$DOG",..,"roles":["member"],..}],"next":null}
        $ person delete DOG --json
            {"pk":"$DOG",..,"roles":[],..}
        $ person find {"sub":"DOG"} --allow-deleted --json
            {"pk":"$DOG",..,"deleted":"20..
        $ role has DOG member --allow-deleted ! 1
            false
        $ role list DOG --allow-deleted --json
            []
        $ person list --deleted-only --json
            {"items":[{"pk":"$DOG",..}],"next":null}
        $ person restore DOG --json
            {"pk":"$DOG",..,"deleted":null}
        "#,
    );
    expect_sound(&script.daemon);
}

#[test]
fn ported_pools_tell_whether_they_can_be_used_without_a_guess() {
    let mut script = Script::of(Daemon::start());
    script.run(
        r#"
        $ person create BOSS --json
            {"pk":"<BOSS>",..}
        $ pool create --owner BOSS --max-uses 1 --json
            {"pk":"<POOL>",..,"active":true,"usable":"yes",..}
        $ person delete BOSS --json
            {"pk":"$BOSS",..}
        $ pool get $POOL --json
            {"pk":"$POOL",..,"active":true,"usable":"owner_deleted",..}
        $ person restore BOSS --json
            {"pk":"$BOSS",..}
        $ pool get $POOL --json
            {"pk":"$POOL",..,"active":false,"usable":"inactive",..}
        $ pool set_active $POOL true --json
            {"pk":"$POOL",..,"active":true,"usable":"yes","invitecode":"<INVITE>",..}
        $ enrollment create ANT --pool $INVITE --json
            {"pk":"..",..}
        $ pool get $POOL --json
            {"pk":"$POOL",..,"usable":"exhausted",..}
        "#,
    );
    expect_sound(&script.daemon);
}

#[test]
fn ported_decisions_and_uses_are_told_by_the_refusal_of_the_second() {
    let mut script = Script::of(Daemon::start());
    let csr = include_str!("../../../requests/p256.pem");
    script.daemon.enrollctl(&["enrollment", "create", "DOGGO01a", "--csr", csr], "");
    let shown = script.daemon.enrollctl(&["--json", "enrollment", "get", "DOGGO01a"], "").json();
    assert_eq!((shown["csr"].as_str(), shown["has_csr"].as_bool()), (Some(csr), Some(true)));
    script.run(
        r#"
        $ enrollment reject DOGGO01a --json
            {"pk":"<ENROLLMENT>",..,"state":"rejected",..}
        $ enrollment approve DOGGO01a --json ! 1 already_decided
            {"error":{"code":"already_decided",..,"details":{"state":"rejected","decided_on":"20..","decided_by":{"uid":..}}}}
        $ enrollment reopen DOGGO01a --json
            {"pk":"$ENROLLMENT",..,"state":"pending",..}
        $ enrollment approve DOGGO01a --json
            {"pk":"<PERSON>",..,"certificate":true,..}
        $ enrollment reset_code DOGGO01a --json
            {"pk":"$ENROLLMENT",..,"approvecode":"<WHO>",..}
        $ enrollment find $WHO --json
            {"pk":"$ENROLLMENT",..,"person":"$PERSON",..}
        $ code create {"sub":"DOGGO01a","n":1.50} --json
            {"code":"<CODE>",..}
        $ code use --json < $CODE
            {"jwt":"..","expires":"..","claims":{"sub":"DOGGO01a","n":1.50}}
        $ code use --json < $CODE ! 1 token_reuse
            {"error":{"code":"token_reuse",..,"details":{"state":"used","used_on":"20..","used_by":{"uid":..}}}}
        "#,
    );
    expect_sound(&script.daemon);
}

#[test]
fn ported_second_chances_are_one_call_each_and_in_the_feed() {
    let mut script = Script::of(Daemon::start());
    script.run(
        r#"
        $ person create BOSS --json
            {"pk":"<BOSS>",..}
        $ pool create --owner BOSS --json
            {"pk":"<POOL>",..}
        $ pool delete $POOL --json
            {"pk":"$POOL",..}
        $ pool list --deleted-only --json
            {"items":[{"pk":"$POOL",..}],"next":null}
        $ person delete BOSS --json
            {"pk":"$BOSS",..}
        $ person restore BOSS --json
            {"pk":"$BOSS",..,"deleted":null}
        $ enrollment create ANT --json
            {"pk":"..",..,"approvecode":"<FIRST>",..}
        $ enrollment reject ANT --json
            {"pk":"<ANT>",..,"state":"rejected",..}
        $ enrollment reopen ANT --json
            {"pk":"$ANT",..,"state":"pending","approvecode":"<SECOND>",..}
        $ enrollment find $FIRST ! 1 not_found
        $ enrollment find $SECOND --json
            {"pk":"$ANT",..}
        $ changes list --json
            {"items":[..,"area":"person","verb":"restore","subjects":["$BOSS"],..,"area":"enrollment","verb":"reopen","subjects":["$ANT"],..}],"next":null}
        "#,
    );
    expect_sound(&script.daemon);
}
