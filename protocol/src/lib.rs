//! The contract of enrolld: operations with their requests and replies, refusals, and the wire format of all of them.
//!
//! An operation is a number, a name, a request type and a reply type, declared once in [`mod@operations`]. Daemon,
//! client and command line all derive from that table. This crate does no I/O and knows no clock, no socket and
//! no store; everything it decodes has a bound, named in [`limits`].

pub mod limits;
pub mod operations;
pub mod refusal;
pub mod value;

pub mod certificate;
pub mod changes;
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
    EventPoolName, ExternalKey, Invalid, InviteCode, Json, Jwt, Key, ListName, LoginCode, NamePrefix, Named,
    NaturalName, Origin, Page, PageLimit, Password, PermissionPath, Pfx, Pk, PkPrefix, PrivateKey, Reason, Reference,
    RoleName, Time, Title, Token, is_dash, is_interpreted, is_unseen, plain_error, plain_name, without_mark,
};
