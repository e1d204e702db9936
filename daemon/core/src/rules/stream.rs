//! Rules that are answered with one item after another: streams and walks.
//!
//! A stream is asked again and again, over one snapshot after another. Its request is its position: each step moves it
//! behind the items that were given. Nothing else is kept between two steps, least of all a snapshot, so a stream may
//! last for ever and costs nothing while nothing happens.
//!
//! A walk is asked once and gives items until it has been through its one snapshot, which is kept as long. It has no
//! position, so it can not be continued.

use std::ops::ControlFlow;

use enroll_protocol::{Operation, StreamOperation};

use super::Call;
use crate::fault::Fault;
use crate::state::ReadTxn;

/// Items of one step at most: a step is not interrupted, and other streams and connections wait for it. So many of the
/// largest changes are a few KiB, so what a stream adds to a connection's answers stays small too.
pub(super) const STEP_ITEMS_MAX: usize = 16;

/// An operation that is answered with one item after another.
pub trait StreamOp: StreamOperation {
    /// Its position at the beginning: the request that begins there whenever it is sent.
    fn start(&self, txn: &dyn ReadTxn, call: &Call<'_>) -> Result<Self, Fault>;

    /// The next items, at most `STEP_ITEMS_MAX` of them; none where there are none yet.
    /// The permission is checked anew each time: a stream outlives the roles that allowed it.
    fn next(&self, txn: &dyn ReadTxn, call: &Call<'_>) -> Result<Vec<Self::Reply>, Fault>;

    /// The number of the last change that its reader was given, for a stream of changes.
    fn seq(&self) -> Option<u64> {
        None
    }
}

/// Takes one item after another; breaks where nobody wants more.
pub type Give<'a, T> = &'a mut dyn FnMut(T) -> ControlFlow<()>;

/// An operation that walks over one state.
pub trait WalkOp: Operation {
    /// Gives its items, with backpressure: giving waits until the receiver takes them.
    fn run(&self, txn: &dyn ReadTxn, call: &Call<'_>, give: Give<'_, Self::Reply>) -> Result<(), Fault>;
}
