//! Today: what waits for whom, what is wrong, and what happens now. Each part is shown by itself, so that a grant that
//! allows one of them is enough for that one.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use enroll_client::protocol::changes::Change;
use enroll_client::protocol::finding::{Finding, Severity};
use enroll_client::protocol::registration::{self, ApprovalState, Registration};
use enroll_client::protocol::server::{self, Waiting};
use enroll_client::protocol::{PageLimit, Pk, Reference, person};
use enroll_client::{Client, Error};
use enrollctl::output::findings;
use maud::{Markup, html};

use super::feed;
use crate::address;
use crate::console::Console;
use crate::context::Context;
use crate::records::Records;
use crate::refusal::{self, Told};
use crate::shown::shown;
use crate::visit::{Answer, Visit};
use crate::when;

/// Changes that the page begins with.
const CHANGES: usize = 20;

/// Registrations that are shown; the pages of events and of supervisors have all.
const REGISTRATIONS: u64 = 10;

/// Its route. The base path itself is its address.
pub(crate) fn routes() -> Router<Arc<Console>> {
    Router::new().route("/", get(show))
}

/// A registration that waits for an approval.
#[derive(Debug)]
struct Undecided {
    registration: Registration,
    /// The decider: the person's supervisor.
    supervisor: Option<Pk>,
}

/// The parts of the page. A part that the daemon refused is its refusal.
#[derive(Debug)]
struct Today {
    waiting: Result<Waiting, Told>,
    findings: Result<Vec<Finding>, Told>,
    registrations: Result<Vec<Undecided>, Told>,
    changes: Result<(Vec<Change>, u64), Told>,
    records: Records,
}

async fn show(visit: Visit) -> Answer {
    let client = visit.client();
    let status = client.call(server::Status {}).await;
    // Without a daemon there is nothing at all.
    let status = match status {
        Err(error @ Error::Unavailable(_)) => return Err(visit.failed(error)),
        other => other.map_err(|error| Told::of(&error)),
    };
    let registrations = undecided(client).await.map_err(|error| Told::of(&error));
    let changes = feed::latest(client, CHANGES).await.map_err(|error| Told::of(&error));
    let mut pks = changes.as_ref().map(|(changes, _)| feed::records_of(changes)).unwrap_or_default();
    for Undecided { registration, supervisor } in registrations.iter().flatten() {
        pks.extend([registration.person, registration.event].into_iter().chain(*supervisor));
    }
    let today = Today {
        waiting: status.as_ref().map(|status| status.waiting).map_err(Told::clone),
        findings: status.map(|status| status.warnings),
        registrations,
        changes,
        records: Records::look_up(client, pks).await,
    };
    Ok(visit.page("Today", "Today", today.markup(&visit)))
}

/// The first registrations that wait for an approval, with those who decide.
async fn undecided(client: &Client) -> Result<Vec<Undecided>, Error> {
    let limit = PageLimit::new(REGISTRATIONS).unwrap_or_default();
    let approval = Some(ApprovalState::Pending);
    let page = client.call(registration::List { approval, limit, ..registration::List::default() }).await?;
    let people = page.items.into_iter().map(|registration| {
        let person = client.call(person::Get { person: Reference::by_pk(registration.person), allow_deleted: true });
        (registration, person)
    });
    let people: Vec<_> = people.collect();
    let mut undecided = Vec::new();
    for (registration, person) in people {
        // A person who can not be seen has a supervisor who can not be seen.
        let supervisor = person.await.ok().and_then(|person| person.supervisor);
        undecided.push(Undecided { registration, supervisor });
    }
    Ok(undecided)
}

impl Today {
    fn markup(&self, context: &Context) -> Markup {
        html! {
            h1 { "Today" }
            section data-fresh aria-labelledby="waiting" {
                h2 id="waiting" { "Waiting for a decision" }
                (self.waiting(context))
            }
            section data-fresh aria-labelledby="wrong" {
                h2 id="wrong" { "What is wrong" }
                (or_refusal(&self.findings, context, |found| findings_markup(found)))
            }
            section aria-labelledby="now" {
                h2 id="now" { "What happens now" }
                (or_refusal(&self.changes, context, |(changes, head)| live(changes, *head, &self.records, context)))
            }
        }
    }

