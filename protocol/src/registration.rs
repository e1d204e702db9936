//! Registrations of people for events: places, waiting list and approval.

use serde::{Deserialize, Serialize};

use crate::enrollment::Decider;
use crate::value::{Cursor, EventPoolName, PageLimit, Pk, Reason, Reference, Time, or_default, words};

/// A registration: one for a person and an event, kept through canceling and registering again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// Primary key.
    pub pk: Pk,
    /// The event.
    pub event: Pk,
    /// The person registered.
    pub person: Pk,
    /// The pool that the place is in; none without a place, or in an event without pools.
    pub pool: Option<Pk>,
    /// True if the person waits for a place.
    pub waiting: bool,
    /// The pools that the person waits for.
    pub waiting_pools: Vec<Pk>,
    /// Position in the waiting list, from 1.
    pub waiting_position: Option<u32>,
    /// Time of the latest registration.
    pub registered_at: Time,
    /// True if the person canceled.
    pub canceled: bool,
    /// Time of the canceling.
    pub canceled_at: Option<Time>,
    /// The approval.
    pub approval: ApprovalState,
    /// The decider; none while it is pending.
    pub decided_by: Option<Decider>,
    /// Time of the decision.
    pub decided_on: Option<Time>,
    /// The reason of the decision, for people.
    pub reason: Option<Reason>,
    /// The placement by hand that its place or its position comes from; none without one.
    pub placed: Option<Placed>,
    /// Creation time.
    pub created: Time,
    /// Time of the last change.
    pub updated: Time,
    /// Always none: a registration is canceled, not deleted.
    pub deleted: Option<Time>,
}

/// A placement by hand: who decided it, when and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Placed {
    /// The person, or the uid of the peer without an actor.
    pub by: Decider,
    /// Time of the placement.
    pub on: Time,
    /// The reason, for people.
    pub reason: Reason,
}

/// The approval of a registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalState {
    /// The event needs no approval.
    NotRequired,
    /// Not decided yet; it holds its place.
    Pending,
    /// Approved.
    Approved,
    /// Rejected; it holds no place.
    Rejected,
}

words! {
    ApprovalState: NotRequired "not_required" Pending "pending" Approved "approved" Rejected "rejected";
}

/// The outcome that registering now would have, and the reasons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// `seat`, `wait`, or the code of the refusal.
    pub outcome: String,
    /// The pool that the place would be in.
    pub pool: Option<Pk>,
    /// The position in the waiting list that the person would have, or has.
    pub waiting_position: Option<u32>,
    /// The verdict on each pool, oldest first.
    pub pools: Vec<PoolExplanation>,
    /// The reasons, in sentences.
    pub because: Vec<String>,
}

/// The verdict on one pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolExplanation {
    /// Primary key.
    pub pk: Pk,
    /// Its name.
    pub name: EventPoolName,
    /// True if the person has a role for it.
    pub admits: bool,
    /// True if it is open.
    pub open: bool,
    /// Opening time, also of a pool that has opened; none for one that was never closed.
    pub opens: Option<Time>,
    /// Capacity in places; 0 for any number.
    pub capacity: u32,
    /// Places taken.
    pub places_taken: u32,
    /// People who hold its roles, counted role by role: fewer is more exclusive.
    pub exclusivity: u64,
    /// True for the pool that gives the place.
    pub chosen: bool,
    /// The reason of the verdict, in a sentence.
    pub because: String,
}

/// Register a person for an event
///
/// Gives them the best free place, or a position in the waiting list.
///
/// Refusals, in this order: `registration_not_required`, `event_not_published`, `event_canceled`, `event_past`,
/// `registration_closed`, `already_registered`, `no_permission`, `registration_not_open`, `no_free_slots`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(
        after_help = "Example:\n  enrollctl --as DOGGO01a registration create 01994f3a-7c1e-7d55-a1b2-3c4d5e6f7a8b DOGGO01a"
    )
)]
#[serde(deny_unknown_fields)]
pub struct Create {
    /// The event's pk
    pub event: Reference,
    /// Callsign or pk
    pub person: Reference,
}

/// Cancel a registration; its place goes to the next person who waits
///
/// Refused after the event's end of canceling (`registration_closed`). A person who only waits may leave the waiting
/// list at any time before the event is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(
        after_help = "Example:\n  enrollctl --as DOGGO01a registration cancel 01994f3a-7c1e-7d55-a1b2-3c4d5e6f7a8b DOGGO01a"
    )
)]
#[serde(deny_unknown_fields)]
pub struct Cancel {
    /// The event's pk
    pub event: Reference,
    /// Callsign or pk
    pub person: Reference,
}

