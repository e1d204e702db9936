//! Failed starts: the daemon names the obstacle, ends with an exit code of its own, and changes nothing.
//!
//! Each test takes a registry in which a token was spent, puts something in the daemon's way, and compares the state
//! directory byte for byte. Put right again, the registry must still know the token.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use enroll_protocol::server;
use enroll_tests::issuer::Signer;
use enroll_tests::process::{Daemon, Home, Output, run, run_refused};
use enroll_tests::skip::skipped;
use nix::unistd::{Gid, Uid, chown, geteuid};

use super::{expect_sound, files};

/// A registry with a spent token whose daemon was stopped in good order.
fn stopped() -> Daemon {
    let mut daemon = Daemon::start();
    let spent = daemon.enrollctl(&["token", "use"], "nonce");
    assert_eq!(spent.code, Some(0), "{spent:?}");
    assert_eq!(daemon.terminate(), Some(0));
    daemon
}

/// The daemon does not start, says so in one line with these words, and leaves its directory as it was.
fn expect_refused(home: &Home, code: i32, words: &[&str]) {
    let before = files(&home.state_dir());
    let output = run_refused(&mut home.enrolld());
    expect_said(&output, code, words);
    let after = files(&home.state_dir());
    let names = |files: &super::Files| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&after), names(&before));
    let changed: Vec<_> = before.iter().filter(|(name, file)| after[*name] != **file).map(|(name, _)| name).collect();
    assert!(changed.is_empty(), "changed: {changed:?}");
    assert!(!home.socket().exists(), "a daemon that does not start has no socket");
}

fn expect_said(output: &Output, code: i32, words: &[&str]) {
    assert_eq!(output.code, Some(code), "{output:?}");
    assert_eq!(output.stdout, "", "{output:?}");
    let printed: Vec<&str> = output.stderr.lines().filter(|line| line.starts_with("enrolld: ")).collect();
    assert_eq!(printed.len(), 1, "one line says why: {output:?}");
    for word in words {
        assert!(printed[0].contains(word), "{word} is not in: {}", printed[0]);
    }
}

/// Put right again, it starts and still knows the token.
fn expect_intact(mut daemon: Daemon) {
    daemon.restart();
    let again = daemon.enrollctl(&["token", "use"], "nonce");
    assert!(again.stderr.contains("token_reuse"), "{again:?}");
    expect_sound(&daemon);
}

#[test]
fn a_second_daemon_on_the_same_directory_names_it() {
    let daemon = Daemon::start();
    let state_dir = daemon.home.state_dir();
    let output = run_refused(&mut daemon.home.enrolld_at(&state_dir, &daemon.home.path("other.sock")));
    expect_said(&output, 3, &[&state_dir.display().to_string(), "in use"]);
    assert!(!daemon.home.path("other.sock").exists());
    expect_said(&run_refused(&mut daemon.home.enrolld()), 3, &["in use"]);
    expect_sound(&daemon);
}

#[test]
fn a_second_daemon_on_the_same_socket_does_not_take_it_away() {
    let daemon = Daemon::start();
    let output = run_refused(&mut daemon.home.enrolld_at(&daemon.home.path("other"), &daemon.home.socket()));
    expect_said(&output, 1, &[&daemon.home.socket().display().to_string(), "listens"]);
    expect_sound(&daemon);
}

#[test]
fn a_missing_key_is_not_made_anew_over_a_database() {
    let daemon = stopped();
    let (key, away) = (daemon.home.state_dir().join("enrolld.key"), daemon.home.path("key"));
    std::fs::rename(&key, &away).expect("moved");
    expect_refused(&daemon.home, 4, &["enrolld.key is missing", "enrolld.redb", "backup"]);
    std::fs::rename(&away, &key).expect("moved back");
    expect_intact(daemon);
}

#[test]
fn another_key_is_noticed_and_nothing_is_written_with_it() {
    let daemon = stopped();
    let key = daemon.home.state_dir().join("enrolld.key");
    let right = std::fs::read(&key).expect("a key");
    let stranger = stopped();
    let other = stranger.home.state_dir().join("enrolld.key");
    for (wrong, words) in [
        (std::fs::read(other).expect("a key"), "not the secret key"),
        (b"no key at all\n".to_vec(), "does not hold a key"),
        (right[..20].to_vec(), "does not hold a key"),
        (Vec::new(), "does not hold a key"),
    ] {
        std::fs::write(&key, wrong).expect("written");
        expect_refused(&daemon.home, 4, &[words]);
    }
    std::fs::write(&key, right).expect("written");
    expect_intact(daemon);
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let daemon = stopped();
    let key = daemon.home.state_dir().join("enrolld.key");
    let set_mode = |mode| std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).expect("set");
    set_mode(0o644);
    expect_refused(&daemon.home, 4, &["enrolld.key", "644", "chmod 600"]);
    set_mode(0o600);
    expect_intact(daemon);
}

