//! Certificates of people: issued with the person or renewed later, and revoked when the person is deleted. Those of
//! services are in [`service`].
//!
//! A certificate is made off the writer thread, when the rule needs it ([`give`]). The latest one is the person's;
//! earlier ones stay valid until they end, unless a renewal with another key supersedes them.

mod service;

use std::ops::ControlFlow;
use std::sync::Arc;

use enroll_protocol::certificate::{Ca, Crl, Get, Key, Pfx, Renew, Revoke};
use enroll_protocol::person::{CertificateWanted, Revocation, RevocationReason};
use enroll_protocol::{Callsign, Code, Pk, PrivateKey, Reference, Refusal};
use rand::Rng as _;

use super::{Call, Give, ReadOp, WalkOp, WriteOp, authority, person};
use crate::context::{Context, Purpose};
use crate::draft::Txn;
use crate::fault::Fault;
use crate::identity::authority::{CERTIFICATE, COMMON_NAME_CHARS_MAX, Issued, Serial, Wanted, has_same_key};
use crate::identity::csr::SigningRequest;
use crate::identity::{pem, pfx};
use crate::model::certificate::{Certificate, Certificates, Held};
use crate::model::change::ChangeEvent;
use crate::model::key;
use crate::model::record::{self, Kind};
use crate::needs::{Made, Needed};
use crate::state::{ReadTxn, StoreError};

/// Valid certificates of one person: a deletion revokes all of them.
const HELD_MAX: usize = 16;

/// Certificates of one person that are kept, revoked ones too: they are one record.
const KEPT_MAX: usize = 64;

/// Bytes of a piece of the revocation list.
const PIECE_BYTES: usize = 64 << 10;

/// A private key in PKCS#8.
type Private = zeroize::Zeroizing<Vec<u8>>;

/// The label of a private key in PEM.
const PRIVATE_KEY: &str = "PRIVATE KEY";

impl ReadOp for Get {
    fn run(&self, txn: &dyn ReadTxn, call: &Call<'_>) -> Result<String, Fault> {
        let (pk, person) = person::require(txn, &self.person)?;
        if !self.allow_deleted {
            person::require_live(&self.person, &person)?;
        }
        call.permit(txn, call.is_actor(pk))?;
        let (_, certificate) = require(txn, pk, &self.person)?;
        if person.erased.is_some() {
            let why = format!("the certificate of \"{}\" was erased with the person", self.person);
            return Err(Fault::Refused(Refusal::new(Code::NOT_FOUND, why)));
        }
        Ok(pem::write(CERTIFICATE, &certificate.certificate))
    }
}

impl ReadOp for Key {
    fn run(&self, txn: &dyn ReadTxn, call: &Call<'_>) -> Result<Option<PrivateKey>, Fault> {
        let (callsign, private, _) = with_private(txn, call, &self.person)?;
        let brought = || {
            let why = format!("the key of \"{callsign}\" was not made here, so only they have it");
            Refusal::new(Code::NOT_FOUND, why)
        };
        let private = private.ok_or_else(brought)?;
        match call.ctx.envelope.dry_run {
            true => Ok(None),
            false => Ok(Some(PrivateKey::new(pem::write(PRIVATE_KEY, &private))?)),
        }
    }
}

impl ReadOp for Pfx {
    fn run(&self, txn: &dyn ReadTxn, call: &Call<'_>) -> Result<Option<enroll_protocol::Pfx>, Fault> {
        let (callsign, private, certificate) = with_private(txn, call, &self.person)?;
        if call.ctx.envelope.dry_run {
            return Ok(None);
        }
        let chain = [&[certificate.certificate], call.ctx.identity.authority.chain()].concat();
        let private = private.as_ref().map(|private| private.as_slice());
        let file = pfx::write(callsign.as_str(), private, &chain, self.password.as_str(), self.legacy)?;
        Ok(Some(enroll_protocol::Pfx::new(file)?))
    }
}

impl WriteOp for Renew {
    const REDACT: Option<fn(&mut Option<String>)> = Some(|reply| *reply = None);

    fn check(&self) -> Result<(), Refusal> {
        self.csr.as_deref().map_or(Ok(()), |csr| read(csr).map(drop))
    }

