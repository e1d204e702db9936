//! The command `event show --at`: an event's places and waiting list as they were, replayed from the change feed.
//!
//! A past that the feed does not tell is refused and never guessed: where changes are no longer kept, and where an older
//! version wrote them. So the replay goes on to now, and must end with what the event counts now.

use std::str::FromStr;

use enroll_client::Client;
use enroll_client::protocol::changes::List;
use enroll_client::protocol::event::{self, Event};
use enroll_client::protocol::{PageLimit, Pk, Reference, Time};
use enroll_picture::past::{Past, Unknown};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::history::{PAGE, TRIES, before};
use crate::output::Summary;
use crate::output::names::Names;

/// A moment of the past: after a change, by its number, or by a time, after the last change that bears no later one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    Change(u64),
    Time(Time),
}

/// The change that a moment is after.
#[derive(Debug, Clone, Copy)]
struct After {
    seq: u64,
    at: Time,
}

/// A replay up to now that remembers a moment.
struct Replay {
    moment: Moment,
    now: Past,
    then: Option<(Past, After)>,
    /// Changes of the event came since `then`.
    is_behind: bool,
    /// The first and the latest change that were read.
    read: Option<(u64, u64)>,
}

/// The picture of a moment.
struct Shown {
    event: Event,
    past: Past,
    after: After,
    names: Names,
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(seq) => Ok(Self::Change(seq)),
            Err(_) => text.parse().map(Self::Time).map_err(|err| format!("{err}; or the number of a change")),
        }
    }
}

/// Reads the feed and returns the picture.
pub(super) async fn ask(client: &Client, named: Reference, moment: Moment) -> Result<Summary, Failure> {
    let get = event::Get { event: named };
    let mut event = client.call(get.clone()).await?;
    let mut since = before(client, event.created).await?;
    let mut replay = Replay::of(event.pk, moment);
    replay.read(client, &mut since).await?;
    // After a clock that was set back the event may have been made earlier in the feed.
    if replay.now.known() == Err(Unknown::Begins) {
        (since, replay) = (None, Replay::of(event.pk, moment));
        replay.read(client, &mut since).await?;
    }
    for _ in 0..TRIES {
        event = client.call(get.clone()).await?;
        if !replay.read(client, &mut since).await? {
            break;
        }
    }
    let (past, after) = replay.told(&event)?;
    let mut names = Names::default();
    for pk in past.seats().keys().chain(past.waiting()).chain([&event.owner]) {
        names.look_up_person(client, &pk.to_string()).await;
    }
    Ok(Shown { event, past, after, names }.summary())
}

impl Replay {
    fn of(event: Pk, moment: Moment) -> Self {
        Self { moment, now: Past::of(event), then: None, is_behind: true, read: None }
    }

    /// Replays all changes after this number. Returns true if some were of this event.
    async fn read(&mut self, client: &Client, since: &mut Option<u64>) -> Result<bool, Failure> {
        let limit = PageLimit::new(PAGE).map_err(|err| Failure::Own(err.0))?;
        let mut has_news = false;
        loop {
            let page = client.call(List { since: *since, limit, after: None }).await?;
            for change in &page.items {
                let is_ours = self.now.next(change);
                (has_news, self.is_behind) = (has_news | is_ours, self.is_behind | is_ours);
                self.read = Some((self.read.map_or(change.seq, |(first, _)| first), change.seq));
                let is_passed = match self.moment {
                    Moment::Change(seq) => change.seq <= seq,
                    Moment::Time(at) => change.at <= at,
                };
                let after = After { seq: change.seq, at: change.at };
                match &mut self.then {
                    _ if !is_passed => {}
                    Some((_, last)) if !self.is_behind => *last = after,
                    then => (*then, self.is_behind) = (Some((self.now.clone(), after)), false),
                }
            }
            match page.items.last() {
                Some(last) => *since = Some(last.seq),
                None => return Ok(has_news),
            }
        }
    }

