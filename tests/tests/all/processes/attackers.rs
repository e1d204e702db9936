//! Attacks by other users of the host, and by processes of the daemon's own user, on what the kernel shows of it.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

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
