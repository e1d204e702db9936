//! The feed: every committed write and every refused attempt, newest first, by area, person, actor and refusals.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query};
use axum::routing::get;
use enroll_client::protocol::changes::{Change, List};
use enroll_client::protocol::{Code, Invalid, PageLimit, Person, Pk, Reference, person, server};
use enroll_client::{Client, Error};
use enroll_protocol::operations::TABLE;
use maud::{Markup, html};
use serde::Deserialize;

use crate::address;
use crate::console::Console;
use crate::context::Context;
use crate::form::{Field, Problem};
use crate::records::Records;
use crate::refusal::Told;
use crate::shown::shown;
use crate::visit::{Answer, Visit};
use crate::when;

/// Entries of one page.
const ENTRIES: usize = 50;

/// Changes that are looked at for one page, so that a filter that few pass ends.
const LOOKED_AT_MAX: u64 = 20_000;

/// Changes of one request.
const BLOCK: u64 = 1000;

/// Its routes.
pub(crate) fn routes() -> Router<Arc<Console>> {
    Router::new().route("/feed", get(show)).route("/feed/{seq}", get(show_one))
}

/// The filter, as it stands in the address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Filter {
    area: String,
    person: String,
    actor: String,
    /// The pk of any record.
    record: String,
    /// `only` for refused attempts, `without` for what was done.
    refused: String,
    /// Only changes before this number.
    before: Option<u64>,
}

/// The filter with its people found.
#[derive(Debug, Clone, Default)]
struct Wanted {
    area: String,
    person: Option<Pk>,
    actor: Option<Pk>,
    record: Option<Pk>,
    refused: Option<bool>,
}

/// A page of the feed.
#[derive(Debug, Default)]
struct Feed {
    filter: Filter,
    changes: Vec<Change>,
    records: Records,
    /// The number before which older changes may pass the filter; none at the begin of the feed.
    older: Option<u64>,
    head: u64,
    problems: Vec<Problem>,
}

impl Wanted {
    fn lets_pass(&self, change: &Change) -> bool {
        (self.area.is_empty() || change.area == self.area)
            && self.person.is_none_or(|person| change.subjects.contains(&person))
            && self.record.is_none_or(|record| change.subjects.contains(&record))
            && self.actor.is_none_or(|actor| change.actor == Some(actor))
            && self.refused.is_none_or(|refused| change.refused.is_some() == refused)
    }
}

/// The newest changes before a number that pass, newest first, and the number before which to go on.
async fn newest(
    client: &Client,
    before: u64,
    wanted: &Wanted,
    most: usize,
) -> Result<(Vec<Change>, Option<u64>), Error> {
    let (mut found, mut end) = (Vec::new(), before);
    while end > 1 && before - end < LOOKED_AT_MAX {
        let since = (end - 1).saturating_sub(BLOCK);
        let block = block(client, since, end).await?;
        for change in block.into_iter().rev() {
            if found.len() == most {
                return Ok((found, Some(change.seq + 1)));
            }
            if wanted.lets_pass(&change) {
                found.push(change);
            }
        }
        end = since + 1;
    }
    Ok((found, (end > 1).then_some(end)))
}

/// The changes after `since` and before `end`, oldest first.
async fn block(client: &Client, since: u64, end: u64) -> Result<Vec<Change>, Error> {
    let limit = PageLimit::new(BLOCK).unwrap_or_default();
    let mut list = List { since: Some(since), limit, after: None };
    let mut block: Vec<Change> = Vec::new();
    loop {
        // A page may hold fewer than were asked for.
        let page = client.call(list.clone()).await?;
        let is_whole = page.items.last().is_some_and(|last| last.seq + 1 >= end);
        block.extend(page.items.into_iter().filter(|change| change.seq < end));
        if is_whole || page.next.is_none() {
            return Ok(block);
        }
        list.after = page.next;
    }
}

/// The latest changes and the number of the last one, for pages that show some of them.
pub(crate) async fn latest(client: &Client, most: usize) -> Result<(Vec<Change>, u64), Error> {
    let head = client.call(server::Status {}).await?.changes_head;
    newest(client, head + 1, &Wanted::default(), most).await.map(|(changes, _)| (changes, head))
}

/// The changes of one record among the latest of all, newest first. It looks at few, so that a page does not wait for it.
pub(crate) async fn latest_of(client: &Client, record: Pk, most: usize) -> Result<Vec<Change>, Error> {
    let head = client.call(server::Status {}).await?.changes_head;
    let latest = block(client, head.saturating_sub(BLOCK), head + 1).await?;
    Ok(latest.into_iter().rev().filter(|change| change.subjects.contains(&record)).take(most).collect())
}

/// The records that changes name: subjects and actors.
pub(crate) fn records_of(changes: &[Change]) -> Vec<Pk> {
    changes.iter().flat_map(|change| change.subjects.iter().chain(&change.actor)).copied().collect()
}

async fn show(visit: Visit, Query(filter): Query<Filter>) -> Answer {
    let client = visit.client();
    let mut feed = Feed { filter: filter.clone(), ..Feed::default() };
    let mut wanted = Wanted { area: filter.area.clone(), ..Wanted::default() };
    wanted.refused = match filter.refused.as_str() {
        "only" => Some(true),
        "without" => Some(false),
        _ => None,
    };
    wanted.person = named(client, "person", &filter.person, &mut feed.problems).await;
    wanted.actor = named(client, "actor", &filter.actor, &mut feed.problems).await;
    if !filter.record.trim().is_empty() {
        let invalid = |err: Invalid| feed.problems.push(Problem { field: "record", told: Told::invalid(err.0) });
        wanted.record = filter.record.trim().parse().map_err(invalid).ok();
    }
    if feed.problems.is_empty() {
        feed.head = client.call(server::Status {}).await.map_err(|error| visit.failed(error))?.changes_head;
        let before = filter.before.unwrap_or(feed.head + 1).min(feed.head + 1);
        let found = newest(client, before, &wanted, ENTRIES).await.map_err(|error| visit.failed(error))?;
        (feed.changes, feed.older) = found;
        feed.records = Records::look_up(client, records_of(&feed.changes)).await;
        return Ok(visit.page("Feed", "Feed", feed.markup(&visit)));
    }
    Ok(visit.page_with("Feed", "Feed", feed.markup(&visit), &feed.problems))
}

