//! The mail of docs/hooks.md: who gets a seat that comes free is written to, with the shipped script and a sendmail that
//! keeps what it is given.

use std::path::PathBuf;

use enroll_tests::hook::{Hook, position};
use enroll_tests::pages;
use enroll_tests::process::{Daemon, binary};

#[test]
fn who_gets_a_free_seat_is_written_to_once_and_who_has_no_address_is_not() {
    let daemon = Daemon::start();
    let run = |args: &[&str]| {
        let done = daemon.enrollctl(args, "");
        assert_eq!(done.code, Some(0), "{done:?}");
        done.stdout.trim().to_owned()
    };
    run(&["person", "create", "BOSS"]);
    for (name, extra) in [("DOG", "{}"), ("CAT", r#"{"email":"cat@example.org"}"#), ("ANT", r#"{"team":"red"}"#)] {
        run(&["person", "create", name, "--role", "member", "--extra", extra]);
    }
    let args =
        ["event", "create", "Night hike", "--kind", "hike", "--owner", "BOSS", "--start", "2999-07-01T20:00:00Z"];
    let pool = r#"{"name":"members","capacity":1,"roles":["member"]}"#;
    let more = ["--duration-minutes", "60", "--published", "true", "--pool", pool, "--field", "pk"];
    let event = run(&[&args[..], &more[..]].concat());
    for name in ["DOG", "ANT", "CAT"] {
        run(&["registration", "create", &event, name]);
    }
    let programs = daemon.home.path("programs");
    std::fs::create_dir(&programs).expect("a directory");
    // It says the mail on the runner's output, between two lines.
    let sendmail = programs.join("sendmail");
    std::fs::write(&sendmail, "#!/bin/sh\necho \"begin $*\"\ncat\necho end\n").expect("written");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&sendmail, mode).expect("executable");
    let script = pages::root().join("docs/hooks/mail-seated");
    let mut command = daemon.home.enrollctl(&["changes", "run", "--from", "start", "--position"]);
    command.arg(position(&daemon.home)).args(["--filter", "area=registration", "verb=seated", "--"]).arg(&script);
    let beside = binary("enrollctl").parent().map(PathBuf::from).expect("a directory");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = [programs, beside].into_iter().chain(std::env::split_paths(&path));
    command.env("PATH", std::env::join_paths(places).expect("a path"));
    let hook = Hook::of(&mut command);
    hook.noted("are run");
    // The ant has no address; then it is the cat's turn.
    run(&["registration", "cancel", &event, "DOG"]);
    run(&["registration", "cancel", &event, "ANT"]);
    assert_eq!(hook.said(), "begin -t -i");
    let mut mail = Vec::new();
    while mail.last().is_none_or(|line| line != "end") {
        mail.push(hook.said());
    }
    let mail = mail.join("\n");
    let seq = run(&["changes", "list", "--field", "seq"]).lines().last().map(str::to_owned).expect("changes");
    for words in ["To: cat@example.org\n", &format!("Message-ID: <enrolld-change-{seq}@"), "it is yours: Night hike\n"]
    {
        assert!(mail.contains(words), "{words}: {mail}");
    }
    assert_eq!(hook.stop(), (vec![], Some(0)));
}
