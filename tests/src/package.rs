//! The Debian package of the programs that cargo put beside the tests, made by the script that makes the one to publish.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::pages;
use crate::process::binary;

/// A directory of packages; it is gone when this is dropped.
#[derive(Debug)]
pub struct Packages {
    directory: TempDir,
}

impl Packages {
    /// A directory to make packages in, or what this machine lacks for making them.
    pub fn prepare() -> Result<Self, String> {
        for (program, argument, package) in [
            ("dpkg-deb", "--version", "dpkg"),
            ("dpkg-shlibdeps", "--version", "dpkg-dev"),
            ("cargo-deb", "--version", ""),
        ] {
            let mut asked = Command::new(program);
            let asked = asked.arg(argument).stdin(Stdio::null()).output();
            if !asked.is_ok_and(|output| output.status.success()) {
                let way_out = if package.is_empty() { "cargo install --locked cargo-deb" } else { package };
                return Err(format!("needs {program} ({way_out})"));
            }
        }
        let directory = tempfile::tempdir().map_err(|err| format!("needs a temporary directory: {err}"))?;
        let programs = directory.path().join("release");
        fs::create_dir(&programs).expect("a directory");
        for name in ["enrolld", "enrollctl", "enrollctl-console", "enroll-man"] {
            fs::copy(binary(name), programs.join(name)).expect("copied");
        }
        Ok(Self { directory })
    }

    /// Makes the package with this version. Panics where that fails.
    pub fn make(&self, version: &str) -> PathBuf {
        self.make_of(&[], &format!("enrolld_{version}.deb"), version)
    }

    /// Makes the package of the console. Panics where that fails.
    pub fn make_console(&self, version: &str) -> PathBuf {
        self.make_of(&["--console"], "console.deb", version)
    }

    fn make_of(&self, which: &[&str], name: &str, version: &str) -> PathBuf {
        let made = self.directory.path().join(name);
        let mut script = Command::new(pages::root().join(".ci/package"));
        script.args(which).args(["--no-build", "--fast", "--deb-version", version, "--output"]).arg(&made);
        let output = script.env("CARGO_TARGET_DIR", self.directory.path()).stdin(Stdio::null()).output();
        let output = output.expect("the script");
        assert!(output.status.success(), "{output:?}");
        made
    }

    /// Runs a program of `dpkg-deb` on a package and returns what it prints.
    pub fn ask(&self, question: &str, package: &Path) -> String {
        let output = Command::new("dpkg-deb").arg(question).arg(package).output().expect("dpkg-deb");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("text")
    }
}
