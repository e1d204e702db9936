//! The change feed: events that a write emits, and changes as they are stored once they have their numbers.

use enroll_protocol::changes::{self, PeerId};
use enroll_protocol::{Invalid, OperationRow, Origin, Pk, Time, codec, refusal};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::record::{Kind, Record};
use crate::identity::secrets::{Mac, Secrets};

// Their names in the feed are in the contract's table of consequences.

/// Wrong codes in all exceeded their rate limit: somebody tries codes from many sources.
pub const ALARM: u16 = 60_000;

/// A waiting person got a place. Of the event, the person, and the pool if there are any.
pub const SEATED: u16 = 60_001;

/// A person was moved to another pool to make room for a waiting one. Of the event, the person and the pool.
pub const MOVED: u16 = 60_002;

/// A pool opened by itself. Of the event and the pool.
pub const OPENED: u16 = 60_003;

/// The places of an event's pools became one. Of the event.
pub const MERGED: u16 = 60_004;

/// The revocation list was renewed because it was due.
pub const LISTED: u16 = 60_005;

/// An external key was linked by another operation than `program.link`. Of the program enrollment and the person.
pub const LINKED: u16 = 60_006;

/// An external key was unlinked from somebody, to be linked to somebody else. Of the program enrollment and the person.
pub const UNLINKED: u16 = 60_007;

/// A waiting course of an external key was realized: its person is enrolled in it as `masters`. This change and the
/// following ones are of the course, the person and the program enrollment.
pub const ENROLLED: u16 = 60_008;

/// A course enrollment in the mode `audit` or `honor` was changed to `masters`.
pub const CONVERTED: u16 = 60_009;

/// A course enrollment in another mode stays as it is.
pub const MODE_KEPT: u16 = 60_010;

/// A course enrollment was cut from a program and moved to `audit`.
pub const MOVED_TO_AUDIT: u16 = 60_011;

/// A course enrollment became active again.
pub const ACTIVATED: u16 = 60_012;

/// A course enrollment became inactive.
pub const DEACTIVATED: u16 = 60_013;

/// A role in a course was given.
pub const ROLE_GIVEN: u16 = 60_014;

/// A role in a course was taken back.
pub const ROLE_TAKEN: u16 = 60_015;

/// A role in a course could not be given, and stays waiting.
pub const ROLE_FAILED: u16 = 60_016;

/// The system's clock was set by more than a few seconds: times before and after this are not of one clock.
pub const CLOCK: u16 = 60_017;

/// Wrong codes of one uid over all its origins exceeded their rate limit.
pub const UID_ALARM: u16 = 60_018;

/// Refused calls of one uid left as many records as they may: for the rest of the window they leave none. With the code
/// of the first refusal that was not recorded.
pub const REFUSALS: u16 = 60_019;

/// A placement by hand put a person into the waiting list. Of the event, the person, and the person behind them, if there
/// is one.
pub const POSITIONED: u16 = 60_020;

/// A person who was deleted left an event or its waiting list. Of the event, the person, and where they gave up a place
/// its pool, or the event itself where it has no pools.
pub const LEFT: u16 = 60_021;

/// The daemon as the peer of changes that no process asked for.
pub const DAEMON: PeerId = PeerId { uid: 0, pid: 0, member: None };

/// A change; its number is the key that it is stored under.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// The time.
    pub at: Time,
    /// The number of the operation, or of a consequence.
    pub what: u16,
    /// The records that changed.
    pub subjects: Vec<Pk>,
    /// The actor, on whose behalf the peer asked.
    pub actor: Option<Pk>,
    /// The peer that asked.
    pub peer: PeerId,
    /// The source that the peer named, such as an address.
    pub origin: Option<Origin>,
    /// The change that it follows from.
    pub cause: Option<u64>,
    /// The reason of the refusal, for a refused attempt.
    pub refused: Option<refusal::Code>,
}

/// A change in the chain of MACs, as it is stored. An export has the change alone: another registry has another key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainedChange {
    /// The change.
    pub change: Change,
    /// Its MAC, which covers the change and the MAC before it.
    pub mac: Mac,
}

impl ChainedChange {
    /// The version of changes that tell no member: all of a registry on one host, and those from before there were any.
    const WITHOUT_MEMBER: u8 = 2;

