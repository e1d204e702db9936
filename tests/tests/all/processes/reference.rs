//! The reference of the book, `docs/operations.md` and a page for each area: arguments from the command line, refusals from
//! their table, answers from the types, and what the examples of the help print when they are played.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use clap::{Arg, Command};
use enroll_man::examples;
use enroll_protocol::Code;
use enroll_protocol::grounds::OF_ALL;
use enroll_protocol::operations::{Access, Kind, OperationRow, TABLE};
use enroll_protocol::shape::Shape;
use enroll_tests::holes::with_holes;
use enroll_tests::pages;

/// Lines of an answer that a page shows.
const LINES_MAX: usize = 16;

/// The operation whose refusals are those of the operations that it runs.
const OF_OTHERS: &str = "transaction.run";

/// Operations whose answers tell of the machine and of the moment: the page shows the command alone.
const OF_THE_MOMENT: &[&str] = &[
    "server.status",
    "server.snapshot",
    "server.metrics",
    "server.accept_clock",
    "server.backup",
    "server.export",
    "server.import",
];

const INDEX: &str = "docs/operations.md";

const PREFACE: &str = "# Operations

Which operations are there, and which may refuse me how? Each has a page of its area, with its arguments on the command
line and in JSON, its answer, its refusals, and an example that a test plays. These pages are made from the table of
operations: `ENROLL_UPDATE=1 cargo test -p enroll-tests --test all every_example`.

In examples, what every run draws anew is a word in angle brackets, and a long answer ends with `...`. Options that every
command has are in [the command line](enrollctl.md); grants and permissions are in [who may do what](access.md).

## Refusals of every operation

An actor who does not exist is `not_found`, one who was deleted is `deleted`, and one whose session is not valid is
`jwt_invalid`, whatever they ask for. While an import is under way, every other write is `conflict`.

";

/// Compares the pages with what the table and these examples make of them, or writes them on `ENROLL_UPDATE`.
pub(super) fn expect_pages(printed: &BTreeMap<String, String>, has_openssl: bool) {
    let mut stale = Vec::new();
    for (path, text) in made(printed) {
        let file = pages::root().join(&path);
        if std::env::var_os("ENROLL_UPDATE").is_some() && has_openssl {
            std::fs::write(&file, &text).expect("written");
        }
        let page = std::fs::read_to_string(&file).unwrap_or_default();
        // Without OpenSSL some examples were not played.
        if page != text && has_openssl {
            let differing = page.lines().zip(text.lines()).find(|(then, now)| then != now);
            stale.push(format!("{path}: {differing:?}"));
        }
    }
    assert_eq!(stale, Vec::<String>::new(), "ENROLL_UPDATE=1 writes the reference anew");
}

fn made(printed: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let mut command = enrollctl::command();
    command.build();
    let mut index = PREFACE.to_owned() + &refusals_of(OF_ALL, "errors.md");
    let mut made: Vec<(String, String)> = Vec::new();
    for row in TABLE {
        let area = command.find_subcommand(row.area()).expect("an area");
        let verb = area.find_subcommand(row.verb()).expect("a verb");
        let path = format!("docs/operations/{}.md", row.area());
        if !made.iter().any(|(known, _)| *known == path) {
            let name = row.area();
            made.push((path.clone(), format!("# {name}\n\nWhat can be asked of `{name}`, and what is refused?\n")));
            write!(index, "\n## {name}\n\n{}.\n\n| operation | |\n|---|---|\n", about(area)).expect("written");
        }
        let anchor = row.name.replace('.', "");
        writeln!(index, "| [{}](operations/{}.md#{anchor}) | {} |", row.name, row.area(), cell(&about(verb)))
            .expect("written");
        let page = made.iter_mut().find(|(known, _)| *known == path).expect("a page");
        page.1.push_str(&section(row, verb, printed));
    }
    made.push((INDEX.to_owned(), index));
    made
}

fn section(row: &OperationRow, verb: &Command, printed: &BTreeMap<String, String>) -> String {
    let mut text = format!("\n## {}\n\n{}\n\n{}\n", row.name, described(verb), standing(row));
    let arguments: Vec<_> = verb.get_arguments().filter(|argument| is_own(argument)).collect();
    if !arguments.is_empty() {
        text.push_str("\n| argument | in JSON | |\n|---|---|---|\n");
        for argument in arguments {
            let help = argument.get_long_help().or_else(|| argument.get_help()).map(ToString::to_string);
            let (typed, help) = (typed(argument), cell(&help.unwrap_or_default()));
            writeln!(text, "| `{typed}` | `{}` | {help} |", argument.get_id()).expect("written");
        }
    }
    writeln!(text, "\nIt answers {}.\n", answer(row.reply_shape(), row.kind)).expect("written");
    text.push_str(&match (row.grounds(), row.name == OF_OTHERS) {
        (_, true) => "Refusals: that of the operation which is refused first; nothing is done then.\n".to_owned(),
        ([], _) => "Refusals: only those of every operation.\n".to_owned(),
        (codes, _) => refusals_of(codes, "../errors.md"),
    });
    let command = format!("enrollctl {} {}", row.area(), row.verb());
    for example in examples().into_iter().filter(|example| example.command == command) {
        let output = printed.get(&example.typed).filter(|_| !OF_THE_MOMENT.contains(&row.name));
        let output = output.map(|output| shown(output, &example.typed)).unwrap_or_default();
        let typed = example.typed.replace('\n', "\n> ");
        write!(text, "\n```console example\n$ {typed}\n{output}```\n").expect("written");
    }
    text
}

