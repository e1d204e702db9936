//! `enrollment approve` and `reject` of several enrollments: each by itself, with a line for its result.

use enroll_tests::process::Daemon;

use super::expect_sound;
use super::script::Script;

/// A registry in which A to E wait, the last two in a pool.
fn waiting() -> Script {
    let mut script = Script::of(Daemon::start());
    script.run(
        r#"
        $ person create BOSS --role superuser --field callsign
            BOSS
        $ --as BOSS pool create --field invitecode
            <POOL>
        $ enrollment create A --field state
            pending
        $ enrollment create B --field state
            pending
        $ enrollment create C --field state
            pending
        $ enrollment create D --pool $POOL --field pk
            <D>
        $ enrollment create E --pool $POOL --field approvecode
            <CODE>
    "#,
    );
    script
}

#[test]
fn each_is_decided_by_itself_and_has_a_line() {
    let mut script = waiting();
    script.run(
        r#"
        $ --as BOSS enrollment approve A nobody B A ! 1
            A→approved
            nobody→not_found→..
            B→approved
            A→already_decided→..
        $ --as BOSS --json enrollment reject C B --reason late ! 1
            {"id":"C","ok":{..,"state":"rejected",..,"reason":"late",..}}
            {"id":"B","error":{"code":"already_decided",..}}
        $ --as BOSS enrollment reject $D E
            $D→rejected
            E→rejected
        $ enrollment list --state pending --field pk
    "#,
    );
    expect_sound(&script.daemon);
}

#[test]
fn those_of_a_pool_are_decided_together() {
    let mut script = waiting();
    script.run(
        r#"
        $ --as BOSS --dry-run enrollment approve --pool $POOL
            D→approved
            E→approved
        $ --as BOSS enrollment reject --pool - --field callsign --field state < $POOL
            D→rejected
            E→rejected
        $ --as BOSS enrollment approve --pool $POOL
        $ enrollment list --state pending --field callsign
            A
            B
            C
        $ --as BOSS enrollment approve --pool AAAAAAAA ! 1 not_found
        $ --as BOSS enrollment approve A B --field callsign
            A
            B
        $ --as BOSS enrollment approve A C --field callsign ! 1 already_decided
            C
    "#,
    );
    expect_sound(&script.daemon);
}

#[test]
fn what_is_for_one_is_refused_for_several() {
    let mut script = waiting();
    script.run(
        r#"
        $ --as BOSS enrollment approve A B --approvecode $CODE ! 2 --approvecode
        $ --as BOSS enrollment approve --pool $POOL --key 019aab01-997b-774b-bfff-ffffffffffff ! 2 --key
        $ --as BOSS enrollment approve A --pool $POOL ! 2 --pool
        $ --as BOSS enrollment approve ! 2 ENROLLMENT
        $ --as BOSS enrollment approve A B --field calsign ! 2 callsign
        $ enrollment list --state pending --field callsign
            A
            B
            C
            D
            E
        $ --as BOSS enrollment approve E --approvecode $CODE --field callsign
            E
    "#,
    );
}
