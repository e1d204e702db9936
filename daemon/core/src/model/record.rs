//! Stored records and their encoding: a version byte, then the fields. An unknown version is an error, and nothing is
//! changed.

use std::collections::{BTreeMap, BTreeSet};

use enroll_protocol::enrollment::{Decider, State};
use enroll_protocol::person::{Revocation, RevocationReason};
use enroll_protocol::{Callsign, Invalid, Json, Pk, Reason, RoleName, Time, codec};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub(super) use super::stored::{stored_bytes, stored_json};
use crate::identity::secrets::Mac;
use crate::state::{ReadTxn, StoreError, WriteTxn};

/// A type that is stored as one record.
pub trait Record: Serialize + DeserializeOwned {
    /// Raised when the shape changes; the reader of the old shape then stays beside the new one.
    const VERSION: u8 = 1;

    /// The oldest version that is written still, by records that lack what later ones tell.
    const OLDEST_WRITTEN: u8 = Self::VERSION;

    /// Reads the fields of an older version; none for a version that is unknown.
    fn decode_older(_version: u8, _bytes: &[u8]) -> Option<Result<Self, Invalid>> {
        None
    }
}

/// The registry itself: written first, read before anything else.
///
/// Every version reads it, also that of a newer schema, so its form never changes: what comes new about a registry is a
/// record of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registry {
    /// The version of all keys and records together.
    pub schema: u32,
    /// A hash of a fixed text under the secret key: proves that the right key is here.
    #[serde(with = "stored_bytes")]
    pub proof: [u8; 32],
    /// The time at which the registry was made.
    pub created: Time,
}

/// The version of enrolld that wrote last. Its form never changes, as that of [`Registry`]: an older version names by it
/// the one that can read the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LastWriter {
    /// The version, such as `0.1.0`.
    pub version: String,
}

/// A person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// The callsign as it was typed.
    pub callsign: Callsign,
    /// The JSON that the caller attached.
    #[serde(with = "stored_json")]
    pub extra: Json,
    /// The supervisor, who decides on this person's registrations, in one of the supervisor's lives.
    pub supervisor: Option<Pk>,
    /// The life of the supervisor in which they were set.
    #[serde(default)]
    pub supervisor_life: u32,
    /// The reason and the time of the person's revocation, or of that of their certificates by a deletion.
    pub revocation: Option<Revocation>,
    /// True if the person was revoked for the reason that a deletion gives, too.
    #[serde(default)]
    pub is_revoked: bool,
    /// The number of times that the person was restored. What must not come back with them names a life, so a restore
    /// writes no other record, however many there are.
    #[serde(default)]
    pub life: u32,
    /// The time of the latest restore. JWTs from before are refused.
    #[serde(default)]
    pub restored: Option<Time>,
    /// The time at which the record was made.
    pub created: Time,
    /// The time of the last change.
    pub updated: Time,
    /// The time of the deletion.
    pub deleted: Option<Time>,
    /// The time at which callsign and extra were replaced, for good.
    #[serde(default)]
    pub erased: Option<Time>,
}

impl Person {
    /// True if the person was revoked and not only deleted. Before version 2 only the reason tells.
    pub fn was_revoked(&self) -> bool {
        let is_other = |why: &Revocation| why.reason != RevocationReason::PrivilegeWithdrawn;
        self.is_revoked || self.revocation.as_ref().is_some_and(is_other)
    }
}

/// The holder of a callsign: an enrollment, a person, an enrollment and the person that it became, or, with neither, a
/// service that has certificates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallsignHolder {
    /// A person, deleted or not.
    pub person: Option<Pk>,
    /// An enrollment, decided or not.
    pub enrollment: Option<Pk>,
}

/// An invite pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// The owner.
    pub owner: Pk,
    /// True if it is active in one of the owner's lives.
    pub active: bool,
    /// The life of the owner in which it was activated.
    #[serde(default)]
    pub owner_life: u32,
    /// The code that people enroll with.
    pub invitecode: String,
    /// The JSON that every enrollment by it begins with.
    #[serde(with = "stored_json")]
    pub extra: Json,
    /// The number of people who may enroll by it.
    pub max_uses: Option<u32>,
    /// The number of people who have: the head of its enrollments.
    pub uses: u32,
    /// The time at which it expires.
    pub expires: Option<Time>,
    /// The time at which the record was made.
    pub created: Time,
    /// The time of the last change.
    pub updated: Time,
    /// The time of the deletion.
    pub deleted: Option<Time>,
}

