//! The page of one invite pool: what `pool show` prints, and its switches.

use axum::extract::Path;
use enroll_client::protocol::enrollment::{self, Enrollment};
use enroll_client::protocol::pool::{Get, Pool, ResetCode, SetActive};
use enroll_client::protocol::{Invalid, PageLimit, Reference};
use enroll_picture::pool::{by_state, counted};
use maud::{Markup, html};

use super::super::events;
use crate::address;
use crate::context::Context;
use crate::extra;
use crate::form::Sent;
use crate::outcome::Outcome;
use crate::records::Records;
use crate::refusal::Told;
use crate::shown::shown;
use crate::visit::{Answer, Trouble, Visit};
use crate::when;

/// Enrollments that are read for the counts.
const ENROLLMENTS: u64 = 1000;

/// The page of a pool.
#[derive(Debug)]
struct Shown {
    pool: Pool,
    enrollments: Vec<Enrollment>,
    /// True if there are more enrollments than were read.
    is_cut: bool,
    records: Records,
}

pub(super) async fn show(visit: Visit, Path(pool): Path<String>) -> Answer {
    let client = visit.client();
    let pool = found(&visit, &pool).await?;
    let limit = PageLimit::new(ENROLLMENTS).unwrap_or_default();
    let list = enrollment::List { pool: Some(Reference::by_pk(pool.pk)), limit, ..enrollment::List::default() };
    let page = client.call(list).await.map_err(|error| visit.failed(error))?;
    let records = Records::look_up(client, [pool.owner]).await;
    let page = Shown { pool, enrollments: page.items, is_cut: page.next.is_some(), records };
    Ok(visit.page("Pools", "Pool", page.markup(&visit)))
}

/// The pool of an address, a deleted one too. An invite code stands in no address, so only a pk is read.
pub(super) async fn found(visit: &Visit, pool: &str) -> Result<Pool, Trouble> {
    let pk = enroll_protocol::Pk::parse(pool).ok_or_else(|| Invalid::new("a pool is named by its pk here"));
    let pool = pk.map_err(|err| visit.refused(&Told::invalid(err.0)))?;
    let get = Get { pool: Reference::by_pk(pool), allow_deleted: true };
    visit.client().call(get).await.map_err(|error| visit.failed(error))
}

/// Activates or deactivates it.
pub(super) async fn set_active(Path(pool): Path<String>, sent: Sent) -> Answer {
    let pool = found(&sent.visit, &pool).await?;
    let active = sent.text("active") == "true";
    let request = SetActive { pool: Reference::by_pk(pool.pk), active };
    let reply = sent.visit.client().request(request).key(sent.key).send().await;
    let done = if active { "active" } else { "no longer active" };
    Ok(sent.done(vec![Outcome::of("the pool", Some(address::pool(pool.pk)), done, reply)]))
}

/// Replaces its invite code.
pub(super) async fn rotate(Path(pool): Path<String>, sent: Sent) -> Answer {
    let pool = found(&sent.visit, &pool).await?;
    let request = ResetCode::new(Reference::by_pk(pool.pk));
    let reply = sent.visit.client().request(request).key(sent.key).send().await;
    let done = "has another invite code; the one before leads nowhere";
    Ok(sent.done(vec![Outcome::of("the pool", Some(address::pool(pool.pk)), done, reply)]))
}

impl Shown {
    fn markup(&self, context: &Context) -> Markup {
        let pool = &self.pool;
        let at = address::pool(pool.pk);
        html! {
            h1 { "Pool " code { (super::code(pool)) } }
            dl {
                dt { "Owner" } dd { (self.records.link(pool.owner, context)) }
                dt { "Usable" } dd { (super::usable(pool)) }
                dt { "Uses" } dd { (events::meter(pool.uses, pool.max_uses)) }
                dt { "Expires" } dd { (super::expires(pool, context)) }
                dt { "Brings" } dd { (extra::markup(&pool.extra)) }
                dt { "Made" } dd { (when::ago(pool.created, context.now)) " (" (when::exact(pool.created)) ")" }
                @if let Some(deleted) = pool.deleted { dt { "Deleted" } dd { (when::exact(deleted)) } }
                dt { "pk" } dd { code { (pool.pk) } }
                dt { "Changes" }
                dd { (context.link(&address::changes_of(pool.pk), "what happened to it")) }
            }
            h2 { "Enrollments" }
            dl {
                @for (state, callsigns) in by_state(&self.enrollments) {
                    @let list = [("state", state), ("pool", &pool.pk.to_string())];
                    dt { (context.link(&address::with_query("/enrollments", &list), state)) }
                    dd { (shown(&counted(&callsigns, self.is_cut))) }
                }
            }
            @if pool.deleted.is_none() {
                p { (context.link(&format!("{at}/invitation"), "Print an invitation")) }
                (self.switches(context))
            }
        }
    }

    fn switches(&self, context: &Context) -> Markup {
        let at = address::pool(self.pool.pk);
        let (active, label, hint) = match self.pool.active {
            true => ("false", "Deactivate", "Nobody enrolls by it until it is activated again."),
            false => ("true", "Activate", "People can enroll by it again, while uses and expiry let them."),
        };
        html! {
            (context.form(&format!("{at}/active"), html! {
                h2 { (label) }
                input type="hidden" name="active" value=(active);
                button .danger[self.pool.active] { (label) }
                p .hint { (hint) }
            }))
            (context.form(&format!("{at}/rotate"), html! {
                h2 { "Rotate the code" }
                button .danger { "Rotate the code" }
                p .hint { "The pool gets another invite code. The present one, printed or not, leads nowhere then." }
            }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::pool;
    use super::*;

    #[test]
    fn a_pool_has_its_words_and_its_switches() {
        let context = Context::for_tests();
        let page = Shown { pool: pool(), enrollments: Vec::new(), is_cut: true, records: Records::default() };
        let drawn = page.markup(&context).into_string();
        for part in ["K7QWM2XA", "3 of 40", "0 or more", "Deactivate", "/rotate\"", "&lt;script&gt;", "/invitation\""] {
            assert!(drawn.contains(part), "{part}: {drawn}");
        }
        let drawn = page.markup(&Context { is_read_only: true, ..context }).into_string();
        assert!(!drawn.contains("<form"), "{drawn}");
    }
}
