//! The examples in the help of every command, which are also those of the manual pages: each is run by a shell as it
//! stands. Its daemon has the records that examples name; only what a daemon chooses itself, and places that belong to
//! the machine, are replaced.

use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::thread;

use enroll_man::{Example, examples};
use enroll_tests::openssl::OpenSsl;
use enroll_tests::process::{Daemon, Home, Output, binary, run};

const TEST: &str = "every_example_does_what_it_shows";

/// Examples at a time.
const AT_ONCE: usize = 4;

/// Records that every registry of an example has but a new one.
const PEOPLE: &str = "
enrollctl person create BOSS --role superuser --role supervisor
enrollctl person create MODERATOR --role superuser
enrollctl person create DEPUTY --role supervisor
enrollctl pool create --owner BOSS --invitecode K7QWM2XA
";

/// Records that examples do not make themselves.
const EVERYTHING: &str = r#"
enrollctl person create DOGGO01a --role member --certificate generate
enrollctl enrollment create PORA22b --pool K7QWM2XA
enrollctl enrollment create CAT02b --pool K7QWM2XA
enrollctl supervisor assign DOGGO01a BOSS
enrollctl course create Hiking+2027 --mode audit --mode masters
enrollctl event create 'Summer camp' --kind camp --owner BOSS --start 2999-07-01T10:00:00Z --duration-minutes 120 \
  --published true --approval supervisor --pool '{"name":"members","capacity":40,"roles":["member"]}'
enrollctl server backup registry.backup
gzip -k registry.backup
enrollctl changes head --json > heads
enrollctl server export registry.ndjson
gzip -k registry.ndjson
"#;

const ENROLL: &str = r#"enrollctl program enroll 01994f3a-7c1e-7d55-a1b2-3c4d5e6f7a8b --create --enrollment \
  '{"external_key":"s-4711","curriculum":"01994f3a-7c1e-7d55-a1b2-000000000001","status":"enrolled"}'"#;

const REGISTER: &str = "enrollctl registration create \"$EVENT\" DOGGO01a";

const REQUEST: &str = "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout a.key \
                       -out request.pem -subj";

/// The setup of an example: the commands that come before it.
fn before(command: &str) -> String {
    match command.trim_start_matches("enrollctl ") {
        "permission revoke" => "enrollctl permission grant greeter /enrollments/".to_owned(),
        "permission has" => {
            "enrollctl permission grant greeter /enrollments/\nenrollctl role assign DOGGO01a greeter".to_owned()
        }
        "person restore" | "person erase" => "enrollctl person delete DOGGO01a".to_owned(),
        "enrollment reopen" => "enrollctl --as BOSS enrollment reject PORA22b".to_owned(),
        "registration cancel"
        | "registration get"
        | "registration approve"
        | "registration reject"
        | "event cancel" => REGISTER.to_owned(),
        "event publish" => "enrollctl event unpublish \"$EVENT\"".to_owned(),
        "server backup" | "server export" => "rm registry.*".to_owned(),
        "supervisor remove_representative" => "enrollctl supervisor add_representative BOSS DEPUTY".to_owned(),
        "constant remove" => "enrollctl constant set country SE".to_owned(),
        "event remove_pool" => "enrollctl event add_pool \"$EVENT\" guests --capacity 1 --role guest".to_owned(),
        "course unenroll" => "enrollctl course enroll Hiking+2027 DOGGO01a audit".to_owned(),
        "program link" => format!("{ENROLL}\nprintf 'external_key,callsign\\ns-4711,DOGGO01a\\n' > links.csv"),
        "program unlink" => {
            format!("{ENROLL}\nenrollctl program link 01994f3a-7c1e-7d55-a1b2-3c4d5e6f7a8b --link s-4711=DOGGO01a")
        }
        "program enroll_course" | "program assign_course_role" | "program enrollments" => ENROLL.to_owned(),
        "token get" => "printf %s \"$NONCE\" | enrollctl token use".to_owned(),
        "transaction run" => {
            r#"echo '{"op":"role.assign","args":{"person":"DOGGO01a","role":"crew"}}' > units.ndjson"#.to_owned()
        }
        "certificate renew" => format!("{REQUEST} /CN=DOGGO01a"),
        "certificate issue" => format!("{REQUEST} /CN=portal"),
        "certificate revoke" => "enrollctl certificate issue portal".to_owned(),
        "completions" => "mkdir -p ~/.local/share/bash-completion/completions".to_owned(),
        "enrolld restore" => "mkdir before; mv state/enrolld.redb state/enrolld.journal.* before".to_owned(),
        "enrolld make-key" => "rm -r state; mkdir -m 700 state".to_owned(),
        "enrolld backup" => {
            "mkdir -m 700 backups; printf '\\n[backup]\\ndirectory = \"%s/backups\"\\n' \"$PWD\" >> enrolld.toml"
                .to_owned()
        }
        _ => String::new(),
    }
}

