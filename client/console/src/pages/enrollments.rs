//! Enrollments: those that wait with their pool, their age and what they brought, and the decision on one or on several
//! of them.
//!
//! Several are decided as several writes, each under a key of its own, so that one that is refused stops no other. An
//! approval can not be undone and nothing here offers it; a rejection can, by reopening.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use enroll_client::protocol::enrollment::{Approve, Decider, Enrollment, Get, List, Reject, Reopen, State};
use enroll_client::protocol::{ApproveCode, Code, Cursor, NamePrefix, PageLimit, Pk, Reason, Reference};
use enroll_client::{Client, Error};
use maud::{Markup, html};
use serde::Deserialize;

use crate::address;
use crate::console::Console;
use crate::context::Context;
use crate::extra;
use crate::form::{Field, Problem, Sent};
use crate::outcome::Outcome;
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
        .route("/enrollments/{pk}", get(show))
        .route("/enrollments/{pk}/approve", post(approve))
        .route("/enrollments/{pk}/reject", post(reject))
        .route("/enrollments/{pk}/reopen", post(reopen))
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
    let mut page = Enrollments { filter, ..Enrollments::default() };
    match page.filter.request() {
        Ok(list) => {
            let found = visit.client().call(list).await.map_err(|error| visit.failed(error))?;
            page.records = Records::look_up(visit.client(), found.items.iter().flat_map(records_of)).await;
            (page.items, page.next) = (found.items, found.next);
            Ok(visit.page("Enrollments", "Enrollments", page.markup(&visit)))
        }
        Err(problems) => {
            page.problems = problems;
            Ok(visit.page_with("Enrollments", "Enrollments", page.markup(&visit), &page.problems))
        }
    }
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
    let reason = match sent.value_if_any::<Reason>("reason") {
        Ok(reason) => reason,
        Err(problem) => return Err(sent.visit.refused(&problem.told)),
    };
    let is_approval = match sent.text("decision") {
        "approve" => true,
        "reject" => false,
        _ => return Err(sent.visit.refused(&Told::invalid("the decision is to approve or to reject"))),
    };
    let chosen: Vec<Pk> = sent.all("enrollment").filter_map(Pk::parse).collect();
    if chosen.is_empty() {
        return Err(sent.visit.refused(&Told::invalid("no enrollment was chosen; tick the boxes of those to decide")));
    }
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

async fn show(visit: Visit, Path(pk): Path<String>) -> Answer {
    let main = one(&visit, &pk, &[], "", "").await?;
    Ok(visit.page("Enrollments", &main.0, main.1))
}

/// The name and the page of one enrollment, with the inputs of its forms so far.
async fn one(
    visit: &Visit,
    pk: &str,
    problems: &[Problem],
    code: &str,
    reason: &str,
) -> Result<(String, Markup), crate::visit::Trouble> {
    let enrollment = found(visit, pk).await?;
    let records = Records::look_up(visit.client(), records_of(&enrollment)).await;
    let page = One { enrollment: &enrollment, records: &records, problems, code, reason };
    Ok((enrollment.callsign.to_string(), page.markup(visit)))
}

async fn found(visit: &Visit, pk: &str) -> Result<Enrollment, crate::visit::Trouble> {
    let enrollment = pk.parse().map_err(|err: enroll_protocol::Invalid| visit.refused(&Told::invalid(err.0)))?;
    let found: Result<Enrollment, Error> = lookup(visit.client(), enrollment).await;
    found.map_err(|error| visit.failed(error))
}

async fn lookup(client: &Client, enrollment: Reference) -> Result<Enrollment, Error> {
    client.call(Get { enrollment }).await
}

async fn approve(Path(pk): Path<String>, sent: Sent) -> Answer {
    let code = match sent.value_if_any::<ApproveCode>("approvecode") {
        Ok(code) => code,
        Err(problem) => return again(sent, &pk, problem).await,
    };
    let enrollment = found(&sent.visit, &pk).await?;
    let has_code = code.is_some();
    let request = Approve { approvecode: code, ..Approve::new(Reference::by_pk(enrollment.pk)) };
    let reply = sent.visit.client().request(request).key(sent.key).send().await;
    if let Err(Error::Refused(refusal)) = &reply
        && has_code
        && [Code::CODE_MISMATCH, Code::TOO_MANY_ATTEMPTS].contains(&refusal.code)
    {
        let told = Told { code: Some(refusal.code), message: refusal.message.clone() };
        return again(sent, &pk, Problem { field: "approvecode", told }).await;
    }
    let outcome = approved(enrollment.pk, enrollment.callsign.to_string(), reply);
    Ok(sent.done(vec![outcome]))
}

async fn reject(Path(pk): Path<String>, sent: Sent) -> Answer {
    let reason = match sent.value_if_any::<Reason>("reason") {
        Ok(reason) => reason,
        Err(problem) => return again(sent, &pk, problem).await,
    };
    let enrollment = found(&sent.visit, &pk).await?;
    let request = Reject { enrollment: Reference::by_pk(enrollment.pk), reason };
    let reply = sent.visit.client().request(request).key(sent.key).send().await;
    let address = Some(address::enrollment(enrollment.pk));
    Ok(sent.done(vec![Outcome::of(enrollment.callsign.to_string(), address, "rejected", reply)]))
}

