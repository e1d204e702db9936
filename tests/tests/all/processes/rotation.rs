//! Rotation of the secret key: all sealed records open under the new key, spent tokens stay spent, and an interrupted
//! rotation is finished by running it again.

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;

use enroll_tests::process::{Daemon, Home, Output, PATIENCE, run};
use enroll_tests::skip::may_trace;

use super::{Files, expect_enrolled, expect_sound, files};

fn rotate(home: &Home) -> Output {
    let state = home.state_dir().display().to_string();
    run(&mut home.enrolld_with(&["rotate-key", "--state-dir", &state]), "")
}

/// A stopped daemon with records of every sealed or hashed kind; and an unused login code.
fn stopped() -> (Daemon, String) {
    let mut daemon = Daemon::start();
    assert_eq!(daemon.enrollctl(&["person", "create", "DOGGO01a", "--certificate", "generate"], "").code, Some(0));
    assert_eq!(daemon.enrollctl(&["--json", "token", "use", "--key", KEY], "nonce").code, Some(0));
    expect_enrolled(&daemon);
    assert_eq!(daemon.enrollctl(&["certificate", "crl"], "").code, Some(0));
    let code =
        daemon.enrollctl(&["--json", "code", "create", "{}"], "").json()["code"].as_str().expect("a code").to_owned();
    assert_eq!(daemon.terminate(), Some(0));
    (daemon, code)
}

const KEY: &str = "019aab01-997b-774b-bfff-ffffffffffff";

/// Every sealed record opens, and spent tokens are spent.
fn expect_whole(daemon: &mut Daemon, code: &str) {
    daemon.restart();
    let refused = daemon.enrollctl(&["token", "use"], "nonce");
    assert!(refused.stderr.contains("token_reuse"), "{refused:?}");
    let kept = daemon.enrollctl(&["--json", "token", "use", "--key", KEY], "nonce");
    assert_eq!(kept.json()["token"], "nonce", "the first answer again");
    expect_enrolled(daemon);
    assert_eq!(daemon.enrollctl(&["certificate", "key", "DOGGO01a"], "").code, Some(0));
    assert_eq!(daemon.enrollctl(&["certificate", "renew", "DOGGO01a"], "").code, Some(0));
    let jwt = daemon.enrollctl(&["--json", "code", "use"], code).json()["jwt"].as_str().expect("a JWT").to_owned();
    assert_eq!(daemon.enrollctl(&["jwt", "verify"], &jwt).code, Some(0));
    expect_sound(daemon);
    assert_eq!(daemon.terminate(), Some(0));
}

#[test]
fn another_key_opens_everything_and_the_one_before_nothing() {
    let (mut daemon, code) = stopped();
    let file = |name: &str| daemon.home.state_dir().join(name);
    let (key, old) = (file("enrolld.key"), file("enrolld.key.old"));
    let before = fs::read_to_string(&key).expect("a key");
    let rotated = rotate(&daemon.home);
    assert_eq!(rotated.code, Some(0), "{rotated:?}");
    let after = fs::read_to_string(&key).expect("a key");
    assert_ne!(before, after);
    assert_eq!(fs::read_to_string(&old).expect("the key before"), before);
    expect_whole(&mut daemon, &code);
    // The key before is not overwritten: backups from before need it.
    let state = files(&daemon.home.state_dir());
    let refused = rotate(&daemon.home);
    assert_eq!((refused.code, refused.stderr.lines().count()), (Some(1), 1), "{refused:?}");
    assert!(refused.stderr.contains("enrolld.key.old") && refused.stderr.contains("move it"), "{refused:?}");
    assert!(files(&daemon.home.state_dir()) == state, "it was changed");
    // Once more, and the hashes are still those of the first key.
    fs::rename(&old, daemon.home.path("kept.key")).expect("moved");
    assert_eq!(rotate(&daemon.home).code, Some(0));
    daemon.restart();
    assert!(daemon.enrollctl(&["token", "use"], "nonce").stderr.contains("token_reuse"));
    assert_eq!(daemon.terminate(), Some(0));
    // The wrong key starts nothing, rotates nothing and changes nothing.
    fs::remove_file(&old).expect("removed");
    fs::write(&key, &before).expect("written");
    let database = fs::read(daemon.home.state_dir().join("enrolld.redb")).expect("a database");
    let refused = rotate(&daemon.home);
    assert_eq!(refused.code, Some(4), "{refused:?}");
    assert!(refused.stderr.contains("not the secret key"), "{refused:?}");
    assert_eq!(fs::read(daemon.home.state_dir().join("enrolld.redb")).expect("a database"), database);
    assert!(!daemon.home.state_dir().join("enrolld.key.next").exists());
}

