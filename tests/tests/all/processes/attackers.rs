//! Attacks by other users of the host, and by processes of the daemon's own user, on what the kernel shows of it. The table
//! in docs/security.md names the tests of every attack.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use enroll_tests::pages;
use enroll_tests::process::{Home, Output, binary, run};
use enroll_tests::skip::is_root;

/// The daemon's user, who is nobody else's here.
const OWNER: u32 = 65_531;

/// Somebody with an account on the host, and no grant.
const STRANGER: u32 = 65_530;

fn as_user(home: &Home, uid: u32, program: &str, args: &[&str]) -> Output {
    run(home.command(program.as_ref()).args(args).uid(uid).gid(uid), "")
}

/// Copies a program to where every user may run it.
fn copied(home: &Home, name: &str) -> String {
    let copy = home.path(name);
    let done = Command::new("cp").arg(binary(name)).arg(&copy).status();
    assert!(done.expect("cp").success());
    copy.display().to_string()
}

#[test]
fn neither_memory_nor_files_of_the_daemon_are_seen_by_others_or_by_its_own_user() {
    if !is_root("neither_memory_nor_files_of_the_daemon_are_seen_by_others_or_by_its_own_user") {
        return;
    }
    let home = Home::make();
    fs::set_permissions(home.path(""), fs::Permissions::from_mode(0o755)).expect("a mode");
    for directory in [home.state_dir(), home.path("run")] {
        fs::create_dir_all(&directory).expect("a directory");
        chown(&directory, Some(OWNER), Some(OWNER)).expect("given");
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o700)).expect("a mode");
    }
    let program = copied(&home, "enrolld");
    let mut enrolld = home.command(program.as_ref());
    enrolld.arg("--state-dir").arg(home.state_dir()).arg("--socket").arg(home.socket()).uid(OWNER).gid(OWNER);
    let mut daemon = home.start_with(&mut enrolld);
    let (pid, state_dir) = (daemon.pid(), daemon.home.state_dir());
    // One check of the kernel decides on all of these and on ptrace.
    for uid in [STRANGER, OWNER] {
        for of_process in ["mem", "environ", "maps", "auxv", "io"] {
            let read = as_user(&daemon.home, uid, "head", &["-c", "1", &format!("/proc/{pid}/{of_process}")]);
            assert!(read.code == Some(1) && read.stderr.contains("Permission denied"), "{uid} {of_process}: {read:?}");
        }
        let listed = as_user(&daemon.home, uid, "ls", &[&format!("/proc/{pid}/fd/")]);
        assert!(listed.code != Some(0) && listed.stderr.contains("Permission denied"), "{uid}: {listed:?}");
    }
    for file in ["enrolld.key", "enrolld.redb", "enrolld.journal.0"] {
        let path = state_dir.join(file);
        assert!(path.exists(), "{file}");
        let read = as_user(&daemon.home, STRANGER, "head", &["-c", "1", &path.display().to_string()]);
        assert!(read.code == Some(1) && read.stderr.contains("Permission denied"), "{file}: {read:?}");
    }
    let put =
        as_user(&daemon.home, STRANGER, "ln", &["-s", "/etc/passwd", &daemon.home.path("run/x").display().to_string()]);
    assert!(put.code == Some(1) && put.stderr.contains("Permission denied"), "{put:?}");
    assert_eq!(daemon.terminate(), Some(0));
}

/// The table of attacks in the page on security: its last column names tests.
#[test]
fn every_attack_of_the_table_has_a_test_that_is_there() {
    let page = fs::read_to_string(pages::root().join("docs/security.md")).expect("the page");
    let (_, table) = page.split_once("## Attacks from the same host").expect("the chapter");
    let rows =
        table.lines().skip_while(|line| !line.starts_with("|---")).skip(1).take_while(|line| line.starts_with('|'));
    let rows: Vec<&str> = rows.collect();
    assert!(rows.len() >= 20, "{rows:?}");
    let sources: String =
        ["tests/tests", "daemon/src", "daemon/core/src", "client"].iter().map(|of| texts_in(of)).collect();
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 4, "{row}");
        let tests: Vec<&str> = cells[3].split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty(), "no test: {row}");
        for test in tests {
            let name = test.rsplit("::").next().unwrap_or(test);
            assert!(sources.contains(&format!("fn {name}()")), "there is no test {name}: {row}");
        }
    }
}

/// The text of every Rust file below a directory of the workspace.
fn texts_in(directory: &str) -> String {
    let mut text = String::new();
    let mut open = vec![pages::root().join(directory)];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            match path.is_dir() {
                true => open.push(path),
                false if path.extension().is_some_and(|end| end == "rs") => {
                    text.push_str(&fs::read_to_string(path).expect("a file"));
                }
                false => {}
            }
        }
    }
    text
}
