//! The streams on the command line: items printed as they come, or joined into one text.

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use enroll_client::protocol::{Envelope, OperationRow};
use enroll_client::{Error, RawStream};

use crate::failure::Failure;
use crate::options::Options;
use crate::output::{Output, text};

/// The time that a daemon may be away: longer than a restart with the check of a large database.
const RECONNECT_FOR: Duration = Duration::from_secs(30);

/// Prints each item as a line of JSON until the stream ends. Fails if standard output is closed or the daemon stays
/// away.
pub(crate) async fn follow(
    row: &'static OperationRow,
    (envelope, request): (Envelope, &[u8]),
    options: &Options,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let mut stream = options.patient(RECONNECT_FOR).stream_raw(row, envelope, request).await?;
    let closed = output.closed();
    tokio::pin!(closed);
    loop {
        let item = tokio::select! {
            item = next_item(row, &mut stream) => item?,
            () = &mut closed => return Err(Failure::lost(&io::ErrorKind::BrokenPipe.into())),
        };
        let Some(json) = item else { return Ok(ExitCode::SUCCESS) };
        output.json(format!("{json}\n").as_bytes())?;
    }
}

/// Joins the items into one text and prints it when it is complete, because half a list is none.
pub(crate) async fn join(
    row: &'static OperationRow,
    (envelope, request): (Envelope, &[u8]),
    options: &Options,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let mut stream = options.lazy().stream_raw(row, envelope, request).await?;
    let mut whole = String::new();
    while let Some(json) = next_item(row, &mut stream).await? {
        whole.push_str(&text(&json));
    }
    let json = serde_json::to_string(&whole).map_err(|err| Failure::Own(err.to_string()))?;
    output.reply(row.name, &json)?;
    Ok(ExitCode::SUCCESS)
}

/// The next item as JSON; `None` at the end of the stream.
async fn next_item(row: &OperationRow, stream: &mut RawStream) -> Result<Option<String>, Failure> {
    let Some(item) = stream.next().await.transpose()? else { return Ok(None) };
    let json = (row.reply_to_json)(&item)
        .map_err(|err| Error::Protocol(format!("an item of {} can not be read: {err}", row.name)))?;
    Ok(Some(json))
}
