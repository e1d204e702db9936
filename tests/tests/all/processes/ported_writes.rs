//! A service that gives its own database up: changes of several records need no transaction of its own, and small changes
//! no read before them.

use enroll_tests::process::Daemon;

use super::expect_sound;
use super::script::Script;

#[test]
fn ported_transactions_are_one_call() {
    let mut script = Script::of(Daemon::start());
    script.run(
        r#"
        $ person create DOG --json
            {"pk":"<DOG>",..}
        $ person create CAT --role captain --json
            {"pk":"<CAT>",..}
        "#,
    );
    // An office is handed over: nobody sees two captains, or none.
    script.run(
        r#"
        $ transaction run {"op":"role.remove","args":{"person":"CAT","role":"captain"}} {"op":"role.assign","args":{"person":"DOG","role":"captain"}} --json
            [true,true]
        $ role has DOG captain
            true
        $ role has CAT captain ! 1
            false
        "#,
    );
    // The second unit is refused: the first one is not done, and the refusal tells which it was.
    script.run(
        r#"
        $ transaction run {"op":"role.remove","args":{"person":"DOG","role":"captain"}} {"op":"role.assign","args":{"person":"NOBODY","role":"captain"}} --json ! 1 not_found
            {"error":{"code":"not_found",..,"details":{"unit":1}}}
        $ role has DOG captain
            true
        "#,
    );
    // Sent again under its key, it is answered as before and done once.
    script.run(
        r#"
        $ transaction run {"op":"token.use","args":{"token":"a"}} {"op":"person.create","args":{"callsign":"ANT"}} --key 00000000-0000-0000-0000-000000000001 --json
            [{"token":..},{"pk":"<ANT>",..}]
        $ transaction run {"op":"token.use","args":{"token":"a"}} {"op":"person.create","args":{"callsign":"ANT"}} --key 00000000-0000-0000-0000-000000000001 --json
            [{"token":..},{"pk":"$ANT",..}]
        "#,
    );
    expect_sound(&script.daemon);
}

#[test]
fn ported_extras_are_changed_in_one_call_without_a_read() {
    let mut script = Script::of(Daemon::start());
    script.run(
        r#"
        $ person create DOG --extra {"team":"red","seen":{"a":1}} --json
            {"pk":"<DOG>",..}
        $ person update DOG --patch {"team":"blue","seen":{"b":2}} --json
            {"pk":"$DOG",..,"extra":{"seen":{"a":1,"b":2},"team":"blue"},..}
        $ person update DOG --patch {"team":null} --json
            {"pk":"$DOG",..,"extra":{"seen":{"a":1,"b":2}},..}
        "#,
    );
    expect_sound(&script.daemon);
}
