//! Grounds of refusal: the codes that each operation may answer. A debug build of the daemon holds its rules to them, so
//! each test does.

use crate::operations::OperationRow;
use crate::refusal::Code;

/// Codes that any operation may answer, whatever its row of [`TABLE`] says.
pub const OF_ALL: &[Code] = &[
    Code::INVALID_ARGUMENT,
    Code::PERMISSION_DENIED,
    Code::KEY_REUSED,
    Code::BUSY,
    Code::TOO_LARGE,
    Code::STORAGE,
    Code::OUTCOME_UNKNOWN,
    Code::UNAVAILABLE,
    Code::SHUTTING_DOWN,
    Code::INTERNAL,
    Code::UNKNOWN_OPERATION,
];

/// Codes that a call on behalf of an actor may answer beside those of its operation: there is no such person, they are
/// deleted, or their session is not valid.
pub const OF_ACTOR: &[Code] = &[Code::NOT_FOUND, Code::DELETED, Code::JWT_INVALID];

/// A row per operation: its name and the codes that its rule answers beside [`OF_ALL`], in the order of their numbers.
/// A transaction answers the codes of its units, and
/// while an import is under way every write is refused as `conflict`.
#[rustfmt::skip]
pub const TABLE: &[(&str, &[Code])] = &[
    ("person.create", &[Code::CALLSIGN_RESERVED, Code::EXPIRED, Code::CSR_MISMATCH]),
    ("person.get", &[Code::NOT_FOUND, Code::DELETED]),
    ("person.list", &[]),
    ("person.find", &[Code::NOT_FOUND, Code::DELETED]),
    ("person.update", &[Code::NOT_FOUND, Code::DELETED]),
    ("person.delete", &[Code::NOT_FOUND, Code::DELETED]),
    ("person.revoke", &[Code::NOT_FOUND, Code::DELETED]),
    ("person.restore", &[Code::NOT_FOUND, Code::CONFLICT, Code::CALLSIGN_RESERVED]),
    ("person.erase", &[Code::NOT_FOUND, Code::CONFLICT]),
    ("role.assign", &[Code::NOT_FOUND, Code::DELETED, Code::CONFLICT]),
    ("role.remove", &[Code::NOT_FOUND, Code::DELETED]),
    ("role.has", &[Code::NOT_FOUND, Code::DELETED]),
    ("role.list", &[Code::NOT_FOUND, Code::DELETED]),
    ("permission.grant", &[Code::CONFLICT]),
    ("permission.revoke", &[]),
    ("permission.has", &[Code::NOT_FOUND, Code::DELETED]),
    ("permission.list", &[]),
    ("token.use", &[Code::TOKEN_REUSE, Code::EXPIRED]),
    ("token.get", &[Code::NOT_FOUND]),
    ("token.delete", &[Code::FORBIDDEN_OPERATION]),
    ("code.create", &[Code::DELETED, Code::CODE_EXHAUSTED]),
    ("code.use", &[Code::NOT_FOUND, Code::DELETED, Code::TOKEN_REUSE, Code::EXPIRED, Code::TOO_MANY_ATTEMPTS]),
    ("code.get", &[Code::NOT_FOUND, Code::TOO_MANY_ATTEMPTS]),
    ("code.delete", &[Code::FORBIDDEN_OPERATION]),
    ("jwt.verify", &[Code::JWT_INVALID]),
    ("jwt.keys", &[]),
    ("jwt.refresh", &[Code::JWT_INVALID]),
    ("jwt.rotate", &[]),
    ("jwt.exchange", &[Code::TOKEN_REUSE, Code::JWT_INVALID]),
    ("changes.list", &[Code::EXPIRED]),
    ("changes.follow", &[Code::EXPIRED]),
    ("changes.head", &[]),
    ("server.status", &[]),
    ("server.check", &[Code::EXPIRED]),
    ("server.metrics", &[]),
    ("server.backup", &[]),
    ("server.export", &[]),
    ("server.import", &[Code::CONFLICT]),
    ("server.accept_clock", &[]),
    ("server.snapshot", &[]),
    ("pool.create", &[Code::NOT_FOUND, Code::DELETED, Code::CONFLICT, Code::CODE_EXHAUSTED]),
    ("pool.get", &[Code::NOT_FOUND, Code::DELETED, Code::TOO_MANY_ATTEMPTS]),
    ("pool.list", &[Code::NOT_FOUND]),
    ("pool.update", &[Code::NOT_FOUND, Code::DELETED, Code::TOO_MANY_ATTEMPTS]),
    ("pool.set_active", &[Code::NOT_FOUND, Code::DELETED, Code::TOO_MANY_ATTEMPTS]),
    ("pool.reset_code", &[
        Code::NOT_FOUND, Code::DELETED, Code::CONFLICT, Code::CODE_EXHAUSTED, Code::TOO_MANY_ATTEMPTS,
    ]),
    ("pool.delete", &[Code::NOT_FOUND, Code::DELETED, Code::TOO_MANY_ATTEMPTS]),
    ("pool.check", &[Code::TOO_MANY_ATTEMPTS]),
    ("enrollment.create", &[
        Code::NOT_FOUND, Code::DELETED, Code::CODE_EXHAUSTED, Code::CALLSIGN_RESERVED, Code::EXPIRED,
        Code::TOO_MANY_ATTEMPTS, Code::POOL_INACTIVE, Code::POOL_EXHAUSTED, Code::CSR_MISMATCH,
    ]),
    ("enrollment.get", &[Code::NOT_FOUND]),
    ("enrollment.find", &[Code::NOT_FOUND, Code::TOO_MANY_ATTEMPTS]),
    ("enrollment.list", &[Code::NOT_FOUND, Code::TOO_MANY_ATTEMPTS]),
    ("enrollment.approve", &[
        Code::NOT_FOUND, Code::CALLSIGN_RESERVED, Code::EXPIRED, Code::TOO_MANY_ATTEMPTS, Code::ALREADY_DECIDED,
        Code::CODE_MISMATCH, Code::CSR_MISMATCH,
    ]),
    ("enrollment.reject", &[Code::NOT_FOUND, Code::ALREADY_DECIDED]),
    ("enrollment.reset_code", &[Code::NOT_FOUND, Code::CODE_EXHAUSTED, Code::ALREADY_DECIDED]),
    ("enrollment.delete", &[Code::FORBIDDEN_OPERATION]),
    ("enrollment.reopen", &[Code::NOT_FOUND, Code::CONFLICT, Code::CODE_EXHAUSTED, Code::ALREADY_DECIDED]),
    ("enrollment.update", &[Code::NOT_FOUND, Code::ALREADY_DECIDED]),
    ("event.create", &[Code::NOT_FOUND, Code::DELETED]),
    ("event.get", &[Code::NOT_FOUND]),
    ("event.list", &[Code::NOT_FOUND]),
    ("event.update", &[Code::NOT_FOUND, Code::DELETED, Code::EVENT_HAS_REGISTRATIONS, Code::INVALID_TRANSITION]),
    ("event.publish", &[Code::NOT_FOUND, Code::INVALID_TRANSITION]),
    ("event.unpublish", &[Code::NOT_FOUND, Code::EVENT_HAS_REGISTRATIONS, Code::INVALID_TRANSITION]),
    ("event.cancel", &[Code::NOT_FOUND, Code::INVALID_TRANSITION]),
    ("event.add_pool", &[Code::NOT_FOUND, Code::CONFLICT, Code::POOL_HAS_REGISTRATIONS]),
    ("event.update_pool", &[Code::NOT_FOUND, Code::CONFLICT]),
    ("event.remove_pool", &[Code::NOT_FOUND, Code::POOL_HAS_REGISTRATIONS]),
    ("registration.create", &[
        Code::NOT_FOUND, Code::DELETED, Code::REGISTRATION_NOT_REQUIRED, Code::EVENT_NOT_PUBLISHED,
        Code::EVENT_CANCELED, Code::EVENT_PAST, Code::REGISTRATION_CLOSED, Code::REGISTRATION_NOT_OPEN,
        Code::ALREADY_REGISTERED, Code::NO_PERMISSION, Code::NO_FREE_SLOTS,
    ]),
    ("registration.cancel", &[Code::NOT_FOUND, Code::DELETED, Code::REGISTRATION_CLOSED, Code::INVALID_TRANSITION]),
    ("registration.get", &[Code::NOT_FOUND]),
    ("registration.list", &[Code::NOT_FOUND]),
    ("registration.approve", &[
        Code::NOT_FOUND, Code::DELETED, Code::REGISTRATION_NOT_OPEN, Code::NO_PERMISSION, Code::NO_FREE_SLOTS,
        Code::INVALID_TRANSITION,
    ]),
    ("registration.reject", &[Code::NOT_FOUND, Code::DELETED, Code::INVALID_TRANSITION]),
    ("registration.explain", &[Code::NOT_FOUND, Code::DELETED]),
    ("registration.place", &[
        Code::NOT_FOUND, Code::DELETED, Code::CONFLICT, Code::REGISTRATION_NOT_REQUIRED, Code::EVENT_NOT_PUBLISHED,
        Code::EVENT_CANCELED, Code::EVENT_PAST,
    ]),
    ("supervisor.assign", &[Code::NOT_FOUND, Code::DELETED, Code::CONFLICT]),
    ("supervisor.unassign", &[Code::NOT_FOUND, Code::DELETED]),
    ("supervisor.add_representative", &[Code::NOT_FOUND, Code::DELETED, Code::CONFLICT]),
    ("supervisor.remove_representative", &[Code::NOT_FOUND, Code::DELETED]),
    ("supervisor.pending", &[Code::NOT_FOUND, Code::DELETED]),
    ("constant.set", &[Code::CONFLICT]),
    ("constant.remove", &[]),
    ("constant.list", &[]),
    ("certificate.get", &[Code::NOT_FOUND, Code::DELETED]),
    ("certificate.key", &[Code::NOT_FOUND, Code::DELETED]),
    ("certificate.pfx", &[Code::NOT_FOUND, Code::DELETED]),
    ("certificate.renew", &[Code::NOT_FOUND, Code::DELETED, Code::CONFLICT, Code::EXPIRED, Code::CSR_MISMATCH]),
    ("certificate.ca", &[]),
    ("certificate.crl", &[]),
    ("certificate.revoke", &[Code::NOT_FOUND]),
    ("certificate.issue", &[Code::CONFLICT, Code::EXPIRED, Code::CSR_MISMATCH]),
    ("course.create", &[Code::CONFLICT]),
    ("course.get", &[Code::NOT_FOUND]),
    ("course.list", &[]),
    ("course.delete", &[Code::CONFLICT]),
    ("course.enroll", &[Code::NOT_FOUND, Code::DELETED]),
    ("course.unenroll", &[Code::NOT_FOUND]),
    ("course.enrollments", &[Code::NOT_FOUND]),
    ("course.roles", &[Code::NOT_FOUND]),
    ("program.enroll", &[]),
    ("program.enroll_course", &[Code::NOT_FOUND]),
    ("program.assign_course_role", &[Code::NOT_FOUND, Code::CONFLICT]),
    ("program.link", &[]),
    ("program.unlink", &[]),
    ("program.enrollments", &[Code::NOT_FOUND]),
    ("cluster.status", &[]),
    ("cluster.hand_over", &[Code::NOT_FOUND, Code::CONFLICT]),
    ("transaction.run", &[]),
];

impl OperationRow {
    /// The codes that the rule of this operation answers, beside [`OF_ALL`] and [`OF_ACTOR`].
    ///
    /// ```
    /// use enroll_protocol::{Code, OperationRow};
    ///
    /// let row = OperationRow::by_name("token.use").expect("an operation");
    /// assert_eq!(row.grounds(), [Code::TOKEN_REUSE, Code::EXPIRED]);
    /// ```
    pub fn grounds(&self) -> &'static [Code] {
        TABLE.iter().find(|(name, _)| *name == self.name).map_or(&[], |(_, codes)| codes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operations;

    #[test]
    fn each_operation_has_its_row_with_codes_in_order() {
        let operations: Vec<_> = operations::TABLE.iter().map(|row| row.name).collect();
        assert_eq!(TABLE.iter().map(|(name, _)| *name).collect::<Vec<_>>(), operations);
        for (name, codes) in TABLE {
            assert!(codes.is_sorted() && codes.iter().all(|code| !OF_ALL.contains(code)), "{name}");
        }
    }
}
