//! The tour: its output is as printed here, and it cleans up all files and processes, also if it is interrupted or can
//! not begin.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Stdio};

use enroll_tests::cleanup::expect_nothing_left;
use enroll_tests::pattern::matches;
use enroll_tests::process::{Home, binary, run};
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Lines of the transcript, in this order, with others between them; `..` stands for anything.
const STORY: &str = r#"
$ enrolld --config /dev/null --state-dir ..state --socket ..enrolld.sock &
$ export ENROLLD_SOCKET=..enrolld.sock
$ enrollctl person create BOSS --role superuser
callsign→BOSS
$ enrollctl --as BOSS pool create --max-uses 10 --extra '{"team":"red"}'
max_uses→10
uses→0
$ POOL=$(enrollctl pool list --field invitecode)
$ enrollctl enrollment create DOGGO01a --pool $POOL --origin 203.0.113.9
state→pending
extra→{"team":"red"}
$ enrollctl enrollment create PORA22b --pool $POOL --origin 203.0.113.22
state→pending
$ enrollctl enrollment create MALLORY --pool AAAAAAAA --origin 203.0.113.66
enrollctl: ..(not_found)
$ enrollctl enrollment create doggo01A --pool $POOL
enrollctl: ..(callsign_reserved)
$ enrollctl enrollment list --state pending
..→DOGGO01a→pending→..
..→PORA22b→pending→..
$ enrollctl --as BOSS enrollment approve DOGGO01a
callsign→DOGGO01a
extra→{"team":"red"}
$ enrollctl --as BOSS enrollment reject PORA22b --reason 'not one of us'
state→rejected
reason→not one of us
$ enrollctl --as BOSS enrollment approve PORA22b
enrollctl: ..(already_decided)
$ enrollctl pool show $POOL
uses→2
approved→DOGGO01a
rejected→PORA22b
$ CODE=$(enrollctl code create '{"sub":"DOGGO01a"}' --field code)
$ printf %s "$CODE" | enrollctl code use
jwt→..
$ printf %s "$CODE" | enrollctl code use
enrollctl: ..(token_reuse)
$ printf %s nonce-4711 | enrollctl token use --origin 203.0.113.9
token→nonce-4711
$ printf %s nonce-4711 | enrollctl token use --origin 203.0.113.66
enrollctl: ..(token_reuse)
$ enrollctl --as BOSS role assign DOGGO01a member
true
$ enrollctl person create CAT03c --role member
$ EVENT=$(enrollctl --as BOSS event create 'Night hike' --kind hike --start 2999-07-01T20:00:00Z --duration-minutes 180 --field pk)
$ enrollctl --as BOSS event add_pool $EVENT members --capacity 1 --role member
$ enrollctl --as BOSS event publish $EVENT
update_state→published
$ enrollctl --as DOGGO01a registration create $EVENT DOGGO01a
waiting→false
$ enrollctl --as CAT03c registration explain $EVENT CAT03c
outcome→wait
waiting_position→1
pool→members, 1 of 1 taken: its one place is taken
$ enrollctl --as CAT03c registration create $EVENT CAT03c
waiting→true
$ enrollctl event show $EVENT
pool→members: 1 of 1, for member; 1 waits
waiting→CAT03c
$ enrollctl --as DOGGO01a registration cancel $EVENT DOGGO01a
canceled→true
$ enrollctl registration list --event $EVENT
$ enrollctl person create RIG04d --certificate generate
certificate→true
$ enrollctl certificate show RIG04d
subject→CN=RIG04d
state→valid
$ CERTIFICATE=$(enrollctl certificate get RIG04d)
$ CA=$(enrollctl certificate ca)
$ enrollctl --as BOSS person revoke RIG04d key_compromise
$ enrollctl certificate show RIG04d
state→revoked
revocation→{"reason":"key_compromise",..}
$ CRL=$(enrollctl certificate crl)
$ enrollctl changes list
1→..→person→create→..
..→enrollment→create→..203.0.113.66→→not_found
..→enrollment→approve→..
..→enrollment→reject→..
..→code→use→..token_reuse
..→token→use→..203.0.113.66→→token_reuse
20→..→registration→cancel→..
21→..→registration→seated→..→20→
$ enrollctl server check
$ kill %1
"#;

