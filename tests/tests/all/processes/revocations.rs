//! The certificate revocation list of real daemons: one number is one list, across restarts, crashes and lost files,
//! and numbers grow.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Instant;

use enroll_tests::openssl::OpenSsl;
use enroll_tests::process::{Daemon, Home, PATIENCE, run};

use super::expect_sound;

fn list(daemon: &Daemon) -> String {
    let output = daemon.enrollctl(&["certificate", "crl"], "");
    assert_eq!(output.code, Some(0), "{output:?}");
    output.stdout
}

fn revoke(daemon: &Daemon, name: &str) {
    daemon.enrollctl(&["person", "create", name, "--certificate", "generate"], "");
    let revoked = daemon.enrollctl(&["person", "revoke", name, "superseded"], "");
    assert_eq!(revoked.code, Some(0), "{revoked:?}");
}

/// The signed part of a list.
fn signed(list: &str) -> Vec<u8> {
    let der = enroll_core::identity::pem::read(list).expect("PEM").remove(0).der;
    let (list, _) = sequence(&der);
    let (signed, _) = sequence(list);
    signed.to_vec()
}

/// The content of a sequence (DER), and the bytes after it.
fn sequence(der: &[u8]) -> (&[u8], &[u8]) {
    let (length, from) = match der[1] {
        short @ ..=0x7f => (usize::from(short), 2),
        0x81 => (usize::from(der[2]), 3),
        _ => (usize::from(u16::from_be_bytes([der[2], der[3]])), 4),
    };
    der[from..].split_at(length)
}

/// The number, which is the last thing that is signed.
pub(super) fn number(list: &str) -> u64 {
    let signed = signed(list);
    u64::from_be_bytes(*signed.last_chunk().expect("eight bytes")) & (u64::MAX >> 8)
}

/// Waits until a file is another one than before; its text.
fn awaited(path: &Path, before: &str) -> String {
    let begun = Instant::now();
    loop {
        match std::fs::read_to_string(path) {
            Ok(text) if text != before => return text,
            _ => assert!(begun.elapsed() < PATIENCE, "{} is not written", path.display()),
        }
        std::thread::yield_now();
    }
}

#[test]
fn a_list_is_signed_once_over_restarts_and_crashes() {
    let mut daemon = Daemon::start();
    let first = list(&daemon);
    revoke(&daemon, "DOGGO01a");
    revoke(&daemon, "PORA22b");
    // Killed before anybody asked, and after.
    daemon.kill9();
    daemon.restart();
    let second = list(&daemon);
    assert!(number(&first) < number(&second), "{first}{second}");
    daemon.kill9();
    daemon.restart();
    assert_eq!(list(&daemon), second);
    assert_eq!(daemon.terminate(), Some(0));
    daemon.restart();
    assert_eq!(list(&daemon), second);
    let file = daemon.home.state_dir().join("enrolld.crl.signature");
    assert_eq!(std::fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600);
    let kept = std::fs::read(&file).expect("a signature");
    // Another file of that name is not trusted: the same list is signed again.
    for other in [&kept[..kept.len() / 2], b"", &[7; 4096]] {
        daemon.kill9();
        std::fs::write(&file, other).expect("written");
        daemon.restart();
        let again = list(&daemon);
        assert!(again != second && signed(&again) == signed(&second), "{again}");
        daemon.kill9();
        daemon.restart();
        assert_eq!(list(&daemon), again);
    }
    expect_sound(&daemon);
}

#[test]
fn a_list_that_can_not_be_kept_is_given_to_nobody() {
    let daemon = Daemon::start();
    let new = daemon.home.state_dir().join("enrolld.crl.signature.new");
    std::fs::create_dir(&new).expect("something in its place");
    let refused = run(&mut daemon.home.enrollctl(&["certificate", "crl"]), "");
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""), "{refused:?}");
    assert!(refused.stderr.contains("storage") && refused.stderr.contains("signature.new"), "{refused:?}");
    std::fs::remove_dir(&new).expect("removed");
    assert_eq!(list(&daemon), list(&daemon));
}

#[test]
fn numbers_grow_behind_a_restored_backup() {
    let mut daemon = Daemon::start();
    revoke(&daemon, "DOGGO01a");
    let first = list(&daemon);
    assert_eq!(daemon.enrollctl(&["server", "backup", "registry.backup"], "").code, Some(0));
    revoke(&daemon, "PORA22b");
    let lost = list(&daemon);
    assert_eq!(daemon.terminate(), Some(0));
    let state = daemon.home.state_dir();
    for entry in std::fs::read_dir(&state).expect("a directory") {
        let path = entry.expect("an entry").path();
        if !path.ends_with("enrolld.key") && !path.ends_with("enrolld.crl.signature") {
            std::fs::remove_file(path).expect("removed");
        }
    }
    let (backup, state) = (daemon.home.path("registry.backup").display().to_string(), state.display().to_string());
    let restored = run(&mut daemon.home.enrolld_with(&["restore", &backup, "--state-dir", &state]), "");
    assert_eq!(restored.code, Some(0), "{restored:?}");
    daemon.restart();
    assert_eq!(signed(&list(&daemon)), signed(&first));
    revoke(&daemon, "CAT03c");
    assert!(number(&list(&daemon)) > number(&lost));
    expect_sound(&daemon);
}

#[test]
fn the_list_is_a_file_that_is_replaced_after_a_revocation_and_kept_over_a_restart() {
    let home = Home::make();
    let path = home.path("revoked.pem");
    home.configure(&format!("[certificates]\ncrl_file = \"{}\"", path.display()));
    let mut daemon = home.start();
    let first = awaited(&path, "");
    revoke(&daemon, "DOGGO01a");
    let second = awaited(&path, &first);
    assert_eq!(std::fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o644);
    assert_eq!(list(&daemon), second);
    assert_eq!(daemon.terminate(), Some(0));
    daemon.restart();
    assert_eq!(list(&daemon), second);
    // Whatever was put there meanwhile is replaced.
    assert_eq!(daemon.terminate(), Some(0));
    std::fs::write(&path, &first).expect("written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("a mode");
    daemon.restart();
    assert_eq!(awaited(&path, &first), second);
    assert_eq!(std::fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o644);
    if let Some(openssl) = OpenSsl::find("processes::revocations, the list's file") {
        openssl.write("crl.pem", &second);
        openssl.write("ca.pem", &daemon.enrollctl(&["certificate", "ca"], "").stdout);
        let printed = openssl.output_of(&["crl", "-in", "crl.pem", "-CAfile", "ca.pem", "-noout", "-text"]);
        assert!(printed.contains("verify OK") && printed.contains("Superseded"), "{printed}");
    }
}
