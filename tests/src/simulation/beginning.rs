//! The registry that every run begins with, on the disk of its database: a new one whose authority signs the same bytes the
//! same way each time.

use std::sync::{Arc, OnceLock};

use enroll_core::draft::Draft;
use enroll_core::rules::authority;
use enroll_core::state::Store as _;
use enrolld::config::Config;
use enrolld::storage::redb::{RedbOptions, RedbStore};
use rand::SeedableRng as _;
use rand::rngs::ChaCha20Rng;

use super::certificates::AUTHORITY;
use crate::disk::SimulatedDisk;
use crate::oracle::{Map, everything, new_registry};
use crate::registry::foundation::{begin, secrets};

/// The image of the disk, and what is in the registry.
pub(super) fn registry() -> &'static (Vec<u8>, Map) {
    static NEW: OnceLock<(Vec<u8>, Map)> = OnceLock::new();
    NEW.get_or_init(|| {
        let disk = Arc::new(SimulatedDisk::holding(new_registry().0.clone()));
        let options = RedbOptions { cache_bytes: 1 << 20, verify: true };
        let store = RedbStore::open_on(disk.clone(), options).expect("a database");
        let view = store.view().expect("a view");
        let mut draft = Draft::new(&*view);
        let since = (begin(), Config::default().certificates.crl_seconds);
        authority::found(&mut draft, &secrets(), &AUTHORITY, since, &mut ChaCha20Rng::from_seed([8; 32]))
            .expect("an authority");
        let (writes, _) = draft.into_parts();
        drop(view);
        store.commit(&writes).expect("a commit");
        let committed = everything(&store).expect("a view");
        drop(store);
        (disk.live(), committed)
    })
}