    fn may_need(&self) -> bool {
        true
    }

    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<Option<String>, Fault> {
        let (pk, person) = person::require(txn.as_read(), &self.person)?;
        person::require_live(&self.person, &person)?;
        call.permit(txn.as_read(), call.is_actor(pk))?;
        call.permit_touching(txn.as_read(), pk)?;
        let (key, before) = require(txn.as_read(), pk, &self.person)?;
        let wanted = wanted_after(self, before.clone());
        if before.revoked.is_some() && matches!(wanted, Wanted::Again(_)) {
            let why = "the certificate before is revoked, so it is not issued for the same key again; bring a signing request";
            return Err(Fault::Refused(Refusal::new(Code::CONFLICT, why)));
        }
        let certificate = give(txn, call, (pk, &person.callsign), &wanted)?;
        let is_other_key = certificate.as_ref().is_some_and(|now| !has_same_key(now, &before.certificate));
        if is_other_key && !self.keep {
            let serial = key::serial_at_end(&key);
            supersede(txn, call, pk, |held| Some(held.serial) == serial)?;
        }
        call.emit(txn, vec![pk], None);
        Ok(certificate.map(|certificate| pem::write(CERTIFICATE, &certificate)))
    }
}

impl WriteOp for Revoke {
    fn check(&self) -> Result<(), Refusal> {
        match (&self.person, &self.name) {
            (Some(_), None) | (None, Some(_)) => Ok(()),
            _ => Err(Refusal::new(Code::INVALID_ARGUMENT, "give either a person, or the name of a service")),
        }
    }

    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<Vec<String>, Fault> {
        let (pk, whose) = holder_of(self, txn.as_read())?;
        call.permit(txn.as_read(), false)?;
        call.permit_touching(txn.as_read(), pk)?;
        let why = Revocation { reason: self.reason, at: call.ctx.now };
        let wanted = self.serial.as_ref().map(|serial| serial.as_str().replace(':', "").to_ascii_uppercase());
        let is_wanted =
            |held: &Held| wanted.as_ref().is_none_or(|wanted| *wanted == written(&held.serial).replace(':', ""));
        let revoked = authority::revoke(txn, call.ctx, pk, &why, is_wanted)?;
        if revoked.is_empty() {
            let of =
                self.serial.as_ref().map_or_else(String::new, |serial| format!(" with the serial number {serial}"));
            let why = format!("{whose} has no certificate{of} that is valid");
            return Err(Fault::Refused(Refusal::new(Code::NOT_FOUND, why)));
        }
        call.emit(txn, vec![pk], None);
        Ok(revoked.iter().map(written).collect())
    }
}

/// The person or the service whose certificates are to be revoked, and their name in messages.
fn holder_of(revoke: &Revoke, txn: &dyn ReadTxn) -> Result<(Pk, String), Fault> {
    match (&revoke.person, &revoke.name) {
        (Some(named), _) => Ok((person::require(txn, named)?.0, format!("the person \"{named}\""))),
        (None, Some(name)) => Ok((service::require(txn, name)?, format!("the service \"{name}\""))),
        (None, None) => Err(Fault::Broken("a revocation of nobody's certificates was not refused".to_owned())),
    }
}

/// A serial number as people compare it: pairs of hexadecimal digits with colons between them.
fn written(serial: &Serial) -> String {
    serial.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}

impl ReadOp for Ca {
    fn run(&self, txn: &dyn ReadTxn, call: &Call<'_>) -> Result<String, Fault> {
        call.permit(txn, false)?;
        Ok(call.ctx.identity.authority.chain_pem())
    }
}

impl WalkOp for Crl {
    fn run(&self, txn: &dyn ReadTxn, call: &Call<'_>, give: Give<'_, String>) -> Result<(), Fault> {
        call.permit(txn, false)?;
        let list = match &call.ctx.made {
            Some(Made::List(list)) => list,
            _ => return Err(Fault::Needs(Needed::List)),
        };
        // PEM is ASCII, so it can be cut anywhere.
        let mut rest = if self.der { list.base64_lines() } else { list.pem.as_str() };
        while !rest.is_empty() {
            let (piece, following) = rest.split_at(rest.len().min(PIECE_BYTES));
            let piece = if self.der { piece.replace('\n', "") } else { piece.to_owned() };
            rest = match give(piece) {
                ControlFlow::Continue(()) => following,
                ControlFlow::Break(()) => "",
            };
        }
        Ok(())
    }
}

/// The key that a certificate is requested for; `None` if no certificate is.
pub(super) fn wanted(asked: &CertificateWanted) -> Option<Wanted> {
    match asked {
        CertificateWanted::None => None,
        CertificateWanted::Generate => Some(Wanted::NewKey),
        CertificateWanted::Csr(csr) => Some(Wanted::Request(csr.clone())),
    }
}