#[test]
fn an_interrupted_rotation_is_finished_by_another_one() {
    let (mut daemon, code) = stopped();
    let file = |name: &str| daemon.home.state_dir().join(name);
    let (key, next, old) = (file("enrolld.key"), file("enrolld.key.next"), file("enrolld.key.old"));
    // The database was replaced and the key was not yet.
    assert_eq!(rotate(&daemon.home).code, Some(0));
    fs::rename(&key, &next).expect("renamed");
    fs::rename(&old, &key).expect("renamed");
    let refused = run(&mut daemon.home.enrolld(), "");
    assert_eq!(refused.code, Some(4), "{refused:?}");
    let finished = rotate(&daemon.home);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    expect_whole(&mut daemon, &code);
    // The key before was kept, and the new one had not taken its place.
    fs::rename(&key, &next).expect("renamed");
    fs::copy(&old, &key).expect("copied");
    assert_eq!(rotate(&daemon.home).code, Some(0));
    assert_ne!(fs::read(&key).expect("a key"), fs::read(&old).expect("the key before"));
    assert!(!next.exists());
    // The same state, but another key is kept there.
    fs::rename(&key, &next).expect("renamed");
    fs::rename(&old, &key).expect("renamed");
    fs::write(&old, "an earlier key").expect("written");
    assert_eq!(rotate(&daemon.home).code, Some(1));
    assert_eq!(fs::read_to_string(&old).expect("the earlier key"), "an earlier key");
    fs::remove_file(&old).expect("removed");
    assert_eq!(rotate(&daemon.home).code, Some(0));
    daemon.restart();
    assert_eq!(daemon.terminate(), Some(0));
    // Killed at random moments: either the old or the new database is there, and whole.
    let (mut daemon, code) = stopped();
    for _ in 0..5 {
        let state = daemon.home.state_dir().display().to_string();
        let mut child = daemon.home.enrolld_with(&["rotate-key", "--state-dir", &state]).spawn().expect("started");
        let next = daemon.home.state_dir().join("enrolld.key.next");
        let begun = std::time::Instant::now();
        while !next.exists() && child.try_wait().expect("its state").is_none() {
            assert!(begun.elapsed() < PATIENCE);
            std::thread::yield_now();
        }
        let _ = child.kill();
        child.wait().expect("ended");
    }
    finish(&daemon.home);
    expect_whole(&mut daemon, &code);
}

/// Finishes an interrupted rotation; if it was complete already, the command says so.
fn finish(home: &Home) {
    let file = |name: &str| home.state_dir().join(name);
    let is_complete = file("enrolld.key.old").exists() && !file("enrolld.key.next").exists();
    let finished = rotate(home);
    assert_eq!(finished.code, Some(is_complete.into()), "{finished:?}");
    assert_eq!(finished.stderr.contains("is complete"), is_complete, "{finished:?}");
}

/// Calls that make a rotation durable: it is killed in each of them, or refused by a full disk, one
/// after another.
const STEPS: &[(&str, &str, usize)] = &[
    ("fdatasync", "signal=KILL", 1),
    ("fsync", "signal=KILL", 1),
    ("renameat", "signal=KILL", 1),
    ("unlinkat", "signal=KILL", 1),
    ("pwrite64", "signal=KILL", 11),
    ("pwrite64", "error=ENOSPC", 11),
    ("fdatasync", "error=ENOSPC", 7),
    ("renameat", "error=ENOSPC", 1),
    ("write", "error=ENOSPC", 1),
];

#[test]
fn a_rotation_cut_off_at_any_of_its_steps_is_finished_by_another_one() {
    if !may_trace("a_rotation_cut_off_at_any_of_its_steps_is_finished_by_another_one") {
        return;
    }
    let (mut daemon, code) = stopped();
    let (state, whole) = (daemon.home.state_dir(), files(&daemon.home.state_dir()));
    let name = state.display().to_string();
    for (call, fault, stride) in STEPS {
        let mut steps = 0;
        loop {
            let enrolld = daemon.home.enrolld_with(&["rotate-key", "--state-dir", &name]);
            let mut strace = daemon.home.command("strace".as_ref());
            let step = 1 + steps * stride;
            strace.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("inject={call}:{fault}:when={step}")]);
            strace.arg(enrolld.get_program()).args(enrolld.get_args());
            if run(&mut strace, "").code == Some(0) {
                break;
            }
            steps += 1;
            finish(&daemon.home);
            let checked = run(&mut daemon.home.enrolld_with(&["check", "--state-dir", &name]), "");
            assert_eq!(checked.code, Some(0), "{call} {fault} {step}: {checked:?}");
            fs::remove_dir_all(&state).expect("removed");
            put_back(&state, &whole);
        }
        assert!(steps > 0, "{call} {fault}");
    }
    expect_whole(&mut daemon, &code);
}

/// A state directory as it was.
fn put_back(state: &Path, whole: &Files) {
    fs::DirBuilder::new().mode(0o700).create(state).expect("a directory");
    for (name, (mode, bytes)) in whole {
        fs::write(state.join(name), bytes).expect("written");
        fs::set_permissions(state.join(name), fs::Permissions::from_mode(*mode)).expect("a mode");
    }
}
