//! The Python client (a test suite of another language): its own tests, on private daemons of the programs that were
//! built, and its synchronous half, which is made from the asynchronous one.

use std::path::PathBuf;
use std::process::Command;

use enroll_tests::pages;
use enroll_tests::process::{Daemon, binary, run};
use enroll_tests::skip::python_with_pytest;

fn package() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../client/python")
}

#[test]
fn the_tests_of_the_python_client_pass() {
    let Some(python) = python_with_pytest("the_tests_of_the_python_client_pass") else { return };
    binary("enrolld");
    let enrollctl = binary("enrollctl");
    let mut pytest = Command::new(python);
    pytest.args(["-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "enrolld._pytest"]).current_dir(package());
    pytest.env("PYTHONPATH", package().join("src")).env("PYTHONDONTWRITEBYTECODE", "1").env("ENROLLCTL", enrollctl);
    let output = run(&mut pytest, "");
    assert_eq!(output.code, Some(0), "{}\n{}", output.stdout, output.stderr);
    assert!(output.stdout.contains(" passed"), "{}", output.stdout);
}

#[test]
fn the_synchronous_half_of_the_python_client_is_up_to_date() {
    let Some(python) = python_with_pytest("the_synchronous_half_of_the_python_client_is_up_to_date") else { return };
    let output = run(Command::new(python).arg("tools/unasync.py").arg("--check").current_dir(package()), "");
    assert_eq!(output.code, Some(0), "{}", output.stderr);
}

#[test]
fn the_python_of_its_page_works_as_printed() {
    let Some(python) = python_with_pytest("the_python_of_its_page_works_as_printed") else { return };
    let daemon = Daemon::start();
    let page = pages::page("docs/python.md");
    let script: String = page.blocks_of("python").into_iter().map(|block| block.code).collect();
    let mut command = daemon.home.command(python.as_ref());
    command.arg("-").env("PYTHONPATH", package().join("src")).env("PYTHONDONTWRITEBYTECODE", "1");
    let output = run(command.env("ENROLLD_SOCKET", daemon.home.socket()), &script);
    assert_eq!(output.code, Some(0), "{output:?}");
    let printed = "{'sub': 'PORA22b'}\ntoken_reuse 409\n11\npermission_denied\ncreate\n";
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), (printed, ""));
}
