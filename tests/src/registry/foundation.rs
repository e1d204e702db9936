//! The keys of the registries of tests, and their first writes: the same for all, so that their entries can be compared.

use std::sync::LazyLock;

use enroll_core::draft::Draft;
use enroll_core::identity::authority::Founded;
use enroll_core::identity::counting_seal::SALT_BYTES;
use enroll_core::identity::jwt::SigningAlgorithm;
use enroll_core::identity::secrets::SecretKey;
use enroll_core::identity::{Authority, CountingSeal, Secrets};
use enroll_core::rules::authority;
use enroll_core::rules::bootstrap::{self, RegistryError};
use enroll_core::state::Store;
use enroll_protocol::Time;
use enrolld::config::Config;
use rand::SeedableRng as _;
use rand::rngs::ChaCha20Rng;

use super::{BEGIN_MICROS, KEY};

/// One for all registries and all times: its key is random by nature, and what they hold is compared, between runs of a
/// simulation too.
static AUTHORITY: LazyLock<Founded> = LazyLock::new(|| Founded {
    private: include_bytes!("../../golden/authority.key").to_vec().into(),
    certificate: include_bytes!("../../golden/authority.certificate").to_vec(),
});

/// Writes a new registry into an empty store.
pub(crate) fn found(store: &dyn Store) -> Result<(), RegistryError> {
    let view = store.view()?;
    let mut draft = Draft::new(&*view);
    bootstrap::create(&mut draft, &secrets(), SigningAlgorithm::default(), begin(), [7; 32])?;
    write_authority(&mut draft)?;
    let (writes, _) = draft.into_parts();
    drop(view);
    Ok(store.commit(&writes)?)
}

/// The authority of a store. A new one is written where there is none, as a start in the middle of an import finds it.
pub(crate) fn authority_of(store: &dyn Store) -> Result<Authority, RegistryError> {
    let view = store.view()?;
    if let Some(own) = authority::open(&*view, &secrets())? {
        return Ok(own);
    }
    let mut draft = Draft::new(&*view);
    write_authority(&mut draft)?;
    let (writes, _) = draft.into_parts();
    drop(view);
    store.commit(&writes)?;
    Ok(Authority::open(&AUTHORITY.private, vec![AUTHORITY.certificate.clone()])?)
}

fn write_authority(draft: &mut Draft<'_>) -> Result<(), RegistryError> {
    let since = (begin(), Config::default().certificates.crl_seconds);
    authority::found(draft, &secrets(), &AUTHORITY, since, &mut ChaCha20Rng::from_seed([8; 32]))
}

/// The time at which every registry begins.
pub(crate) fn begin() -> Time {
    Time::from_micros(BEGIN_MICROS).expect("a time")
}

/// The seal of a writer. Every registry counts from the beginning under the same salt: what is sealed is no secret.
pub(crate) fn seal() -> CountingSeal {
    CountingSeal::new(&secrets(), [9; SALT_BYTES]).expect("a seal")
}

/// The keys.
pub(crate) fn secrets() -> Secrets {
    Secrets::derive(&SecretKey::new(KEY)).expect("keys")
}
