//! The operations table: every operation, declared once. A line is its number, its kind, the access a peer needs, the
//! permission an actor needs, its name, its request type and its reply type (of a stream or a walk, the type of an
//! item).
//!
//! Numbers are stable and never reused; a changed shape is a new number. The table is a macro that hands its lines to
//! another macro: the wire and the daemon's dispatch are made from these lines, so a line without a handler, or with a
//! handler of the wrong kind, does not compile.
//!
//! An actor needs the permission for records that are not their own; `""` means none is needed.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec;
use crate::value::Invalid;

/// Hands every line of the table to the macro `$each`.
#[macro_export]
macro_rules! operations {
    ($each:ident) => {
        $each! {
            1 write operate "/people/" "person.create" person::Create => person::Person;
            2 read read "/people/" "person.get" person::Get => person::Person;
            3 read read "/people/" "person.list" person::List => Page<person::Person>;
            4 read read "/people/" "person.find" person::Find => person::Person;
            5 write decide "/people/" "person.update" person::Update => person::Person;
            6 write decide "/people/" "person.delete" person::Delete => person::Person;
            7 write decide "/people/" "person.revoke" person::Revoke => person::Person;
            8 write admin "/people/" "person.restore" person::Restore => person::Person;
            9 write admin "/" "person.erase" person::Erase => person::Person;
            10 write decide "/roles/" "role.assign" role::Assign => bool;
            11 write decide "/roles/" "role.remove" role::Remove => bool;
            12 read read "/roles/" "role.has" role::Has => bool;
            13 read read "/roles/" "role.list" role::List => Vec<RoleName>;
            14 write admin "/" "permission.grant" permission::Grant => bool;
            15 write admin "/" "permission.revoke" permission::Revoke => bool;
            16 read read "/roles/" "permission.has" permission::Has => bool;
            17 read read "/roles/" "permission.list" permission::List => Vec<permission::Granted>;
            20 write operate "/tokens/" "token.use" token::Use => token::Spent;
            21 read read "/tokens/" "token.get" token::Get => token::Spent;
            22 write operate "" "token.delete" token::Delete => ();
            30 write operate "/codes/" "code.create" code::Create => code::Created;
            31 write operate "/codes/" "code.use" code::Use => code::Used;
            32 lookup operate "/codes/" "code.get" code::Get => code::Login;
            33 write operate "" "code.delete" code::Delete => ();
            40 read read "" "jwt.verify" jwt::Verify => Json;
            41 read read "" "jwt.keys" jwt::Keys => Json;
            42 write operate "/codes/" "jwt.refresh" jwt::Refresh => code::Exchanged;
            43 write admin "/" "jwt.rotate" jwt::Rotate => Json;
            44 write operate "/codes/" "jwt.exchange" jwt::Exchange => code::Exchanged;
            50 read read "/changes/" "changes.list" changes::List => Page<changes::Change>;
            51 stream read "/changes/" "changes.follow" changes::Follow => changes::Change;
            52 read read "/changes/" "changes.head" changes::Head => changes::ChainHead;
            60 read metrics "/server/" "server.status" server::Status => server::DaemonStatus;
            61 scan read "/server/" "server.check" server::Check => Vec<server::Violation>;
            62 read metrics "/server/" "server.metrics" server::Metrics => String;
            63 walk admin "/" "server.backup" server::Backup => server::Piece;
            64 walk admin "/" "server.export" server::Export => String;
            65 write admin "/" "server.import" server::Import => server::Imported;
            66 write admin "/server/" "server.accept_clock" server::AcceptClock => server::DaemonStatus;
            67 read metrics "/server/" "server.snapshot" server::Snapshot => server::DaemonSnapshot;
            70 write operate "/pools/" "pool.create" pool::Create => pool::Pool;
            71 lookup read "/pools/" "pool.get" pool::Get => pool::Pool;
            72 read read "/pools/" "pool.list" pool::List => Page<pool::Pool>;
            73 write operate "/pools/" "pool.update" pool::Update => pool::Pool;
            74 write operate "/pools/" "pool.set_active" pool::SetActive => pool::Pool;
            75 write operate "/pools/" "pool.reset_code" pool::ResetCode => pool::Pool;
            76 write operate "/pools/" "pool.delete" pool::Delete => pool::Pool;
            77 lookup operate "" "pool.check" pool::Check => bool;
            80 write operate "/enrollments/" "enrollment.create" enrollment::Create => enrollment::Enrollment;
            81 read read "/enrollments/" "enrollment.get" enrollment::Get => enrollment::Enrollment;
            82 lookup operate "/enrollments/" "enrollment.find" enrollment::Find => enrollment::Enrollment;
            83 lookup read "/enrollments/" "enrollment.list" enrollment::List => Page<enrollment::Enrollment>;
            84 write decide "/enrollments/" "enrollment.approve" enrollment::Approve => person::Person;
            85 write decide "/enrollments/" "enrollment.reject" enrollment::Reject => enrollment::Enrollment;
            86 write operate "/enrollments/" "enrollment.reset_code" enrollment::ResetCode => enrollment::Enrollment;
            87 write operate "" "enrollment.delete" enrollment::Delete => ();
            88 write decide "/enrollments/" "enrollment.reopen" enrollment::Reopen => enrollment::Enrollment;
            89 write decide "/enrollments/" "enrollment.update" enrollment::Update => enrollment::Enrollment;
            90 write operate "/events/create/" "event.create" event::Create => event::Event;
            91 read read "" "event.get" event::Get => event::Event;
            92 read read "" "event.list" event::List => Page<event::Event>;
            93 write decide "/events/edit/" "event.update" event::Update => event::Event;
            94 write decide "/events/edit/" "event.publish" event::Publish => event::Event;
            95 write decide "/events/edit/" "event.unpublish" event::Unpublish => event::Event;
            96 write decide "/events/edit/" "event.cancel" event::Cancel => event::Event;
            97 write decide "/events/edit/" "event.add_pool" event::AddPool => event::Event;
            98 write decide "/events/edit/" "event.update_pool" event::UpdatePool => event::Event;
            99 write decide "/events/edit/" "event.remove_pool" event::RemovePool => event::Event;
            100 write operate "/registrations/" "registration.create" registration::Create => registration::Registration;
            101 write operate "/registrations/" "registration.cancel" registration::Cancel => registration::Registration;
            102 read read "/registrations/" "registration.get" registration::Get => registration::Registration;
            103 read read "/registrations/" "registration.list" registration::List => Page<registration::Registration>;
            104 write decide "/registrations/approve/" "registration.approve" registration::Approve => registration::Registration;
            105 write decide "/registrations/approve/" "registration.reject" registration::Reject => registration::Registration;
            106 read read "/registrations/" "registration.explain" registration::Explain => registration::Explanation;
            107 write decide "/registrations/" "registration.place" registration::Place => registration::Registration;
            110 write decide "/supervisors/" "supervisor.assign" supervisor::Assign => person::Person;
            111 write decide "/supervisors/" "supervisor.unassign" supervisor::Unassign => person::Person;
            112 write decide "/supervisors/" "supervisor.add_representative" supervisor::AddRepresentative => bool;
            113 write decide "/supervisors/" "supervisor.remove_representative" supervisor::RemoveRepresentative => bool;
            114 read read "/supervisors/" "supervisor.pending" supervisor::Pending => Page<registration::Registration>;
            120 write decide "/constants/" "constant.set" constant::Set => bool;
            121 write decide "/constants/" "constant.remove" constant::Remove => bool;
            122 read read "" "constant.list" constant::List => Vec<constant::Constant>;
            130 read read "/people/" "certificate.get" certificate::Get => String;
            131 read admin "/" "certificate.key" certificate::Key => Option<PrivateKey>;
            132 scan admin "/" "certificate.pfx" certificate::Pfx => Option<Pfx>;
            133 write decide "/people/" "certificate.renew" certificate::Renew => Option<String>;
            134 read read "" "certificate.ca" certificate::Ca => String;
            135 walk read "" "certificate.crl" certificate::Crl => String;
            136 write decide "/people/" "certificate.revoke" certificate::Revoke => Vec<String>;
            137 write admin "/" "certificate.issue" certificate::Issue => certificate::Issued;
            140 write operate "/courses/" "course.create" course::Create => course::Course;
            141 read read "" "course.get" course::Get => course::Course;
            142 read read "" "course.list" course::List => Page<course::Course>;
            143 write operate "/courses/" "course.delete" course::Delete => bool;
            144 write operate "/courses/" "course.enroll" course::Enroll => course::CourseEnrollment;
            145 write operate "/courses/" "course.unenroll" course::Unenroll => course::CourseEnrollment;
            146 read read "/courses/" "course.enrollments" course::Enrollments => Page<course::CourseEnrollment>;
            147 read read "/courses/" "course.roles" course::Roles => Vec<course::CourseRoleHeld>;
            150 bulk operate "/programs/" "program.enroll" program::Enroll => program::Statuses;
            151 bulk operate "/programs/" "program.enroll_course" program::EnrollCourse => program::Statuses;
            152 write decide "/programs/" "program.assign_course_role" program::AssignCourseRole => bool;
            153 bulk operate "/programs/" "program.link" program::Link => program::Failures;
            154 bulk operate "/programs/" "program.unlink" program::Unlink => program::Failures;
            155 read read "/programs/" "program.enrollments" program::Enrollments => Page<program::ProgramEnrollment>;
            156 read metrics "/server/" "cluster.status" cluster::Status => cluster::ClusterStatus;
            157 read admin "/server/" "cluster.hand_over" cluster::HandOver => Option<String>;
            160 transaction operate "" "transaction.run" transaction::Run => Vec<transaction::Reply>;
        }
    };
}

