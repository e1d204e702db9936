//! The command `event history`: the places and the waiting list of an event over time, replayed from the change feed.
//!
//! The feed tells when places were taken and given up; what there is now, the event itself tells, and the last column
//! is that. Capacities are those of now: the feed has no values.

mod chart;
mod replay;

use std::process::ExitCode;

use clap::{Args, Command, FromArgMatches as _};
use enroll_client::Client;
use enroll_client::protocol::changes::{Change, List};
use enroll_client::protocol::event::{self, Event};
use enroll_client::protocol::{PageLimit, Reference, Time, server};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use self::chart::{Paper, Series};
use self::replay::{Counts, Replay, Step};
use crate::failure::Failure;
use crate::options::Options;
use crate::output::{Output, Summary};

/// Changes in one answer.
pub(crate) const PAGE: u64 = 1000;

/// Attempts to read an event and the feed as of one moment, while others register.
pub(crate) const TRIES: usize = 20;

/// Draw the places and the waiting list of an event over time, from the change feed
///
/// In a pipe it is a line for each change: time, places taken, people who wait. Needs the permission /changes/ of the
/// actor, if there is one.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  enrollctl event history 01994f3a-7c1e-7d55-a1b2-3c4d5e6f7a8b")]
pub(crate) struct History {
    /// The event's pk
    event: Reference,
    /// Only from this time on
    #[arg(long, value_name = "TIME")]
    since: Option<Time>,
    /// The width of the picture in characters [default: that of the terminal]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(30..=500))]
    width: Option<u16>,
}

/// An event, and its counts from each time on.
struct Picture {
    event: Event,
    /// The first has the time at which the picture begins.
    steps: Vec<Step>,
    notes: Vec<String>,
    now: Timestamp,
}

/// The command.
pub(crate) fn command() -> Command {
    History::augment_args(Command::new("history"))
}

/// Reads the feed and draws.
pub(crate) async fn run(matches: &clap::ArgMatches, options: &Options, output: &Output) -> Result<ExitCode, Failure> {
    options.expect_no_request("event history")?;
    let history = History::from_arg_matches(matches).map_err(|err| Failure::Usage(err.to_string()))?;
    let client = options.connect().await?;
    let picture = look(&client, &history).await?;
    let width = history.width.map_or_else(|| output.width(), usize::from);
    output.summary("event.history", &picture.summary(width))?;
    // On a terminal they stand below the picture.
    if !output.is_for_people() {
        picture.notes.iter().for_each(|note| output.note(note));
    }
    Ok(ExitCode::SUCCESS)
}

async fn look(client: &Client, history: &History) -> Result<Picture, Failure> {
    let get = event::Get { event: history.event.clone() };
    let mut event = client.call(get.clone()).await?;
    let over = event.start.plus_seconds(u64::from(event.duration_minutes) * 60);
    // Usually the changes from the event's making on are enough; after a clock that was set back they are not.
    let mut since = before(client, event.created).await?;
    let mut replay = Replay::of(event.pk, over);
    read(client, &mut since, &mut replay).await?;
    if !replay.is_whole {
        (since, replay) = (None, Replay::of(event.pk, over));
        read(client, &mut since, &mut replay).await?;
    }
    for _ in 0..TRIES {
        event = client.call(get.clone()).await?;
        if !read(client, &mut since, &mut replay).await? {
            break;
        }
    }
    Ok(Picture::of(event, &replay, history.since))
}

/// The number of a change before this time; `None` if there is none that is kept. By halves, because the feed is in the
/// order of numbers.
pub(crate) async fn before(client: &Client, time: Time) -> Result<Option<u64>, Failure> {
    let limit = PageLimit::new(1).map_err(|err| Failure::Own(err.0))?;
    let first = async |since| client.call(List { since, limit, ..List::default() }).await;
    let Some(oldest) = first(None).await?.items.pop().filter(|oldest| oldest.at < time) else { return Ok(None) };
    let (mut low, mut high) = (oldest.seq, client.call(server::Status {}).await?.changes_head);
    while high - low > PAGE {
        let middle = low + (high - low) / 2;
        match first(Some(middle)).await?.items.pop() {
            Some(change) if change.at < time => low = middle,
            _ => high = middle,
        }
    }
    Ok(Some(low))
}

/// Replays all changes after this number. Returns true if some were of this event.
async fn read(client: &Client, since: &mut Option<u64>, replay: &mut Replay) -> Result<bool, Failure> {
    let limit = PageLimit::new(PAGE).map_err(|err| Failure::Own(err.0))?;
    let mut has_news = false;
    loop {
        let page = client.call(List { since: *since, limit, after: None }).await?;
        let changes: &[Change] = &page.items;
        changes.iter().for_each(|change| has_news |= replay.next(change));
        match changes.last() {
            Some(last) => *since = Some(last.seq),
            None => return Ok(has_news),
        }
    }
}

