//! The page of one event: its picture, who sits and who waits, whether and why a person would get a place, and what can
//! be done about it.

use std::collections::BTreeMap;

use axum::extract::{Path, Query};
use enroll_client::protocol::event::{Event, Get};
use enroll_client::protocol::registration::{ApprovalState, Create, Explain, Explanation, List, Registration};
use enroll_client::protocol::{Code, Cursor, Invalid, PageLimit, Pk, Reference};
use enroll_client::{Client, Error};
use enroll_picture::event::Picture;
use enroll_picture::explanation;
use maud::{Markup, html};
use serde::Deserialize;

use super::{decision, drawing};
use crate::address;
use crate::context::Context;
use crate::extra;
use crate::form::{Field, Problem, Sent};
use crate::outcome::Outcome;
use crate::paging;
use crate::records::Records;
use crate::refusal::{self, Told};
use crate::shown::shown;
use crate::visit::{Answer, Trouble, Visit};
use crate::when;

/// People of one list on a page.
const ROWS: u64 = 50;

/// Requests for the registrations whose approval is pending; a larger number is cut.
const PENDING_PAGES_MAX: usize = 5;

/// The lists' places and the question, as they stand in the address.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    /// The person to explain for.
    explain: String,
    /// Cursors of the two lists.
    seated: String,
    waiting: String,
}

/// One list of registrations and the cursor after it. A refusal stands in for a list that the caller may not see.
#[derive(Debug, Default)]
struct People {
    items: Vec<Registration>,
    next: Option<Cursor>,
    refused: Option<Told>,
}

/// The page of an event.
#[derive(Debug)]
struct Shown {
    picture: Picture,
    /// Seats whose approval is pending, by pool; of an event without pools under `None`.
    pending: BTreeMap<Option<Pk>, u32>,
    seated: People,
    waiting: People,
    records: Records,
    asked: Asked,
    explained: Option<Result<Explanation, Told>>,
    /// The text that was typed into the form that registers.
    person: String,
}

pub(super) async fn show(visit: Visit, Path(event): Path<String>, Query(asked): Query<Asked>) -> Answer {
    let page = read(&visit, &event, asked, "").await?;
    Ok(visit.page("Events", page.picture.event.title.as_str(), page.markup(&[], &visit)))
}

/// Registers the person who was typed.
pub(super) async fn register(Path(event): Path<String>, sent: Sent) -> Answer {
    let event = found(&sent.visit, &event).await?;
    let person = match sent.value::<Reference>("person") {
        Ok(person) => person,
        Err(problem) => {
            let visit = sent.visit.clone().back_at(&address::event(event.pk));
            let page = read(&visit, &event.pk.to_string(), Asked::default(), sent.text("person")).await?;
            let problems = [problem];
            let main = page.markup(&problems, &visit);
            return Ok(visit.page_with("Events", event.title.as_str(), main, &problems));
        }
    };
    let request = Create { event: Reference::by_pk(event.pk), person };
    let reply = sent.visit.client().request(request).key(sent.key).send().await;
    let pool = |pk| event.pools.iter().find(|pool| pool.pk == pk).map(|pool| pool.name.to_string());
    let done = reply.as_ref().map_or_else(|_| String::new(), |one| decision::standing(one, pool));
    let address = reply.as_ref().ok().map(|one| address::person(one.person));
    Ok(sent.done(vec![Outcome::of(sent.text("person"), address, &done, reply)]))
}

async fn found(visit: &Visit, event: &str) -> Result<Event, Trouble> {
    let event = event.parse().map_err(|err: Invalid| visit.refused(&Told::invalid(err.0)))?;
    visit.client().call(Get { event }).await.map_err(|error| visit.failed(error))
}

async fn read(visit: &Visit, event: &str, asked: Asked, person: &str) -> Result<Shown, Trouble> {
    let client = visit.client();
    let event = found(visit, event).await?;
    let seated = people(client, &event, false, &asked.seated).await.map_err(|error| visit.failed(error))?;
    let waiting = people(client, &event, true, &asked.waiting).await.map_err(|error| visit.failed(error))?;
    let pending = pending(client, &event).await.map_err(|error| visit.failed(error))?;
    let explained = explain(client, &event, &asked.explain).await;
    let registered = seated.items.iter().chain(&waiting.items).map(|one| one.person);
    let records = Records::look_up(client, registered.chain([event.owner])).await;
    let owner = records.get(event.owner).map_or_else(|| event.owner.short(), |owner| owner.name.clone());
    // Names of the waiting list are shown in its own table.
    let picture = Picture { event, owner, waiting: Vec::new(), now: visit.now };
    let person = person.to_owned();
    Ok(Shown { picture, pending, seated, waiting, records, asked, explained, person })
}

