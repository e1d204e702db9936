//! Filling free places from the waiting list, in bounded steps, and letting openings and merges take effect.
//!
//! - The first person in the waiting list whom the decision would seat now takes the place.
//! - If there is no such person and the pools are not merged, a person in a full pool moves to a free place in another
//!   one, if that makes room for a person who waits. So nobody moves in vain, and no place stays free that a waiting
//!   person could take.
//! - Openings and the merge take effect in the order of their times, each settled before the next. If the clock goes
//!   back they stay in effect, until a time of the event is set anew; and none takes effect while the clock is in
//!   doubt.

use std::collections::BTreeMap;

use enroll_protocol::{Pk, Time};

use super::choose::{Outcome, Places, PoolNow};
use super::seats::Seats;
use crate::fault::Fault;
use crate::model::change::{MERGED, MOVED, OPENED, SEATED};
use crate::model::event::{Registered, Registration, Slot, Stand};
use crate::model::{key, record};
use crate::rules::event::is_over;
use crate::rules::person;
use crate::state::StoreError;

/// An opening or a merge: an event's own change at a time.
pub(super) struct Moment {
    /// The time.
    pub(super) at: Time,
    /// The pools that open.
    opens: Vec<Pk>,
    /// True if the places of all pools become one.
    merges: bool,
}

/// The first entry of an index: its order number and its person.
type First = Option<(u64, Pk)>;

