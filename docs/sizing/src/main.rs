//! Prints a capacity plan; exit code 1 if a realm would have too much to write.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser;
use enroll_sizing::Needs;

/// Compute how many registries, clusters and hosts so many people need
#[derive(Debug, Parser)]
#[command(name = "enroll-sizing", version)]
struct Sizing {
    #[command(flatten)]
    needs: Needs,
}

fn main() -> io::Result<ExitCode> {
    match Sizing::parse().needs.plan() {
        Ok(plan) => {
            write!(io::stdout(), "{plan}")?;
            Ok(if plan.people_max.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
        }
        Err(unusable) => {
            writeln!(io::stderr(), "enroll-sizing: {unusable}")?;
            Ok(ExitCode::from(2))
        }
    }
}