/// A page of those who sit, or of those who wait.
async fn people(client: &Client, event: &Event, waiting: bool, after: &str) -> Result<People, Error> {
    let limit = PageLimit::new(ROWS).unwrap_or_default();
    let after = after.parse::<Cursor>().ok();
    let list = List { event: Some(event.pk.into()), waiting: Some(waiting), limit, after, ..List::default() };
    match client.call(list).await {
        Ok(page) => Ok(People { items: page.items, next: page.next, refused: None }),
        Err(error) if is_denied(&error) => Ok(People { refused: Some(Told::of(&error)), ..People::default() }),
        Err(error) => Err(error),
    }
}

/// The number of those who sit in each pool with an approval that is pending.
async fn pending(client: &Client, event: &Event) -> Result<BTreeMap<Option<Pk>, u32>, Error> {
    let mut counts = BTreeMap::new();
    let limit = PageLimit::new(1000).unwrap_or_default();
    let approval = Some(ApprovalState::Pending);
    let mut list = List { event: Some(event.pk.into()), approval, limit, ..List::default() };
    for _ in 0..PENDING_PAGES_MAX {
        let page = match client.call(list.clone()).await {
            Ok(page) => page,
            Err(error) if is_denied(&error) => break,
            Err(error) => return Err(error),
        };
        for one in page.items.iter().filter(|one| !one.waiting && !one.canceled) {
            *counts.entry(one.pool).or_default() += 1;
        }
        if page.next.is_none() {
            break;
        }
        list.after = page.next;
    }
    Ok(counts)
}

fn is_denied(error: &Error) -> bool {
    error.refusal().is_some_and(|refusal| refusal.code == Code::PERMISSION_DENIED)
}

async fn explain(client: &Client, event: &Event, person: &str) -> Option<Result<Explanation, Told>> {
    let person = person.trim();
    if person.is_empty() {
        return None;
    }
    Some(match person.parse::<Reference>() {
        Ok(person) => {
            let explained = client.call(Explain { event: event.pk.into(), person }).await;
            explained.map_err(|error| Told::of(&error))
        }
        Err(invalid) => Err(Told::invalid(invalid.0)),
    })
}

impl Shown {
    fn markup(&self, problems: &[Problem], context: &Context) -> Markup {
        let event = &self.picture.event;
        html! {
            h1 { (shown(&self.picture.heading())) }
            dl {
                dt { "Owner" } dd { (self.records.link(event.owner, context)) }
                dt { "Begins" } dd { (when::exact(event.start)) " (" (when::ago(event.start, context.now)) ")" }
                dt { "Minutes" } dd { (event.duration_minutes) }
                @if event.approval == enroll_protocol::event::Approval::Supervisor {
                    dt { "Approval" } dd { "by the supervisor" }
                }
                @if event.extra.as_str() != "{}" { dt { "Extra" } dd { (extra::markup(&event.extra)) } }
                dt { "pk" } dd { code { (event.pk) } }
                dt { "Changes" }
                dd { (context.link(&address::changes_of(event.pk), "what happened to it")) }
            }
            @if !event.leisure {
                h2 { "Places" }
                (drawing::legend())
                @for (row, pool) in self.picture.pools().zip(&event.pools) {
                    (drawing::row(&row, self.pending.get(&Some(pool.pk)).copied().unwrap_or(0)))
                }
                @if let Some(all) = self.picture.all() {
                    @let pending = self.pending.values().sum();
                    @if all.of.is_some() || event.pools.is_empty() { (drawing::row(&all, pending)) }
                    @else { (drawing::words(&all, pending)) }
                }
            }
            (drawing::time(&self.picture, context))
            (self.explanation(context))
            (self.registering(problems, context))
            (self.decisions(context))
        }
    }

