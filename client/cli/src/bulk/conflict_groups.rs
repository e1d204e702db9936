//! The conflict groups of a file, found by union-find: rows that name the same person, directly or by the person that
//! their key is linked to now.
//!
//! One row of a group may free or block another. Rows of different groups are independent, because a key stands in a
//! file once. So dry runs that send each group in one call, in the order of the file, find the same failures as the
//! writes, however many batches there are.
//!
//! A row takes 16 bytes, twice that while the groups are built. The sender holds the rows of a group until it is
//! complete.

use std::collections::VecDeque;

use enroll_client::protocol::{Code, Page, PageLimit, Pk, person, program};
use enroll_client::{Client, Error, Reply};

use super::rows::{Row, Rows};
use super::units::Bulk;
use crate::failure::Failure;

/// Look-ups in flight.
const WINDOW: usize = 100;

/// The groups of the readable rows of a file.
pub(super) struct ConflictGroups {
    /// The people that each row names, as halves of their pks; 0 is nobody.
    rows: Vec<[u64; 2]>,
    /// People named by more than one row, sorted.
    shared: Vec<u64>,
    /// Union-find parents of the shared people; a root is its own parent.
    parents: Vec<u32>,
    /// The number of rows of each group, at its root.
    sizes: Vec<u32>,
}

/// The look-ups of a row: the link of its key, and its person.
type LookUps = (Reply<program::Enrollments>, Option<Reply<person::Get>>);

impl ConflictGroups {
    /// Looks up the people of all rows and groups the rows. Calls `progress` with the rows and bytes read so far.
    pub(super) async fn look_up<B: Bulk>(
        client: &Client,
        operation: &B,
        mut rows: Rows,
        mut progress: impl FnMut(usize, u64),
    ) -> Result<Self, Failure> {
        let (mut found, mut open) = (Vec::new(), VecDeque::new());
        while let Some(Row { unit, .. }) = rows.next::<B::Unit>()? {
            let Ok(unit) = unit else { continue };
            if open.len() == WINDOW {
                take(&mut open, &mut found).await?;
            }
            open.push_back(ask(client, operation, &unit));
            progress(found.len() + open.len(), rows.bytes());
        }
        while !open.is_empty() {
            take(&mut open, &mut found).await?;
        }
        Ok(Self::of_rows(found))
    }

    fn of_rows(rows: Vec<[u64; 2]>) -> Self {
        let named = |[one, other]: [u64; 2]| [one, if other == one { 0 } else { other }];
        let mut all: Vec<u64> = rows.iter().flat_map(|row| named(*row)).filter(|name| *name != 0).collect();
        all.sort_unstable();
        let mut shared: Vec<u64> = all.windows(2).filter(|two| two[0] == two[1]).map(|two| two[0]).collect();
        drop(all);
        shared.dedup();
        let mut groups =
            Self { rows, parents: (0..).take(shared.len()).collect(), sizes: vec![0; shared.len()], shared };
        if groups.shared.is_empty() {
            groups.rows = Vec::new();
        }
        for row in 0..groups.rows.len() {
            if let [Some(one), Some(other)] = groups.rows[row].map(|name| groups.root(name)) {
                groups.parents[one] = groups.parents[other];
            }
        }
        for row in 0..groups.rows.len() {
            if let Some(group) = groups.group(row) {
                groups.sizes[group] += 1;
            }
        }
        groups
    }

    /// The group of a row and its number of rows; `None` for an independent row.
    pub(super) fn of_row(&mut self, row: usize) -> Option<(usize, u32)> {
        self.group(row).map(|group| (group, self.sizes[group]))
    }

    fn group(&mut self, row: usize) -> Option<usize> {
        let [one, other] = *self.rows.get(row)?;
        self.root(one).or_else(|| self.root(other))
    }

    /// The root of a shared person, with path halving; `None` for a person of one row.
    fn root(&mut self, name: u64) -> Option<usize> {
        let mut at = self.shared.binary_search(&name).ok()?;
        while self.parents[at] as usize != at {
            self.parents[at] = self.parents[self.parents[at] as usize];
            at = self.parents[at] as usize;
        }
        Some(at)
    }
}

fn ask<B: Bulk>(client: &Client, operation: &B, unit: &B::Unit) -> LookUps {
    let enrollments = program::Enrollments {
        program: operation.program(),
        external_key: Some(B::key(unit).clone()),
        person: None,
        linked: None,
        after: None,
        limit: PageLimit::default(),
    };
    let person = B::person(unit).map(|person| person::Get { person: person.clone(), allow_deleted: true });
    (client.call(enrollments), person.map(|person| client.call(person)))
}

/// Awaits the oldest look-ups. A person who does not exist is nobody: the row fails by itself.
async fn take(open: &mut VecDeque<LookUps>, found: &mut Vec<[u64; 2]>) -> Result<(), Failure> {
    let Some((linked, person)) = open.pop_front() else { return Ok(()) };
    let Page { items, .. } = linked.await?;
    let linked = items.first().and_then(|enrollment| enrollment.person);
    let person = match person {
        None => None,
        Some(person) => match person.await {
            Ok(person) => Some(person.pk),
            Err(Error::Refused(refusal)) if refusal.code == Code::NOT_FOUND => None,
            Err(err) => return Err(err.into()),
        },
    };
    found.push([person, linked].map(|pk| pk.map_or(0, short)));
    Ok(())
}

/// The random half of a pk. A collision would only join two independent groups.
fn short(pk: Pk) -> u64 {
    pk.as_bytes().last_chunk().map_or(0, |half| u64::from_be_bytes(*half))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_name_the_same_people_are_one_group() {
        let rows = vec![[1, 0], [2, 3], [3, 4], [5, 5], [9, 0], [4, 0], [0, 0], [8, 9], [1, 0]];
        let mut groups = ConflictGroups::of_rows(rows);
        let mut of = |row| groups.of_row(row);
        let (ones, moved, nine) = (of(0), of(1), of(4));
        assert_eq!([ones, moved, nine].map(|group| group.map(|(_, size)| size)), [Some(2), Some(3), Some(2)]);
        assert_eq!([2, 5, 3, 6, 7, 8, 9].map(&mut of), [moved, moved, None, None, nine, ones, None]);
        assert_ne!(ones, nine);
    }
}
