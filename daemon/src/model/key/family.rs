//! Families of keys: what one leading byte stands for.

/// A family, to walk over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// People by pk.
    People,
    /// Callsigns, folded.
    Callsigns,
    /// Roles of people, by pk.
    PersonRoles,
    /// Roles by name.
    Roles,
    /// Members of roles, by role and pk.
    RoleMembers,
    /// Pools by pk.
    Pools,
    /// Invite codes.
    InviteCodes,
    /// Pools by owner and pk.
    OwnerPools,
    /// Enrollments by pk.
    Enrollments,
    /// Approve codes.
    ApproveCodes,
    /// Enrollments by pool and pk.
    PoolEnrollments,
    /// Enrollments by state and pk.
    StateEnrollments,
    /// Tokens by hash.
    Tokens,
    /// What was attached to tokens, by their pks.
    TokenAudits,
    /// Login codes by pk.
    Codes,
    /// Hashes of login codes.
    CodeHashes,
    /// Signing keys, oldest first.
    SigningKeys,
    /// Certificates by person and serial number.
    Certificates,
    /// What people have in certificates.
    Holders,
    /// Revoked certificates, in the order of the lists that they first stood in.
    Revoked,
    /// Signing requests of enrollments.
    EnrollmentRequests,
    /// Changes by number.
    Changes,
    /// Kept answers by uid and key.
    Kept,
    /// Wrong codes by source.
    Guesses,
    /// What will be due, by when.
    Dues,
    /// Events by pk.
    Events,
    /// Heads of events' registrations.
    EventHeads,
    /// Events by start.
    EventStarts,
    /// Registrations by event and person.
    Registrations,
    /// Registrations by event and order.
    Orders,
    /// Registrations by person and time.
    PersonRegistrations,
    /// Who waits, by event and order.
    Waitings,
    /// How many wait in stretches of the order.
    WaitingCounts,
    /// Who waits, by event, pool and order.
    WaitingsFor,
    /// Who holds a place, by event, pool, other pool and order.
    Seateds,
    /// When something happens by itself with an event.
    EventDues,
    /// What the rest of an event's change follows from.
    EventCauses,
    /// Registrations to be decided on, by supervisor, person and event.
    Pendings,
    /// Representatives by supervisor.
    Representatives,
    /// Supervisors by representative.
    Representeds,
    /// Values of lists.
    Constants,
    /// Courses by key.
    Courses,
    /// Courses by pk.
    CoursePks,
    /// Courses by folded key, those too that were deleted.
    CourseNames,
    /// Course enrollments by course and person.
    CourseEnrollments,
    /// Course enrollments by person and course.
    PersonCourses,
    /// Roles in courses by course, person and role.
    CourseRoles,
    /// Roles in courses by person, course and role.
    PersonCourseRoles,
    /// Program enrollments by program and folded external key.
    ProgramEnrollments,
    /// Program enrollments by program and pk.
    ProgramPks,
    /// Program enrollments by person, program and curriculum.
    PersonPrograms,
}

impl Family {
    fn tag(self) -> u8 {
        match self {
            Self::People => super::PERSON,
            Self::Callsigns => super::CALLSIGN,
            Self::PersonRoles => super::PERSON_ROLES,
            Self::Roles => super::ROLE,
            Self::RoleMembers => super::ROLE_MEMBER,
            Self::Pools => super::POOL,
            Self::InviteCodes => super::INVITE_CODE,
            Self::OwnerPools => super::OWNER_POOL,
            Self::Enrollments => super::ENROLLMENT,
            Self::ApproveCodes => super::APPROVE_CODE,
            Self::PoolEnrollments => super::POOL_ENROLLMENT,
            Self::StateEnrollments => super::STATE_ENROLLMENT,
            Self::Tokens => super::TOKEN,
            Self::TokenAudits => super::TOKEN_AUDIT,
            Self::Codes => super::CODE,
            Self::CodeHashes => super::CODE_HASH,
            Self::SigningKeys => super::SIGNING_KEY,
            Self::Certificates => super::certificate::CERTIFICATE,
            Self::Holders => super::certificate::CERTIFICATES,
            Self::Revoked => super::certificate::REVOKED,
            Self::EnrollmentRequests => super::certificate::ENROLLMENT_REQUEST,
            Self::Changes => super::CHANGE,
            Self::Kept => super::KEPT,
            Self::Guesses => super::GUESSES,
            Self::Dues => super::DUE,
            Self::Events => super::event::EVENT,
            Self::EventHeads => super::event::EVENT_HEAD,
            Self::EventStarts => super::event::EVENT_START,
            Self::Registrations => super::event::REGISTRATION,
            Self::Orders => super::event::ORDER,
            Self::PersonRegistrations => super::event::PERSON_REGISTRATION,
            Self::Waitings => super::event::WAITING,
            Self::WaitingCounts => super::event::WAITING_COUNT,
            Self::WaitingsFor => super::event::WAITING_FOR,
            Self::Seateds => super::event::SEATED,
            Self::EventDues => super::event::EVENT_DUE,
            Self::EventCauses => super::event::EVENT_CAUSE,
            Self::Pendings => super::event::PENDING,
            Self::Representatives => super::event::REPRESENTATIVE,
            Self::Representeds => super::event::REPRESENTED,
            Self::Constants => super::event::CONSTANT,
            Self::Courses => super::program::COURSE,
            Self::CoursePks => super::program::COURSE_PK,
            Self::CourseNames => super::program::COURSE_NAME,
            Self::CourseEnrollments => super::program::COURSE_ENROLLMENT,
            Self::PersonCourses => super::program::PERSON_COURSE,
            Self::CourseRoles => super::program::COURSE_ROLE,
            Self::PersonCourseRoles => super::program::PERSON_COURSE_ROLE,
            Self::ProgramEnrollments => super::program::PROGRAM_ENROLLMENT,
            Self::ProgramPks => super::program::PROGRAM_PK,
            Self::PersonPrograms => super::program::PERSON_PROGRAM,
        }
    }

    /// Whether this key is one of it.
    pub fn holds(self, key: &[u8]) -> bool {
        key.first() == Some(&self.tag())
    }

    /// Its first key, and the first one behind it.
    pub fn bounds(self) -> (Vec<u8>, Vec<u8>) {
        super::prefixed(vec![self.tag()])
    }
}
