//! The command `event show`: an event with its places, its waiting list and its next times, from `event.get` and
//! `registration.list`.
//!
//! The first of the waiting list are named, and the others counted. A caller without permission to list the
//! registrations sees the count and no names.

use clap::Args;
use enroll_client::protocol::event::{self, Event, EventPool};
use enroll_client::protocol::registration::{self, Registration};
use enroll_client::protocol::{Code, Invalid, PageLimit, Reference, Time};
use enroll_client::{Client, Error};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::output::names::Names;
use crate::output::{Summary, time};
use crate::raw_object::{self, RawObject};

/// People of the waiting list who are named.
const NAMED_MAX: u32 = 5;

/// The width of a bar in characters.
const BAR: usize = 24;

/// Show an event: places taken in each pool, who waits, and what happens next
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  enrollctl event show 01994f3a-7c1e-7d55-a1b2-3c4d5e6f7a8b")]
pub(super) struct Show {
    /// The event's pk
    event: Reference,
}

/// An event, and what is shown beside its own fields.
struct Picture {
    event: Event,
    /// The owner's callsign.
    owner: String,
    /// The callsigns of the first of the waiting list; none if the caller may not see them.
    waiting: Vec<String>,
    now: Timestamp,
}

/// Reads the event and the first of its waiting list, and returns the picture.
pub(super) async fn ask(client: &Client, show: Show) -> Result<Summary, Failure> {
    let event = client.call(event::Get { event: show.event.clone() }).await?;
    let registrations = first_waiting(client, show.event).await?;
    let mut names = Names::default();
    for pk in registrations.iter().map(|registration| registration.person).chain([event.owner]) {
        names.look_up_person(client, &pk.to_string()).await;
    }
    let owner = names.of(&event.owner.to_string());
    let waiting = registrations.iter().map(|registration| names.of(&registration.person.to_string())).collect();
    Picture { event, owner, waiting, now: Timestamp::now() }.summary()
}

/// The first of the waiting list; none if the caller may not see them.
async fn first_waiting(client: &Client, event: Reference) -> Result<Vec<Registration>, Failure> {
    let limit = PageLimit::new(u64::from(NAMED_MAX)).map_err(|err: Invalid| Failure::Usage(err.0))?;
    let list = registration::List { event: Some(event), waiting: Some(true), limit, ..Default::default() };
    match client.call(list).await {
        Ok(page) => Ok(page.items),
        Err(Error::Refused(refusal)) if refusal.code == Code::PERMISSION_DENIED => Ok(Vec::new()),
        Err(err) => Err(err.into()),
    }
}

