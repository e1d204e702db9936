//! The contract of enrolld: operations with their requests and replies, refusals, and the wire format of all of them.
//!
//! An operation is a number, a name, a request type and a reply type, declared once in [`mod@operations`]. Daemon,
//! client and command line all derive from that table. This crate does no I/O and knows no clock, no socket and
//! no store; everything it decodes has a bound, named in [`limits`].
//!
//! A program that asks a daemon uses the crate `enroll-client` and finds here what it asks for: a module for each area,
//! with a request type for each operation and the records that are answered.
//!
//! ```
//! use enroll_protocol::{Code, Operation, person};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let request = person::Create::new("DOGGO01a".parse()?);
//! assert_eq!(serde_json::to_value(&request)?["callsign"], "DOGGO01a");
//! assert!(person::Create::ROW.grounds().contains(&Code::CALLSIGN_RESERVED));
//! # Ok(())
//! # }
//! ```
//!
//! # In which order to read
//!
//! 1. [`mod@operations`], [`refusal`], [`grounds`], [`value`]: the table, what is refused, by which operation, and the
//!    values of all fields.
//! 2. The areas, from [`person`] to [`server`]; [`transaction`] runs several writes as one.
//! 3. [`envelope`], [`frame`], [`codec`], [`encoding`]: the wire, for somebody who writes a client.
//!
//! # Features
//!
//! - `backup`: the file format of backups.
//! - `cli`: the command line of every request, which `enrollctl` is made of.
//! - `fold`: when two names are the same, by the tables of Unicode.

pub mod grounds;
pub mod limits;
pub mod operations;
pub mod refusal;
pub mod value;

pub mod certificate;
pub mod changes;
pub mod cluster;
pub mod code;
pub mod constant;
pub mod course;
pub mod enrollment;
pub mod event;
pub mod finding;
pub mod jwt;
pub mod permission;
pub mod person;
pub mod pool;
pub mod program;
pub mod registration;
pub mod role;
pub mod server;
pub mod supervisor;
pub mod token;
pub mod transaction;

#[cfg(feature = "backup")]
pub mod backup;
pub mod codec;
#[cfg(feature = "cli")]
mod command_line;
pub mod encoding;
pub mod envelope;
pub mod export;
#[cfg(feature = "fold")]
pub mod fold;
mod forms;
pub mod frame;
pub mod raw_object;
#[cfg(feature = "cli")]
pub mod shape;

pub use envelope::{Actor, Envelope};
pub use operations::{Access, Kind, Operation, OperationRow, StreamOperation};
pub use person::Person;
pub use refusal::{Code, Refusal};
pub use value::{
    ApproveCode, Callsign, CertificateSerial, ChangeMac, ConstantLabel, ConstantValue, CourseKey, Cursor, EventKind,
    EventPoolName, ExternalKey, Invalid, InviteCode, Json, Jwt, Key, ListName, LoginCode, MemberName, NamePrefix,
    Named, NaturalName, Origin, Page, PageLimit, Password, PermissionPath, Pfx, Pk, PkPrefix, PrivateKey, Reason,
    Reference, RoleName, Time, Title, Token, is_dash, is_interpreted, is_unseen, plain_error, plain_name, without_mark,
};
