//! The page of one enrollment: what is known of it, and the decision on it, by its approve code or without.

use axum::extract::Path;
use enroll_client::Error;
use enroll_client::protocol::enrollment::{Approve, Decider, Enrollment, Get, Reject, Reopen, State};
use enroll_client::protocol::{ApproveCode, Code, Reason, Reference};
use maud::{Markup, html};

use super::{approved, records_of};
use crate::address;
use crate::context::Context;
use crate::extra;
use crate::form::{Field, Problem, Sent};
use crate::outcome::Outcome;
use crate::records::Records;
use crate::refusal::Told;
use crate::shown::shown;
use crate::visit::{Answer, Trouble, Visit};
use crate::when;

pub(super) async fn show(visit: Visit, Path(pk): Path<String>) -> Answer {
    let main = page_of(&visit, &pk, &[], "", "").await?;
    Ok(visit.page("Enrollments", &main.0, main.1))
}

/// The name and the page of one enrollment, with the inputs of its forms so far.
async fn page_of(
    visit: &Visit,
    pk: &str,
    problems: &[Problem],
    code: &str,
    reason: &str,
) -> Result<(String, Markup), Trouble> {
    let enrollment = found(visit, pk).await?;
    let records = Records::look_up(visit.client(), records_of(&enrollment)).await;
    let page = One { enrollment: &enrollment, records: &records, problems, code, reason };
    Ok((enrollment.callsign.to_string(), page.markup(visit)))
}

async fn found(visit: &Visit, pk: &str) -> Result<Enrollment, Trouble> {
    let enrollment = pk.parse().map_err(|err: enroll_protocol::Invalid| visit.refused(&Told::invalid(err.0)))?;
    visit.client().call(Get { enrollment }).await.map_err(|error| visit.failed(error))
}

pub(super) async fn approve(Path(pk): Path<String>, sent: Sent) -> Answer {
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

pub(super) async fn reject(Path(pk): Path<String>, sent: Sent) -> Answer {
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

pub(super) async fn reopen(Path(pk): Path<String>, sent: Sent) -> Answer {
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
    let (name, main) = page_of(&visit, pk, &problems, sent.text("approvecode"), sent.text("reason")).await?;
    Ok(visit.page_with("Enrollments", &name, main, &problems))
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
