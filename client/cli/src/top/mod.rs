//! The command `top`: a live screen of the daemon and of what waits in its registry, or the same as lines.
//!
//! The state is made of snapshots and keys alone, and the view of the state; the connection and the terminal are each
//! in one module.

mod conn;
mod keys;
mod once;
mod rates;
mod state;
mod term;
mod view;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgMatches, Args, Command, FromArgMatches};
use enroll_client::protocol::Time;
use enroll_client::protocol::server::DaemonSnapshot;
use jiff::Timestamp;
use nix::sys::signal::Signal;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use self::conn::{Arrival, Recording};
use self::state::{Look, State, Wish};
use self::term::{Keyboard, Screen};
use crate::failure::Failure;
use crate::options::Options;
use crate::output::Output;
use crate::process::signals::{Signals, exit_code};

/// Watch the daemon: calls, latencies, refusals, connections, and who waits
///
/// A live screen. The first part is of the daemon: calls a second with p50 and p99, commits and batches, the journal,
/// operations, refusals by code and connections by user. The second part is of the registry: the oldest enrollments
/// that wait, the fullest pools, and the next events with their places. The key ? lists the keys. It asks for one snapshot
/// each second, which costs the daemon the same however large its registry is. If the daemon goes away, it says since
/// when, and goes on when the daemon is back.
///
/// The grant metrics is enough for the first part.
///
/// With --once it prints lines in place of a screen, with tabs between stable columns: one snapshot, with averages
/// since the daemon's start, or with --interval what happened in that time.
///
/// NO_COLOR turns colours off; where LC_ALL, LC_CTYPE or LANG is not UTF-8, the screen is ASCII.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  enrollctl top\n  enrollctl top --once --interval 5\n  \
                        enrollctl top --record monday.ndjson")]
struct Top {
    /// Seconds between two snapshots: 0.1 to 3600 [default: 1]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    interval: Option<f64>,
    /// Print lines, once
    #[arg(long)]
    once: bool,
    /// Add each snapshot to this file, as a line of JSON
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Show a recording in place of a daemon
    #[arg(long, value_name = "FILE", conflicts_with = "record")]
    replay: Option<PathBuf>,
}

/// Where snapshots come from, with the first one.
struct Source {
    first: DaemonSnapshot,
    later: mpsc::Receiver<Arrival>,
}

/// The command line.
pub(crate) fn command() -> Command {
    Top::augment_args(Command::new("top"))
}

/// Shows the screen until it is ended, or prints lines. The first snapshot is awaited before the terminal is touched.
pub(crate) async fn run(matches: &ArgMatches, options: &Options, output: &Output) -> Result<ExitCode, Failure> {
    let top = Top::from_arg_matches(matches).map_err(|err| Failure::Usage(err.to_string()))?;
    if options.json && !top.once {
        return Err(Failure::Usage(
            "top has --json with --once only; --record writes JSON beside the screen".to_owned(),
        ));
    }
    if !top.once && !term::is_capable() {
        let why = "top needs a terminal that can show a screen; --once prints lines";
        return Err(Failure::Usage(why.to_owned()));
    }
    let recording = top.record.as_deref().map(Recording::open).transpose()?;
    let source = top.source(options).await?;
    if top.once {
        return top.print(source, recording, options, output).await;
    }
    top.show(source, recording).await
}

impl Top {
    fn interval(&self) -> Duration {
        Duration::from_secs_f64(self.interval.unwrap_or(1.0))
    }

    async fn source(&self, options: &Options) -> Result<Source, Failure> {
        if let Some(path) = &self.replay {
            let mut recording = conn::open(path)?;
            let first = conn::next_of(&mut recording)?;
            let first = first.ok_or_else(|| Failure::Own(format!("{}: the recording is empty", path.display())))?;
            return Ok(Source { first, later: conn::play(recording, self.interval()) });
        }
        let client = options.connect_for_life().await?;
        let first = conn::ask(&client).await?;
        Ok(Source { first, later: conn::follow(client, self.interval()) })
    }

