//! Invariants of certificates, their holders and the revocation list.

use std::collections::HashSet;

use enroll_protocol::Pk;

use super::{Check, hex};
use crate::model::certificate::{Certificate, Certificates, EnrollmentRequest, ListHead, Revoked, Service};
use crate::model::key::{self, Due, Family};
use crate::model::record::{self, Enrollment, Kind, Person};
use crate::state::StoreError;

impl Check<'_> {
    pub(super) fn certificates(&mut self) -> Result<(), StoreError> {
        let services = self.services()?;
        self.holders(&services)?;
        self.each::<Certificate>(Family::Certificates, |check, key, certificate| {
            *check.counts.entry(Kind::Certificate).or_default() += 1;
            let (Some(pk), Some(serial)) = (key::pk_at_front(key), key::serial_at_end(key)) else {
                check.violated("I19", hex(key), "the key of a certificate can not be read");
                return Ok(());
            };
            let person = record::get::<Person>(check.txn, &key::person(pk))?;
            let is_erased = person.is_some_and(|person| person.erased.is_some());
            if is_erased != certificate.certificate.is_empty() || (is_erased && certificate.sealed.is_some()) {
                check.violated(
                    "I28",
                    pk,
                    format!("the certificate {} and its person differ in being erased", hex(&serial)),
                );
            }
            let holder = record::get::<Certificates>(check.txn, &key::certificates(pk))?.unwrap_or_default();
            if !holder.held.iter().any(|held| held.serial == serial) {
                check.violated("I19", pk, format!("does not hold the certificate {}", hex(&serial)));
            }
            if let Some(number) = certificate.revoked
                && check.txn.get(&key::revoked(number, &serial))?.is_none()
            {
                check.violated("I20", pk, format!("the certificate {} is revoked and not listed", hex(&serial)));
            }
            Ok(())
        })?;
        self.revoked()?;
        self.each::<EnrollmentRequest>(Family::EnrollmentRequests, |check, key, _| {
            let Some(pk) = key::pk_at_end(key) else { return Ok(()) };
            if record::get::<Enrollment>(check.txn, &key::enrollment(pk))?.is_none() {
                check.violated("I10", pk, "a signing request of an enrollment that there is not");
            }
            Ok(())
        })
    }

    /// The pks of all services; the configuration has a name for each.
    fn services(&mut self) -> Result<HashSet<Pk>, StoreError> {
        let mut services = HashSet::new();
        self.each::<Service>(Family::Services, |check, key, service| {
            let holder = key::callsign(&String::from_utf8_lossy(&key[1..]));
            if check.txn.get(&holder)?.is_none() || !services.insert(service.pk) {
                check.violated("I1", service.pk, "a service whose name is not taken, or two services of one pk");
            }
            Ok(())
        })?;
        Ok(services)
    }

    fn holders(&mut self, services: &HashSet<Pk>) -> Result<(), StoreError> {
        self.each::<Certificates>(Family::Holders, |check, key, holder| {
            let Some(pk) = key::pk_at_end(key) else { return Ok(()) };
            let person = record::get::<Person>(check.txn, &key::person(pk))?;
            let deleted = person.as_ref().and_then(|person| person.deleted);
            if (person.is_none() && !services.contains(&pk)) || holder.held.is_empty() {
                check.violated("I19", pk, "certificates of nobody, or a holder of none");
            }
            for held in &holder.held {
                let key = key::certificate(pk, &held.serial);
                let Some(certificate) = record::get::<Certificate>(check.txn, &key)? else {
                    check.violated("I19", pk, format!("holds a certificate {} that there is not", hex(&held.serial)));
                    continue;
                };
                let was_valid = deleted.is_some_and(|deleted| deleted < held.ends);
                if certificate.revoked.is_some() != held.revoked || (was_valid && !held.revoked) {
                    let serial = hex(&held.serial);
                    let why = format!("the certificate {serial} is revoked and does not say so, or should be");
                    check.violated("I20", pk, why);
                }
            }
            Ok(())
        })
    }

    fn revoked(&mut self) -> Result<(), StoreError> {
        // A registry of an older version has no authority before it is started.
        let Some(head) = record::get::<ListHead>(self.txn, &key::list_head())? else { return Ok(()) };
        let mut count = 0;
        self.each::<Revoked>(Family::Revoked, |check, key, _| {
            count += 1;
            let number = key.get(1..).and_then(|rest| rest.first_chunk()).copied().map(u64::from_be_bytes);
            if number.is_none_or(|number| number > head.number) {
                let serial = key::serial_at_end(key).unwrap_or_default();
                check.violated("I20", hex(&serial), "stands in a list that there is not yet");
            }
            Ok(())
        })?;
        if count != head.revoked {
            self.violated("I20", head.number, format!("the list counts {} and has {count}", head.revoked));
        }
        if self.txn.get(&key::due(head.due, &Due::List))?.is_none() {
            self.violated("I20", head.number, "the list is not going to be renewed");
        }
        Ok(())
    }
}