#[test]
fn a_damaged_database_is_left_for_its_owner_to_look_at() {
    let daemon = stopped();
    let database = daemon.home.state_dir().join("enrolld.redb");
    let right = std::fs::read(&database).expect("a database");
    let mut flipped = right.clone();
    flipped[..512].iter_mut().for_each(|byte| *byte ^= 0x55);
    // Somewhere in the middle, where only a checksum tells.
    let used = right.iter().rposition(|byte| *byte != 0).expect("something is written");
    let mut scattered = right.clone();
    scattered[4096..used].iter_mut().step_by(97).for_each(|byte| *byte ^= 0x10);
    for damage in [
        b"this is no database".repeat(5000),
        right[..right.len() / 2].to_vec(),
        flipped,
        scattered,
        vec![0; right.len()],
    ] {
        std::fs::write(&database, damage).expect("written");
        expect_refused(&daemon.home, 5, &["enrolld.redb"]);
    }
    std::fs::write(&database, right).expect("written");
    expect_intact(daemon);
}

/// Taken for a new database, it would make every spent token fresh. No crash of ours leaves one: a new database gets
/// its name when it is whole.
#[test]
fn an_empty_database_file_is_not_taken_for_a_new_one() {
    let daemon = stopped();
    let database = daemon.home.state_dir().join("enrolld.redb");
    let right = std::fs::read(&database).expect("a database");
    std::fs::write(&database, "").expect("written");
    expect_refused(&daemon.home, 5, &["enrolld.redb"]);
    std::fs::write(&database, right).expect("written");
    expect_intact(daemon);
}

#[test]
fn a_file_in_the_place_of_the_socket_is_not_touched() {
    let home = Home::make();
    std::fs::create_dir(home.path("run")).expect("a directory");
    std::fs::write(home.socket(), "precious").expect("written");
    let output = run_refused(&mut home.enrolld());
    expect_said(&output, 1, &[&home.socket().display().to_string(), "not a socket"]);
    assert_eq!(std::fs::read_to_string(home.socket()).expect("a file"), "precious");
}

#[test]
fn a_symbolic_link_in_the_place_of_the_socket_is_not_followed() {
    let home = Home::make();
    std::fs::create_dir(home.path("run")).expect("a directory");
    for target in ["enrolld.toml", "nowhere"] {
        std::os::unix::fs::symlink(home.path(target), home.socket()).expect("a link");
        let output = run_refused(&mut home.enrolld());
        expect_said(&output, 1, &[&home.socket().display().to_string(), "not a socket", "--socket"]);
        assert!(!home.path("nowhere").exists() && home.socket().is_symlink());
        std::fs::remove_file(home.socket()).expect("removed");
    }
}

#[test]
fn a_directory_that_others_can_write_to_is_refused() {
    let daemon = stopped();
    let home = &daemon.home;
    let set_mode = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("set");
    };
    // Sticky or not: no other user may write to the state directory or to the socket's.
    for (path, before) in [(home.state_dir(), 0o700), (home.path("run"), 0o750)] {
        for mode in [0o777, 0o1777, 0o770] {
            set_mode(&path, mode);
            expect_said(
                &run_refused(&mut home.enrolld()),
                1,
                &[&path.display().to_string(), &format!("{mode:o}"), "chmod go-w"],
            );
        }
        set_mode(&path, before);
    }
    // A user who can write to a directory above could replace them, unless that directory is sticky, such as /tmp.
    set_mode(&home.path(""), 0o777);
    let above = home.path("").display().to_string();
    let mut without_config = home.enrolld_with(&["--config", "/dev/null"]);
    without_config.arg("--state-dir").arg(home.state_dir()).arg("--socket").arg(home.socket());
    expect_said(&run_refused(&mut without_config), 1, &[above.trim_end_matches('/'), "777", "chmod o-w"]);
    set_mode(&home.path(""), 0o1777);
    expect_intact(daemon);
}