impl Picture {
    fn summary(&self) -> Result<Summary, Failure> {
        // Raw text keeps every digit of the event's extra.
        let broken = |err: serde_json::Error| Failure::Own(format!("the event can not be shown: {err}"));
        let event = serde_json::to_string(&self.event).map_err(broken)?;
        let mut fields = RawObject::new();
        raw_object::read(&event, &mut fields).map_err(broken)?;
        let next: Vec<_> = self.next().into_iter().map(|(at, what)| json!({"at": at, "what": what})).collect();
        Ok(Summary {
            json: format!(r#"{{"event":{event},"waiting":{},"next":{}}}"#, json!(self.waiting), json!(next)),
            people: Value::String(self.drawn()).to_string(),
            scripts: self.for_scripts(&fields),
        })
    }

    /// Future times at which the event changes by itself, in their order.
    fn next(&self) -> Vec<(Time, String)> {
        let event = &self.event;
        let or_start = |time: Option<Time>| time.unwrap_or(event.start);
        let openings = event.pools.iter().filter_map(|pool| Some((pool.opens?, format!("\"{}\" opens", pool.name))));
        let mut next: Vec<_> = openings.collect();
        next.extend(event.merge_time.map(|at| (at, "the pools become one".to_owned())));
        if !event.leisure {
            next.push((or_start(event.registration_closes), "registration closes".to_owned()));
            next.push((or_start(event.unregistration_closes), "canceling closes".to_owned()));
        }
        next.push((event.start, "it begins".to_owned()));
        next.push((event.start.plus_seconds(u64::from(event.duration_minutes) * 60), "it ends".to_owned()));
        let is_to_come = |(at, _): &(Time, String)| instant(*at).is_some_and(|at| at > self.now);
        next.retain(|step| is_to_come(step) && !event.canceled);
        next.sort_by_key(|(at, _)| *at);
        next
    }

    /// The picture for people.
    fn drawn(&self) -> String {
        let event = &self.event;
        let mut lines = vec![format!("{} ({}, {})", event.title, event.kind, self.state())];
        lines.push(format!("{}, of {}", event.pk, self.owner));
        lines.push(String::new());
        let width = event.pools.iter().map(|pool| pool.name.as_str().chars().count()).max().unwrap_or(0).max(5);
        let row = |name: &str, taken, of, text: String| format!("{name:width$}  {}  {text}", bar(taken, of));
        lines.extend(
            event.pools.iter().map(|pool| row(pool.name.as_str(), pool.places_taken, capacity(pool), places(pool))),
        );
        if event.pools.len() != 1 || event.max_participants.is_some() {
            let (taken, of) = (event.places_taken, event.max_participants);
            lines.push(row("all", taken, of, counted(taken, of)));
        }
        if event.waiting_count > 0 {
            lines.push(format!("{:width$}  {}", "wait", self.waiting_list()));
        }
        let next = self.next();
        let at_once = next.chunk_by(|(one, _), (other, _)| one == other);
        let steps: Vec<(Timestamp, String)> =
            at_once.filter_map(|steps| Some((instant(steps[0].0)?, joined(steps)))).collect();
        let relative = |at| time::relative(at, self.now);
        let longest = steps.iter().map(|(at, _)| relative(*at).chars().count()).max().unwrap_or_default();
        lines.extend((!steps.is_empty()).then(String::new));
        lines.extend(
            steps.iter().map(|(at, what)| format!("{:longest$}  {}  {what}", relative(*at), time::absolute(*at))),
        );
        lines.join("\n")
    }

    fn state(&self) -> &'static str {
        match &self.event {
            event if event.canceled => "canceled",
            event if !event.published => "a draft",
            event if event.leisure => "open to everybody",
            event if event.time_state == event::TimeState::Past => "over",
            event if event.time_state == event::TimeState::Current => "going on",
            _ => "published",
        }
    }

    /// `3: CAT02b, DOGGO01a and 1 more`.
    fn waiting_list(&self) -> String {
        let (count, named) = (self.event.waiting_count as usize, self.waiting.len());
        match count.saturating_sub(named) {
            _ if named == 0 => count.to_string(),
            0 => format!("{count}: {}", self.waiting.join(", ")),
            more => format!("{count}: {} and {more} more", self.waiting.join(", ")),
        }
    }

    /// Every field, then a line for each pool, each of the first who wait, and each time to come. Built as text,
    /// because a name repeats.
    fn for_scripts(&self, fields: &RawObject<'_>) -> String {
        let fields = fields.iter().filter(|(name, _)| name != "pools");
        let fields = fields.map(|(name, value)| (name.as_str(), value.get().to_owned()));
        let text = |text: String| Value::String(text).to_string();
        let pools = self.event.pools.iter();
        let pools = pools.map(|pool| ("pool", text(format!("{}: {}", pool.name, places(pool)))));
        let waiting = self.waiting.iter().map(|name| ("waiting", text(name.clone())));
        let next = self.next().into_iter().map(|(at, what)| ("next", text(format!("{at} {what}"))));
        let members = fields.chain(pools).chain(waiting).chain(next);
        let members: Vec<String> = members.map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", members.join(","))
    }
}

/// A bar of the places taken; blank without a bound.
fn bar(taken: u32, of: Option<u32>) -> String {
    let Some(of) = of else { return " ".repeat(BAR) };
    // The first place taken shows, and so does the last one free.
    let full = match (taken, of) {
        (0, 1..) => 0,
        (taken, of) if taken >= of => BAR,
        (taken, of) => (taken as usize).saturating_mul(BAR).div_euclid(of as usize).clamp(1, BAR - 1),
    };
    format!("{}{}", "█".repeat(full), "░".repeat(BAR - full))
}

/// `3 of 40`.
fn counted(taken: u32, of: Option<u32>) -> String {
    of.map_or_else(|| taken.to_string(), |of| format!("{taken} of {of}"))
}

/// The capacity of a pool; `None` if it has no bound.
fn capacity(pool: &EventPool) -> Option<u32> {
    Some(pool.capacity).filter(|capacity| *capacity > 0)
}

