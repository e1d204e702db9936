//! Idempotency records: the first answer to a write under the caller's idempotency key; the reply of a bulk write in the
//! parts that it was done in.

use enroll_protocol::Time;
use serde::{Deserialize, Serialize};

use super::record::{Record, stored_bytes};

/// An idempotency record: the first answer to a write, kept until it expires for callers that send the write again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// A keyed hash of the request.
    #[serde(with = "stored_bytes")]
    pub request: [u8; 16],
    /// The time of the answer.
    pub at: Time,
    /// The answer, sealed, before it is finished.
    #[serde(with = "stored_bytes")]
    pub sealed: Vec<u8>,
}

/// The reply of one part of a bulk write. The idempotency record beside it says how many parts there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptPart {
    /// The reply, sealed.
    #[serde(with = "stored_bytes")]
    pub sealed: Vec<u8>,
}

impl Record for Kept {}
impl Record for KeptPart {}
