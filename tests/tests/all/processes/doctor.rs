//! `enrollctl doctor` and the exit code of `server status`: with a daemon, without one, and before a socket that is not
//! for this user.

use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use enroll_tests::openmetrics::Exposition;
use enroll_tests::process::{Daemon, Home, Output, binary, run};
use enroll_tests::skip::{is_root, skipped};

/// A user without a grant, and a group that nobody is in.
const STRANGER: u32 = 65_532;
const GROUP: u32 = 65_533;

/// The topics of a report in JSON.
fn topics(report: &Output) -> Vec<String> {
    let json = report.json();
    let found = json["findings"].as_array().expect("findings").iter();
    found.map(|finding| finding["topic"].as_str().expect("a topic").to_owned()).collect()
}

fn doctor(home: &Home) -> Output {
    run(&mut home.enrollctl(&["doctor", "--json"]), "")
}

/// Runs the doctor as another user, of one group.
fn doctor_as(home: &Home, uid: u32, gid: u32) -> Output {
    let mut command = home.command("setpriv".as_ref());
    command.args(["--clear-groups", "--reuid", &uid.to_string(), "--regid", &gid.to_string()]);
    command.arg(home.path("enrollctl")).arg("--socket").arg(home.socket()).args(["doctor", "--json"]);
    run(&mut command, "")
}

/// Lets other users reach the socket's place and the program, as they do under `/run` and `/usr`.
fn open_to_others(home: &Home, socket_mode: u32, socket_group: u32) {
    assert!(Command::new("cp").arg(binary("enrollctl")).arg(home.path("")).status().expect("cp").success());
    let mode =
        |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a mode");
    mode(&home.path(""), 0o755);
    mode(&home.path("run"), 0o755);
    chown(home.socket(), Some(0), Some(socket_group)).expect("a group");
    mode(&home.socket(), socket_mode);
}

#[test]
fn nothing_is_wrong_with_a_daemon_that_serves() {
    let daemon = Daemon::start();
    let report = doctor(&daemon.home);
    assert_eq!((report.code, topics(&report)), (Some(0), Vec::new()), "{report:?}");
    let json = report.json();
    let checks: Vec<(&str, &str)> = json["checks"]
        .as_array()
        .expect("checks")
        .iter()
        .map(|check| (check["check"].as_str().expect("a name"), check["outcome"].as_str().expect("an outcome")))
        .collect();
    assert_eq!(checks, [("socket", "fine"), ("daemon", "fine"), ("versions", "fine")]);
    let plain = daemon.enrollctl(&["doctor"], "");
    assert_eq!((plain.code, plain.stdout.as_str()), (Some(0), ""), "{plain:?}");
}

#[test]
fn without_a_daemon_the_cause_is_named_and_not_its_effects() {
    let home = Home::make();
    let report = doctor(&home);
    assert_eq!(report.code, Some(1), "{report:?}");
    assert_eq!(topics(&report).first().map(String::as_str), Some("no_socket"), "{report:?}");
    assert!(!topics(&report).contains(&"unreachable".to_owned()), "{report:?}");
    let mut daemon = home.start();
    daemon.kill9();
    let report = doctor(&daemon.home);
    assert_eq!(
        (report.code, topics(&report).first().map(String::as_str)),
        (Some(1), Some("unreachable")),
        "{report:?}"
    );
    let plain = daemon.enrollctl(&["doctor"], "");
    assert!(plain.stdout.starts_with("topic\tseverity\tsubject\tmessage\tmend\nunreachable\terror\t"), "{plain:?}");
}

#[test]
fn a_daemon_that_accepts_and_does_not_answer_is_named_in_time() {
    let home = Home::make();
    std::fs::create_dir(home.path("run")).expect("a directory");
    let _silent = UnixListener::bind(home.socket()).expect("a socket");
    let report = doctor(&home);
    assert_eq!(
        (report.code, topics(&report).first().map(String::as_str)),
        (Some(1), Some("unreachable")),
        "{report:?}"
    );
    let other = home.path("run/file");
    std::fs::write(&other, "").expect("written");
    let report = run(home.command(&binary("enrollctl")).arg("--socket").arg(&other).args(["doctor", "--json"]), "");
    assert_eq!(topics(&report).first().map(String::as_str), Some("no_socket"), "{report:?}");
}

#[test]
fn who_may_not_come_in_is_told_which_of_the_doors_is_closed() {
    if !is_root("who_may_not_come_in_is_told_which_of_the_doors_is_closed") {
        return;
    }
    if Command::new("setpriv").arg("--version").output().is_err() {
        skipped("who_may_not_come_in_is_told_which_of_the_doors_is_closed", "needs setpriv (package util-linux)");
        return;
    }
    let daemon = Daemon::start();
    // The user 1 is in its first group by the system's list; a login may be without it.
    let first = nix::unistd::User::from_uid(1.into()).ok().flatten().map(|user| user.gid.as_raw());
    for (mode, group, visitor, expected) in [
        (0o666, GROUP, Some((STRANGER, STRANGER)), "no_grant"),
        (0o660, GROUP, Some((STRANGER, STRANGER)), "socket_access"),
        (0o660, first.unwrap_or(1), first.map(|_| (1, STRANGER)), "group_login"),
    ] {
        let Some((uid, gid)) = visitor else { continue };
        open_to_others(&daemon.home, mode, group);
        let report = doctor_as(&daemon.home, uid, gid);
        assert_eq!(report.code, Some(1), "{report:?}");
        assert_eq!(topics(&report).first().map(String::as_str), Some(expected), "{report:?}");
        assert!(!topics(&report).contains(&"unreachable".to_owned()), "{report:?}");
    }
}