/// The kind of an operation: the snapshot or the writer, and one answer or a stream of items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A read of an MVCC snapshot, short enough for the connections' thread.
    Read,
    /// A read of an MVCC snapshot on a thread of its own, because it is slow: it walks every record, or stretches a
    /// password.
    Scan,
    /// A read that takes a code: a wrong one counts against the rate limit.
    Lookup,
    /// A write: it runs in the writer and is answered when it is durable.
    Write,
    /// A write of many units, some at a time, other requests in between; answered when all of it is durable.
    Bulk,
    /// A resumable stream of items, each batch of them from a fresh snapshot, until the client cancels it.
    Stream,
    /// A stream of items from one snapshot, first record to last, on a thread of its own.
    Walk,
}

impl Kind {
    /// True for a write, which a client may send again under an idempotency key only.
    ///
    /// ```
    /// use enroll_protocol::{Operation, person, token};
    ///
    /// assert!(token::Use::ROW.kind.is_write());
    /// assert!(!person::Get::ROW.kind.is_write());
    /// ```
    pub const fn is_write(self) -> bool {
        matches!(self, Self::Write | Self::Bulk)
    }

    /// True for an operation that is answered with a stream of items.
    ///
    /// ```
    /// use enroll_protocol::{Operation, changes};
    ///
    /// assert!(changes::Follow::ROW.kind.has_items());
    /// assert!(!changes::List::ROW.kind.has_items(), "a page is one answer");
    /// ```
    pub const fn has_items(self) -> bool {
        matches!(self, Self::Stream | Self::Walk)
    }
}

