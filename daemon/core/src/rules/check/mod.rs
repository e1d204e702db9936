//! Invariants across records, each with a name. `server check` walks the whole state and lists the violations; tests
//! demand an empty list after every step.
//!
//! - I1: every folded callsign of a person or an enrollment leads to them, and to nobody else; none reads as a pk. The
//!   name of a service that has certificates leads to neither.
//! - I2: a person's roles and a role's members say the same, and deleted people have none.
//! - I3: a role's head counts its members.
//! - I4: the changes are numbered without gaps, from the first one that is kept to the head.
//! - I5: the head counts the records of each kind.
//! - I6: tokens lie under whole hashes, and what is attached to one under its pk; every hash of a login code leads to the
//!   code that has it.
//! - I7: an idempotency record lies under a uid and a key, and its parts under these and a number.
//! - I8: a pool counts the enrollments that came by it, and stands among its owner's.
//! - I9: every invite and approve code leads to the one record that has it. A deleted pool's may be another's by now.
//! - I10: an enrollment stands among those of its state, and its state, decision and person fit.
//! - I11: every expiry entry can be read.
//! - I12: every index that leads to a registration is there, and no other.
//! - I13: an event's head counts its registrations, and the stretches of its waiting list.
//! - I14: no more people hold a place than there are places, unless a merge or a lowered capacity left them.
//! - I15: no place is free while somebody who could take it waits.
//! - I16: a registration lists the pools that admit its person.
//! - I17: an event is due at the next time at which it changes by itself, and is listed by its start.
//! - I18: a supervisor's representatives and a representative's supervisors agree.
//! - I19: the certificates of a person or a service are those that they hold, and no others.
//! - I20: certificates that were valid when their person was deleted are revoked; revoked ones are in the list; the
//!   list counts its entries, and its renewal is planned.
//! - I21: a course counts its active enrollments and its roles, and its pk leads to it.
//! - I22: the people of a course and the courses of a person agree; so do roles in courses.
//! - I23: an external key leads to its enrollment, which stands among those of its program and of its person.
//! - I24: of a linked key every course is realized; of a waiting one no role is.
//! - I25: no import is under way.
//! - I26: each giver of a course enrollment or role is a linked program enrollment with that course or role; a role has
//!   one.
//! - I27: each change's MAC follows from the change and the MAC before it, up to the head's.
//! - I28: an erased person is deleted, has no extra, no certificate that can be read and no private key.

mod certificate;
mod event;
mod program;

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use enroll_protocol::changes::KeptHead;
use enroll_protocol::enrollment::State;
use enroll_protocol::fold::fold;
use enroll_protocol::server::Violation;
use enroll_protocol::{Callsign, Json, Pk, RoleName};

use super::changes;
use super::person::reads_as_pk;
use crate::fault::Fault;
use crate::identity::Secrets;
use crate::model::change::ChainedChange;
use crate::model::export_schema::{Importing, Keys, shapes};
use crate::model::hex::encode as hex;
use crate::model::idempotency::{Kept, KeptPart};
use crate::model::key::{self, Family};
use crate::model::record::{
    self, CallsignHolder, DueTogether, Enrollment, Kind, Marker, Person, PersonRoles, Pointer, Pool, Record, Role,
};
use crate::model::token::{Code, Token, TokenAudit};
use crate::state::{ReadTxn, SCAN_CHUNK, StoreError, walk};

/// Violations in a list at most: the answer must fit a frame, and nobody reads more.
const VIOLATIONS_MAX: usize = 1000;

/// The violated invariants, up to a bound.
/// Without the secret key the chain of the changes is not among them.
pub fn violations(txn: &dyn ReadTxn, secrets: Option<&Secrets>) -> Result<Vec<Violation>, StoreError> {
    let mut check =
        Check { txn, secrets, found: Vec::new(), counts: BTreeMap::new(), givers: (0, 0), walked: Vec::new() };
    check.people()?;
    check.callsigns()?;
    check.roles()?;
    check.members()?;
    check.pools()?;
    check.enrollments()?;
    check.tokens()?;
    check.codes()?;
    check.certificates()?;
    check.changes()?;
    check.kept()?;
    check.events()?;
    check.registrations()?;
    check.representatives()?;
    check.courses()?;
    check.programs()?;
    check.counts()?;
    check.import()?;
    check.others()?;
    Ok(check.found)
}

