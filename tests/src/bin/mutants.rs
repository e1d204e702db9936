//! Makes one mutant of the product after another in a copy of the sources, and has the simulation find it.

use std::collections::BTreeSet;
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output, Stdio};
use std::time::{Duration, Instant};

use clap::Parser;
use enroll_tests::simulation::mutants::{Finder, MUTANTS, Mutant};

/// The message of a seed at its bound of steps, which found no difference: the mutant is not found by it.
const NO_END: &str = "it does not come to an end";

/// The longest run of a finder.
const LONGEST: Duration = Duration::from_secs(300);

/// Have the simulation find mutants of enrolld
#[derive(Parser)]
struct Arguments {
    /// Only those whose names contain one of these
    filters: Vec<String>,
    /// Seeds within which each must be found
    #[arg(long, default_value_t = 2000)]
    seeds: u64,
    /// The directory of the copy and of what is built from it
    #[arg(long, default_value = "target/mutants")]
    directory: PathBuf,
    /// List them
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let is_wanted = |mutant: &&Mutant| {
        arguments.filters.is_empty() || arguments.filters.iter().any(|filter| mutant.name.contains(filter))
    };
    let mutants: Vec<_> = MUTANTS.iter().filter(is_wanted).collect();
    let ran = if arguments.list { list(&mutants) } else { run(&arguments, &mutants) };
    match ran {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(err) => {
            let _ = writeln!(io::stderr(), "{err}");
            ExitCode::FAILURE
        }
    }
}

fn list(mutants: &[&Mutant]) -> io::Result<bool> {
    mutants.iter().try_for_each(|mutant| writeln!(io::stdout(), "{}: {}", mutant.name, mutant.file))?;
    Ok(true)
}

/// True if all of them were found.
fn run(arguments: &Arguments, mutants: &[&Mutant]) -> io::Result<bool> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    let copy = SourceCopy::of(root, &std::path::absolute(&arguments.directory)?)?;
    let (mut out, begun, mut missed) = (io::stdout(), Instant::now(), Vec::new());
    // What is wrong without a mutant would find every one of them.
    for finder in mutants.iter().map(|mutant| mutant.finder).collect::<BTreeSet<_>>() {
        if let Search::Found(wrong) = copy.search(finder, arguments.seeds)? {
            return Err(io::Error::other(format!("without a mutant: {wrong}")));
        }
    }
    writeln!(out, "nothing is wrong without a mutant ({} s)", begun.elapsed().as_secs())?;
    for mutant in mutants {
        let at = Instant::now();
        let searched = copy.with(mutant, || copy.search(mutant.finder, arguments.seeds))?;
        let said = match searched {
            Search::Found(by) => format!("found by {by}"),
            Search::Missed(why) => {
                missed.push(mutant.name);
                format!("NOT FOUND: {why}")
            }
        };
        writeln!(out, "{}: {said} ({} s)", mutant.name, at.elapsed().as_secs())?;
    }
    let found = mutants.len() - missed.len();
    writeln!(out, "{found} of {} mutants were found, in {} s", mutants.len(), begun.elapsed().as_secs())?;
    if !missed.is_empty() {
        writeln!(out, "not found: {}", missed.join(", "))?;
    }
    Ok(missed.is_empty())
}

/// The result of a search.
enum Search {
    /// Something is wrong: the seed or test that shows it.
    Found(String),
    /// Nothing is, or nobody knows; the reason.
    Missed(String),
}

/// A copy of the sources, with a directory of its own for what is built.
struct SourceCopy {
    root: PathBuf,
    tree: PathBuf,
    target: PathBuf,
}

impl SourceCopy {
    /// The copy of the files that git knows. Those that have not changed are left alone, and are not built again.
    fn of(root: &Path, directory: &Path) -> io::Result<Self> {
        let (tree, target) = (directory.join("tree"), directory.join("target"));
        let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(root).output()?;
        for file in listed.stdout.split(|byte| *byte == 0).filter(|file| !file.is_empty()) {
            let file = Path::new(std::str::from_utf8(file).map_err(io::Error::other)?);
            match std::fs::read(root.join(file)) {
                Ok(content) => write_if_other(&tree.join(file), &content)?,
                // It was deleted, and git was not told yet.
                Err(err) if err.kind() == io::ErrorKind::NotFound => {}
                Err(err) => return Err(err),
            }
        }
        Ok(Self { root: root.to_owned(), tree, target })
    }

    /// Does something while the copy has this mutant.
    fn with<T>(&self, mutant: &Mutant, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let source = std::fs::read_to_string(self.root.join(mutant.file))?;
        std::fs::write(self.tree.join(mutant.file), source.replacen(mutant.from, mutant.to, 1))?;
        let done = act();
        std::fs::write(self.tree.join(mutant.file), source)?;
        done
    }

