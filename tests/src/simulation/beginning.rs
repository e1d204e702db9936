//! The registry that every run begins with, on the disk of its database: a new one whose authority signs the same bytes the
//! same way each time. A cluster begins with the same, and the first record of its journal.

use std::sync::{Arc, OnceLock};

use enroll_core::draft::Draft;
use enroll_core::rules::authority;
use enroll_core::state::Store as _;
use enroll_protocol::backup::Position;
use enrolld::config::Config;
use enrolld::storage::journal::{Mark, found};
use enrolld::storage::redb::{RedbOptions, RedbStore};
use enrolld::storage::shared_journal::Head;
use rand::SeedableRng as _;
use rand::rngs::ChaCha20Rng;

use super::certificates::AUTHORITY;
use super::control::Control;
use super::shared_journal::{Engine, Way};
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

/// The identity of the journal of a cluster.
pub(super) const IDENTITY: u64 = 7;

/// The beginning of a cluster: the image of a disk with the registry, and the first record of the journal, which that has.
pub(super) struct Founded {
    pub(super) database: Vec<u8>,
    pub(super) head: Head,
    pub(super) record: Vec<u8>,
}

/// The registry as the beginning of a cluster.
pub(super) fn cluster() -> &'static Founded {
    static NEW: OnceLock<Founded> = OnceLock::new();
    NEW.get_or_init(|| {
        let disk = Arc::new(SimulatedDisk::holding(registry().0.clone()));
        let options = RedbOptions { cache_bytes: 1 << 20, verify: true };
        let tree = RedbStore::open_on(disk.clone(), options).expect("a database");
        let none = Mark::at(&Position { identity: IDENTITY, number: 0, sum: 0 });
        let nowhere = Way::to(&Engine::beginning(Head { number: 0, sum: 0 }, Vec::new(), Control::None));
        let (mark, record) = found(&none, IDENTITY, nowhere, secrets().into()).expect("a first record");
        tree.set_mark(&mark).expect("a mark");
        drop(tree);
        let Position { number, sum, .. } = mark.position().expect("a place in a shared journal");
        Founded { database: disk.live(), head: Head { number, sum }, record }
    })
}
