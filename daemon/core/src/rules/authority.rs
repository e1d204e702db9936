//! Records of the certificate authority: its certificate and key, and the head of the revoked certificates (CRL).
//!
//! The head's number identifies a list. A revocation raises it in the same transaction; half of a list's lifetime and a
//! new certificate of the authority raise it, too. The list itself is signed on request, from the entries of a
//! snapshot.

use enroll_protocol::person::Revocation;
use enroll_protocol::{Pk, Time};
use rand::Rng as _;
use rand::rngs::ChaCha20Rng;

use super::bootstrap::RegistryError;
use super::{changes, expiry};
use crate::context::{Context, Purpose};
use crate::draft::Txn;
use crate::fault::Fault;
use crate::identity::authority::{Authority, Founded, Serial};
use crate::identity::crl::{Entries, Span};
use crate::identity::{Secrets, authority};
use crate::model::certificate::{self, Certificate, Certificates, Held, ListHead, Revoked};
use crate::model::change::{Change, ChangeEvent, LISTED};
use crate::model::key::{self, Due, Family};
use crate::model::record::{self, Kind};
use crate::settings::Settings;
use crate::state::{ReadTxn, SCAN_CHUNK, StoreError, walk};

/// Writes a new authority, its key sealed.
pub fn found(
    txn: &mut dyn Txn,
    secrets: &Secrets,
    founded: &Founded,
    (now, list_seconds): (Time, u64),
    random: &mut ChaCha20Rng,
) -> Result<(), RegistryError> {
    let mut nonce = [0; 24];
    random.fill_bytes(&mut nonce);
    let sealed = secrets.seal(&key::authority(), nonce, &founded.private)?;
    let stored = certificate::Authority { certificate: founded.certificate.clone(), sealed: Some(sealed) };
    record::put(txn, key::authority(), &stored);
    Ok(begin_list(txn, now, list_seconds)?)
}

/// Writes an authority that was brought along, without its key. One that has issued certificates is not replaced by
/// another: they could not be revoked any more.
pub fn adopt(txn: &mut dyn Txn, brought: &Authority, (now, list_seconds): (Time, u64)) -> Result<(), RegistryError> {
    let before = record::get::<certificate::Authority>(txn.as_read(), &key::authority())?;
    let certificate = brought.chain().first().cloned().unwrap_or_default();
    match &before {
        Some(before) if before.sealed.is_none() && before.certificate == certificate => return Ok(()),
        Some(before) if !brought.is_same(&before.certificate) && has_issued(txn.as_read())? => {
            return Err(RegistryError::OtherAuthority);
        }
        _ => {}
    }
    record::put(txn, key::authority(), &certificate::Authority { certificate, sealed: None });
    Ok(begin_list(txn, now, list_seconds)?)
}

/// Opens the authority that was founded here; `None` if there is none yet.
pub fn open(txn: &dyn ReadTxn, secrets: &Secrets) -> Result<Option<Authority>, RegistryError> {
    let Some(stored) = record::get::<certificate::Authority>(txn, &key::authority())? else { return Ok(None) };
    match stored.sealed {
        Some(sealed) => {
            let private = secrets.open(&key::authority(), &sealed)?;
            Ok(Some(Authority::open(&private, vec![stored.certificate])?))
        }
        None if has_issued(txn)? => Err(RegistryError::NoAuthority),
        None => Ok(None),
    }
}

/// Writes a new certificate of the authority that was founded here, for the same key and name. It replaces one that was
/// made while the clock was ahead, which servers reject until that time.
pub fn found_again(
    txn: &mut dyn Txn,
    secrets: &Secrets,
    own: &Authority,
    (now, lifetime_seconds, list_seconds): (Time, u64, u64),
    random: &mut ChaCha20Rng,
) -> Result<Authority, RegistryError> {
    let stored = record::get::<certificate::Authority>(txn.as_read(), &key::authority())?;
    let sealed = stored.and_then(|stored| stored.sealed).ok_or(RegistryError::NoAuthority)?;
    let private = secrets.open(&key::authority(), &sealed)?;
    let founded = own.found_again(private, draw_serial(random), now, lifetime_seconds)?;
    found(txn, secrets, &founded, (now, list_seconds), random)?;
    Ok(Authority::open(&founded.private, vec![founded.certificate])?)
}

/// Random bytes for a serial number.
pub fn draw_serial(random: &mut ChaCha20Rng) -> Serial {
    let mut bytes = Serial::default();
    random.fill_bytes(&mut bytes);
    authority::serial(bytes)
}

/// The head of the revoked certificates.
pub(super) fn list_head(txn: &dyn ReadTxn) -> Result<ListHead, StoreError> {
    let missing = || StoreError::Corrupt("the head of the revoked certificates is missing".to_owned());
    record::get(txn, &key::list_head())?.ok_or_else(missing)
}

/// The number of this state's revocation list. Equal numbers mean equal bytes.
pub fn list_number(txn: &dyn ReadTxn) -> Result<u64, Fault> {
    Ok(list_head(txn)?.number)
}

/// The unsigned revocation list of this state; its bytes follow from the state alone.
pub fn unsigned_list(txn: &dyn ReadTxn, authority: &Authority) -> Result<Vec<u8>, Fault> {
    let head = list_head(txn)?;
    let mut entries = Entries::default();
    let lasts = head.until.seconds().saturating_sub(head.since.seconds()).unsigned_abs();
    let (from, to) = Family::Revoked.bounds();
    walk(txn, (&from, &to), SCAN_CHUNK, |key, value| {
        let revoked = record::decode::<Revoked>(value)?;
        // An ended certificate is left out after it was in one list signed after its end (RFC 5280, section 3.3).
        let is_over = revoked.ends.plus_seconds(lasts) < head.since;
        if let Some(serial) = key::serial_at_end(key).filter(|_| !is_over) {
            entries.add(&serial, revoked.at, revoked.reason)?;
        }
        Ok::<_, Fault>(std::ops::ControlFlow::Continue(()))
    })?;
    Ok(entries.encode(authority, head.number, Span { since: head.since, until: head.until })?)
}

