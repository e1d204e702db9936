//! Simulates the whole core under seeds: sessions, writer, rules, journal and tree over disks, sockets and a clock that
//! fail. A seed that is wrong is printed with the command that runs it alone, as small as it gets.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use clap::Parser;
use enroll_tests::simulation::{Area, Control, Fault, Figures, Plan, Wrong, campaign, shrunk, tried};

/// Between two lines of progress.
const PROGRESS: Duration = Duration::from_secs(1);

/// Simulate the whole core of enrolld under seeds
#[derive(Parser)]
struct Arguments {
    /// Run this seed alone, and print its trace
    #[arg(long)]
    seed: Option<u64>,
    /// Run so many seeds
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Hosts, in place of those that the seed draws
    #[arg(long, requires = "seed")]
    hosts: Option<usize>,
    /// Clients, in place of those that the seed draws
    #[arg(long, requires = "seed")]
    clients: Option<usize>,
    /// Operations, in place of those that the seed draws
    #[arg(long, requires = "seed")]
    operations: Option<usize>,
    /// Faults, in place of those that the seed draws: names with commas, or none
    #[arg(long, requires = "seed")]
    faults: Option<String>,
    /// Areas of operations, in place of those that the seed draws
    #[arg(long, requires = "seed")]
    areas: Option<String>,
    /// A deliberate fault, which must be found
    #[arg(long)]
    control: Option<String>,
    /// Print the wrong plan as it was found, without a search for a smaller one
    #[arg(long)]
    as_found: bool,
    /// Threads [default: one for each processor]
    #[arg(long)]
    threads: Option<usize>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let said = control(arguments.control.as_deref()).and_then(|control| match arguments.seed {
        Some(seed) => one(&arguments, seed, control),
        None => many(&arguments, control),
    });
    match said {
        Ok(said) => {
            let _ = writeln!(std::io::stdout(), "{said}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            let _ = writeln!(std::io::stderr(), "{why}");
            ExitCode::FAILURE
        }
    }
}

fn one(arguments: &Arguments, seed: u64, control: Control) -> Result<String, String> {
    let mut plan = Plan::of(seed);
    plan.hosts = arguments.hosts.unwrap_or(plan.hosts).max(1);
    plan.clients = arguments.clients.unwrap_or(plan.clients);
    plan.operations = arguments.operations.unwrap_or(plan.operations);
    if let Some(faults) = &arguments.faults {
        plan.faults = names::<Fault>(faults)?;
    }
    if let Some(areas) = &arguments.areas {
        plan.areas = names::<Area>(areas)?;
    }
    plan = plan.possible();
    let figures = tried(&plan, control).map_err(|why| format!("{plan}\n{why}"))?;
    Ok(format!("{plan}\ntrace {:016x}: {figures}", figures.trace))
}

fn many(arguments: &Arguments, control: Control) -> Result<String, String> {
    let threads = arguments.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let (begun, told) = (Instant::now(), Mutex::new(Instant::now()));
    let tell = |done: u64, figures: &Figures| {
        if let Ok(mut told) = told.try_lock()
            && told.elapsed() >= PROGRESS
        {
            *told = Instant::now();
            let _ = write!(std::io::stderr(), "\r{}", sum(done, begun, figures));
        }
    };
    let seeds = arguments.first..arguments.first + arguments.seeds;
    let ran = campaign(seeds, threads, control, tell);
    let _ = writeln!(std::io::stderr());
    ran.map(|figures| sum(arguments.seeds, begun, &figures)).map_err(|wrong| {
        let seed = wrong.plan.seed;
        let Wrong { plan, why } = if arguments.as_found { wrong } else { shrunk(wrong, control) };
        let control = arguments.control.as_ref().map_or_else(String::new, |name| format!(" --control {name}"));
        format!("seed {seed} is wrong: {why}\ncargo run -p enroll-tests --release --bin simulate -- {plan}{control}")
    })
}

fn sum(done: u64, begun: Instant, figures: &Figures) -> String {
    let rate = done as f64 / begun.elapsed().as_secs_f64();
    format!("{done} seeds, {rate:.0} a second: {figures}")
}

fn control(name: Option<&str>) -> Result<Control, String> {
    let Some(name) = name else { return Ok(Control::None) };
    let all = || Control::ALL.iter().chain(Control::OF_CLUSTERS).chain(Control::NOT_FOUND);
    let found = all().find(|(of, _)| *of == name).map(|(_, control)| *control);
    found.ok_or_else(|| {
        let names: Vec<_> = all().map(|(name, _)| *name).collect();
        format!("{name} is none of: {}", names.join(", "))
    })
}

fn names<T: std::str::FromStr<Err = String> + Ord>(list: &str) -> Result<BTreeSet<T>, String> {
    if list == "none" {
        return Ok(BTreeSet::new());
    }
    list.split(',').map(str::parse).collect()
}