impl Seats<'_> {
    /// Does the steps that are left, and those of openings and merges up to now, for at most so many registrations.
    /// Returns true if none is left.
    ///
    /// In a transaction of several writes nothing is filled before its end.
    pub(in crate::rules) fn settle(&mut self, most: usize) -> Result<bool, Fault> {
        if !self.txn.defer(self.pk) {
            return self.settle_now(most);
        }
        let mut all = usize::MAX;
        self.readmit(&mut all)
    }

    fn settle_now(&mut self, most: usize) -> Result<bool, Fault> {
        let mut budget = most;
        loop {
            if !self.readmit(&mut budget)? || !self.fill(&mut budget)? {
                return Ok(false);
            }
            match self.next_moment().filter(|moment| moment.at <= self.passed()) {
                Some(moment) => self.pass(&moment),
                None => return Ok(true),
            }
        }
    }

    /// Does all steps that are left: a change of an event comes after them.
    pub(in crate::rules) fn settle_all(&mut self) -> Result<(), Fault> {
        if !self.txn.is_deferred(self.pk) {
            while !self.settle_now(usize::MAX)? {}
        }
        self.head.at = self.head.at.max(self.passed());
        Ok(())
    }

    /// The next opening or merge.
    pub(super) fn next_moment(&self) -> Option<Moment> {
        let opens = self.event.pools.iter().filter_map(|pool| pool.opens);
        let at = opens.chain(self.event.merge_time).filter(|at| *at > self.head.at).min()?;
        let opens = self.event.pools.iter().filter(|pool| pool.opens == Some(at)).map(|pool| pool.pk).collect();
        Some(Moment { at, opens, merges: self.event.merge_time == Some(at) })
    }

    fn pass(&mut self, moment: &Moment) {
        self.head.at = moment.at;
        self.head.left.fill = true;
        for pool in &moment.opens {
            self.emit_moment(OPENED, vec![self.pk, *pool]);
        }
        if moment.merges {
            self.emit_moment(MERGED, vec![self.pk]);
        }
    }

    /// Admits registered people anew to pools whose roles changed. Returns false if the budget ended first.
    fn readmit(&mut self, budget: &mut usize) -> Result<bool, Fault> {
        while let Some((slot, from)) = self.head.left.readmit.first_key_value().map(|(slot, from)| (*slot, *from)) {
            let (_, end) = key::prefixed(key::registereds(self.pk));
            let most = (*budget).min(super::seats::STEP_MAX);
            if most == 0 {
                return Ok(false);
            }
            let entries = self.txn.as_read().range(&key::registered(self.pk, from), &end, most)?;
            *budget -= entries.len();
            for (_, value) in &entries {
                self.readmit_one(record::decode::<Registered>(value)?.person, slot)?;
            }
            match entries.last().and_then(|(key, _)| key::seq_at_end(key)) {
                Some(last) if entries.len() == most => self.head.left.readmit.insert(slot, last + 1),
                _ => self.head.left.readmit.remove(&slot),
            };
        }
        Ok(true)
    }

    fn readmit_one(&mut self, person: Pk, slot: Slot) -> Result<(), Fault> {
        let before = self.require_registration(person)?;
        let is_live = before.stand != Stand::Out && !is_over(&self.event, self.now());
        if is_live && person::is_deleted(self.txn.as_read(), person)? {
            let after = self.left(&before);
            self.replace(person, Some(&before), &after)?;
            self.emit_left(person, before.stand);
            return Ok(());
        }
        let is_admitted = before.stand != Stand::Out && self.admitted_as(person, &before)?.contains(&slot);
        if before.stand == Stand::Out || before.admitted.contains(&slot) == is_admitted {
            return Ok(());
        }
        let mut after = before.clone();
        match is_admitted {
            true => after.admitted.push(slot),
            false => after.admitted.retain(|other| *other != slot),
        }
        after.admitted.sort_unstable();
        self.replace(person, Some(&before), &after)
    }

    fn fill(&mut self, budget: &mut usize) -> Result<bool, Fault> {
        if self.head.left.fill && !is_over(&self.event, self.now()) {
            // The next order number to look at, by pool: nobody joins the waiting list while this walk lasts.
            let mut next_order = BTreeMap::new();
            loop {
                let places = self.places();
                if *budget == 0 {
                    return Ok(false);
                }
                *budget -= 1;
                if let Some((order, person)) = self.first_who_fits(&places, &next_order)? {
                    let free = places.pools.iter().filter(|pool| places.is_free(pool));
                    next_order.extend(free.map(|pool| (pool.slot, order + 1)));
                    self.seat(person)?;
                } else if places.is_merged || places.is_full || !self.rebalance(&places)? {
                    break;
                }
            }
        }
        self.head.left.fill = false;
        Ok(true)
    }

    /// The first person in the waiting list whom a free pool admits.
    fn first_who_fits(&self, places: &Places, next_order: &BTreeMap<Slot, u64>) -> Result<First, Fault> {
        let mut first: First = None;
        for pool in places.pools.iter().filter(|pool| places.is_free(pool) && pool.count.waiting > 0) {
            let from = next_order.get(&pool.slot).copied().unwrap_or(0);
            let found = self.first_of(key::waitings_for(self.pk, pool.slot), from)?;
            first = first.into_iter().chain(found).min();
        }
        Ok(first)
    }

    fn seat(&mut self, person: Pk) -> Result<(), Fault> {
        let before = self.require_registration(person)?;
        let Outcome::Seat(slot) = self.choose(&before.admitted)?.outcome else {
            return Err(StoreError::Corrupt(format!("no place suits {person}, for whom one was found")).into());
        };
        let after = Registration { stand: Stand::Seated(slot), updated: self.now(), ..before.clone() };
        self.replace(person, Some(&before), &after)?;
        self.emit_derived(SEATED, person, slot);
        Ok(())
    }

    /// Moves one person if that makes room for a person who waits. Returns true if it did.
    fn rebalance(&mut self, places: &Places) -> Result<bool, Fault> {
        let free: Vec<Slot> = places.pools.iter().filter(|pool| places.is_free(pool)).map(|pool| pool.slot).collect();
        // The mover of each full pool: the first person there whom a free pool admits.
        let mut movers = BTreeMap::new();
        let gives_place = |pool: &&PoolNow| pool.is_open && pool.has_place_after_one() && pool.count.waiting > 0;
        for pool in places.pools.iter().filter(gives_place) {
            let mut first: Option<(u64, Pk)> = None;
            for other in &free {
                let found = self.first_of(key::seateds(self.pk, pool.slot, *other), 0)?;
                first = first.into_iter().chain(found).min();
            }
            if let Some((_, mover)) = first {
                movers.insert(pool.slot, mover);
            }
        }
        // The person who waits the longest for one of these pools decides which pool it is.
        let mut waiting: First = None;
        for slot in movers.keys() {
            waiting = waiting.into_iter().chain(self.first_of(key::waitings_for(self.pk, *slot), 0)?).min();
        }
        let Some((_, waiting)) = waiting else { return Ok(false) };
        let admitted = self.require_registration(waiting)?.admitted;
        let Some((from, mover)) = movers.into_iter().find(|(slot, _)| admitted.contains(slot)) else {
            return Err(StoreError::Corrupt(format!("{waiting} waits for a pool that does not admit them")).into());
        };
        let before = self.require_registration(mover)?;
        let Some(to) = free.into_iter().find(|slot| *slot != from && before.admitted.contains(slot)) else {
            return Err(StoreError::Corrupt(format!("{mover} is in the index of pools that do not admit them")).into());
        };
        let after = Registration { stand: Stand::Seated(to), updated: self.now(), ..before.clone() };
        self.replace(mover, Some(&before), &after)?;
        self.emit_derived(MOVED, mover, to);
        self.seat(waiting)?;
        Ok(true)
    }

    fn first_of(&self, beginning: Vec<u8>, from: u64) -> Result<First, Fault> {
        let (_, end) = key::prefixed(beginning.clone());
        let from = [beginning.as_slice(), &from.to_be_bytes()].concat();
        let Some((key, value)) = self.txn.as_read().range(&from, &end, 1)?.into_iter().next() else {
            return Ok(None);
        };
        let person = record::decode::<Registered>(&value)?.person;
        Ok(key::seq_at_end(&key).map(|order| (order, person)))
    }
}