/// Examples that are not run here, and why.
const NOT_RUN: &[(&str, &str)] = &[
    ("enrollctl changes follow", "it never ends"),
    ("enrollctl changes run", "it never ends, and has tests of its own"),
    ("enrollctl changes skip", "it needs a runner that is stuck, and has tests with one"),
    ("enrollctl jwt exchange", "it needs another issuer; the page on JWTs is played with one"),
    ("enrollctl top", "it needs a terminal, and has tests of its own"),
    ("enrollctl console", "it serves until nobody uses it, and has tests of its own"),
    ("enrollctl tour", "it is played by a test of its own"),
    ("enrolld cluster begin", "it needs etcd; the recovery of clusters is played with it"),
    ("enrolld cluster leave", "it needs etcd; a registry that becomes one host's again is played with it"),
    ("enrolld reset", "it asks on a terminal, and has tests of its own"),
    ("enrolld", "it is a daemon, which all these tests start"),
];

/// Lines among examples that are not run here, by a part of theirs, and why.
const LINES_NOT_RUN: &[(&str, &str)] = &[
    ("enrollctl tour", "it is played by a test of its own"),
    ("--join", "it needs a cluster; joining is played with one"),
];

/// Commands that are always refused; their help says so.
const REFUSED: &[&str] = &["enrollctl token delete", "enrollctl code delete", "enrollctl enrollment delete"];

/// A registry at rest, which every example gets a copy of, and the values that its daemon chose.
struct Registry {
    home: Home,
    values: Vec<(&'static str, String)>,
}

impl Registry {
    fn of_people() -> Self {
        let daemon = home().start();
        play(&daemon.home, &[], PEOPLE);
        Self::at_rest(daemon, Vec::new())
    }

