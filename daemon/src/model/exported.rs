//! What each record is in an export: a line of JSON with the family's name, the parts of the key by their names, and the
//! record.
//!
//! Everything that is stored is exported as it is, indexes too, so that what is read back is what there was. The order of
//! the table is that of the lines: a record comes behind those that it refers to.

use std::collections::BTreeMap;

use enroll_protocol::{CourseKey, Key, ListName, Pk, RoleName, Time, plain_error, plain_name};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::key::{self, Family};
use super::record::{self, Record};
use super::{certificate, change, event, hex, program, token};
use crate::store::StoreError;

/// How far an import has come; once it is finished, how it ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Importing {
    /// Bytes that were taken.
    pub bytes: u64,
    /// Whole lines among them.
    pub lines: u64,
    /// What was taken of the next line.
    pub open: String,
    /// Whether it holds secrets.
    pub with_secrets: bool,
    /// Whether this daemon's authority was brought along.
    pub is_brought: bool,
    /// Whether the last line was read.
    pub is_read: bool,
    /// How many records of each family there were.
    pub records: BTreeMap<String, u64>,
    /// Who sent the latest piece, and its idempotency key: sent again, it is answered and not taken again.
    pub latest: Option<(u32, Key)>,
}

impl Record for Importing {}

/// What the records of one family are in an export.
pub struct Shape {
    /// What lines call it.
    pub name: &'static str,
    /// Where its records are.
    pub place: Place,
    /// Whether it is left out unless secrets are asked for.
    pub is_secret: bool,
    to_json: fn(&[u8]) -> Result<String, StoreError>,
    of_json: fn(&str) -> serde_json::Result<Vec<u8>>,
}

/// Where records are.
pub enum Place {
    /// There is only one.
    One(fn() -> Vec<u8>),
    /// A family, and what its keys are made of.
    Many(Family, &'static [(&'static str, Part)]),
}

/// A part of a key.
pub enum Part {
    /// A pk.
    Pk,
    /// A number of 8 bytes.
    Number,
    /// A number of 4 bytes.
    Short,
    /// A number of one byte.
    Byte,
    /// A word of a list, by its place in it.
    Choice(&'static [&'static str]),
    /// A time.
    Time,
    /// So many bytes.
    Bytes(usize),
    /// All bytes up to the end.
    Rest,
    /// A text that ends with a zero byte, if it is one of these.
    Word(fn(&str) -> bool),
    /// A text up to the end, if it is one of these.
    Text(fn(&str) -> bool),
}

/// A line as it is read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    record: String,
    #[serde(default)]
    key: Map<String, Value>,
    #[serde(borrow)]
    value: &'a RawValue,
}

const ANY: fn(&str) -> bool = |_| true;
const ROLE: fn(&str) -> bool = |text| RoleName::new(text).is_ok();
const COURSE: fn(&str) -> bool = |text| CourseKey::new(text).is_ok();
const STATES: Part = Part::Choice(&["pending", "approved", "rejected"]);
const COURSE_ROLES: Part = Part::Choice(&["staff"]);

