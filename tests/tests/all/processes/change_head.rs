//! A head of the chain of changes that is kept in a file, compared by the daemon and by `enrolld check`.

use std::path::{Path, PathBuf};

use enroll_tests::process::{Daemon, Home, Output, run};

fn kept(daemon: &Daemon, name: &str) -> PathBuf {
    let head = daemon.enrollctl(&["changes", "head", "--json"], "");
    assert_eq!(head.code, Some(0), "{head:?}");
    let file = daemon.home.path(name);
    std::fs::write(&file, head.stdout).expect("written");
    file
}

fn compared(daemon: &Daemon, file: &Path) -> Output {
    daemon.enrollctl(&["server", "check", "--head", &file.display().to_string()], "")
}

fn compared_offline(home: &Home, file: &Path) -> Output {
    let (state, file) = (home.state_dir().display().to_string(), file.display().to_string());
    run(&mut home.enrolld_with(&["check", "--state-dir", &state, "--head", &file]), "")
}

fn spend(daemon: &Daemon, tokens: impl IntoIterator<Item = usize>) {
    for token in tokens {
        assert_eq!(daemon.enrollctl(&["token", "use"], &format!("nonce {token}")).code, Some(0));
    }
}

#[test]
fn a_head_stays_right_as_the_feed_grows_over_restarts_and_a_rotation() {
    let mut daemon = Daemon::start();
    spend(&daemon, 0..3);
    let head = kept(&daemon, "heads");
    spend(&daemon, 3..5);
    assert_eq!(compared(&daemon, &head).code, Some(0));
    assert_eq!(daemon.terminate(), Some(0));
    let offline = compared_offline(&daemon.home, &head);
    assert_eq!(offline.code, Some(0), "{offline:?}");
    let state = daemon.home.state_dir().display().to_string();
    assert_eq!(run(&mut daemon.home.enrolld_with(&["rotate-key", "--state-dir", &state]), "").code, Some(0));
    assert_eq!(compared_offline(&daemon.home, &head).code, Some(0));
    daemon.restart();
    spend(&daemon, 5..7);
    let both = compared(&daemon, &head);
    assert_eq!((both.code, both.stdout.as_str()), (Some(0), ""), "{both:?}");
}

#[test]
fn another_past_is_told_with_the_number_of_the_change() {
    let mut daemon = Daemon::start();
    spend(&daemon, 0..3);
    let backup = daemon.home.path("registry.backup").display().to_string();
    assert_eq!(daemon.enrollctl(&["server", "backup", &backup], "").code, Some(0));
    spend(&daemon, 3..6);
    let head = kept(&daemon, "heads");
    let line = std::fs::read_to_string(&head).expect("text");
    let at = line.find("\"mac\":\"").expect("a MAC") + 7;
    let other = daemon.home.path("other");
    let digit = if line.as_bytes()[at] == b'0' { "1" } else { "0" };
    std::fs::write(&other, [&line[..at], digit, &line[at + 1..]].concat()).expect("written");
    let told = compared(&daemon, &other);
    assert_eq!(told.code, Some(1), "{told:?}");
    assert!(told.stdout.contains("I27") && told.stdout.contains("\t6\t"), "{told:?}");
    assert_eq!(daemon.terminate(), Some(0));
    let told = compared_offline(&daemon.home, &other);
    assert_eq!(told.code, Some(5), "{told:?}");
    assert!(told.stdout.starts_with("I27 6: "), "{told:?}");
    // Somebody puts an older state back.
    let older = Home::make();
    std::fs::create_dir(older.state_dir()).expect("a directory");
    std::fs::copy(daemon.home.state_dir().join("enrolld.key"), older.state_dir().join("enrolld.key")).expect("copied");
    let state = older.state_dir().display().to_string();
    let restored = run(&mut older.enrolld_with(&["restore", &backup, "--state-dir", &state]), "");
    assert_eq!(restored.code, Some(0), "{restored:?}");
    let told = compared_offline(&older, &head);
    assert_eq!(told.code, Some(5), "{told:?}");
    assert!(told.stdout.contains("later change than the latest one here"), "{told:?}");
}

#[test]
fn a_file_that_holds_no_head_is_refused_before_anything_is_asked() {
    let mut daemon = Daemon::start();
    let file = daemon.home.path("heads");
    for text in [
        "",
        "\n\n",
        "seq 3\n",
        "{\"seq\":3}\n",
        "{\"seq\":3,\"mac\":\"short\",\"from\":0,\"at\":\"2026-01-01T00:00:00Z\"}",
    ] {
        std::fs::write(&file, text).expect("written");
        let refused = compared(&daemon, &file);
        assert_eq!(refused.code, Some(2), "{text}: {refused:?}");
        assert!(refused.stderr.contains("head"), "{refused:?}");
    }
    let missing = compared(&daemon, Path::new("/nowhere/heads"));
    assert_eq!(missing.code, Some(2), "{missing:?}");
    assert_eq!(daemon.terminate(), Some(0));
    let refused = compared_offline(&daemon.home, &file);
    assert_eq!(refused.code, Some(2), "{refused:?}");
}