/// The tour, with temporary files in a directory of its own.
fn tour(home: &Home) -> Command {
    std::fs::create_dir(home.path("tmp")).expect("a directory");
    let mut command = home.command(&binary("enrollctl"));
    command.arg("tour").env("TMPDIR", home.path("tmp"));
    command
}

#[test]
fn the_tour_tells_its_story_and_leaves_nothing() {
    let home = Home::make();
    let output = run(&mut tour(&home), "");
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""), "{}", output.stdout);
    let mut printed = output.stdout.lines().map(|line| line.replace('\t', "→"));
    for expected in STORY.lines().filter(|line| !line.is_empty()) {
        let has_words = printed.any(|line| matches(&line, expected));
        assert!(has_words, "this is missing, or not in its place: {expected}\n{}", output.stdout);
    }
    // OpenSSL has its say where it is installed.
    let is_command = |line: &&str| line.starts_with("$ ") && !line.starts_with("$ openssl");
    let commands = |text: &str| text.lines().filter(is_command).count();
    assert_eq!(commands(&output.stdout), commands(STORY), "{}", output.stdout);
    expect_nothing_left(&home.path("tmp"));
}

/// Its output goes into a pipe that holds less than the story, so it can not be over before the signal comes.
#[test]
fn an_interrupted_tour_leaves_nothing() {
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143), (Signal::SIGHUP, 129)] {
        let home = Home::make();
        let (reader, writer) = std::io::pipe().expect("a pipe");
        fcntl(&writer, FcntlArg::F_SETPIPE_SZ(4096)).expect("a small pipe");
        let mut child = tour(&home).stdin(Stdio::null()).stdout(OwnedFd::from(writer)).spawn().expect("started");
        let mut lines = BufReader::with_capacity(1, reader);
        let mut line = String::new();
        while !line.contains("person create") {
            line.clear();
            assert_ne!(lines.read_line(&mut line).expect("a line"), 0, "the tour ended");
        }
        kill(Pid::from_raw(i32::try_from(child.id()).expect("a pid")), signal).expect("a signal");
        let mut rest = String::new();
        lines.read_to_string(&mut rest).expect("the rest");
        assert_eq!(child.wait().expect("ended").code(), Some(code), "{rest}");
        assert!(!rest.contains("kill %1"), "it was over: {rest}");
        expect_nothing_left(&home.path("tmp"));
    }
}

#[test]
fn a_tour_nobody_watches_leaves_nothing() {
    let home = Home::make();
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let status = tour(&home).stdin(Stdio::null()).stdout(OwnedFd::from(writer)).status().expect("run");
    assert_eq!(status.code(), Some(4));
    expect_nothing_left(&home.path("tmp"));
}

/// The binaries are links in a directory beside the real ones, where no enrolld is.
#[test]
fn a_tour_without_a_daemon_says_what_it_needs() {
    let home = Home::make();
    let usual = tour(&home);
    let real = Path::new(usual.get_program());
    let alone = tempfile::tempdir_in(real.parent().expect("a directory")).expect("a directory");
    let enrollctl = alone.path().join("enrollctl");
    std::fs::hard_link(real, &enrollctl).expect("a link");
    let mut lonely = home.command(&enrollctl);
    lonely.arg("tour").env("TMPDIR", home.path("tmp")).env("PATH", "");
    let output = run(&mut lonely, "");
    assert_eq!((output.code, output.stdout.as_str()), (Some(1), ""), "{output:?}");
    assert!(output.stderr.contains("needs enrolld") && output.stderr.lines().count() == 1, "{output:?}");
    expect_nothing_left(&home.path("tmp"));

    // One that is none ends at once.
    std::fs::hard_link(real, alone.path().join("enrolld")).expect("a link");
    let output = run(&mut lonely, "");
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.stderr.contains("the tour's daemon does not start"), "{output:?}");
    expect_nothing_left(&home.path("tmp"));
}
