//! A head of the chain of changes from a file, for `server check --head`.

use std::path::{Path, PathBuf};

use clap::{Arg, ArgMatches, Command, value_parser};
use enroll_client::protocol::changes::KeptHead;
use enroll_client::protocol::server::Check;
use enroll_client::protocol::{Operation as _, OperationRow};

use crate::failure::Failure;

/// The id of the added argument.
const HEAD: &str = "head";

/// True for the operation that compares a head.
pub(crate) fn handles(row: &OperationRow) -> bool {
    row.number == Check::ROW.number
}

/// Adds the option `--head`.
pub(crate) fn command(command: Command) -> Command {
    let file = Arg::new(HEAD).long(HEAD).value_name("FILE").value_parser(value_parser!(PathBuf));
    command.arg(file.help("A file of heads that `changes head --json` printed; the last line is compared"))
}

/// The request with the last head of the file, if one was given.
pub(crate) fn fill(row: &OperationRow, request: String, matches: &ArgMatches) -> Result<String, Failure> {
    let file = if handles(row) { matches.get_one::<PathBuf>(HEAD) } else { None };
    let Some(file) = file else { return Ok(request) };
    let check = Check { head: Some(read(file)?) };
    serde_json::to_string(&check).map_err(|err| Failure::Usage(err.to_string()))
}

fn read(file: &Path) -> Result<KeptHead, Failure> {
    let unusable = |why: String| Failure::Usage(format!("{}: {why}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|err| unusable(err.to_string()))?;
    KeptHead::last_of(&text).map_err(|err| unusable(err.0))
}