#[test]
fn a_status_with_something_wrong_ends_with_1_and_says_what_mends_it() {
    let home = Home::make();
    home.configure("[grants]\nread = [\"user:no-such-user-here\"]\n");
    let daemon = home.start();
    let status = daemon.enrollctl(&["server", "status", "--json"], "");
    assert_eq!(status.code, Some(1), "{status:?}");
    let warning = &status.json()["warnings"][0];
    assert_eq!((&warning["topic"], &warning["severity"]), (&"grants".into(), &"warning".into()), "{warning}");
    assert!(warning["mend"].as_str().is_some_and(|mend| mend.contains("systemctl reload enrolld")), "{warning}");
    assert_eq!(topics(&doctor(&daemon.home)), ["grants"]);
}

#[test]
fn a_disk_without_the_wanted_space_is_full_and_not_nearly_full_too() {
    let home = Home::make();
    home.configure("[database]\nfree_mib = 1048576\n");
    let daemon = home.start();
    let disk = daemon.enrollctl(&["server", "status", "--json"], "").json()["disk"].clone();
    let [free, needed] = ["free_bytes", "needed_bytes"].map(|name| disk[name].as_u64().expect("a size"));
    assert_eq!(needed, 1 << 40);
    let expected = match free {
        free if free < needed => "disk_full",
        free if free < 4 * needed => "disk_low",
        _ => return,
    };
    assert_eq!(topics(&doctor(&daemon.home)), [expected], "{disk}");
    let read = Exposition::read(&daemon.enrollctl(&["server", "metrics"], "").stdout);
    assert_eq!(read.value("enrolld_warnings", &[("topic", expected)]), Some(1.0));
    assert!(daemon.log().contains(&format!("topic=\"{expected}\"")), "{}", daemon.log());
}

#[test]
fn who_waits_is_in_status_and_metrics() {
    let daemon = Daemon::start();
    for name in ["DOG", "CAT"] {
        assert_eq!(daemon.enrollctl(&["enrollment", "create", name], "").code, Some(0));
    }
    let status = daemon.enrollctl(&["server", "status", "--json"], "").json();
    let created = daemon.enrollctl(&["enrollment", "get", "DOG", "--json"], "").json();
    assert_eq!(status["waiting"]["enrollments"], 2, "{status}");
    assert_eq!(status["waiting"]["oldest"], created["created"], "{status}");
    assert!(status["disk"]["free_bytes"].as_u64().is_some_and(|free| free > 0), "{status}");
    let read = Exposition::read(&daemon.enrollctl(&["server", "metrics"], "").stdout);
    assert_eq!(read.value("enrolld_enrollments_waiting", &[]), Some(2.0));
    assert!(read.value("enrolld_enrollment_oldest_timestamp_seconds", &[]).is_some_and(|at| at > 1e9));
    assert_eq!(read.value("enrolld_certificate_ends_timestamp_seconds", &[]), None, "none was issued");
    for name in ["DOG", "CAT"] {
        let approved = daemon.enrollctl(&["enrollment", "approve", name, "--certificate", "generate"], "");
        assert_eq!(approved.code, Some(0), "{approved:?}");
    }
    let read = Exposition::read(&daemon.enrollctl(&["server", "metrics"], "").stdout);
    assert_eq!(read.value("enrolld_enrollments_waiting", &[]), Some(0.0));
    assert_eq!(read.value("enrolld_enrollment_oldest_timestamp_seconds", &[]), None);
    assert!(read.value("enrolld_certificate_ends_timestamp_seconds", &[]).is_some_and(|at| at > 1e9));
}

#[test]
fn promtool_finds_no_fault_with_the_older_text() {
    let daemon = Daemon::start();
    assert_eq!(daemon.enrollctl(&["enrollment", "create", "DOG"], "").code, Some(0));
    let text = daemon.enrollctl(&["server", "metrics", "--text"], "");
    assert!(text.stdout.contains("# TYPE enrolld_operations_total counter\n"), "{}", text.stdout);
    if Command::new("promtool").arg("--version").output().is_err() {
        skipped("promtool_finds_no_fault_with_the_older_text", "needs promtool (package prometheus)");
        return;
    }
    let checked = run(Command::new("promtool").args(["check", "metrics"]), &text.stdout);
    assert_eq!((checked.code, checked.stderr.as_str()), (Some(0), ""), "{checked:?}");
}

#[test]
fn a_scheduled_backup_that_is_too_old_is_told() {
    let home = Home::make();
    home.configure(&format!("[backup]\ndirectory = {:?}\n", home.path("backups")));
    let daemon = home.start();
    assert_eq!(topics(&doctor(&daemon.home)), [""; 0], "there is none yet of a registry that is young");
    let file = daemon.home.state_dir().join("enrolld.last_backup");
    std::fs::write(&file, "2020-01-01T00:00:00.000000Z\n").expect("written");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("a mode");
    let report = doctor(&daemon.home);
    assert_eq!((report.code, topics(&report)), (Some(1), vec!["backup".to_owned()]), "{report:?}");
    let read = Exposition::read(&daemon.enrollctl(&["server", "metrics"], "").stdout);
    assert_eq!(read.value("enrolld_backup_timestamp_seconds", &[]), Some(1_577_836_800.0));
    assert_eq!(read.value("enrolld_warnings", &[("topic", "backup")]), Some(1.0));
}
