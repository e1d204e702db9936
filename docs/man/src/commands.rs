//! The pages of the command lines, from the declarations of both programs: `enrolld(8)`, `enrollctl(1)`, a page for each
//! area of `enrollctl`, which is a command that has commands, and `enrollctl-console(1)`.

use clap::Command;
use clap_mangen::roff::{bold, roman};

use crate::manual::{Manual, Page};
use crate::markdown;

const OPERATING: &str = include_str!("../../operating.md");

const CONSOLE: &str = include_str!("../../console.md");

const COMMAND_LINE: &str = include_str!("../../enrollctl.md");

/// The examples in the help of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// The command, such as `enrollctl person create`.
    pub command: String,
    /// The command of a shell, as it is typed; it may have several lines.
    pub typed: String,
}

/// The examples of every command of both programs.
pub fn examples() -> Vec<Example> {
    let (mut waiting, mut found) = (vec![built(enrollctl::command()), built(enrolld::command())], Vec::new());
    while let Some(command) = waiting.pop() {
        let name = command.get_bin_name().unwrap_or_else(|| command.get_name()).to_owned();
        let typed = commands_in(&Help::of(&command).examples);
        found.extend(typed.into_iter().map(|typed| Example { command: name.clone(), typed }));
        waiting.extend(subcommands(&command).cloned());
    }
    found
}

/// `enrolld(8)`.
pub(crate) fn enrolld() -> Page {
    let command = built(enrolld::command());
    let mut manual = Manual::new("enrolld", 8, "a local enrollment authority");
    manual.heading("SYNOPSIS");
    let commands = usages(&command).into_iter().chain(subcommands(&command).flat_map(usages));
    write_usages(&mut manual, &commands.collect::<Vec<_>>());
    manual.heading("DESCRIPTION");
    manual.prose(&described(&command));
    manual.heading("OPTIONS");
    manual.options(&command);
    manual.heading("COMMANDS");
    subcommands(&command).for_each(|command| write_command(&mut manual, command));
    let sections = [
        ("FILES", "Files and paths"),
        ("CONFIGURATION", "Configuration"),
        ("SIGNALS", "Reload the configuration"),
        ("LOG", "The log"),
        ("EXIT STATUS", "Exit codes of enrolld"),
    ];
    markdown::write_sections(&mut manual, OPERATING, &sections);
    write_examples(&mut manual, &command);
    manual.see_also(&["enrollctl(1)", "enrolld.toml(5)", "enrolld-backup(7)", "systemctl(1)"]);
    manual.finish()
}

/// `enrollctl(1)`.
pub(crate) fn enrollctl() -> Page {
    let command = built(enrollctl::command());
    let (areas, others): (Vec<_>, Vec<_>) = subcommands(&command).partition(|command| command.has_subcommands());
    let mut manual = Manual::new("enrollctl", 1, "ask enrolld, the local enrollment authority");
    manual.heading("SYNOPSIS");
    let mut lines = vec!["enrollctl AREA VERB [OPTIONS] [ARGUMENTS]".to_owned()];
    lines.extend(others.iter().flat_map(|command| usages(command)));
    write_usages(&mut manual, &lines);
    manual.heading("DESCRIPTION");
    manual.prose(&described(&command));
    manual.prose(&Help::of(&command).prose);
    manual.heading("AREAS");
    for area in &areas {
        manual.entry(vec![bold(format!("enrollctl-{}", area.get_name())), roman("(1)")]);
        manual.text(vec![roman(about(area))]);
    }
    manual.heading("COMMANDS");
    others.iter().for_each(|command| write_command(&mut manual, command));
    manual.heading("OPTIONS");
    manual.options(&command);
    let sections = [
        ("OUTPUT", "Output"),
        ("EXIT STATUS", "Exit codes"),
        ("SECURITY", "Whose daemon answers"),
        ("ACTORS", "On behalf of a person"),
        ("NAMES", "Names of records"),
    ];
    markdown::write_sections(&mut manual, COMMAND_LINE, &sections);
    write_examples(&mut manual, &command);
    let areas = areas.iter().map(|area| format!("enrollctl-{}(1)", area.get_name()));
    manual.see_also(&["enrolld(8)".to_owned()].into_iter().chain(areas).collect::<Vec<_>>());
    manual.finish()
}

/// `enrollctl-AREA(1)` for every area.
pub(crate) fn areas() -> Vec<Page> {
    let command = built(enrollctl::command());
    subcommands(&command).filter(|command| command.has_subcommands()).map(area).collect()
}

fn area(area: &Command) -> Page {
    let mut manual = Manual::new(&format!("enrollctl-{}", area.get_name()), 1, &about(area));
    manual.heading("SYNOPSIS");
    write_usages(&mut manual, &subcommands(area).flat_map(usages).collect::<Vec<_>>());
    manual.heading("DESCRIPTION");
    manual.prose(&format!("{}. The options of every command are in enrollctl(1).", described(area)));
    manual.heading("VERBS");
    subcommands(area).for_each(|verb| write_command(&mut manual, verb));
    manual.see_also(&["enrollctl(1)", "enrolld(8)"]);
    manual.finish()
}

