//! Invite pools: the list with their uses as bars, and the form that makes one.

mod invitation;
mod pool;

use std::sync::Arc;

use axum::Router;
use axum::extract::Query;
use axum::routing::{get, post};
use enroll_client::protocol::pool::{Create, List, Pool};
use enroll_client::protocol::{Cursor, Invalid, PageLimit, Reference, Time};
use maud::{Markup, html};
use serde::Deserialize;

use super::events;
use crate::address;
use crate::console::Console;
use crate::context::Context;
use crate::form::{Field, Problem, Sent};
use crate::outcome::Outcome;
use crate::paging;
use crate::records::Records;
use crate::refusal::Told;
use crate::shown::shown;
use crate::visit::{Answer, Trouble, Visit};
use crate::when;

/// Pools of one page.
const ROWS: u64 = 50;

/// Its routes.
pub(crate) fn routes() -> Router<Arc<Console>> {
    Router::new()
        .route("/pools", get(list))
        .route("/pools/create", post(create))
        .route("/pools/{pool}", get(pool::show))
        .route("/pools/{pool}/active", post(pool::set_active))
        .route("/pools/{pool}/rotate", post(pool::rotate))
        .route("/pools/{pool}/invitation", get(invitation::show))
}

/// The filter, as it stands in the address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Filter {
    owner: String,
    /// `too` for deleted ones too.
    deleted: String,
    after: String,
}

/// A page of pools.
#[derive(Debug, Default)]
struct Pools {
    filter: Filter,
    items: Vec<Pool>,
    next: Option<Cursor>,
    records: Records,
    problems: Vec<Problem>,
    /// The texts that were typed into the form that makes one: owner, uses, expiry.
    typed: [String; 3],
}

impl Filter {
    /// The request for the list; the problems of what can not be read.
    fn request(&self) -> Result<List, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut list = List { limit: PageLimit::new(ROWS).unwrap_or_default(), ..List::default() };
        list.include_deleted = self.deleted == "too";
        let mut keep = |err: Invalid| problems.push(Problem { field: "owner", told: Told::invalid(err.0) });
        if !self.owner.trim().is_empty() {
            list.owner = self.owner.trim().parse::<Reference>().map_err(&mut keep).ok();
        }
        if !self.after.is_empty() {
            list.after = self.after.parse::<Cursor>().map_err(&mut keep).ok();
        }
        if problems.is_empty() { Ok(list) } else { Err(problems) }
    }

    fn address(&self, after: &str) -> String {
        let filter = [("owner", self.owner.as_str()), ("deleted", &self.deleted), ("after", after)];
        address::with_query("/pools", &filter)
    }
}

async fn list(visit: Visit, Query(filter): Query<Filter>) -> Answer {
    let mut page = Pools { filter, ..Pools::default() };
    if let Err(problems) = page.filter.request() {
        page.problems = problems;
        return Ok(visit.page_with("Pools", "Pools", page.markup(&visit), &page.problems));
    }
    page.read(&visit).await?;
    Ok(visit.page("Pools", "Pools", page.markup(&visit)))
}

/// Makes a pool and leads to it.
async fn create(sent: Sent) -> Answer {
    let owner = sent.value_if_any::<Reference>("new-owner");
    let max_uses = sent.value_if_any::<u32>("max-uses").map_err(|mut problem| {
        problem.told = Told::invalid("the number of uses is a whole number, such as 40");
        problem
    });
    let expires = sent.value_if_any::<Time>("expires");
    let (owner, max_uses, expires) = match (owner, max_uses, expires) {
        (Ok(owner), Ok(max_uses), Ok(expires)) => (owner, max_uses, expires),
        (owner, max_uses, expires) => {
            let problems = [owner.err(), max_uses.err(), expires.err()].into_iter().flatten().collect();
            let typed = ["new-owner", "max-uses", "expires"].map(|name| sent.text(name).to_owned());
            let visit = sent.visit.clone().back_at("/pools");
            let mut page = Pools { problems, typed, ..Pools::default() };
            page.read(&visit).await?;
            return Ok(visit.page_with("Pools", "Pools", page.markup(&visit), &page.problems));
        }
    };
    let request = Create { owner, max_uses, expires, ..Create::default() };
    let reply = sent.visit.client().request(request).key(sent.key).send().await;
    let to = reply.as_ref().map_or_else(|_| sent.visit.here.clone(), |pool| address::pool(pool.pk));
    Ok(sent.done_at(&to, vec![Outcome::of("the pool", None, "made", reply)]))
}

impl Pools {
    async fn read(&mut self, visit: &Visit) -> Result<(), Trouble> {
        let list = self.filter.request().unwrap_or_default();
        let found = visit.client().call(list).await.map_err(|error| visit.failed(error))?;
        self.records = Records::look_up(visit.client(), found.items.iter().map(|pool| pool.owner)).await;
        (self.items, self.next) = (found.items, found.next);
        Ok(())
    }

