//! Bootstrap of a registry: its first writes, and the checks of every start: the schema and the secret key.

use enroll_protocol::{Pk, RoleName, Time};
use rand::rngs::ChaCha20Rng;
use rand::{Rng as _, SeedableRng as _};
use zeroize::Zeroizing;

use crate::context::Purpose;
use crate::draft::Txn;
use crate::fault::Fault;
use crate::identity::jwt::{NewKey, SigningAlgorithm};
use crate::identity::secrets::SecretKey;
use crate::identity::{IdentityError, KeyRing, Secrets};
use crate::model::key::{self, Family};
use crate::model::record::{self, HashingKey, LastWriter, Registry, Role, SigningKey};
use crate::state::overlay::Overlay;
use crate::state::{ReadTxn, SCAN_CHUNK, Store, StoreError, WriteTxn, walk};

/// The version of all keys and records together. A new one needs a step in the chain of [`super::migration`].
pub const SCHEMA: u32 = 7;

/// The oldest schema that is migrated.
pub const OLDEST_SCHEMA: u32 = 4;

/// The version of this enrolld.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The built-in roles and their permissions. They can be changed like any other.
const BUILT_IN_ROLES: &[(&str, &[&str])] = &[
    ("superuser", &["/"]),
    ("admin", &["/people/", "/pools/", "/enrollments/", "/codes/"]),
    ("moderator", &["/supervisors/", "/constants/"]),
    ("supervisor", &["/representatives/"]),
];

/// An error of a registry that can not be used.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The secret key is not the registry's.
    #[error(
        "this is not the secret key that the database was made with; put the right one back: \
         nothing was changed"
    )]
    OtherKey,
    /// There is no registry.
    #[error("there is no registry in it")]
    None,
    /// A newer version migrated it.
    #[error(
        "schema {schema}, which {writer} wrote, is too new for this enrolld {VERSION}, which reads schemas {OLDEST_SCHEMA} \
         to {SCHEMA}; use {writer} or a later one: nothing was changed",
        writer = named(.version.as_deref())
    )]
    NewerSchema {
        /// Its schema.
        schema: u32,
        /// The version that wrote last, if it is known.
        version: Option<String>,
    },
    /// An older version wrote it, and nothing here migrates it.
    #[error(
        "schema {0} is older than this enrolld {VERSION}, which works on schema {SCHEMA}; start the daemon on it once, which \
         migrates it: nothing was changed"
    )]
    OlderSchema(u32),
    /// Its schema is older than all that can be migrated.
    #[error(
        "schema {0} is from before the first release, and this enrolld {VERSION} reads schemas {OLDEST_SCHEMA} to {SCHEMA}; \
         use the enrolld that wrote it: nothing was changed"
    )]
    TooOldSchema(u32),
    /// Its certificates are another authority's.
    #[error(
        "its certificates were issued by another authority than the one that was brought along, which could not revoke \
         them; bring that one, or its successor with the same name and key: nothing was changed"
    )]
    OtherAuthority,
    /// Its authority was brought along, and none is configured now.
    #[error(
        "its certificates were issued by an authority that was brought along; set certificates.authority_key and \
         certificates.authority_chain again"
    )]
    NoAuthority,
    /// The store can not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A sealed key in it can not be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

impl From<RegistryError> for Fault {
    fn from(err: RegistryError) -> Self {
        match err {
            RegistryError::Store(err) => Self::Store(err),
            RegistryError::Identity(err) => Self::Identity(err),
            err => Self::Store(StoreError::Corrupt(err.to_string())),
        }
    }
}

/// The schema of a registry, beside that of this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// There is no registry yet.
    Missing,
    /// It has this older schema, and can be migrated.
    Older(u32),
    /// It has the schema of this version.
    Present,
}

/// Checks the schema and, where there is one, the secret key. Refuses a schema that this version neither works on nor
/// migrates, and another secret key.
pub fn standing(txn: &dyn ReadTxn, secrets: Option<&Secrets>) -> Result<Standing, RegistryError> {
    let Some(registry) = record::get::<Registry>(txn, &key::registry())? else { return Ok(Standing::Missing) };
    expect_schema(registry.schema, || Ok(last_writer(txn)?.map(|writer| writer.version)))?;
    match secrets {
        Some(secrets) if registry.proof != secrets.proof() => Err(RegistryError::OtherKey),
        _ if registry.schema < SCHEMA => Ok(Standing::Older(registry.schema)),
        _ => Ok(Standing::Present),
    }
}

/// Refuses a schema that this version neither works on nor migrates. `version` tells the version that wrote last.
pub fn expect_schema(
    schema: u32,
    version: impl FnOnce() -> Result<Option<String>, StoreError>,
) -> Result<(), RegistryError> {
    match schema {
        ..OLDEST_SCHEMA => Err(RegistryError::TooOldSchema(schema)),
        OLDEST_SCHEMA..=SCHEMA => Ok(()),
        _ => Err(RegistryError::NewerSchema { schema, version: version()? }),
    }
}

/// Checks for the schema of this version and, where there is one, the secret key. `false`: there is no registry yet.
pub fn verify(txn: &dyn ReadTxn, secrets: Option<&Secrets>) -> Result<bool, RegistryError> {
    match standing(txn, secrets)? {
        Standing::Missing => Ok(false),
        Standing::Older(schema) => Err(RegistryError::OlderSchema(schema)),
        Standing::Present => Ok(true),
    }
}

/// The version that wrote last; `None` before schema 5, which was the first to keep it.
pub fn last_writer(txn: &dyn ReadTxn) -> Result<Option<LastWriter>, StoreError> {
    record::get(txn, &key::last_writer())
}