async fn reopen(Path(pk): Path<String>, sent: Sent) -> Answer {
    let enrollment = found(&sent.visit, &pk).await?;
    let request = Reopen { enrollment: Reference::by_pk(enrollment.pk) };
    let reply = sent.visit.client().request(request).key(sent.key).send().await;
    let done = "reopened, with a new approve code";
    let address = Some(address::enrollment(enrollment.pk));
    Ok(sent.done(vec![Outcome::of(enrollment.callsign.to_string(), address, done, reply)]))
}

/// The page of the enrollment again, with a problem at its field and what was typed.
async fn again(sent: Sent, pk: &str, problem: Problem) -> Answer {
    let visit = sent.visit.clone().back_at(&format!("/enrollments/{}", address::encoded(pk)));
    let problems = [problem];
    let (name, main) = one(&visit, pk, &problems, sent.text("approvecode"), sent.text("reason")).await?;
    let page: Response = visit.page_with("Enrollments", &name, main, &problems);
    Ok(page.into_response())
}

impl Enrollments {
    fn markup(&self, context: &Context) -> Markup {
        let can_decide = !context.is_read_only && self.items.iter().any(|one| one.state == State::Pending);
        html! {
            h1 { "Enrollments" }
            (self.filter_form(context))
            @if self.items.is_empty() {
                p { "No enrollment passes this filter." }
            } @else if can_decide {
                (context.form("/enrollments/decide", html! {
                    (self.table(true, context))
                    (Field { name: "reason", label: "Reason of a rejection", hint: "People may read it.", ..Field::default() }
                        .markup(&[], context))
                    p .tools {
                        button name="decision" value="approve" { "Approve those ticked" }
                        button .danger name="decision" value="reject" { "Reject those ticked" }
                    }
                    p .hint { "An approval can not be undone; a rejected enrollment can be reopened." }
                }))
            } @else {
                (self.table(false, context))
            }
            @if let Some(next) = &self.next {
                nav .pages aria-label="More" { ul { li { (context.link(&self.filter.address(&next.to_string()), "More")) } } }
            }
        }
    }

    fn table(&self, has_boxes: bool, context: &Context) -> Markup {
        html! {
            table .stack {
                caption { "Oldest first, or by callsign where it is searched for" }
                thead {
                    tr {
                        @if has_boxes { th scope="col" { "Decide" } }
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
                    td {
                        @if can_decide {
                            label .choice {
                                input type="checkbox" name="enrollment" value=(one.pk);
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

/// The page of one enrollment.
#[derive(Debug)]
struct One<'a> {
    enrollment: &'a Enrollment,
    records: &'a Records,
    problems: &'a [Problem],
    code: &'a str,
    reason: &'a str,
}

impl One<'_> {
    fn markup(&self, context: &Context) -> Markup {
        let one = self.enrollment;
        html! {
            h1 { "Enrollment " (shown(&one.callsign)) }
            dl {
                dt { "State" } dd { (one.state.name()) }
                @if let Some(decider) = one.decided_by {
                    dt { "Decided by" }
                    dd {
                        @match decider {
                            Decider::Person(person) => (self.records.link(person, context)),
                            Decider::Uid(uid) => { "uid " (uid) },
                        }
                        @if let Some(on) = one.decided_on { ", " (when::ago(on, context.now)) }
                    }
                }
                @if let Some(reason) = &one.reason { dt { "Reason" } dd { (shown(reason)) } }
                @if let Some(person) = one.person { dt { "Person" } dd { (self.records.link(person, context)) } }
                dt { "Pool" } dd { @match one.pool { Some(pool) => (self.records.link(pool, context)), None => "none" } }
                dt { "Made" } dd { (when::ago(one.created, context.now)) " (" (when::exact(one.created)) ")" }
                dt { "Brought" } dd { (extra::markup(&one.extra)) @if one.has_csr { p { "a signing request" } } }
                dt { "Changes" } dd { (context.link(&address::with_query("/feed", &[("record", &one.pk.to_string())]), "what happened to it")) }
            }
            @match one.state {
                State::Pending => (self.decisions(context)),
                State::Rejected => (self.reopening(context)),
                State::Approved => p .hint { "An approval is final." },
            }
        }
    }

    fn decisions(&self, context: &Context) -> Markup {
        let at = |verb: &str| format!("{}/{verb}", address::enrollment(self.enrollment.pk));
        let code = Field {
            name: "approvecode",
            label: "Approve code",
            hint: "What the person says it is. It is compared; without one it is not.",
            value: self.code,
            is_code: true,
        };
        let reason =
            Field { name: "reason", label: "Reason", hint: "People may read it.", value: self.reason, is_code: false };
        html! {
            (context.form(&at("approve"), html! {
                h2 { "Approve" }
                (code.markup(self.problems, context))
                button { "Approve" }
                p .hint { "It becomes a person. That can not be undone." }
            }))
            (context.form(&at("reject"), html! {
                h2 { "Reject" }
                (reason.markup(self.problems, context))
                button .danger { "Reject" }
                p .hint { "The callsign stays taken. A rejected enrollment can be reopened." }
            }))
        }
    }

    fn reopening(&self, context: &Context) -> Markup {
        context.form(
            &format!("{}/reopen", address::enrollment(self.enrollment.pk)),
            html! {
                h2 { "Reopen" }
                button { "Reopen" }
                p .hint { "It waits again, with another approve code." }
            },
        )
    }
}
