//! The comparison of what a store holds with the model: record by record, after each start and at the end.

use enroll_core::model::event::{self, Stand};
use enroll_core::model::key::{self, Family};
use enroll_core::model::record::{self, CallsignHolder, PersonRoles, Record};
use enroll_core::state::ReadTxn;
use enroll_protocol::Pk;
use enroll_protocol::fold::fold;

use super::answers::of_roles;
use super::model::Model;
use super::operations::{NAMES, callsign};
use super::people::Person;
use crate::event_model;

/// Fails at the first difference.
pub(super) fn compare(model: &Model, view: &dyn ReadTxn) -> Result<(), String> {
    for name in 0..NAMES {
        compare_name(model, view, name).map_err(|wrong| format!("{}: {wrong}", callsign(name)))?;
    }
    for pool in model.pools.values() {
        let stored = require::<record::Pool>(view, &key::pool(pool.pk))?;
        let found = (stored.active, stored.uses, stored.deleted.is_some());
        same("the pool", &found, &(pool.is_active, pool.uses, pool.is_deleted))?;
    }
    let (from, to) = Family::Tokens.bounds();
    let tokens = view.range(&from, &to, usize::MAX).map_err(|err| err.to_string())?.len();
    same("the spent tokens", &tokens, &model.tokens.len())?;
    model.events.values().try_for_each(|state| compare_event(model, view, state.pk, &state.event))
}

fn compare_name(model: &Model, view: &dyn ReadTxn, name: usize) -> Result<(), String> {
    let holder = get::<CallsignHolder>(view, &key::callsign(&fold(&callsign(name))))?.unwrap_or_default();
    if let Some(person) = model.people.get(&name).filter(|person| person.is_erased) {
        return compare_erased(view, person, holder);
    }
    let expected = (model.people.get(&name).map(|of| of.pk), model.enrollments.get(&name).map(|of| of.pk));
    same("the holder of the callsign", &(holder.person, holder.enrollment), &expected)?;
    if let Some(person) = model.people.get(&name) {
        let stored = require::<record::Person>(view, &key::person(person.pk))?;
        let roles = get::<PersonRoles>(view, &key::person_roles(person.pk))?.unwrap_or_default();
        let found = (stored.deleted.is_some(), stored.is_revoked, stored.life, of_roles(&roles.roles)?);
        same("the person", &found, &(person.is_deleted, person.is_revoked, person.life, person.roles.clone()))?;
    }
    if let Some(enrollment) = model.enrollments.get(&name) {
        let stored = require::<record::Enrollment>(view, &key::enrollment(enrollment.pk))?;
        same("the enrollment", &(stored.state, stored.pool), &(enrollment.state, enrollment.pool))?;
    }
    Ok(())
}

fn compare_erased(view: &dyn ReadTxn, person: &Person, holder: CallsignHolder) -> Result<(), String> {
    same("the holder of an erased callsign", &(holder.person, holder.enrollment), &(None, None))?;
    let stored = require::<record::Person>(view, &key::person(person.pk))?;
    let found = (stored.deleted.is_some(), stored.erased.is_some(), stored.callsign.as_str());
    same("the erased person", &found, &(true, true, format!("erased-{}", person.pk).as_str()))
}

fn compare_event(model: &Model, view: &dyn ReadTxn, pk: Pk, event: &event_model::Event) -> Result<(), String> {
    let event::Event { pools, published, canceled, .. } = require::<event::Event>(view, &key::event(pk))?;
    let names: Vec<_> = pools.iter().map(|pool| (pool.name.as_str(), pool.capacity)).collect();
    let expected: Vec<_> = event.pools.iter().map(|pool| (pool.name.as_str(), pool.capacity)).collect();
    same("the event", &(published, canceled, names), &(event.is_published, event.is_canceled, expected))?;
    for registration in &event.registrations {
        let name = callsign(registration.person);
        let person = model.people.get(&registration.person).ok_or("a registration of nobody")?.pk;
        let stored = require::<event::Registration>(view, &key::registration(pk, person))?;
        let stand = match stored.stand {
            Stand::Out => event_model::Stand::Out,
            Stand::Waiting => event_model::Stand::Waiting,
            Stand::Seated(slot) => event_model::Stand::Seated(
                pools.iter().find(|pool| pool.slot == slot).map(|pool| pool.name.as_str().to_owned()),
            ),
        };
        let found = (stand, stored.canceled_at.is_some(), stored.approval);
        let expected = (registration.stand.clone(), registration.is_canceled, registration.approval);
        same(&format!("the registration of {name}"), &found, &expected)?;
    }
    let (from, to) = key::prefixed(key::registereds(pk));
    let count = view.range(&from, &to, usize::MAX).map_err(|err| err.to_string())?.len();
    same("the registrations", &count, &event.registrations.len())
}

/// Fails if what was found is not what was expected.
pub(super) fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: &T, expected: &T) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("{what} is {found:?}, and the model says {expected:?}")) }
}

fn get<R: Record>(view: &dyn ReadTxn, key: &[u8]) -> Result<Option<R>, String> {
    record::get(view, key).map_err(|err| err.to_string())
}

fn require<R: Record>(view: &dyn ReadTxn, key: &[u8]) -> Result<R, String> {
    get(view, key)?.ok_or_else(|| "a record is missing".to_owned())
}
