//! The people of the model of a simulation: who is there, who is deleted and who is erased, with what follows for their
//! roles, places and certificates.

use std::collections::BTreeSet;

use enroll_protocol::{Code, Pk, Time};

use super::certificates::Held;
use super::model::{Done, Model, Reply};

/// A person. Roles are those that count: none of a deleted one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Person {
    pub(super) pk: Pk,
    pub(super) roles: BTreeSet<&'static str>,
    pub(super) created: Time,
    pub(super) is_deleted: bool,
    pub(super) is_revoked: bool,
    /// A deletion revoked certificates of theirs.
    pub(super) is_withdrawn: bool,
    /// The personal data were erased. The callsign stays reserved, and names nobody.
    pub(super) is_erased: bool,
    /// The number of restorations.
    pub(super) life: u32,
    /// The latest one last.
    pub(super) certificates: Vec<Held>,
}

impl Person {
    /// Somebody new, without roles.
    pub(super) fn new(pk: Pk, created: Time) -> Self {
        let (is_deleted, is_revoked, is_withdrawn, is_erased) = (false, false, false, false);
        let (roles, certificates, life) = (BTreeSet::new(), Vec::new(), 0);
        Self { pk, roles, created, is_deleted, is_revoked, is_withdrawn, is_erased, life, certificates }
    }
}

impl Model {
    /// The person whom a callsign names, deleted or not.
    pub(super) fn there(&self, name: usize) -> Result<&Person, Code> {
        self.people.get(&name).filter(|person| !person.is_erased).ok_or(Code::NOT_FOUND)
    }

    /// The person whom a callsign names, who is not deleted.
    pub(super) fn live(&self, name: usize) -> Result<&Person, Code> {
        let person = self.there(name)?;
        if person.is_deleted { Err(Code::DELETED) } else { Ok(person) }
    }

    /// The answer about a person.
    pub(super) fn person(&self, name: usize) -> Reply {
        let Person { pk, roles, is_deleted, is_revoked, is_withdrawn, .. } = self.people[&name].clone();
        Reply::Person { pk, name, roles, is_deleted, is_revoked: is_revoked || is_withdrawn }
    }

    /// Deletes or revokes a person, who loses roles, places and certificates.
    pub(super) fn delete(&mut self, name: usize, is_revoked: bool, at: Time) -> Result<Done, Code> {
        self.live(name)?;
        let before = self.attending();
        let is_withdrawn = self.revoke_certificates(name) > 0 && !is_revoked;
        let person = self.people.get_mut(&name).ok_or(Code::NOT_FOUND)?;
        (person.is_deleted, person.is_revoked, person.is_withdrawn) = (true, is_revoked, is_withdrawn);
        person.roles.clear();
        let pk = person.pk;
        self.leave_events(name, &before, at);
        Ok((self.person(name), Some(vec![pk])))
    }

    /// Changes the roles of a person; who waits may have a place then.
    pub(super) fn change_role(
        &mut self,
        name: usize,
        at: Time,
        change: impl FnOnce(&mut BTreeSet<&'static str>) -> bool,
    ) -> Result<Done, Code> {
        self.live(name)?;
        let before = self.attending();
        let person = self.people.get_mut(&name).ok_or(Code::NOT_FOUND)?;
        let (pk, is_changed) = (person.pk, change(&mut person.roles));
        if is_changed {
            self.readmit(name, &before, at);
        }
        Ok((Reply::Changed(is_changed), is_changed.then(|| vec![pk])))
    }
}
