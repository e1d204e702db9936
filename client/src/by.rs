//! References that say how they name a record, by primary key or by natural name.

use enroll_protocol::{Invalid, Pk, Reference};

/// The record of this primary key.
pub fn by_pk(pk: Pk) -> Reference {
    Reference::by_pk(pk)
}

/// The person or the enrollment of this callsign, and never the record of a primary key. Refuses an empty text and one
/// of more than 255 bytes.
pub fn by_callsign(callsign: impl Into<String>) -> Result<Reference, Invalid> {
    Reference::by_callsign(callsign)
}

/// The pool of this invite code, and never the one of a primary key. Refuses an empty text and one of more than 255
/// bytes.
pub fn by_code(invitecode: impl Into<String>) -> Result<Reference, Invalid> {
    Reference::by_code(invitecode)
}