impl Picture {
    fn of(event: Event, replay: &Replay, since: Option<Time>) -> Self {
        let pools = event.pools.iter().map(|pool| (pool.pk, i64::from(pool.places_taken))).collect();
        let now = Counts { taken: event.places_taken.into(), waiting: event.waiting_count.into(), pools };
        let (before, steps) = replay.anchored(&now);
        let mut notes = Vec::new();
        let begins = match (replay.is_whole, replay.first) {
            (true, _) | (false, None) => event.created,
            (false, Some(first)) => {
                notes.push(format!(
                    "the feed begins at {first}, after the event was made; what was before is not known"
                ));
                first
            }
        };
        if replay.is_whole && !before.is_nothing() {
            let Counts { taken, waiting, .. } = &before;
            notes.push(format!("{taken} places and {waiting} who wait are of changes that do not tell their pool"));
        }
        notes.extend(
            replay.edits.last().map(|last| format!("capacities are those of now; the last edit was at {last}")),
        );
        let mut steps = [Step { at: begins, counts: before }].into_iter().chain(steps).collect::<Vec<_>>();
        if let Some(since) = since {
            let first = steps.iter().rposition(|step| step.at <= since).unwrap_or(0);
            steps.drain(..first);
            steps[0].at = steps[0].at.max(since);
        }
        Self { event, steps, notes, now: Timestamp::now() }
    }

    fn summary(&self, width: usize) -> Summary {
        let rows: Vec<Value> = self
            .steps
            .iter()
            .map(|step| json!({"time": step.at, "taken": step.counts.taken, "waiting": step.counts.waiting}))
            .collect();
        let steps: Vec<Value> = self.steps.iter().zip(&rows).map(|(step, row)| self.with_pools(step, row)).collect();
        let pk = self.event.pk;
        Summary {
            json: json!({"event": pk, "capacity": self.capacity(), "steps": steps, "notes": self.notes}).to_string(),
            people: Value::String(self.drawn(width, is_utf8())).to_string(),
            scripts: Value::Array(rows).to_string(),
        }
    }

    fn with_pools(&self, step: &Step, row: &Value) -> Value {
        let count = |pk| step.counts.pools.get(&pk).copied().unwrap_or(0);
        let pools: Map<String, Value> =
            self.event.pools.iter().map(|pool| (pool.name.to_string(), json!(count(pool.pk)))).collect();
        let mut row = row.clone();
        if let Value::Object(members) = &mut row {
            members.insert("pools".to_owned(), Value::Object(pools));
        }
        row
    }

    /// Places of the whole event; `None` for any number.
    fn capacity(&self) -> Option<i64> {
        let pools = &self.event.pools;
        let sum = pools.iter().map(|pool| i64::from(pool.capacity)).sum();
        let of_pools = (!pools.is_empty() && pools.iter().all(|pool| pool.capacity > 0)).then_some(sum);
        of_pools.into_iter().chain(self.event.max_participants.map(i64::from)).min()
    }

    fn drawn(&self, width: usize, is_utf8: bool) -> String {
        let of = |value: &dyn Fn(&Counts) -> i64| {
            let points = self.steps.iter().filter_map(|step| Some((instant(step.at)?, value(&step.counts))));
            points.collect::<Vec<_>>()
        };
        let all = Series { name: "taken".to_owned(), points: of(&|counts| counts.taken), bound: self.capacity() };
        let pools = self.event.pools.iter().filter(|_| self.event.pools.len() > 1).map(|pool| Series {
            name: pool.name.to_string(),
            points: of(&|counts| counts.pools.get(&pool.pk).copied().unwrap_or(0)),
            bound: Some(i64::from(pool.capacity)).filter(|capacity| *capacity > 0),
        });
        let waiting = Series { name: "waiting".to_owned(), points: of(&|counts| counts.waiting), bound: None };
        let small: Vec<Series> = pools.chain([waiting]).collect();
        let from = self.steps.first().and_then(|step| instant(step.at)).unwrap_or(self.now);
        let span = (from, self.now.max(from));
        let mut lines = vec![format!("{} ({})", self.event.title, self.event.kind), String::new()];
        lines.extend(chart::draw(Paper { width, is_utf8, span }, &all, &small));
        if !self.notes.is_empty() {
            lines.push(String::new());
            lines.extend(self.notes.iter().cloned());
        }
        lines.join("\n")
    }
}

/// True where the locale has characters beyond ASCII.
fn is_utf8() -> bool {
    let names = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter();
    let locale = names.filter_map(|name| std::env::var(name).ok()).find(|value| !value.is_empty());
    let locale = locale.unwrap_or_default().to_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

fn instant(time: Time) -> Option<Timestamp> {
    Timestamp::from_microsecond(time.micros()).ok()
}
