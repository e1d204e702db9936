//! The supervisor's page: the registrations that wait for the decision of a person, of their own people and of those
//! whose supervisor they represent.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::Query;
use axum::routing::get;
use enroll_client::protocol::person::{Get, Person};
use enroll_client::protocol::registration::Registration;
use enroll_client::protocol::supervisor::Pending;
use enroll_client::protocol::{Cursor, Invalid, PageLimit, Pk, Reference};
use maud::{Markup, html};
use serde::Deserialize;

use super::events::decision;
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

/// Registrations of one page.
const ROWS: u64 = 50;

/// Its routes.
pub(crate) fn routes() -> Router<Arc<Console>> {
    Router::new().route("/supervisor", get(show))
}

/// The decider, as they stand in the address.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Asked {
    person: String,
    after: String,
}

/// The registrations that wait for somebody's decision.
#[derive(Debug, Default)]
struct Desk {
    /// The decider as named; empty as long as nobody is.
    person: String,
    /// The cursor of this page.
    after: String,
    decider: Option<Pk>,
    waiting: Vec<Waiting>,
    next: Option<Cursor>,
    records: Records,
    problems: Vec<Problem>,
}

/// A registration, and the supervisor of its person.
#[derive(Debug)]
struct Waiting {
    registration: Registration,
    supervisor: Option<Pk>,
}

async fn show(visit: Visit, Query(asked): Query<Asked>) -> Answer {
    let person = match asked.person.trim() {
        "" => visit.actor.clone().unwrap_or_default(),
        person => person.to_owned(),
    };
    let mut desk = Desk { person: person.clone(), after: asked.after, ..Desk::default() };
    if !person.is_empty() {
        let read = match person.parse() {
            Ok(reference) => desk.read(&visit, reference).await.map_err(|error| Told::of(&error)),
            Err(Invalid(why)) => Err(Told::invalid(why)),
        };
        if let Err(told) = read {
            desk.problems.push(Problem { field: "person", told });
            return Ok(visit.page_with("Supervisor", "Supervisor", desk.markup(&visit), &desk.problems));
        }
    }
    Ok(visit.page("Supervisor", "Supervisor", desk.markup(&visit)))
}

impl Desk {
    async fn read(&mut self, visit: &Visit, supervisor: Reference) -> Result<(), enroll_client::Error> {
        let client = visit.client();
        let decider = client.call(Get { person: supervisor, allow_deleted: false }).await?;
        let limit = PageLimit::new(ROWS).unwrap_or_default();
        let supervisor = Reference::by_pk(decider.pk);
        let page = client.call(Pending { supervisor, after: self.after.parse().ok(), limit }).await?;
        let asked: Vec<_> = page.items.iter().map(|one| client.call(Get::new(one.person.into()))).collect();
        let mut supervisors = BTreeMap::new();
        for reply in asked {
            if let Ok(Person { pk, supervisor, .. }) = reply.await {
                supervisors.insert(pk, supervisor);
            }
        }
        let with_supervisor = |registration: Registration| {
            let supervisor = supervisors.get(&registration.person).copied().flatten();
            Waiting { registration, supervisor }
        };
        self.waiting = page.items.into_iter().map(with_supervisor).collect();
        let named = self
            .waiting
            .iter()
            .flat_map(|one| [one.registration.person, one.registration.event].into_iter().chain(one.supervisor));
        self.records = Records::look_up(client, named).await;
        (self.decider, self.next) = (Some(decider.pk), page.next);
        Ok(())
    }

    fn markup(&self, context: &Context) -> Markup {
        let has_boxes = !context.is_read_only && !self.waiting.is_empty();
        let at = |after: &str| address::with_query("/supervisor", &[("person", &self.person), ("after", after)]);
        let first = (!self.after.is_empty()).then(|| at(""));
        let next = self.next.as_ref().map(|next| at(&next.to_string()));
        let lists = html! {
            (self.list("Of their own people", true, has_boxes, context))
            (self.list("Of people whose supervisor they represent", false, has_boxes, context))
            @if has_boxes { (decision::buttons(false, context)) }
        };
        html! {
            h1 { "Supervisor" }
            form method="get" action=(context.at("/supervisor")) .filter role="search" aria-label="Decider" {
                (Field { name: "person", label: "Who decides", value: &self.person, ..Field::default() }
                    .markup(&self.problems, context))
                button { "Show" }
            }
            @if self.decider.is_none() {
                @if self.problems.is_empty() { p { "Name the person whose decisions are to be shown." } }
            } @else if has_boxes {
                (context.form(decision::ADDRESS, lists))
            } @else {
                (lists)
            }
            (paging::links("", first.as_deref(), next.as_deref(), context))
        }
    }

