//! Exit codes of answers: no is 1, and what is done whose answer can not be written is 4, wherever it goes.

use std::fs::File;
use std::io::Write as _;
use std::process::{Command, Stdio};

use enroll_tests::process::{Daemon, Home, run, run_into};

/// Standard output on a disk that is full.
fn full() -> Stdio {
    File::options().write(true).open("/dev/full").expect("a device").into()
}

/// Standard output that nobody reads.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    writer.into()
}

#[test]
fn an_answer_that_can_not_be_written_is_told_and_what_was_asked_for_is_done() {
    let daemon = Daemon::start();
    assert_eq!(daemon.enrollctl(&["person", "create", "DOG"], "").code, Some(0));
    let rows = "external_key,callsign\nk,DOG\n";
    let link = ["program", "link", "00000000-0000-0000-0000-00000000000a", "--file", "-"];
    for (args, stdin) in [
        (&["person", "get", "DOG"][..], ""),
        (&["person", "get", "DOG", "--json"], ""),
        (&["server", "status"], ""),
        (&["certificate", "ca"], ""),
        (&["certificate", "crl"], ""),
        (&["server", "backup", "-"], ""),
        (&["server", "export"], ""),
        (&["changes", "follow", "--since", "0"], ""),
        (&["call"], "{\"op\":\"server.status\"}\n"),
        (&["completions", "bash"], ""),
        (&["--help"], ""),
        (&link, rows),
    ] {
        for stdout in [full(), closed()] {
            let lost = run_into(&mut daemon.home.enrollctl(args), stdin, stdout);
            assert_eq!(lost.code, Some(4), "{args:?} {lost:?}");
            assert!(!lost.stderr.is_empty(), "{args:?} {lost:?}");
        }
    }
    let lost = run_into(&mut daemon.home.enrollctl(&["token", "use"]), "spent", full());
    assert_eq!(lost.code, Some(4), "{lost:?}");
    assert!(lost.stderr.contains("what was asked for is done"), "{lost:?}");
    assert_eq!(
        daemon.enrollctl(&["token", "use"], "\u{feff}spent\n").code,
        Some(1),
        "with a mark it is the same token"
    );
}

#[test]
fn a_socket_that_can_not_be_is_refused_by_both_programs_alike() {
    let home = Home::make();
    let path = home.path(&"x".repeat(120));
    let daemon = run(&mut home.enrolld_at(&home.path("state"), &path), "");
    let client =
        run(Command::new(enroll_tests::process::binary("enrollctl")).arg("--socket").arg(&path).arg("call"), "");
    assert_eq!((daemon.code, client.code), (Some(1), Some(2)), "{daemon:?} {client:?}");
    let said = |stderr: &str| stderr.split_once(": ").map(|(_, said)| said.trim().to_owned());
    assert_eq!(said(&daemon.stderr), said(&client.stderr));
}

#[test]
fn a_client_is_told_that_the_daemon_is_full() {
    let home = Home::make();
    home.configure("[server]\nconnections_per_uid = 1\nadmin_connections = 0");
    let daemon = home.start();
    let mut keeps =
        daemon.home.enrollctl(&["call"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("call");
    let mut stdin = keeps.stdin.take().expect("a pipe");
    stdin.write_all(b"{\"op\":\"server.status\"}\n").expect("written");
    let mut first = [0];
    let mut stdout = keeps.stdout.take().expect("a pipe");
    std::io::Read::read_exact(&mut stdout, &mut first).expect("an answer");
    let turned_away = daemon.enrollctl(&["server", "status"], "");
    drop(stdin);
    assert!(keeps.wait().expect("an end").success());
    assert_eq!(turned_away.code, Some(3), "{turned_away:?}");
    assert!(turned_away.stderr.contains("has no room for this connection"), "{turned_away:?}");
    assert!(
        turned_away.stderr.contains("500 ms") && !turned_away.stderr.contains("start the daemon"),
        "{turned_away:?}"
    );
}

/// A program may write all its lines before it reads an answer.
#[test]
fn many_lines_are_read_before_an_answer_is() {
    const LINES: usize = 20_000;
    let daemon = Daemon::start();
    let mut call = daemon.home.enrollctl(&["call"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("call");
    let mut stdin = call.stdin.take().expect("a pipe");
    stdin.write_all("{\"op\":\"server.status\"}\n".repeat(LINES).as_bytes()).expect("written");
    drop(stdin);
    let output = call.wait_with_output().expect("answers");
    assert!(output.status.success());
    assert_eq!(output.stdout.iter().filter(|byte| **byte == b'\n').count(), LINES);
}

/// Any password and any name: a library that writes such a file may know no surrogate pairs.
#[test]
fn a_pkcs12_file_takes_any_password_and_any_name() {
    let daemon = Daemon::start();
    assert_eq!(daemon.enrollctl(&["person", "create", "🐶", "--certificate", "generate"], "").code, Some(0));
    for (password, legacy) in [("é🐶", false), ("é🐶", true), ("é\0", false), ("é", true)] {
        let args = ["certificate", "pfx", "🐶", "--legacy"];
        let made = daemon.enrollctl(&args[..if legacy { 4 } else { 3 }], password);
        assert!(made.code == Some(0) && made.stdout.starts_with("MII"), "{password:?} {made:?}");
    }
}
