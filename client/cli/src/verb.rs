//! One operation from the command line: its arguments as a request, its reply as output.

use std::collections::BTreeMap;
use std::io;
use std::process::ExitCode;

use clap::ArgMatches;
use enroll_client::Error;
use enroll_client::protocol::{Invalid, Json, OperationRow};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use crate::failure::Failure;
use crate::members::without_position;
use crate::options::{Options, RequestOptions};
use crate::output::Output;
use crate::secret;

/// Asks for the operation of this area that the command line names.
pub(crate) async fn run(
    area: &str,
    matches: &ArgMatches,
    options: &Options,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let (verb, matches) = matches.subcommand().ok_or_else(|| usage(format!("expected a verb of {area}")))?;
    let row = OperationRow::by_name(&format!("{area}.{verb}")).ok_or_else(|| usage(format!("no verb {verb}")))?;
    let request = request(row, matches, output)?;
    let client = options.connect().await?;
    let reply = client.call_raw(row, RequestOptions::envelope(matches), &request).await?;
    let json = (row.reply_to_json)(&reply)
        .map_err(|err| Error::Protocol(format!("the reply of {} can not be read: {err}", row.name)))?;
    output.reply(row.name, &json)?;
    // What is wrong with the registry was told; a script must notice it as well.
    let is_unsound = row.name == "server.check" && json != "[]";
    Ok(if is_unsound { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

/// The request on the wire.
fn request(row: &OperationRow, matches: &ArgMatches, output: &Output) -> Result<Vec<u8>, Failure> {
    let invalid = |err: Invalid| usage(without_position(&err.0));
    let mut request = (row.request_of)(matches).map_err(invalid)?;
    secret::fill(row, &mut request, &mut io::stdin().lock(), |what| output.ask(what))?;
    let request = unrounded(&request, matches).map_err(|err| usage(err.to_string()))?;
    (row.request_to_wire)(&request).map_err(invalid)
}

/// The request as text. Objects go into it as they were written on the command line: on the way through a
/// [`Value`], a number would lose the digits that no machine type holds.
fn unrounded(request: &Value, matches: &ArgMatches) -> serde_json::Result<Box<RawValue>> {
    let mut members = BTreeMap::new();
    for (name, value) in request.as_object().into_iter().flatten() {
        let object = matches.try_get_one::<Json>(name).ok().flatten().filter(|_| value.is_object());
        members.insert(name, object.map_or_else(|| to_raw_value(value), to_raw_value)?);
    }
    to_raw_value(&members)
}

fn usage(message: String) -> Failure {
    Failure::Usage(message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree;

    #[test]
    fn objects_of_the_command_line_keep_every_digit() {
        let object = r#"{"a":1.50,"b":12345678901234567890123}"#;
        let line = ["enrollctl", "code", "create", object, "--expires", "2030-01-31T18:00:00Z"];
        let matches = tree::command().try_get_matches_from(line).expect("a command line");
        let (_, matches) = matches.subcommand().and_then(|(_, area)| area.subcommand()).expect("a verb");
        let row = OperationRow::by_name("code.create").expect("an operation");
        let request = (row.request_of)(matches).expect("a request");
        let expected = format!(r#"{{"audit":null,"claims":{object},"expires":"2030-01-31T18:00:00.000000Z"}}"#);
        assert_eq!(unrounded(&request, matches).expect("json").get(), expected);
    }
}