/// The grant that the process at the other end of the socket needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Any grant; `metrics` is enough.
    Metrics,
    /// `read`: reads.
    Read,
    /// `operate`: what services do day to day.
    Operate,
    /// A decision: `operate` with an actor, or `decide`.
    Decide,
    /// `admin`, with or without an actor: what gives out keys, permissions or the whole registry.
    Admin,
}

/// A request type, and with it everything the contract says about its operation.
///
/// ```
/// use enroll_protocol::{Kind, Operation, person};
///
/// let row = person::Create::ROW;
/// assert_eq!((row.name, row.number, row.kind), ("person.create", 1, Kind::Write));
/// ```
pub trait Operation: Serialize + DeserializeOwned + Send + 'static {
    /// The answer of an operation that is not refused.
    type Reply: Serialize + DeserializeOwned + Send + 'static;
    /// The operation's line of the table.
    const ROW: &'static OperationRow;
}

/// A resumable stream of items, which lasts until the client cancels it. Its reply is one item.
///
/// ```
/// use enroll_protocol::{OperationRow, changes};
///
/// // A stream can be continued after an item; a read can not.
/// assert!(OperationRow::by_name("changes.follow").is_some_and(|row| row.resume.is_some()));
/// assert!(OperationRow::by_name("changes.list").is_some_and(|row| row.resume.is_none()));
/// let _ = changes::Follow { since: Some(4711) };
/// ```
pub trait StreamOperation: Operation {
    /// The request that continues this one after an item that was received.
    fn resume_after(&self, item: &Self::Reply) -> Self;
}

