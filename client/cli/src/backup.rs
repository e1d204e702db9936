//! `enrollctl server backup FILE`: the bytes of a walk into a file, which has its name when it is whole.
//!
//! Until then it lies beside its place under a name that nobody looks for, readable by this user alone, and is removed
//! whatever happens: a half backup is none. What is written is read at the same time, so a backup that has its name is
//! one that its reader takes.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Arg, ArgMatches, Command, value_parser};
use enroll_client::protocol::backup::{BackupError, Header, Part, Reader};
use enroll_client::protocol::server::{self, Piece};
use enroll_client::protocol::{Envelope, Operation as _, OperationRow, codec};
use enroll_client::{Error, RawStream};
use serde_json::json;

use crate::failure::Failure;
use crate::options::Options;
use crate::output::Output;
use crate::place::{self, Place};

const FILE: &str = "backup.file";

/// What was written.
struct Written {
    header: Header,
    bytes: u64,
    entries: u64,
}

/// Whether it is the operation whose items are a backup.
pub(crate) fn is_one(row: &OperationRow) -> bool {
    row.number == server::Backup::ROW.number
}

/// A backup's command with the file that its items go to.
pub(crate) fn command(command: Command) -> Command {
    let help = "Where to write it; - is standard output";
    command.arg(Arg::new(FILE).required(true).value_name("FILE").help(help).value_parser(value_parser!(PathBuf)))
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
    let path = matches.get_one::<PathBuf>(FILE).ok_or_else(|| Failure::Usage("expected a file".to_owned()))?;
    let place = (path.as_os_str() != "-").then(|| Place::find(path, "backup")).transpose()?;
    if place.is_none() && io::stdout().is_terminal() {
        return Err(Failure::Usage("a backup is nothing to look at; send standard output elsewhere".to_owned()));
    }
    let mut stream = options.lazy().stream_raw(row, envelope, request).await?;
    let Some(place) = place else { return pass_on(&mut stream, output).await };
    place::unless_interrupted(write(&mut stream, &place, output)).await
}

async fn pass_on(stream: &mut RawStream, output: &Output) -> Result<ExitCode, Failure> {
    let put = |bytes: &[u8]| output.raw(bytes).map_err(|failure| failure.of_part("backup"));
    let written = copy(stream, put).await?;
    let Written { header, bytes, entries } = written;
    output.note(&format!("{bytes} bytes, {entries} entries, latest change {}", header.changes_head));
    Ok(ExitCode::SUCCESS)
}

async fn write(stream: &mut RawStream, place: &Place, output: &Output) -> Result<ExitCode, Failure> {
    let mut file = place.begin()?;
    let written = copy(stream, |bytes| file.write_all(bytes).map_err(place.failed())).await?;
    place.publish(file)?;
    let told = json!({
        "file": place.name(),
        "bytes": written.bytes,
        "entries": written.entries,
        "changes_head": written.header.changes_head,
        "at": written.header.at,
    });
    output.reply("server.backup", &told.to_string())?;
    Ok(ExitCode::SUCCESS)
}

/// Hands on what comes, and reads it as whoever restores it will.
async fn copy(stream: &mut RawStream, mut put: impl FnMut(&[u8]) -> Result<(), Failure>) -> Result<Written, Failure> {
    let unreadable = |err: String| Failure::Client(Error::Protocol(format!("what the daemon sent: {err}")));
    let damaged = |err: BackupError| unreadable(err.to_string());
    let (mut reader, mut bytes, mut header, mut entries) = (Reader::new(), 0, None, 0);
    while let Some(item) = stream.next().await {
        let Piece(piece) = codec::decode(&item?).map_err(|err| unreadable(err.0))?;
        reader.push(&piece);
        while let Some(part) = reader.next_part().map_err(damaged)? {
            match part {
                Part::Header(found) => header = Some(found),
                Part::Entry(..) => {}
                Part::End(count) => entries = count,
            }
        }
        put(&piece)?;
        bytes += piece.len() as u64;
    }
    reader.finish().map_err(damaged)?;
    let header = header.ok_or_else(|| damaged(BackupError::Foreign))?;
    Ok(Written { header, bytes, entries })
}
