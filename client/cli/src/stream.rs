//! A stream from the command line: a line of JSON for each item, at once, for as long as somebody reads them.

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use enroll_client::Error;
use enroll_client::protocol::{Envelope, OperationRow};

use crate::failure::Failure;
use crate::options::Options;
use crate::output::Output;

/// How long a daemon may be away: longer than a restart with the check of a large database.
const RECONNECT_FOR: Duration = Duration::from_secs(30);

/// Prints items until the stream ends, until nobody reads them, which loses the rest, or until the daemon stays away.
pub(crate) async fn run(
    row: &'static OperationRow,
    envelope: Envelope,
    request: &[u8],
    options: &Options,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let client = options.patient(RECONNECT_FOR);
    let mut stream = client.stream_raw(row, envelope, request).await?;
    let closed = output.closed();
    tokio::pin!(closed);
    loop {
        let item = tokio::select! {
            item = stream.next() => item,
            () = &mut closed => return Err(Failure::lost(&io::ErrorKind::BrokenPipe.into())),
        };
        let Some(item) = item else { return Ok(ExitCode::SUCCESS) };
        let json = (row.reply_to_json)(&item?)
            .map_err(|err| Error::Protocol(format!("an item of {} can not be read: {err}", row.name)))?;
        output.json(format!("{json}\n").as_bytes())?;
    }
}
