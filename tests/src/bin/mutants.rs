//! Makes one mutant of the product after another in a copy of the sources, and has the simulation find it.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::Parser;
use enroll_tests::simulation::mutants::{MUTANTS, Mutant};

/// Have the simulation find mutants of enrolld
#[derive(Parser)]
struct Arguments {
    /// Only those whose names contain this
    filter: Option<String>,
    /// Seeds within which each must be found
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// The directory of the copy and of what is built from it
    #[arg(long, default_value = "target/mutants")]
    directory: PathBuf,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(missed) => {
            let _ = writeln!(io::stderr(), "{missed} mutants were not found");
            ExitCode::FAILURE
        }
        Err(err) => {
            let _ = writeln!(io::stderr(), "{err}");
            ExitCode::FAILURE
        }
    }
}

/// The number of mutants that were not found.
fn run(arguments: &Arguments) -> io::Result<usize> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    let (copy, target) = (arguments.directory.join("tree"), arguments.directory.join("target"));
    let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(root).output()?;
    for file in listed.stdout.split(|byte| *byte == 0).filter(|file| !file.is_empty()) {
        let file = Path::new(std::str::from_utf8(file).map_err(io::Error::other)?);
        write_if_other(&copy.join(file), &std::fs::read(root.join(file))?)?;
    }
    let mut missed = 0;
    let is_wanted = |mutant: &&Mutant| arguments.filter.as_ref().is_none_or(|filter| mutant.name.contains(filter));
    for mutant in MUTANTS.iter().filter(is_wanted) {
        let source = std::fs::read_to_string(root.join(mutant.file))?;
        std::fs::write(copy.join(mutant.file), source.replacen(mutant.from, mutant.to, 1))?;
        let said = simulate(&copy, &std::path::absolute(&target)?, arguments.seeds);
        std::fs::write(copy.join(mutant.file), source)?;
        let said = said?;
        missed += usize::from(said.is_none());
        let found = said.unwrap_or_else(|| "NOT FOUND".to_owned());
        writeln!(io::stdout(), "{}: {found}", mutant.name)?;
    }
    Ok(missed)
}

/// The fault that the simulation of a copy finds, if it does.
fn simulate(copy: &Path, target: &Path, seeds: u64) -> io::Result<Option<String>> {
    let cargo = |arguments: &[&str]| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(arguments).current_dir(copy).env("CARGO_TARGET_DIR", target);
        cargo
    };
    let built = cargo(&["build", "--quiet", "-p", "enroll-tests", "--bin", "simulate"]).output()?;
    if !built.status.success() {
        return Err(io::Error::other(format!("it is not built: {}", String::from_utf8_lossy(&built.stderr))));
    }
    let ran = Command::new(target.join("debug/simulate")).args(["--seeds", &seeds.to_string()]).output()?;
    let said = String::from_utf8_lossy(&ran.stderr);
    let wrong = said.lines().rev().find_map(|line| line.split_once("seed ").filter(|_| line.contains(" is wrong: ")));
    Ok((!ran.status.success())
        .then(|| wrong.map_or_else(|| said.trim().to_owned(), |(_, wrong)| format!("seed {wrong}"))))
}

/// Writes a file, unless it has this content: what is not changed is not built again.
fn write_if_other(path: &Path, content: &[u8]) -> io::Result<()> {
    if std::fs::read(path).is_ok_and(|found| found == content) {
        return Ok(());
    }
    path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
    std::fs::write(path, content)
}
