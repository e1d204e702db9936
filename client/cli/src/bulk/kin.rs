//! Which rows of a file speak of the same people: the person of the row, and whoever its key is linked to now. Of two such
//! rows one may make room for the other, or be in its way; all others have nothing to do with each other, because a key
//! stands in a file once. So a trial that has those rows in one call, in the order of the file, finds what the file itself
//! would find, however many pieces it has.
//!
//! It takes 16 bytes a row while it is known who they speak of, twice that for a moment, and a trial holds the rows of
//! such a group until it has all of them.

use std::collections::VecDeque;

use enroll_client::protocol::{Code, Page, PageLimit, Pk, person, program};
use enroll_client::{Client, Error, Reply};

use super::Bulk;
use super::rows::{Row, Rows};
use crate::failure::Failure;

/// Rows that are looked up at the same time.
const WINDOW: usize = 100;

/// The rows of a file that can be read, in its order.
pub(super) struct Kin {
    /// By whom they speak of; 0 is nobody.
    rows: Vec<[u64; 2]>,
    /// Those of whom more than one row speaks, in order.
    shared: Vec<u64>,
    /// Of each of these another of the same group, until it is itself.
    parents: Vec<u32>,
    /// How many rows a group has, by the last of these.
    sizes: Vec<u32>,
}

/// A row that is looked up.
type Asked = (Reply<program::Enrollments>, Option<Reply<person::Get>>);

impl Kin {
    /// Looks up whom the rows speak of. Tells after each how many there were, and bytes.
    pub(super) async fn of<B: Bulk>(
        client: &Client,
        operation: &B,
        mut rows: Rows,
        mut tell: impl FnMut(usize, u64),
    ) -> Result<Self, Failure> {
        let (mut found, mut open) = (Vec::new(), VecDeque::new());
        while let Some(Row { unit, .. }) = rows.next::<B::Unit>()? {
            let Ok(unit) = unit else { continue };
            if open.len() == WINDOW {
                take(&mut open, &mut found).await?;
            }
            open.push_back(ask(client, operation, &unit));
            tell(found.len() + open.len(), rows.bytes());
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
        let mut kin = Self { rows, parents: (0..).take(shared.len()).collect(), sizes: vec![0; shared.len()], shared };
        if kin.shared.is_empty() {
            kin.rows = Vec::new();
        }
        for row in 0..kin.rows.len() {
            if let [Some(one), Some(other)] = kin.rows[row].map(|name| kin.last(name)) {
                kin.parents[one] = kin.parents[other];
            }
        }
        for row in 0..kin.rows.len() {
            if let Some(group) = kin.group(row) {
                kin.sizes[group] += 1;
            }
        }
        kin
    }

    /// The group of a row, and how many rows it has; `None` of a row that has nothing to do with others.
    pub(super) fn of_row(&mut self, row: usize) -> Option<(usize, u32)> {
        self.group(row).map(|group| (group, self.sizes[group]))
    }

    fn group(&mut self, row: usize) -> Option<usize> {
        let [one, other] = *self.rows.get(row)?;
        self.last(one).or_else(|| self.last(other))
    }

    /// The last of the group of somebody of whom more than one row speaks.
    fn last(&mut self, name: u64) -> Option<usize> {
        let mut at = self.shared.binary_search(&name).ok()?;
        while self.parents[at] as usize != at {
            self.parents[at] = self.parents[self.parents[at] as usize];
            at = self.parents[at] as usize;
        }
        Some(at)
    }
}

fn ask<B: Bulk>(client: &Client, operation: &B, unit: &B::Unit) -> Asked {
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

/// Whoever is not there is nobody's kin: the row fails by itself.
async fn take(open: &mut VecDeque<Asked>, found: &mut Vec<[u64; 2]>) -> Result<(), Failure> {
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

/// The random half of a pk. Where two were the same, rows would be tried together that need not.
fn short(pk: Pk) -> u64 {
    pk.as_bytes().last_chunk().map_or(0, |half| u64::from_be_bytes(*half))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_speak_of_the_same_people_are_one_group() {
        let rows = vec![[1, 0], [2, 3], [3, 4], [5, 5], [9, 0], [4, 0], [0, 0], [8, 9], [1, 0]];
        let mut kin = Kin::of_rows(rows);
        let mut of = |row| kin.of_row(row);
        let (ones, moved, nine) = (of(0), of(1), of(4));
        assert_eq!([ones, moved, nine].map(|group| group.map(|(_, size)| size)), [Some(2), Some(3), Some(2)]);
        assert_eq!([2, 5, 3, 6, 7, 8, 9].map(&mut of), [moved, moved, None, None, nine, ones, None]);
        assert_ne!(ones, nine);
    }
}
