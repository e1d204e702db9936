//! People: the search by the beginning of a callsign, as one types where there is a script and by a button where there
//! is none.

mod certificate;
mod person;

use std::sync::Arc;

use axum::Router;
use axum::extract::Query;
use axum::response::IntoResponse as _;
use axum::routing::{get, post};
use enroll_client::protocol::person::{List, Person};
use enroll_client::protocol::{Cursor, Invalid, NamePrefix, PageLimit, RoleName};
use maud::{Markup, html};
use serde::Deserialize;

use crate::address;
use crate::console::Console;
use crate::context::Context;
use crate::form::{Field, Problem};
use crate::paging;
use crate::refusal::{self, Told};
use crate::shown::shown;
use crate::visit::{Answer, Visit};
use crate::when;

/// People of one page.
const ROWS: u64 = 25;

/// Its routes.
pub(crate) fn routes() -> Router<Arc<Console>> {
    Router::new()
        .route("/people", get(list))
        .route("/fragments/people", get(fragment))
        .route("/people/{person}", get(person::show))
        .route("/people/{person}/roles", post(person::change_role))
        .route("/people/{person}/certificate", post(certificate::download))
        .route("/people/{person}/pfx", post(certificate::pfx))
        .route("/people/{person}/renew", post(certificate::renew))
        .route("/people/{person}/revoke", post(certificate::revoke))
}

/// The filter, as it stands in the address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Filter {
    prefix: String,
    role: String,
    /// `too` for deleted ones too.
    deleted: String,
    after: String,
}

/// A page of people.
#[derive(Debug, Default)]
struct People {
    filter: Filter,
    items: Vec<Person>,
    next: Option<Cursor>,
    problems: Vec<Problem>,
}

impl Filter {
    /// The request for the list; the problems of what can not be read.
    fn request(&self) -> Result<List, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut keep = |field, err: Invalid| problems.push(Problem { field, told: Told::invalid(err.0) });
        let mut list = List { limit: PageLimit::new(ROWS).unwrap_or_default(), ..List::default() };
        list.include_deleted = self.deleted == "too";
        if !self.prefix.trim().is_empty() {
            list.prefix = self.prefix.trim().parse::<NamePrefix>().map_err(|err| keep("prefix", err)).ok();
        }
        if !self.role.trim().is_empty() {
            list.role = self.role.trim().parse::<RoleName>().map_err(|err| keep("role", err)).ok();
        }
        if !self.after.is_empty() {
            list.after = self.after.parse::<Cursor>().map_err(|err| keep("prefix", err)).ok();
        }
        if problems.is_empty() { Ok(list) } else { Err(problems) }
    }

    fn address(&self, after: &str) -> String {
        let filter =
            [("prefix", self.prefix.as_str()), ("role", &self.role), ("deleted", &self.deleted), ("after", after)];
        address::with_query("/people", &filter)
    }
}

async fn list(visit: Visit, Query(filter): Query<Filter>) -> Answer {
    let mut page = People { filter, ..People::default() };
    match page.filter.request() {
        Ok(list) => {
            let found = visit.client().call(list).await.map_err(|error| visit.failed(error))?;
            (page.items, page.next) = (found.items, found.next);
            Ok(visit.page("People", "People", page.markup(&visit)))
        }
        Err(problems) => {
            page.problems = problems;
            Ok(visit.page_with("People", "People", page.markup(&visit), &page.problems))
        }
    }
}

/// The people found, alone: the script puts it into the page as one types.
async fn fragment(visit: Visit, Query(filter): Query<Filter>) -> Answer {
    let mut page = People { filter, ..People::default() };
    let asked = page.filter.request().map_err(|mut problems| problems.remove(0).told);
    let found = match asked {
        Ok(list) => visit.client().call(list).await.map_err(|error| Told::of(&error)),
        Err(told) => Err(told),
    };
    Ok(match found {
        Ok(found) => {
            (page.items, page.next) = (found.items, found.next);
            page.found(&visit).into_response()
        }
        Err(told) => html! { p { (refusal::sentence(&told, &visit)) } }.into_response(),
    })
}

