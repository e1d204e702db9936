//! Certificates of people in a simulation: what clients ask, and what the domain says about it. Keys are from signing
//! requests that lie beside the golden files, and the authority signs with Ed25519, whose signatures are the same each time.

use std::sync::LazyLock;

use enroll_core::identity::authority::Founded;
use enroll_core::identity::pem;
use enroll_core::model::certificate::{Certificates, ListHead};
use enroll_core::model::key::{self, Family};
use enroll_core::model::record;
use enroll_core::state::ReadTxn;
use enroll_protocol::person::{self, CertificateWanted, RevocationReason};
use enroll_protocol::{Code, Envelope, Pk, Time, certificate};
use rand::RngExt as _;
use rand::rngs::ChaCha20Rng;

use super::answers::decode;
use super::model::{Done, Model, Reply};
use super::operations::{Encoded, NAMES, callsign, encoded, named};
use super::people::Person;

/// Keys that each person has signing requests for.
const KEYS: usize = 2;

/// Valid certificates of one person.
const VALID_MAX: usize = 16;

/// The authority of the simulation.
pub(super) static AUTHORITY: LazyLock<Founded> = LazyLock::new(|| Founded {
    private: include_bytes!("../../golden/simulation/authority.key").to_vec().into(),
    certificate: include_bytes!("../../golden/simulation/authority.certificate").to_vec(),
});

/// The signing requests: of each name one for each key.
static REQUESTS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let blocks = include_str!("../../golden/simulation/requests.pem").split_inclusive("REQUEST-----\n");
    let blocks: Vec<_> = blocks.collect();
    // Each has two such lines, at its beginning and at its end.
    blocks.chunks(2).map(<[&str]>::concat).collect()
});

/// The public keys, as they are in a certificate.
const PUBLIC_KEYS: [&[u8]; KEYS] =
    [include_bytes!("../../golden/simulation/key-0.der"), include_bytes!("../../golden/simulation/key-1.der")];

/// A request about certificates.
#[derive(Debug, Clone)]
pub(super) enum Ask {
    /// A person with a certificate.
    Create {
        name: usize,
        key: usize,
    },
    /// A new certificate: for the key of the signing request of a name, or for the key of the one before.
    Renew {
        name: usize,
        request: Option<(usize, usize)>,
        keep: bool,
    },
    /// One for a text that is no signing request.
    RenewWrongly {
        name: usize,
    },
    /// All of a person's certificates, without deleting the person.
    Revoke {
        name: usize,
    },
    Get {
        name: usize,
    },
}

/// A certificate that a person holds, valid or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Held {
    key: usize,
    is_revoked: bool,
}

impl Ask {
    pub(super) fn draw(random: &mut ChaCha20Rng, name: usize) -> Self {
        let key = random.random_range(0..KEYS);
        match random.random_range(0..12) {
            0..=3 => Self::Create { name, key },
            4..=7 => {
                let of = if random.random_bool(0.9) { name } else { random.random_range(0..NAMES) };
                let request = random.random_bool(0.7).then_some((of, key));
                Self::Renew { name, request, keep: random.random_bool(0.6) }
            }
            8 if random.random_bool(0.3) => Self::RenewWrongly { name },
            8 | 9 => Self::Revoke { name },
            _ => Self::Get { name },
        }
    }

    pub(super) fn writes(&self) -> bool {
        !matches!(self, Self::Get { .. })
    }

    /// The person that it is about.
    pub(super) fn name(&self) -> usize {
        match self {
            Self::Create { name, .. }
            | Self::Renew { name, .. }
            | Self::RenewWrongly { name }
            | Self::Revoke { name }
            | Self::Get { name } => *name,
        }
    }

    pub(super) fn encode(&self, envelope: &Envelope) -> Encoded {
        let person = named(self.name());
        let request = |name: usize, key: usize| REQUESTS[name * KEYS + key].clone();
        match self {
            Self::Create { name, key } => {
                let callsign = callsign(*name).parse().expect("a callsign");
                let certificate = CertificateWanted::Csr(request(*name, *key));
                encoded(envelope, &person::Create { certificate, ..person::Create::new(callsign) })
            }
            Self::Renew { request: wanted, keep, .. } => {
                let csr = wanted.map(|(name, key)| request(name, key));
                encoded(envelope, &certificate::Renew { person, csr, keep: *keep })
            }
            Self::RenewWrongly { .. } => {
                let csr =
                    Some("-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n".to_owned());
                encoded(envelope, &certificate::Renew { person, csr, keep: false })
            }
            Self::Revoke { .. } => encoded(envelope, &certificate::Revoke::of(person, RevocationReason::KeyCompromise)),
            Self::Get { .. } => encoded(envelope, &certificate::Get::new(person)),
        }
    }

    pub(super) fn read(&self, bytes: &[u8]) -> Result<Reply, String> {
        match self {
            Self::Create { .. } => super::answers::of_person(&decode::<person::Create>(bytes)?),
            Self::Renew { .. } | Self::RenewWrongly { .. } => {
                of_certificate(&decode::<certificate::Renew>(bytes)?.ok_or("a renewal without a certificate")?)
            }
            Self::Revoke { .. } => Ok(Reply::Revoked(decode::<certificate::Revoke>(bytes)?.len())),
            Self::Get { .. } => of_certificate(&decode::<certificate::Get>(bytes)?),
        }
    }
}

