//! `--field`: bare values of records, lists, combined replies and streams, and the names that an answer does not have.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use enroll_protocol::operations::TABLE;
use enroll_tests::process::{Daemon, run};

use super::script::Script;

#[test]
fn a_script_gets_bare_values() {
    let mut script = Script::of(Daemon::start());
    script.run(
        r#"
        $ person create BOSS --role superuser --role member --field pk
            <BOSS>
        $ person get BOSS --field callsign
            BOSS
        $ person get BOSS --field pk --field roles --field extra
            $BOSS
            ["member","superuser"]
            {}
        $ person get BOSS --field roles
            member
            superuser
        $ person create DOG --extra {"team":"red","n":1.50} --field extra.team
            red
        $ person get DOG --field extra.n
            1.50
        $ person list --field callsign
            BOSS
            DOG
        $ person list --field callsign --field extra.team
            BOSS→
            DOG→red
        $ person list --field next --limit 1
            ..
        $ person list --role nobody --field pk
        $ --as BOSS pool create --max-uses 3 --field invitecode
            <CODE>
        $ pool show $CODE --field pool.max_uses --field enrollments.pending
            3
            []
        $ server status --field version
            ..
        $ jwt keys --field keys.kty
            ..
        $ changes list --field verb --limit 2 ! 0 more: --after
            create
            create
    "#,
    );
}

#[test]
fn what_is_null_or_not_there_is_an_empty_line() {
    let daemon = Daemon::start();
    assert_eq!(daemon.enrollctl(&["person", "create", "DOG"], "").code, Some(0));
    for (fields, expected) in [
        (&["--field", "deleted"][..], "\n"),
        (&["--field", "extra.colour"], "\n"),
        (&["--field", "revocation.reason", "--field", "callsign", "--field", "supervisor"], "\nDOG\n\n"),
    ] {
        let args = [&["person", "get", "DOG"][..], fields].concat();
        let output = daemon.enrollctl(&args, "");
        assert_eq!((output.code, output.stdout.as_str()), (Some(0), expected), "{args:?}: {output:?}");
    }
}

#[test]
fn a_text_of_many_lines_is_printed_as_it_is_where_it_is_alone() {
    let daemon = Daemon::start();
    let create = ["person", "create", "DOG", "--extra", r#"{"verse":"one\ntwo\tthree"}"#];
    assert_eq!(daemon.enrollctl(&create, "").code, Some(0));
    let alone = daemon.enrollctl(&["person", "get", "DOG", "--field", "extra.verse"], "");
    assert_eq!(alone.stdout, "one\ntwo\tthree\n");
    let beside = daemon.enrollctl(&["person", "get", "DOG", "--field", "extra.verse", "--field", "callsign"], "");
    assert_eq!(beside.stdout, "one\\ntwo\\tthree\nDOG\n");
    let listed = daemon.enrollctl(&["person", "list", "--field", "extra.verse"], "");
    assert_eq!(listed.stdout, "one\\ntwo\\tthree\n");
}

#[test]
fn a_name_that_the_answer_has_not_is_refused_before_anything_is_done() {
    let daemon = Daemon::start();
    for (args, words) in [
        (&["person", "create", "DOG", "--field", "calsign"][..], "the nearest is callsign"),
        (&["role", "assign", "DOG", "member", "--field", "x"], "a value without fields"),
        (&["pool", "list", "--field", "invitecodes"], "the nearest is invitecode"),
        (&["event", "list", "--field", "pools.nam"], "the nearest is name"),
        (&["certificate", "crl", "--field", "x"], "a value without fields"),
        (&["server", "status", "--field", "zzzz"], "it has"),
        (&["person", "list", "--field", "."], "--field"),
        (&["server", "backup", "a.backup", "--field", "entry"], "the nearest is entries"),
        (&["server", "export", "--field", "file"], "standard output has no --field"),
        (&["certificate", "install", "DOG", "--dir", "tls", "--field", "x"], "certificate install has no --field"),
        (&["call", "--field", "pk"], "call has no --field"),
        (&["wait", "--field", "pk"], "wait has no --field"),
        (&["completions", "bash", "--field", "pk"], "completions has no --field"),
    ] {
        let refused = daemon.enrollctl(args, "");
        assert_eq!((refused.code, refused.stdout.as_str()), (Some(2), ""), "{args:?}: {refused:?}");
        assert!(refused.stderr.contains(words), "{args:?}: {refused:?}");
    }
    for args in [["person", "list", "--json", "--field", "pk"], ["--json", "person", "list", "--field", "pk"]] {
        let refused = daemon.enrollctl(&args, "");
        assert_eq!(refused.code, Some(2), "{args:?}: {refused:?}");
        assert!(refused.stderr.contains("give one of them"), "{args:?}: {refused:?}");
    }
    assert_eq!(daemon.enrollctl(&["changes", "list"], "").stdout, "", "nothing was written");
    assert!(!daemon.home.path("a.backup").exists());
    let backup = daemon.enrollctl(&["server", "backup", "a.backup", "--field", "file"], "");
    assert_eq!((backup.code, backup.stdout.as_str()), (Some(0), "a.backup\n"), "{backup:?}");
}

/// A combined reply tells by itself what it has.
#[test]
fn a_combined_reply_refuses_what_it_has_not() {
    let daemon = Daemon::start();
    assert_eq!(daemon.enrollctl(&["person", "create", "BOSS", "--role", "superuser"], "").code, Some(0));
    let code = daemon.enrollctl(&["--as", "BOSS", "pool", "create", "--field", "invitecode"], "");
    let code = code.stdout.trim_end();
    let refused = daemon.enrollctl(&["pool", "show", code, "--field", "pool.own"], "");
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(2), ""), "{refused:?}");
    assert!(refused.stderr.contains("the nearest is owner"), "{refused:?}");
}

#[test]
fn each_item_of_a_stream_is_a_line() {
    let daemon = Daemon::start();
    assert_eq!(daemon.enrollctl(&["person", "create", "BOSS"], "").code, Some(0));
    let follow = ["changes", "follow", "--since", "0", "--field", "seq", "--field", "area", "--field", "verb"];
    let mut command = daemon.home.enrollctl(&follow);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("started");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
    child.kill().expect("killed");
    child.wait().expect("ended");
    assert_eq!(line, "1\tperson\tcreate\n");
}

#[test]
fn every_verb_takes_a_field() {
    let daemon = Daemon::start();
    for row in TABLE {
        let help = run(&mut daemon.home.enrollctl(&[row.area(), row.verb(), "--help"]), "");
        assert!(help.stdout.contains("--field <NAME>"), "{}: {}", row.name, help.stdout);
    }
}