/// Makes the encoded request that continues an encoded request after an encoded item.
pub type Resume = fn(request: &[u8], item: &[u8]) -> Result<Vec<u8>, Invalid>;

/// One line of the table. Its JSON forms and its command line are tables of their own.
///
/// ```
/// use enroll_protocol::{Access, OperationRow};
///
/// let row = OperationRow::by_name("role.assign").expect("an operation");
/// assert_eq!((row.area(), row.verb(), row.access), ("role", "assign", Access::Decide));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct OperationRow {
    /// The number on the wire and in stored changes.
    pub number: u16,
    /// The kind of the operation.
    pub kind: Kind,
    /// The grant that the peer needs.
    pub access: Access,
    /// The permission that the actor needs for records that are not their own.
    pub permission: &'static str,
    /// `area.verb`.
    pub name: &'static str,
    /// Continues a stream that broke off; `None` for an operation that can not be continued.
    pub resume: Option<Resume>,
}

impl OperationRow {
    /// The row of this number.
    ///
    /// ```
    /// use enroll_protocol::{Operation, OperationRow, person};
    ///
    /// assert_eq!(OperationRow::by_number(1).map(|row| row.name), Some("person.create"));
    /// assert!(OperationRow::by_number(u16::MAX).is_none());
    /// ```
    pub fn by_number(number: u16) -> Option<&'static Self> {
        TABLE.iter().copied().find(|row| row.number == number)
    }

    /// The row of this name.
    ///
    /// The example stands at [`OperationRow`].
    pub fn by_name(name: &str) -> Option<&'static Self> {
        TABLE.iter().copied().find(|row| row.name == name)
    }

    /// The part of the name before the dot.
    ///
    /// The example stands at [`OperationRow`].
    pub fn area(&self) -> &'static str {
        self.name.split_once('.').map_or(self.name, |(area, _)| area)
    }

    /// The part of the name after the dot.
    ///
    /// The example stands at [`OperationRow`].
    pub fn verb(&self) -> &'static str {
        self.name.split_once('.').map_or("", |(_, verb)| verb)
    }
}

/// The second column.
macro_rules! kind {
    (read) => {
        Kind::Read
    };
    (scan) => {
        Kind::Scan
    };
    (lookup) => {
        Kind::Lookup
    };
    (write) => {
        Kind::Write
    };
    (bulk) => {
        Kind::Bulk
    };
    (transaction) => {
        Kind::Write
    };
    (stream) => {
        Kind::Stream
    };
    (walk) => {
        Kind::Walk
    };
}

/// The third column.
macro_rules! access {
    (metrics) => {
        Access::Metrics
    };
    (read) => {
        Access::Read
    };
    (operate) => {
        Access::Operate
    };
    (decide) => {
        Access::Decide
    };
    (admin) => {
        Access::Admin
    };
}

/// The resume function of a row: only a stream has one.
macro_rules! resume {
    (stream $request:ty) => {
        Some(resume::<$request>)
    };
    ($other:ident $request:ty) => {
        None
    };
}

macro_rules! rows {
    ($($number:literal $kind:ident $access:ident $permission:literal $name:literal
       $area:ident::$request:ident => $reply:ty;)*) => {
        use crate::*;
        $(
            impl Operation for crate::$area::$request {
                type Reply = $reply;
                const ROW: &'static OperationRow = &OperationRow {
                    number: $number,
                    kind: kind!($kind),
                    access: access!($access),
                    permission: $permission,
                    name: $name,
                    resume: resume!($kind Self),
                };
            }
        )*

        /// Every line, in the order of the numbers.
        pub const TABLE: &[&OperationRow] = &[$(<crate::$area::$request as Operation>::ROW),*];
    };
}

operations!(rows);

fn resume<O: StreamOperation>(request: &[u8], item: &[u8]) -> Result<Vec<u8>, Invalid> {
    Ok(codec::encode(&codec::decode::<O>(request)?.resume_after(&codec::decode(item)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_ascend_and_names_are_unique() {
        for pair in TABLE.windows(2) {
            assert!(pair[0].number < pair[1].number, "{} and {}", pair[0].name, pair[1].name);
        }
        for row in TABLE {
            assert_eq!(OperationRow::by_name(row.name).map(|found| found.number), Some(row.number));
        }
    }
}
