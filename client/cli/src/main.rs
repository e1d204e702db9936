//! The program `enrollctl`; all of it is in the library beside.

use std::process::ExitCode;

fn main() -> ExitCode {
    enrollctl::main()
}
