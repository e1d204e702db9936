//! The start of a daemon in a simulation: what lies on a machine's disks is opened as a start does it, and checked.

use std::path::Path;
use std::sync::{Arc, Mutex};

use enroll_core::context::Identity;
use enroll_core::identity::CountingSeal;
use enroll_core::model::key::{self, WITHOUT_ORDER};
use enroll_core::rules::bootstrap::{self, RegistryError};
use enroll_core::rules::{authority, changes, check};
use enroll_core::settings::Settings;
use enroll_core::state::{Store, StoreError};
use enrolld::config::Config;
use enrolld::daemon::Daemon;
use enrolld::daemon::clock::{Clock, MachineClock};
use enrolld::storage::journal::JournalOptions;
use enrolld::storage::redb::RedbOptions;
use rand::rngs::ChaCha20Rng;
use rand::{Rng as _, RngExt as _};

use super::beginning::IDENTITY;
use super::control::Control;
use super::core::LEFT_BYTES;
use super::limits;
use super::shared_journal::Way;
use crate::machine::{Lent, Machine};
use crate::oracle::{Oracle, Recorder, Verdict, everything};
use crate::registry::foundation::{authority_of, found, secrets};

/// The journal of a daemon.
pub(super) enum Journal<'a> {
    /// Segments on its own disks, and the judge of what they hold.
    Own(&'a Arc<Mutex<Oracle>>),
    /// One that several hosts share.
    Shared(&'a Arc<Way>),
}

/// A start that came to nothing.
pub(super) enum Refused {
    /// The records behind the database are no longer kept.
    Late,
    /// Anything else.
    Other(String),
}

impl From<String> for Refused {
    fn from(why: String) -> Self {
        Self::Other(why)
    }
}

/// The parts that a start has opened.
pub(super) struct Opened {
    pub(super) store: Arc<Lent>,
    /// The store as the daemon sees it.
    pub(super) seen: Arc<dyn Store>,
    pub(super) daemon: Arc<Daemon>,
    /// The number of the latest change.
    pub(super) latest: u64,
    pub(super) seal: CountingSeal,
    /// False if each commit flushes.
    pub(super) has_memory: bool,
}

impl Opened {
    /// Opens what lies on the machine's disks. A daemon that is to lead signs it.
    pub(super) fn open(
        machine: &Machine,
        clock: &Arc<MachineClock>,
        random: &mut ChaCha20Rng,
        journal: &Journal<'_>,
        (control, guesses): (Control, Option<u32>),
    ) -> Result<Self, Refused> {
        let redb = RedbOptions { cache_bytes: [0, 64 << 10, 1 << 20][random.random_range(0..3)], verify: true };
        let segment_bytes = [9 << 10, 12 << 10, 64 << 10][random.random_range(0..3)];
        let identity = random.next_u64();
        // Without memory each commit waits for a flush, and a start moves what it reads into the tree as it goes on.
        let has_memory = !matches!(journal, Journal::Own(_)) || !identity.is_multiple_of(8);
        let memory_bytes = if has_memory { 16 << 20 } else { 1 };
        let options = JournalOptions { segment_bytes, memory_bytes, unordered: WITHOUT_ORDER, identity };
        let (store, seen) = match journal {
            Journal::Own(oracle) => {
                let store = machine.open(redb, options)?;
                let found_there = everything(&store).map_err(|err| err.to_string())?;
                let _: Verdict = oracle.lock().map_err(|err| err.to_string())?.judge(found_there)?;
                let store = Lent::new(store);
                let seen: Arc<dyn Store> = Arc::new(Recorder::of(store.clone(), oracle));
                (store, seen)
            }
            Journal::Shared(way) => {
                let options = JournalOptions { identity: IDENTITY, ..options };
                let store = machine.open_shared(redb, options, Arc::clone(way) as _, secrets())?;
                match store.catch_up(|_| ()) {
                    Err(StoreError::Trimmed(_)) => return Err(Refused::Late),
                    caught_up => caught_up.map_err(|err| err.to_string())?,
                }
                let store = Lent::new(store);
                (store.clone(), store as Arc<dyn Store>)
            }
        };
        let seen = control.over(seen);
        let wrong = |err: RegistryError| err.to_string();
        let unreadable = |err: StoreError| err.to_string();
        let secrets = secrets();
        if !bootstrap::verify(&*seen.view().map_err(unreadable)?, Some(&secrets)).map_err(wrong)? {
            found(&*seen).map_err(wrong)?;
            store.flush().map_err(unreadable)?;
        }
        // A member's was stored by the leader.
        let authority = match journal {
            Journal::Own(_) => authority_of(&*seen).map_err(wrong)?,
            Journal::Shared(_) => authority::open(&*seen.view().map_err(unreadable)?, &secrets)
                .map_err(wrong)?
                .ok_or_else(|| "no authority".to_owned())?,
        };
        let view = seen.view().map_err(unreadable)?;
        let secrets = bootstrap::hashes(&*view, secrets).map_err(wrong)?;
        let keys = bootstrap::key_ring(&*view, &secrets).map_err(wrong)?;
        let latest = changes::head(&*view).map_err(unreadable)?.seq;
        let violations = check::violations(&*view, Some(&secrets)).map_err(unreadable)?;
        // In the middle of an import much is missing.
        let is_importing = view.get(&key::importing()).map_err(unreadable)?.is_some();
        if let Some(first) = violations.first().filter(|_| !is_importing) {
            return Err(format!("{} {}: {} (server check)", first.invariant, first.subject, first.message).into());
        }
        drop(view);
        if matches!(journal, Journal::Own(_)) {
            bootstrap::sign_store(&*seen).map_err(unreadable)?;
        }
        let identity = Identity { secrets: secrets.into(), keys: keys.into(), authority: authority.into() };
        let mut salt = [0; 32];
        random.fill_bytes(&mut salt);
        let salt = *salt.first_chunk().ok_or_else(|| "no salt".to_owned())?;
        let seal = CountingSeal::new(&identity.secrets, salt).map_err(|err| err.to_string())?;
        let daemon = Arc::new(Daemon::new(settings(guesses), identity, Clock::of(clock).now()));
        Ok(Self { store, seen, daemon, latest, seal, has_memory })
    }
}

/// The default settings, with so many guesses of a source in a minute; without a number no client is refused for guessing.
/// Every refused call may leave its record, by which guesses are counted.
pub(super) fn settings(guesses: Option<u32>) -> Settings {
    let mut settings = Config::default().settings(Path::new("/nowhere"));
    settings.free_bytes = LEFT_BYTES;
    settings.guesses_per_minute = guesses.unwrap_or(u32::MAX);
    settings.guesses_uid_per_minute = guesses.map_or(u32::MAX, limits::of_uid);
    settings.guesses_total_per_minute = guesses.map_or(u32::MAX, limits::of_all);
    settings.refused_per_minute = u32::MAX;
    settings
}
