//! Enrollments: those that wait with their pool, their age and what they brought, and the decision on several of them.
//! The page of one of them is in `one`.
//!
//! Several are decided as several writes, each under a key of its own, so that one that is refused stops no other. An
//! approval can not be undone and nothing here offers it; a rejection can, by reopening.

mod one;

use std::sync::Arc;

use axum::Router;
use axum::extract::Query;
use axum::routing::{get, post};
use enroll_client::Error;
use enroll_client::protocol::enrollment::{Approve, Decider, Enrollment, Get, List, Reject, State};
use enroll_client::protocol::{Cursor, NamePrefix, PageLimit, Pk, Reason, Reference};
use maud::{Markup, html};
use serde::Deserialize;

use crate::address;
use crate::console::Console;
use crate::context::Context;
use crate::extra;
use crate::form::{Field, Problem, Sent};
use crate::outcome::Outcome;
use crate::paging;
use crate::records::Records;
use crate::refusal::Told;
use crate::shown::shown;
use crate::visit::{Answer, Visit};
use crate::when;

/// Enrollments of one page.
const ROWS: u64 = 50;

/// Its routes.
pub(crate) fn routes() -> Router<Arc<Console>> {
    Router::new()
        .route("/enrollments", get(list))
        .route("/enrollments/decide", post(decide))
        .route("/enrollments/{pk}", get(one::show))
        .route("/enrollments/{pk}/approve", post(one::approve))
        .route("/enrollments/{pk}/reject", post(one::reject))
        .route("/enrollments/{pk}/reopen", post(one::reopen))
}

/// The filter, as it stands in the address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Filter {
    /// Empty for those that wait, `all` for all.
    state: String,
    pool: String,
    prefix: String,
    after: String,
}

/// A page of enrollments.
#[derive(Debug, Default)]
struct Enrollments {
    filter: Filter,
    items: Vec<Enrollment>,
    next: Option<Cursor>,
    records: Records,
    problems: Vec<Problem>,
    /// Those that were ticked, where the page is drawn again.
    chosen: Vec<Pk>,
    /// The reason that was typed.
    reason: String,
}

impl Filter {
    /// The request for the list; the problems of what can not be read.
    fn request(&self) -> Result<List, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut keep = |field, why: String| problems.push(Problem { field, told: Told::invalid(why) });
        let mut list = List { limit: PageLimit::new(ROWS).unwrap_or_default(), ..List::default() };
        list.state = match self.state.as_str() {
            "" => Some(State::Pending),
            "all" => None,
            word => word.parse().map_err(|err: enroll_protocol::Invalid| keep("state", err.0)).ok(),
        };
        if !self.pool.trim().is_empty() {
            list.pool = self.pool.trim().parse::<Reference>().map_err(|err| keep("pool", err.0)).ok();
        }
        if !self.prefix.trim().is_empty() {
            list.prefix = self.prefix.trim().parse::<NamePrefix>().map_err(|err| keep("prefix", err.0)).ok();
        }
        if !self.after.is_empty() {
            list.after = self.after.parse::<Cursor>().map_err(|err| keep("prefix", err.0)).ok();
        }
        if problems.is_empty() { Ok(list) } else { Err(problems) }
    }

    fn address(&self, after: &str) -> String {
        let filter = [("state", self.state.as_str()), ("pool", &self.pool), ("prefix", &self.prefix), ("after", after)];
        address::with_query("/enrollments", &filter)
    }
}

async fn list(visit: Visit, Query(filter): Query<Filter>) -> Answer {
    listed(&visit, Enrollments { filter, ..Enrollments::default() }).await
}

/// The page with the enrollments that its filter lets pass, and with its problems.
async fn listed(visit: &Visit, mut page: Enrollments) -> Answer {
    match page.filter.request() {
        Ok(list) => {
            let found = visit.client().call(list).await.map_err(|error| visit.failed(error))?;
            page.records = Records::look_up(visit.client(), found.items.iter().flat_map(records_of)).await;
            (page.items, page.next) = (found.items, found.next);
        }
        Err(problems) => page.problems.extend(problems),
    }
    if page.problems.is_empty() {
        return Ok(visit.page("Enrollments", "Enrollments", page.markup(visit)));
    }
    Ok(visit.page_with("Enrollments", "Enrollments", page.markup(visit), &page.problems))
}

/// The records that an enrollment names.
fn records_of(one: &Enrollment) -> impl Iterator<Item = Pk> {
    let decider = match one.decided_by {
        Some(Decider::Person(person)) => Some(person),
        Some(Decider::Uid(_)) | None => None,
    };
    one.pool.into_iter().chain(one.person).chain(decider)
}

/// Decides several: all are asked for at once and answered one by one.
async fn decide(sent: Sent) -> Answer {
    let chosen: Vec<Pk> = sent.all("enrollment").filter_map(Pk::parse).collect();
    let reason = match sent.value_if_any::<Reason>("reason") {
        Ok(reason) if !chosen.is_empty() => reason,
        Ok(_) => {
            let told = Told::invalid("no enrollment was chosen; tick the boxes of those to decide");
            return undecided(&sent, chosen, Problem { field: "decide", told }).await;
        }
        Err(problem) => return undecided(&sent, chosen, problem).await,
    };
    let is_approval = match sent.text("decision") {
        "approve" => true,
        "reject" => false,
        _ => return Err(sent.visit.refused(&Told::invalid("the decision is to approve or to reject"))),
    };
    let client = sent.visit.client();
    let asked: Vec<_> = chosen.iter().map(|pk| (*pk, client.call(Get { enrollment: Reference::by_pk(*pk) }))).collect();
    let mut decisions = Vec::new();
    for (pk, known) in asked {
        let name = known.await.map_or_else(|_| pk.short(), |one| one.callsign.to_string());
        let (enrollment, key) = (Reference::by_pk(pk), sent.unit_key(pk));
        decisions.push(if is_approval {
            let reply = client.request(Approve::new(enrollment)).key(key).send();
            Decision::Approval(pk, name, reply)
        } else {
            let reply = client.request(Reject { enrollment, reason: reason.clone() }).key(key).send();
            Decision::Rejection(pk, name, reply)
        });
    }
    let mut outcomes = Vec::new();
    for decision in decisions {
        outcomes.push(decision.outcome().await);
    }
    Ok(sent.done(outcomes))
}

