//! The units of a transaction from a file of NDJSON, or from standard input.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgMatches, Command, value_parser};
use enroll_client::protocol::limits::FRAME_BYTES_MAX;
use enroll_client::protocol::transaction::{Run, Unit};
use enroll_client::protocol::{Operation as _, OperationRow};

use crate::failure::Failure;
use crate::process::stdin;

/// The id of the added argument.
const FILE: &str = "file";

/// True for the operation that takes units.
pub(crate) fn handles(row: &OperationRow) -> bool {
    row.number == Run::ROW.number
}

/// Adds the option `--file`.
pub(crate) fn command(command: Command) -> Command {
    let file = Arg::new(FILE).long(FILE).value_name("FILE").value_parser(value_parser!(PathBuf));
    command.arg(file.conflicts_with("units").help("A file of units, one JSON object a line; - is standard input"))
}

/// The request with the units of the file, if one was given.
pub(crate) fn fill(row: &OperationRow, request: String, matches: &ArgMatches) -> Result<String, Failure> {
    let file = if handles(row) { matches.get_one::<PathBuf>(FILE) } else { None };
    let Some(file) = file else { return Ok(request) };
    let units = units(&read(file)?)?;
    serde_json::to_string(&Run { units }).map_err(|err| Failure::Usage(err.to_string()))
}

fn read(file: &Path) -> Result<String, Failure> {
    let most = 2 * FRAME_BYTES_MAX as u64;
    let mut text = String::new();
    let read = match file.as_os_str() == "-" {
        true => stdin::take("units")?.take(most).read_to_string(&mut text),
        false => std::fs::File::open(file).and_then(|file| file.take(most).read_to_string(&mut text)),
    };
    read.map_err(|err| Failure::Usage(format!("{}: {err}", file.display())))?;
    Ok(text)
}

fn units(text: &str) -> Result<Vec<Unit>, Failure> {
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    let unit = |(number, line): (usize, &str)| {
        line.parse::<Unit>().map_err(|err| Failure::Usage(format!("line {number}: {err}")))
    };
    lines.map(unit).collect()
}
