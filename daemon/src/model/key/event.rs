//! The keys of events and registrations, of supervisors and of constants.

use enroll_protocol::{ListName, Pk, Time};

use super::{from_time, prefixed, time_of};
use crate::model::event::Slot;

pub(super) const EVENT: u8 = 0x50;
pub(super) const EVENT_HEAD: u8 = 0x51;
pub(super) const EVENT_START: u8 = 0x52;
pub(super) const REGISTRATION: u8 = 0x53;
pub(super) const ORDER: u8 = 0x54;
pub(super) const PERSON_REGISTRATION: u8 = 0x55;
pub(super) const WAITING: u8 = 0x56;
pub(super) const WAITING_COUNT: u8 = 0x57;
pub(super) const WAITING_FOR: u8 = 0x58;
pub(super) const SEATED: u8 = 0x59;
pub(super) const EVENT_DUE: u8 = 0x5a;
pub(super) const EVENT_CAUSE: u8 = 0x5b;
pub(super) const PENDING: u8 = 0x5c;
pub(super) const REPRESENTATIVE: u8 = 0x61;
pub(super) const REPRESENTED: u8 = 0x62;
pub(super) const CONSTANT: u8 = 0x63;

fn of_pk(tag: u8, pk: Pk) -> Vec<u8> {
    [&[tag], pk.as_bytes().as_slice()].concat()
}

fn of_pks(tag: u8, first: Pk, second: Pk) -> Vec<u8> {
    [&[tag], first.as_bytes().as_slice(), second.as_bytes()].concat()
}

/// An event.
pub fn event(pk: Pk) -> Vec<u8> {
    of_pk(EVENT, pk)
}

/// The head of an event's registrations.
pub fn event_head(event: Pk) -> Vec<u8> {
    of_pk(EVENT_HEAD, event)
}

/// An event in the order of their starts.
pub fn event_start(start: Time, event: Pk) -> Vec<u8> {
    [&[EVENT_START], from_time(start).as_slice(), event.as_bytes()].concat()
}

/// A registration.
pub fn registration(event: Pk, person: Pk) -> Vec<u8> {
    of_pks(REGISTRATION, event, person)
}

/// Who registered for an event as the how manieth.
pub fn order(event: Pk, order: u64) -> Vec<u8> {
    [of_pk(ORDER, event).as_slice(), &order.to_be_bytes()].concat()
}

/// What begins everybody who registered for an event.
pub fn orders(event: Pk) -> Vec<u8> {
    of_pk(ORDER, event)
}

/// A person's registration, by when it was made.
pub fn person_registration(person: Pk, at: Time, event: Pk) -> Vec<u8> {
    [of_pk(PERSON_REGISTRATION, person).as_slice(), &from_time(at), event.as_bytes()].concat()
}

/// What begins every registration of a person.
pub fn person_registrations(person: Pk) -> Vec<u8> {
    of_pk(PERSON_REGISTRATION, person)
}

/// Who waits, in order.
pub fn waiting(event: Pk, order: u64) -> Vec<u8> {
    [of_pk(WAITING, event).as_slice(), &order.to_be_bytes()].concat()
}

/// What begins everybody who waits.
pub fn waitings(event: Pk) -> Vec<u8> {
    of_pk(WAITING, event)
}

/// How many wait in a stretch of the order: stretches of one level are as long as one another.
pub fn waiting_count(event: Pk, level: u8, stretch: u64) -> Vec<u8> {
    [of_pk(WAITING_COUNT, event).as_slice(), &[level], &stretch.to_be_bytes()].concat()
}

/// The event and the stretch of the order that such a key counts; the last stretch has no end.
pub fn waiting_stretch(key: &[u8]) -> Option<(Pk, u64, Option<u64>)> {
    let bits = 6 * u32::from(*key.get(17)?);
    let stretch = super::seq_at_end(key)?;
    Some((super::pk_at_front(key)?, stretch << bits, (stretch + 1).checked_shl(bits)))
}

/// Who waits and is admitted by a pool, in order.
pub fn waiting_for(event: Pk, slot: Slot, order: u64) -> Vec<u8> {
    [waitings_for(event, slot).as_slice(), &order.to_be_bytes()].concat()
}

/// What begins everybody who waits and is admitted by a pool.
pub fn waitings_for(event: Pk, slot: Slot) -> Vec<u8> {
    [of_pk(WAITING_FOR, event).as_slice(), &slot.to_be_bytes()].concat()
}

/// Who holds a place in a pool and is admitted by another one as well, in order.
pub fn seated(event: Pk, slot: Slot, other: Slot, order: u64) -> Vec<u8> {
    [seateds(event, slot, other).as_slice(), &order.to_be_bytes()].concat()
}

/// What begins everybody who holds a place in a pool and is admitted by another one as well.
pub fn seateds(event: Pk, slot: Slot, other: Slot) -> Vec<u8> {
    [of_pk(SEATED, event).as_slice(), &slot.to_be_bytes(), &other.to_be_bytes()].concat()
}

/// When something happens by itself with an event.
pub fn event_due(at: Time, event: Pk) -> Vec<u8> {
    [&[EVENT_DUE], from_time(at).as_slice(), event.as_bytes()].concat()
}

/// When, by such a key.
pub fn event_due_at(key: &[u8]) -> Option<Time> {
    time_of(key.get(1..)?)
}

/// Every such key up to a time.
pub fn event_dues_until(now: Time) -> (Vec<u8>, Vec<u8>) {
    let (from, _) = prefixed(vec![EVENT_DUE]);
    let (_, to) = prefixed([&[EVENT_DUE], from_time(now).as_slice()].concat());
    (from, to)
}

/// What the rest of an event's change follows from.
pub fn event_cause(event: Pk) -> Vec<u8> {
    of_pk(EVENT_CAUSE, event)
}

/// A registration that a supervisor has not decided on.
pub fn pending(supervisor: Pk, person: Pk, event: Pk) -> Vec<u8> {
    [of_pks(PENDING, supervisor, person).as_slice(), event.as_bytes()].concat()
}

/// What begins every registration that a supervisor has not decided on.
pub fn pendings(supervisor: Pk) -> Vec<u8> {
    of_pk(PENDING, supervisor)
}

/// The person and the event of such a key.
pub fn pending_of(key: &[u8]) -> Option<(Pk, Pk)> {
    Some((super::pk_at_front(key.get(16..)?)?, super::pk_at_end(key)?))
}

/// Who decides in a supervisor's stead.
pub fn representative(supervisor: Pk, representative: Pk) -> Vec<u8> {
    of_pks(REPRESENTATIVE, supervisor, representative)
}

/// In whose stead somebody decides.
pub fn represented(representative: Pk, supervisor: Pk) -> Vec<u8> {
    of_pks(REPRESENTED, representative, supervisor)
}

/// What begins everybody in whose stead somebody decides.
pub fn representeds(representative: Pk) -> Vec<u8> {
    of_pk(REPRESENTED, representative)
}

/// A value of a list.
pub fn constant(list: &ListName, folded: &str) -> Vec<u8> {
    [constants(list).as_slice(), folded.as_bytes()].concat()
}

/// What begins every value of a list.
pub fn constants(list: &ListName) -> Vec<u8> {
    [&[CONSTANT], list.as_str().as_bytes(), &[0]].concat()
}

/// The list of such a key.
pub fn list_of_constant(key: &[u8]) -> Option<ListName> {
    let (list, _) = std::str::from_utf8(key.get(1..)?).ok()?.split_once('\0')?;
    ListName::new(list).ok()
}
