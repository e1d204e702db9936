//! Systemd units, checked by systemd's own tools: they are valid, they expose next to nothing, and every directive has
//! its reason beside it. Nothing is installed or started; without the tools the tests print SKIPPED.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use enroll_tests::skip::{is_root, skipped};
use enrolld::config::Config;

const SERVICE: &str = include_str!("../../../systemd/enrolld.service");
const SOCKET: &str = include_str!("../../../systemd/enrolld.socket");
const METRICS: &str = include_str!("../../../systemd/enrolld-metrics.service");
const METRICS_TIMER: &str = include_str!("../../../systemd/enrolld-metrics.timer");
const SYSUSERS: &str = include_str!("../../../systemd/sysusers.d/enrolld.conf");
const TMPFILES: &str = include_str!("../../../systemd/tmpfiles.d/enrolld.conf");
const CONFIGURATION: &str = include_str!("../../../systemd/enrolld.toml");
const KEY: &str = include_str!("../../../systemd/enrolld-key.service");
const BACKUP: &str = include_str!("../../../systemd/enrolld-backup.service");
const BACKUP_TIMER: &str = include_str!("../../../systemd/enrolld-backup.timer");
const HEAD: &str = include_str!("../../../systemd/enrolld-head.service");
const HEAD_TIMER: &str = include_str!("../../../systemd/enrolld-head.timer");
const CHANGES: &str = include_str!("../../../systemd/enrolld-changes@.service");
const FAILED: &str = include_str!("../../../systemd/enrolld-failed.target");

/// The highest exposure that `systemd-analyze security` may find, of 10. Asking for the clock's state takes some
/// of it, and so does lowering the priority of threads in the background.
const EXPOSURE_MAX: f64 = 0.8;

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../systemd").join(name).canonicalize().expect("the file")
}

/// Runs a tool of systemd; `None` where it is not installed.
fn tool(test: &str, command: &mut Command) -> Option<Output> {
    match command.output() {
        Ok(output) => Some(output),
        Err(_) => {
            skipped(test, &format!("needs {} (package systemd)", command.get_program().to_string_lossy()));
            None
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The values of a directive.
fn values<'a>(unit: &'a str, directive: &str) -> Vec<&'a str> {
    let assigned = unit.lines().filter_map(|line| line.split_once('='));
    assigned.filter(|(name, _)| *name == directive).map(|(_, value)| value).collect()
}

#[test]
fn the_service_exposes_next_to_nothing() {
    let mut analyze = Command::new("systemd-analyze");
    analyze.args(["security", "--offline=true", "--no-pager", "--threshold=8"]).arg(file("enrolld.service"));
    let Some(output) = tool("the_service_exposes_next_to_nothing", &mut analyze) else { return };
    let printed = text(&output.stdout);
    let line =
        printed.lines().find(|line| line.contains("Overall exposure level")).unwrap_or_else(|| panic!("{output:?}"));
    let exposure: f64 = line.split_whitespace().find_map(|word| word.parse().ok()).expect("a number");
    assert!(exposure <= EXPOSURE_MAX, "{printed}");
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn the_units_are_understood_in_every_line() {
    let root = tempfile::tempdir().expect("a directory");
    let units = root.path().join("etc/systemd/system");
    for directory in [&units, &root.path().join("usr/bin"), &root.path().join("bin")] {
        std::fs::create_dir_all(directory).expect("a directory");
    }
    for program in ["usr/bin/enrolld", "usr/bin/enrollctl", "bin/sh", "bin/touch"] {
        let path = root.path().join(program);
        std::fs::write(&path, "#!/bin/sh\n").expect("written");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&path, mode).expect("executable");
    }
    for target in ["sysinit", "basic", "shutdown", "sockets", "multi-user", "time-sync", "timers"] {
        std::fs::write(units.join(format!("{target}.target")), "[Unit]\nDescription=A target\n").expect("written");
    }
    let names = [
        "enrolld.service",
        "enrolld.socket",
        "enrolld-key.service",
        "enrolld-backup.service",
        "enrolld-backup.timer",
        "enrolld-metrics.service",
        "enrolld-metrics.timer",
        "enrolld-head.service",
        "enrolld-head.timer",
        "enrolld-changes@.service",
        "enrolld-failed.target",
    ];
    for name in names {
        std::fs::copy(file(name), units.join(name)).expect("copied");
    }
    let verify = || {
        let mut analyze = Command::new("systemd-analyze");
        // The pages of the manual are not installed here.
        analyze.args(["verify", "--man=no"]).arg(format!("--root={}", root.path().display())).args(names);
        tool("the_units_are_understood_in_every_line", &mut analyze)
    };
    let Some(output) = verify() else { return };
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    // The tool would say so.
    std::fs::write(units.join(names[0]), SERVICE.replace("UMask=0077", "UMaks=0077")).expect("written");
    let output = verify().expect("it is installed");
    assert!(text(&output.stderr).contains("UMaks"), "{output:?}");
}

#[test]
fn the_user_and_the_directories_are_made() {
    const TEST: &str = "the_user_and_the_directories_are_made";
    let root = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(root.path().join("etc")).expect("a directory");
    let at = format!("--root={}", root.path().display());
    let mut sysusers = Command::new("systemd-sysusers");
    sysusers.args(["--dry-run", &at]).arg(file("sysusers.d/enrolld.conf"));
    let Some(output) = tool(TEST, &mut sysusers) else { return };
    assert!(output.status.success(), "{output:?}");
    for user in ["'enrolld'", "'enrolld-hooks'"] {
        assert!(text(&output.stderr).contains(user), "{output:?}");
    }
    if !is_root(TEST) {
        return;
    }
    for (program, arguments, config) in [
        ("systemd-sysusers", &[][..], "sysusers.d/enrolld.conf"),
        ("systemd-tmpfiles", &["--create"], "tmpfiles.d/enrolld.conf"),
    ] {
        let mut command = Command::new(program);
        command.args(arguments).arg(&at).arg(file(config));
        let Some(output) = tool(TEST, &mut command) else { return };
        assert!(output.status.success(), "{output:?}");
    }
    for (directory, mode) in [("etc/enrolld", 0o755), ("etc/enrolld/changes", 0o755), ("var/backups/enrolld", 0o700)] {
        let made = root.path().join(directory).metadata().expect("a directory");
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&made.permissions()) & 0o7777, mode, "{directory}");
    }
}