/// The key of a renewal: the signing request's; without one a new key if the old one was made here, else the old key.
fn wanted_after(renew: &Renew, before: Certificate) -> Wanted {
    match (&renew.csr, before.sealed) {
        (Some(csr), _) => Wanted::Request(csr.clone()),
        (None, Some(_)) => Wanted::NewKey,
        (None, None) => Wanted::Again(before.certificate),
    }
}

/// Refuses a certificate request that does not fit this callsign.
pub(super) fn require_for(callsign: &Callsign, asked: &CertificateWanted) -> Result<(), Refusal> {
    match asked {
        CertificateWanted::None => Ok(()),
        CertificateWanted::Generate => require_name(callsign),
        CertificateWanted::Csr(csr) => require_request_of(callsign, csr),
    }
}

/// Refuses a signing request that can not be read; its name is not compared.
pub(super) fn require_readable(asked: &CertificateWanted) -> Result<(), Refusal> {
    match asked {
        CertificateWanted::None | CertificateWanted::Generate => Ok(()),
        CertificateWanted::Csr(csr) => read(csr).map(drop),
    }
}

/// Refuses a signing request that can not be read or names another callsign.
pub(super) fn require_request_of(callsign: &Callsign, csr: &str) -> Result<(), Refusal> {
    let request = read(csr)?;
    require_name(callsign)?;
    match request.common_name {
        Some(name) if name == callsign.as_str() => Ok(()),
        Some(name) => {
            let why = format!("the signing request is for the CN {name:?}, and must be for \"{callsign}\"");
            Err(Refusal::new(Code::CSR_MISMATCH, why))
        }
        None => {
            let why = format!("the signing request must have one CN, which is \"{callsign}\"");
            Err(Refusal::new(Code::CSR_MISMATCH, why))
        }
    }
}

/// Gives a person the wanted certificate, and keeps the key that was made for it. Returns none in a dry run.
pub(super) fn give(
    txn: &mut dyn Txn,
    call: &Call<'_>,
    (pk, callsign): (Pk, &Callsign),
    wanted: &Wanted,
) -> Result<Option<Vec<u8>>, Fault> {
    let issued = issue(txn, call, Holder { pk, name: callsign, keeps_key: true }, wanted)?;
    Ok(issued.map(|issued| issued.certificate.clone()))
}

/// Whom a certificate is issued to.
struct Holder<'a> {
    /// The pk that it is kept under.
    pk: Pk,
    /// Its common name.
    name: &'a Callsign,
    /// True if the key that is made for it is kept, sealed.
    keeps_key: bool,
}

/// Issues the wanted certificate: stores the one that was made for this request, else answers that it is needed. Returns
/// none in a dry run.
fn issue(
    txn: &mut dyn Txn,
    call: &Call<'_>,
    Holder { pk, name, keeps_key }: Holder<'_>,
    wanted: &Wanted,
) -> Result<Option<Arc<Issued>>, Fault> {
    let ctx = call.ctx;
    require_name(name)?;
    if let Wanted::Request(csr) = wanted {
        require_request_of(name, csr)?;
    }
    require_valid(ctx)?;
    let mut certificates = record::get::<Certificates>(txn.as_read(), &key::certificates(pk))?.unwrap_or_default();
    // Revoked ones stay until they end, except the oldest of very many: the revocation list keeps those, too.
    let mut count = certificates.held.len();
    let (held, gone): (Vec<Held>, Vec<Held>) = certificates.held.into_iter().partition(|held| {
        let stays = ctx.now < held.ends && !(held.revoked && count >= KEPT_MAX);
        count -= usize::from(!stays);
        stays
    });
    certificates.held = held;
    if ctx.envelope.dry_run {
        return Ok(None);
    }
    let issued = match &ctx.made {
        Some(Made::Certificate(issued)) if issued.callsign == *name && issued.wanted == *wanted => issued,
        _ => return Err(Fault::Needs(Needed::Certificate(name.clone(), wanted.clone()))),
    };
    for gone in gone {
        txn.delete(key::certificate(pk, &gone.serial));
        txn.emit(ChangeEvent::Lost(Kind::Certificate));
    }
    store(txn, ctx, (pk, keeps_key), issued)?;
    certificates.held.push(Held { serial: issued.serial, ends: issued.ends, revoked: false });
    let valid: Vec<Serial> =
        certificates.held.iter().filter(|held| held.is_valid(ctx.now)).map(|held| held.serial).collect();
    record::put(txn, key::certificates(pk), &certificates);
    if let Some(too_many) = valid.len().checked_sub(HELD_MAX).filter(|too_many| *too_many > 0) {
        supersede(txn, call, pk, |held| valid[..too_many].contains(&held.serial))?;
    }
    txn.emit(ChangeEvent::Made(Kind::Certificate));
    Ok(Some(Arc::clone(issued)))
}