/// The list again, with a problem, what was ticked and what was typed.
async fn undecided(sent: &Sent, chosen: Vec<Pk>, problem: Problem) -> Answer {
    let here = sent.visit.here.parse().ok();
    let filter = here.and_then(|here| Query::<Filter>::try_from_uri(&here).ok()).map(|Query(filter)| filter);
    let (filter, reason) = (filter.unwrap_or_default(), sent.text("reason").to_owned());
    listed(&sent.visit, Enrollments { filter, chosen, reason, problems: vec![problem], ..Enrollments::default() }).await
}

/// A decision that was sent.
enum Decision {
    Approval(Pk, String, enroll_client::Reply<Approve>),
    Rejection(Pk, String, enroll_client::Reply<Reject>),
}

impl Decision {
    async fn outcome(self) -> Outcome {
        match self {
            Self::Approval(pk, name, reply) => approved(pk, name, reply.await),
            Self::Rejection(pk, name, reply) => {
                Outcome::of(name, Some(address::enrollment(pk)), "rejected", reply.await)
            }
        }
    }
}

/// The outcome of an approval leads to the person whom it made.
fn approved(pk: Pk, name: String, reply: Result<enroll_client::protocol::Person, Error>) -> Outcome {
    let address = reply.as_ref().map_or_else(|_| address::enrollment(pk), |person| address::person(person.pk));
    Outcome::of(name, Some(address), "approved", reply)
}

impl Enrollments {
    fn markup(&self, context: &Context) -> Markup {
        let first = (!self.filter.after.is_empty()).then(|| self.filter.address(""));
        let next = self.next.as_ref().map(|next| self.filter.address(&next.to_string()));
        let can_decide = !context.is_read_only && self.items.iter().any(|one| one.state == State::Pending);
        html! {
            h1 { "Enrollments" }
            (self.filter_form(context))
            @if self.items.is_empty() {
                p { "No enrollment passes this filter." }
            } @else if can_decide {
                (context.form("/enrollments/decide", html! {
                    (self.table(true, context))
                    (Field { name: "reason", label: "Reason of a rejection", hint: "People may read it.", value: &self.reason, ..Field::default() }
                        .markup(&self.problems, context))
                    p .tools {
                        button name="decision" value="approve" { "Approve those ticked" }
                        button .danger name="decision" value="reject" { "Reject those ticked" }
                    }
                    p .hint { "An approval can not be undone; a rejected enrollment can be reopened." }
                }))
            } @else {
                (self.table(false, context))
            }
            (paging::links("", first.as_deref(), next.as_deref(), context))
        }
    }

    fn table(&self, has_boxes: bool, context: &Context) -> Markup {
        html! {
            table .stack #decide {
                caption { "Oldest first, or by callsign where it is searched for" }
                thead {
                    tr {
                        @if has_boxes { th .box scope="col" { "Decide" } }
                        th scope="col" { "Callsign" }
                        th scope="col" { "State" }
                        th scope="col" { "Pool" }
                        th scope="col" { "Since" }
                        th scope="col" { "Brought" }
                    }
                }
                tbody { @for one in &self.items { (self.row(one, has_boxes, context)) } }
            }
        }
    }

    fn row(&self, one: &Enrollment, has_boxes: bool, context: &Context) -> Markup {
        let can_decide = one.state == State::Pending;
        html! {
            tr {
                @if has_boxes {
                    td .box {
                        @if can_decide {
                            label .choice {
                                input type="checkbox" name="enrollment" value=(one.pk) checked[self.chosen.contains(&one.pk)];
                                span .visually-hidden { "Decide on " (shown(&one.callsign)) }
                            }
                        }
                    }
                }
                th scope="row" { (context.link(&address::enrollment(one.pk), one.callsign.as_str())) }
                td data-label="State" { (one.state.name()) }
                td data-label="Pool" { @match one.pool { Some(pool) => (self.records.link(pool, context)), None => "none" } }
                td data-label="Since" { (when::ago(one.created, context.now)) }
                td data-label="Brought" { (extra::markup(&one.extra)) @if one.has_csr { p { "a signing request" } } }
            }
        }
    }

    fn filter_form(&self, context: &Context) -> Markup {
        let filter = &self.filter;
        let states = [("", "pending"), ("approved", "approved"), ("rejected", "rejected"), ("all", "all")];
        html! {
            form method="get" action=(context.at("/enrollments")) .filter role="search" aria-label="Filter" {
                div .field {
                    label for="state" { "State" }
                    select id="state" name="state" {
                        @for (value, label) in states { option value=(value) selected[value == filter.state] { (label) } }
                    }
                }
                (Field { name: "pool", label: "Pool", value: &filter.pool, ..Field::default() }
                    .markup(&self.problems, context))
                (Field { name: "prefix", label: "Callsign begins with", value: &filter.prefix, ..Field::default() }
                    .markup(&self.problems, context))
                button { "Filter" }
            }
        }
    }
}