    /// Builds what the copy is now, and looks for something wrong.
    fn search(&self, finder: Finder, seeds: u64) -> io::Result<Search> {
        match finder {
            Finder::Simulation => {
                match self.built(&["build", "--quiet", "--locked", "-p", "enroll-tests", "--bin", "simulate"])? {
                    Some(why) => Ok(Search::Missed(why)),
                    None => self.simulate(seeds),
                }
            }
            Finder::Test(filter) => {
                match self.built(&["test", "--no-run", "--quiet", "--locked", "-p", "enroll-tests", "--test", "all"])? {
                    Some(why) => Ok(Search::Missed(why)),
                    None => self.test(filter),
                }
            }
        }
    }

    /// Builds; why that failed, if it did.
    fn built(&self, arguments: &[&str]) -> io::Result<Option<String>> {
        let built = self.cargo(arguments).output()?;
        let why = || format!("it is not built: {}", String::from_utf8_lossy(&built.stderr));
        Ok((!built.status.success()).then(why))
    }

    /// Runs one seed after another, up to the first one that says what is wrong.
    fn simulate(&self, seeds: u64) -> io::Result<Search> {
        let (mut first, mut endless) = (0, Vec::new());
        while first < seeds {
            let mut simulation = Command::new(self.target.join("debug/simulate"));
            simulation.args(["--as-found", "--first", &first.to_string(), "--seeds", &(seeds - first).to_string()]);
            let Some(ran) = output_within(&mut simulation, LONGEST)? else {
                return Ok(Search::Missed(format!("the seeds from {first} on took more than {} s", LONGEST.as_secs())));
            };
            let said = String::from_utf8_lossy(&ran.stderr);
            if ran.status.success() {
                break;
            }
            let wrong = said.lines().rev().find_map(|line| line.strip_prefix("seed ")?.split_once(" is wrong: "));
            match wrong.and_then(|(seed, why)| Some((seed.parse::<u64>().ok()?, why))) {
                Some((seed, NO_END)) => {
                    endless.push(seed.to_string());
                    first = seed + 1;
                }
                Some((seed, why)) => return Ok(Search::Found(format!("seed {seed}: {why}"))),
                None => return Ok(Search::Missed(format!("the simulation ended: {}", said.trim()))),
            }
        }
        Ok(Search::Missed(match endless.is_empty() {
            true => format!("nothing is wrong in {seeds} seeds"),
            false => format!("in {seeds} seeds nothing but these, which do not come to an end: {}", endless.join(", ")),
        }))
    }

    /// Runs the tests whose names contain this.
    fn test(&self, filter: &str) -> io::Result<Search> {
        let mut tests = self.cargo(&["test", "--locked", "-p", "enroll-tests", "--test", "all", "--", filter]);
        let Some(ran) = output_within(&mut tests, LONGEST)? else {
            return Ok(Search::Missed(format!("{filter} took more than {} s", LONGEST.as_secs())));
        };
        let said = String::from_utf8_lossy(&ran.stdout);
        let failed = said.lines().find_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... FAILED"));
        Ok(match failed {
            Some(failed) => Search::Found(format!("test {failed}")),
            None if ran.status.success() && said.contains(" 0 passed") => {
                Search::Missed(format!("there is no test {filter}"))
            }
            None if ran.status.success() => Search::Missed(format!("the tests {filter} pass")),
            None => Search::Missed(String::from_utf8_lossy(&ran.stderr).into_owned()),
        })
    }

    fn cargo(&self, arguments: &[&str]) -> Command {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(arguments).current_dir(&self.tree).env("CARGO_TARGET_DIR", &self.target);
        cargo
    }
}

/// The output of a command, or `None` if it had to be ended.
fn output_within(command: &mut Command, longest: Duration) -> io::Result<Option<Output>> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    std::thread::scope(|scope| {
        let stdout = scope.spawn(|| read_all(stdout));
        let stderr = scope.spawn(|| read_all(stderr));
        let begun = Instant::now();
        let status = loop {
            match child.try_wait()? {
                Some(status) => break Some(status),
                None if begun.elapsed() > longest => {
                    child.kill()?;
                    child.wait()?;
                    break None;
                }
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        let (stdout, stderr) = (stdout.join().unwrap_or_default(), stderr.join().unwrap_or_default());
        Ok(status.map(|status| Output { status, stdout, stderr }))
    })
}

fn read_all(from: Option<impl Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What was read before an error is there.
    let _ = from.map(|mut from| from.read_to_end(&mut bytes));
    bytes
}

/// Writes a file, unless it has this content: what is not changed is not built again.
fn write_if_other(path: &Path, content: &[u8]) -> io::Result<()> {
    if std::fs::read(path).is_ok_and(|found| found == content) {
        return Ok(());
    }
    path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
    std::fs::write(path, content)
}