    fn of_everything() -> Self {
        let daemon = home().start();
        play(&daemon.home, &[], &format!("{PEOPLE}{EVERYTHING}"));
        let text = |args: &[&str], stdin: &str, path: &str| {
            let json = daemon.enrollctl(args, stdin).json();
            json.pointer(path).and_then(|value| value.as_str()).unwrap_or_else(|| panic!("{path}: {json}")).to_owned()
        };
        let code = || text(&["--json", "code", "create", r#"{"sub":"DOGGO01a"}"#], "", "/code");
        let values = vec![
            ("EVENT", text(&["--json", "event", "list"], "", "/items/0/pk")),
            ("APPROVE", text(&["--json", "enrollment", "get", "PORA22b"], "", "/approvecode")),
            ("JWT", text(&["--json", "code", "use"], &code(), "/jwt")),
            ("CODE", code()),
            ("NONCE", "nonce-4711".to_owned()),
            ("PASSWORD", "correct horse".to_owned()),
        ];
        Self::at_rest(daemon, values)
    }

    fn at_rest(mut daemon: Daemon, values: Vec<(&'static str, String)>) -> Self {
        assert_eq!(daemon.terminate(), Some(0));
        Self { home: daemon.home, values }
    }

    /// Copies everything in its directory but its log and its socket.
    fn copy_to(&self, home: &Home) {
        let copied = Command::new("cp").arg("-a").arg(self.home.path("")).arg(home.path("copy")).status();
        assert!(copied.is_ok_and(|status| status.success()), "cp");
        for entry in std::fs::read_dir(home.path("copy")).expect("a directory") {
            let name = entry.expect("an entry").file_name().into_string().expect("a name");
            if !matches!(name.as_str(), "log" | "run" | "enrolld.toml") {
                std::fs::rename(home.path("copy").join(&name), home.path(&name)).expect("moved");
            }
        }
    }

    /// The example with the values of this registry, and with places in its directory for those of the machine.
    fn filled(&self, typed: &str) -> String {
        let replaced = [
            ("9RXTLQ4E", "APPROVE"),
            // Programs are of another system, and have this primary key in the examples too.
            ("01994f3a-7c1e-7d55-a1b2-3c4d5e6f7a8b", if typed.contains(" program ") { "" } else { "EVENT" }),
        ];
        let value = |name: &str| self.values.iter().find(|(known, _)| *known == name).map(|(_, value)| value);
        let filled = replaced.iter().fold(typed.to_owned(), |text, (shown, name)| match value(name) {
            Some(value) => text.replace(shown, value),
            None => text,
        });
        let places = [
            ("sudo ", ""),
            ("/etc/enrolld/enrolld.key", "state/enrolld.key"),
            ("/etc/enrolld/enrolld.toml", "enrolld.toml"),
            ("/etc/dog/tls", "tls"),
            ("/var/lib/enrolld", "state"),
            ("~/registry", "state"),
        ];
        places.iter().fold(filled, |text, (shown, place)| text.replace(shown, place))
    }
}

fn home() -> Home {
    let home = Home::make();
    home.configure("reserved_callsigns = [\"portal\"]");
    home
}

/// Runs a script that must succeed.
fn play(home: &Home, values: &[(&str, String)], script: &str) {
    let output = shell(home, values, script);
    assert_eq!(output.code, Some(0), "{script}: {output:?}");
}

fn shell(home: &Home, values: &[(&str, String)], script: &str) -> Output {
    let mut command = home.command(Path::new("sh"));
    let binaries = binary("enrollctl").parent().expect("a directory").to_owned();
    let path = std::env::var("PATH").expect("a path");
    command.env("PATH", format!("{}:{path}", binaries.display()));
    command.env("ENROLLD_SOCKET", home.socket()).env("ENROLLD_STATE_DIR", home.state_dir());
    command.env("ENROLLD_CONFIG", home.path("enrolld.toml"));
    command.envs(values.iter().map(|(name, value)| (*name, value))).args(["-eu", "-c", script]);
    run(&mut command, "")
}

/// The output of an example, or why it does not do what it shows.
fn played(example: &Example, people: &Registry, everything: &Registry) -> Result<String, String> {
    let typed = &example.typed;
    let makes = ["person create DOGGO01a", "enrollment create PORA22b", "course create Hiking"];
    let registry = if makes.iter().any(|made| typed.contains(made)) { people } else { everything };
    let home = home();
    registry.copy_to(&home);
    if typed.contains("server import") {
        std::fs::remove_dir_all(home.state_dir()).expect("removed");
    }
    let is_offline = example.command.starts_with("enrolld") && example.command != "enrolld backup";
    // A command on a stopped daemon's database has a directory and no daemon.
    let daemon = if is_offline { Err(home) } else { Ok(home.start()) };
    let home = daemon.as_ref().map_or_else(|home| home, |daemon| &daemon.home);
    play(home, &registry.values, &before(&example.command));
    let output = shell(home, &registry.values, &registry.filled(typed));
    let (code, words) = match REFUSED.contains(&example.command.as_str()) {
        true => (1, "(forbidden_operation)"),
        false => (0, ""),
    };
    if output.code != Some(code) || !output.stderr.contains(words) {
        return Err(format!("{typed}\n  {output:?}"));
    }
    let printed = (output.stdout + &output.stderr).replace(&*home.path("").to_string_lossy(), "/path/");
    Ok(registry.values.iter().fold(printed, |text, (name, value)| match *name {
        "NONCE" | "PASSWORD" => text,
        _ => text.replace(value, &format!("<{}>", if *name == "EVENT" { "pk" } else { "code" })),
    }))
}

#[test]
fn every_example_does_what_it_shows() {
    let has_openssl = OpenSsl::find(TEST).is_some();
    let (people, everything) = (Registry::of_people(), Registry::of_everything());
    let is_run = |example: &Example| {
        let is_left_out = NOT_RUN.iter().any(|(command, _)| *command == example.command);
        let is_left_out = is_left_out || LINES_NOT_RUN.iter().any(|(part, _)| example.typed.contains(part));
        !is_left_out && (has_openssl || !example.typed.contains(".pem)"))
    };
    let waiting = Mutex::new(examples().into_iter().filter(is_run).collect::<Vec<_>>());
    let next = || waiting.lock().expect("no thread panicked").pop();
    let all = thread::scope(|scope| {
        let one_by_one = || {
            let examples = std::iter::from_fn(next);
            let played = |example: Example| (example.typed.clone(), played(&example, &people, &everything));
            examples.map(played).collect::<Vec<_>>()
        };
        let threads = [(); AT_ONCE].map(|()| scope.spawn(one_by_one));
        threads.into_iter().flat_map(|thread| thread.join().expect("it ends")).collect::<Vec<_>>()
    });
    let failures: Vec<_> = all.iter().filter_map(|(_, played)| played.clone().err()).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    let printed = all.into_iter().filter_map(|(typed, played)| Some((typed, played.ok()?))).collect();
    super::reference::expect_pages(&printed, has_openssl);
}

#[test]
fn what_is_said_of_examples_is_of_examples() {
    let examples = examples();
    for command in NOT_RUN.iter().map(|(command, _)| command).chain(REFUSED) {
        assert!(examples.iter().any(|example| example.command == *command), "{command} has no example");
    }
}
