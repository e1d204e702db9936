//! Keys of the authority and its certificates.

use enroll_protocol::Pk;

use super::META;
use crate::identity::authority::Serial;

pub(super) const CERTIFICATE: u8 = 0x31;
pub(super) const CERTIFICATES: u8 = 0x32;
pub(super) const REVOKED: u8 = 0x33;
pub(super) const ENROLLMENT_REQUEST: u8 = 0x34;

/// The authority.
pub fn authority() -> Vec<u8> {
    [&[META], b"authority".as_slice()].concat()
}

/// The head of the revoked certificates.
pub fn list_head() -> Vec<u8> {
    [&[META], b"revoked".as_slice()].concat()
}

/// A person's certificate.
pub fn certificate(person: Pk, serial: &Serial) -> Vec<u8> {
    [&[CERTIFICATE], person.as_bytes().as_slice(), serial].concat()
}

/// What a person has in certificates.
pub fn certificates(person: Pk) -> Vec<u8> {
    [&[CERTIFICATES], person.as_bytes().as_slice()].concat()
}

/// A revoked certificate, in the order of the lists that they first stood in.
pub fn revoked(number: u64, serial: &Serial) -> Vec<u8> {
    [&[REVOKED], number.to_be_bytes().as_slice(), serial].concat()
}

/// The signing request that an enrollment brought.
pub fn enrollment_request(enrollment: Pk) -> Vec<u8> {
    [&[ENROLLMENT_REQUEST], enrollment.as_bytes().as_slice()].concat()
}

/// The serial number that a key ends with.
pub fn serial_at_end(key: &[u8]) -> Option<Serial> {
    key.last_chunk().copied()
}
