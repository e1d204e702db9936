//! The command line of requests: of each operation, its arguments and the request that they make, with the types
//! erased.
//!
//! It is a table of its own, as the JSON forms are: only a program that has these commands has their code.

use clap::{ArgMatches, Args, Command, FromArgMatches};
use serde::Serialize;

use crate::operations::OperationRow;
use crate::shape::Shape;
use crate::value::Invalid;

/// The command line of one operation.
struct CommandLine {
    number: u16,
    command: fn(Command) -> Command,
    request_of: fn(&ArgMatches) -> Result<String, Invalid>,
    reply_shape: fn() -> Shape,
}

impl OperationRow {
    /// Adds the arguments of the request to a command.
    ///
    /// `enrollctl` has one such command for each operation, and a program with a command line of its own may take some.
    pub fn command(&self, command: Command) -> Command {
        (self.command_line().command)(command)
    }

    /// The JSON form of a request from its parsed command line.
    ///
    /// What it gives is a line of `enrollctl call`, or goes through
    /// [`request_to_wire`](Self::request_to_wire).
    pub fn request_of(&self, matches: &ArgMatches) -> Result<String, Invalid> {
        (self.command_line().request_of)(matches)
    }

    /// The form of a reply's JSON.
    ///
    /// For a program that shows replies as tables, as `enrollctl` does.
    pub fn reply_shape(&self) -> Shape {
        (self.command_line().reply_shape)()
    }

    fn command_line(&self) -> &'static CommandLine {
        let at = COMMAND_LINES.binary_search_by_key(&self.number, |line| line.number);
        &COMMAND_LINES[at.expect("each row has its command line, and no other crate makes rows")]
    }
}

macro_rules! command_lines {
    ($($number:literal $kind:ident $access:ident $permission:literal $name:literal
       $area:ident::$request:ident => $reply:ty;)*) => {
        use crate::*;

        /// Those of every operation, in the order of the numbers.
        static COMMAND_LINES: &[CommandLine] = &[$(CommandLine {
            number: $number,
            command: <crate::$area::$request as Args>::augment_args,
            request_of: request_of::<crate::$area::$request>,
            reply_shape: Shape::of::<$reply>,
        }),*];
    };
}

crate::operations!(command_lines);

fn request_of<T: Serialize + FromArgMatches>(matches: &ArgMatches) -> Result<String, Invalid> {
    let request = T::from_arg_matches(matches).map_err(|err| Invalid(err.to_string()))?;
    serde_json::to_string(&request).map_err(|err| Invalid(err.to_string()))
}
