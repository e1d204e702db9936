//! What the README tells people to type works as printed: its five minutes through a shell, its Python through Python.

use std::path::Path;
use std::process::Command;

use enroll_tests::process::{Daemon, binary, run, skipped};

const README: &str = include_str!("../../../../README.md");

/// The code blocks of one language below a heading.
fn blocks(heading: &str, language: &str) -> Vec<String> {
    let section = README.split("\n## ").find(|section| section.starts_with(heading)).expect("the section");
    let mut blocks = Vec::new();
    for block in section.split(&format!("```{language}\n")).skip(1) {
        blocks.push(block.split("```").next().expect("its end").to_owned());
    }
    assert!(!blocks.is_empty(), "{heading} has {language}");
    blocks
}

/// A program that finds `enrollctl` and the daemon by itself, as somebody who follows the README does.
fn follow(daemon: &Daemon, program: &str) -> Command {
    let mut command = daemon.home.command(Path::new(program));
    let binaries = binary("enrollctl").parent().expect("a directory").to_owned();
    let path = std::env::var("PATH").expect("a path");
    command.env("PATH", format!("{}:{path}", binaries.display())).env("ENROLLD_SOCKET", daemon.home.socket());
    command
}

#[test]
fn the_five_minutes_work_as_printed() {
    let daemon = Daemon::start();
    let script: String = blocks("Five minutes", "sh").into_iter().filter(|block| !block.starts_with("cargo")).collect();
    let output = run(follow(&daemon, "sh").arg("-eu"), &script);
    assert_eq!(output.code, Some(0), "{output:?}");
    for printed in ["BOSS", "DOGGO01a", "nonce-4711", "sub\tDOGGO01a", "token_reuse"] {
        assert!(output.stdout.contains(printed), "{printed} is not in {}", output.stdout);
    }
    assert_eq!(output.stdout.matches("refused, as it must be").count(), 2, "{}", output.stdout);
    assert_eq!(output.stderr.matches("enrollctl: ").count(), 2, "{}", output.stderr);
}

#[test]
fn the_python_example_works_as_printed() {
    let daemon = Daemon::start();
    let mut python = follow(&daemon, "python3");
    if Command::new("python3").arg("--version").output().is_err() {
        skipped("the_python_example_works_as_printed", "needs python3");
        return;
    }
    let output = run(python.arg("-"), &blocks("From any language", "python").concat());
    assert_eq!(output.code, Some(0), "{output:?}");
    let lines: Vec<&str> = output.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{output:?}");
    assert_eq!(lines[0].split('.').count(), 3, "a JWT: {}", lines[0]);
    assert!(lines[1].starts_with("token_reuse: "), "{}", lines[1]);
}