    /// Those whose supervisor is the decider, or the others.
    fn list(&self, heading: &str, theirs: bool, has_boxes: bool, context: &Context) -> Markup {
        let is_here = |one: &&Waiting| (one.supervisor == self.decider) == theirs;
        let waiting: Vec<&Waiting> = self.waiting.iter().filter(is_here).collect();
        html! {
            h2 { (heading) }
            @if waiting.is_empty() { p .faint { "nothing waits" } } @else {
                table .stack {
                    caption { "In order of registration" }
                    thead {
                        tr {
                            @if has_boxes { th .box scope="col" { "Decide" } }
                            th scope="col" { "Person" }
                            th scope="col" { "Event" }
                            th scope="col" { "Now" }
                            th scope="col" { "Registered" }
                            @if !theirs { th scope="col" { "Supervisor" } }
                        }
                    }
                    tbody {
                        @for one in waiting {
                            tr {
                                @if has_boxes {
                                    td .box { (decision::box_of(&one.registration, &self.name(one.registration.person))) }
                                }
                                th scope="row" { (self.records.link(one.registration.person, context)) }
                                td data-label="Event" { (self.records.link(one.registration.event, context)) }
                                td data-label="Now" { (shown(&decision::standing(&one.registration, |_| None))) }
                                td data-label="Registered" { (when::ago(one.registration.registered_at, context.now)) }
                                @if !theirs {
                                    td data-label="Supervisor" {
                                        @if let Some(pk) = one.supervisor { (self.records.link(pk, context)) }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    fn name(&self, person: Pk) -> Markup {
        shown(&self.records.get(person).map_or_else(|| person.short(), |named| named.name.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(digit: u8, supervisor: Pk) -> Waiting {
        let text = format!(
            r#"{{"pk":"0{digit}020101-0101-0101-0101-010101010101","event":"01010101-0101-0101-0101-010101010101",
            "person":"0{digit}030101-0101-0101-0101-010101010101","pool":null,"waiting":false,"waiting_pools":[],
            "waiting_position":null,"registered_at":"2026-02-01T10:00:00.000000Z","canceled":false,"canceled_at":null,
            "approval":"pending","decided_by":null,"decided_on":null,"reason":null,"placed":null,
            "created":"2026-01-01T10:00:00.000000Z","updated":"2026-01-01T10:00:00.000000Z","deleted":null}}"#
        );
        Waiting { registration: serde_json::from_str(&text).expect("a registration"), supervisor: Some(supervisor) }
    }

    #[test]
    fn their_own_people_stand_apart_from_those_whom_they_represent() {
        let pk = |digit: u8| Pk::parse(&format!("0{digit}010101-0101-0101-0101-010101010101")).expect("a pk");
        let context = Context::for_tests();
        let desk = Desk {
            person: "BOSS\"".to_owned(),
            decider: Some(pk(1)),
            waiting: vec![waiting(5, pk(1)), waiting(6, pk(2))],
            ..Desk::default()
        };
        let drawn = desk.markup(&context).into_string();
        let (own, others) = drawn.split_once("whose supervisor they represent").expect("both");
        assert!(own.contains("05020101") && !own.contains("06020101") && others.contains("06020101"), "{drawn}");
        assert!(own.contains("value=\"BOSS&quot;\"") && others.contains("value=\"approve\""), "{drawn}");
        let drawn = desk.markup(&Context { is_read_only: true, ..context }).into_string();
        assert!(!drawn.contains("checkbox"), "{drawn}");
        assert!(Desk::default().markup(&Context::for_tests()).into_string().contains("Name the person"));
    }
}
