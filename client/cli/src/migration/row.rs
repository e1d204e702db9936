//! A row of any kind, read from its fields: one record to carry.

use enroll_client::Error;
use enroll_client::protocol::Time;

use super::enrollment::Enrollment;
use super::fields::Fields;
use super::kind::Kind;
use super::outcome::{Caller, Outcome};
use super::person::{Person, Role};
use super::pool::Pool;
use super::secret::{Login, Spent};

/// A record to carry.
#[derive(Debug)]
pub(super) enum Item {
    Person(Person),
    Role(Role),
    Pool(Pool),
    Enrollment(Enrollment),
    Spent(Spent),
    Login(Login),
}

impl Item {
    /// Reads the record. The error names the field.
    pub(super) fn read(kind: Kind, fields: &Fields, now: Time) -> Result<Self, String> {
        let shape = kind.shape();
        match kind {
            Kind::People => Person::read(fields, shape).map(Self::Person),
            Kind::Roles => Role::read(fields).map(Self::Role),
            Kind::Pools => Pool::read(fields, shape).map(Self::Pool),
            Kind::Enrollments => Enrollment::read(fields, shape).map(Self::Enrollment),
            Kind::Tokens => Spent::read(fields, shape, now).map(Self::Spent),
            Kind::Codes => Login::read(fields, shape, now).map(Self::Login),
        }
    }

    /// The natural name, by which it is known again. Two that differ in case only are one, so a token is spelled out.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Person(person) => person.name(),
            Self::Role(role) => role.name(),
            Self::Pool(pool) => pool.name(),
            Self::Enrollment(enrollment) => enrollment.name(),
            Self::Spent(spent) => spent.name(),
            Self::Login(login) => login.name(),
        }
    }

    /// Carries it. An error is of the connection, and says nothing of the record.
    pub(super) async fn carry(self, caller: &Caller) -> Result<Outcome, Error> {
        match self {
            Self::Person(person) => person.carry(caller).await,
            Self::Role(role) => role.carry(caller).await,
            Self::Pool(pool) => pool.carry(caller).await,
            Self::Enrollment(enrollment) => enrollment.carry(caller).await,
            Self::Spent(spent) => spent.carry(caller).await,
            Self::Login(login) => login.carry(caller).await,
        }
    }
}
