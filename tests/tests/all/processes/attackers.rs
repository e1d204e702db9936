//! Attacks by other users of the host, and by processes of the daemon's own user, on what the kernel shows of it.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, Stdio};

use enroll_tests::process::{Home, Output, binary, run};
use enroll_tests::skip::{is_root, may_trace, unsupported};
use nix::sys::signal::Signal;

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

/// A daemon of its own user, whose program everybody may run.
fn daemon_of_owner() -> (Home, Command) {
    let home = Home::make();
    fs::set_permissions(home.path(""), fs::Permissions::from_mode(0o755)).expect("a mode");
    for directory in [home.state_dir(), home.path("run")] {
        fs::create_dir_all(&directory).expect("a directory");
        chown(&directory, Some(OWNER), Some(OWNER)).expect("given");
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o700)).expect("a mode");
    }
    let program = copied(&home, "enrolld");
    // A shell gives up no limit of its own, and becomes the daemon.
    let mut enrolld = home.command("sh".as_ref());
    enrolld.args(["-c", "ulimit -c unlimited && exec \"$0\" \"$@\"", &program]);
    enrolld.arg("--state-dir").arg(home.state_dir()).arg("--socket").arg(home.socket()).uid(OWNER).gid(OWNER);
    (home, enrolld)
}

#[test]
fn neither_memory_nor_files_of_the_daemon_are_seen_by_others_or_by_its_own_user() {
    if !is_root("neither_memory_nor_files_of_the_daemon_are_seen_by_others_or_by_its_own_user") {
        return;
    }
    let (home, mut enrolld) = daemon_of_owner();
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

/// Attaches a tracer, as a user, to a process and lets go of it.
fn traced(home: &Home, uid: u32, pid: u32) -> Output {
    let pid = pid.to_string();
    as_user(home, uid, "timeout", &["--signal=INT", "1", "strace", "-qq", "-o", "/dev/null", "-p", &pid])
}

#[test]
fn neither_others_nor_its_own_user_trace_the_daemon() {
    const TEST: &str = "neither_others_nor_its_own_user_trace_the_daemon";
    if !is_root(TEST) || !may_trace(TEST) {
        return;
    }
    let (home, mut enrolld) = daemon_of_owner();
    let mut plain = home.command("sleep".as_ref());
    let plain = Started(plain.arg("1000").uid(OWNER).gid(OWNER).spawn().expect("started"));
    let daemon = home.start_with(&mut enrolld);
    for uid in [STRANGER, OWNER] {
        let refused = traced(&daemon.home, uid, daemon.pid());
        assert!(refused.stderr.contains("Operation not permitted"), "{uid}: {refused:?}");
    }
    // Its user traces other processes of theirs: it is the daemon that is closed. Some kernels let nobody do that.
    let other = traced(&daemon.home, OWNER, plain.0.id());
    if other.stderr.contains("Operation not permitted") {
        unsupported(TEST, "no process is traced by its own user here, so it is not shown that the daemon refuses it");
    }
}

/// A process that is killed at the end.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_daemon_that_crashes_leaves_no_memory_behind_whatever_the_limit() {
    const TEST: &str = "a_daemon_that_crashes_leaves_no_memory_behind_whatever_the_limit";
    if !is_root(TEST) {
        return;
    }
    let (home, mut enrolld) = daemon_of_owner();
    // A directory of the daemon's user, where a plain kernel puts what it writes down.
    let directory = home.path("run");
    let mut daemon = home.start_with(enrolld.current_dir(&directory));
    let crashed = daemon.abort();
    assert_eq!((crashed.signal(), crashed.core_dumped()), (Some(Signal::SIGABRT as i32), false));
    let left: Vec<_> = fs::read_dir(&directory).expect("a directory").map(|entry| entry.expect("a file")).collect();
    assert!(left.iter().all(|entry| !entry.file_name().to_string_lossy().contains("core")), "{left:?}");
    let mut plain = daemon.home.command("sh".as_ref());
    plain.args(["-c", "ulimit -c unlimited && kill -ABRT $$"]).current_dir(&directory).uid(OWNER).gid(OWNER);
    let plain = plain.stderr(Stdio::null()).status().expect("run");
    if !plain.core_dumped() {
        unsupported(TEST, "the kernel writes down nobody's memory here, so it is not shown that the daemon's is kept");
    }
}
