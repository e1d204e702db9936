//! Completions, asked for by real shells: the loader is sourced, the completion function is called with the words as
//! the shell splits them, and what it offers is compared.

use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use enroll_tests::process::{Daemon, Home, Output, binary, run};
use enroll_tests::skip::is_installed;

/// Calls the function with its words, of which the last is under the cursor, as readline does.
const BASH: &str = r#"
source <(enrollctl completions bash)
COMP_LINE=$1
shift
COMP_POINT=${#COMP_LINE} COMP_CWORD=$(($# - 1)) COMP_WORDS=("$@") COMP_WORDBREAKS=$' \t\n"\'><=;|&(:'
_enrollctl enrollctl "${COMP_WORDS[COMP_CWORD]}" ""
((${#COMPREPLY[@]} == 0)) || printf '%s\n' "${COMPREPLY[@]}"
"#;

/// Calls the function in place of zsh, and prints what it would describe.
const ZSH: &str = r#"
compdef() { : }
_describe() { print -rl -- ${(P)3} }
source <(enrollctl completions zsh)
words=("$@") CURRENT=$#
_enrollctl
"#;

const FISH: &str = "enrollctl completions fish | source; complete -C $argv[1]";

/// The timeout for a few shells and programs on a slow machine, beyond the deadline of 80 ms each.
const PATIENCE: Duration = Duration::from_secs(20);

/// A shell that finds `enrollctl` and its daemon's socket, and has the patience of a slow machine with the daemon.
fn shell(home: &Home, name: &str) -> Command {
    let mut command = home.command(Path::new(name));
    let binaries = binary("enrollctl").parent().expect("a directory").to_owned();
    let path = std::env::var("PATH").expect("a path");
    command.env("PATH", format!("{}:{path}", binaries.display())).env("ENROLLD_SOCKET", home.socket());
    command.env("ENROLLCTL_COMPLETE_MS", "30000");
    command
}

/// The completions of bash for these words; it may have split one word into several.
fn bash(home: &Home, line: &str, words: &[&str]) -> Output {
    run(shell(home, "bash").args(["--norc", "-c", BASH, "bash", line]).args(words), "")
}

/// The completions of bash for a line that it splits at blanks alone.
fn offered(home: &Home, line: &str) -> Vec<String> {
    let words: Vec<&str> = line.split(' ').collect();
    let output = bash(home, line, &words);
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""), "{line}");
    output.stdout.lines().map(str::to_owned).collect()
}

/// A registry with something of every kind.
fn filled() -> Daemon {
    let daemon = Daemon::start();
    for line in [
        "person create BOSS --role superuser",
        "person create DOGGO01a --role member",
        "person create DOGGO02b --role mentor",
        "person create doll",
        "person create GONE",
        "person delete GONE",
        "enrollment create DOGGO03c",
        "enrollment create CAT04d",
        "enrollment reject CAT04d",
        "course create Hiking+2027 --mode audit",
        "course create Knots --mode audit",
    ] {
        let output = daemon.enrollctl(&line.split(' ').collect::<Vec<_>>(), "");
        assert_eq!(output.code, Some(0), "{line}: {output:?}");
    }
    for name in ["DOG $(touch x)", "DOG;x"] {
        assert_eq!(daemon.enrollctl(&["person", "create", name], "").code, Some(0));
    }
    daemon
}

fn value(daemon: &Daemon, line: &str) -> String {
    let output = daemon.enrollctl(&line.split(' ').collect::<Vec<_>>(), "");
    assert_eq!(output.code, Some(0), "{line}: {output:?}");
    output.stdout.trim_end().to_owned()
}

#[test]
fn bash_completes_verbs_and_options() {
    let home = Home::make();
    assert_eq!(offered(&home, "enrollctl pers"), ["person"]);
    assert_eq!(offered(&home, "enrollctl person re"), ["revoke", "restore"]);
    assert_eq!(offered(&home, "enrollctl person get --allow"), ["--allow-deleted"]);
    assert_eq!(offered(&home, "enrollctl completions z"), ["zsh"]);
    assert_eq!(offered(&home, "enrollctl person get X --field ca"), ["callsign"]);
    assert_eq!(offered(&home, "enrollctl nothing-like-it x"), Vec::<String>::new());
    let everything = offered(&home, "enrollctl ");
    for name in ["person", "wait", "completions", "--socket"] {
        assert!(everything.iter().any(|offered| offered == name), "{name}: {everything:?}");
    }
}

#[test]
fn bash_completes_names_of_records() {
    let daemon = filled();
    let home = &daemon.home;
    for (line, expected) in [
        ("enrollctl person get dogg", &["DOGGO01a", "DOGGO02b"][..]),
        ("enrollctl person get DOGGO01", &["DOGGO01a"]),
        // The callsigns differ in the case of what was typed. Names that mean something to a shell are left out.
        ("enrollctl person get do", &["doGGO01a", "doGGO02b", "doll"]),
        ("enrollctl person get \"DOGGO01", &["DOGGO01a"]),
        ("enrollctl person restore go", &["GONE"]),
        ("enrollctl person get go", &[]),
        ("enrollctl --as bo", &["BOSS"]),
        ("enrollctl person get --as bo", &["BOSS"]),
        ("enrollctl enrollment approve dog", &["DOGGO03c"]),
        ("enrollctl enrollment approve DOGGO03c dog", &["DOGGO03c"]),
        ("enrollctl enrollment reopen c", &["CAT04d"]),
        ("enrollctl enrollment get C", &["CAT04d"]),
        ("enrollctl role assign BOSS me", &["member", "mentor"]),
        ("enrollctl person list --role mem", &["member"]),
        ("enrollctl course get hik", &["Hiking+2027"]),
        ("enrollctl course enroll kn", &["Knots"]),
        ("enrollctl person create DOG", &[]),
        ("enrollctl --as nobody person get dogg", &[]),
        ("enrollctl --socket /nonexistent person get dogg", &[]),
    ] {
        assert_eq!(offered(home, line), expected, "{line}");
    }
}

#[test]
fn pools_and_events_are_completed_by_pk_and_no_code_is_offered() {
    let daemon = filled();
    let pool = value(&daemon, "pool create --owner BOSS --field pk");
    let code = value(&daemon, "pool list --field invitecode");
    let event = value(
        &daemon,
        "event create Hike --owner BOSS --kind hike --start 2999-01-01T00:00:00Z --duration-minutes 60 --field pk",
    );
    let home = &daemon.home;
    for line in ["enrollctl pool show ", "enrollctl enrollment list --pool ", "enrollctl enrollment approve --pool "] {
        let all = offered(home, line);
        assert!(all.contains(&pool) && !all.contains(&code), "{line}: {all:?}");
    }
    assert_eq!(offered(home, &format!("enrollctl pool get {}", &pool[..10])), [pool.as_str()]);
    assert_eq!(offered(home, &format!("enrollctl pool get {}", &code[..4])), Vec::<String>::new());
    assert_eq!(offered(home, &format!("enrollctl enrollment create X --pool {}", &pool[..10])), Vec::<String>::new());
    assert_eq!(offered(home, &format!("enrollctl event show {}", &event[..35])), [event.as_str()]);
    assert!(offered(home, "enrollctl registration create ").contains(&event));
}

#[test]
fn words_that_bash_has_split_are_joined() {
    let daemon = filled();
    let created = daemon.enrollctl(&["person", "create", "DOG:1"], "");
    assert_eq!(created.code, Some(0), "{created:?}");
    for (line, words, expected) in [
        ("enrollctl --as=dogg", &["enrollctl", "--as", "=", "dogg"][..], &["DOGGO01a", "DOGGO02b"][..]),
        ("enrollctl --as=", &["enrollctl", "--as", "="], &["BOSS"]),
        ("enrollctl --as=bo", &["enrollctl", "--as", "=", "bo"], &["BOSS"]),
        ("enrollctl person get DOG:", &["enrollctl", "person", "get", "DOG", ":"], &["1"]),
        ("enrollctl  person get dog:1", &["enrollctl", "person", "get", "dog", ":", "1"], &["1"]),
        (
            "enrollctl --as=BOSS person get DOG:",
            &["enrollctl", "--as", "=", "BOSS", "person", "get", "DOG", ":"],
            &["1"],
        ),
    ] {
        let output = bash(&daemon.home, line, words);
        let found: Vec<&str> = output.stdout.lines().collect();
        assert!(expected.iter().all(|name| found.contains(name)), "{line}: {output:?}");
        assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""), "{line}");
    }
}

