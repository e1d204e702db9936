//! One operation on the command line: its arguments become the request, and the reply is shown.

use std::process::ExitCode;

use clap::ArgMatches;
use enroll_client::Error;
use enroll_client::protocol::{Kind, OperationRow};

use crate::failure::Failure;
use crate::files::{backup, export, import, metrics};
use crate::options::Options;
use crate::output::names::Names;
use crate::output::{Output, status};
use crate::{bulk, decisions, request, stream};

/// Runs the operation of this area that the command line names.
pub(crate) async fn run(
    area: &str,
    matches: &ArgMatches,
    options: &Options,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let (verb, matches) = matches.subcommand().ok_or_else(|| usage(format!("expected a verb of {area}")))?;
    let row = OperationRow::by_name(&format!("{area}.{verb}")).ok_or_else(|| usage(format!("no verb {verb}")))?;
    let envelope = options.envelope();
    if bulk::handles(row) && bulk::has_file(matches) {
        options.expect_no_field("a file")?;
        return bulk::run(row, matches, envelope, options, output).await;
    }
    if decisions::handles(row) && decisions::are_several(matches) {
        return decisions::run(row, matches, envelope, options, output).await;
    }
    if import::handles(row) {
        return import::run(matches, envelope, options, output).await;
    }
    if metrics::handles(row) && metrics::wants_text(matches) {
        return metrics::run(matches, options, output).await;
    }
    // The reply to a download is about its file.
    if !backup::handles(row) && !export::handles(row) {
        output.expect_fields(row)?;
    }
    let request = request::encoded(row, matches, output)?;
    request::confirmation::expect(row, matches, &envelope, output)?;
    let ask = (envelope, &request[..]);
    match row.kind {
        Kind::Stream => stream::follow(row, ask, options, output).await,
        Kind::Walk if backup::handles(row) => backup::run(row, matches, ask, options, output).await,
        Kind::Walk if export::handles(row) => export::run(row, matches, ask, options, output).await,
        Kind::Walk => stream::join(row, ask, options, output).await,
        Kind::Read | Kind::Scan | Kind::Lookup | Kind::Write | Kind::Bulk => {
            let (envelope, request) = ask;
            let client = options.connect().await?;
            let reply = client.call_raw(row, envelope, request).await?;
            let json = row
                .reply_to_json(&reply)
                .map_err(|err| Error::Protocol(format!("the reply of {} can not be read: {err}", row.name)))?;
            let names = if output.is_for_people() { Names::look_up(&client, &json).await } else { Names::default() };
            output.reply_named(row.name, &json, &names)?;
            Ok(exit_code(row, &json))
        }
    }
}

/// 1 for a no, for a registry that violates its rules and for a daemon with something wrong, so that a script notices,
/// else 0.
fn exit_code(row: &OperationRow, json: &str) -> ExitCode {
    let is_unsound = row.name == "server.check" && json != "[]";
    let is_no = matches!(row.verb(), "has" | "check") && json == "false";
    let is_wrong = row.name == "server.status" && status::is_wrong(json);
    if is_unsound || is_no || is_wrong { ExitCode::from(1) } else { ExitCode::SUCCESS }
}

fn usage(message: String) -> Failure {
    Failure::Usage(message)
}
