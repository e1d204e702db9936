//! The `extra` of a person on the command line, both as the option `--extra` and as a positional argument. The
//! operation itself has one of the two forms, and this module adds the other.

use clap::{Arg, ArgMatches, Command, value_parser};
use enroll_client::protocol::{Json, Operation as _, OperationRow, person};
use serde_json::value::RawValue;

use crate::failure::Failure;
use crate::raw_object::{self, RawObject};

/// The field of the request, and the id of the operation's own argument.
const EXTRA: &str = "extra";

/// The id of the added argument.
const OTHER: &str = "extra.other";

/// True for the operations that take both forms.
pub(crate) fn handles(row: &OperationRow) -> bool {
    [person::Create::ROW, person::Update::ROW].iter().any(|one| one.number == row.number)
}

/// Adds the argument that the command lacks.
pub(crate) fn command(command: Command) -> Command {
    let Some(own) = command.get_arguments().find(|argument| *argument.get_id() == EXTRA) else { return command };
    let is_argument = own.is_positional();
    let other = Arg::new(OTHER).value_name("JSON").value_parser(value_parser!(Json)).conflicts_with(EXTRA);
    command.arg(match is_argument {
        true => other.long(EXTRA).help("The same object as an option"),
        false => other.help("The same object as --extra"),
    })
}

/// Puts the value of the added argument, if it was given, into the request.
pub(crate) fn fill(request: &str, matches: &ArgMatches) -> Result<String, Failure> {
    let given = matches.try_get_one::<Json>(OTHER).ok().flatten();
    let Some(given) = given else { return Ok(request.to_owned()) };
    let broken = |err: serde_json::Error| Failure::Usage(err.to_string());
    let mut members = RawObject::new();
    raw_object::read(request, &mut members).map_err(broken)?;
    let given: &RawValue = serde_json::from_str(given.as_str()).map_err(broken)?;
    let member = |(name, value): (String, _)| {
        let value: &RawValue = if name == EXTRA { given } else { value };
        format!("{}:{value}", serde_json::Value::String(name))
    };
    Ok(format!("{{{}}}", members.into_iter().map(member).collect::<Vec<_>>().join(",")))
}