#[test]
fn at_most_fifty_are_offered() {
    let daemon = Daemon::start();
    let line = |n| format!("{{\"op\":\"person.create\",\"args\":{{\"callsign\":\"DOG{n:03}\"}}}}\n");
    let made = daemon.enrollctl(&["call"], &(0..120).map(line).collect::<String>());
    assert_eq!(made.stdout.matches("\"ok\"").count(), 120, "{made:?}");
    assert_eq!(offered(&daemon.home, "enrollctl person get dog").len(), 50);
    assert_eq!(offered(&daemon.home, "enrollctl person get dog11").len(), 10);
}

#[test]
fn a_daemon_that_is_away_or_silent_offers_nothing_and_costs_no_time() {
    let home = Home::make();
    let words = ["enrollctl", "person", "get", "DOG"];
    let offered = || {
        let mut command = shell(&home, "bash");
        command.env_remove("ENROLLCTL_COMPLETE_MS").args(["--norc", "-c", BASH, "bash", &words.join(" ")]).args(words);
        let begun = Instant::now();
        let output = run(&mut command, "");
        assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
        assert_eq!(output.code, Some(0), "{output:?}");
        output.stdout + &output.stderr
    };
    assert_eq!(offered(), "", "there is no socket");
    std::fs::create_dir(home.path("run")).expect("made");
    let listener = UnixListener::bind(home.socket()).expect("bound");
    assert_eq!(offered(), "", "nobody accepts");
    let (accepted, _) = listener.accept().expect("it connected");
    assert_eq!(offered(), "", "nobody answers");
    drop((accepted, listener));
    assert_eq!(offered(), "", "nobody listens");
}

