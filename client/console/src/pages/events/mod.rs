//! Events: the list by start, and the page of each one with its picture, its people and the decisions on them.

pub(crate) mod decision;

mod drawing;
mod event;

use std::sync::Arc;

use axum::Router;
use axum::extract::Query;
use axum::routing::{get, post};
use enroll_client::protocol::event::{Event, List, TimeState};
use enroll_client::protocol::{Cursor, EventKind, Invalid, PageLimit, Reference};
use enroll_picture::event::{Picture, counted};
use maud::{Markup, html};
use serde::Deserialize;

use crate::address;
use crate::console::Console;
use crate::context::Context;
use crate::form::{Field, Problem};
use crate::paging;
use crate::records::Records;
use crate::refusal::Told;
use crate::shown::shown;
use crate::visit::{Answer, Visit};
use crate::when;

/// Events of one page.
const ROWS: u64 = 50;

/// Its routes.
pub(crate) fn routes() -> Router<Arc<Console>> {
    Router::new()
        .route("/events", get(list))
        .route("/events/{event}", get(event::show))
        .route("/events/{event}/register", post(event::register))
        .route(decision::ADDRESS, post(decision::decide))
}

/// The filter, as it stands in the address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Filter {
    /// `upcoming`, `current` or `past`; empty for all.
    time: String,
    kind: String,
    owner: String,
    after: String,
}

/// A page of events.
#[derive(Debug, Default)]
struct Events {
    filter: Filter,
    items: Vec<Event>,
    next: Option<Cursor>,
    records: Records,
    problems: Vec<Problem>,
}

impl Filter {
    /// The request for the list; the problems of what can not be read.
    fn request(&self) -> Result<List, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut keep = |field, err: Invalid| problems.push(Problem { field, told: Told::invalid(err.0) });
        let mut list = List { limit: PageLimit::new(ROWS).unwrap_or_default(), ..List::default() };
        if !self.time.is_empty() {
            list.time_state = self.time.parse::<TimeState>().map_err(|err| keep("time", err)).ok();
        }
        if !self.kind.trim().is_empty() {
            list.kind = self.kind.trim().parse::<EventKind>().map_err(|err| keep("kind", err)).ok();
        }
        if !self.owner.trim().is_empty() {
            list.owner = self.owner.trim().parse::<Reference>().map_err(|err| keep("owner", err)).ok();
        }
        if !self.after.is_empty() {
            list.after = self.after.parse::<Cursor>().map_err(|err| keep("kind", err)).ok();
        }
        if problems.is_empty() { Ok(list) } else { Err(problems) }
    }

    fn address(&self, after: &str) -> String {
        let filter = [("time", self.time.as_str()), ("kind", &self.kind), ("owner", &self.owner), ("after", after)];
        address::with_query("/events", &filter)
    }
}

async fn list(visit: Visit, Query(filter): Query<Filter>) -> Answer {
    let mut page = Events { filter, ..Events::default() };
    match page.filter.request() {
        Ok(list) => {
            let found = visit.client().call(list).await.map_err(|error| visit.failed(error))?;
            page.records = Records::look_up(visit.client(), found.items.iter().map(|event| event.owner)).await;
            (page.items, page.next) = (found.items, found.next);
            Ok(visit.page("Events", "Events", page.markup(&visit)))
        }
        Err(problems) => {
            page.problems = problems;
            Ok(visit.page_with("Events", "Events", page.markup(&visit), &page.problems))
        }
    }
}

impl Events {
    fn markup(&self, context: &Context) -> Markup {
        let first = (!self.filter.after.is_empty()).then(|| self.filter.address(""));
        let next = self.next.as_ref().map(|next| self.filter.address(&next.to_string()));
        html! {
            h1 { "Events" }
            (self.filter_form(context))
            @if self.items.is_empty() {
                p { "No event passes this filter." }
            } @else {
                table .stack {
                    caption { "By their start" }
                    thead {
                        tr {
                            th scope="col" { "Event" }
                            th scope="col" { "Kind" }
                            th scope="col" { "State" }
                            th scope="col" { "Begins" }
                            th scope="col" { "Owner" }
                            th scope="col" { "Places taken" }
                            th scope="col" { "Waiting" }
                        }
                    }
                    tbody { @for event in &self.items { (self.row(event, context)) } }
                }
            }
            (paging::links("", first.as_deref(), next.as_deref(), context))
        }
    }

    fn row(&self, event: &Event, context: &Context) -> Markup {
        let picture = Picture { event: event.clone(), owner: String::new(), waiting: Vec::new(), now: context.now };
        let of = bound(event);
        html! {
            tr {
                th scope="row" { (context.link(&address::event(event.pk), event.title.as_str())) }
                td data-label="Kind" { (shown(&event.kind)) }
                td data-label="State" { (picture.state()) }
                td data-label="Begins" { (when::exact(event.start)) }
                td data-label="Owner" { (self.records.link(event.owner, context)) }
                td data-label="Places taken" { (meter(event.places_taken, of)) }
                td data-label="Waiting" { (event.waiting_count) }
            }
        }
    }

    fn filter_form(&self, context: &Context) -> Markup {
        let filter = &self.filter;
        let times = [("", "all"), ("upcoming", "upcoming"), ("current", "going on"), ("past", "over")];
        html! {
            form method="get" action=(context.at("/events")) .filter role="search" aria-label="Filter" {
                div .field {
                    label for="time" { "Time" }
                    select id="time" name="time" {
                        @for (value, label) in times { option value=(value) selected[value == filter.time] { (label) } }
                    }
                }
                (Field { name: "kind", label: "Kind", value: &filter.kind, ..Field::default() }
                    .markup(&self.problems, context))
                (Field { name: "owner", label: "Owner", value: &filter.owner, ..Field::default() }
                    .markup(&self.problems, context))
                button { "Filter" }
            }
        }
    }
}

/// Places of an event as a whole; `None` where one pool has no bound and neither has the event.
fn bound(event: &Event) -> Option<u32> {
    let capacities = event.pools.iter().map(|pool| Some(pool.capacity).filter(|capacity| *capacity > 0));
    let sum = capacities.sum::<Option<u32>>().filter(|_| !event.pools.is_empty());
    match (sum, event.max_participants) {
        (Some(sum), Some(most)) => Some(sum.min(most)),
        (sum, most) => sum.or(most),
    }
}

/// A share as a bar with its words; the words alone where there is no bound.
pub(super) fn meter(taken: u32, of: Option<u32>) -> Markup {
    let text = counted(taken, of);
    html! {
        @if let Some(of) = of.filter(|of| *of > 0) {
            meter min="0" max=(of) value=(taken.min(of)) aria-hidden="true" {} " "
        }
        (text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_stands_in_the_address_and_a_wrong_one_is_told_at_its_field() {
        let filter = Filter { time: "past".to_owned(), owner: "A B".to_owned(), ..Filter::default() };
        assert_eq!(filter.address(""), "/events?time=past&owner=A%20B");
        let wrong = Filter { time: "never".to_owned(), kind: "\u{7}".to_owned(), ..Filter::default() };
        let fields: Vec<_> = wrong.request().expect_err("problems").into_iter().map(|problem| problem.field).collect();
        assert_eq!(fields, ["time", "kind"]);
    }

    #[test]
    fn a_bar_has_its_words() {
        let drawn = meter(3, Some(40)).into_string();
        assert!(drawn.contains("max=\"40\" value=\"3\"") && drawn.ends_with("3 of 40"), "{drawn}");
        assert_eq!(meter(3, None).into_string(), "3");
        assert_eq!(meter(0, Some(0)).into_string(), "0 of 0");
    }
}