#[test]
fn a_directory_of_somebody_else_is_refused_and_one_that_is_not_writable_too() {
    const STRANGER: u32 = 65_533;
    if !geteuid().is_root() {
        let home = Home::make();
        std::fs::create_dir(home.state_dir()).expect("made");
        std::fs::set_permissions(home.state_dir(), std::fs::Permissions::from_mode(0o500)).expect("set");
        expect_said(&run_refused(&mut home.enrolld()), 1, &["lock: Permission denied", "runs as uid"]);
        skipped(
            "a_directory_of_somebody_else_is_refused_and_one_that_is_not_writable_too",
            "needs root for half of it",
        );
        return;
    }
    let daemon = stopped();
    let (home, state_dir) = (&daemon.home, daemon.home.state_dir());
    let give_to = |path: &Path, uid: u32| {
        chown(path, Some(Uid::from_raw(uid)), Some(Gid::from_raw(uid))).expect("given away");
    };
    for path in [state_dir.clone(), home.path("run")] {
        give_to(&path, STRANGER);
        expect_said(
            &run_refused(&mut home.enrolld()),
            1,
            &[&path.display().to_string(), "belongs to uid 65533", "runs as uid 0"],
        );
        give_to(&path, 0);
    }
    // The daemon runs as the stranger, whose directory it is but for the right to write.
    let other = Home::make();
    std::fs::create_dir(other.state_dir()).expect("made");
    for (path, mode) in [(other.path(""), 0o755), (other.state_dir(), 0o500)] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("set");
    }
    give_to(&other.state_dir(), STRANGER);
    let enrolld = other.path("enrolld");
    assert!(Command::new("cp").arg(other.enrolld().get_program()).arg(&enrolld).status().expect("cp").success());
    let mut command = other.command(&enrolld);
    command.args(other.enrolld().get_args()).uid(STRANGER).gid(STRANGER);
    expect_said(&run_refused(&mut command), 1, &["lock: Permission denied", "runs as uid 65533"]);
    expect_intact(daemon);
}

/// The kernel refuses to let files grow, as a full disk would; with a higher limit each time, so that each file in turn
/// fails to fit.
#[test]
fn a_full_disk_stops_a_start_and_leaves_no_half_of_anything() {
    let home = Home::make();
    for (blocks, words) in [("0", "enrolld.key"), ("8", "enrolld.redb"), ("1024", "disk")] {
        let enrolld = home.enrolld();
        let mut limited = home.command("sh".as_ref());
        limited.arg("-c").arg(format!("ulimit -f {blocks}; exec \"$0\" \"$@\""));
        limited.arg(enrolld.get_program()).args(enrolld.get_args());
        expect_said(&run_refused(&mut limited), 6, &[words, "File too large", "file size limit", "then start again"]);
    }
    let mut daemon = home.start();
    assert_eq!(daemon.enrollctl(&["token", "use"], "nonce").code, Some(0));
    assert_eq!(daemon.terminate(), Some(0));
    expect_intact(daemon);
}

/// Another daemon can lock the new file; the database's own lock then stops it.
#[test]
fn a_replaced_lock_does_not_let_a_second_daemon_in() {
    let mut daemon = Daemon::start();
    let lock = daemon.home.state_dir().join("lock");
    for replace in
        [|lock: &Path| std::fs::remove_file(lock), |lock: &Path| std::fs::rename(lock, lock.with_extension("x"))]
    {
        replace(&lock).expect("taken away");
        let output =
            run_refused(&mut daemon.home.enrolld_at(&daemon.home.state_dir(), &daemon.home.path("other.sock")));
        expect_said(&output, 3, &["enrolld.redb", "in use by another enrolld", "--state-dir"]);
        expect_said(&run_refused(&mut daemon.home.enrolld()), 3, &["in use"]);
    }
    expect_sound(&daemon);
    assert_eq!(daemon.terminate(), Some(0));
    assert!(!daemon.home.socket().exists());
}

#[test]
fn a_daemon_that_ends_leaves_the_socket_of_another_where_it_is() {
    let mut first = Daemon::start();
    std::fs::remove_file(first.home.socket()).expect("taken away");
    let home = Home::make();
    let mut enrolld = home.enrolld_at(&home.state_dir(), &first.home.socket());
    let _second = home.start_with(&mut enrolld);
    assert_eq!(first.terminate(), Some(0));
    expect_sound(&first);
}

#[test]
fn a_socket_path_that_the_kernel_does_not_take_is_named() {
    let home = Home::make();
    let long = home.path(&"x".repeat(108));
    let output = run_refused(&mut home.enrolld_at(&home.state_dir(), &long));
    expect_said(&output, 1, &[&long.display().to_string(), "107 bytes", "--socket"]);
}

#[test]
fn a_wrong_configuration_is_an_error_that_names_the_key() {
    let home = Home::make();
    for (toml, word) in [
        ("sokcet = \"/x\"", "line 1, sokcet: there is no key \"sokcet\" here; did you mean \"socket\"?"),
        ("[grants]\nadmin = [\"no-such-user-here\"]", "no-such-user-here"),
        (
            "[jwt]\nlifetime_seconds = \"-----BEGIN PRIVATE KEY----- S3CRET\"",
            "line 2, lifetime_seconds: invalid type: string, expected u64",
        ),
        ("[server]\n-----BEGIN PRIVATE KEY----- S3CRET", "line 2"),
        ("log = \"enrolld=loud\"", "log"),
        ("[server]\nthreads = \"two\"", "threads"),
    ] {
        home.configure(toml);
        let output = run_refused(&mut home.enrolld());
        assert_eq!(output.code, Some(2), "{toml}: {output:?}");
        assert!(output.stderr.contains(word), "{toml}: {output:?}");
        assert!(!output.stderr.contains("S3CRET"), "{toml}: {output:?}");
        assert!(!home.state_dir().exists(), "{toml}: nothing is made for a wrong configuration");
    }
}

