//! The command `console`: it becomes `enrollctl-console`, the local web page, which has a package of its own.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::{self, ExitCode};

use clap::{Args, Command};

use crate::commands;
use crate::failure::Failure;
use crate::process::which;

/// The executable.
const PROGRAM: &str = "enrollctl-console";

/// Open a local web page on which one sees, decides and follows
///
/// The page is served on 127.0.0.1 to the user who started the command, and to nobody else on this machine. It acts
/// with that user's grant, and with --as or --as-jwt for that person. The printed address has a code that opens one
/// session in one browser; where there is a browser, it is opened.
///
/// It ends with the command, and after a time without use.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  enrollctl console\n  enrollctl --as BOSS console --read-only\n  \
                        enrollctl console --port 8480 --no-browser")]
pub struct Arguments {
    /// The port on 127.0.0.1; 0 is a free one
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub port: u16,
    /// Show everything and change nothing: no page has a form that writes
    #[arg(long)]
    pub read_only: bool,
    /// Open no browser; the address is printed in any case
    #[arg(long)]
    pub no_browser: bool,
    /// End after so many minutes without use; a fraction is allowed
    #[arg(long, value_name = "N", default_value = "30", value_parser = idle_minutes)]
    pub idle_minutes: f64,
}

fn idle_minutes(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(minutes) if (0.01..=1440.0).contains(&minutes) => Ok(minutes),
        _ => Err("expected minutes, 0.01 to 1440".to_owned()),
    }
}

/// The command line.
pub(crate) fn command() -> Command {
    Arguments::augment_args(Command::new("console"))
}

/// Becomes the console, with the command line of this process. Returns only if that fails.
pub(crate) fn run() -> Result<ExitCode, Failure> {
    let Some(program) = which::find(PROGRAM) else {
        let why =
            format!("{PROGRAM} is neither beside enrollctl nor in PATH; on Debian: sudo apt install enrolld-console");
        return Err(Failure::Own(why));
    };
    let words = without_command(std::env::args_os().skip(1).collect());
    let err = process::Command::new(&program).args(words).exec();
    Err(Failure::Own(format!("{}: {err}", program.display())))
}

/// The words of a command line but for the command itself: the first `console` up to which they are a whole command
/// line, because the value of an option may be that word, too.
fn without_command(mut words: Vec<OsString>) -> Vec<OsString> {
    let is_whole = |end: usize| {
        let words = [OsString::from("enrollctl")].into_iter().chain(words[..end].iter().cloned());
        commands::command()
            .try_get_matches_from(words)
            .is_ok_and(|matches| matches.subcommand_name() == Some("console"))
    };
    let at = words.iter().enumerate().filter(|(_, word)| *word == "console").map(|(at, _)| at);
    if let Some(at) = at.into_iter().find(|at| is_whole(at + 1)) {
        words.remove(at);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_removed_and_a_value_of_its_name_stays() {
        for (given, expected) in [
            ("console", ""),
            ("--as console console --port 1", "--as console --port 1"),
            ("--as BOSS console --origin console", "--as BOSS --origin console"),
            ("console --as console", "--as console"),
        ] {
            let words = given.split_whitespace().map(OsString::from).collect();
            let left = without_command(words).join(std::ffi::OsStr::new(" "));
            assert_eq!(left, expected, "{given}");
        }
    }

    #[test]
    fn the_idle_time_has_bounds() {
        for (text, is_fine) in
            [("30", true), ("0.05", true), ("0", false), ("-1", false), ("NaN", false), ("inf", false)]
        {
            assert_eq!(idle_minutes(text).is_ok(), is_fine, "{text}");
        }
    }
}