    fn waiting(&self, context: &Context) -> Markup {
        let enrollments = |waiting: &Waiting| match (waiting.enrollments, waiting.oldest) {
            (0, _) => html! { p { "No enrollment waits." } },
            (count, oldest) => html! {
                p {
                    a href=(context.at("/enrollments")) {
                        (count) @if waiting.more { " or more" } @if count == 1 { " enrollment waits" } @else { " enrollments wait" }
                    }
                    @if let Some(oldest) = oldest { ", the oldest since " (when::ago(oldest, context.now)) }
                }
            },
        };
        html! {
            (or_refusal(&self.waiting, context, enrollments))
            (or_refusal(&self.registrations, context, |list| self.registrations(list, context)))
        }
    }

    fn registrations(&self, list: &[Undecided], context: &Context) -> Markup {
        if list.is_empty() {
            return html! { p { "No registration waits for an approval." } };
        }
        html! {
            table .stack {
                caption {
                    "Registrations that wait for an approval"
                    @if list.len() as u64 >= REGISTRATIONS { ", the first " (list.len()) }
                }
                thead { tr { th scope="col" { "Person" } th scope="col" { "Event" } th scope="col" { "Waits for" } th scope="col" { "Since" } } }
                tbody {
                    @for Undecided { registration, supervisor } in list {
                        tr {
                            th scope="row" { (self.records.link(registration.person, context)) }
                            td data-label="Event" { (self.records.link(registration.event, context)) }
                            td data-label="Waits for" {
                                @match supervisor {
                                    Some(supervisor) => (self.records.link(*supervisor, context)),
                                    None => "anybody who may approve",
                                }
                            }
                            td data-label="Since" { (when::ago(registration.registered_at, context.now)) }
                        }
                    }
                }
            }
        }
    }
}

/// A part of the page, or the refusal in its place.
fn or_refusal<T>(part: &Result<T, Told>, context: &Context, draw: impl Fn(&T) -> Markup) -> Markup {
    match part {
        Ok(part) => draw(part),
        Err(told) => html! { p { (refusal::sentence(told, context)) } },
    }
}

fn findings_markup(found: &[Finding]) -> Markup {
    let class = |severity| match severity {
        Severity::Error => "badge bad",
        Severity::Warning => "badge warn",
        Severity::Notice => "badge",
    };
    html! {
        p { (findings::sum(found)) }
        @if !found.is_empty() {
            ul .findings {
                @for finding in found {
                    li {
                        p {
                            span class=(class(finding.severity)) { (findings::severity(finding.severity)) } " "
                            strong { (finding.title()) }
                            @if !finding.subject.is_empty() { " (" (shown(&finding.subject)) ")" }
                        }
                        p { (shown(&finding.message)) }
                        p { "mend: " code { (finding.mend) } }
                    }
                }
            }
        }
    }
}

/// The list that the script keeps new. Without it the link shows what is newer.
fn live(changes: &[Change], head: u64, records: &Records, context: &Context) -> Markup {
    html! {
        div .live data-head=(head) {
            p .tools {
                button type="button" data-live="pause" aria-pressed="false" hidden { "Pause" }
                button type="button" data-live="show" hidden { "Show newer" }
                a data-live="newer" href=(context.base) { "Newer" }
                a href=(context.at("/feed")) { "All changes" }
            }
            p .visually-hidden role="log" aria-live="polite" data-live="news" {}
            ol .feed { @for change in changes { (feed::entry(change, records, context)) } }
        }
        @if changes.is_empty() { p { "Nothing has happened yet." } }
        @if let Some(last) = changes.last().filter(|last| last.seq > 1) {
            p { (context.link(&address::with_query("/feed", &[("before", &last.seq.to_string())]), "Older")) }
        }
    }
}

#[cfg(test)]
mod tests {
    use enroll_client::protocol::Code;
    use enroll_client::protocol::finding::Topic;

    use super::*;

    fn told() -> Told {
        Told { code: Some(Code::PERMISSION_DENIED), message: "no".to_owned() }
    }

    #[test]
    fn what_is_allowed_is_shown_beside_what_is_not() {
        let context = Context::for_tests();
        let oldest = Some(context.now.minus_seconds(7200));
        let today = Today {
            waiting: Ok(Waiting { enrollments: 3, more: false, oldest }),
            findings: Ok(vec![Finding::told(Topic::Issuers, "<i>", "it is <so>")]),
            registrations: Err(told()),
            changes: Err(told()),
            records: Records::default(),
        };
        let drawn = today.markup(&context).into_string();
        for part in ["3 enrollments wait", "2 hours ago", "1 thing is wrong", "it is &lt;so&gt;", "&lt;i&gt;", "mend: "]
        {
            assert!(drawn.contains(part), "{part}: {drawn}");
        }
        assert_eq!(drawn.matches("/base/errors/permission_denied").count(), 2, "{drawn}");
    }
}