/// Revokes a person's valid certificates that `is_chosen` accepts. Returns their serial numbers.
pub(super) fn revoke(
    txn: &mut dyn Txn,
    ctx: &Context,
    person: Pk,
    why: &Revocation,
    is_chosen: impl Fn(&Held) -> bool,
) -> Result<Vec<Serial>, Fault> {
    let key = key::certificates(person);
    let mut certificates = record::get::<Certificates>(txn.as_read(), &key)?.unwrap_or_default();
    let mut head = list_head(txn.as_read())?;
    let number = number_after(head.number, ctx.now);
    let mut revoked = Vec::new();
    for held in certificates.held.iter_mut().filter(|held| held.is_valid(ctx.now) && is_chosen(held)) {
        held.revoked = true;
        let key = key::certificate(person, &held.serial);
        let missing = || StoreError::Corrupt(format!("a certificate of {person} is missing"));
        let mut certificate = record::get::<Certificate>(txn.as_read(), &key)?.ok_or_else(missing)?;
        certificate.revoked = Some(number);
        record::put(txn, key, &certificate);
        let entry = Revoked { at: why.at, reason: why.reason, ends: held.ends };
        record::put(txn, key::revoked(number, &held.serial), &entry);
        revoked.push(held.serial);
    }
    if !revoked.is_empty() {
        record::put(txn, key, &certificates);
        head.revoked += revoked.len() as u64;
        let head = next_list(txn, ListHead { number, ..head }, ctx.now, ctx.settings.list_seconds);
        record::put(txn, key::list_head(), &head);
    }
    Ok(revoked)
}

/// Renews the list, with a new number, at half of its lifetime.
pub(super) fn renew_list(txn: &mut dyn Txn, settings: &Settings, now: Time) -> Result<(), Fault> {
    let mut head = list_head(txn.as_read())?;
    if now < head.due {
        return Ok(());
    }
    if half_way(head.since, head.until) <= now {
        head.number = number_after(head.number, now);
        head = next_list(txn, head, now, settings.list_seconds);
        txn.emit(ChangeEvent::Consequence(Change::of_time(LISTED, now)));
    }
    head.due = half_way(head.since, head.until);
    expiry::plan(txn, head.due, &Due::List);
    record::put(txn, key::list_head(), &head);
    Ok(())
}

/// Renews the list if it begins in the future: it was made before the clock went back, and servers would reject it
/// until its time.
pub fn renew_list_ahead(txn: &mut dyn Txn, settings: &Settings, now: Time) -> Result<(), Fault> {
    let head = list_head(txn.as_read())?;
    if head.since <= now {
        return Ok(());
    }
    let head = ListHead { number: number_after(head.number, now), ..head };
    let head = next_list(txn, head, now, settings.list_seconds);
    record::put(txn, key::list_head(), &head);
    txn.emit(ChangeEvent::Consequence(Change::of_time(LISTED, now)));
    Ok(())
}

/// Begins the lists of an authority. Their numbers follow those of earlier lists, also of another authority.
fn begin_list(txn: &mut dyn Txn, now: Time, list_seconds: u64) -> Result<(), StoreError> {
    let head = match record::get::<ListHead>(txn.as_read(), &key::list_head())? {
        Some(before) => {
            let number = number_after(before.number, now);
            next_list(txn, ListHead { number, ..before }, now, list_seconds)
        }
        None => {
            let until = now.plus_seconds(list_seconds);
            let head =
                ListHead { number: number_after(0, now), since: now, until, due: half_way(now, until), revoked: 0 };
            expiry::plan(txn, head.due, &Due::List);
            head
        }
    };
    record::put(txn, key::list_head(), &head);
    Ok(())
}

/// Removes the entry of the time at which the list is renewed, if there is a list.
pub(super) fn unplan_list(txn: &mut dyn Txn) -> Result<(), StoreError> {
    if let Some(head) = record::get::<ListHead>(txn.as_read(), &key::list_head())? {
        txn.delete(key::due(head.due, &Due::List));
    }
    Ok(())
}

/// The next number of a list: the time in microseconds, or one more than the number before. So numbers also grow after
/// a restored backup, and for an authority that was brought along and signed lists elsewhere.
fn number_after(number: u64, now: Time) -> u64 {
    (number + 1).max(now.micros().unsigned_abs())
}

/// The head with the times of a list that begins now.
fn next_list(txn: &mut dyn Txn, head: ListHead, now: Time, list_seconds: u64) -> ListHead {
    let until = now.plus_seconds(list_seconds);
    let due = half_way(now, until).min(head.due);
    if due < head.due {
        txn.delete(key::due(head.due, &Due::List));
        expiry::plan(txn, due, &Due::List);
    }
    ListHead { since: now, until, due, ..head }
}

fn half_way(since: Time, until: Time) -> Time {
    since.plus_seconds(until.seconds().saturating_sub(since.seconds()).unsigned_abs() / 2)
}

fn has_issued(txn: &dyn ReadTxn) -> Result<bool, StoreError> {
    Ok(changes::head(txn)?.records.get(&Kind::Certificate).is_some_and(|count| *count > 0))
}

/// The serial number of this request's certificate.
pub(super) fn serial_of(ctx: &Context) -> Serial {
    draw_serial(&mut ctx.random(Purpose::Serial))
}
