//! Seating: the allocation of an event's places and its waiting list.
//!
//! - `choose` is the one decision on places: for registering, for the waiting list, for an approval after a rejection,
//!   and for an explanation.
//! - `Seats` is the unit of work on one event: it moves registrations between places and keeps the indexes and the head
//!   in step with them.
//! - `Seats::settle` fills free places, in the same way whatever freed them, and lets openings and merges take effect
//!   in their order. It works in steps and continues after the last one.

pub(super) mod choose;
mod fill;
mod order;
mod seats;
mod waiting_position;

pub use seats::go_on_since;
pub(super) use seats::{Attribution, STEP_MAX, Seats, admitted_as, exclusivity, head, index_keys, settle_after};
pub use seats::{first_due, next_due, settle_next};
pub(super) use waiting_position::{position, stretches};
