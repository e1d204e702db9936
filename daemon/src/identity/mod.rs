//! Keys and what is done with them: the secret key outside the database, what is derived from it, and JWTs.
//! No sockets and no store here; what is kept goes through the rules, sealed.

pub mod jwt;
pub mod key_file;
pub mod secrets;

pub use jwt::KeyRing;
pub use secrets::Secrets;

/// A keyed hash.
pub type Hash = [u8; 32];

/// A key or a seal did not do what it is there for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct IdentityError(pub String);
