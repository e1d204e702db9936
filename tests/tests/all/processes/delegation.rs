//! Grants and delegation with real users: what a peer may call is decided by the uid that the kernel names.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use enroll_client::blocking::Client;
use enroll_client::protocol::{Code, Jwt, code, person};
use enroll_tests::neighbours::become_user;
use enroll_tests::process::{Daemon, Home, Output, binary, run};
use enroll_tests::skip::is_root;
use serde_json::{Value, json};

const METRICS: u32 = 64_001;
const READER: u32 = 64_002;
const OPERATOR: u32 = 64_003;
const TRUSTED: u32 = 64_004;
const KIOSK: u32 = 64_005;
const PORTAL: u32 = 64_006;
const DESK: u32 = 64_007;

const CONFIGURATION: &str = r#"
[grants]
metrics = ["user:64001"]
read = ["user:64002"]
operate = ["user:64003", "user:64004", "user:64005", "user:64006"]
decide = ["user:64007"]
superusers_through = ["user:64004"]
[grants.act_for]
"user:64005" = ["role:member"]
[grants.actors]
"user:64006" = "proven"
"#;

/// A daemon that these users can reach, and its people: a superuser, a member, and somebody else.
fn start() -> Daemon {
    let home = Home::make();
    home.configure(CONFIGURATION);
    let daemon = home.start();
    let copied = Command::new("cp").arg(binary("enrollctl")).arg(daemon.home.path("enrollctl")).status();
    assert!(copied.expect("cp").success());
    for (path, mode) in [("", 0o755), ("run", 0o755), ("run/enrolld.sock", 0o666)] {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(daemon.home.path(path), mode).expect("opened");
    }
    for args in [
        &["person", "create", "BOSS", "--role", "superuser"][..],
        &["person", "create", "DOG", "--role", "member", "--extra", r#"{"secret":1}"#],
        &["person", "create", "CAT"],
    ] {
        assert_eq!(daemon.enrollctl(args, "").code, Some(0), "{args:?}");
    }
    daemon
}

/// A session of this person.
fn session(daemon: &Daemon, sub: &str) -> Jwt {
    let client = daemon.client();
    let claims = json!({ "sub": sub }).to_string().parse().expect("claims");
    let made = client.call(code::Create::new(claims)).expect("made");
    client.call(code::Use::new(made.code.expect("a code"))).expect("exchanged").jwt.expect("a JWT")
}

/// Runs `enrollctl` as this user.
fn as_user(daemon: &Daemon, uid: u32, args: &[&str], stdin: &str) -> Output {
    let mut command = daemon.home.command(&daemon.home.path("enrollctl"));
    command.arg("--socket").arg(daemon.home.socket()).args(args).uid(uid).gid(uid);
    run(&mut command, stdin)
}

fn expect(daemon: &Daemon, uid: u32, args: &[&str], stdin: &str, is_allowed: bool) {
    let output = as_user(daemon, uid, args, stdin);
    if is_allowed {
        assert_eq!(output.code, Some(0), "{uid} {args:?}: {output:?}");
    } else {
        assert_eq!(output.code, Some(1), "{uid} {args:?}: {output:?}");
        assert!(output.stderr.contains("permission_denied"), "{uid} {args:?}: {output:?}");
    }
}

#[test]
fn each_user_does_what_their_grant_and_delegation_allow() {
    if !is_root("each_user_does_what_their_grant_and_delegation_allow") {
        return;
    }
    let daemon = start();
    let own = |who| ["--as", who, "person", "get", who];
    for (uid, args, is_allowed) in [
        (METRICS, &["server", "status"][..], true),
        (METRICS, &["server", "metrics"], true),
        (METRICS, &["person", "list"], false),
        (METRICS, &["certificate", "ca"], false),
        (READER, &["person", "list"], true),
        (READER, &["server", "metrics"], true),
        (READER, &["--origin", "::1", "person", "list"], false),
        (READER, &["person", "create", "NEW"], false),
        (OPERATOR, &own("DOG"), true),
        (OPERATOR, &own("BOSS"), false),
        (OPERATOR, &["--as", "BOSS", "server", "export"], false),
        (OPERATOR, &["person", "update", "DOG", "{}"], false),
        (OPERATOR, &["code", "create", r#"{"sub":"BOSS"}"#], false),
        (TRUSTED, &own("BOSS"), true),
        (TRUSTED, &["--as", "BOSS", "permission", "grant", "member", "/"], false),
        (KIOSK, &own("DOG"), true),
        (KIOSK, &own("CAT"), false),
        (KIOSK, &["person", "list"], false),
        (KIOSK, &["certificate", "ca"], true),
        (DESK, &["person", "update", "DOG", r#"{"secret":1}"#], true),
        (DESK, &["person", "delete", "BOSS"], false),
        (DESK, &["role", "assign", "CAT", "superuser"], false),
        (DESK, &["permission", "grant", "member", "/"], false),
    ] {
        expect(&daemon, uid, args, "", is_allowed);
    }
    let seen = |uid| as_user(&daemon, uid, &["--json", "person", "get", "DOG"], "").json()["extra"].clone();
    assert_eq!((seen(READER), seen(OPERATOR)), (json!({}), json!({"secret": 1})));
}

#[test]
fn a_session_proves_an_actor_on_the_command_line_in_a_pipe_and_in_the_client() {
    if !is_root("a_session_proves_an_actor_on_the_command_line_in_a_pipe_and_in_the_client") {
        return;
    }
    let daemon = start();
    let (dog, boss) = (session(&daemon, "DOG"), session(&daemon, "BOSS"));
    expect(&daemon, PORTAL, &["--as", "DOG", "person", "get", "DOG"], "", false);
    expect(&daemon, PORTAL, &["person", "get", "DOG"], "", false);
    expect(&daemon, PORTAL, &["--as-jwt", "person", "get", "DOG"], dog.as_str(), true);
    expect(&daemon, PORTAL, &["--as-jwt", "person", "get", "CAT"], dog.as_str(), false);
    expect(&daemon, PORTAL, &["--as-jwt", "person", "get", "BOSS"], boss.as_str(), false);
    let forged = as_user(&daemon, PORTAL, &["--as-jwt", "person", "get", "DOG"], "a.b.c");
    assert!(forged.code == Some(1) && forged.stderr.contains("jwt_invalid"), "{forged:?}");

    let lines = [
        json!({"op": "person.get", "args": {"person": "DOG"}, "actor_jwt": dog.as_str()}),
        json!({"op": "person.get", "args": {"person": "DOG"}, "actor": "DOG"}),
        json!({"op": "person.get", "args": {"person": "DOG"}, "actor_jwt": "a.b.c"}),
        json!({"op": "person.get", "args": {"person": "DOG"}, "actor_jwt": dog.as_str(), "actor": "DOG"}),
    ];
    let input: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let answers = as_user(&daemon, PORTAL, &["call"], &input);
    let answers: Vec<Value> = answers.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(answers[0]["ok"]["callsign"], "DOG", "{answers:?}");
    let codes: Vec<&Value> = answers[1..].iter().map(|answer| &answer["error"]["code"]).collect();
    assert_eq!(codes, ["permission_denied", "jwt_invalid", "invalid_argument"]);

    let (socket, session) = (daemon.home.socket(), dog.clone());
    let got = std::thread::spawn(move || {
        become_user(PORTAL);
        let client = Client::connect(socket).expect("a connection");
        let get = |name: &str| person::Get::new(name.parse().expect("a name"));
        let portal = client.as_proven(session.clone());
        let refused = portal.call(get("CAT")).expect_err("refused");
        let named = client.as_actor("DOG".parse().expect("a name")).call(get("DOG")).expect_err("refused");
        let codes = [refused, named].map(|error| error.refusal().map(|refusal| refusal.code));
        assert_eq!(codes, [Some(Code::PERMISSION_DENIED); 2]);
        let once = client.request(get("DOG")).proven(session).send().expect("a person");
        (once.callsign, portal.call(get("DOG")).expect("a person").callsign)
    });
    let got = got.join().expect("no panic");
    assert_eq!((got.0.as_str(), got.1.as_str()), ("DOG", "DOG"));
    let feed = daemon.enrollctl(&["--json", "changes", "list"], "");
    for text in [&feed.stdout, &daemon.log()] {
        assert!(!text.contains(dog.as_str()), "a JWT is written down: {text}");
    }
}

#[test]
fn a_session_is_read_from_standard_input_alone() {
    let home = Home::make();
    home.configure("");
    let daemon = home.start();
    for (args, stdin, words) in [
        (&["--as-jwt", "call"][..], "", "actor_jwt"),
        (&["--as-jwt", "tour"], "", "tour has no --as-jwt"),
        (&["--as-jwt", "--as", "DOG", "server", "status"], "", "--as"),
        (&["--as-jwt", "server", "status"], "", "standard input is empty"),
        (&["--as-jwt", "server", "status"], "a\nb", "more than one line"),
        (&["--as-jwt", "code", "use"], "a.b.c", "standard input holds the session JWT"),
        (&["--as-jwt", "server", "import", "-"], "a.b.c", "standard input holds the session JWT"),
    ] {
        let refused = daemon.enrollctl(args, stdin);
        assert_eq!(refused.code, Some(2), "{args:?}: {refused:?}");
        assert!(refused.stderr.contains(words), "{args:?}: {refused:?}");
    }
}
