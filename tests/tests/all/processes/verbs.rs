//! Every verb through the real command line, in the form for pipes and as JSON, and what holds for all of them.
//!
//! The scripts go through every line of the table of operations, and the test fails when a new line has no script.
//! The rules' tests cover the effect of a verb; these tests cover its arguments, its input and its output.

use std::process::Stdio;

use enroll_protocol::operations::TABLE;
use enroll_tests::process::{Daemon, Home, run, run_into};

use super::script::Script;
use super::{count, expect_sound};

const PEOPLE: &str = include_str!("scripts/people.txt");
const PERMISSIONS: &str = include_str!("scripts/permissions.txt");
const ENROLLMENTS: &str = include_str!("scripts/enrollments.txt");
const EVENTS: &str = include_str!("scripts/events.txt");
const SECRETS: &str = include_str!("scripts/secrets.txt");
const CERTIFICATES: &str = include_str!("scripts/certificates.txt");
const PROGRAMS: &str = include_str!("scripts/programs.txt");
const DAEMON: &str = include_str!("scripts/daemon.txt");

/// A daemon that every script has been through.
pub(super) fn everything() -> Script {
    everything_in(Home::make())
}

/// The same in a directory of one's own.
pub(super) fn everything_in(home: Home) -> Script {
    home.configure("reserved_callsigns = [\"portal\"]");
    let mut script = Script::of(home.start());
    script.run(PEOPLE);
    script.run(SECRETS);
    script.run(DAEMON);
    script.run(PERMISSIONS);
    script.run(ENROLLMENTS);
    script.run(EVENTS);
    script.run(CERTIFICATES);
    script.run(PROGRAMS);
    script
}

#[test]
fn every_verb_does_in_a_pipe_and_as_json_what_it_says() {
    let script = everything();
    for row in TABLE {
        for json in [false, true] {
            assert!(script.seen.contains(&(row.name.to_owned(), json)), "{} is in no script (json: {json})", row.name);
        }
    }
    expect_sound(&script.daemon);
}

/// The administrator's first minutes: nobody is there who could give anybody a role.
#[test]
fn the_first_admin_comes_from_the_daemons_own_user() {
    let mut script = Script::of(Daemon::start());
    script.run(
        r#"
        $ person list
        $ --as BOSS person list ! 1 not_found
        $ person create BOSS --role superuser
            pk→<BOSS>
            callsign→BOSS
            extra→{}
            roles→["superuser"]
            supervisor→
            certificate→false
            revocation→
            created→..
            updated→..
            deleted→
        $ --as BOSS --json person create DOG
            {"pk":"<DOG>",..}
        $ --as DOG --json person create CAT ! 1 permission_denied
            {"error":{"code":"permission_denied",..}}
        $ --as DOG role assign DOG superuser ! 1 permission_denied
        $ --as boss role assign DOG admin
            true
        $ --as DOG --json person create CAT
            {"pk":"<CAT>",..}
        $ --as DOG role assign DOG superuser ! 1 permission_denied
        $ --as $BOSS role list DOG
            admin
        $ changes list --json --since 1 --limit 1
            {"items":[{"seq":2,..,"subjects":["$DOG"],"actor":"$BOSS",..}],"next":..
    "#,
    );
    expect_sound(&script.daemon);
}

#[test]
fn a_key_makes_a_repeated_command_harmless() {
    let daemon = Daemon::start();
    let key = "019aab01-997b-774b-bfff-ffffffffffff";
    let spend = |key: &str| daemon.enrollctl(&["token", "use", "--json", "--key", key], "nonce");
    let first = spend(key);
    assert_eq!(first.code, Some(0), "{first:?}");
    assert_eq!(spend(key), first);
    assert!(spend("019aab01-997b-774b-bfff-fffffffffffe").stderr.contains("token_reuse"));
    let other = daemon.enrollctl(&["token", "use", "--key", key], "another nonce");
    assert!(other.stderr.contains("key_reused"), "{other:?}");
    let no_key = daemon.enrollctl(&["token", "use", "--key", "x"], "nonce");
    assert_eq!(no_key.code, Some(2), "{no_key:?}");
    assert_eq!(count(&daemon, "token"), 1);
}

/// Gives this secret on the command line of every verb that takes one.
fn expect_not_repeated(daemon: &Daemon, secret: &str) {
    let verbs = [
        "token use",
        "token get",
        "token delete",
        "code use",
        "code get",
        "code delete",
        "jwt verify",
        "jwt exchange",
        "jwt refresh",
        "certificate pfx DOGGO01a",
    ];
    let mut repeated = Vec::new();
    for verb in verbs {
        for json in [&["--json"][..], &[]] {
            let args: Vec<&str> = json.iter().copied().chain(verb.split(' ')).chain([secret]).collect();
            let output = daemon.enrollctl(&args, "");
            assert_eq!(output.code, Some(2), "{verb}: {}", output.stderr);
            if (output.stdout + &output.stderr).contains(&secret[..12]) {
                repeated.push(verb);
            }
        }
    }
    assert_eq!(repeated, Vec::<&str>::new());
}

#[test]
fn a_secret_on_the_command_line_is_refused_and_not_repeated() {
    let daemon = Daemon::start();
    expect_not_repeated(&daemon, "CANARYCANARY");
    assert_eq!(count(&daemon, "token"), 0);
}

#[test]
fn a_secret_that_is_too_long_is_not_repeated_either() {
    expect_not_repeated(&Daemon::start(), &"CANARYCANARY".repeat(5000));
}

#[test]
fn who_reads_no_further_is_told_of_by_the_exit_code() {
    let daemon = Daemon::start();
    assert_eq!(daemon.enrollctl(&["person", "create", "BOSS"], "").code, Some(0));
    let calls = "{\"op\":\"person.list\"}\n".repeat(1000);
    let cases: [(&[&str], &str); 7] = [
        (&["person", "list"], ""),
        (&["person", "list", "--json"], ""),
        (&["server", "status"], ""),
        (&["call"], &calls),
        (&["completions", "bash"], ""),
        (&["--help"], ""),
        (&["person", "create", "--help"], ""),
    ];
    for (args, stdin) in cases {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = run_into(&mut daemon.home.enrollctl(args), stdin, Stdio::from(writer));
        assert_eq!(output.code, Some(4), "{args:?}: {output:?}");
        assert!(output.stderr.contains("could not be written"), "{args:?}: {output:?}");
    }
}

#[test]
fn a_pipe_gets_no_colours_whatever_the_environment_says() {
    let daemon = Daemon::start();
    assert_eq!(daemon.enrollctl(&["person", "create", "BOSS"], "").code, Some(0));
    let variables = [("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1"), ("FORCE_COLOR", "1"), ("TERM", "xterm-256color")];
    for args in
        [&["person", "get", "BOSS"][..], &["person", "list"], &["person", "get", "x"], &["role", "list", "BOSS"]]
    {
        let plain = run(&mut daemon.home.enrollctl(args), "");
        assert!(!(plain.stdout.clone() + &plain.stderr).contains('\u{1b}'), "{args:?}: {plain:?}");
        for (name, value) in variables {
            assert_eq!(run(daemon.home.enrollctl(args).env(name, value), ""), plain, "{args:?} with {name}");
        }
    }
}
