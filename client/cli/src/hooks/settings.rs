//! The settings of a runner: its command line, and the people of its filter looked up.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use enroll_client::Client;
use enroll_client::protocol::changes::List;
use enroll_client::protocol::{PageLimit, Pk, Reference, person};

use super::feed;
use super::filter::{Condition, Filter, condition};
use super::subjects::Per;
use crate::failure::Failure;
use crate::output::Output;
use crate::process::which;

const EXAMPLES: &str =
    "Exit codes: 0 stopped by a signal; 1 refused, or the position can not be used or written; 2 usage.

Examples:
  enrollctl changes run --position seats.position --from now --filter area=registration verb=seated -- ./mail-seated
  enrollctl changes run --position seats.position --per event --give-up-after 8 --dead-letters seats.dead -- ./tell";

/// Run a command for each change, in order and at least once, until stopped
///
/// The command has the change as one line of JSON on its standard input and its number in ENROLLD_CHANGE_SEQ; it need
/// not read. It is run without a shell. When it ends with 0, the change is done: the position is written and synced, and
/// the next one begins. When it fails, it is run again, after a second at first and up to a minute later, until it
/// succeeds; nothing behind it is run before. A runner that is killed repeats at most the commands that ran, and its
/// commands are killed with it. A daemon that is away is waited for.
///
/// SIGTERM and SIGINT stop it: no further command begins, those that run may end.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Settings {
    /// The file that remembers which changes are passed; one runner holds it at a time
    #[arg(long, value_name = "FILE")]
    pub(super) position: PathBuf,
    /// Where to begin without a position: start (the oldest change that is kept), now, or with the change of this number
    #[arg(long, value_name = "SEQ", value_parser = From::read)]
    from: Option<From>,
    /// Let --from stand where there is a position already, which counts then
    #[arg(long, requires = "from")]
    if_new: bool,
    /// Only changes with this area, verb and actor, such as area=registration verb=seated,moved; the others are passed
    #[arg(long, value_name = "NAME=VALUE", num_args = 1.., value_parser = condition)]
    filter: Vec<Condition>,
    /// Only changes of this person: callsign or pk
    #[arg(long, value_name = "PERSON")]
    person: Option<Reference>,
    /// Give the command up to so many changes at once, one line each
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(super) batch: u16,
    /// Keep the order for each of these only, so that a change which fails stops no others
    #[arg(long, value_enum, value_name = "KIND")]
    pub(super) per: Option<Per>,
    /// Run up to so many commands at once
    #[arg(long, value_name = "N", default_value_t = 4, requires = "per",
        value_parser = clap::value_parser!(u16).range(1..=64))]
    parallel: u16,
    /// After so many failed tries write the change to the dead letters, and pass it [default: never]
    #[arg(long, value_name = "N", requires = "dead_letters", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) give_up_after: Option<u32>,
    /// The file for changes that are given up, one line of JSON each
    #[arg(long, value_name = "FILE", requires = "give_up_after")]
    pub(super) dead_letters: Option<PathBuf>,
    /// When stopped, let commands run on for so many seconds, and then kill them
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(0..=86_400))]
    stop_within: u64,
    /// Write metrics for node_exporter's textfile collector into this file
    #[arg(long, value_name = "FILE")]
    pub(super) metrics: Option<PathBuf>,
    /// The command and its arguments
    #[arg(last = true, required = true, num_args = 1.., value_name = "COMMAND")]
    pub(super) command: Vec<OsString>,
}

/// Where a runner without a position begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    Start,
    Now,
    Seq(u64),
}

impl From {
    fn read(text: &str) -> Result<Self, String> {
        match text {
            "start" => Ok(Self::Start),
            "now" => Ok(Self::Now),
            _ => match text.parse() {
                Ok(1..) => text.parse().map(Self::Seq).map_err(|_| String::new()),
                _ => Err("expected start, now or the number of a change, from 1".to_owned()),
            },
        }
    }
}

impl Settings {
    /// Commands that run at the same time.
    pub(super) fn parallel(&self) -> usize {
        if self.per.is_some() { usize::from(self.parallel) } else { 1 }
    }

    /// The time that commands have to end when the runner is stopped.
    pub(super) fn stop_within(&self) -> Duration {
        Duration::from_secs(self.stop_within)
    }

    /// Refuses a command that is not there, and a `--from` that is missing or counts for nothing.
    pub(super) fn check(&self, is_new: bool) -> Result<(), Failure> {
        let shown = self.position.display();
        match (is_new, self.from) {
            (true, None) => {
                let why =
                    format!("{shown} is not there yet; name where to begin: --from start, --from now or --from SEQ");
                return Err(Failure::Usage(why));
            }
            (false, Some(_)) if !self.if_new => {
                let why = format!(
                    "{shown} says where to go on, so --from counts for nothing; leave it out, or say --if-new beside it"
                );
                return Err(Failure::Usage(why));
            }
            _ => {}
        }
        let program = self.command.first().map(Path::new).unwrap_or(Path::new(""));
        let is_path = program.components().count() > 1 || program.is_absolute();
        let is_there = match is_path {
            true => which::is_executable(program),
            false => which::directories().iter().any(|directory| which::is_executable(&directory.join(program))),
        };
        let place = if is_path { "no executable file" } else { "no command in PATH" };
        if is_there { Ok(()) } else { Err(Failure::Usage(format!("{} is {place}", program.display()))) }
    }

    /// The number behind which a runner without a position begins.
    pub(super) async fn beginning(&self, client: &Client, output: &Output) -> Result<u64, Failure> {
        let tell = |why: &str| output.note(&format!("waiting for the daemon: {why}"));
        match self.from {
            Some(From::Seq(seq)) => Ok(seq - 1),
            Some(From::Start) => {
                let limit = PageLimit::new(1).map_err(|err| Failure::Own(err.0))?;
                let page = feed::ask(client, List { limit, ..List::default() }, tell).await?;
                match page.items.first() {
                    Some(oldest) => Ok(oldest.seq - 1),
                    None => feed::head(client, tell).await,
                }
            }
            Some(From::Now) | None => feed::head(client, tell).await,
        }
    }

    /// The filter. Refuses a person that there is not.
    pub(super) async fn filter(&self, client: &Client, output: &Output) -> Result<Filter, Failure> {
        let mut filter = Filter::default();
        for condition in &self.filter {
            match condition {
                Condition::Area(areas) => filter.areas.push(areas.clone()),
                Condition::Verb(verbs) => filter.verbs.push(verbs.clone()),
                Condition::Actor(named) => {
                    let mut actors = Vec::new();
                    for actor in named {
                        actors.push(look_up(client, actor, output).await?);
                    }
                    filter.actors.push(actors);
                }
            }
        }
        if let Some(person) = &self.person {
            filter.person = Some(look_up(client, person, output).await?);
        }
        Ok(filter)
    }
}

/// The pk of a person, also of one who is deleted: their changes are in the feed.
async fn look_up(client: &Client, person: &Reference, output: &Output) -> Result<Pk, Failure> {
    let get = person::Get { person: person.clone(), allow_deleted: true };
    Ok(feed::ask(client, get, |why| output.note(&format!("waiting for the daemon: {why}"))).await?.pk)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_is_a_word_or_a_number_of_a_change() {
        for (text, expected) in [
            ("start", Some(From::Start)),
            ("now", Some(From::Now)),
            ("1", Some(From::Seq(1))),
            ("0", None),
            ("-1", None),
            ("end", None),
            ("", None),
        ] {
            assert_eq!(From::read(text).ok(), expected, "{text}");
        }
    }
}