/// The pk of a person whom the filter names.
async fn named(client: &Client, field: &'static str, text: &str, problems: &mut Vec<Problem>) -> Option<Pk> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    let found = match text.parse::<Reference>() {
        Ok(person) => client.call(person::Get { person, allow_deleted: true }).await.map_err(|error| Told::of(&error)),
        Err(invalid) => Err(Told::invalid(invalid.0)),
    };
    let keep = |told| problems.push(Problem { field, told });
    found.map(|person: Person| person.pk).map_err(keep).ok()
}

async fn show_one(visit: Visit, Path(seq): Path<u64>) -> Answer {
    let since = seq.saturating_sub(1);
    let changes = block(visit.client(), since, seq + 1).await.map_err(|error| visit.failed(error))?;
    let Some(change) = changes.first().filter(|change| change.seq == seq) else {
        let message = format!("there is no change {seq}");
        return Err(visit.refused(&Told { code: Some(Code::NOT_FOUND), message }));
    };
    let records = Records::look_up(visit.client(), records_of(&changes)).await;
    let main = html! {
        h1 { "Change " (seq) }
        ol .feed { (entry(change, &records, &visit)) }
        p { (visit.link(&address::with_query("/feed", &[("before", &(seq + 1).to_string())]), "The feed up to here")) }
    };
    Ok(visit.page("Feed", &format!("Change {seq}"), main))
}

/// One change: its number, its time, what was done to which records and by whom, and whether it was refused.
pub(crate) fn entry(change: &Change, records: &Records, context: &Context) -> Markup {
    html! {
        li data-seq=(change.seq) {
            span .seq { (context.link(&address::change(change.seq), &format!("#{}", change.seq))) } " "
            span .at { (when::exact(change.at)) } " "
            code .what { (change.area) "." (change.verb) } " "
            @for (at, subject) in change.subjects.iter().enumerate() {
                @if at > 0 { ", " }
                (records.link(*subject, context))
            }
            span .by {
                " by "
                @match change.actor {
                    Some(actor) => (records.link(actor, context)),
                    None => { "uid " (change.peer.uid) },
                }
                @if let Some(member) = &change.peer.member { " at " (shown(member)) }
                @if let Some(origin) = &change.origin { " from " (shown(origin)) }
                @if let Some(cause) = change.cause { ", following " (context.link(&address::change(cause), &format!("#{cause}"))) }
            }
            @if let Some(code) = change.refused {
                " " span .badge .bad { "refused: " (context.link(&format!("/errors/{code}"), &code.to_string())) }
            }
        }
    }
}

impl Feed {
    fn markup(&self, context: &Context) -> Markup {
        html! {
            h1 { "Feed" }
            (self.form(context))
            @if self.changes.is_empty() { p { "No change passes this filter" @if self.older.is_some() { " so far" } "." } }
            ol .feed { @for change in &self.changes { (entry(change, &self.records, context)) } }
            (self.pages(context))
        }
    }

    fn form(&self, context: &Context) -> Markup {
        let filter = &self.filter;
        let mut areas: Vec<&str> = TABLE.iter().filter(|row| row.kind.is_write()).map(|row| row.area()).collect();
        areas.dedup();
        let choices = [("", "all"), ("only", "only refused attempts"), ("without", "only what was done")];
        html! {
            form method="get" action=(context.at("/feed")) .filter role="search" aria-label="Filter" {
                div .field {
                    label for="area" { "Area" }
                    select id="area" name="area" {
                        option value="" { "all" }
                        @for area in areas { option value=(area) selected[area == filter.area] { (area) } }
                    }
                }
                (Field { name: "person", label: "Person", value: &filter.person, ..Field::default() }
                    .markup(&self.problems, context))
                (Field { name: "actor", label: "Actor", value: &filter.actor, ..Field::default() }
                    .markup(&self.problems, context))
                (Field { name: "record", label: "Record (pk)", value: &filter.record, ..Field::default() }
                    .markup(&self.problems, context))
                div .field {
                    label for="refused" { "Refusals" }
                    select id="refused" name="refused" {
                        @for (value, label) in choices { option value=(value) selected[value == filter.refused] { (label) } }
                    }
                }
                button { "Filter" }
            }
        }
    }

    fn pages(&self, context: &Context) -> Markup {
        let filter = &self.filter;
        let at = |before: &str| {
            let (person, actor) = (("person", filter.person.as_str()), ("actor", filter.actor.as_str()));
            let (record, refused) = (("record", filter.record.as_str()), ("refused", filter.refused.as_str()));
            let area = ("area", filter.area.as_str());
            address::with_query("/feed", &[area, person, actor, record, refused, ("before", before)])
        };
        html! {
            nav .pages aria-label="Older and newer" {
                ul {
                    li { (context.link(&at(""), "Newest")) }
                    @if let Some(older) = self.older {
                        li { a rel="next" href=(context.at(&at(&older.to_string()))) { "Older" } }
                    }
                }
            }
        }
    }
}
