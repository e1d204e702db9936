//! Seating: who gets which place at an event, and who gets the next one.
//!
//! - `choose` is the one decision. Whoever registers, whoever waits, whoever is approved again and
//!   whoever asks why all get theirs from it.
//! - `Seats` is an event while it is being changed: it moves registrations between places and keeps the indexes and
//!   the head in step with them.
//! - `Seats::settle` fills places that came free, in the same way whatever freed them, and lets
//!   openings and merges take effect in their order. It goes on where it left off.

pub(super) mod choose;
mod fill;
mod seats;
mod waiting_position;

pub(crate) use seats::go_on_since;
pub(super) use seats::{Attribution, STEP_MAX, Seats, admitted, exclusivity, head, index_keys};
pub use seats::{first_due, next_due, settle_next};
pub(super) use waiting_position::position;
