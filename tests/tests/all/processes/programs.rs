//! Bulk links from files, and a daemon that is killed in the middle of one.

use std::fs::write;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use enroll_protocol::{Envelope, Key, Operation as _, Pk, codec, person, program};
use enroll_tests::process::{Daemon, Output};
use enroll_tests::socket::Socket;

use super::{count, expect_sound};

const PROGRAM: &str = "00000000-0000-0000-0000-00000000000a";

/// A daemon with so many people, and as many keys that wait, each with a course; made through files.
fn filled(keys: usize) -> Daemon {
    let daemon = Daemon::start();
    let mut socket = Socket::connect(&daemon.home.socket());
    let create = |number: usize| {
        let create = person::Create::new(format!("P{number:05}").parse().expect("a callsign"));
        (Envelope::default(), person::Create::ROW.number, codec::encode(&create))
    };
    for some in (0..keys).map(create).collect::<Vec<_>>().chunks(100) {
        assert!(socket.call_all(some).iter().all(Result::is_ok));
    }
    assert_eq!(daemon.enrollctl(&["course", "create", "Hiking", "--mode", "masters"], "").code, Some(0));
    let rows = |rest: &str| (0..keys).map(|number| format!("k-{number:05},{rest}\n")).collect::<String>();
    let enrollments = format!("external_key,curriculum,status\n{}", rows(&format!("{PROGRAM},enrolled")));
    let enroll = ["program", "enroll", PROGRAM, "--create", "--file", "-"];
    expect_words(&daemon.enrollctl(&enroll, &enrollments), 0, &format!("{keys} rows: {keys} succeeded, 0 failed"));
    let courses = format!("external_key,status\n{}", rows("active"));
    let enroll = ["program", "enroll-course", PROGRAM, "Hiking", "--create", "--file", "-"];
    expect_words(&daemon.enrollctl(&enroll, &courses), 0, &format!("{keys} rows: {keys} succeeded, 0 failed"));
    daemon
}

fn expect_words(output: &Output, code: i32, words: &str) {
    assert_eq!(output.code, Some(code), "{output:?}");
    assert!(output.stderr.contains(words), "{output:?}");
}

fn links(keys: usize) -> String {
    let rows: String = (0..keys).map(|number| format!("k-{number:05},P{number:05}\n")).collect();
    format!("external_key,callsign\n{rows}")
}

fn linked(daemon: &Daemon) -> usize {
    let list = ["program", "enrollments", PROGRAM, "--linked", "true", "--limit", "1000", "--json"];
    daemon.enrollctl(&list, "").json()["items"].as_array().expect("items").len()
}

