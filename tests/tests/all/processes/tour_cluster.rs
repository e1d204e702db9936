//! The tour of a cluster: it proves what it says, and leaves no file and no process, also where it is interrupted or can
//! not begin.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use enroll_tests::cleanup::{expect_nothing_left, processes_naming};
use enroll_tests::pattern::matches;
use enroll_tests::poll::until;
use enroll_tests::process::{Home, binary, run};
use enroll_tests::skip::is_installed;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Lines of the transcript, in this order, with others between them; `..` stands for anything.
const STORY: &str = r#"
$ etcd --name a ..
$ enrolld --config ..a/enrolld.toml --state-dir ..a/state --socket ..a/enrolld.sock &
$ cp ..a/state/enrolld.key ..b/state/enrolld.key
$ enrolld ..b/enrolld.sock &
$ enrolld ..c/enrolld.sock &
$ ENROLLD_SOCKET=..a/enrolld.sock enrollctl cluster status
leader→..
# The daemon of .., which leads, is killed under them.
$ kill -s KILL ..
# .. leads now. .. uses were acknowledged in .. s; the longest wait was .. s, for a lease of 3 s to run out.
# Was anything lost? ..
# Can anything be used twice? ..
.. of .. are refused as token_reuse
$ ..enrollctl server check
$ ..enrollctl server check
# .. is started again, and follows: ..
$ enrolld ..
$ ..enrollctl changes head
mac→..
$ ..enrollctl changes head
$ ..enrollctl changes head
# All three have the same history, to the last change. ..
"#;

/// The tour, with temporary files in a directory of its own.
fn tour(home: &Home) -> Command {
    std::fs::create_dir(home.path("tmp")).expect("a directory");
    let mut command = home.command(&binary("enrollctl"));
    command.args(["tour", "--cluster"]).env("TMPDIR", home.path("tmp"));
    command
}

#[test]
fn the_cluster_s_tour_loses_nothing_and_leaves_nothing() {
    if !is_installed("the_cluster_s_tour_loses_nothing_and_leaves_nothing", "etcd") {
        return;
    }
    let home = Home::make();
    let output = run(&mut tour(&home), "");
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""), "{}", output.stdout);
    let mut printed = output.stdout.lines().map(|line| line.replace('\t', "→"));
    for expected in STORY.lines().filter(|line| !line.is_empty()) {
        let has_words = printed.any(|line| matches(&line, expected));
        assert!(has_words, "this is missing, or not in its place: {expected}\n{}", output.stdout);
    }
    // On both hosts that remained, and at the one that leads, everything that was acknowledged is there.
    let acknowledged = output.stdout.split(" leads now. ").nth(1).and_then(|rest| rest.split(' ').next());
    let count: u64 = acknowledged.and_then(|count| count.parse().ok()).expect("a count");
    assert!(count > 100, "{}", output.stdout);
    assert_eq!(output.stdout.matches(&format!("\t{count} of {count} are there")).count(), 2, "{}", output.stdout);
    expect_nothing_left(&home.path("tmp"));
}

#[test]
fn an_interrupted_tour_of_the_cluster_leaves_nothing() {
    if !is_installed("an_interrupted_tour_of_the_cluster_leaves_nothing", "etcd") {
        return;
    }
    for (signal, code, at) in [(Signal::SIGINT, 130, "callers use"), (Signal::SIGTERM, 143, "$ enrolld ")] {
        let home = Home::make();
        let mut child = tour(&home).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("started");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        while !line.contains(at) {
            line.clear();
            assert_ne!(lines.read_line(&mut line).expect("a line"), 0, "the tour ended");
        }
        kill(Pid::from_raw(i32::try_from(child.id()).expect("a pid")), signal).expect("a signal");
        let mut rest = String::new();
        lines.read_to_string(&mut rest).expect("the rest");
        assert_eq!(child.wait().expect("ended").code(), Some(code), "{rest}");
        expect_nothing_left(&home.path("tmp"));
    }
}

#[test]
fn no_process_of_the_cluster_s_tour_outlives_it_where_it_is_killed() {
    let test = "no_process_of_the_cluster_s_tour_outlives_it_where_it_is_killed";
    if !is_installed(test, "etcd") || !is_installed(test, "setpriv") {
        return;
    }
    let home = Home::make();
    let mut child = tour(&home).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("started");
    let lines = BufReader::new(child.stdout.take().expect("a pipe"));
    assert!(lines.lines().any(|line| line.expect("a line").contains("callers use")), "the tour ended");
    assert_eq!(processes_naming(&home.path("tmp")).len(), 6);
    child.kill().expect("killed");
    child.wait().expect("ended");
    until("all processes end", || processes_naming(&home.path("tmp")).is_empty());
}

#[test]
fn the_cluster_s_tour_says_what_it_needs() {
    let home = Home::make();
    let real = tour(&home);
    let alone = home.path("alone");
    std::fs::create_dir(&alone).expect("a directory");
    for name in ["enrollctl", "enrolld"] {
        std::fs::copy(std::path::Path::new(real.get_program()).with_file_name(name), alone.join(name)).expect("a copy");
    }
    let mut lonely = home.command(&alone.join("enrollctl"));
    lonely.args(["tour", "--cluster"]).env("TMPDIR", home.path("tmp")).env("PATH", "");
    let output = run(&mut lonely, "");
    assert_eq!((output.code, output.stdout.as_str()), (Some(1), ""), "{output:?}");
    assert!(output.stderr.contains("needs etcd") && output.stderr.contains("etcd-server"), "{output:?}");
    expect_nothing_left(&home.path("tmp"));

    // One that is none ends at once, and says so.
    symlink("/bin/false", alone.join("etcd")).expect("a link");
    let output = run(&mut lonely, "");
    assert_eq!(output.code, Some(1), "{output:?}");
    expect_nothing_left(&home.path("tmp"));
}
