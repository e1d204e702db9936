//! The request of an operation, encoded from its arguments and from secrets on standard input.

pub(crate) mod confirmation;
pub(crate) mod extra;
pub(crate) mod head;
pub(crate) mod secret;
pub(crate) mod units;

use std::io::{self, IsTerminal as _};

use clap::ArgMatches;
use enroll_client::protocol::{Invalid, OperationRow};

use crate::failure::Failure;
use crate::output::Output;
use crate::process::stdin;

/// Encodes the request for the wire. Reads a secret from standard input if the operation has one.
pub(crate) fn encoded(row: &OperationRow, matches: &ArgMatches, output: &Output) -> Result<Vec<u8>, Failure> {
    let invalid = |err: Invalid| Failure::Usage(err.0);
    let request = row.request_of(matches).map_err(invalid)?;
    let request = units::fill(row, extra::fill(&request, matches)?, matches)?;
    let request = head::fill(row, request, matches)?;
    filled(row, &request, output)
}

/// Encodes a request in JSON for the wire. Reads a secret from standard input if the operation has one.
pub(crate) fn filled(row: &OperationRow, request: &str, output: &Output) -> Result<Vec<u8>, Failure> {
    let ask = |what: &str| {
        stdin::take(what)?;
        output.ask(what);
        Ok(())
    };
    let request = secret::fill(row, request, &mut io::stdin().lock(), io::stdin().is_terminal(), ask)?;
    row.request_to_wire(&request).map_err(|err| Failure::Usage(err.0))
}