#[test]
fn the_configuration_of_the_service_lets_its_group_operate() {
    let config = Config::parse(CONFIGURATION, []).expect("a configuration");
    assert_eq!(config.grants.operate, ["group:enrolld"]);
    // What it proposes is a configuration too.
    let proposed = CONFIGURATION.replace("\n#[", "\n[").replace("\n#directory", "\ndirectory");
    let config = Config::parse(&proposed, []).expect("a configuration");
    let directory = config.backup.directory.display().to_string();
    assert!(TMPFILES.contains(&format!("d {directory} 0700 enrolld enrolld")), "{directory}");
}

#[test]
fn every_directive_has_its_reason() {
    for (name, unit) in [
        ("service", SERVICE),
        ("socket", SOCKET),
        ("metrics", METRICS),
        ("metrics timer", METRICS_TIMER),
        ("key", KEY),
        ("backup", BACKUP),
        ("timer", BACKUP_TIMER),
        ("head", HEAD),
        ("head timer", HEAD_TIMER),
        ("changes", CHANGES),
        ("failed", FAILED),
        ("sysusers", SYSUSERS),
        ("tmpfiles", TMPFILES),
    ] {
        let mut before = "";
        for line in unit.lines() {
            // Directives of one reason stand together, and the first of them after it.
            let has_reason = before.starts_with('#') || before.contains('=') || before.starts_with("d /");
            let says_what = ["#", "[", "Description=", "Documentation="].iter().any(|start| line.starts_with(start));
            let is_plain = line.is_empty() || says_what;
            assert!(is_plain || has_reason, "{name}: {line}");
            before = line;
        }
    }
}

#[test]
fn the_units_say_what_the_daemon_expects() {
    assert_eq!(values(SERVICE, "MemoryMax"), [format!("{}M", Config::default().memory_mib())]);
    assert_eq!(values(SERVICE, "PrivateUsers"), [""; 0], "it breaks the credentials of peers");
    assert_eq!(values(SERVICE, "Type"), ["notify"]);
    assert_eq!(values(SERVICE, "RestartPreventExitStatus"), ["2 4 5 6 8 CREDENTIALS"], "docs/operating.md says why");
    assert_eq!(values(SERVICE, "OnFailure"), ["enrolld-failed.target"]);
    assert_eq!(values(FAILED, "Conflicts"), ["enrolld.socket"]);
    assert_eq!(values(SOCKET, "ListenStream"), ["/run/enrolld/enrolld.sock"]);
    for unit in [SERVICE, SOCKET, KEY, BACKUP, BACKUP_TIMER, HEAD, HEAD_TIMER, CHANGES, FAILED] {
        assert_eq!(values(unit, "Documentation").len(), 1, "{unit}");
    }
    assert_eq!(values(SERVICE, "Wants"), ["enrolld-key.service"]);
    let key = values(KEY, "ExecStart")[0].rsplit(' ').next().expect("a path");
    assert_eq!(values(SERVICE, "LoadCredential"), [format!("enrolld.key:{key}")]);
    assert_eq!(values(BACKUP, "LoadCredential"), values(SERVICE, "LoadCredential"));
    assert!(values(KEY, "ConditionPathExists").contains(&&*format!("!{key}")), "a key is never replaced");
    for unit in [KEY, BACKUP] {
        assert!(values(unit, "Environment").contains(&values(SERVICE, "Environment")[0]), "the same state directory");
    }
    assert_eq!(values(BACKUP, "Environment")[1], format!("ENROLLD_SOCKET={}", values(SOCKET, "ListenStream")[0]));
    assert_eq!(values(SOCKET, "SocketGroup"), values(SERVICE, "Group"));
    for unit in [SERVICE, HEAD, CHANGES] {
        let user = values(unit, "User")[0];
        assert!(SYSUSERS.lines().any(|line| line.starts_with(&format!("u {user} "))), "{user}");
    }
    assert_eq!(values(CHANGES, "Environment"), [values(BACKUP, "Environment")[1]]);
    assert_eq!(values(CHANGES, "SupplementaryGroups"), values(SOCKET, "SocketGroup"));
    // Each of these, with a user, would keep sendmail from changing its group.
    for forbidding in ["NoNewPrivileges", "SystemCallFilter", "PrivateDevices", "RestrictSUIDSGID", "LockPersonality"] {
        assert_eq!(values(CHANGES, forbidding), [""; 0], "{forbidding}");
    }
}
