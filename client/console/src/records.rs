//! Records by pk: what kind they are, their names, and the addresses of their pages.
//!
//! A change names its records by pk alone. They are looked up for each page, because grants and names change. One that
//! the caller may not see stays a pk.

use std::collections::{BTreeMap, BTreeSet};

use enroll_client::Client;
use enroll_client::protocol::{Pk, Reference, enrollment, event, person, pool};
use maud::{Markup, html};

use crate::address;
use crate::context::Context;

/// Records that are looked up for one page.
const LOOKUPS_MAX: usize = 500;

/// A record as pages name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    /// Its name for people.
    pub(crate) name: String,
    /// The address of its page.
    pub(crate) address: String,
}

/// Names by pk.
#[derive(Debug, Clone, Default)]
pub(crate) struct Records(BTreeMap<Pk, Named>);

impl FromIterator<(Pk, Named)> for Records {
    fn from_iter<I: IntoIterator<Item = (Pk, Named)>>(named: I) -> Self {
        Self(named.into_iter().collect())
    }
}

impl Records {
    /// Looks up these records, all of one kind at a time and at once.
    pub(crate) async fn look_up(client: &Client, pks: impl IntoIterator<Item = Pk>) -> Self {
        let mut left: BTreeSet<Pk> = pks.into_iter().take(LOOKUPS_MAX).collect();
        let mut found = BTreeMap::new();
        macro_rules! kind {
            ($request:expr, $named:expr) => {
                // Asked at once, answered in turn.
                let asked: Vec<_> = left.iter().map(|pk| (*pk, client.call($request(Reference::by_pk(*pk))))).collect();
                for (pk, reply) in asked {
                    if let Ok(record) = reply.await {
                        found.insert(pk, $named(record));
                    }
                }
                left.retain(|pk| !found.contains_key(pk));
            };
        }
        kind!(|person| person::Get { person, allow_deleted: true }, |person: person::Person| Named {
            name: person.callsign.to_string(),
            address: address::person(person.pk)
        });
        kind!(|enrollment| enrollment::Get { enrollment }, |one: enrollment::Enrollment| Named {
            // A person has the same callsign.
            name: format!("enrollment {}", one.callsign),
            address: address::enrollment(one.pk)
        });
        let asked: Vec<_> = left.iter().map(|pk| client.call(event::Get { event: (*pk).into() })).collect();
        for reply in asked {
            let Ok(event) = reply.await else { continue };
            let address = address::event(event.pk);
            let pools = event
                .pools
                .iter()
                .map(|pool| (pool.pk, Named { name: pool.name.to_string(), address: address.clone() }));
            found.extend(pools);
            found.insert(event.pk, Named { name: event.title.to_string(), address: address.clone() });
        }
        left.retain(|pk| !found.contains_key(pk));
        let asked: Vec<_> =
            left.iter().map(|pk| client.call(pool::Get { pool: (*pk).into(), allow_deleted: true })).collect();
        for reply in asked {
            if let Ok(pool) = reply.await {
                found.insert(pool.pk, Named { name: pool_name(client, &pool).await, address: address::pool(pool.pk) });
            }
        }
        Self(found)
    }

    /// The name and the address of a record, if it was found.
    pub(crate) fn get(&self, pk: Pk) -> Option<&Named> {
        self.0.get(&pk)
    }

    /// A link to the record, or its short pk.
    pub(crate) fn link(&self, pk: Pk, context: &Context) -> Markup {
        match self.get(pk) {
            Some(named) => context.link(&named.address, &named.name),
            None => html! { code { (pk.short()) } },
        }
    }
}

/// The name of a pool for people, which has none of its own: its owner and the day on which it was made.
async fn pool_name(client: &Client, pool: &pool::Pool) -> String {
    let owner = client.call(person::Get { person: pool.owner.into(), allow_deleted: true }).await;
    let owner = owner.map_or_else(|_| pool.owner.short(), |owner| owner.callsign.to_string());
    format!("pool of {owner}, {}", &pool.created.to_string()[..10])
}
