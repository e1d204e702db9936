//! The references with an explicit kind: a primary key or a natural name.

use enroll_protocol::{Invalid, Pk, Reference};

/// Refers to the record of this primary key.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pk = "01994f3a-7c1e-7d55-a1b2-3c4d5e6f7a8b".parse()?;
/// assert_eq!(enroll_client::by_pk(pk).to_string(), "01994f3a-7c1e-7d55-a1b2-3c4d5e6f7a8b");
/// # Ok(())
/// # }
/// ```
pub fn by_pk(pk: Pk) -> Reference {
    Reference::by_pk(pk)
}

/// Refers to the person or the enrollment of this callsign, never to the record of a primary key. Refuses an empty text
/// and one of more than 255 bytes.
///
/// ```
/// assert!(enroll_client::by_callsign("DOGGO01a").is_ok());
/// assert!(enroll_client::by_callsign("").is_err());
/// ```
pub fn by_callsign(callsign: impl Into<String>) -> Result<Reference, Invalid> {
    Reference::by_callsign(callsign)
}

/// Refers to the pool of this invite code, never to one of a primary key. Refuses an empty text and one of more than
/// 255 bytes.
///
/// ```
/// assert!(enroll_client::by_code("K7QW-M2XA").is_ok());
/// assert!(enroll_client::by_code("x".repeat(256)).is_err());
/// ```
pub fn by_code(invitecode: impl Into<String>) -> Result<Reference, Invalid> {
    Reference::by_code(invitecode)
}
