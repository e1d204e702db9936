//! The keys of the registries of tests, and their first writes: the same for all, so that their entries can be compared.

use std::sync::LazyLock;

use enroll_core::draft::Draft;
use enroll_core::identity::authority::{Founded, SERIAL_BYTES, serial};
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

/// One for all registries: its key is random by nature, and what they hold is compared.
static AUTHORITY: LazyLock<Founded> = LazyLock::new(|| {
    let certificates = Config::default().certificates;
    let (name, lifetime) = (&certificates.authority_name, certificates.authority_lifetime_seconds);
    Authority::found(name, serial([8; SERIAL_BYTES]), begin(), lifetime).expect("an authority")
});

/// Writes a new registry into an empty store.
pub(super) fn found(store: &dyn Store) -> Result<(), RegistryError> {
    let view = store.view()?;
    let mut draft = Draft::new(&*view);
    bootstrap::create(&mut draft, &secrets(), SigningAlgorithm::default(), begin(), [7; 32])?;
    let since = (begin(), Config::default().certificates.crl_seconds);
    authority::found(&mut draft, &secrets(), &AUTHORITY, since, &mut ChaCha20Rng::from_seed([8; 32]))?;
    let (writes, _) = draft.into_parts();
    drop(view);
    Ok(store.commit(&writes)?)
}

/// The time at which every registry begins.
pub(super) fn begin() -> Time {
    Time::from_micros(BEGIN_MICROS).expect("a time")
}

/// The seal of a writer. Every registry counts from the beginning under the same salt: what is sealed is no secret.
pub(super) fn seal() -> CountingSeal {
    CountingSeal::new(&secrets(), [9; SALT_BYTES]).expect("a seal")
}

/// The keys.
pub(super) fn secrets() -> Secrets {
    Secrets::derive(&SecretKey::new(KEY)).expect("keys")
}