    /// The answer to whether and why a person would get a place.
    fn explanation(&self, context: &Context) -> Markup {
        let event = &self.picture.event;
        html! {
            section #explained aria-labelledby="explain-heading" {
                h2 #explain-heading { "Would they get a place?" }
                form method="get" action={ (context.at(&address::event(event.pk))) "#explained" } .row .no-print {
                    (Field { name: "explain", label: "Person", value: &self.asked.explain, ..Field::default() }
                        .markup(&[], context))
                    button { "Explain" }
                }
                @match &self.explained {
                    None => {},
                    Some(Err(told)) => p { (refusal::sentence(told, context)) },
                    Some(Ok(explanation)) => {
                        p .lead { (explained(explanation, context)) }
                        ul { @for sentence in &explanation.because { li { (shown(sentence)) } } }
                        @if !explanation.pools.is_empty() {
                            dl {
                                @for pool in &explanation.pools {
                                    dt { (shown(&pool.name)) } dd { (shown(&explanation::of_pool(pool))) }
                                }
                            }
                        }
                    },
                }
            }
        }
    }

    fn registering(&self, problems: &[Problem], context: &Context) -> Markup {
        let event = &self.picture.event;
        if event.leisure || event.canceled {
            return html! {};
        }
        let field = Field {
            name: "person",
            label: "Callsign",
            hint: "They take a place where one is free for them, else they wait.",
            value: if self.person.is_empty() { &self.asked.explain } else { &self.person },
            is_code: false,
        };
        let inside = html! {
            h2 { "Register a person" }
            (field.markup(problems, context))
            button { "Register" }
        };
        context.form(&format!("{}/register", address::event(event.pk)), inside)
    }

    /// The two lists of people, in one form.
    fn decisions(&self, context: &Context) -> Markup {
        let event = &self.picture.event;
        let has_boxes = !context.is_read_only && !self.seated.items.is_empty() | !self.waiting.items.is_empty();
        let lists = html! {
            (self.list("Registered", "In order of registration", &self.seated, "seated", context))
            (self.list("Waiting list", "In its order", &self.waiting, "waiting", context))
            @if has_boxes { (decision::buttons(true, context)) }
        };
        if event.leisure {
            html! {}
        } else if has_boxes {
            context.form(decision::ADDRESS, lists)
        } else {
            lists
        }
    }

    fn list(&self, heading: &str, order: &str, people: &People, cursor: &str, context: &Context) -> Markup {
        let has_boxes = !context.is_read_only;
        let here = address::without(&context.here, cursor);
        let next = people.next.as_ref().map(|next| address::with_query(&here, &[(cursor, &next.to_string())]));
        html! {
            h2 { (heading) }
            @if let Some(told) = &people.refused {
                p { (refusal::sentence(told, context)) }
            } @else if people.items.is_empty() {
                p .faint { "nobody" }
            } @else {
                table .stack {
                    caption { (order) }
                    thead {
                        tr {
                            @if has_boxes { th .box scope="col" { "Decide" } }
                            th scope="col" { "Person" }
                            th scope="col" { "Now" }
                            th scope="col" { "Registered" }
                            th scope="col" { "Approval" }
                            th scope="col" { "Reason" }
                        }
                    }
                    tbody { @for one in &people.items { (self.person(one, has_boxes, context)) } }
                }
            }
            (paging::links(heading, (here != context.here).then_some(&here), next.as_deref(), context))
        }
    }

    fn person(&self, one: &Registration, has_boxes: bool, context: &Context) -> Markup {
        let event = &self.picture.event;
        let pool = |pk| event.pools.iter().find(|pool| pool.pk == pk).map(|pool| pool.name.to_string());
        let name = self.records.get(one.person).map_or_else(|| one.person.short(), |named| named.name.clone());
        html! {
            tr {
                @if has_boxes { td .box { (decision::box_of(one, &shown(&name))) } }
                th scope="row" { (self.records.link(one.person, context)) }
                td data-label="Now" { (shown(&decision::standing(one, pool))) }
                td data-label="Registered" { (when::ago(one.registered_at, context.now)) }
                td data-label="Approval" { (one.approval.name().replace('_', " ")) }
                td data-label="Reason" {
                    @if let Some(reason) = &one.reason { (shown(reason)) }
                    @if let Some(placed) = &one.placed { p .hint { "placed by hand: " (shown(&placed.reason)) } }
                }
            }
        }
    }
}