    /// Prints lines or JSON: of the first snapshot, or where an interval was named of the one after it.
    async fn print(
        &self,
        mut source: Source,
        mut recording: Option<Recording>,
        options: &Options,
        output: &Output,
    ) -> Result<ExitCode, Failure> {
        let mut state = State::default();
        state.take(source.first);
        let mut snapshots = vec![state.shown.clone()];
        if self.interval.is_some() {
            match source.later.recv().await {
                Some(Arrival::Snapshot(snapshot)) => state.take(*snapshot),
                Some(Arrival::Away(why)) => return Err(Failure::Own(format!("the second snapshot is missing: {why}"))),
                Some(Arrival::End) | None => {
                    return Err(Failure::Own("the recording has no second snapshot".to_owned()));
                }
            }
            snapshots.push(state.shown.clone());
        }
        if let Some(recording) = &mut recording {
            snapshots.iter().try_for_each(|snapshot| recording.add(snapshot))?;
        }
        if options.json {
            let json = serde_json::to_string(&state.shown).map_err(|err| Failure::Own(err.to_string()))?;
            output.json(format!("{json}\n").as_bytes())?;
        } else {
            output.raw(once::lines(&state).as_bytes())?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Shows the screen until a key or a signal ends it, or the terminal is gone.
    async fn show(&self, mut source: Source, mut recording: Option<Recording>) -> Result<ExitCode, Failure> {
        let mut signals = Signals::listen().map_err(Failure::Io)?;
        let mut resized = signal(SignalKind::window_change()).map_err(Failure::Io)?;
        let mut continued = signal(SignalKind::from_raw(Signal::SIGCONT as i32)).map_err(Failure::Io)?;
        let mut state = State::new(look());
        arrive(&mut state, &mut recording, Arrival::Snapshot(Box::new(source.first)))?;
        let gone = || ExitCode::from(exit_code(Signal::SIGHUP));
        let mut keyboard = Keyboard::open().map_err(Failure::Io)?;
        let mut screen = Screen::enter().map_err(Failure::Io)?;
        loop {
            if screen.draw(|frame| view::draw(&state, frame)).is_err() {
                return Ok(gone());
            }
            tokio::select! {
                signal = signals.next() => return Ok(ExitCode::from(exit_code(signal))),
                keys = keyboard.next() => {
                    let Ok(Some(keys)) = keys else { return Ok(gone()) };
                    for wish in keys.into_iter().filter_map(|key| state.press(key)) {
                        match wish {
                            Wish::Quit => return Ok(ExitCode::SUCCESS),
                            Wish::Interrupt => return Ok(ExitCode::from(exit_code(Signal::SIGINT))),
                            Wish::Suspend if screen.suspend().is_err() => return Ok(gone()),
                            Wish::Suspend => {}
                        }
                    }
                }
                // The daemon's snapshots go on in a pause; a recording waits.
                Some(arrival) = source.later.recv(), if !(state.is_paused && self.replay.is_some()) => {
                    arrive(&mut state, &mut recording, arrival)?;
                }
                Some(()) = resized.recv() => {}
                Some(()) = continued.recv() => {
                    if screen.resume().is_err() {
                        return Ok(gone());
                    }
                }
            }
        }
    }
}

/// Takes what came from the source, and records it.
fn arrive(state: &mut State, recording: &mut Option<Recording>, arrival: Arrival) -> Result<(), Failure> {
    match arrival {
        Arrival::Snapshot(snapshot) => {
            if let Some(recording) = recording {
                recording.add(&snapshot)?;
            }
            conn::look_up(&mut state.users, &snapshot);
            state.take(*snapshot);
        }
        Arrival::Away(why) => {
            let now = Time::from_micros(Timestamp::now().as_microsecond());
            state.lose(now.unwrap_or_default(), why);
        }
        Arrival::End => state.is_over = true,
    }
    Ok(())
}

/// The look of the screen that the environment asks for.
fn look() -> Look {
    let value = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(value).unwrap_or_default().to_lowercase();
    let is_utf8 = locale.contains("utf-8") || locale.contains("utf8");
    Look { colors: value("NO_COLOR").is_none(), ascii: !is_utf8 }
}

/// Reads an interval.
fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "expected a number of seconds".to_owned())?;
    if (0.1..=3600.0).contains(&seconds) { Ok(seconds) } else { Err("expected 0.1 to 3600 seconds".to_owned()) }
}
