//! The question before an operation that nothing undoes: `person erase` asks, and takes only yes.

use std::io::BufRead as _;

use clap::{Arg, ArgAction, ArgMatches, Command};
use enroll_client::protocol::person::Erase;
use enroll_client::protocol::{Envelope, Operation as _, OperationRow};

use crate::failure::Failure;
use crate::output::Output;
use crate::process::stdin;

/// The id of the added argument.
const YES: &str = "yes";

/// True for an operation that asks first.
pub(crate) fn handles(row: &OperationRow) -> bool {
    row.number == Erase::ROW.number
}

/// Adds the option `--yes`.
pub(crate) fn command(command: Command) -> Command {
    command.arg(Arg::new(YES).long(YES).action(ArgAction::SetTrue).help("Erase without asking"))
}

/// Asks on standard error and reads the answer from standard input, unless it was given already. A dry run does not ask.
pub(crate) fn expect(
    row: &OperationRow,
    matches: &ArgMatches,
    envelope: &Envelope,
    output: &Output,
) -> Result<(), Failure> {
    if !handles(row) || matches.get_flag(YES) || envelope.dry_run {
        return Ok(());
    }
    let input = stdin::take("answer")?;
    output.note("this erases the person's callsign and data for good; type yes to go on:");
    let mut answer = String::new();
    input.lock().read_line(&mut answer).map_err(Failure::Io)?;
    match answer.trim() {
        "yes" => Ok(()),
        _ => Err(Failure::Own("nothing was erased; the answer must be yes, or say --yes".to_owned())),
    }
}