/// Revokes certificates of a person as superseded by another one.
fn supersede(txn: &mut dyn Txn, call: &Call<'_>, pk: Pk, is_chosen: impl Fn(&Held) -> bool) -> Result<(), Fault> {
    let why = Revocation { reason: RevocationReason::Superseded, at: call.ctx.now };
    authority::revoke(txn, call.ctx, pk, &why, is_chosen).map(drop)
}

/// Writes a certificate, with its private key sealed where it is kept.
fn store(txn: &mut dyn Txn, ctx: &Context, (pk, keeps_key): (Pk, bool), issued: &Issued) -> Result<(), Fault> {
    let key = key::certificate(pk, &issued.serial);
    let mut nonce = [0; 24];
    ctx.random(Purpose::PrivateKey).fill_bytes(&mut nonce);
    let seal = |private: &Private| ctx.identity.secrets.seal(&key, nonce, private);
    let sealed = issued.private.as_ref().filter(|_| keeps_key).map(seal).transpose()?;
    let stored = Certificate { certificate: issued.certificate.clone(), sealed, revoked: None };
    record::put(txn, key, &stored);
    Ok(())
}

/// The latest certificate of a person, with its storage key.
fn latest(txn: &dyn ReadTxn, pk: Pk) -> Result<Option<(Vec<u8>, Certificate)>, Fault> {
    let held = record::get::<Certificates>(txn, &key::certificates(pk))?.unwrap_or_default().held;
    let Some(last) = held.last() else { return Ok(None) };
    let key = key::certificate(pk, &last.serial);
    let missing = || StoreError::Corrupt(format!("the latest certificate of {pk} is missing"));
    let certificate = record::get(txn, &key)?.ok_or_else(missing)?;
    Ok(Some((key, certificate)))
}

fn require(txn: &dyn ReadTxn, pk: Pk, named: &Reference) -> Result<(Vec<u8>, Certificate), Fault> {
    let none = || Refusal::new(Code::NOT_FOUND, format!("the person \"{named}\" has no certificate"));
    Ok(latest(txn, pk)?.ok_or_else(none)?)
}

/// A person's callsign, private key (PKCS#8) where it was made here, and certificate. Refuses deleted people.
fn with_private(
    txn: &dyn ReadTxn,
    call: &Call<'_>,
    named: &Reference,
) -> Result<(Callsign, Option<Private>, Certificate), Fault> {
    let (pk, person) = person::require(txn, named)?;
    person::require_live(named, &person)?;
    call.permit(txn, false)?;
    let (key, certificate) = require(txn, pk, named)?;
    let open = |sealed: &Vec<u8>| call.ctx.identity.secrets.open(&key, sealed);
    let private = certificate.sealed.as_ref().map(open).transpose()?;
    Ok((person.callsign, private, certificate))
}

fn read(csr: &str) -> Result<SigningRequest, Refusal> {
    SigningRequest::read(csr)
        .map_err(|why| Refusal::new(Code::INVALID_ARGUMENT, format!("the signing request can not be used: {why}")))
}

fn require_name(callsign: &Callsign) -> Result<(), Refusal> {
    match callsign.as_str().chars().count() {
        ..=COMMON_NAME_CHARS_MAX => Ok(()),
        count => {
            let why = format!(
                "a certificate's name has at most {COMMON_NAME_CHARS_MAX} characters; this callsign has {count}"
            );
            Err(Refusal::new(Code::INVALID_ARGUMENT, why))
        }
    }
}

/// Refuses while the authority's chain is not valid.
fn require_valid(ctx: &Context) -> Result<(), Refusal> {
    match ctx.identity.authority.is_invalid(ctx.now) {
        None => Ok(()),
        Some(why) => Err(Refusal::new(Code::EXPIRED, format!("{why}; nothing is issued without a valid one"))),
    }
}
