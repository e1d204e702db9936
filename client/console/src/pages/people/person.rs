//! The page of one person: roles, certificate, what they are in, and everything that happened to them.

use axum::extract::Path;
use enroll_client::protocol::changes::Change;
use enroll_client::protocol::course::{CourseEnrollment, Enrollments};
use enroll_client::protocol::person::{Get, Person};
use enroll_client::protocol::pool::{self, Pool};
use enroll_client::protocol::registration::{self, Registration};
use enroll_client::protocol::{Invalid, PageLimit, Reference, RoleName, role};
use enroll_client::{Client, Error};
use maud::{Markup, html};

use super::super::events::{self, decision};
use super::super::feed;
use super::super::pools;
use super::certificate::{self, Certificate};
use crate::address;
use crate::context::Context;
use crate::extra;
use crate::form::{Field, Problem, Sent};
use crate::outcome::Outcome;
use crate::records::Records;
use crate::refusal::{self, Told};
use crate::shown::shown;
use crate::visit::{Answer, Trouble, Visit};
use crate::when;

/// Records of one kind on the page.
const ROWS: u64 = 50;

/// Changes on the page.
const CHANGES: usize = 10;

/// The page of a person. A refusal stands in for what the caller may not see.
#[derive(Debug)]
struct Shown {
    person: Person,
    certificate: Certificate,
    registrations: Part<Registration>,
    courses: Part<CourseEnrollment>,
    pools: Part<Pool>,
    changes: Result<Vec<Change>, Told>,
    records: Records,
}

/// The first records of a kind, and whether there are more.
#[derive(Debug)]
struct Part<T>(Result<(Vec<T>, bool), Told>);

impl<T> Part<T> {
    fn items(&self) -> &[T] {
        self.0.as_ref().map_or(&[], |(items, _)| items)
    }

    /// The heading, then each item drawn, or why there are none.
    fn markup(&self, heading: &str, context: &Context, each: impl Fn(&T) -> Markup) -> Markup {
        html! {
            h3 { (heading) }
            @match &self.0 {
                Err(told) => p { (refusal::sentence(told, context)) },
                Ok((items, _)) if items.is_empty() => p .faint { "none" },
                Ok((items, has_more)) => {
                    ul { @for item in items { li { (each(item)) } } }
                    @if *has_more { p .hint { "and more that are not shown" } }
                },
            }
        }
    }
}

pub(super) async fn show(visit: Visit, Path(person): Path<String>) -> Answer {
    let person = found(&visit, &person).await?;
    let page = read(&visit, person).await?;
    Ok(visit.page("People", page.person.callsign.as_str(), page.markup(&[], &visit)))
}

/// The person of an address, a deleted one too.
pub(super) async fn found(visit: &Visit, person: &str) -> Result<Person, Trouble> {
    let person: Result<Reference, Invalid> = person.parse();
    let person = person.map_err(|err| visit.refused(&Told::invalid(err.0)))?;
    visit.client().call(Get { person, allow_deleted: true }).await.map_err(|error| visit.failed(error))
}

/// The page again, with a problem at its field.
pub(super) async fn again(visit: &Visit, person: &Person, problem: Problem) -> Answer {
    let visit = visit.clone().back_at(&address::person(person.pk));
    let page = read(&visit, person.clone()).await?;
    let problems = [problem];
    Ok(visit.page_with("People", person.callsign.as_str(), page.markup(&problems, &visit), &problems))
}

/// Gives or takes a role.
pub(super) async fn change_role(Path(person): Path<String>, sent: Sent) -> Answer {
    let person = found(&sent.visit, &person).await?;
    let role = match sent.value::<RoleName>("role") {
        Ok(role) => role,
        Err(problem) => return again(&sent.visit, &person, problem).await,
    };
    let (client, reference) = (sent.visit.client(), Reference::by_pk(person.pk));
    let (reply, words) = if sent.text("change") == "take" {
        let request = role::Remove { person: reference, role: role.clone() };
        let words = ["no longer has the role", "did not have the role"];
        (client.request(request).key(sent.key).send().await, words)
    } else {
        let request = role::Assign { person: reference, role: role.clone() };
        let words = ["has the role", "had the role already:"];
        (client.request(request).key(sent.key).send().await, words)
    };
    let done = format!("{} {role}", if matches!(reply, Ok(false)) { words[1] } else { words[0] });
    Ok(sent.done(vec![Outcome::of(person.callsign.as_str(), Some(address::person(person.pk)), &done, reply)]))
}

async fn read(visit: &Visit, person: Person) -> Result<Shown, Trouble> {
    let client = visit.client();
    let certificate = certificate::read(visit, &person).await;
    let parts = parts(client, &person).await.map_err(|error| visit.failed(error))?;
    let (registrations, courses, pools) = parts;
    let changes = feed::latest_of(client, person.pk, CHANGES).await.map_err(|error| Told::of(&error));
    let mut pks = changes.as_ref().map(|changes| feed::records_of(changes)).unwrap_or_default();
    pks.extend(registrations.items().iter().map(|one| one.event));
    pks.extend(person.supervisor);
    let records = Records::look_up(client, pks).await;
    Ok(Shown { person, certificate, registrations, courses, pools, changes, records })
}

