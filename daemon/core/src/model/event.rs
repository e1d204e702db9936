//! Events and registrations as they are stored.
//!
//! An event's pools are numbered by *slots*, ascending in the order they were made and never used again, because index
//! keys are made of them. Slot 0 is the one pool of an event without pools.
//!
//! The [`Head`] of an event counts its registrations: every change of one writes it, every decision reads it.

use std::collections::{BTreeMap, BTreeSet};

use enroll_protocol::enrollment::Decider;
use enroll_protocol::event::Approval;
use enroll_protocol::registration::ApprovalState;
use enroll_protocol::{EventKind, EventPoolName, Json, Pk, Reason, RoleName, Time, Title};
use serde::{Deserialize, Serialize};

use super::record::{Record, stored_json};

/// A pool's number in its event.
pub type Slot = u32;

/// The one pool of an event without pools.
pub const IMPLICIT: Slot = 0;

/// An event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// The title.
    pub title: Title,
    /// The kind.
    pub kind: EventKind,
    /// The owner.
    pub owner: Pk,
    /// The start.
    pub start: Time,
    /// The duration.
    pub duration_minutes: u32,
    /// The number of people who may take part, whatever the pools hold.
    pub max_participants: Option<u32>,
    /// True if nobody needs to register.
    pub leisure: bool,
    /// True if people may register.
    pub published: bool,
    /// True if it was canceled.
    pub canceled: bool,
    /// The rule for approving registrations.
    pub approval: Approval,
    /// True if it has a waiting list.
    pub waiting_list: bool,
    /// The time at which the places of all pools are merged.
    pub merge_time: Option<Time>,
    /// The time until which people may register; none for the start.
    pub registration_closes: Option<Time>,
    /// The time until which people may cancel; none for the start.
    pub unregistration_closes: Option<Time>,
    /// The attached JSON.
    #[serde(with = "stored_json")]
    pub extra: Json,
    /// The number of people who held a place when a change left fewer places than that.
    pub held: u32,
    /// Its pools, oldest first.
    pub pools: Vec<Pool>,
    /// The slot of the next pool.
    pub next_slot: Slot,
    /// The time at which the record was made.
    pub created: Time,
    /// The time of the last change.
    pub updated: Time,
}

/// A pool of an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// Primary key.
    pub pk: Pk,
    /// The slot: its number in the event.
    pub slot: Slot,
    /// The name, unique in the event.
    pub name: EventPoolName,
    /// The number of places; 0 for any number.
    pub capacity: u32,
    /// The number of people who held one when a change left fewer than that.
    pub held: u32,
    /// The time at which it opens.
    pub opens: Option<Time>,
    /// Roles; people with one of them may join.
    pub roles: BTreeSet<RoleName>,
}

/// The head of an event's registrations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// The number of people who hold a place.
    pub taken: u32,
    /// The number of people who wait for one.
    pub waiting: u32,
    /// These counts for each pool that anybody is in or waits for.
    pub pools: BTreeMap<Slot, Count>,
    /// The order number of the next registration.
    pub next_order: u64,
    /// The openings and the merge up to here have taken effect.
    pub at: Time,
    /// The work that is left before anybody else may register.
    pub left: Left,
    /// The time at which the event is due next, and of its entry in that index.
    pub due: Option<Time>,
}

/// The work that a change of an event leaves, which is done in steps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Left {
    /// Pools whose roles changed: registrations from this order number on do not know yet whether they are admitted.
    pub readmit: BTreeMap<Slot, u64>,
    /// True if there may be places for people who wait.
    pub fill: bool,
}

impl Left {
    /// True if no work is left.
    pub fn is_nothing(&self) -> bool {
        self.readmit.is_empty() && !self.fill
    }
}

/// The counts of a pool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Count {
    /// The number of people who hold a place.
    pub taken: u32,
    /// The number of people who wait for one.
    pub waiting: u32,
}

/// A registration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// Primary key.
    pub pk: Pk,
    /// Its order number: its position in the order of registration.
    pub order: u64,
    /// Its standing: it holds a place, waits for one, or neither.
    pub stand: Stand,
    /// The pools that admit the person, oldest first; whether they are open is another matter.
    pub admitted: Vec<Slot>,
    /// The time at which the person last registered.
    pub registered_at: Time,
    /// The time at which the person canceled.
    pub canceled_at: Option<Time>,
    /// The approval.
    pub approval: ApprovalState,
    /// The decider.
    pub decided_by: Option<Decider>,
    /// The time of the decision.
    pub decided_on: Option<Time>,
    /// The reason of the decision.
    pub reason: Option<Reason>,
    /// The placement by hand that its stand comes from.
    #[serde(default)]
    pub placed: Option<Placement>,
    /// The time at which the record was made.
    pub created: Time,
    /// The time of the last change.
    pub updated: Time,
}

/// A placement by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Placement {
    /// The decider.
    pub by: Decider,
    /// The time.
    pub on: Time,
    /// The reason.
    pub reason: Reason,
    /// True for a place given by hand: a rebalance does not move it, and it may lie beyond a capacity.
    pub is_fixed: bool,
    /// True if the person, who had no role for any pool, waits for all of them as if they had each role.
    pub has_each_role: bool,
}

impl Registration {
    /// True if it holds a place that was given by hand.
    pub fn is_fixed(&self) -> bool {
        self.placed.as_ref().is_some_and(|placed| placed.is_fixed)
    }

    /// True if every pool admits the person, whatever their roles.
    pub fn has_each_role(&self) -> bool {
        self.placed.as_ref().is_some_and(|placed| placed.has_each_role)
    }
}

/// The standing of a registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stand {
    /// Canceled or rejected.
    Out,
    /// In the waiting list.
    Waiting,
    /// It holds a place in this pool.
    Seated(Slot),
}

/// The person of a registration, for its indexes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registered {
    /// The person.
    pub person: Pk,
}

/// The number of waiting registrations in a stretch of order numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waiting {
    /// The number.
    pub count: u32,
}

/// The number of the change that what is left of an event follows from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cause {
    /// The number.
    pub seq: u64,
}

/// A value of a moderated list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Constant {
    /// The value as it was set; its key has the folded form.
    pub value: enroll_protocol::ConstantValue,
    /// The label that people see.
    pub label: Option<enroll_protocol::ConstantLabel>,
}

impl Record for Event {}
impl Record for Head {}
impl Record for Registered {}
impl Record for Waiting {}
impl Record for Cause {}
impl Record for Constant {}
