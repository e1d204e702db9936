//! The command `event show`: an event with its places, its waiting list and its next times, from `event.get` and
//! `registration.list`.
//!
//! The first of the waiting list are named, and the others counted. A caller without permission to list the
//! registrations sees the count and no names.

use clap::Args;
use enroll_client::protocol::event;
use enroll_client::protocol::registration::{self, Registration};
use enroll_client::protocol::{Code, Invalid, PageLimit, Reference, Time};
use enroll_client::{Client, Error};
use enroll_picture::event::{self as picture, Picture, Step};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::past::{self, Moment};
use crate::failure::Failure;
use crate::output::names::Names;
use crate::output::{Summary, time};
use crate::raw_object::{self, RawObject};

/// People of the waiting list who are named.
const NAMED_MAX: u32 = 5;

/// The width of a bar in characters.
const BAR: usize = 24;

/// Show an event: places taken in each pool, who waits, and what happens next
///
/// With --at it is who had a place and who waited then, from the change feed, which does not tell capacities and titles.
/// Needs the permission /changes/ of the actor, if there is one.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  enrollctl event show 01994f3a-7c1e-7d55-a1b2-3c4d5e6f7a8b\n  \
                        enrollctl event show 01994f3a-7c1e-7d55-a1b2-3c4d5e6f7a8b --at 2999-01-31T18:00:00Z")]
pub(super) struct Show {
    /// The event's pk
    event: Reference,
    /// Places and waiting list as they were at this time, or after the change of this number
    #[arg(long, value_name = "TIME")]
    at: Option<Moment>,
}

/// The picture as text.
#[derive(Debug)]
struct Shown(Picture);

/// Reads the event and the first of its waiting list, and returns the picture.
pub(super) async fn ask(client: &Client, show: Show) -> Result<Summary, Failure> {
    if let Some(moment) = show.at {
        return past::ask(client, show.event, moment).await;
    }
    let event = client.call(event::Get { event: show.event.clone() }).await?;
    let registrations = first_waiting(client, show.event).await?;
    let mut names = Names::default();
    for pk in registrations.iter().map(|registration| registration.person).chain([event.owner]) {
        names.look_up_person(client, &pk.to_string()).await;
    }
    let owner = names.of(&event.owner.to_string());
    let waiting = registrations.iter().map(|registration| names.of(&registration.person.to_string())).collect();
    let now = Time::from_micros(Timestamp::now().as_microsecond()).map_err(|err| Failure::Own(err.0))?;
    Shown(Picture { event, owner, waiting, now }).summary()
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

impl Shown {
    fn summary(&self) -> Result<Summary, Failure> {
        // Raw text keeps every digit of the event's extra.
        let broken = |err: serde_json::Error| Failure::Own(format!("the event can not be shown: {err}"));
        let Self(picture) = self;
        let event = serde_json::to_string(&picture.event).map_err(broken)?;
        let mut fields = RawObject::new();
        raw_object::read(&event, &mut fields).map_err(broken)?;
        let next: Vec<_> =
            picture.next().into_iter().map(|Step { at, what }| json!({"at": at, "what": what})).collect();
        Ok(Summary {
            json: format!(r#"{{"event":{event},"waiting":{},"next":{}}}"#, json!(picture.waiting), json!(next)),
            people: Value::String(self.drawn()).to_string(),
            scripts: self.for_scripts(&fields),
        })
    }

    /// The picture for people.
    fn drawn(&self) -> String {
        let Self(picture) = self;
        let mut lines = vec![picture.heading()];
        lines.push(format!("{}, of {}", picture.event.pk, picture.owner));
        lines.push(String::new());
        let pools = picture.event.pools.iter();
        let width = pools.map(|pool| pool.name.as_str().chars().count()).max().unwrap_or(0).max(5);
        let rows = picture.pools().chain(picture.all());
        lines.extend(rows.map(|row| format!("{:width$}  {}  {}", row.name, bar(row.taken, row.of), row.text)));
        if picture.event.waiting_count > 0 {
            lines.push(format!("{:width$}  {}", "wait", picture.waiting_list()));
        }
        let next = picture.next();
        let now = instant(picture.now).unwrap_or_default();
        let at_once = next.chunk_by(|one, other| one.at == other.at);
        let steps: Vec<(Timestamp, String)> =
            at_once.filter_map(|steps| Some((instant(steps[0].at)?, picture::joined(steps)))).collect();
        let relative = |at| time::relative(at, now);
        let longest = steps.iter().map(|(at, _)| relative(*at).chars().count()).max().unwrap_or_default();
        lines.extend((!steps.is_empty()).then(String::new));
        lines.extend(
            steps.iter().map(|(at, what)| format!("{:longest$}  {}  {what}", relative(*at), time::absolute(*at))),
        );
        lines.join("\n")
    }

    /// Every field, then a line for each pool, each of the first who wait, and each time to come. Built as text,
    /// because a name repeats.
    fn for_scripts(&self, fields: &RawObject<'_>) -> String {
        let Self(picture) = self;
        let fields = fields.iter().filter(|(name, _)| name != "pools");
        let fields = fields.map(|(name, value)| (name.as_str(), value.get().to_owned()));
        let text = |text: String| Value::String(text).to_string();
        let pools = picture.pools().map(|row| ("pool", text(format!("{}: {}", row.name, row.text))));
        let waiting = picture.waiting.iter().map(|name| ("waiting", text(name.clone())));
        let next = picture.next().into_iter().map(|Step { at, what }| ("next", text(format!("{at} {what}"))));
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

    fn picture(waiting: &[&str]) -> Shown {
        Shown(Picture {
            event: serde_json::from_str(EVENT).expect("an event"),
            owner: "BOSS".to_owned(),
            waiting: waiting.iter().map(|name| (*name).to_owned()).collect(),
            now: "2026-01-31T10:00:00.000000Z".parse().expect("a time"),
        })
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
        picture.0.event.extra = r#"{"n":1.50}"#.parse().expect("an object");
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
    fn a_bar_is_full_when_every_place_is_taken_and_not_before() {
        for (taken, of, full) in
            [(0, 3, 0), (1, 1000, 1), (999, 1000, BAR - 1), (3, 3, BAR), (5, 3, BAR), (u32::MAX - 1, u32::MAX, BAR - 1)]
        {
            assert_eq!(bar(taken, Some(of)).matches('█').count(), full, "{taken} of {of}");
        }
        assert_eq!(bar(7, None).trim(), "");
    }
}