/// Every family, in the order of an export.
pub static SHAPES: &[Shape] = &[
    one::<record::HashingKey>("hashing_key", key::hashing_key).secret(),
    one::<certificate::Authority>("authority", key::authority).secret(),
    one::<certificate::ListHead>("revoked_list", key::list_head).secret(),
    many::<record::SigningKey>("signing_key", Family::SigningKeys, &[("pk", Part::Pk)]).secret(),
    many::<record::Role>("role", Family::Roles, &[("role", Part::Text(ROLE))]),
    many::<event::Constant>(
        "constant",
        Family::Constants,
        &[("list", Part::Word(|text| ListName::new(text).is_ok())), ("folded", Part::Text(ANY))],
    ),
    many::<record::Person>("person", Family::People, &[("pk", Part::Pk)]),
    many::<record::PersonRoles>("person_roles", Family::PersonRoles, &[("person", Part::Pk)]),
    many::<record::RoleMember>("role_member", Family::RoleMembers, &[("role", Part::Word(ROLE)), ("person", Part::Pk)]),
    many::<record::Place>(
        "representative",
        Family::Representatives,
        &[("supervisor", Part::Pk), ("representative", Part::Pk)],
    ),
    many::<record::Place>(
        "represented",
        Family::Representeds,
        &[("representative", Part::Pk), ("supervisor", Part::Pk)],
    ),
    many::<record::Pool>("pool", Family::Pools, &[("pk", Part::Pk)]),
    many::<record::Pointer>("invite_code", Family::InviteCodes, &[("code", Part::Text(ANY))]),
    many::<record::Place>("owner_pool", Family::OwnerPools, &[("owner", Part::Pk), ("pool", Part::Pk)]),
    many::<record::Enrollment>("enrollment", Family::Enrollments, &[("pk", Part::Pk)]),
    many::<certificate::EnrollmentRequest>(
        "enrollment_request",
        Family::EnrollmentRequests,
        &[("enrollment", Part::Pk)],
    ),
    many::<record::Pointer>("approve_code", Family::ApproveCodes, &[("code", Part::Text(ANY))]),
    many::<record::Place>("pool_enrollment", Family::PoolEnrollments, &[("pool", Part::Pk), ("enrollment", Part::Pk)]),
    many::<record::Place>("state_enrollment", Family::StateEnrollments, &[("state", STATES), ("enrollment", Part::Pk)]),
    many::<record::CallsignHolder>("callsign", Family::Callsigns, &[("folded", Part::Text(ANY))]),
    many::<token::Token>("token", Family::Tokens, &[("hash", Part::Bytes(32))]).secret(),
    many::<token::TokenAudit>("token_audit", Family::TokenAudits, &[("token", Part::Pk)]).secret(),
    many::<token::Code>("code", Family::Codes, &[("pk", Part::Pk)]).secret(),
    many::<record::Pointer>("code_hash", Family::CodeHashes, &[("hash", Part::Bytes(32))]).secret(),
    many::<certificate::Certificate>(
        "certificate",
        Family::Certificates,
        &[("person", Part::Pk), ("serial", Part::Bytes(20))],
    )
    .secret(),
    many::<certificate::Certificates>("certificates", Family::Holders, &[("person", Part::Pk)]).secret(),
    many::<certificate::Revoked>("revoked", Family::Revoked, &[("list", Part::Number), ("serial", Part::Bytes(20))])
        .secret(),
    many::<event::Event>("event", Family::Events, &[("pk", Part::Pk)]),
    many::<event::Head>("event_head", Family::EventHeads, &[("event", Part::Pk)]),
    many::<record::Place>("event_start", Family::EventStarts, &[("start", Part::Time), ("event", Part::Pk)]),
    many::<record::Place>("event_due", Family::EventDues, &[("at", Part::Time), ("event", Part::Pk)]),
    many::<event::Cause>("event_cause", Family::EventCauses, &[("event", Part::Pk)]),
    many::<event::Registration>("registration", Family::Registrations, &[("event", Part::Pk), ("person", Part::Pk)]),
    many::<event::Registered>("registered", Family::Orders, &[("event", Part::Pk), ("order", Part::Number)]),
    many::<event::Registered>(
        "person_registration",
        Family::PersonRegistrations,
        &[("person", Part::Pk), ("at", Part::Time), ("event", Part::Pk)],
    ),
    many::<event::Registered>("waiting", Family::Waitings, &[("event", Part::Pk), ("order", Part::Number)]),
    many::<event::Waiting>(
        "waiting_count",
        Family::WaitingCounts,
        &[("event", Part::Pk), ("level", Part::Byte), ("stretch", Part::Number)],
    ),
    many::<event::Registered>(
        "waiting_for",
        Family::WaitingsFor,
        &[("event", Part::Pk), ("slot", Part::Short), ("order", Part::Number)],
    ),
    many::<event::Registered>(
        "seated",
        Family::Seateds,
        &[("event", Part::Pk), ("slot", Part::Short), ("other", Part::Short), ("order", Part::Number)],
    ),
    many::<event::Registered>(
        "pending",
        Family::Pendings,
        &[("supervisor", Part::Pk), ("person", Part::Pk), ("event", Part::Pk)],
    ),
    many::<program::Course>("course", Family::Courses, &[("course", Part::Text(COURSE))]),
    many::<program::CourseOf>("course_pk", Family::CoursePks, &[("pk", Part::Pk)]),
    many::<program::CourseOf>("course_name", Family::CourseNames, &[("folded", Part::Text(ANY))]),
    many::<program::CourseEnrollment>(
        "course_enrollment",
        Family::CourseEnrollments,
        &[("course", Part::Word(COURSE)), ("person", Part::Pk)],
    ),
    many::<record::Place>(
        "person_course",
        Family::PersonCourses,
        &[("person", Part::Pk), ("course", Part::Text(COURSE))],
    ),
    many::<program::CourseRoleOf>(
        "course_role",
        Family::CourseRoles,
        &[("course", Part::Word(COURSE)), ("person", Part::Pk), ("role", COURSE_ROLES)],
    ),
    many::<record::Place>(
        "person_course_role",
        Family::PersonCourseRoles,
        &[("person", Part::Pk), ("course", Part::Word(COURSE)), ("role", COURSE_ROLES)],
    ),
    many::<program::ProgramEnrollment>(
        "program_enrollment",
        Family::ProgramEnrollments,
        &[("program", Part::Pk), ("folded", Part::Text(ANY))],
    ),
    many::<program::KeyOf>("program_pk", Family::ProgramPks, &[("program", Part::Pk), ("enrollment", Part::Pk)]),
    many::<program::KeyOf>(
        "person_program",
        Family::PersonPrograms,
        &[("person", Part::Pk), ("program", Part::Pk), ("curriculum", Part::Pk)],
    ),
    many::<record::Kept>("kept", Family::Kept, &[("uid", Part::Short), ("key", Part::Pk)]).secret(),
    many::<record::Guesses>("guesses", Family::Guesses, &[("source", Part::Bytes(32))]).secret(),
    many::<record::DueTogether>("due", Family::Dues, &[("at", Part::Time), ("of", Part::Rest)]).secret(),
    many::<change::Change>("change", Family::Changes, &[("seq", Part::Number)]),
    one::<record::ChangesHead>("changes_head", key::changes_head),
];

