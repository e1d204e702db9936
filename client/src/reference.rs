//! The references with an explicit kind: a primary key or a natural name.

use enroll_protocol::{Invalid, Pk, Reference};

/// Refers to the record of this primary key.
pub fn by_pk(pk: Pk) -> Reference {
    Reference::by_pk(pk)
}

/// Refers to the person or the enrollment of this callsign, never to the record of a primary key. Refuses an empty text
/// and one of more than 255 bytes.
pub fn by_callsign(callsign: impl Into<String>) -> Result<Reference, Invalid> {
    Reference::by_callsign(callsign)
}

/// Refers to the pool of this invite code, never to one of a primary key. Refuses an empty text and one of more than
/// 255 bytes.
pub fn by_code(invitecode: impl Into<String>) -> Result<Reference, Invalid> {
    Reference::by_code(invitecode)
}
