//! Tab completion for bash, zsh and fish: a loader of one line, and the candidates that this program prints when the
//! shell asks it.
//!
//! The shell calls the installed program again for each Tab, with the shell's name in a variable of the environment and
//! the words so far after `--`. So script and program are always of one version. The engine is that of clap_complete;
//! names of records come from the daemon, within a deadline. Whatever goes wrong, there are just no candidates, because
//! nothing may be printed into a line that somebody is typing.

mod bash;
mod fields;
mod records;
mod words;
mod zsh;

use std::ffi::{OsStr, OsString};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Arg, ArgMatches, Command};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use clap_complete::env::{EnvCompleter, Fish};

use self::bash::Bash;
use self::records::{Records, Source};
use self::zsh::Zsh;
use crate::commands;
use crate::failure::Failure;
use crate::output::Output;

/// The variable with the name of the shell that asks.
const VARIABLE: &str = "ENROLLCTL_COMPLETE";

/// The name under which the shell finds this program.
const PROGRAM: &str = "enrollctl";

/// The time for all that the daemon is asked, from the start of the program.
const DEADLINE: Duration = Duration::from_millis(80);

/// The variable with another time in milliseconds, and the longest that it may name.
const PATIENCE: &str = "ENROLLCTL_COMPLETE_MS";
const PATIENCE_MS_MAX: u64 = 60_000;

/// Shells, and the lines that load their completions.
const LOADERS: [(&str, &str); 3] = [
    ("bash", "source <(ENROLLCTL_COMPLETE=bash enrollctl)\n"),
    ("zsh", "#compdef enrollctl\nsource <(ENROLLCTL_COMPLETE=zsh enrollctl)\n"),
    ("fish", "ENROLLCTL_COMPLETE=fish enrollctl | source\n"),
];

const ABOUT: &str = "Print the line that loads the completions of a shell

The line asks enrollctl itself, when the shell needs completions for the first time. Besides verbs and options, names of \
records are completed, as far as a daemon answers at once and the caller may list them.";

/// The command line.
pub(crate) fn command() -> Command {
    let about = ABOUT.lines().next().unwrap_or_default();
    let shells = LOADERS.map(|(shell, _)| shell);
    Command::new("completions")
        .about(about)
        .long_about(ABOUT)
        .after_help("Example:\n  enrollctl completions bash > ~/.local/share/bash-completion/completions/enrollctl")
        .arg(Arg::new("shell").required(true).value_name("SHELL").help("The shell").value_parser(shells))
}

/// Prints the loader of a shell.
pub(crate) fn run(matches: &ArgMatches, output: &Output) -> Result<ExitCode, Failure> {
    let shell = matches.get_one::<String>("shell").map(String::as_str);
    let loader = LOADERS.iter().find(|(name, _)| Some(*name) == shell).map_or("", |(_, loader)| loader);
    output.raw(loader.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// Answers a shell, if one asks: with its completion function, or with the candidates for the last word. `None` for any
/// other start of the program.
pub(crate) fn answer() -> Option<ExitCode> {
    let begun = Instant::now();
    let shell = std::env::var(VARIABLE).ok().filter(|shell| !shell.is_empty())?;
    let until = begun + patience();
    let shells: [&dyn EnvCompleter; 3] = [&Bash, &Zsh, &Fish];
    let output = Output::new(PROGRAM, false);
    let Some(shell) = shells.into_iter().find(|known| known.is(&shell)) else {
        let why = format!("{VARIABLE} is {shell:?}, and there are completions for bash, zsh and fish");
        return Some(output.failure(&Failure::Usage(why)));
    };
    let words: Vec<OsString> = std::env::args_os().skip_while(|word| word != "--").skip(1).collect();
    let mut printed = Vec::new();
    let written = match words.is_empty() {
        true => shell.write_registration(VARIABLE, PROGRAM, PROGRAM, PROGRAM, &mut printed),
        false => complete(shell, words, until, &mut printed),
    };
    // The engine fails where there is nothing to complete.
    let is_done = written.is_ok() && output.raw(&printed).is_ok();
    Some(if is_done { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// The loader of a shell: its template with the names that the engine passes.
fn loader(template: &str, variable: &str, completer: &str, name: &str, bin: &str) -> String {
    let function = template.replace("VAR=", &format!("{variable}=")).replace("COMPLETER", completer);
    function.replace("NAME", name).replace("BIN", bin)
}

fn patience() -> Duration {
    let named = std::env::var(PATIENCE).ok().and_then(|ms| ms.parse::<u64>().ok());
    named.map_or(DEADLINE, |ms| Duration::from_millis(ms.min(PATIENCE_MS_MAX)))
}

fn complete(
    shell: &dyn EnvCompleter,
    words: Vec<OsString>,
    until: Instant,
    printed: &mut Vec<u8>,
) -> std::io::Result<()> {
    // Only fish takes off quotes itself.
    let words = if shell.name() == Fish.name() { words } else { words::unquoted(words) };
    let typed: Vec<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let mut command = equipped(commands::command(), &typed, until);
    shell.write_complete(&mut command, words, std::env::current_dir().ok().as_deref(), printed)
}

/// The tree of commands, whose arguments know where their values come from.
fn equipped(command: Command, typed: &[String], until: Instant) -> Command {
    let before = typed.split_last().map_or(&[][..], |(_, before)| before);
    let records = Records::new(PROGRAM, before, until);
    let row = words::operation(before);
    let command = command.mut_args(|arg| match arg.get_id().as_str() {
        "global.as" => arg.add(records.completer(Source::People)),
        "global.field" => arg.add(ArgValueCompleter::new(move |typed: &OsStr| fields::candidates(row, typed))),
        _ => arg,
    });
    command.mut_subcommands(|area| {
        let name = area.get_name().to_owned();
        area.mut_subcommands(|verb| {
            let verb_name = verb.get_name().to_owned();
            verb.mut_args(|arg| match Source::of(&name, &verb_name, arg.get_id().as_str()) {
                Some(source) => arg.add(records.completer(source)),
                None => arg,
            })
        })
    })
}

/// A candidate with a line for people, which some shells show beside it.
fn candidate(value: impl Into<OsString>, help: String) -> CompletionCandidate {
    CompletionCandidate::new(value).help((!help.is_empty()).then(|| help.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_stays_sound_with_its_completers() {
        equipped(commands::command(), &["enrollctl".to_owned(), String::new()], Instant::now()).debug_assert();
    }

    #[test]
    fn every_shell_has_its_loader_and_its_function() {
        let shells: [&dyn EnvCompleter; 3] = [&Bash, &Zsh, &Fish];
        for (shell, (name, loader)) in shells.into_iter().zip(LOADERS) {
            assert_eq!(shell.name(), name);
            assert!(loader.contains(&format!("{VARIABLE}={name} {PROGRAM}")), "{loader}");
            let mut function = Vec::new();
            shell.write_registration(VARIABLE, PROGRAM, PROGRAM, PROGRAM, &mut function).expect("written");
            let function = String::from_utf8(function).expect("text");
            assert!(function.contains(&format!("{VARIABLE}={name}")) && function.contains(PROGRAM), "{function}");
        }
    }
}