/// Writes this version as the last one that wrote, unless it is that already.
pub fn sign(txn: &mut dyn WriteTxn) -> Result<(), StoreError> {
    let own = LastWriter { version: VERSION.to_owned() };
    if last_writer(txn.as_read())?.as_ref() != Some(&own) {
        record::put(txn, key::last_writer(), &own);
    }
    Ok(())
}

/// The same as a batch of its own, where there is anything to write.
pub fn sign_store(store: &dyn Store) -> Result<(), StoreError> {
    let view = store.view()?;
    let mut overlay = Overlay::new(&*view);
    sign(&mut overlay)?;
    let writes = overlay.into_writes();
    drop(view);
    if writes.is_empty() { Ok(()) } else { store.commit(&writes) }
}

/// The time at which the registry was made.
pub fn created(txn: &dyn ReadTxn) -> Result<Time, StoreError> {
    let registry: Option<Registry> = record::get(txn, &key::registry())?;
    registry
        .map(|registry| registry.created)
        .ok_or_else(|| StoreError::Corrupt("there is no registry in it".to_owned()))
}

/// The derived keys with this registry's hashing keys: after a rotation those are not derived from the secret key.
pub fn hashes(txn: &dyn ReadTxn, secrets: Secrets) -> Result<Secrets, RegistryError> {
    let key = key::hashing_key();
    let Some(HashingKey { sealed }) = record::get(txn, &key)? else { return Ok(secrets) };
    let opened = secrets.open(&key, &sealed)?;
    let hashing = SecretKey::new(
        opened.as_slice().try_into().map_err(|_| StoreError::Corrupt("the hashing key is damaged".into()))?,
    );
    Ok(secrets.hashing_with(&hashing)?)
}

/// Writes a new registry: its proof, the built-in roles and a signing key.
pub fn create(
    txn: &mut dyn Txn,
    secrets: &Secrets,
    signing: SigningAlgorithm,
    now: Time,
    seed: [u8; 32],
) -> Result<(), RegistryError> {
    record::put(txn, key::registry(), &Registry { schema: SCHEMA, proof: secrets.proof(), created: now });
    sign(txn)?;
    for (name, permissions) in BUILT_IN_ROLES {
        let role = RoleName::new(*name).map_err(|err| StoreError::Corrupt(err.0))?;
        let permissions = permissions.iter().map(|path| (*path).to_owned()).collect();
        record::put(txn, key::role(&role), &Role { members: 0, permissions });
    }
    let mut random = ChaCha20Rng::from_seed(seed);
    random.set_stream(Purpose::Rule as u64);
    let mut key_seed = Zeroizing::new([0; 32]);
    random.fill_bytes(key_seed.as_mut_slice());
    let pair = NewKey::make(signing, &key_seed)?;
    add_signing_key(txn, secrets, &pair, now, &mut random)?;
    Ok(())
}

/// A version, for people.
fn named(version: Option<&str>) -> String {
    version.map_or_else(|| "a newer enrolld".to_owned(), |version| format!("enrolld {version}"))
}

/// Writes a new signing key, sealed.
pub(super) fn add_signing_key(
    txn: &mut dyn Txn,
    secrets: &Secrets,
    pair: &NewKey,
    now: Time,
    random: &mut ChaCha20Rng,
) -> Result<Pk, IdentityError> {
    let (mut nonce, mut pk) = ([0; 24], [0; 10]);
    random.fill_bytes(&mut nonce);
    random.fill_bytes(&mut pk);
    // The last key by pk signs, so the pk must be higher than all others, even those made while the clock was ahead.
    let after = after_signing_keys(txn.as_read()).map_err(|err| IdentityError(err.to_string()))?;
    let pk = Pk::v7(now.micros().max(after), pk);
    let key = key::signing_key(pk);
    let sealed = secrets.seal(&key, nonce, &pair.private)?;
    let (algorithm, public) = (pair.algorithm.name().to_owned(), pair.public.clone());
    let stored = SigningKey { algorithm, sealed, public, created: now };
    record::put(txn, key, &stored);
    Ok(pk)
}

/// The first time, in microseconds, whose pk sorts after those of all signing keys.
fn after_signing_keys(txn: &dyn ReadTxn) -> Result<i64, StoreError> {
    let (from, to) = Family::SigningKeys.bounds();
    let keys = txn.range(&from, &to, usize::MAX)?;
    let Some(last) = keys.last().and_then(|(key, _)| key::pk_at_end(key)) else { return Ok(0) };
    let millis = last.as_bytes()[..6].iter().fold(0, |millis, byte| millis << 8 | i64::from(*byte));
    Ok((millis + 1) * 1000)
}

/// Opens the signing keys.
pub fn key_ring(txn: &dyn ReadTxn, secrets: &Secrets) -> Result<KeyRing, RegistryError> {
    let mut ring = KeyRing::since(super::changes::head(txn)?.clock.went_back_at);
    let (from, to) = Family::SigningKeys.bounds();
    walk(txn, (&from, &to), SCAN_CHUNK, |key, value| {
        let stored = record::decode::<SigningKey>(value)?;
        let private = secrets.open(key, &stored.sealed)?;
        if let Some(pk) = key::pk_at_end(key) {
            let algorithm = SigningAlgorithm::named(&stored.algorithm)?;
            ring.add(pk, stored.created, algorithm, &private, &stored.public)?;
        }
        Ok::<_, RegistryError>(std::ops::ControlFlow::Continue(()))
    })?;
    Ok(ring)
}