#[test]
fn a_file_is_linked_and_each_row_that_fails_is_told_by_its_line() {
    let daemon = filled(6);
    let link = ["program", "link", PROGRAM, "--file", "-"];
    let rows = "\u{feff}callsign,External_Key\r\nP00000,k-00000\r\nNOBODY,k-00001\r\n\"p00002\",\"K-00002\"\r\n\
                P00003,\r\nP00003,K-00000\r\nP00003,4,k-00003\r\n";
    let tried = daemon.enrollctl(&[&link[..], &["--dry-run"]].concat(), rows);
    expect_words(&tried, 1, "6 rows: 2 would succeed, 4 failed");
    assert_eq!(linked(&daemon), 0);
    let refused = daemon.enrollctl(&[&link[..], &["--all-or-nothing"]].concat(), rows);
    expect_words(&refused, 1, "nothing was written");
    assert_eq!(linked(&daemon), 0);
    let done = daemon.enrollctl(&link, rows);
    expect_words(&done, 1, "6 rows: 2 succeeded, 4 failed");
    let lines: Vec<&str> = done.stdout.lines().collect();
    let begins = ["line,", "3,k-00001,not_found,", "5,,invalid_argument,", "6,K-00000,invalid_argument,", "7,,"];
    assert_eq!(lines.len(), begins.len(), "{lines:?}");
    assert!(lines.iter().zip(begins).all(|(line, begin)| line.starts_with(begin)), "{lines:?}");
    assert_eq!(linked(&daemon), 2);
    let json = "{\"external_key\":\"k-00003\",\"person\":\"P00003\"}\n{\"external_key\":\"k-00003\"}\nno\n";
    let done = daemon.enrollctl(&[&link[..], &["--json"]].concat(), json);
    assert_eq!(done.code, Some(1), "{done:?}");
    assert_eq!(done.stdout.lines().last(), Some(r#"{"rows":3,"done":1,"moved":0,"failed":2}"#), "{done:?}");
    let moved = daemon.enrollctl(&[&link[..], &["--dry-run"]].concat(), "external_key,callsign\nk-00003,P00005\n");
    expect_words(&moved, 0, "1 rows: 1 would succeed, 1 of them by a move, 0 failed");
    assert!(moved.stdout.contains("2,k-00003,would_move,"), "{moved:?}");
    let all = daemon.enrollctl(
        &[&link[..], &["--all-or-nothing"]].concat(),
        "external_key,callsign\nk-00003,P00005\nk-00004,P00004\n",
    );
    expect_words(&all, 0, "2 rows: 2 succeeded, 0 failed");
    assert_eq!(linked(&daemon), 4);
    expect_sound(&daemon);
}

#[test]
fn a_file_that_is_none_is_refused_whole() {
    let daemon = filled(2);
    let directory = tempfile::tempdir().expect("a directory");
    let (file, failures) = (directory.path().join("links.csv"), directory.path().join("failures.csv"));
    let link = |more: &[&str]| {
        let file = file.to_str().expect("a path");
        daemon.enrollctl(&[&["program", "link", PROGRAM, "--file", file][..], more].concat(), "")
    };
    assert_eq!(link(&[]).code, Some(1), "there is no such file");
    write(&file, "external_key,name\nk-00000,P00000\n").expect("written");
    expect_words(&link(&[]), 2, "the header has no column callsign or person");
    write(&file, "external_key;callsign\nk-00000;P00000\n").expect("written");
    expect_words(&link(&[]), 2, "give --delimiter ';'");
    expect_words(&link(&["--delimiter", ";", "--dry-run"]), 0, "1 rows: 1 would succeed");
    write(&file, "external_key,callsign,callsign\n").expect("written");
    expect_words(&link(&[]), 2, "the column \"callsign\" twice");
    write(&file, "external_key,callsign\n").expect("written");
    expect_words(&link(&[]), 1, "no row was read");
    write(&file, "{\"external_key\":\"k-00000\",\"person\":\"P00000\",\"x\":1}\n").expect("written");
    assert!(link(&["--dry-run"]).stdout.contains("unknown field"));
    write(&file, b"external_key,callsign\nk-00000,P00000\nk-\xff,P00001\n").expect("written");
    expect_words(&link(&["--link", "a=b"]), 2, "either from --file or from the command line");
    let failed = failures.to_str().expect("a path");
    let done = link(&["--failures", failed]);
    expect_words(&done, 1, "2 rows: 1 succeeded, 1 failed");
    assert_eq!(done.stdout, "");
    let printed = std::fs::read_to_string(&failures).expect("failures");
    assert_eq!(printed, "line,external_key,code,message\n3,,invalid_argument,external_key is not UTF-8\n");
    assert_eq!(link(&["--failures", failed]).code, Some(2), "the file is there already");
    expect_sound(&daemon);
}

/// Rows that have to do with each other stand in other pieces of the file; a trial finds what the file would find.
#[test]
fn all_or_nothing_judges_what_lies_far_apart_in_a_file() {
    const KEYS: usize = 1_100;
    let daemon = filled(KEYS + 4);
    let link = |rows: &str, more: &[&str]| {
        let file = format!("external_key,callsign\n{rows}");
        daemon.enrollctl(&[&["program", "link", PROGRAM, "--file", "-"][..], more].concat(), &file)
    };
    let before = link("k-01101,P01101\nk-01102,P01102\n", &[]);
    expect_words(&before, 0, "2 rows: 2 succeeded");
    let far: String = (0..KEYS).map(|number| format!("k-{number:05},P{number:05}\n")).collect();
    let pk =
        daemon.enrollctl(&["person", "get", "P00000", "--json"], "").json()["pk"].as_str().expect("a pk").to_owned();
    let last = KEYS + 2;
    for (rows, refused) in [
        (format!("{far}k-01100,p00000\n"), vec![format!("{last},k-01100,conflict,")]),
        (format!("{far}k-01100,{pk}\n"), vec![format!("{last},k-01100,conflict,")]),
        (format!("{far}K-00000,P01100\n"), vec![format!("{last},K-00000,invalid_argument,")]),
        (format!("k-01100,P01101\n{far}k-01101,P01100\n"), vec!["2,k-01100,conflict,".to_owned()]),
        // Each is in the other's way.
        (
            format!("k-01101,P01102\n{far}k-01102,P01101\n"),
            vec!["2,k-01101,conflict,".to_owned(), format!("{},k-01102,conflict,", last + 1)],
        ),
    ] {
        for (how, words) in [("--dry-run", " failed"), ("--all-or-nothing", "nothing was written")] {
            let tried = link(&rows, &[how]);
            expect_words(&tried, 1, words);
            let printed = tried.stdout.lines().skip(1).filter(|line| !line.contains("would_move"));
            let printed: Vec<&str> = printed.collect();
            let fits = printed.iter().zip(&refused).all(|(row, begin)| row.starts_with(begin));
            assert!(printed.len() == refused.len() && fits, "{refused:?}: {printed:?}");
        }
        assert_eq!(linked_of(&daemon, "P00000"), 0, "{refused:?}");
    }
    // A person who moves first makes room for the next.
    let chain = format!("k-01101,P01100\n{far}k-01102,P01101\nk-01103,P01102\n");
    let done = link(&chain, &["--all-or-nothing"]);
    expect_words(&done, 0, &format!("{rows} rows: {rows} succeeded, 0 failed", rows = KEYS + 3));
    assert_eq!(linked_of(&daemon, "P01101"), 1);
    let key = ["--all-or-nothing", "--key", "019aab01-997b-774b-bfff-ffffffffffff"];
    expect_words(&link("k-00000,P00000\n", &key), 2, "--key goes on with a file that was begun");
    expect_sound(&daemon);
}

/// The number of keys that a person is linked by.
fn linked_of(daemon: &Daemon, person: &str) -> usize {
    let list = ["program", "enrollments", PROGRAM, "--person", person, "--json"];
    daemon.enrollctl(&list, "").json()["items"].as_array().expect("items").len()
}

/// A thousand keys, over and over, and rows that are none between them.
#[test]
fn a_file_of_a_million_lines_is_read_to_its_end() {
    const KEYS: usize = 1_000;
    const TIMES: usize = 1_000;
    let daemon = filled(KEYS);
    let directory = tempfile::tempdir().expect("a directory");
    let (file, failures) = (directory.path().join("links.csv"), directory.path().join("failures.csv"));
    let once: String = (1..KEYS).map(|number| format!("k-{number:05},P{number:05}\n")).collect();
    let all = format!("{once}k-00000\n").repeat(TIMES);
    write(&file, format!("external_key,callsign\n{all}")).expect("written");
    let path = |path: &std::path::Path| path.to_str().expect("a path").to_owned();
    let (file, printed) = (path(&file), path(&failures));
    let done = daemon.enrollctl(&["program", "link", PROGRAM, "--file", &file, "--failures", &printed], "");
    let failed = KEYS * TIMES - (KEYS - 1);
    expect_words(&done, 1, &format!("{} rows: {} succeeded, {failed} failed", KEYS * TIMES, KEYS - 1));
    let printed = std::fs::read_to_string(&failures).expect("failures");
    assert_eq!(printed.lines().count(), failed + 1);
    let last = KEYS * TIMES + 1;
    assert!(printed.lines().last().is_some_and(|line| line.starts_with(&format!("{last},,invalid_argument,"))));
    assert_eq!(linked(&daemon), KEYS - 1);
    expect_sound(&daemon);
}

/// The command prints its idempotency key first; with it the same command continues after an interruption.
#[test]
fn a_daemon_killed_in_the_middle_of_a_file_and_the_same_command_again_finish_it() {
    const KEYS: usize = 3_000;
    let mut daemon = filled(KEYS);
    let key = "019aab01-997b-774b-bfff-ffffffffffff";
    let file = tempfile::NamedTempFile::new().expect("a file");
    write(file.path(), links(KEYS)).expect("written");
    let path = file.path().to_str().expect("a path");
    let link = ["program", "link", PROGRAM, "--file", path, "--key", key];
    // Follows the changes until some pairs are linked, and then kills.
    let mut follow = daemon.home.enrollctl(&["changes", "follow"]).stdout(Stdio::piped()).spawn().expect("started");
    let mut changes = BufReader::new(follow.stdout.take().expect("a pipe")).lines();
    let mut first = daemon.home.enrollctl(&link).stderr(Stdio::null()).spawn().expect("started");
    let mut seen = 0;
    while seen < 300 {
        let change = changes.next().expect("a change").expect("a line");
        seen += usize::from(change.contains("\"verb\":\"link\""));
    }
    daemon.kill9();
    first.kill().and_then(|()| first.wait()).expect("ended");
    follow.kill().and_then(|()| follow.wait()).expect("ended");
    daemon.restart();
    let done = daemon.enrollctl(&link, "");
    expect_words(&done, 0, &format!("{KEYS} rows: {KEYS} succeeded, 0 failed"));
    let list = ["changes", "list", "--limit", "1", "--json"];
    assert_eq!(daemon.enrollctl(&list, "").code, Some(0));
    assert_eq!(count(&daemon, "course_enrollment"), KEYS as u64);
    let again = daemon.enrollctl(&link, "");
    expect_words(&again, 0, &format!("{KEYS} rows: {KEYS} succeeded, 0 failed"));
    expect_sound(&daemon);
}

/// Two bulk links of the same keys to other people race, over connections of their own.
#[test]
fn two_races_for_the_same_keys_leave_each_with_one_person() {
    const KEYS: usize = 1_000;
    let daemon = filled(KEYS);
    let request = |turn: usize| {
        let pair = |number: usize| format!("k-{number:05}=P{:05}", (number + turn) % KEYS).parse().expect("a pair");
        program::Link { program: PROGRAM.parse().expect("a program"), links: (0..KEYS).map(pair).collect() }
    };
    std::thread::scope(|scope| {
        for turn in [0, 1, 500] {
            let mut socket = Socket::connect(&daemon.home.socket());
            scope.spawn(move || {
                let key = Key(Pk::from_bytes([u8::try_from(turn % 251).expect("small"); 16]));
                let envelope = Envelope { key: Some(key), ..Envelope::default() };
                let link = (envelope, program::Link::ROW.number, codec::encode(&request(turn)));
                assert!(socket.call_all(&[link]).iter().all(Result::is_ok));
            });
        }
    });
    expect_sound(&daemon);
    let active = daemon.enrollctl(&["course", "delete", "Hiking"], "");
    let counted = linked_with_course(&daemon);
    assert!(active.stderr.contains(&format!("{counted} people are enrolled")), "{active:?}, {counted}");
}

/// The number of keys linked, all of them with their course.
fn linked_with_course(daemon: &Daemon) -> usize {
    let list = ["program", "enrollments", PROGRAM, "--linked", "true", "--limit", "1000", "--json"];
    let page = daemon.enrollctl(&list, "").json();
    let items = page["items"].as_array().expect("items");
    assert!(items.iter().all(|item| item["courses"][0]["enrolled"] == true));
    items.len()
}