    /// The event at the moment. Refuses what the changes do not tell.
    fn told(self, event: &Event) -> Result<(Past, After), Failure> {
        let refuse = |why: String| Err(Failure::Own(why));
        let (first, latest) = self.read.unwrap_or_default();
        if let Moment::Change(seq) = self.moment
            && seq > latest
        {
            return Err(Failure::Usage(format!("at: there is no change {seq} yet; the latest is {latest}")));
        }
        if self.now.known() == Err(Unknown::Begins) {
            return refuse(format!(
                "the changes that are kept begin with number {first}, after the event was made, so its past is not known"
            ));
        }
        let (taken, waiting) = (self.now.seats().len(), self.now.waiting().len());
        if (taken, waiting) != (event.places_taken as usize, event.waiting_count as usize) {
            return refuse(format!(
                "the changes lead to {taken} places and {waiting} who wait, and there are {} and {}: an older version \
                 wrote some of them and told less, so the past is not known",
                event.places_taken, event.waiting_count
            ));
        }
        let Some((past, after)) = self.then.filter(|(past, _)| past.known() != Err(Unknown::Begins)) else {
            return refuse(format!("the event was made at {}, after that", event.created));
        };
        match past.known() {
            Err(Unknown::Position(seq)) => refuse(format!(
                "change {seq} put somebody into the waiting list and does not tell where, because an older version wrote \
                 it; the order of the list after it is not known"
            )),
            _ => Ok((past, after)),
        }
    }
}

impl Shown {
    fn summary(&self) -> Summary {
        let Self { event, past, after, .. } = self;
        let person = |pk: &Pk| json!({"person": pk, "name": self.names.of(&pk.to_string())});
        let seat = |(pk, pool): (&Pk, &Pk)| {
            let pool = (*pool != event.pk).then_some(pool);
            json!({"person": pk, "name": self.names.of(&pk.to_string()), "pool": pool})
        };
        let json = json!({
            "event": event.pk, "title": event.title, "change": after.seq, "at": after.at,
            "places_taken": past.seats().len(), "waiting_count": past.waiting().len(),
            "seats": past.seats().iter().map(seat).collect::<Vec<_>>(),
            "waiting": past.waiting().iter().map(person).collect::<Vec<_>>(),
        });
        Summary { json: json.to_string(), people: Value::String(self.drawn()).to_string(), scripts: self.for_scripts() }
    }

    /// The picture for people.
    fn drawn(&self) -> String {
        let Self { event, past, after, .. } = self;
        let rows = self.rows();
        let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        let head = [
            format!("{} ({}) after change {}, at {}", event.title, event.kind, after.seq, after.at),
            format!("{}, of {}", event.pk, self.names.of(&event.owner.to_string())),
            String::new(),
        ];
        let counted = |(name, people): (String, Vec<String>)| {
            let text = format!("{name:width$}  {}: {}", people.len(), people.join(", "));
            text.trim_end_matches([':', ' ']).to_owned()
        };
        let mut lines: Vec<String> = head.into_iter().chain(rows.into_iter().map(counted)).collect();
        if past.seats().is_empty() && past.waiting().is_empty() {
            lines.push("nobody".to_owned());
        }
        lines.join("\n")
    }

    /// Each pool with those who had a place in it, and the waiting list.
    fn rows(&self) -> Vec<(String, Vec<String>)> {
        let named = |pk: &Pk| self.names.of(&pk.to_string());
        let mut pools: Vec<Pk> = self.past.seats().values().copied().collect();
        pools.sort_unstable();
        pools.dedup();
        let people =
            |pool: &Pk| self.past.seats().iter().filter(|(_, seat)| *seat == pool).map(|(pk, _)| named(pk)).collect();
        let mut rows: Vec<_> = pools.iter().map(|pool| (self.pool(*pool), people(pool))).collect();
        if !self.past.waiting().is_empty() {
            rows.push(("wait".to_owned(), self.past.waiting().iter().map(named).collect()));
        }
        rows
    }

    /// The name of a pool, or the short form of its pk where it was removed since.
    fn pool(&self, pk: Pk) -> String {
        let found = self.event.pools.iter().find(|pool| pool.pk == pk);
        let short = || if pk == self.event.pk { "all".to_owned() } else { pk.short() };
        found.map_or_else(short, |pool| pool.name.to_string())
    }

    /// A line for each fact, each place and each of the waiting list. Built as text, because a name repeats.
    fn for_scripts(&self) -> String {
        let Self { event, past, after, .. } = self;
        let mut members = vec![
            ("event", json!(event.pk)),
            ("change", json!(after.seq)),
            ("at", json!(after.at)),
            ("places_taken", json!(past.seats().len())),
            ("waiting_count", json!(past.waiting().len())),
        ];
        for (pk, pool) in past.seats() {
            members.push(("seat", json!(format!("{}: {}", self.pool(*pool), self.names.of(&pk.to_string())))));
        }
        members.extend(past.waiting().iter().map(|pk| ("waiting", json!(self.names.of(&pk.to_string())))));
        let members: Vec<String> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", members.join(","))
    }
}
