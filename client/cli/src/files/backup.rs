//! The command `server backup FILE`: downloads a backup, and verifies it with the reader that a restore uses.

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Arg, ArgMatches, Command, value_parser};
use enroll_client::protocol::backup::{BackupError, Header, Part, Reader};
use enroll_client::protocol::server::{self, Piece};
use enroll_client::protocol::{Envelope, Operation as _, OperationRow, codec};
use serde_json::json;

use super::download::{Contents, Download, Verifier};
use super::progress;
use crate::failure::Failure;
use crate::options::Options;
use crate::output::Output;

const FILE: &str = "backup.file";

/// True for the operation whose items are a backup.
pub(crate) fn handles(row: &OperationRow) -> bool {
    row.number == server::Backup::ROW.number
}

/// Adds the argument for the file.
pub(crate) fn command(command: Command) -> Command {
    let help = "Where to write it; - is standard output";
    command.arg(Arg::new(FILE).required(true).value_name("FILE").help(help).value_parser(value_parser!(PathBuf)))
}

/// Downloads the backup. Refuses a terminal as standard output.
pub(crate) async fn run(
    row: &'static OperationRow,
    matches: &ArgMatches,
    (envelope, request): (Envelope, &[u8]),
    options: &Options,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let path = matches.get_one::<PathBuf>(FILE).ok_or_else(|| Failure::Usage("expected a file".to_owned()))?;
    let path = (path.as_os_str() != "-").then_some(path.as_path());
    if path.is_none() && io::stdout().is_terminal() {
        return Err(Failure::Usage("a backup is nothing to look at; send standard output elsewhere".to_owned()));
    }
    let verifier = BackupVerifier { reader: Reader::new(), header: None, entries: 0 };
    Download { row, envelope, request, path }.run(verifier, &progress::hidden(), options, output).await
}

struct BackupVerifier {
    reader: Reader,
    header: Option<Header>,
    entries: u64,
}

impl Verifier for BackupVerifier {
    const WHAT: &'static str = "backup";
    const MEMBERS: &'static [&'static str] = &["entries", "changes_head", "at"];

    fn take(&mut self, item: &[u8]) -> Result<Vec<u8>, String> {
        let Piece(piece) = codec::decode(item).map_err(|err| err.0)?;
        self.reader.push(&piece);
        while let Some(part) = self.reader.next_part().map_err(|err| err.to_string())? {
            match part {
                Part::Header(header) => self.header = Some(header),
                Part::Entry(..) => {}
                Part::End(count) => self.entries = count,
            }
        }
        Ok(piece)
    }

    fn finish(self) -> Result<Contents, String> {
        self.reader.finish().map_err(|err| err.to_string())?;
        let header = self.header.ok_or_else(|| BackupError::Foreign.to_string())?;
        let (entries, changes_head, at) = (self.entries, header.changes_head, header.at);
        let words = format!("{entries} entries, latest change {changes_head}");
        Ok(Contents { words, members: json!({"entries": entries, "changes_head": changes_head, "at": at}) })
    }

    fn print(output: &Output, bytes: &[u8]) -> Result<(), Failure> {
        output.raw(bytes)
    }
}
