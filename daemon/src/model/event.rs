//! Events and registrations as they are stored.
//!
//! An event's pools are numbered by *slots*, ascending in the order they were made and never used again, because index
//! keys are made of them. Slot 0 is the one pool of an event without pools.
//!
//! The [`Head`] of an event counts its registrations. Whoever changes one writes it, whoever decides reads it.

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
    /// What it is called.
    pub title: Title,
    /// What kind it is.
    pub kind: EventKind,
    /// Whose it is.
    pub owner: Pk,
    /// When it begins.
    pub start: Time,
    /// How long it lasts.
    pub duration_minutes: u32,
    /// How many may take part, whatever the pools hold.
    pub max_participants: Option<u32>,
    /// Whether nobody needs to register.
    pub leisure: bool,
    /// Whether people may register.
    pub published: bool,
    /// Whether it was called off.
    pub canceled: bool,
    /// Who approves of registrations.
    pub approval: Approval,
    /// Whether people may wait.
    pub waiting_list: bool,
    /// From when on the pools' places are one.
    pub merge_time: Option<Time>,
    /// Until when people may register, if not until it begins.
    pub registration_closes: Option<Time>,
    /// Until when people may cancel, if not until it begins.
    pub unregistration_closes: Option<Time>,
    /// Whatever the caller attached.
    #[serde(with = "stored_json")]
    pub extra: Json,
    /// How many held a place when a change left fewer than that.
    pub held: u32,
    /// Its pools, oldest first.
    pub pools: Vec<Pool>,
    /// The slot of the next pool.
    pub next_slot: Slot,
    /// When the record was made.
    pub created: Time,
    /// When it was last changed.
    pub updated: Time,
}

/// A pool of an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// Primary key.
    pub pk: Pk,
    /// Its number in the event.
    pub slot: Slot,
    /// Unique in the event.
    pub name: EventPoolName,
    /// How many places it has; 0 for any number.
    pub capacity: u32,
    /// How many held one when a change left fewer than that.
    pub held: u32,
    /// When it opens.
    pub opens: Option<Time>,
    /// Whoever has one of these may join.
    pub roles: BTreeSet<RoleName>,
}

/// The head of an event's registrations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// How many hold a place.
    pub taken: u32,
    /// How many wait for one.
    pub waiting: u32,
    /// The same for each pool that anybody is in or waits for.
    pub pools: BTreeMap<Slot, Count>,
    /// The order number of the next registration.
    pub next_order: u64,
    /// The openings and the merge up to here have taken effect.
    pub at: Time,
    /// What is left to be done before anybody else may register.
    pub left: Left,
    /// When the event is due next; its place in that index.
    pub due: Option<Time>,
}

/// What a change of an event has left to be done, in steps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Left {
    /// Pools whose roles changed: registrations from this order number on do not know yet whether they are admitted.
    pub readmit: BTreeMap<Slot, u64>,
    /// Whether there may be places for people who wait.
    pub fill: bool,
}

impl Left {
    /// Whether nothing is.
    pub fn is_nothing(&self) -> bool {
        self.readmit.is_empty() && !self.fill
    }
}

/// How many are in a pool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Count {
    /// How many hold a place.
    pub taken: u32,
    /// How many wait for one.
    pub waiting: u32,
}

/// A registration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// Primary key.
    pub pk: Pk,
    /// Its place in the order of registration.
    pub order: u64,
    /// Whether it holds a place, waits for one, or neither.
    pub stand: Stand,
    /// The pools that admit the person, oldest first; whether they are open is another matter.
    pub admitted: Vec<Slot>,
    /// When the person last registered.
    pub registered_at: Time,
    /// When the person canceled.
    pub canceled_at: Option<Time>,
    /// Whether it was approved of.
    pub approval: ApprovalState,
    /// Who decided.
    pub decided_by: Option<Decider>,
    /// When it was decided.
    pub decided_on: Option<Time>,
    /// Why.
    pub reason: Option<Reason>,
    /// When the record was made.
    pub created: Time,
    /// When it was last changed.
    pub updated: Time,
}

/// Where a registration stands.
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

/// Whose registration is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registered {
    /// The person.
    pub person: Pk,
}

/// How many wait in a stretch of the order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waiting {
    /// How many.
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
    /// As it was set; it lies under its folded form.
    pub value: enroll_protocol::ConstantValue,
    /// How people call it.
    pub label: Option<enroll_protocol::ConstantLabel>,
}

impl Record for Event {}
impl Record for Head {}
impl Record for Registration {}
impl Record for Registered {}
impl Record for Waiting {}
impl Record for Cause {}
impl Record for Constant {}