/// An enrollment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enrollment {
    /// The callsign as it was typed.
    pub callsign: Callsign,
    /// Pending, or the decision.
    pub state: State,
    /// The approve code.
    pub approvecode: String,
    /// The pool it came by.
    pub pool: Option<Pk>,
    /// The person that it became.
    pub person: Option<Pk>,
    /// The pool's extra, with what the caller attached over it.
    #[serde(with = "stored_json")]
    pub extra: Json,
    /// The decider.
    pub decided_by: Option<Decider>,
    /// The time of the decision.
    pub decided_on: Option<Time>,
    /// The reason of a rejection.
    pub reason: Option<Reason>,
    /// The time at which the record was made.
    pub created: Time,
    /// The time of the last change.
    pub updated: Time,
}

/// A record that another record's code or order leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pointer {
    /// Its pk.
    pub pk: Pk,
}

/// A marker: the key says it all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker;

/// An expiry entry: the keys of other records that expire with the one in the entry's key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DueTogether {
    /// Their keys.
    pub others: Vec<Vec<u8>>,
}

/// The roles of one person.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PersonRoles {
    /// Their names.
    pub roles: BTreeSet<RoleName>,
}

/// A role: the head of its members, and what it carries.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// The number of members.
    pub members: u64,
    /// The permissions it was granted.
    pub permissions: BTreeSet<String>,
}

/// A member of a role; the key says it all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleMember;

/// A key that signs JWTs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SigningKey {
    /// The algorithm, as JOSE names it.
    pub algorithm: String,
    /// The private key in PKCS#8, sealed.
    #[serde(with = "stored_bytes")]
    pub sealed: Vec<u8>,
    /// The public key.
    #[serde(with = "stored_bytes")]
    pub public: Vec<u8>,
    /// The time at which it was made.
    pub created: Time,
}

/// The key that hashes are made with, where it is not the secret key itself any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HashingKey {
    /// Sealed.
    #[serde(with = "stored_bytes")]
    pub sealed: Vec<u8>,
}

/// The rate limit of one source: wrong codes in the window that began with the first of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guesses {
    /// The start of the window.
    pub since: Time,
    /// The number of wrong codes.
    pub count: u32,
    /// True if this window already has a change that reports the limit.
    pub told: bool,
}

/// The kinds of record that are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// People, deleted ones too.
    Person,
    /// Used tokens.
    Token,
    /// Login codes.
    Code,
    /// Invite pools, deleted ones too.
    Pool,
    /// Enrollments.
    Enrollment,
    /// Events.
    Event,
    /// Registrations.
    Registration,
    /// Certificates that were issued, but for those that ended and were replaced.
    Certificate,
    /// Courses.
    Course,
    /// Course enrollments, inactive ones too.
    CourseEnrollment,
    /// Program enrollments.
    ProgramEnrollment,
}

impl Kind {
    /// Every kind, and what the status calls it.
    pub const ALL: [(Self, &'static str); 11] = [
        (Self::Person, "person"),
        (Self::Pool, "pool"),
        (Self::Enrollment, "enrollment"),
        (Self::Event, "event"),
        (Self::Registration, "registration"),
        (Self::Token, "token"),
        (Self::Code, "code"),
        (Self::Certificate, "certificate"),
        (Self::Course, "course"),
        (Self::CourseEnrollment, "course_enrollment"),
        (Self::ProgramEnrollment, "program_enrollment"),
    ];
}

/// The head of the change feed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangesHead {
    /// The last number given.
    pub seq: u64,
    /// The last number whose change is no longer kept.
    pub forgotten: u64,
    /// The time that the latest write was run at, one whose refusal is kept too; the epoch before the first.
    pub at: Time,
    /// The number of records of each kind.
    pub records: BTreeMap<Kind, u64>,
    /// The state of the clock: its steps, and doubts about it.
    pub clock: ClockState,
    /// The chain of the changes' MACs.
    #[serde(default)]
    pub chain: Chain,
}

