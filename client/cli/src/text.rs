//! A text that comes in pieces, however long it is: printed when it is whole, because half a list is none.

use std::process::ExitCode;

use enroll_client::Error;
use enroll_client::protocol::{Envelope, OperationRow};

use crate::failure::Failure;
use crate::options::Options;
use crate::output::{Output, text};

/// Asks and prints.
pub(crate) async fn run(
    row: &'static OperationRow,
    envelope: Envelope,
    request: &[u8],
    options: &Options,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let mut stream = options.lazy().stream_raw(row, envelope, request).await?;
    let mut whole = String::new();
    while let Some(piece) = stream.next().await {
        let json = (row.reply_to_json)(&piece?)
            .map_err(|err| Error::Protocol(format!("a piece of {} can not be read: {err}", row.name)))?;
        whole.push_str(&text(&json));
    }
    let json = serde_json::to_string(&whole).map_err(|err| Failure::Own(err.to_string()))?;
    output.reply(row.name, &json)?;
    Ok(ExitCode::SUCCESS)
}
