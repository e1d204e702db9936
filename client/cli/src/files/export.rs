//! The command `server export`: downloads an export, and verifies that its last line counts its records.

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Arg, ArgMatches, Command, value_parser};
use enroll_client::protocol::export::End;
use enroll_client::protocol::server;
use enroll_client::protocol::{Envelope, Operation as _, OperationRow, codec};
use serde_json::json;

use super::download::{Contents, Download, Verifier};
use super::progress;
use crate::failure::Failure;
use crate::options::Options;
use crate::output::Output;

const FILE: &str = "export.file";

/// True for the operation whose items are an export.
pub(crate) fn handles(row: &OperationRow) -> bool {
    row.number == server::Export::ROW.number
}

/// Adds the argument for the file.
pub(crate) fn command(command: Command) -> Command {
    let help = "Where to write it; - and nothing are standard output";
    command.arg(Arg::new(FILE).value_name("FILE").help(help).value_parser(value_parser!(PathBuf)))
}

/// Downloads the export.
pub(crate) async fn run(
    row: &'static OperationRow,
    matches: &ArgMatches,
    (envelope, request): (Envelope, &[u8]),
    options: &Options,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let path = matches.get_one::<PathBuf>(FILE).map(PathBuf::as_path).filter(|path| path.as_os_str() != "-");
    // A bar would stand among the lines on a terminal.
    let has_bar = path.is_some() || !io::stdout().is_terminal();
    let bar = if has_bar { progress::progress_bar(None, progress::BYTES, output) } else { progress::hidden() };
    Download { row, envelope, request, path }.run(ExportVerifier::default(), &bar, options, output).await
}

#[derive(Default)]
struct ExportVerifier {
    lines: u64,
    /// The latest line that is not empty, so far as it has arrived.
    last: String,
}

impl Verifier for ExportVerifier {
    const WHAT: &'static str = "export";
    const MEMBERS: &'static [&'static str] = &["records"];

    fn take(&mut self, item: &[u8]) -> Result<Vec<u8>, String> {
        let piece: String = codec::decode(item).map_err(|err| err.0)?;
        self.lines += piece.matches('\n').count() as u64;
        self.last.push_str(&piece);
        if let Some(end) = self.last.trim_end_matches('\n').rfind('\n') {
            self.last.drain(..=end);
        }
        Ok(piece.into_bytes())
    }

    fn progress(&self) -> String {
        format!("{} lines", self.lines)
    }

    fn finish(self) -> Result<Contents, String> {
        match serde_json::from_str::<End>(&self.last) {
            Ok(End { enrolld_export_end: records }) if self.lines == records + 2 => {
                Ok(Contents { words: format!("{records} records"), members: json!({"records": records}) })
            }
            _ => Err("an export without its last line".to_owned()),
        }
    }

    fn print(output: &Output, bytes: &[u8]) -> Result<(), Failure> {
        output.json(bytes)
    }
}