impl People {
    fn markup(&self, context: &Context) -> Markup {
        let filter = &self.filter;
        html! {
            h1 { "People" }
            form method="get" action=(context.at("/people")) .filter role="search"
                data-search=(context.at("/fragments/people")) data-found="found" {
                (Field { name: "prefix", label: "Callsign begins with", value: &filter.prefix, ..Field::default() }
                    .markup(&self.problems, context))
                (Field { name: "role", label: "Role", value: &filter.role, ..Field::default() }
                    .markup(&self.problems, context))
                label .choice {
                    input type="checkbox" name="deleted" value="too" checked[filter.deleted == "too"];
                    "deleted ones too"
                }
                button { "Search" }
            }
            div #found { (self.found(context)) }
        }
    }

    /// The people found.
    fn found(&self, context: &Context) -> Markup {
        let first = (!self.filter.after.is_empty()).then(|| self.filter.address(""));
        let next = self.next.as_ref().map(|next| self.filter.address(&next.to_string()));
        let count = self.items.len();
        let summary = match (count, self.next.is_some()) {
            (1.., _) if first.is_some() => format!("{count} more"),
            (0, _) => "Nobody passes this filter.".to_owned(),
            (1, false) => "1 person".to_owned(),
            (_, false) => format!("{count} people"),
            (_, true) => format!("the first {count} people"),
        };
        html! {
            p role="status" { (summary) }
            @if count > 0 {
                table .stack {
                    caption { @if self.filter.prefix.is_empty() { "Oldest first" } @else { "By callsign" } }
                    thead {
                        tr {
                            th scope="col" { "Callsign" }
                            th scope="col" { "Roles" }
                            th scope="col" { "Certificate" }
                            th scope="col" { "Since" }
                        }
                    }
                    tbody { @for person in &self.items { (row(person, context)) } }
                }
            }
            (paging::links("", first.as_deref(), next.as_deref(), context))
        }
    }
}

fn row(person: &Person, context: &Context) -> Markup {
    let roles = person.roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(", ");
    html! {
        tr {
            th scope="row" {
                (context.link(&address::person(person.pk), person.callsign.as_str()))
                @if person.deleted.is_some() { " " (state(person)) }
            }
            td data-label="Roles" { @if roles.is_empty() { span .faint { "none" } } @else { (shown(&roles)) } }
            td data-label="Certificate" { (if person.certificate { "yes" } else { "no" }) }
            td data-label="Since" { (when::ago(person.created, context.now)) }
        }
    }
}

/// Deleted or revoked, as a badge; nothing for a person who is neither.
fn state(person: &Person) -> Markup {
    html! {
        @match (&person.revocation, person.deleted) {
            (Some(_), Some(_)) => span .badge .bad { "revoked" },
            (_, Some(_)) => span .badge .warn { "deleted" },
            _ => {},
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A person with a role and a certificate.
    pub(super) fn person() -> Person {
        let text = r#"{"pk":"01010101-0101-0101-0101-010101010101","callsign":"<script>","extra":{"mirror":"\u202egnp"},
            "roles":["member"],"supervisor":null,"certificate":true,"revocation":null,
            "created":"2026-01-01T10:00:00.000000Z","updated":"2026-01-01T10:00:00.000000Z","deleted":null}"#;
        serde_json::from_str(text).expect("a person")
    }

    #[test]
    fn people_are_rows_and_their_names_are_escaped() {
        let mut page = People { items: vec![person()], ..People::default() };
        let drawn = page.markup(&Context::for_tests()).into_string();
        for part in ["&lt;script&gt;", "1 person", "data-search=\"/base/fragments/people\"", "member"] {
            assert!(drawn.contains(part), "{part}: {drawn}");
        }
        assert!(!drawn.contains("<script"), "{drawn}");
        page.items.clear();
        assert!(page.found(&Context::for_tests()).into_string().contains("Nobody passes this filter."));
    }

    #[test]
    fn a_wrong_filter_is_told_at_its_field() {
        let filter = Filter { prefix: "\u{7}".to_owned(), role: "UPPER".to_owned(), ..Filter::default() };
        let fields: Vec<_> = filter.request().expect_err("problems").into_iter().map(|problem| problem.field).collect();
        assert_eq!(fields, ["prefix", "role"]);
    }
}
