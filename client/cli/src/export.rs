//! `enrollctl server export`: the lines of a walk, into a file that has its name when it is whole, or to standard output.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Arg, ArgMatches, Command, value_parser};
use enroll_client::protocol::export::End;
use enroll_client::protocol::server;
use enroll_client::protocol::{Envelope, Operation as _, OperationRow, codec};
use enroll_client::{Error, RawStream};
use indicatif::ProgressBar;
use serde_json::json;

use crate::failure::Failure;
use crate::options::Options;
use crate::output::Output;
use crate::place::{self, Place};
use crate::progress;

const FILE: &str = "export.file";

/// Bytes, and beside them lines: of an import, whose end is known, and of an export.
pub(crate) const BAR: [&str; 2] = [
    "{bar:40} {percent}%, {bytes} of {total_bytes}, {elapsed}, {eta} left {msg}",
    "{spinner} {bytes}, {elapsed} {msg}",
];

/// What was written.
struct Written {
    bytes: u64,
    records: u64,
}

/// Whether it is the operation whose items are an export.
pub(crate) fn is_one(row: &OperationRow) -> bool {
    row.number == server::Export::ROW.number
}

/// An export's command with the file that its items go to.
pub(crate) fn command(command: Command) -> Command {
    let help = "Where to write it; - and nothing are standard output";
    command.arg(Arg::new(FILE).value_name("FILE").help(help).value_parser(value_parser!(PathBuf)))
}

/// Asks and writes.
pub(crate) async fn run(
    row: &'static OperationRow,
    matches: &ArgMatches,
    envelope: Envelope,
    request: &[u8],
    options: &Options,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let path = matches.get_one::<PathBuf>(FILE).filter(|path| path.as_os_str() != "-");
    let place = path.map(|path| Place::find(path, "export")).transpose()?;
    let is_wanted = place.is_some() || !io::stdout().is_terminal();
    let bar = if is_wanted { progress::bar(None, BAR, output) } else { progress::hidden() };
    let mut stream = options.lazy().stream_raw(row, envelope, request).await?;
    let Some(place) = place else {
        let put = |bytes: &[u8]| output.json(bytes).map_err(|failure| failure.of_part("export"));
        let Written { bytes, records } = copy(&mut stream, put, &bar).await?;
        output.note(&format!("{bytes} bytes, {records} records"));
        return Ok(ExitCode::SUCCESS);
    };
    place::unless_interrupted(write(&mut stream, &place, &bar, output)).await
}

async fn write(stream: &mut RawStream, place: &Place, bar: &ProgressBar, output: &Output) -> Result<ExitCode, Failure> {
    let mut file = place.begin()?;
    let Written { bytes, records } = copy(stream, |bytes| file.write_all(bytes).map_err(place.failed()), bar).await?;
    place.publish(file)?;
    let told = json!({ "file": place.name(), "bytes": bytes, "records": records });
    output.reply("server.export", &told.to_string())?;
    Ok(ExitCode::SUCCESS)
}

/// Hands on what comes; its last line must say how many records there were.
async fn copy(
    stream: &mut RawStream,
    mut put: impl FnMut(&[u8]) -> Result<(), Failure>,
    bar: &ProgressBar,
) -> Result<Written, Failure> {
    let unreadable = |err: String| Failure::Client(Error::Protocol(format!("what the daemon sent: {err}")));
    let (mut bytes, mut lines, mut last) = (0, 0_u64, String::new());
    while let Some(item) = stream.next().await {
        let piece: String = codec::decode(&item?).map_err(|err| unreadable(err.0))?;
        put(piece.as_bytes())?;
        bytes += piece.len() as u64;
        lines += piece.matches('\n').count() as u64;
        last.push_str(&piece);
        let whole = last.trim_end_matches('\n');
        if let Some(end) = whole.rfind('\n') {
            last.drain(..=end);
        }
        bar.set_position(bytes);
        bar.set_message(format!("{lines} lines"));
    }
    bar.finish_and_clear();
    match serde_json::from_str::<End>(&last) {
        Ok(End { enrolld_export_end: records }) if lines == records + 2 => Ok(Written { bytes, records }),
        _ => Err(unreadable("an export without its last line".to_owned())),
    }
}
