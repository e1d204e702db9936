//! The tree of commands: an area and a verb for every row of the table of operations, and the commands that are no
//! operation.

use clap::{Args, Command};
use enroll_client::protocol::OperationRow;
use enroll_client::protocol::operations::TABLE;

use crate::files::{backup, credentials, export, import, metrics};
use crate::options::Options;
use crate::request::{confirmation, extra, head, units};
use crate::{
    bulk, completion, console, decisions, doctor, explain, history, hooks, migration, sandbox, show, story, top, tour,
    wait,
};

const AFTER_HELP: &str = "Exit codes: 0 done, or yes; 1 refused, or no; 2 usage; 3 the daemon can not be reached; 4 done, but the answer could
not be written. A refusal ends with its code in parentheses, which explain-error explains.

Examples:
  enrollctl tour
  enrollctl person create DOGGO01a --role member
  enrollctl role list DOGGO01a
  enrollctl doctor
  enrollctl server status --json";

const CALL_ABOUT: &str = "Answer requests from standard input: one JSON object per line, in and out

A line is {\"id\":1,\"op\":\"person.get\",\"args\":{..},\"actor\":\"BOSS\",\"origin\":\"203.0.113.9\",\"key\":UUID,\
\"dry_run\":false}; only op is required. Its answer is {\"id\":1,\"ok\":..} or {\"id\":1,\"error\":{\"code\":..,\
\"message\":..,\"details\":..}}. In place of actor, actor_jwt has a session JWT of that person. Answers come in the order of the lines.

\
While the daemon is away, a line is answered with the code unavailable: one that is open after 2 seconds, later ones \
at once. Lines are served again when it is back. At the end of the input the exit code is 3 if the last line was answered \
so. A list that ends, such as certificate.crl, is one answer; a stream has none.

\
A program may write any number of lines before it reads an answer: up to 64 MiB of answers wait for it, and then no \
more lines are read until it takes some.";

const CALL_EXAMPLE: &str = "Example:
  echo '{\"op\":\"person.get\",\"args\":{\"person\":\"DOGGO01a\"}}' | enrollctl call";

/// The whole command line.
pub fn command() -> Command {
    Options::augment_args(Command::new("enrollctl"))
        .version(env!("CARGO_PKG_VERSION"))
        .about("Asks enrolld, the local enrollment authority")
        .after_help(AFTER_HELP)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands(areas())
        .subcommand(call_command())
        .subcommand(wait::command())
        .subcommand(doctor::command())
        .subcommand(top::command())
        .subcommand(tour::command())
        .subcommand(console::command())
        .subcommand(sandbox::command())
        .subcommand(migration::command())
        .subcommand(explain::command())
        .subcommand(completion::command())
}

fn areas() -> Vec<Command> {
    let mut names: Vec<&str> = TABLE.iter().map(|row| row.area()).collect();
    names.dedup();
    names.into_iter().map(area).collect()
}

fn area(name: &'static str) -> Command {
    let rows = TABLE.iter().filter(|row| row.area() == name);
    Command::new(name)
        .about(about(name).unwrap_or_default())
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .subcommands(rows.map(verb))
        .subcommands(show::command(name))
        .subcommands((name == "certificate").then(credentials::command))
        .subcommands((name == "event").then(history::command))
        .subcommands((name == "changes").then(hooks::commands).into_iter().flatten())
        .subcommands((name == "changes").then(story::command))
}

fn verb(row: &&'static OperationRow) -> Command {
    let command = row.command(Command::new(row.verb()));
    let command = if row.verb().contains('_') { command.alias(row.verb().replace('_', "-")) } else { command };
    match row {
        row if backup::handles(row) => backup::command(command),
        row if export::handles(row) => export::command(command),
        row if import::handles(row) => import::command(command),
        row if metrics::handles(row) => metrics::command(command),
        row if bulk::handles(row) => bulk::command(command),
        row if decisions::handles(row) => decisions::command(command),
        row if extra::handles(row) => extra::command(command),
        row if units::handles(row) => units::command(command),
        row if head::handles(row) => head::command(command),
        row if confirmation::handles(row) => confirmation::command(command),
        _ => command,
    }
}

/// The help line of an area.
fn about(area: &str) -> Option<&'static str> {
    Some(match area {
        "person" => "People: those who have been let in",
        "role" => "Roles that people have",
        "permission" => "What the roles permit",
        "pool" => "Invite pools, by whose codes people enroll",
        "enrollment" => "Enrollments: callsigns that wait to be let in",
        "token" => "One-time tokens, spent once by whoever comes first",
        "code" => "Login codes, exchanged once for a JWT",
        "certificate" => "Certificates of people, and the list of those that were revoked",
        "jwt" => "JSON web tokens and the keys that verify them",
        "changes" => "The feed of every committed write",
        "server" => "The daemon itself",
        "cluster" => "The hosts that share the registry",
        "event" => "Events with limited places, and their pools",
        "registration" => "Registrations: who has a place at an event, who waits for one, and why",
        "supervisor" => "Supervisors, who decide on other people's registrations",
        "course" => "Courses, and who is in them",
        "program" => "Programs: external keys that wait to be linked to people",
        "transaction" => "Several writes as one: all of them, or none",
        "constant" => "Constants: lists of the values that a field of a person's extra may have",
        _ => return None,
    })
}

fn call_command() -> Command {
    let about = CALL_ABOUT.lines().next().unwrap_or_default();
    Command::new("call").about(about).long_about(CALL_ABOUT).after_help(CALL_EXAMPLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn every_area_has_a_help_line() {
        for row in TABLE {
            assert!(about(row.area()).is_some(), "{}", row.area());
        }
    }

    #[test]
    fn every_command_has_an_example_and_the_global_options() {
        let mut root = command();
        root.build();
        let operations = TABLE.iter().map(|row| (vec![row.area(), row.verb()], true));
        let others =
            ["call", "console", "doctor", "top", "tour", "sandbox", "import", "completions", "explain-error", "wait"];
        let others = others.map(|name| vec![name]);
        let shows = [["pool", "show"], ["event", "show"], ["certificate", "show"], ["certificate", "install"]];
        let shows =
            shows.into_iter().chain([["changes", "of"], ["changes", "run"], ["changes", "skip"], ["event", "history"]]);
        let shows = shows.map(Vec::from);
        let others = others.into_iter().chain(shows).map(|path| (path, false));
        for (path, is_operation) in operations.chain(others) {
            let mut found = &mut root;
            for name in &path {
                found = found.find_subcommand_mut(name).expect("a command");
            }
            let help = found.render_long_help().to_string();
            let options = ["--socket", "--as", "--as-jwt", "--origin", "--json"].into_iter();
            let options = options.chain(["--key", "--dry-run"].into_iter().filter(|_| is_operation));
            for needed in options.chain(["Example", "Usage: enrollctl"]) {
                assert!(help.contains(needed), "{path:?} lacks {needed}:\n{help}");
            }
        }
    }
}
