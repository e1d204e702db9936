//! The executable `enrolld`; its code is in the library of the same name.

use std::process::ExitCode;

fn main() -> ExitCode {
    enrolld::main()
}