/// The events, courses and pools of the person, all asked for at once.
async fn parts(
    client: &Client,
    person: &Person,
) -> Result<(Part<Registration>, Part<CourseEnrollment>, Part<Pool>), Error> {
    let limit = PageLimit::new(ROWS).unwrap_or_default();
    let reference = || Some(Reference::by_pk(person.pk));
    let registrations = client.call(registration::List { person: reference(), limit, ..Default::default() });
    let courses = client.call(Enrollments { person: reference(), limit, course: None, after: None });
    let pools = client.call(pool::List { owner: reference(), limit, ..Default::default() });
    macro_rules! part {
        ($reply:expr) => {
            match $reply.await {
                Ok(page) => Part(Ok((page.items, page.next.is_some()))),
                // A deleted person is in nothing.
                Err(Error::Refused(refusal)) => Part(Err(Told::of(&Error::Refused(refusal)))),
                Err(error) => return Err(error),
            }
        };
    }
    Ok((part!(registrations), part!(courses), part!(pools)))
}

impl Shown {
    fn markup(&self, problems: &[Problem], context: &Context) -> Markup {
        let person = &self.person;
        html! {
            h1 { (shown(&person.callsign)) " " (super::state(person)) }
            dl {
                dt { "Since" } dd { (when::ago(person.created, context.now)) " (" (when::exact(person.created)) ")" }
                @if let Some(deleted) = person.deleted { dt { "Deleted" } dd { (when::exact(deleted)) } }
                @if let Some(revocation) = &person.revocation {
                    dt { "Revoked" }
                    dd { (revocation.reason.name().replace('_', " ")) ", " (when::exact(revocation.at)) }
                }
                dt { "Supervisor" }
                dd { @match person.supervisor { Some(pk) => (self.records.link(pk, context)), None => "none" } }
                dt { "Extra" } dd { (extra::markup(&person.extra)) }
                dt { "pk" } dd { code { (person.pk) } }
            }
            (self.roles(problems, context))
            (self.certificate.markup(person, problems, context))
            h2 { "What they are in" }
            (self.registrations.markup("Events", context, |one| html! {
                (self.records.link(one.event, context)) ": " (shown(&decision::standing(one, |_| None)))
            }))
            (self.courses.markup("Courses", context, |one| html! {
                (shown(&one.course)) ": " (one.mode.name()) @if !one.active { ", no longer active" }
            }))
            (self.pools.markup("Pools of theirs", context, |pool| html! {
                (context.link(&address::pool(pool.pk), &pools::code(pool))) ": "
                (events::meter(pool.uses, pool.max_uses)) ", usable: " (pool.usable.name().replace('_', " "))
            }))
            (self.happened(context))
        }
    }

    fn roles(&self, problems: &[Problem], context: &Context) -> Markup {
        let at = format!("{}/roles", address::person(self.person.pk));
        let field = Field { name: "role", label: "Another role", hint: "Such as member.", ..Field::default() };
        html! {
            h2 { "Roles" }
            @if self.person.roles.is_empty() { p .faint { "none" } }
            @for role in &self.person.roles {
                div .row {
                    p { (shown(role)) }
                    (context.form(&at, html! {
                        input type="hidden" name="role" value=(role);
                        input type="hidden" name="change" value="take";
                        button .danger { "Take away " (shown(role)) }
                    }))
                }
            }
            @if self.person.deleted.is_none() {
                (context.form(&at, html! { (field.markup(problems, context)) button { "Give the role" } }))
            }
        }
    }

    fn happened(&self, context: &Context) -> Markup {
        html! {
            h2 { "What happened to them" }
            @match &self.changes {
                Err(told) => p { (refusal::sentence(told, context)) },
                Ok(changes) if changes.is_empty() => p .faint { "nothing among the latest changes" },
                Ok(changes) => ol .feed { @for change in changes { (feed::entry(change, &self.records, context)) } },
            }
            p { (context.link(&address::changes_of(self.person.pk), "Everything that happened to them")) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::person;
    use super::*;

    fn page() -> Shown {
        Shown {
            person: person(),
            certificate: Certificate::None,
            registrations: Part(Ok((Vec::new(), false))),
            courses: Part(Err(Told::invalid("not <seen>"))),
            pools: Part(Ok((Vec::new(), false))),
            changes: Ok(Vec::new()),
            records: Records::default(),
        }
    }

    #[test]
    fn a_person_is_drawn_with_their_text_escaped_and_its_marks_visible() {
        let context = Context::for_tests();
        let drawn = page().markup(&[], &context).into_string();
        for part in ["<h1><bdi>&lt;script&gt;</bdi>", "\\u{202e}gnp", "not &lt;seen&gt;", "Take away <bdi>member</bdi>"]
        {
            assert!(drawn.contains(part), "{part}: {drawn}");
        }
        let drawn = page().markup(&[], &Context { is_read_only: true, ..context }).into_string();
        assert!(!drawn.contains("<form"), "{drawn}");
    }

    #[test]
    fn a_problem_with_a_role_stands_at_its_field() {
        let problems = [Problem { field: "role", told: Told::invalid("a role is lower case") }];
        let drawn = page().markup(&problems, &Context::for_tests()).into_string();
        assert!(drawn.contains("id=\"role-problem\"") && drawn.contains("a role is lower case"), "{drawn}");
    }
}
