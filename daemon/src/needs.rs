//! What a rule needs made outside, because it is slow or random by nature: a key pair with its certificate, a whole
//! registry checked.
//!
//! The rule answers [`Fault::Needs`](crate::fault::Fault::Needs), and its overlay is dropped. The session has the thing
//! made on a thread of its own and sends the write again, with the thing in its context. A rule that finds something
//! else than it needs by then asks again.

use std::sync::Arc;

use enroll_protocol::Callsign;
use enroll_protocol::server::Violation;

use crate::identity::authority::{Issued, Wanted};
use crate::model::export_schema::Importing;

/// Something to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Needed {
    /// A certificate for this name.
    Certificate(Callsign, Wanted),
    /// The check of an import that has been read.
    Judgement,
}

/// Something that was made.
#[derive(Clone)]
pub enum Made {
    /// A certificate.
    Certificate(Arc<Issued>),
    /// The check of an import.
    Judgement(Arc<Judgement>),
}

/// The check of an import.
pub struct Judgement {
    /// How far the import had come.
    pub importing: Importing,
    /// The invariants that do not hold.
    pub violations: Vec<Violation>,
}
