//! The commands `show`: one picture of a record, combined from the replies of several operations.

mod certificate;
mod event;
mod past;
mod pool;

pub use self::certificate::fields as certificate_fields;

use std::process::ExitCode;

use clap::{ArgMatches, Args as _, Command, FromArgMatches};

use crate::failure::Failure;
use crate::options::Options;
use crate::output::Output;

/// The command of an area; `None` if the area has none.
pub(crate) fn command(area: &str) -> Option<Command> {
    let command = Command::new("show");
    match area {
        "certificate" => Some(certificate::Show::augment_args(command)),
        "event" => Some(event::Show::augment_args(command)),
        "pool" => Some(pool::Show::augment_args(command)),
        _ => None,
    }
}

/// Runs the command of an area.
pub(crate) async fn run(
    area: &str,
    matches: &ArgMatches,
    options: &Options,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let client = options.connect().await?;
    match area {
        "certificate" => output.summary("certificate.show", &certificate::ask(&client, parsed(matches)?).await?)?,
        "event" => output.summary("event.show", &event::ask(&client, parsed(matches)?).await?)?,
        _ => {
            let (summary, note) = pool::ask(&client, parsed(matches)?).await?;
            output.summary("pool.show", &summary)?;
            note.iter().for_each(|note| output.note(note));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn parsed<T: FromArgMatches>(matches: &ArgMatches) -> Result<T, Failure> {
    T::from_arg_matches(matches).map_err(|err| Failure::Usage(err.to_string()))
}