/// The chain of the changes' MACs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chain {
    /// The chain is of the changes after this number: those up to it are no longer kept, or were made before there was a
    /// chain, or in another registry.
    pub from: u64,
    /// The MAC of the change with that number.
    #[serde(with = "stored_bytes")]
    pub from_mac: Mac,
    /// The MAC of the latest change.
    #[serde(with = "stored_bytes")]
    pub mac: Mac,
}

impl Chain {
    /// The chain of the changes after this number, none of which is there yet.
    pub fn after(seq: u64) -> Self {
        Self { from: seq, ..Self::default() }
    }

    /// The changes up to this number are no longer kept; the last of them had this MAC.
    pub fn forget(&mut self, seq: u64, mac: Mac) {
        if seq > self.from {
            (self.from, self.from_mac) = (seq, mac);
        }
    }
}

/// Steps of the clock and doubts about it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClockState {
    /// Its last step.
    pub last_step: Option<ClockStep>,
    /// The clock's time when it last went back. A record with a later time was written before the step.
    pub went_back_at: Option<Time>,
    /// The key from which on what was planned under a clock that was ahead is still to be planned anew.
    pub astray: Option<Vec<u8>>,
    /// The clock was not accepted at a start: the last time that was right.
    pub doubted_since: Option<Time>,
    /// The time at which an administrator accepted the clock, unless it was set since.
    pub accepted_at: Option<Time>,
}

/// A step of the clock: beyond what had passed, or back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClockStep {
    /// The step in seconds, negative for back.
    pub seconds: i64,
    /// The clock's time after it.
    pub at: Time,
}

impl ClockState {
    /// The latest time at which something was written that bears this time. Only a clock that has gone back since
    /// can have given it a time to come.
    pub fn written_by(&self, at: Time, now: Time) -> Time {
        if at <= now { at } else { self.went_back_at.unwrap_or(at).min(at) }
    }
}

impl Record for Registry {}
impl Record for LastWriter {}
impl Record for CallsignHolder {}
impl Record for Enrollment {}
impl Record for Pointer {}
impl Record for Marker {}
impl Record for DueTogether {}
impl Record for PersonRoles {}
impl Record for Role {}
impl Record for RoleMember {}
impl Record for SigningKey {}
impl Record for HashingKey {}
impl Record for Guesses {}

/// The bytes of a record.
pub fn encode<R: Record>(record: &R) -> Vec<u8> {
    let mut bytes = vec![R::VERSION];
    codec::encode_into(record, &mut bytes);
    bytes
}

/// The record of these bytes.
pub fn decode<R: Record>(bytes: &[u8]) -> Result<R, StoreError> {
    let name = std::any::type_name::<R>().rsplit("::").next().unwrap_or_default();
    let Some((version, bytes)) = bytes.split_first() else {
        return Err(StoreError::Corrupt(format!("a stored {name} is empty")));
    };
    let decoded = match *version == R::VERSION {
        true => Some(codec::decode(bytes)),
        false => R::decode_older(*version, bytes),
    };
    let unknown = || StoreError::Corrupt(format!("a stored {name} has the unknown version {version}"));
    decoded.ok_or_else(unknown)?.map_err(|err| StoreError::Corrupt(format!("a stored {name} is damaged: {err}")))
}

/// The present form of a record of an earlier version; `None` for one that has it.
pub fn renewed<R: Record>(bytes: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
    if bytes.first().is_some_and(|version| (R::OLDEST_WRITTEN..=R::VERSION).contains(version)) {
        return Ok(None);
    }
    decode::<R>(bytes).map(|record| Some(encode(&record)))
}

/// Reads the record of a key.
pub fn get<R: Record>(txn: &dyn ReadTxn, key: &[u8]) -> Result<Option<R>, StoreError> {
    txn.get(key)?.map(|bytes| decode(&bytes)).transpose()
}

/// Writes the record of a key.
pub fn put<R: Record>(txn: &mut dyn WriteTxn, key: Vec<u8>, record: &R) {
    txn.put(key, encode(record));
}
