//! Skipped tests: what a machine lacks, in one wording for which the gate looks.
//!
//! `SKIPPED` is what root or a package would mend; the gate fails on it where it could have installed the package.
//! `UNSUPPORTED` is what the kernel or its container does not allow; the gate lists it at its end.

use std::io::Write as _;
use std::process::{Command, Stdio};

use nix::unistd::geteuid;

/// Says that a test was skipped and what it needs.
pub fn skipped(test: &str, needs: &str) {
    say(&format!("SKIPPED {test}: {needs}"));
}

/// Says that a test can not run on this kernel, and why.
pub fn unsupported(test: &str, why: &str) {
    say(&format!("UNSUPPORTED {test}: {why}"));
}

/// Says a line past the harness that keeps the output of tests to itself.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// True as root; says otherwise that this test was skipped.
pub fn is_root(test: &str) -> bool {
    let is_root = geteuid().is_root();
    if !is_root {
        skipped(test, "needs root");
    }
    is_root
}

/// True where a program is installed; says otherwise that it is missing.
pub fn is_installed(test: &str, program: &str) -> bool {
    let is_there = succeeds(program, &["--version"]);
    if !is_there {
        skipped(test, &format!("needs {program}"));
    }
    is_there
}

/// True where strace is installed and may make calls of another process fail; says otherwise what is missing.
pub fn may_trace(test: &str) -> bool {
    if !succeeds("strace", &["--version"]) {
        skipped(test, "needs strace");
        return false;
    }
    let may = succeeds("strace", &["-D", "-f", "-qq", "-o", "/dev/null", "-e", "inject=fdatasync:error=EIO", "true"]);
    if !may {
        unsupported(test, "strace may not trace here");
    }
    may
}

/// True where this process may mount; says otherwise what is missing.
pub fn may_mount(test: &str) -> bool {
    if !is_root(test) {
        return false;
    }
    let may = succeeds("unshare", &["--mount", "mount", "-t", "tmpfs", "-o", "size=1m", "none", "/mnt"]);
    if !may {
        unsupported(test, "root may not mount here");
    }
    may
}

/// A Python that has PyJWT, `$ENROLL_PYTHON` or else `python3`; says what is missing where it has not.
pub fn python_with_jwt(test: &str) -> Option<String> {
    let python = std::env::var("ENROLL_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let is_there = succeeds(&python, &["-c", "import jwt, cryptography"]);
    if !is_there {
        skipped(test, "needs python3 with pyjwt[crypto]; ENROLL_PYTHON names one");
    }
    is_there.then_some(python)
}

/// A Python from 3.11 on with pytest, `$ENROLL_PYTEST` or else `python3`; says what is missing where it has not.
pub fn python_with_pytest(test: &str) -> Option<String> {
    let python = std::env::var("ENROLL_PYTEST").unwrap_or_else(|_| "python3".to_owned());
    let is_there = succeeds(&python, &["-c", "import sys, pytest; sys.exit(sys.version_info < (3, 11))"]);
    if !is_there {
        skipped(test, "needs python3, 3.11 or later, with pytest; ENROLL_PYTEST names one");
    }
    is_there.then_some(python)
}

fn succeeds(program: &str, args: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
