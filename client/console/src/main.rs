//! The executable `enrollctl-console`; its code is in the library of the same package.

use std::process::ExitCode;

fn main() -> ExitCode {
    enroll_console::main()
}