    fn markup(&self, context: &Context) -> Markup {
        let first = (!self.filter.after.is_empty()).then(|| self.filter.address(""));
        let next = self.next.as_ref().map(|next| self.filter.address(&next.to_string()));
        html! {
            h1 { "Pools" }
            (self.filter_form(context))
            @if self.items.is_empty() {
                p { "No pool passes this filter." }
            } @else {
                table .stack {
                    caption { "Oldest first" }
                    thead {
                        tr {
                            th scope="col" { "Pool" }
                            th scope="col" { "Owner" }
                            th scope="col" { "Uses" }
                            th scope="col" { "Expires" }
                            th scope="col" { "Usable" }
                        }
                    }
                    tbody { @for pool in &self.items { (self.row(pool, context)) } }
                }
            }
            (paging::links("", first.as_deref(), next.as_deref(), context))
            (self.creation(context))
        }
    }

    fn row(&self, pool: &Pool, context: &Context) -> Markup {
        html! {
            tr {
                th scope="row" { (context.link(&address::pool(pool.pk), &code(pool))) }
                td data-label="Owner" { (self.records.link(pool.owner, context)) }
                td data-label="Uses" { (events::meter(pool.uses, pool.max_uses)) }
                td data-label="Expires" { (expires(pool, context)) }
                td data-label="Usable" { (usable(pool)) }
            }
        }
    }

    fn filter_form(&self, context: &Context) -> Markup {
        html! {
            form method="get" action=(context.at("/pools")) .filter role="search" aria-label="Filter" {
                (Field { name: "owner", label: "Owner", value: &self.filter.owner, ..Field::default() }
                    .markup(&self.problems, context))
                label .choice {
                    input type="checkbox" name="deleted" value="too" checked[self.filter.deleted == "too"];
                    "deleted ones too"
                }
                button { "Filter" }
            }
        }
    }

    fn creation(&self, context: &Context) -> Markup {
        let hint = if context.actor.is_some() { "The person of this console by default." } else { "A callsign." };
        let [owner, uses, expires] = &self.typed;
        let fields = [
            Field { name: "new-owner", label: "Owner of the new pool", hint, value: owner, is_code: false },
            Field { name: "max-uses", label: "Uses", hint: "Empty for any number.", value: uses, is_code: false },
            Field {
                name: "expires",
                label: "Expires",
                hint: "Such as 2027-01-31T18:00:00Z; empty for never.",
                value: expires,
                is_code: false,
            },
        ];
        context.form(
            "/pools/create",
            html! {
                h2 { "Make a pool" }
                @for field in fields { (field.markup(&self.problems, context)) }
                button { "Make the pool" }
            },
        )
    }
}

/// The invite code of a pool, or its short pk.
pub(super) fn code(pool: &Pool) -> String {
    pool.invitecode.as_ref().map_or_else(|| pool.pk.short(), |code| code.as_str().to_owned())
}

/// The expiry, both relative and exact, or `never`.
fn expires(pool: &Pool, context: &Context) -> Markup {
    html! {
        @match pool.expires {
            Some(at) => { (when::ago(at, context.now)) " (" (when::exact(at)) ")" },
            None => (shown(&enroll_picture::pool::expires(pool))),
        }
    }
}

/// The usability of a pool, with a mark for those who see it.
fn usable(pool: &Pool) -> Markup {
    let word = pool.usable.name();
    let class = if word == "yes" { "good" } else { "warn" };
    html! { span .(class) { (word.replace('_', " ")) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pool with 3 of 40 uses.
    pub(super) fn pool() -> Pool {
        let text = r#"{"pk":"01010101-0101-0101-0101-010101010101","owner":"02020202-0202-0202-0202-020202020202",
            "active":true,"usable":"owner_deleted","invitecode":"K7QWM2XA","extra":{"<a>":"<script>"},"max_uses":40,
            "uses":3,"expires":null,"created":"2026-01-01T10:00:00.000000Z","updated":"2026-01-01T10:00:00.000000Z",
            "deleted":null}"#;
        serde_json::from_str(text).expect("a pool")
    }

    #[test]
    fn a_pool_is_a_row_with_its_uses_as_a_bar() {
        let page = Pools { items: vec![pool()], ..Pools::default() };
        let drawn = page.markup(&Context::for_tests()).into_string();
        for part in ["K7QWM2XA", "<meter min=\"0\" max=\"40\" value=\"3\"", "3 of 40", "never", "owner deleted"] {
            assert!(drawn.contains(part), "{part}: {drawn}");
        }
    }

    #[test]
    fn what_was_typed_is_kept_beside_its_problem() {
        let problems = vec![Problem { field: "max-uses", told: Told::invalid("no <number>") }];
        let typed = ["BOSS".to_owned(), "many\"".to_owned(), String::new()];
        let page = Pools { problems, typed, ..Pools::default() };
        let drawn = page.markup(&Context::for_tests()).into_string();
        for part in ["value=\"many&quot;\"", "value=\"BOSS\"", "no &lt;number&gt;"] {
            assert!(drawn.contains(part), "{part}: {drawn}");
        }
    }
}
