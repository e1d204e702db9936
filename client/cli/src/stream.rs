//! The streams on the command line: items printed as they come, or joined into one text.

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use enroll_client::protocol::{Envelope, Kind, Operation as _, OperationRow, certificate, codec};
use enroll_client::{Error, RawStream};

use crate::failure::Failure;
use crate::files::{backup, export};
use crate::options::Options;
use crate::output::{Output, text};

/// The time that a daemon may be away: longer than a restart with the check of a large database.
const RECONNECT_FOR: Duration = Duration::from_secs(30);

/// Prints each item, as a line of JSON or its fields, until the stream ends. Fails if standard output is closed or the
/// daemon stays away.
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
        output.item(&json)?;
    }
}

/// True for a list that ends: a walk whose items are pieces of one text, and no file of any size.
pub(crate) fn is_list(row: &OperationRow) -> bool {
    row.kind == Kind::Walk && !backup::handles(row) && !export::handles(row)
}

/// Joins the items of a list into one text and prints it when it is complete, because half a list is none. A list in
/// DER is printed as its bytes, unless JSON was asked for. Refuses a terminal for these.
pub(crate) async fn join(
    row: &'static OperationRow,
    (envelope, request): (Envelope, &[u8]),
    options: &Options,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let is_binary = is_der(row, request) && !output.is_json();
    if is_binary && io::stdout().is_terminal() {
        return Err(Failure::Usage("DER is nothing to look at; send standard output elsewhere".to_owned()));
    }
    let list = whole(row, options.lazy().stream_raw(row, envelope, request).await?).await?;
    if is_binary {
        let der = STANDARD.decode(&list).map_err(|err| Error::Protocol(format!("the DER of {}: {err}", row.name)))?;
        output.raw(&der)?;
    } else {
        let json = serde_json::to_string(&list).map_err(|err| Failure::Own(err.to_string()))?;
        output.reply(row.name, &json)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The whole text of a list.
pub(crate) async fn whole(row: &OperationRow, mut stream: RawStream) -> Result<String, Error> {
    let mut whole = String::new();
    while let Some(json) = next_item(row, &mut stream).await? {
        whole.push_str(&text(&json));
    }
    Ok(whole)
}

/// True for a list that is asked for in DER, whose text is base64.
fn is_der(row: &OperationRow, request: &[u8]) -> bool {
    row.number == certificate::Crl::ROW.number && codec::decode::<certificate::Crl>(request).is_ok_and(|list| list.der)
}

/// The next item as JSON; `None` at the end of the stream.
async fn next_item(row: &OperationRow, stream: &mut RawStream) -> Result<Option<String>, Error> {
    let Some(item) = stream.next().await.transpose()? else { return Ok(None) };
    let json = row
        .reply_to_json(&item)
        .map_err(|err| Error::Protocol(format!("an item of {} can not be read: {err}", row.name)))?;
    Ok(Some(json))
}
