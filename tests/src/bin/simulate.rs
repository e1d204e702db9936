//! Runs simulations of the whole core; see `enroll_tests::simulation`.

use std::io::Write as _;
use std::process::ExitCode;

use enroll_tests::simulation::{Control, Plan, run};

fn main() -> ExitCode {
    let seed = std::env::args().nth(1).and_then(|s| s.parse().ok()).unwrap_or(1);
    let count: u64 = std::env::args().nth(2).and_then(|s| s.parse().ok()).unwrap_or(1);
    for seed in seed..seed + count {
        let plan = Plan::of(seed);
        match run(&plan, Control::None) {
            Ok(figures) => {
                if count == 1 {
                    let _ = writeln!(std::io::stdout(), "{figures:?}");
                }
            }
            Err(wrong) => {
                let _ = writeln!(std::io::stdout(), "{plan}\n  {wrong}");
            }
        }
    }
    ExitCode::SUCCESS
}
