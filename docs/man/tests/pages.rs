//! The generator of the manual pages, `enroll-man`, as the package runs it.
//!
//! Because of this file cargo builds the binary for the workspace's tests, where a package is made.

use std::process::Command;

#[test]
fn every_page_is_written_into_the_directory() {
    let directory = tempfile::tempdir().expect("a directory");
    let made = directory.path().join("man");
    let output = Command::new(env!("CARGO_BIN_EXE_enroll-man")).arg(&made).output().expect("run");
    assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
    for page in enroll_man::pages() {
        assert_eq!(std::fs::read_to_string(made.join(&page.file)).expect(&page.file), page.text);
    }
}

#[test]
fn without_a_directory_it_says_its_usage() {
    for arguments in [&[][..], &["one", "two"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_enroll-man")).args(arguments).output().expect("run");
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("usage: enroll-man DIRECTORY"), "{output:?}");
    }
}
