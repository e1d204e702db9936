//! Keys: those that are derived from the secret key, seals, JWTs, and the certificate authority. Records of keys are
//! kept by the rules, sealed.

pub mod authority;
pub mod counting_seal;
pub mod crl;
pub mod csr;
mod der;
pub mod jwt;
pub mod pem;
pub mod pfx;
pub mod record_seal;
pub mod secrets;
mod signer;
pub mod trust;

pub use authority::Authority;
pub use counting_seal::CountingSeal;
pub use jwt::KeyRing;
pub use secrets::Secrets;

/// A keyed hash.
pub type Hash = [u8; 32];

/// An error of cryptography, for the log: a key that can not be used, a seal that does not open. The text says which,
/// and never repeats the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct IdentityError(pub String);

impl From<::der::Error> for IdentityError {
    fn from(err: ::der::Error) -> Self {
        Self(format!("what should be encoded can not be: {err}"))
    }
}