/// Another program may have set it, so it keeps nobody from starting.
#[test]
fn a_variable_that_is_no_key_is_a_warning_of_the_running_daemon() {
    let mut daemon = Home::make().with("ENROLLD_SOKCET", "/x").start();
    let status = daemon.client().call(server::Status {}).expect("a status");
    let of = |warning: &enroll_protocol::finding::Finding| (warning.topic.clone(), warning.subject.clone());
    let warnings: Vec<_> = status.warnings.iter().map(of).collect();
    assert_eq!(warnings, [("environment".to_owned(), "ENROLLD_SOKCET".to_owned())]);
    assert!(status.warnings[0].message.contains("ENROLLD_SOCKET"), "{:?}", status.warnings[0]);
    assert!(daemon.log().contains("ENROLLD_SOKCET"), "{}", daemon.log());
    assert_eq!(daemon.terminate(), Some(0));
    let state_dir = daemon.home.state_dir().display().to_string();
    let checked = run(&mut daemon.home.enrolld_with(&["check", "--state-dir", &state_dir]), "");
    assert!(checked.code == Some(0) && checked.stderr.contains("ENROLLD_SOKCET"), "{checked:?}");
}

/// A user who was removed and a file of keys that is empty cost nobody else anything.
#[test]
fn what_is_wrong_with_one_element_is_a_warning_and_costs_the_others_nothing() {
    let home = Home::make();
    let (empty, set) = (home.path("empty.json"), home.path("set.json"));
    std::fs::write(&empty, "").expect("written");
    let usable = Signer::ec()
        .set("good")
        .replace("{\"keys\":[", "{\"keys\":[{\"kty\":\"oct\",\"k\":\"S3CRET\",\"kid\":\"odd\"},");
    std::fs::write(&set, usable).expect("written");
    let trusted = |name: &str, keys: &Path| {
        let keys = keys.display();
        format!("[[jwt.trusted]]\nissuer = \"https://{name}\"\naudience = \"enrolld\"\nkeys = \"{keys}\"\n")
    };
    home.configure(&format!(
        "[grants]\nread = [\"user:no-such-user-here\"]\n\
         [guesses]\ncount_together = [[\"user:4000\", \"user:no-such-user-there\"]]\n{}{}{}",
        trusted("empty", &empty),
        trusted("set", &set),
        trusted("missing", &home.path("nowhere")),
    ));
    let checked = run_refused(home.enrolld().arg("--check-config"));
    let daemon = home.start();
    let status = daemon.client().call(server::Status {}).expect("a status");
    let printed =
        status.warnings.iter().map(|warning| format!("{} {} {}", warning.topic, warning.subject, warning.message));
    let printed: Vec<String> = printed.collect();
    assert_eq!(printed.len(), 5, "{printed:#?}");
    for words in [
        &["grants", "no-such-user-here", "grants nothing"],
        &["guesses", "there is no user no-such-user-there", "counted with nobody else's"],
        &["issuers", "https://empty", "no public key in it; its JWTs are refused"],
        &["issuers", "https://missing", "its JWTs are refused"],
        &["issuers", "https://set", "\"odd\""],
    ] {
        let has_words = |text: &str| words.iter().all(|word| text.contains(word));
        assert!(printed.iter().any(|printed| has_words(printed)), "{words:?}: {printed:#?}");
        assert!(checked.stderr.lines().any(|line| words[1..].iter().all(|word| line.contains(word))), "{checked:?}");
    }
    let metrics = daemon.client().call(server::Metrics {}).expect("metrics");
    assert!(metrics.contains("enrolld_warnings{topic=\"issuers\"} 3"), "{metrics}");
    for text in [&daemon.log(), &checked.stderr, &printed.concat()] {
        assert!(!text.contains("S3CRET"), "{text}");
    }
}

#[test]
fn a_directory_that_can_not_be_made_is_named() {
    let home = Home::make();
    std::fs::write(home.path("file"), "").expect("written");
    let below = home.path("file/state");
    expect_said(&run_refused(&mut home.enrolld_at(&below, &home.socket())), 1, &[&below.display().to_string()]);
    let below = home.path("file/enrolld.sock");
    let output = run_refused(&mut home.enrolld_at(Path::new(&home.state_dir()), &below));
    expect_said(&output, 1, &[&below.display().to_string()]);
}