/// The sentence of an explanation. The code of a refusal leads to its page.
fn explained(explanation: &Explanation, context: &Context) -> Markup {
    let sentence = explanation::outcome(explanation);
    let is_refusal = !matches!(explanation.outcome.as_str(), "seat" | "wait");
    html! {
        (shown(&sentence))
        @if is_refusal { " " (context.link(&format!("/errors/{}", explanation.outcome), "What that means")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = r#"{"pk":"01010101-0101-0101-0101-010101010101","title":"<script>alert(1)</script>",
        "kind":"camp",
        "owner":"02020202-0202-0202-0202-020202020202","start":"2027-03-01T10:00:00.000000Z","duration_minutes":120,
        "max_participants":null,"leisure":false,"published":true,"canceled":false,"approval":"supervisor",
        "waiting_list":true,"merge_time":null,"registration_closes":null,"unregistration_closes":null,"extra":{},
        "time_state":"upcoming","update_state":"registrations","actions":["save","cancel"],"places_taken":2,
        "waiting_count":1,"pools":[{"pk":"03030303-0303-0303-0303-030303030303","name":"members","capacity":3,
        "opens":null,"roles":["member"],"places_taken":2,"waiting_count":1}],
        "created":"2026-01-01T10:00:00.000000Z","updated":"2026-01-01T10:00:00.000000Z","deleted":null}"#;

    fn registration(digit: u8, waiting: bool) -> Registration {
        let text = format!(
            r#"{{"pk":"0{digit}020101-0101-0101-0101-010101010101","event":"01010101-0101-0101-0101-010101010101",
            "person":"0{digit}030101-0101-0101-0101-010101010101","pool":"03030303-0303-0303-0303-030303030303",
            "waiting":{waiting},"waiting_pools":[],"waiting_position":{},
            "registered_at":"2026-02-01T10:00:00.000000Z","canceled":false,"canceled_at":null,"approval":"pending",
            "decided_by":null,"decided_on":null,"reason":"<b>late</b>","placed":null,
            "created":"2026-01-01T10:00:00.000000Z","updated":"2026-01-01T10:00:00.000000Z","deleted":null}}"#,
            if waiting { "1" } else { "null" }
        );
        serde_json::from_str(&text).expect("a registration")
    }

    fn page(context: &Context) -> Shown {
        let event: Event = serde_json::from_str(EVENT).expect("an event");
        let pool = event.pools[0].pk;
        Shown {
            picture: Picture { event, owner: "BOSS".to_owned(), waiting: Vec::new(), now: context.now },
            pending: BTreeMap::from([(Some(pool), 1)]),
            seated: People { items: vec![registration(5, false)], ..People::default() },
            waiting: People { items: vec![registration(6, true)], ..People::default() },
            records: Records::default(),
            asked: Asked::default(),
            explained: None,
            person: String::new(),
        }
    }

    #[test]
    fn an_event_is_drawn_with_its_people_and_its_forms() {
        let context = Context::for_tests();
        let drawn = page(&context).markup(&[], &context).into_string();
        for part in [
            "&lt;script&gt;alert(1)&lt;/script&gt; (camp, published)",
            "2 of 3, for member; 1 waits",
            "; 1 pending",
            "has a place in &quot;members&quot;, approval pending",
            "waits as number 1, approval pending",
            "&lt;b&gt;late&lt;/b&gt;",
            "/base/events/01010101-0101-0101-0101-010101010101/register",
            "value=\"approve\"",
        ] {
            assert!(drawn.contains(part), "{part}: {drawn}");
        }
        assert!(!drawn.contains("<script") && !drawn.contains("style="), "{drawn}");
        let context = Context { is_read_only: true, ..context };
        let drawn = page(&context).markup(&[], &context).into_string();
        assert!(!drawn.contains("method=\"post\"") && !drawn.contains("checkbox"), "{drawn}");
    }

    #[test]
    fn an_explanation_has_the_sentences_of_the_command_line() {
        let context = Context::for_tests();
        let explanation =
            r#"{"outcome":"event_past","pool":null,"waiting_position":null,"pools":[],"because":["it is <over>"]}"#;
        let explanation = serde_json::from_str(explanation).expect("an explanation");
        let page = Shown { explained: Some(Ok(explanation)), ..page(&context) };
        let drawn = page.explanation(&context).into_string();
        for part in ["They would be refused (event_past).", "/base/errors/event_past", "it is &lt;over&gt;"] {
            assert!(drawn.contains(part), "{part}: {drawn}");
        }
    }
}
