//! The benchmark `enroll-bench`: its report on a daemon, and its comparison with other servers, which it stops and removes
//! also on a failure or a signal.
//!
//! The tests expect which figures there are, and not their values: the machine is busy with other tests.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use enroll_tests::cleanup::{expect_nothing_left, processes_naming};
use enroll_tests::process::{Daemon, Output, binary, run};
use enroll_tests::skip::skipped;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use super::{count, expect_sound};

/// Resources in every report on a daemon whose process can be seen; there may be more between them.
const RESOURCES: [&str; 9] = [
    "cpu_s",
    "cpu_us_per_op",
    "resident_bytes",
    "resident_peak_bytes",
    "commits",
    "batch_mean",
    "disk_grown_bytes",
    "disk_bytes_per_op",
    "database_grown_bytes",
];

const SPEEDS: [&str; 5] = ["ops_per_s", "p50_us", "p99_us", "p999_us", "max_us"];

/// A directory for temporary files that other users can traverse: PostgreSQL's server does not run as root.
fn temporary() -> TempDir {
    tempfile::Builder::new().permissions(PermissionsExt::from_mode(0o711)).tempdir().expect("a directory")
}

/// A bench with few clients, and the directories of its peers in `temporary`.
fn bench(daemon: &Daemon, temporary: &Path, args: &[&str]) -> Command {
    // Each person registers once, so there must be as many as can register in the time.
    let records = if args.contains(&"register") { "10000" } else { "300" };
    let few = ["--connections", "4", "--seconds", "1", "--records", records];
    let mut command = daemon.home.command(&binary("enroll-bench"));
    command.arg("--socket").arg(daemon.home.socket()).args([args, &few].concat()).env("TMPDIR", temporary);
    command
}

fn expect_done(output: &Output) {
    assert_eq!(output.code, Some(0), "{output:?}");
}

/// Expects that all these members are numbers above zero.
fn expect_figures(of: &Value, names: &[&str]) {
    for name in names {
        assert!(of[name].as_f64().is_some_and(|figure| figure > 0.0), "{name}: {of}");
    }
}

/// Expects these among the names, in this order.
fn expect_in_order<'a>(mut names: impl Iterator<Item = &'a str>, expected: &[&str]) {
    for name in expected {
        assert!(names.any(|known| known == *name), "{name} is missing, or out of order");
    }
}

/// The members of an object.
fn names(of: &Value) -> impl Iterator<Item = &str> {
    of.as_object().expect("an object").keys().map(String::as_str)
}

#[test]
fn a_report_has_the_speed_and_the_resources_of_the_daemon() {
    let daemon = Daemon::start();
    let temporary = temporary();
    for workload in ["token-use", "certificate", "enroll", "lookup", "token-get"] {
        let only_reads = ["lookup", "token-get"].contains(&workload);
        let output = run(&mut bench(&daemon, temporary.path(), &[workload, "--fill", "40", "--json"]), "");
        expect_done(&output);
        let report = output.json();
        assert_eq!((&report["workload"], &report["errors"]), (&workload.into(), &0.into()), "{report}");
        expect_in_order(names(&report), &[&["workload"], &SPEEDS[..], &["errors", "daemon"]].concat());
        expect_figures(&report, &SPEEDS);
        let usage = &report["daemon"];
        expect_in_order(names(usage), if only_reads { &RESOURCES[..5] } else { &RESOURCES });
        expect_figures(usage, &RESOURCES[..4]);
        assert!(usage["resident_peak_bytes"].as_u64() >= usage["resident_bytes"].as_u64(), "{usage}");
        assert_eq!(usage["commits"].as_u64() > Some(0), !only_reads, "{usage}");
    }
    assert!(count(&daemon, "token") > 40 && count(&daemon, "enrollment") > 380);
    expect_sound(&daemon);
}

#[test]
fn in_a_pipe_each_figure_is_a_line_of_its_own() {
    let daemon = Daemon::start();
    let output = run(&mut bench(&daemon, temporary().path(), &["token-use"]), "");
    expect_done(&output);
    let lines: Vec<(&str, &str)> =
        output.stdout.lines().map(|line| line.split_once('\t').expect("a name and a figure")).collect();
    let resources: Vec<String> = RESOURCES.iter().map(|name| format!("daemon.{name}")).collect();
    let expected: Vec<&str> = SPEEDS.into_iter().chain(resources.iter().map(String::as_str)).collect();
    expect_in_order(lines.iter().map(|(name, _)| *name), &expected);
    for (name, figure) in lines.iter().filter(|(name, _)| *name != "workload") {
        assert!(figure.parse::<f64>().is_ok(), "{name}: {figure}");
    }
}