const fn one<R: Record>(name: &'static str, place: fn() -> Vec<u8>) -> Shape {
    shape::<R>(name, Place::One(place))
}

const fn many<R: Record>(name: &'static str, family: Family, parts: &'static [(&'static str, Part)]) -> Shape {
    shape::<R>(name, Place::Many(family, parts))
}

const fn shape<R: Record>(name: &'static str, place: Place) -> Shape {
    let to_json: fn(&[u8]) -> Result<String, StoreError> = |bytes| {
        let record = record::decode::<R>(bytes)?;
        serde_json::to_string(&record).map_err(|err| StoreError(format!("a record can not be written: {err}")))
    };
    Shape {
        name,
        place,
        is_secret: false,
        to_json,
        of_json: |text| serde_json::from_str::<R>(text).map(|record| record::encode(&record)),
    }
}

impl Shape {
    const fn secret(mut self) -> Self {
        self.is_secret = true;
        self
    }

    /// The line of a record.
    pub fn line(&self, place: &[u8], value: &[u8]) -> Result<String, StoreError> {
        let value = (self.to_json)(value)?;
        let key = match &self.place {
            Place::One(_) => String::new(),
            Place::Many(_, parts) => {
                let key = read(parts, place).ok_or_else(|| {
                    StoreError(format!("the key {} of a {} can not be read", hex::encode(place), self.name))
                })?;
                format!("\"key\":{},", Value::Object(key))
            }
        };
        Ok(format!("{{\"record\":\"{}\",{key}\"value\":{value}}}\n", self.name))
    }
}

/// The shape, the key and the value of a line; else what is wrong with it.
pub fn entry(line: &str) -> Result<(&'static Shape, Vec<u8>, Vec<u8>), String> {
    let line: Line<'_> =
        serde_json::from_str(line).map_err(|err| format!("this is no record: {}", plain_error(&err.to_string())))?;
    let shape = SHAPES.iter().find(|shape| shape.name == line.record);
    let shape = shape.ok_or_else(|| format!("there is no kind of record \"{}\"", plain_name(&line.record)))?;
    let place = match &shape.place {
        Place::One(place) => line.key.is_empty().then(place),
        Place::Many(family, parts) => {
            let written = written(family.bounds().0, parts, &line.key);
            // What comes back otherwise was no such key: a part too many, or a text that another part began in.
            written.filter(|place| read(parts, place).as_ref() == Some(&line.key))
        }
    };
    let place = place.ok_or_else(|| format!("this is not the key of a {}", shape.name))?;
    let value = (shape.of_json)(line.value.get())
        .map_err(|err| format!("this is no {}: {}", shape.name, plain_error(&err.to_string())))?;
    Ok((shape, place, value))
}

fn written(mut place: Vec<u8>, parts: &[(&str, Part)], key: &Map<String, Value>) -> Option<Vec<u8>> {
    for (name, part) in parts {
        part.write(key.get(*name)?, &mut place)?;
    }
    Some(place)
}

fn read(parts: &[(&str, Part)], place: &[u8]) -> Option<Map<String, Value>> {
    let mut rest = place.get(1..)?;
    let mut key = Map::new();
    for (name, part) in parts {
        key.insert((*name).to_owned(), part.read(&mut rest)?);
    }
    rest.is_empty().then_some(key)
}

impl Part {
    fn read(&self, rest: &mut &[u8]) -> Option<Value> {
        let mut take = |count: usize| {
            let (taken, behind) = rest.split_at_checked(count)?;
            *rest = behind;
            Some(taken)
        };
        Some(match self {
            Self::Pk => Pk::from_bytes(take(16)?.try_into().ok()?).to_string().into(),
            Self::Number => u64::from_be_bytes(take(8)?.try_into().ok()?).into(),
            Self::Short => u32::from_be_bytes(take(4)?.try_into().ok()?).into(),
            Self::Byte => take(1)?.first().copied()?.into(),
            Self::Choice(words) => (*words.get(usize::from(*take(1)?.first()?))?).into(),
            Self::Time => key::time_of(take(8)?)?.to_string().into(),
            Self::Bytes(count) => hex::encode(take(*count)?).into(),
            Self::Rest => hex::encode(std::mem::take(rest)).into(),
            Self::Word(is_one) => {
                let end = rest.iter().position(|byte| *byte == 0)?;
                let text = std::str::from_utf8(rest.get(..end)?).ok().filter(|text| is_one(text))?;
                *rest = rest.get(end + 1..)?;
                text.into()
            }
            Self::Text(is_one) => std::str::from_utf8(std::mem::take(rest)).ok().filter(|text| is_one(text))?.into(),
        })
    }

    fn write(&self, value: &Value, place: &mut Vec<u8>) -> Option<()> {
        match self {
            Self::Pk => place.extend(value.as_str()?.parse::<Pk>().ok()?.as_bytes()),
            Self::Number => place.extend(value.as_u64()?.to_be_bytes()),
            Self::Short => place.extend(u32::try_from(value.as_u64()?).ok()?.to_be_bytes()),
            Self::Byte => place.push(u8::try_from(value.as_u64()?).ok()?),
            Self::Choice(words) => {
                let at = words.iter().position(|word| Some(*word) == value.as_str())?;
                place.push(u8::try_from(at).ok()?);
            }
            Self::Time => place.extend(key::from_time(value.as_str()?.parse::<Time>().ok()?)),
            Self::Bytes(_) | Self::Rest => place.extend(hex::decode(value.as_str()?)?),
            Self::Word(_) => {
                place.extend(value.as_str()?.as_bytes());
                place.push(0);
            }
            Self::Text(_) => place.extend(value.as_str()?.as_bytes()),
        }
        Some(())
    }
}