#[test]
fn a_shell_that_there_are_no_completions_for_is_told_so() {
    let home = Home::make();
    let mut command = home.enrollctl(&[""; 0]);
    let refused = run(command.env("ENROLLCTL_COMPLETE", "tcsh"), "");
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(2), ""), "{refused:?}");
    assert!(refused.stderr.contains("bash, zsh and fish"), "{refused:?}");
}

#[test]
fn zsh_completes_names_of_records() {
    if !is_installed("zsh_completes_names_of_records", "zsh") {
        return;
    }
    let daemon = filled();
    let offered = |words: &[&str]| {
        let output = run(shell(&daemon.home, "zsh").args(["-fc", ZSH, "zsh"]).args(words), "");
        assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""), "{words:?}: {output:?}");
        output.stdout
    };
    assert_eq!(offered(&["enrollctl", "person", "get", "dogg"]), "DOGGO01a:member\nDOGGO02b:mentor\n");
    assert_eq!(offered(&["enrollctl", "--as=bo"]), "--as=BOSS:superuser\n");
    assert!(offered(&["enrollctl", "pers"]).starts_with("person:People"));
    assert!(offered(&["enrollctl", "role", "list", ""]).contains("BOSS:superuser"));
}

#[test]
fn fish_completes_names_of_records() {
    if !is_installed("fish_completes_names_of_records", "fish") {
        return;
    }
    let daemon = filled();
    let offered = |line: &str| {
        let output = run(shell(&daemon.home, "fish").args(["--no-config", "-c", FISH, line]), "");
        assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""), "{line}: {output:?}");
        output.stdout
    };
    assert_eq!(offered("enrollctl person get dogg"), "DOGGO01a\tmember\nDOGGO02b\tmentor\n");
    assert_eq!(offered("enrollctl --as=bo"), "--as=BOSS\tsuperuser\n");
    assert!(offered("enrollctl pers").starts_with("person\tPeople"));
}