/// The first line of a section: the kind, the grant and the permission.
fn standing(row: &OperationRow) -> String {
    let kind = match row.kind {
        Kind::Write | Kind::Bulk => "A write",
        Kind::Lookup => "A read that takes a code, so a wrong one counts as a guess",
        Kind::Stream | Kind::Walk => "A stream",
        Kind::Read | Kind::Scan => "A read",
    };
    let grant = match row.access {
        Access::Metrics => "`metrics`",
        Access::Read => "`read`",
        Access::Operate => "`operate`",
        Access::Decide => "`decide`, or `operate` with an actor",
        Access::Admin => "`admin`",
    };
    let permission = match row.permission {
        "" => String::new(),
        path => format!("; an actor needs `{path}` for what is not their own"),
    };
    format!("{kind}. Grant: {grant}{permission}.")
}

fn is_own(argument: &Arg) -> bool {
    let is_of_all = argument.is_global_set() || matches!(argument.get_id().as_str(), "help" | "version");
    !is_of_all && !argument.is_hide_set()
}

/// The argument as it is typed.
fn typed(argument: &Arg) -> String {
    let name = argument.get_id().as_str().to_uppercase();
    let value = argument.get_value_names().and_then(|names| names.first()).map_or(name, ToString::to_string);
    match argument.get_long() {
        None => value,
        Some(long) if argument.get_action().takes_values() => format!("--{long} {value}"),
        Some(long) => format!("--{long}"),
    }
}

/// A form of JSON in words.
fn answer(shape: Shape, kind: Kind) -> String {
    let one = match &shape {
        Shape::Value => "one value".to_owned(),
        Shape::Any => "JSON of any form".to_owned(),
        Shape::List(item) => match &**item {
            Shape::Record(members) => format!("a list of records: {}", names(members)),
            _ => "a list".to_owned(),
        },
        Shape::Record(members) => match members.iter().find(|(name, _)| name == "items") {
            Some((_, Shape::List(item))) => match &**item {
                Shape::Record(members) => {
                    format!("a page of records, and `next` if there are more: {}", names(members))
                }
                _ => "a page, and `next` if there are more".to_owned(),
            },
            _ => format!("a record: {}", names(members)),
        },
    };
    if kind.has_items() { format!("a stream; each item is {one}") } else { one }
}

fn names(members: &[(String, Shape)]) -> String {
    members.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn refusals_of(codes: &[Code], errors: &str) -> String {
    let mut table = "| refused as | because |\n|---|---|\n".to_owned();
    for code in codes {
        let text = Code::TABLE.iter().find(|(known, ..)| known == code).map_or("", |(.., text)| *text);
        writeln!(table, "| [{code}]({errors}#{code}) | {text} |").expect("written");
    }
    table
}

/// The output of an example with holes, no longer than a page shows.
fn shown(output: &str, typed: &str) -> String {
    let output = with_holes(output, typed);
    let lines: Vec<&str> = output.lines().collect();
    let kept = lines.iter().take(LINES_MAX).map(|line| format!("{}\n", line.trim_end()));
    let end = if lines.len() > LINES_MAX { "...\n" } else { "" };
    kept.collect::<String>() + end
}

fn about(command: &Command) -> String {
    command.get_about().map(ToString::to_string).unwrap_or_default()
}

fn described(command: &Command) -> String {
    let text = command.get_long_about().map_or_else(|| about(command), ToString::to_string);
    let (first, rest) = text.split_once('\n').unwrap_or((&text, ""));
    escaped(&format!("{first}.\n{rest}")).trim_end().to_owned()
}

/// A text as the cell of a table.
fn cell(text: &str) -> String {
    escaped(&text.split_whitespace().collect::<Vec<_>>().join(" ")).replace('|', "\\|")
}

/// A text in which no angle bracket begins HTML.
fn escaped(text: &str) -> String {
    text.replace('<', "&lt;")
}

#[test]
fn refusals_that_the_help_names_are_listed() {
    let mut command = enrollctl::command();
    command.build();
    let mut missing = Vec::new();
    for row in TABLE.iter().filter(|row| row.name != OF_OTHERS) {
        let verb = command.find_subcommand(row.area()).and_then(|area| area.find_subcommand(row.verb()));
        let help = described(verb.expect("a verb"));
        let Some((_, named)) = help.split_once("Refusals") else { continue };
        let sentence = named.split(". ").next().unwrap_or_default();
        let codes = Code::TABLE.iter().filter(|(_, name, _)| sentence.contains(&format!("`{name}`")));
        let listed = row.grounds();
        missing.extend(
            codes
                .filter(|(code, ..)| !listed.contains(code) && !OF_ALL.contains(code))
                .map(|(_, name, _)| format!("{} {name}", row.name)),
        );
    }
    assert_eq!(missing, Vec::<String>::new(), "protocol/src/grounds.rs does not list them");
}