/// `enrollctl-console(1)`, from the command and the page on it.
pub(crate) fn console() -> Page {
    let command = built(enrollctl::command());
    let command = subcommands(&command).find(|command| command.get_name() == "console").expect("the command");
    let mut manual = Manual::new("enrollctl-console", 1, "a page in the browser, to see, decide and follow");
    manual.heading("SYNOPSIS");
    write_usages(&mut manual, &usages(command));
    manual.heading("DESCRIPTION");
    manual.prose(&described(command));
    manual.prose("The options of every command are in enrollctl(1).");
    manual.heading("OPTIONS");
    manual.options(&own(command));
    let sections = [
        ("PAGES", "The pages"),
        ("ANOTHER MACHINE", "From another machine"),
        ("SECURITY", "What keeps it yours"),
        ("DIAGNOSTICS", "When it does not work"),
    ];
    markdown::write_sections(&mut manual, CONSOLE, &sections);
    write_examples(&mut manual, command);
    manual.see_also(&["enrollctl(1)", "enrolld(8)"]);
    manual.finish()
}

/// A command under a heading of its own.
fn write_command(manual: &mut Manual, command: &Command) {
    manual.subheading(command.get_name());
    manual.prose(&described(command));
    let help = Help::of(command);
    manual.prose(&help.prose);
    manual.options(&own(command));
    if !help.examples.is_empty() {
        manual.code(&help.examples);
    }
}

fn write_examples(manual: &mut Manual, command: &Command) {
    manual.heading("EXAMPLES");
    manual.code(&Help::of(command).examples);
}

/// Usages, the command in bold.
fn write_usages(manual: &mut Manual, usages: &[String]) {
    let split = |usage: &String| {
        let at = usage.find(|c: char| "[<".contains(c) || c.is_uppercase()).unwrap_or(usage.len());
        (usage[..at].to_owned(), usage[at..].to_owned())
    };
    let split: Vec<_> = usages.iter().map(split).collect();
    manual.lines(split.iter().map(|(name, rest)| (name.as_str(), rest.as_str())));
}

/// The text behind the options in the help of a command, in two parts.
struct Help {
    prose: String,
    /// The lines of the examples, without their indentation.
    examples: String,
}

impl Help {
    fn of(command: &Command) -> Self {
        let help = command.get_after_long_help().or_else(|| command.get_after_help());
        let help = help.map(ToString::to_string).unwrap_or_default();
        let is_title = |line: &&str| matches!(*line, "Example:" | "Examples:");
        let prose: Vec<_> = help.lines().take_while(|line| !is_title(line)).collect();
        let examples = help.lines().skip(prose.len() + 1).map(|line| line.strip_prefix("  ").unwrap_or(line));
        Self { examples: examples.collect::<Vec<_>>().join("\n"), prose: prose.join("\n") }
    }
}

/// The commands of a shell in these lines; a backslash at the end of a line continues it.
fn commands_in(lines: &str) -> Vec<String> {
    let mut commands: Vec<String> = Vec::new();
    let mut continues = false;
    for line in lines.lines() {
        match commands.last_mut().filter(|_| continues) {
            Some(command) => *command = format!("{command}\n{line}"),
            None => commands.push(line.to_owned()),
        }
        continues = line.ends_with('\\');
    }
    commands
}

/// A command with everything that is derived: usages, global options, the options for help.
fn built(mut command: Command) -> Command {
    command.build();
    command
}

/// The commands of a command but for `help`, which clap adds.
fn subcommands(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|command| command.get_name() != "help" && !command.is_hide_set())
}

/// A command that hides the options that every command has.
fn own(command: &Command) -> Command {
    command.clone().mut_args(|argument| {
        let is_of_all = argument.is_global_set() || matches!(argument.get_id().as_str(), "help" | "version");
        let is_hidden = is_of_all || argument.is_hide_set();
        argument.hide(is_hidden)
    })
}

/// The usages of a command, without the word.
fn usages(command: &Command) -> Vec<String> {
    let usage = command.clone().render_usage().to_string();
    usage.trim_start_matches("Usage:").lines().map(|line| line.trim().to_owned()).collect()
}

fn about(command: &Command) -> String {
    command.get_about().map(ToString::to_string).unwrap_or_default()
}

fn described(command: &Command) -> String {
    command.get_long_about().map_or_else(|| about(command), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backslash_continues_a_command() {
        assert_eq!(commands_in("a \\\n  b\nc"), ["a \\\n  b", "c"]);
    }

    #[test]
    fn every_command_has_an_example() {
        let examples = examples();
        let mut waiting = vec![built(enrollctl::command()), built(enrolld::command())];
        while let Some(command) = waiting.pop() {
            let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
            let is_area = name != "enrollctl" && name != "enrolld" && command.has_subcommands();
            assert!(is_area || examples.iter().any(|example| example.command == name), "{name}");
            waiting.extend(subcommands(&command).cloned());
        }
    }
}