/// Compares every workload that the peer can do, and expects that nothing of the peer is left.
fn compare(peer: &str) {
    let daemon = Daemon::start();
    let temporary = temporary();
    for (workload, rounds, records) in
        [("token-use", 2, Some(40)), ("enroll", 1, None), ("lookup", 1, None), ("register", 1, None)]
    {
        let rounds = rounds.to_string();
        let args = [workload, "--vs", peer, "--rounds", &rounds, "--fill", "40", "--json"];
        let output = run(&mut bench(&daemon, temporary.path(), &args), "");
        expect_done(&output);
        let report = output.json();
        let expected =
            ["workload", "connections", "in_flight", "seconds", "rounds", "records", "enrolld", peer, "daemon"];
        assert_eq!(names(&report).collect::<Vec<_>>(), expected);
        assert!(report["records"].as_u64().is_some_and(|made| records.is_none_or(|records| made == records)));
        expect_figures(&report["enrolld"], &SPEEDS);
        expect_figures(&report[peer], &SPEEDS);
        assert!(workload == "lookup" || report[peer]["disk_bytes_per_op"].as_f64() > Some(0.0), "{report}");
        assert!(report[peer]["version"].as_str().is_some_and(|version| !version.is_empty()), "{report}");
        for ratio in ["ops_ratio", "p99_ratio"] {
            let ratio = &report[peer][ratio];
            let order = ["min", "lower_quartile", "median", "max"];
            expect_figures(ratio, &order);
            assert!(order.map(|name| ratio[name].as_f64()).is_sorted(), "{report}");
        }
        expect_figures(&report["daemon"], &RESOURCES[..4]);
        assert_eq!(output.stderr.lines().filter(|line| line.starts_with("round ")).count().to_string(), rounds);
        expect_nothing_left(temporary.path());
    }
    expect_sound(&daemon);
}

fn has_redis() -> bool {
    Command::new("redis-server").arg("--version").output().is_ok()
}

/// Looks in PATH and in Debian's directories.
fn has_postgres() -> bool {
    let installed = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    installed.into_iter().any(|version| version.path().join("bin/pgbench").exists())
        || ["postgres", "pgbench"].iter().all(|name| Command::new(name).arg("--version").output().is_ok())
}

#[test]
fn a_bench_compares_with_redis() {
    if !has_redis() {
        skipped("a_bench_compares_with_redis", "needs redis-server");
        return;
    }
    compare("redis");
}

#[test]
fn a_bench_compares_with_postgres() {
    if !has_postgres() {
        skipped("a_bench_compares_with_postgres", "needs PostgreSQL's server and its pgbench");
        return;
    }
    compare("postgres");
}

/// Begins a comparison that would take hours and disturbs it after its first round. Returns its exit code and the rest of
/// its standard error.
fn disturb(peers: &[&str], disturb: impl FnOnce(Pid, &Path)) -> (Option<i32>, String) {
    let daemon = Daemon::start();
    let temporary = temporary();
    let peers: Vec<&str> = peers.iter().flat_map(|peer| ["--vs", peer]).collect();
    let args = [&["token-use", "--rounds", "1000"], &peers[..]].concat();
    let mut command = bench(&daemon, temporary.path(), &args);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("started");
    let mut stderr = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut line = String::new();
    while !line.starts_with("round 1:") {
        line.clear();
        assert_ne!(stderr.read_line(&mut line).expect("a line"), 0, "the bench ended");
    }
    disturb(Pid::from_raw(i32::try_from(child.id()).expect("a pid")), temporary.path());
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).expect("the rest");
    let code = child.wait().expect("ended").code();
    expect_nothing_left(temporary.path());
    (code, rest)
}

#[test]
fn an_interrupted_comparison_leaves_nothing() {
    let mut peers = Vec::new();
    for (peer, is_there) in [("redis", has_redis()), ("postgres", has_postgres())] {
        if is_there {
            peers.push(peer);
        } else {
            skipped("an_interrupted_comparison_leaves_nothing", &format!("needs {peer} for the whole of it"));
        }
    }
    if !peers.is_empty() {
        let (code, _) = disturb(&peers, |bench, _| kill(bench, Signal::SIGINT).expect("a signal"));
        assert_eq!(code, Some(130));
    }
}

#[test]
fn a_peer_that_fails_ends_the_comparison_and_leaves_nothing() {
    // PostgreSQL's server removes its shared memory on SIGQUIT, and not on SIGKILL.
    for (peer, is_there, program, signal) in [
        ("redis", has_redis(), "redis-server", Signal::SIGKILL),
        ("postgres", has_postgres(), "bin/postgres", Signal::SIGQUIT),
    ] {
        if !is_there {
            skipped("a_peer_that_fails_ends_the_comparison_and_leaves_nothing", &format!("needs {peer}"));
            continue;
        }
        let (code, stderr) = disturb(&[peer], |_, temporary| {
            let servers = processes_naming(temporary);
            let (server, _) = servers.iter().find(|(_, line)| line.contains(program)).expect("the peer");
            kill(*server, signal).expect("a signal");
        });
        let why = stderr.lines().find(|line| !line.starts_with("round ")).unwrap_or_default();
        assert_eq!(code, Some(1), "{stderr}");
        assert!(why.starts_with(&format!("enroll-bench: {peer}: it ended (")), "{stderr}");
    }
}

#[test]
fn an_impossible_comparison_is_refused_before_anything_is_done() {
    let daemon = Daemon::start();
    let temporary = temporary();
    for (args, words) in [
        (&["code", "--vs", "redis", "--vs", "postgres"][..], "no peer has an equal of code"),
        (&["register-waiting", "--vs", "postgres"], "no peer has an equal of register-waiting"),
        (&["token-use", "--vs", "redis"], "apt-get install redis-server"),
    ] {
        let output = run(bench(&daemon, temporary.path(), args).env("PATH", ""), "");
        assert_eq!((output.code, output.stdout.as_str()), (Some(2), ""), "{output:?}");
        assert!(output.stderr.contains(words) && output.stderr.lines().count() == 1, "{output:?}");
    }
    assert_eq!((count(&daemon, "token"), count(&daemon, "person")), (0, 0));
    expect_nothing_left(temporary.path());
}
