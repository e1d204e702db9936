//! The command line of `enrollctl` without a daemon: help, usage errors, completions, and an absent daemon.
//!
//! Because of this file cargo builds the binary for the workspace's tests, where operations are tested with daemons.

use std::process::{Command, Output};

use enroll_protocol::Code;
use enroll_protocol::operations::TABLE;

fn enrollctl(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_enrollctl"));
    command.env_clear().env("ENROLLD_SOCKET", "/nonexistent/enrolld.sock").args(args);
    command.output().expect("run")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn every_verb_has_help_with_an_example() {
    let verbs = TABLE.iter().map(|row| vec![row.area(), row.verb()]);
    let others = [vec!["call"], vec!["tour"], vec!["completions"], vec!["explain-error"], vec!["wait"], vec![]];
    let shows = [vec!["pool", "show"], vec!["event", "show"]];
    for command in verbs.chain(others).chain(shows) {
        let args: Vec<&str> = command.iter().copied().chain(["--help"]).collect();
        let output = enrollctl(&args);
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        let help = text(&output.stdout);
        assert!(help.contains("Example"), "{args:?}: {help}");
        // An example shows its own command, for any actor.
        let help = ["BOSS", "MODERATOR", "DOGGO01a"]
            .iter()
            .fold(help, |help, actor| help.replace(&format!("enrollctl --as {actor} "), "enrollctl "));
        let named = format!("enrollctl {}", command.join(" "));
        let example = help.rsplit("Example").next().unwrap_or_default();
        let is_of_it = [named.clone(), named.replace('_', "-")].iter().any(|named| example.contains(named.trim_end()));
        assert!(is_of_it, "{args:?}: {example}");
    }
}

#[test]
fn a_wrong_command_line_ends_with_2() {
    for args in [
        &["no-such-area"][..],
        &["person"],
        &["person", "dance"],
        &["person", "create"],
        &["person", "create", " x"],
        &["person", "create", "x", "--no-such-flag"],
        &["person", "list", "--limit", "0"],
        &["role", "assign", "x"],
        &["role", "assign", "x", "No Role"],
        &["token", "use", "--expires", "tomorrow"],
        &["token", "use"],
        &["token", "use", "on-the-command-line"],
        &["pool", "show"],
        &["event", "show"],
        &["event", "create", "Camp", "--kind", "camp", "--start", "tomorrow", "--duration-minutes", "1"],
        &["tour", "around"],
        &["--socket", "/nonexistent/enrolld.sock", "tour"],
        &["completions", "no-such-shell"],
        &["explain-error", "no_such_code"],
        &["bench", "token-use"],
        &["--key", "x", "call"],
        &[],
    ] {
        let output = enrollctl(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {output:?}");
        assert!(!output.stderr.is_empty(), "{args:?}");
        assert!(output.stdout.is_empty(), "{args:?}: {output:?}");
    }
}

#[test]
fn a_long_value_that_is_refused_is_not_repeated() {
    for title in ["x".repeat(100 << 10), "ä".repeat(200)] {
        let output = enrollctl(&["event", "create", &title, "--kind", "camp"]);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains("title must be 1 to 255 bytes") && stderr.len() < 400, "{stderr}");
    }
}

#[test]
fn without_a_daemon_one_line_names_the_socket() {
    for args in [
        &["person", "list"][..],
        &["person", "list", "--json"],
        &["server", "status"],
        &["--socket", "/nonexistent/enrolld.sock", "person", "create", "BOSS"],
    ] {
        let output = enrollctl(args);
        assert_eq!(output.status.code(), Some(3), "{args:?}: {output:?}");
        let stderr = text(&output.stderr);
        assert_eq!(stderr.lines().count(), 1, "{args:?}: {stderr}");
        assert!(stderr.contains("/nonexistent/enrolld.sock") && stderr.contains("unavailable"), "{args:?}: {stderr}");
    }
}

#[test]
fn completions_are_made_for_the_usual_shells() {
    for (shell, lines) in [("bash", 1), ("zsh", 2), ("fish", 1)] {
        let output = enrollctl(&["completions", shell]);
        assert_eq!(output.status.code(), Some(0), "{shell}");
        let loader = text(&output.stdout);
        assert_eq!(loader.lines().count(), lines, "{loader}");
        assert!(loader.contains(&format!("ENROLLCTL_COMPLETE={shell} enrollctl")), "{loader}");
    }
}

#[test]
fn an_error_is_explained_without_a_daemon() {
    let output = enrollctl(&["explain-error", "token_reuse"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let told = text(&output.stdout);
    assert!(told.starts_with("token_reuse\n\n") && told.contains("\nWhat to do: ") && told.ends_with('\n'), "{told}");
    let json = text(&enrollctl(&["explain-error", "--json", "token_reuse"]).stdout);
    assert!(json.starts_with("{\"code\":\"token_reuse\",\"number\":18,"), "{json}");
    let all = text(&enrollctl(&["explain-error"]).stdout);
    assert!(Code::TABLE.iter().all(|(_, name, _)| all.contains(&format!("{name}\t"))), "{all}");
    let unknown = enrollctl(&["explain-error", "tokenreuse"]);
    assert!(text(&unknown.stderr).contains("token_reuse"), "{unknown:?}");
}