    /// The stored bytes of a change that has this number and follows a change with this MAC, and its own MAC.
    pub fn encode(secrets: &Secrets, before: &Mac, seq: u64, change: &Change) -> (Vec<u8>, Mac) {
        let bytes = match change.peer.member {
            // As it was stored before members were told, so that the MACs of those changes can be made anew.
            None => (Self::WITHOUT_MEMBER, codec::encode(&ChangeV2::from(change.clone()))),
            Some(_) => (Self::VERSION, codec::encode(change)),
        };
        let mut bytes = [&[bytes.0], &*bytes.1].concat();
        let mac = secrets.change(before, seq, &bytes);
        bytes.extend(mac);
        (bytes, mac)
    }

    /// A change without a MAC, for one that was made elsewhere or before there was a chain.
    fn unchained(change: Change) -> Self {
        Self { change, mac: Mac::default() }
    }
}

/// A change without a member, as it is stored. Version 1 had no MAC.
#[derive(Serialize, Deserialize)]
struct ChangeV2 {
    at: Time,
    what: u16,
    subjects: Vec<Pk>,
    actor: Option<Pk>,
    peer: (u32, i32),
    origin: Option<Origin>,
    cause: Option<u64>,
    refused: Option<refusal::Code>,
}

impl From<Change> for ChangeV2 {
    fn from(change: Change) -> Self {
        let Change { at, what, subjects, actor, peer, origin, cause, refused } = change;
        Self { at, what, subjects, actor, peer: (peer.uid, peer.pid), origin, cause, refused }
    }
}

impl From<ChangeV2> for Change {
    fn from(change: ChangeV2) -> Self {
        let ChangeV2 { at, what, subjects, actor, peer: (uid, pid), origin, cause, refused } = change;
        Self { at, what, subjects, actor, peer: PeerId { uid, pid, member: None }, origin, cause, refused }
    }
}

impl Record for ChainedChange {
    const VERSION: u8 = 3;
    const OLDEST_WRITTEN: u8 = Self::WITHOUT_MEMBER;

    fn decode_older(version: u8, bytes: &[u8]) -> Option<Result<Self, Invalid>> {
        match version {
            1 => Some(codec::decode::<ChangeV2>(bytes).map(|change| Self::unchained(change.into()))),
            Self::WITHOUT_MEMBER => {
                let decoded = codec::decode::<(ChangeV2, Mac)>(bytes);
                Some(decoded.map(|(change, mac)| Self { change: change.into(), mac }))
            }
            _ => None,
        }
    }
}

impl Serialize for ChainedChange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match serializer.is_human_readable() {
            true => self.change.serialize(serializer),
            false => (&self.change, &self.mac).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for ChainedChange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.is_human_readable() {
            true => Change::deserialize(deserializer).map(Self::unchained),
            false => Deserialize::deserialize(deserializer).map(|(change, mac)| Self { change, mac }),
        }
    }
}

/// The events that a write emits beside its writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeEvent {
    /// A change that has no number yet, and the kind of the record that it made, if any.
    Change(Change, Option<Kind>),
    /// A change that follows from the last one emitted before it, unless it names another one.
    Consequence(Change),
    /// Later events will follow from the last change emitted before this one: its number is stored under this key.
    Remember(Vec<u8>),
    /// One more record of this kind, beside the one that the change made.
    Made(Kind),
    /// One record less of this kind: it expired.
    Lost(Kind),
    /// The changes up to this number are no longer kept; the MAC of the last of them.
    Forgotten(u64, Mac),
    /// Expiries that were planned while the clock was ahead are planned anew up to this key; none for all of them.
    Replanned(Option<Vec<u8>>),
    /// The clock is accepted by this change.
    ClockAccepted(Time),
}

impl Change {
    /// A change at its due time, which no peer asked for.
    pub fn of_time(what: u16, at: Time) -> Self {
        Self { at, what, subjects: Vec::new(), actor: None, peer: DAEMON, origin: None, cause: None, refused: None }
    }

    /// The change in the form of the feed.
    pub fn numbered(self, seq: u64) -> changes::Change {
        let name = name_of(self.what);
        let (area, verb) = name.split_once('.').unwrap_or((name, ""));
        changes::Change {
            seq,
            at: self.at,
            area: area.to_owned(),
            verb: verb.to_owned(),
            subjects: self.subjects,
            actor: self.actor,
            peer: self.peer,
            origin: self.origin,
            cause: self.cause,
            refused: self.refused,
        }
    }
}

fn name_of(what: u16) -> &'static str {
    let consequence = || changes::CONSEQUENCES.iter().find(|(number, _)| *number == what).map(|(_, name)| *name);
    OperationRow::by_number(what).map(|row| row.name).or_else(consequence).unwrap_or("unknown.unknown")
}
