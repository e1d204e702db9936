//! Files that steer the daemon: one that others can write to, or replace, keeps a start and a reload from being done.

use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::Path;

use enroll_tests::process::{Daemon, Home, run, run_refused};
use enroll_tests::skip::is_root;
use nix::sys::signal::Signal;

/// A user of no importance.
const OTHER: u32 = 12_345;

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a mode");
}

/// A directory with a configuration that names every file that steers the daemon, each in a directory of its own.
fn configured() -> Home {
    let home = Home::make();
    for name in ["issuer", "lists"] {
        std::fs::create_dir(home.path(name)).expect("made");
        mode(&home.path(name), 0o755);
    }
    std::fs::write(home.path("issuer/keys.json"), "{\"keys\":[]}").expect("written");
    mode(&home.path("issuer/keys.json"), 0o644);
    let (keys, list) = (home.path("issuer/keys.json"), home.path("lists/crl.pem"));
    home.configure(&format!(
        "[certificates]\ncrl_file = {list:?}\n[[jwt.trusted]]\nissuer = \"a\"\naudience = \"b\"\nkeys = {keys:?}\n"
    ));
    mode(&home.path("enrolld.toml"), 0o644);
    home
}

/// Files and directories, each with a mode that is refused, and the mode that mends it.
const WRONG: [(&str, u32, u32); 6] = [
    ("enrolld.toml", 0o664, 0o644),
    ("enrolld.toml", 0o646, 0o644),
    ("issuer/keys.json", 0o666, 0o644),
    ("issuer", 0o775, 0o755),
    ("lists", 0o777, 0o755),
    ("", 0o770, 0o700),
];

#[test]
fn neither_start_nor_check_takes_what_others_can_write_to() {
    let home = configured();
    for (part, wrong, right) in WRONG {
        let path = home.path(part);
        mode(&path, wrong);
        let command = format!("chmod go-w {}", path.display()).trim_end_matches('/').to_owned();
        for enrolld in [&mut home.enrolld(), home.enrolld().arg("--check-config")] {
            let refused = run_refused(enrolld);
            assert_eq!(refused.code, Some(2), "{part} {wrong:o}: {refused:?}");
            assert!(refused.stderr.contains(&command), "{part} {wrong:o}: {refused:?}");
        }
        mode(&path, right);
    }
    let checked = run(home.enrolld().arg("--check-config"), "");
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert_eq!(home.start().terminate(), Some(0));
}

#[test]
fn offline_commands_do_not_take_such_a_configuration() {
    let mut daemon = Daemon::start();
    assert_eq!(daemon.terminate(), Some(0));
    let home = &daemon.home;
    mode(&home.path("enrolld.toml"), 0o666);
    for command in ["check", "compact", "rotate-key"] {
        let mut enrolld = home.enrolld_with(&[command, "--config"]);
        let refused = run(enrolld.arg(home.path("enrolld.toml")).arg("--state-dir").arg(home.state_dir()), "");
        assert_eq!(refused.code, Some(2), "{command}: {refused:?}");
        assert!(refused.stderr.contains("chmod go-w"), "{command}: {refused:?}");
    }
}

/// Asks for a reload and waits until the log has said so many times that one failed or was done.
fn reload(daemon: &Daemon, failed: usize, done: usize) {
    daemon.signal(Signal::SIGHUP);
    let has = |words: &str, times| daemon.log().matches(words).count() >= times;
    let until = std::time::Instant::now() + enroll_tests::process::PATIENCE;
    while !(has("the reload failed", failed) && has("and is in force", done)) {
        assert!(std::time::Instant::now() < until, "{}", daemon.log());
        std::thread::yield_now();
    }
}

#[test]
fn a_reload_does_not_take_what_others_can_write_to() {
    let mut daemon = configured().start();
    for (times, (part, wrong, right)) in WRONG.into_iter().enumerate() {
        mode(&daemon.home.path(part), wrong);
        reload(&daemon, times + 1, 0);
        mode(&daemon.home.path(part), right);
    }
    assert_eq!(daemon.log().matches("chmod go-w").count(), WRONG.len(), "{}", daemon.log());
    reload(&daemon, WRONG.len(), 1);
    assert_eq!(daemon.terminate(), Some(0));
}

#[test]
fn what_belongs_to_somebody_else_is_refused_and_the_way_to_a_link_s_target_counts() {
    if !is_root("what_belongs_to_somebody_else_is_refused_and_the_way_to_a_link_s_target_counts") {
        return;
    }
    let home = configured();
    let theirs = tempfile::tempdir().expect("a directory");
    std::fs::copy(home.path("issuer/keys.json"), theirs.path().join("keys.json")).expect("copied");
    std::fs::remove_file(home.path("issuer/keys.json")).expect("removed");
    symlink(theirs.path().join("keys.json"), home.path("issuer/keys.json")).expect("a link");
    let expect_refused = |path: &Path| {
        let refused = run_refused(&mut home.enrolld());
        let words = format!("{}: belongs to uid {OTHER}", path.display());
        assert!(refused.code == Some(2) && refused.stderr.contains(&words), "{refused:?}");
    };
    chown(theirs.path(), Some(OTHER), None).expect("root may");
    expect_refused(theirs.path());
    chown(theirs.path(), Some(0), None).expect("root may");
    chown(theirs.path().join("keys.json"), Some(OTHER), None).expect("root may");
    expect_refused(&theirs.path().join("keys.json"));
    chown(theirs.path().join("keys.json"), Some(0), None).expect("root may");
    chown(home.path("enrolld.toml"), Some(OTHER), None).expect("root may");
    expect_refused(&home.path("enrolld.toml"));
    chown(home.path("enrolld.toml"), Some(0), None).expect("root may");
    assert_eq!(home.start().terminate(), Some(0));
}
