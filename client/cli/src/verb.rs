//! One operation from the command line: its arguments as a request, its reply as output.

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;

use clap::ArgMatches;
use enroll_client::Error;
use enroll_client::protocol::{Invalid, Kind, OperationRow};

use crate::failure::Failure;
use crate::names::Names;
use crate::options::Options;
use crate::output::Output;
use crate::{backup, bulk, export, extra, import, secret, stream, text};

/// Asks for the operation of this area that the command line names.
pub(crate) async fn run(
    area: &str,
    matches: &ArgMatches,
    options: &Options,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let (verb, matches) = matches.subcommand().ok_or_else(|| usage(format!("expected a verb of {area}")))?;
    let row = OperationRow::by_name(&format!("{area}.{verb}")).ok_or_else(|| usage(format!("no verb {verb}")))?;
    let envelope = options.envelope();
    if bulk::is_one(row) && bulk::is_wanted(matches) {
        return bulk::run(row, matches, envelope, options, output).await;
    }
    if import::is_one(row) {
        return import::run(matches, envelope, options, output).await;
    }
    let request = request(row, matches, output)?;
    match row.kind {
        Kind::Stream => return stream::run(row, envelope, &request, options, output).await,
        Kind::Walk if backup::is_one(row) => {
            return backup::run(row, matches, envelope, &request, options, output).await;
        }
        Kind::Walk if export::is_one(row) => {
            return export::run(row, matches, envelope, &request, options, output).await;
        }
        Kind::Walk => return text::run(row, envelope, &request, options, output).await,
        Kind::Read | Kind::Scan | Kind::Lookup | Kind::Write | Kind::Bulk => {}
    }
    let client = options.connect().await?;
    let reply = client.call_raw(row, envelope, &request).await?;
    let json = (row.reply_to_json)(&reply)
        .map_err(|err| Error::Protocol(format!("the reply of {} can not be read: {err}", row.name)))?;
    let names = if output.is_for_people() { Names::look_up(&client, &json).await } else { Names::default() };
    output.reply_named(row.name, &json, &names)?;
    // What is wrong with the registry was told, and so was a no; a script must notice it as well.
    let is_unsound = row.name == "server.check" && json != "[]";
    let is_no = matches!(row.verb(), "has" | "check") && json == "false";
    Ok(if is_unsound || is_no { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

/// The request on the wire.
fn request(row: &OperationRow, matches: &ArgMatches, output: &Output) -> Result<Vec<u8>, Failure> {
    let invalid = |err: Invalid| usage(err.0);
    let request = (row.request_of)(matches).map_err(invalid)?;
    let request = extra::fill(&request, matches)?;
    let request =
        secret::fill(row, &request, &mut io::stdin().lock(), io::stdin().is_terminal(), |what| output.ask(what))?;
    (row.request_to_wire)(&request).map_err(invalid)
}

fn usage(message: String) -> Failure {
    Failure::Usage(message)
}
