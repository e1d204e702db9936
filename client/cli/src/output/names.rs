//! The names of records that a reply refers to by pk: callsigns of people, titles of events, names of event pools.
//!
//! Looked up for tables on a terminal only. A record that the caller may not see stays a pk.

use std::collections::{BTreeMap, BTreeSet};

use enroll_client::Client;
use enroll_client::protocol::{Pk, event, person};

use super::{View, items, member, text};

/// Records that are looked up for one reply; a larger table is not for reading.
const LOOKUPS_MAX: usize = 200;

/// The columns with pks of people and events.
const COLUMNS: [&str; 6] = ["person", "owner", "supervisor", "actor", "event", "subjects"];

/// Names by pk.
#[derive(Debug, Default)]
pub(crate) struct Names(BTreeMap<String, String>);

impl FromIterator<(String, String)> for Names {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(names: I) -> Self {
        Self(names.into_iter().collect())
    }
}

impl Names {
    /// Looks up the people and events in the records of a list.
    pub(crate) async fn look_up(client: &Client, json: &str) -> Self {
        let mut names = Self::default();
        let View::Records { records, .. } = View::of(json) else { return names };
        let named = |record| COLUMNS.into_iter().flat_map(move |column| values(member(record, column)));
        let pks: BTreeSet<String> = records.iter().flat_map(named).filter(|pk| Pk::parse(pk).is_some()).collect();
        for pk in pks.into_iter().take(LOOKUPS_MAX) {
            if !names.0.contains_key(&pk) && !names.look_up_person(client, &pk).await {
                names.look_up_event(client, &pk).await;
            }
        }
        names
    }

    /// Looks up the callsign of a person; `false` if it can not be seen.
    pub(crate) async fn look_up_person(&mut self, client: &Client, pk: &str) -> bool {
        let Ok(reference) = pk.parse() else { return false };
        let found = client.call(person::Get { person: reference, allow_deleted: true }).await;
        found.map(|person| self.0.insert(pk.to_owned(), person.callsign.to_string())).is_ok()
    }

    /// Looks up the title of an event and the names of its pools.
    async fn look_up_event(&mut self, client: &Client, pk: &str) {
        let Ok(reference) = pk.parse() else { return };
        let Ok(event) = client.call(event::Get { event: reference }).await else { return };
        self.0.insert(pk.to_owned(), event.title.to_string());
        self.0.extend(event.pools.into_iter().map(|pool| (pool.pk.to_string(), pool.name.to_string())));
    }

    /// The name of this pk, or else its short form.
    pub(crate) fn of(&self, pk: &str) -> String {
        let short = || Pk::parse(pk).map_or_else(|| pk.to_owned(), |pk| pk.short());
        self.0.get(pk).cloned().unwrap_or_else(short)
    }
}

/// The texts of a value, or of each item of a list.
fn values(json: &str) -> Vec<String> {
    match items(json) {
        Some(items) => items.into_iter().map(|item| text(item.get())).collect(),
        None => vec![text(json)],
    }
}