/// The difference to a head of the changes that was kept elsewhere, if there is one. Refuses a head whose change is no
/// longer in the chain.
pub fn of_kept_head(txn: &dyn ReadTxn, kept: &KeptHead) -> Result<Option<Violation>, Fault> {
    let difference = changes::compare(txn, kept)?;
    Ok(difference.map(|message| Violation {
        invariant: "I27".to_owned(),
        subject: kept.seq.to_string(),
        message: message.to_owned(),
    }))
}

struct Check<'a> {
    txn: &'a dyn ReadTxn,
    secrets: Option<&'a Secrets>,
    found: Vec<Violation>,
    counts: BTreeMap<Kind, u64>,
    /// Givers of courses and roles that were not found among the linked program enrollments yet.
    givers: (u64, u64),
    walked: Vec<Family>,
}

impl Check<'_> {
    fn violated(&mut self, invariant: &str, subject: impl ToString, message: impl Into<String>) {
        if self.found.len() == VIOLATIONS_MAX {
            return;
        }
        self.found.push(Violation {
            invariant: invariant.to_owned(),
            subject: subject.to_string(),
            message: message.into(),
        });
    }

    fn each<R: Record>(
        &mut self,
        family: Family,
        mut visit: impl FnMut(&mut Self, &[u8], R) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.walked.push(family);
        let (from, to) = family.bounds();
        let txn = self.txn;
        walk(txn, (&from, &to), SCAN_CHUNK, |key, value| {
            match record::decode::<R>(value) {
                Ok(record) => visit(self, key, record)?,
                Err(err) => self.violated("readable", hex(key), err.to_string()),
            }
            Ok(ControlFlow::Continue(()))
        })
    }

    fn people(&mut self) -> Result<(), StoreError> {
        self.each::<Person>(Family::People, |check, key, person| {
            *check.counts.entry(Kind::Person).or_default() += 1;
            let Some(pk) = key::pk_at_end(key) else { return Ok(()) };
            let holder = record::get::<CallsignHolder>(check.txn, &key::callsign(&fold(person.callsign.as_str())))?;
            if holder.and_then(|holder| holder.person) != Some(pk) {
                check.violated("I1", pk, format!("the callsign \"{}\" does not lead here", person.callsign));
            }
            check.no_pk(pk, &person.callsign);
            if person.erased.is_some() && (person.deleted.is_none() || person.extra != Json::default()) {
                check.violated("I28", pk, "was erased, and is not deleted or has an extra");
            }
            Ok(())
        })
    }

    fn no_pk(&mut self, pk: Pk, callsign: &Callsign) {
        if reads_as_pk(callsign) {
            self.violated("I1", pk, format!("the callsign \"{callsign}\" has the form of a pk"));
        }
    }

    fn callsigns(&mut self) -> Result<(), StoreError> {
        self.each::<CallsignHolder>(Family::Callsigns, |check, key, holder| {
            let leads_here = |callsign: &Callsign| key::callsign(&fold(callsign.as_str())) == key;
            if let Some(pk) = holder.person {
                let person = record::get::<Person>(check.txn, &key::person(pk))?;
                if !person.is_some_and(|person| leads_here(&person.callsign)) {
                    check.violated("I1", pk, "a callsign leads here that nobody has");
                }
            }
            if let Some(pk) = holder.enrollment {
                let enrollment = record::get::<Enrollment>(check.txn, &key::enrollment(pk))?;
                if !enrollment.is_some_and(|found| leads_here(&found.callsign) && found.person == holder.person) {
                    check.violated("I1", pk, "a callsign leads to an enrollment that has another callsign or person");
                }
            }
            let folded = String::from_utf8_lossy(&key[1..]);
            if (holder == CallsignHolder::default()) != check.txn.get(&key::service(&folded))?.is_some() {
                check.violated("I1", hex(key), "a callsign is held by nobody, or by a service and somebody");
            }
            Ok(())
        })
    }

    fn roles(&mut self) -> Result<(), StoreError> {
        self.each::<PersonRoles>(Family::PersonRoles, |check, key, held| {
            let Some(pk) = key::pk_at_end(key) else { return Ok(()) };
            let person = record::get::<Person>(check.txn, &key::person(pk))?;
            if !held.roles.is_empty() && person.is_none_or(|person| person.deleted.is_some()) {
                check.violated("I2", pk, "roles of a person who does not exist or is deleted");
            }
            for role in &held.roles {
                if check.txn.get(&key::role_member(role, pk))?.is_none() {
                    check.violated("I2", pk, format!("has the role {role} and is not among its members"));
                }
            }
            Ok(())
        })
    }

    fn members(&mut self) -> Result<(), StoreError> {
        let mut members: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
        self.each::<record::RoleMember>(Family::RoleMembers, |check, key, _| {
            let Some((role, pk)) = role_and_pk(key) else {
                check.violated("I2", hex(key), "the key of a role's member can not be read");
                return Ok(());
            };
            let held = record::get::<PersonRoles>(check.txn, &key::person_roles(pk))?.unwrap_or_default();
            if !held.roles.contains(&role) {
                check.violated("I2", pk, format!("is among the members of {role} and does not have it"));
            }
            *members.entry(key::role(&role)).or_default() += 1;
            Ok(())
        })?;
        self.each::<Role>(Family::Roles, |check, key, role| {
            let counted = members.remove(key).unwrap_or(0);
            if counted != role.members {
                let message = format!("counts {} members and has {counted}", role.members);
                check.violated("I3", String::from_utf8_lossy(&key[1..]), message);
            }
            Ok(())
        })?;
        for (role, counted) in members {
            self.violated("I3", String::from_utf8_lossy(&role[1..]), format!("has {counted} members and no head"));
        }
        Ok(())
    }

    fn pools(&mut self) -> Result<(), StoreError> {
        let mut uses: BTreeMap<Pk, u32> = BTreeMap::new();
        self.each::<Marker>(Family::PoolEnrollments, |check, key, _| {
            let (Some(pool), Some(pk)) = (key::pk_at_front(key), key::pk_at_end(key)) else { return Ok(()) };
            let enrollment = record::get::<Enrollment>(check.txn, &key::enrollment(pk))?;
            if enrollment.is_none_or(|enrollment| enrollment.pool != Some(pool)) {
                check.violated("I8", pk, "stands among the enrollments of a pool that it did not come by");
            }
            *uses.entry(pool).or_default() += 1;
            Ok(())
        })?;
        self.each::<Pool>(Family::Pools, |check, key, pool| {
            *check.counts.entry(Kind::Pool).or_default() += 1;
            let Some(pk) = key::pk_at_end(key) else { return Ok(()) };
            let counted = uses.remove(&pk).unwrap_or(0);
            if counted != pool.uses {
                check.violated("I8", pk, format!("counts {} uses and has {counted}", pool.uses));
            }
            let by_code = record::get::<Pointer>(check.txn, &key::invite_code(&pool.invitecode))?;
            if pool.deleted.is_none() && by_code != Some(Pointer { pk }) {
                check.violated("I9", pk, "its invite code does not lead here");
            }
            if check.txn.get(&key::owner_pool(pool.owner, pk))?.is_none() {
                check.violated("I8", pk, "does not stand among its owner's pools");
            }
            Ok(())
        })?;
        self.each::<Pointer>(Family::InviteCodes, |check, key, Pointer { pk }| {
            let pool = record::get::<Pool>(check.txn, &key::pool(pk))?;
            if pool.is_none_or(|pool| key::invite_code(&pool.invitecode) != key) {
                check.violated("I9", pk, "an invite code leads here that is not this pool's");
            }
            Ok(())
        })
    }

    fn enrollments(&mut self) -> Result<(), StoreError> {
        self.each::<Enrollment>(Family::Enrollments, |check, key, enrollment| {
            *check.counts.entry(Kind::Enrollment).or_default() += 1;
            let Some(pk) = key::pk_at_end(key) else { return Ok(()) };
            let key = key::callsign(&fold(enrollment.callsign.as_str()));
            let holder = record::get::<CallsignHolder>(check.txn, &key)?;
            if holder.and_then(|holder| holder.enrollment) != Some(pk) {
                check.violated("I1", pk, format!("the callsign \"{}\" does not lead here", enrollment.callsign));
            }
            check.no_pk(pk, &enrollment.callsign);
            let by_code = record::get::<Pointer>(check.txn, &key::approve_code(&enrollment.approvecode))?;
            if by_code != Some(Pointer { pk }) {
                check.violated("I9", pk, "its approve code does not lead here");
            }
            if check.txn.get(&key::state_enrollment(enrollment.state, pk))?.is_none() {
                check.violated("I10", pk, "does not stand among those of its state");
            }
            let is_pending = enrollment.state == State::Pending;
            let is_decided = enrollment.decided_by.is_some() && enrollment.decided_on.is_some();
            if is_pending == is_decided || (enrollment.state == State::Approved) != enrollment.person.is_some() {
                check.violated("I10", pk, "its state, its decision and its person do not fit");
            }
            Ok(())
        })?;
        self.each::<Marker>(Family::StateEnrollments, |check, key, _| {
            let Some(pk) = key::pk_at_end(key) else { return Ok(()) };
            let enrollment = record::get::<Enrollment>(check.txn, &key::enrollment(pk))?;
            if enrollment.is_none_or(|enrollment| key::state_enrollment(enrollment.state, pk) != key) {
                check.violated("I10", pk, "stands among those of another state");
            }
            Ok(())
        })?;
        self.each::<Pointer>(Family::ApproveCodes, |check, key, Pointer { pk }| {
            let enrollment = record::get::<Enrollment>(check.txn, &key::enrollment(pk))?;
            if enrollment.is_none_or(|enrollment| key::approve_code(&enrollment.approvecode) != key) {
                check.violated("I9", pk, "an approve code leads here that is not this enrollment's");
            }
            Ok(())
        })
    }

    fn tokens(&mut self) -> Result<(), StoreError> {
        self.each::<Token>(Family::Tokens, |check, key, token| {
            *check.counts.entry(Kind::Token).or_default() += 1;
            if key.len() != 33 {
                check.violated("I6", token.pk, "a token does not lie under a hash");
            }
            Ok(())
        })?;
        self.each::<TokenAudit>(Family::TokenAudits, |check, key, audit| {
            let token = record::get::<Token>(check.txn, &key::token(&audit.hash))?;
            if token.is_none_or(|token| key::token_audit(token.pk) != key) {
                check.violated("I6", hex(key), "something is attached to a token that is not there");
            }
            Ok(())
        })
    }

    fn codes(&mut self) -> Result<(), StoreError> {
        self.each::<Code>(Family::Codes, |check, key, code| {
            *check.counts.entry(Kind::Code).or_default() += 1;
            let pointer = record::get::<Pointer>(check.txn, &key::code_hash(&code.hash))?;
            if pointer.is_none_or(|pointer| key::code(pointer.pk) != key) {
                check.violated("I6", hex(key), "its hash does not lead to a login code");
            }
            Ok(())
        })?;
        self.each::<Pointer>(Family::CodeHashes, |check, key, Pointer { pk }| {
            let code = record::get::<Code>(check.txn, &key::code(pk))?;
            if code.is_none_or(|code| key::code_hash(&code.hash) != key) {
                check.violated("I6", pk, "a hash leads here that is not this login code's");
            }
            Ok(())
        })
    }

    fn changes(&mut self) -> Result<(), StoreError> {
        let head = changes::head(self.txn)?;
        let mut next = head.forgotten + 1;
        let mut mac = head.chain.from_mac;
        self.each::<ChainedChange>(Family::Changes, |check, key, ChainedChange { change, mac: stored }| {
            let seq = key::seq_at_end(key).unwrap_or(0);
            if seq != next {
                check.violated("I4", seq, format!("change {next} was to come here"));
            }
            next = seq + 1;
            if seq > head.chain.from {
                let expected = check.secrets.map(|secrets| ChainedChange::encode(secrets, &mac, seq, &change).1);
                if expected.is_some_and(|expected| expected != stored) {
                    check.violated("I27", seq, "this change or one before it is not as it was committed");
                }
                // Goes on from what is stored: one change that was altered is one finding.
                mac = stored;
            }
            Ok(())
        })?;
        if head.seq != next - 1 {
            self.violated("I4", head.seq, format!("the head is {}, and the last change is {}", head.seq, next - 1));
        }
        if mac != head.chain.mac {
            self.violated("I27", head.seq, "the last changes are not those that the head was written with");
        }
        Ok(())
    }

    fn kept(&mut self) -> Result<(), StoreError> {
        self.each::<Kept>(Family::Kept, |check, key, _| {
            if key.len() != 21 {
                check.violated("I7", hex(key), "a kept answer does not lie under a uid and a key");
            }
            Ok(())
        })?;
        self.each::<KeptPart>(Family::KeptParts, |check, key, _| {
            if key.len() != 25 {
                check.violated("I7", hex(key), "a part of a kept answer does not lie under a uid, a key and a number");
            }
            Ok(())
        })?;
        self.each::<DueTogether>(Family::Dues, |check, key, together| {
            let is_readable = |other: &Vec<u8>| key::Due::of_key(other).is_some();
            if key::due_of(key).is_none() || !together.others.iter().all(is_readable) {
                check.violated("I11", hex(key), "what is due here can not be read");
            }
            Ok(())
        })
    }

    fn import(&mut self) -> Result<(), StoreError> {
        if let Some(importing) = record::get::<Importing>(self.txn, &key::importing())? {
            let message = "an import is not finished: begin it again with the whole file";
            self.violated("I25", format!("{} bytes", importing.bytes), message);
        }
        Ok(())
    }

    /// Records that no invariant above is about must still be readable.
    fn others(&mut self) -> Result<(), StoreError> {
        let txn = self.txn;
        for shape in shapes() {
            let (from, to) = match &shape.keys {
                Keys::One(key) => key::prefixed(key()),
                Keys::Many(family, _) if self.walked.contains(family) => continue,
                Keys::Many(family, _) => family.bounds(),
            };
            walk(txn, (&from, &to), SCAN_CHUNK, |key, value| {
                if let Err(err) = shape.check(key, value) {
                    self.violated("readable", hex(key), err.to_string());
                }
                Ok::<_, StoreError>(ControlFlow::Continue(()))
            })?;
        }
        Ok(())
    }

    fn counts(&mut self) -> Result<(), StoreError> {
        let head = changes::head(self.txn)?.records;
        for (kind, name) in Kind::ALL {
            let (counted, is) = (head.get(&kind).copied().unwrap_or(0), self.counts.get(&kind).copied().unwrap_or(0));
            if counted != is {
                self.violated("I5", name, format!("the head counts {counted}, and there are {is}"));
            }
        }
        Ok(())
    }
}

fn role_and_pk(key: &[u8]) -> Option<(RoleName, Pk)> {
    let pk = key::pk_at_end(key)?;
    let name = key.get(1..key.len().checked_sub(17)?)?;
    Some((RoleName::new(std::str::from_utf8(name).ok()?).ok()?, pk))
}