/// Places taken in a pool, its roles, and the number of people who wait.
fn places(pool: &EventPool) -> String {
    let roles = pool.roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(", ");
    let of = capacity(pool).map_or("any number".to_owned(), |capacity| capacity.to_string());
    let waits = match pool.waiting_count {
        0 => String::new(),
        1 => "; 1 waits".to_owned(),
        count => format!("; {count} wait"),
    };
    format!("{} of {of}, for {roles}{waits}", pool.places_taken)
}

/// The changes at one time, joined.
fn joined(steps: &[(Time, String)]) -> String {
    steps.iter().map(|(_, what)| what.as_str()).collect::<Vec<_>>().join(", ")
}

fn instant(time: Time) -> Option<Timestamp> {
    Timestamp::from_microsecond(time.micros()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = r#"{"pk":"01010101-0101-0101-0101-010101010101","title":"Camp","kind":"camp",
        "owner":"02020202-0202-0202-0202-020202020202","start":"2026-03-01T10:00:00.000000Z","duration_minutes":120,
        "max_participants":null,"leisure":false,"published":true,"canceled":false,"approval":"none",
        "waiting_list":true,"merge_time":"2026-02-20T10:00:00.000000Z","registration_closes":null,
        "unregistration_closes":"2026-01-01T10:00:00.000000Z","extra":{},"time_state":"upcoming",
        "update_state":"registrations","actions":["save","cancel"],"places_taken":32,"waiting_count":12,"pools":[
        {"pk":"03030303-0303-0303-0303-030303030303","name":"members","capacity":40,"opens":null,"roles":["member"],
         "places_taken":22,"waiting_count":0},
        {"pk":"04030303-0303-0303-0303-030303030303","name":"late","capacity":10,"roles":["guest","member"],
         "opens":"2026-02-01T10:00:00.000000Z","places_taken":10,"waiting_count":12}],
        "created":"2026-01-01T10:00:00.000000Z","updated":"2026-01-01T10:00:00.000000Z","deleted":null}"#;

    fn picture(waiting: &[&str]) -> Picture {
        Picture {
            event: serde_json::from_str(EVENT).expect("an event"),
            owner: "BOSS".to_owned(),
            waiting: waiting.iter().map(|name| (*name).to_owned()).collect(),
            now: "2026-01-31T10:00:00Z".parse().expect("an instant"),
        }
    }

    #[test]
    fn an_event_is_drawn_with_its_places_waiting_list_and_next_times() {
        let expected = "\
Camp (camp, published)
01010101-0101-0101-0101-010101010101, of BOSS

members  █████████████░░░░░░░░░░░  22 of 40, for member
late     ████████████████████████  10 of 10, for guest, member; 12 wait
all                                32
wait     12: A, B and 10 more

in 1 day    2026-02-01 10:00:00 UTC  \"late\" opens
in 20 days  2026-02-20 10:00:00 UTC  the pools become one
in 29 days  2026-03-01 10:00:00 UTC  registration closes, it begins
in 29 days  2026-03-01 12:00:00 UTC  it ends";
        assert_eq!(picture(&["A", "B"]).drawn(), expected);
    }

    #[test]
    fn scripts_and_json_have_every_field_as_it_is() {
        let mut picture = picture(&["A"]);
        picture.event.extra = r#"{"n":1.50}"#.parse().expect("an object");
        let summary = picture.summary().expect("a summary");
        assert!(
            summary.json.contains(r#""extra":{"n":1.50},"#) && summary.json.contains(r#","waiting":["A"],"next":[{"#)
        );
        let end = r#","deleted":null,"pool":"members: 22 of 40, for member","pool":"late: 10 of 10, for guest, member; 12 wait","waiting":"A","next":"2026-02-01T10:00:00.000000Z \"late\" opens","#;
        assert!(
            summary.scripts.contains(end) && summary.scripts.contains(r#""extra":{"n":1.50},"#),
            "{}",
            summary.scripts
        );
    }

    #[test]
    fn a_waiting_list_without_names_is_a_count() {
        assert_eq!(picture(&[]).waiting_list(), "12");
    }

    #[test]
    fn a_bar_is_full_when_every_place_is_taken_and_not_before() {
        for (taken, of, full) in
            [(0, 3, 0), (1, 1000, 1), (999, 1000, BAR - 1), (3, 3, BAR), (5, 3, BAR), (u32::MAX - 1, u32::MAX, BAR - 1)]
        {
            assert_eq!(bar(taken, Some(of)).matches('█').count(), full, "{taken} of {of}");
        }
        assert_eq!(bar(7, None).trim(), "");
    }
}
