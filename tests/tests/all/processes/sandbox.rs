//! The sandbox: a command runs with a private daemon, its exit code is told, and nothing is left, whatever ends first.

use std::path::Path;
use std::process::{Command, Stdio};

use enroll_tests::cleanup::{expect_nothing_left, processes_naming};
use enroll_tests::poll::until;
use enroll_tests::process::{Home, Output, binary, run};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// `enrollctl sandbox` with temporary files in a directory of its own, and enrollctl in PATH.
fn sandbox(home: &Home, args: &[&str]) -> Command {
    let enrollctl = binary("enrollctl");
    let directory = enrollctl.parent().expect("a directory").display().to_string();
    let path = format!("{directory}:{}", std::env::var("PATH").unwrap_or_default());
    std::fs::create_dir_all(home.path("tmp")).expect("a directory");
    let mut command = home.command(&enrollctl);
    command.arg("sandbox").args(args).env("TMPDIR", home.path("tmp")).env("PATH", path);
    command
}

fn played(home: &Home, args: &[&str]) -> Output {
    let output = run(&mut sandbox(home, args), "");
    expect_nothing_left(&home.path("tmp"));
    output
}

#[test]
fn a_command_runs_with_a_registry_of_its_own() {
    let home = Home::make();
    for callsign in ["DOGGO01a", "DOGGO01a"] {
        let script = "enrollctl person create \"$0\" --field callsign && enrollctl person list --field callsign";
        let output = played(&home, &["--", "sh", "-c", script, callsign]);
        assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
        assert_eq!(output.stdout, "DOGGO01a\nDOGGO01a\n");
    }
    // Standard input is the command's, and without a command it is a shell.
    let output = run(sandbox(&home, &[]).env("SHELL", "/bin/sh"), "echo $ENROLLD_SOCKET; enrollctl wait; exit 7\n");
    assert_eq!(output.code, Some(7), "{output:?}");
    assert!(output.stdout.starts_with(&*home.path("tmp").to_string_lossy()), "{output:?}");
    expect_nothing_left(&home.path("tmp"));
}

#[test]
fn the_exit_code_is_the_commands() {
    let home = Home::make();
    assert_eq!(played(&home, &["--", "sh", "-c", "exit 42"]).code, Some(42));
    assert_eq!(played(&home, &["--", "sh", "-c", "kill -9 $$"]).code, Some(137));
    let output = played(&home, &["--", "/nowhere/to/be/found"]);
    assert_eq!(output.code, Some(1));
    assert!(output.stderr.contains("/nowhere/to/be/found: No such file"), "{output:?}");
    let output = run(&mut sandbox(&home, &["--socket", "/x", "--", "true"]), "");
    assert_eq!(output.code, Some(2), "{output:?}");
    assert!(output.stderr.contains("a daemon of its own"), "{output:?}");
}

#[test]
fn a_configuration_holds_but_for_its_places() {
    let home = Home::make();
    let config = home.path("sandbox.toml");
    std::fs::write(&config, "code_size = 12\nstate_dir = \"/nowhere\"\nsocket = \"/nowhere/socket\"\n")
        .expect("written");
    let config = config.to_string_lossy();
    let create = ["--config", &config, "--", "enrollctl", "code", "create", "{\"sub\":\"X\"}", "--field", "code"];
    let output = played(&home, &create);
    assert_eq!((output.code, output.stdout.trim_end().len()), (Some(0), 12), "{output:?}");
    // One that is refused is told in the daemon's words.
    std::fs::write(&*config, "code_size = 1\n").expect("written");
    let output = played(&home, &create);
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.stderr.contains("the sandbox's daemon does not start") && output.stderr.contains("code_size"));
}

#[test]
fn the_log_is_shown_with_a_failure_only() {
    let home = Home::make();
    let config = home.path("sandbox.toml");
    std::fs::write(&config, "log = \"debug\"\n").expect("written");
    let config = config.to_string_lossy();
    for (code, is_shown) in [(0, false), (3, true)] {
        let script = format!("enrollctl person create A; enrollctl person create A; exit {code}");
        let output = played(&home, &["--config", &config, "--", "sh", "-c", &script]);
        assert_eq!(output.code, Some(code));
        assert_eq!(output.stderr.contains("enrolld's log: "), is_shown, "{output:?}");
    }
}

/// Starts a sandbox whose command says where its daemon is and waits, and returns it when it has said so.
fn waiting(home: &Home, script: &str) -> std::process::Child {
    let said = home.path("said");
    let script = format!(
        "{script} echo $ENROLLD_SOCKET > {0}.new; mv {0}.new {0}; while :; do sleep 0.01; done",
        said.display()
    );
    let mut command = sandbox(home, &["--", "sh", "-c", &script]);
    let child = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().expect("started");
    until("the command runs", || said.exists());
    child
}

fn signal(pid: u32, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(pid).expect("a pid")), signal).expect("a signal");
}

#[test]
fn signals_reach_the_command_and_nothing_is_left() {
    for (sent, script, code) in [
        (Signal::SIGTERM, "", 143),
        (Signal::SIGHUP, "", 129),
        (Signal::SIGINT, "", 130),
        (Signal::SIGTERM, "trap 'exit 5' TERM;", 5),
    ] {
        let home = Home::make();
        let mut child = waiting(&home, script);
        signal(child.id(), sent);
        assert_eq!(child.wait().expect("ended").code(), Some(code), "{sent}");
        expect_nothing_left(&home.path("tmp"));
    }
}

/// The daemon's process, whose command line names its socket.
fn daemon(home: &Home) -> Option<Pid> {
    let (pid, _) = processes_naming(&home.path("tmp")).into_iter().find(|(_, line)| line.contains("--state-dir"))?;
    Some(pid)
}

#[test]
fn a_daemon_that_ends_first_ends_the_command() {
    let home = Home::make();
    let mut child = waiting(&home, "");
    kill(daemon(&home).expect("a daemon"), Signal::SIGKILL).expect("a signal");
    assert_eq!(child.wait().expect("ended").code(), Some(1));
    expect_nothing_left(&home.path("tmp"));
}

/// Only the directory stays, which nobody is left to remove.
#[test]
fn a_sandbox_that_is_killed_leaves_no_daemon() {
    let home = Home::make();
    let mut child = waiting(&home, "trap '' TERM; P=$PPID; (while kill -0 $P; do sleep 0.01; done; kill -9 $$) 2>&- &");
    let socket = std::fs::read_to_string(home.path("said")).expect("a path");
    assert!(Path::new(socket.trim_end()).exists());
    signal(child.id(), Signal::SIGKILL);
    child.wait().expect("ended");
    until("the daemon has ended", || daemon(&home).is_none());
    assert!(!Path::new(socket.trim_end()).exists(), "it ended in good order");
}
