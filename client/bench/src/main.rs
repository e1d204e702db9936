//! The benchmark of enrolld, `enroll-bench`: how fast the daemon does one thing, and how other servers do equal work.

mod bench;
mod disk;
mod measure;
mod resources;
mod versus;
mod workload;

use std::process::ExitCode;

fn main() -> ExitCode {
    enrollctl::process::run(bench::command(), bench::run)
}