/// The key and the name of a certificate.
fn of_certificate(text: &str) -> Result<Reply, String> {
    let blocks = pem::read(text).map_err(|err| err.to_string())?;
    let [block] = &blocks[..] else { return Err(format!("{} certificates at once", blocks.len())) };
    let has = |part: &[u8]| block.der.windows(part.len()).any(|window| window == part);
    let key = PUBLIC_KEYS.iter().position(|key| has(key)).ok_or("a certificate for another key")?;
    let name = (0..NAMES).find(|name| has(callsign(*name).as_bytes())).ok_or("a certificate for another name")?;
    Ok(Reply::Certificate { name, key })
}

impl Model {
    pub(super) fn certify(&mut self, ask: &Ask, at: Time, made: &[Pk]) -> Result<Done, Code> {
        match ask {
            Ask::Create { name, key } => {
                self.require_free(*name)?;
                let pk = made.first().copied().unwrap_or(Pk::from_bytes([0; 16]));
                let certificates = vec![Held { key: *key, is_revoked: false }];
                self.people.insert(*name, Person { certificates, ..Person::new(pk, at) });
                Ok((self.person(*name), Some(vec![pk])))
            }
            Ask::RenewWrongly { .. } => Err(Code::INVALID_ARGUMENT),
            Ask::Renew { name, request, keep } => {
                self.live(*name)?;
                let person = self.people.get_mut(name).ok_or(Code::NOT_FOUND)?;
                let before = *person.certificates.last().ok_or(Code::NOT_FOUND)?;
                let key = match request {
                    None if before.is_revoked => return Err(Code::CONFLICT),
                    None => before.key,
                    Some((of, _)) if of != name => return Err(Code::CSR_MISMATCH),
                    Some((_, key)) => *key,
                };
                let place = person.certificates.len() - 1;
                let mut revoked = 0;
                if key != before.key && !keep && !before.is_revoked {
                    person.certificates[place].is_revoked = true;
                    revoked += 1;
                }
                person.certificates.push(Held { key, is_revoked: false });
                let valid = person.certificates.iter().filter(|held| !held.is_revoked).count();
                let too_many = valid.saturating_sub(VALID_MAX);
                let oldest = person.certificates.iter_mut().filter(|held| !held.is_revoked).take(too_many);
                oldest.for_each(|held| held.is_revoked = true);
                let pk = person.pk;
                self.revoked += revoked + too_many;
                Ok((Reply::Certificate { name: *name, key }, Some(vec![pk])))
            }
            Ask::Revoke { name } => {
                let pk = self.there(*name)?.pk;
                match self.revoke_certificates(*name) {
                    0 => Err(Code::NOT_FOUND),
                    count => Ok((Reply::Revoked(count), Some(vec![pk]))),
                }
            }
            Ask::Get { name } => {
                let held = self.live(*name)?.certificates.last().ok_or(Code::NOT_FOUND)?;
                Ok((Reply::Certificate { name: *name, key: held.key }, None))
            }
        }
    }

    /// Revokes the valid certificates of a person; how many those are.
    pub(super) fn revoke_certificates(&mut self, name: usize) -> usize {
        let Some(person) = self.people.get_mut(&name) else { return 0 };
        let valid = person.certificates.iter_mut().filter(|held| !held.is_revoked);
        let count = valid.map(|held| held.is_revoked = true).count();
        self.revoked += count;
        count
    }
}

/// Compares the certificates of everybody, and the head of the revocation list, of which `before` had this number and so
/// many certificates. Its number only goes up, and does for each revocation.
pub(super) fn compare(model: &Model, view: &dyn ReadTxn, before: (u64, u64)) -> Result<(u64, u64), String> {
    for (name, person) in &model.people {
        let held = record::get::<Certificates>(view, &key::certificates(person.pk)).map_err(|err| err.to_string())?;
        let found: Vec<_> = held.unwrap_or_default().held.iter().map(|held| held.revoked).collect();
        let expected: Vec<_> = person.certificates.iter().map(|held| held.is_revoked).collect();
        super::compare::same(&format!("{}: which certificates are revoked", callsign(*name)), &found, &expected)?;
    }
    let head = record::get::<ListHead>(view, &key::list_head()).map_err(|err| err.to_string())?;
    let head = head.ok_or("the head of the revocation list is missing")?;
    let (from, to) = Family::Revoked.bounds();
    let entries = view.range(&from, &to, usize::MAX).map_err(|err| err.to_string())?.len();
    super::compare::same("the revoked certificates", &(entries, head.revoked), &(model.revoked, model.revoked as u64))?;
    match head.number > before.0 || (head.number, head.revoked) == before {
        true => Ok((head.number, head.revoked)),
        false => Err(format!("the revocation list had {before:?} as number and length, and has {head:?}")),
    }
}
