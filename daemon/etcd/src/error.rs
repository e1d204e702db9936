//! The errors of a call to etcd, by what a caller can do about them.

use std::error::Error as StdError;

use tonic::{Code, Status};

/// Signs of certificates that do not fit in the errors of TLS, and the ways out.
const HINTS: &[(&str, &str)] = &[
    ("UnknownIssuer", "etcd.ca did not sign the certificate of this member"),
    ("NotValidForName", "its certificate is for another name than that in etcd.endpoints"),
    ("Expired", "its certificate has ended"),
    ("fatal alert", WANTS_CERTIFICATE),
    ("broken pipe", WANTS_CERTIFICATE),
];

/// The way out where a member ends the connection over the certificate of its client.
const WANTS_CERTIFICATE: &str = "it may want a client certificate that its trusted CA signed: etcd.cert and etcd.key";

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No member answered in time. A write may have been done all the same.
    #[error("etcd at {endpoint} does not answer: {why}")]
    Unavailable {
        /// The member that was asked last.
        endpoint: String,
        /// The failure, in words.
        why: String,
    },
    /// The quota of its database is used up; it takes no writes until an operator has made space.
    #[error("etcd is full: {0}")]
    Full(String),
    /// A revision that was asked for is older than those that are kept.
    #[error("etcd has forgotten what was asked for: {0}")]
    Compacted(String),
    /// A lease, or what stands under one, is gone.
    #[error("the lease has ended")]
    NoLease,
    /// The user, the password or the role does not allow the call.
    #[error(
        "etcd refuses this user: {0}; it needs a user whose role may read and write everything under the prefix, and its password"
    )]
    Denied(String),
    /// Another refusal, such as a request that is too large.
    #[error("etcd refuses the request: {0}")]
    Refused(String),
    /// The answer is not what the API promises.
    #[error("etcd answered out of its protocol: {0}")]
    Protocol(&'static str),
    /// The addresses, certificates or the password can not be used.
    #[error("etcd can not be asked: {0}")]
    Configuration(String),
}

impl Error {
    /// True where the same call may succeed later, at this member or another one.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}

/// The cause of a failed call at the end of its chain of errors, and a way out where it may be a certificate.
fn cause(endpoint: &str, status: &Status) -> String {
    let mut cause: &dyn StdError = status;
    while let Some(source) = cause.source() {
        cause = source;
    }
    // A status prints its code and its metadata beside the message.
    let text = if cause.is::<Status>() { status.message().to_owned() } else { cause.to_string() };
    let is_tls = endpoint.starts_with("https:");
    match HINTS.iter().find(|(sign, _)| is_tls && text.contains(sign)) {
        Some((_, way_out)) => format!("{text}; {way_out}"),
        None => text,
    }
}

/// The error of a call that this member answered with a status.
pub(crate) fn of_status(endpoint: &str, status: &Status) -> Error {
    let message = status.message().to_owned();
    match status.code() {
        Code::ResourceExhausted if message.contains("database space exceeded") => Error::Full(message),
        Code::OutOfRange => Error::Compacted(message),
        Code::NotFound if message.contains("lease") => Error::NoLease,
        Code::PermissionDenied | Code::Unauthenticated => Error::Denied(message),
        // A wrong password, a session that is not known and a missing one come as invalid arguments.
        Code::InvalidArgument if message.contains("auth") || message.contains("user name") => Error::Denied(message),
        Code::InvalidArgument | Code::FailedPrecondition | Code::Unimplemented | Code::AlreadyExists => {
            Error::Refused(message)
        }
        // The limits of a message's size; a leader that is busy or being elected comes as unavailable.
        Code::ResourceExhausted => Error::Refused(message),
        _ => Error::Unavailable { endpoint: endpoint.to_owned(), why: cause(endpoint, status) },
    }
}