/// Show a registration
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Example:\n  enrollctl registration get 01994f3a-7c1e-7d55-a1b2-3c4d5e6f7a8b DOGGO01a")
)]
#[serde(deny_unknown_fields)]
pub struct Get {
    /// The event's pk
    pub event: Reference,
    /// Callsign or pk
    pub person: Reference,
}

/// List registrations in the order they were made
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(
        after_help = "Example:\n  enrollctl registration list --event 01994f3a-7c1e-7d55-a1b2-3c4d5e6f7a8b --waiting true"
    )
)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// Only those for this event: pk
    #[cfg_attr(feature = "cli", arg(long))]
    pub event: Option<Reference>,
    /// Only those of this person: callsign or pk
    #[cfg_attr(feature = "cli", arg(long))]
    pub person: Option<Reference>,
    /// Only those that wait (in the order of the waiting list), or only those that do not
    #[cfg_attr(feature = "cli", arg(long, value_name = "BOOL"))]
    pub waiting: Option<bool>,
    /// Only those of this approval: not_required, pending, approved or rejected
    #[cfg_attr(feature = "cli", arg(long, value_name = "STATE"))]
    pub approval: Option<ApprovalState>,
    /// The `next` of the page before
    #[cfg_attr(feature = "cli", arg(long, value_name = "CURSOR"))]
    pub after: Option<Cursor>,
    /// Items per page, at most 1000
    #[cfg_attr(feature = "cli", arg(long, default_value_t))]
    #[serde(default, deserialize_with = "or_default")]
    pub limit: PageLimit,
}

/// Approve a registration, or take its rejection back
///
/// Taking a rejection back needs a free place (`no_free_slots`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(
        after_help = "Example:\n  enrollctl --as BOSS registration approve 01994f3a-7c1e-7d55-a1b2-3c4d5e6f7a8b DOGGO01a"
    )
)]
#[serde(deny_unknown_fields)]
pub struct Approve {
    /// The event's pk
    pub event: Reference,
    /// Callsign or pk
    pub person: Reference,
    /// The reason, for people
    #[cfg_attr(feature = "cli", arg(long, value_name = "TEXT"))]
    pub reason: Option<Reason>,
}

/// Reject a registration; its place goes to the next person who waits
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(
        after_help = "Example:\n  enrollctl --as BOSS registration reject 01994f3a-7c1e-7d55-a1b2-3c4d5e6f7a8b DOGGO01a \
                      --reason 'needed elsewhere'"
    )
)]
#[serde(deny_unknown_fields)]
pub struct Reject {
    /// The event's pk
    pub event: Reference,
    /// Callsign or pk
    pub person: Reference,
    /// The reason, for people
    #[cfg_attr(feature = "cli", arg(long, value_name = "TEXT"))]
    pub reason: Option<Reason>,
}

/// Place a person by hand, in a place or at a position of the waiting list
///
/// Also after the deadline, without a role, and beyond a capacity or maximum. A place by hand counts as taken and is
/// never moved by a rebalance. The place that a person had before goes to the next person who waits. Without `pool` and
/// `position` it is a place in the pool that suits the person best.
///
/// Refusals, in this order: `registration_not_required`, `event_not_published`, `event_canceled`, `event_past`,
/// `permission_denied` (a rejected registration; approve it first), `conflict` (in that place already).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(
        after_help = "Example:\n  enrollctl --as BOSS registration place 01994f3a-7c1e-7d55-a1b2-3c4d5e6f7a8b DOGGO01a \
                      --pool members --reason 'she gives the talk'"
    )
)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The event's pk
    pub event: Reference,
    /// Callsign or pk
    pub person: Reference,
    /// A place in this pool: name or pk
    #[cfg_attr(feature = "cli", arg(long))]
    pub pool: Option<Reference>,
    /// A position in the waiting list, from 1; past its end is its end
    #[cfg_attr(feature = "cli", arg(long, value_name = "NUMBER", conflicts_with = "pool"))]
    pub position: Option<u32>,
    /// The reason, for people
    #[cfg_attr(feature = "cli", arg(long, value_name = "TEXT"))]
    pub reason: Reason,
}

/// Tell the outcome that registering now would have, and the reasons
///
/// The same decision as `registration create`, and nothing is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Example:\n  enrollctl registration explain 01994f3a-7c1e-7d55-a1b2-3c4d5e6f7a8b DOGGO01a")
)]
#[serde(deny_unknown_fields)]
pub struct Explain {
    /// The event's pk
    pub event: Reference,
    /// Callsign or pk
    pub person: Reference,
}
