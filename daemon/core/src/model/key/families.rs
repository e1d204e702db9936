//! The table of stored records: one line per family of keys, in the order of an export, where a record comes after
//! those that it refers to.
//!
//! A line is the family's tag, its name, its key and its record. Where a semicolon stands among the parts of the key,
//! the family is also walked by the parts before it. From the line follow the functions that make keys, [`Family`] and
//! the family's [`Shape`], by which it is exported, imported and checked. Tags are stable: a family that is given up
//! leaves its tag unused.

use enroll_protocol::course::CourseRole;
use enroll_protocol::enrollment::State;
use enroll_protocol::{CourseKey, Key, ListName, Pk, RoleName, Time};

use super::Due;
use super::part::KeyPart;
use crate::identity::Hash;
use crate::identity::authority::Serial;
use crate::model::event::Slot;
use crate::model::export_schema::{Shape, many};
use crate::model::{certificate, change, event, idempotency, program, record, token};

macro_rules! families {
    (@keys $tag:literal $(#[$doc:meta])* $key:ident [$($part:ident: $ty:ty),*]) => {
        $(#[$doc])*
        pub fn $key($($part: $ty),*) -> Vec<u8> {
            whole(&[[$tag].as_slice(), $($part.key_bytes().as_ref(), <$ty>::END),*])
        }
    };
    (@keys $tag:literal $(#[$doc:meta])* $key:ident / $keys:ident
        [$($part:ident: $ty:ty),*; $($more:ident: $m:ty),*]) => {
        families!(@keys $tag $(#[$doc])* $key [$($part: $ty,)* $($more: $m),*]);

        #[doc = concat!("The common beginning of every [`", stringify!($key), "`] of these parts.")]
        pub fn $keys($($part: $ty),*) -> Vec<u8> {
            [[$tag].as_slice(), $($part.key_bytes().as_ref(), <$ty>::END),*].concat()
        }
    };
    (@parts [$($part:ident: $ty:ty),* $(; $($more:ident: $m:ty),*)?]) => {
        &[$((stringify!($part), <$ty>::PART),)* $($((stringify!($more), <$m>::PART)),*)?]
    };
    ($($(#[$doc:meta])* $tag:literal $family:ident: $key:ident $(/ $keys:ident)? [$($parts:tt)*]
        = $record:ty $(, $flag:ident)?;)*) => {
        /// A family of keys: all that begin with its tag.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Family {
            $($(#[$doc])* $family = $tag),*
        }

        $(families!(@keys $tag $(#[$doc])* $key $(/ $keys)? [$($parts)*]);)*

        /// Every family's shape, in the order of an export.
        pub(in crate::model) static SHAPES: &[Shape] =
            &[$(many::<$record>(stringify!($key), Family::$family, families!(@parts [$($parts)*])) $(.$flag())?),*];
    };
}

families! {
    /// A key that signs JWTs; the pks sort by age.
    0x30 SigningKeys: signing_key [pk: Pk] = record::SigningKey, secret;
    /// A role: its permissions and how many have it.
    0x13 Roles: role [role: &RoleName] = record::Role;
    /// A value of a moderated list.
    0x63 Constants: constant/constants [list: &ListName; folded: &str] = event::Constant;
    /// A person.
    0x10 People: person [pk: Pk] = record::Person;
    /// The roles of a person.
    0x12 PersonRoles: person_roles [person: Pk] = record::PersonRoles;
    /// A member of a role.
    0x14 RoleMembers: role_member/role_members [role: &RoleName; person: Pk] = record::RoleMember;
    /// A representative of a supervisor.
    0x61 Representatives: representative/representatives [supervisor: Pk; representative: Pk] = record::Marker;
    /// A supervisor whom somebody represents.
    0x62 Representeds: represented/representeds [representative: Pk; supervisor: Pk] = record::Marker;
    /// An invite pool.
    0x18 Pools: pool [pk: Pk] = record::Pool;
    /// The pool of an invite code.
    0x19 InviteCodes: invite_code [code: &str] = record::Pointer;
    /// A pool by its owner.
    0x1a OwnerPools: owner_pool/owner_pools [owner: Pk; pool: Pk] = record::Marker;
    /// An enrollment.
    0x1b Enrollments: enrollment [pk: Pk] = record::Enrollment;
    /// The signing request of an enrollment.
    0x34 EnrollmentRequests: enrollment_request [enrollment: Pk] = certificate::EnrollmentRequest;
    /// The enrollment of an approve code.
    0x1c ApproveCodes: approve_code [code: &str] = record::Pointer;
    /// An enrollment by its pool.
    0x1d PoolEnrollments: pool_enrollment/pool_enrollments [pool: Pk; enrollment: Pk] = record::Marker;
    /// An enrollment by its state.
    0x1e StateEnrollments: state_enrollment/state_enrollments [state: State; enrollment: Pk] = record::Marker;
    /// A service by its folded name.
    0x35 Services: service [folded: &str] = certificate::Service;
    /// The holder of a folded callsign.
    0x11 Callsigns: callsign [folded: &str] = record::CallsignHolder;
    /// The callsign of an erased person by its keyed hash: nobody has it again.
    0x15 ErasedCallsigns: erased_callsign [hash: &Hash] = record::Marker, secret;
    /// A used token by its keyed hash.
    0x20 Tokens: token [hash: &Hash] = token::Token, secret;
    /// The audit object of a token.
    0x22 TokenAudits: token_audit [token: Pk] = token::TokenAudit, secret;
    /// A login code.
    0x23 Codes: code [pk: Pk] = token::Code, secret;
    /// A login code by its keyed hash.
    0x24 CodeHashes: code_hash [hash: &Hash] = record::Pointer, secret;
    /// A person's certificate.
    0x31 Certificates: certificate [person: Pk, serial: &Serial] = certificate::Certificate, secret;
    /// The certificates that a person holds.
    0x32 Holders: certificates [person: Pk] = certificate::Certificates, secret;
    /// A revoked certificate by the number of the first list that it stands in.
    0x33 Revoked: revoked [list: u64, serial: &Serial] = certificate::Revoked, secret;
    /// An event.
    0x50 Events: event [pk: Pk] = event::Event;
    /// The head of an event's registrations.
    0x51 EventHeads: event_head [event: Pk] = event::Head;
    /// An event by its start.
    0x52 EventStarts: event_start [start: Time, event: Pk] = record::Marker;
    /// An event by the next time at which something happens with it by itself.
    0x5a EventDues: event_due [at: Time, event: Pk] = record::Marker;
    /// The change that the rest of an event's change follows from.
    0x5b EventCauses: event_cause [event: Pk] = event::Cause;
    /// A registration.
    0x53 Registrations: registration [event: Pk, person: Pk] = event::Registration;
    /// A registration by its order number.
    0x54 Orders: registered/registereds [event: Pk; order: u64] = event::Registered;
    /// A registration by its person.
    0x55 PersonRegistrations: person_registration/person_registrations
        [person: Pk; at: Time, event: Pk] = event::Registered;
    /// A waiting registration by its order number.
    0x56 Waitings: waiting/waitings [event: Pk; order: u64] = event::Registered;
    /// The number of waiting registrations in a stretch of order numbers; the stretches of a level are equally long.
    0x57 WaitingCounts: waiting_count [event: Pk, level: u8, stretch: u64] = event::Waiting;
    /// A waiting registration by a pool that admits its person.
    0x58 WaitingsFor: waiting_for/waitings_for [event: Pk, slot: Slot; order: u64] = event::Registered;
    /// A seated registration by its pool and another pool that admits its person.
    0x59 Seateds: seated/seateds [event: Pk, slot: Slot, other: Slot; order: u64] = event::Registered;
    /// A registration that waits for a supervisor's decision.
    0x5c Pendings: pending/pendings [supervisor: Pk; person: Pk, event: Pk] = event::Registered;
    /// A course.
    0x70 Courses: course [course: &CourseKey] = program::Course;
    /// A course by its pk.
    0x71 CoursePks: course_pk [pk: Pk] = program::CourseOf;
    /// The spelling of a folded course key, also of a deleted course.
    0x76 CourseNames: course_name [folded: &str] = program::CourseOf;
    /// A course enrollment.
    0x72 CourseEnrollments: course_enrollment/course_enrollments
        [course: &CourseKey; person: Pk] = program::CourseEnrollment;
    /// A course enrollment by its person.
    0x73 PersonCourses: person_course/person_courses [person: Pk; course: &CourseKey] = record::Marker;
    /// A role in a course.
    0x74 CourseRoles: course_role/course_roles
        [course: &CourseKey; person: Pk, role: CourseRole] = program::CourseRoleOf;
    /// A role in a course by its person.
    0x75 PersonCourseRoles: person_course_role/person_course_roles
        [person: Pk; course: &CourseKey, role: CourseRole] = record::Marker;
    /// A program enrollment by its folded external key.
    0x78 ProgramEnrollments: program_enrollment [program: Pk, folded: &str] = program::ProgramEnrollment;
    /// A program enrollment by its pk.
    0x79 ProgramPks: program_pk/program_pks [program: Pk; enrollment: Pk] = program::KeyOf;
    /// A program enrollment by its person.
    0x7a PersonPrograms: person_program/person_programs [person: Pk, program: Pk; curriculum: Pk] = program::KeyOf;
    /// The first answer to a write, by the caller's uid and idempotency key.
    0x41 Kept: kept [uid: u32, key: Key] = idempotency::Kept, secret;
    /// The reply of one part of a bulk write, beside its idempotency record.
    0x44 KeptParts: kept_part/kept_parts [uid: u32, key: Key; part: u32] = idempotency::KeptPart, secret;
    /// The wrong codes of a source in its rate limit's window, by the hash of the source.
    0x42 Guesses: guesses [source: &Hash] = record::Guesses, secret;
    /// The expiry index: records that expire, by time.
    0x43 Dues: due/dues_from [at: Time; of: &Due] = record::DueTogether, secret;
    /// A change by its number.
    0x40 Changes: change [seq: u64] = change::ChainedChange;
}

/// The tags of the families in the Bloom filter, whose keys are mostly not there: hashes and codes are looked up before
/// they exist, and few enrollments bring a signing request.
pub const WITHOUT_ORDER: &[u8] = &[
    Family::Callsigns as u8,
    Family::InviteCodes as u8,
    Family::ApproveCodes as u8,
    Family::EnrollmentRequests as u8,
    Family::ErasedCallsigns as u8,
    Family::Tokens as u8,
    Family::CodeHashes as u8,
    Family::Kept as u8,
    Family::Guesses as u8,
];

impl Family {
    /// True if the key is one of this family.
    pub fn holds(self, key: &[u8]) -> bool {
        key.first() == Some(&(self as u8))
    }

    /// The range of its keys, without the end.
    pub fn bounds(self) -> (Vec<u8>, Vec<u8>) {
        super::prefixed(vec![self as u8])
    }
}

/// A whole key of its parts; its last part has no end mark.
fn whole(pieces: &[&[u8]]) -> Vec<u8> {
    pieces.split_last().map(|(_, pieces)| pieces.concat()).unwrap_or_default()
}
