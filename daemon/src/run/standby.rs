//! The standby of a start: a thread follows the shared journal while the daemon serves reads, until this member is
//! elected. Then the daemon leads, with the same socket and connections.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{oneshot, watch};

use super::cluster::Member;
use super::state::Opened;
use super::{StartError, authority};
use crate::config::Config;
use crate::daemon::Daemon;
use crate::storage::journal::JournalStore;
use crate::writer::Queue;
use enroll_core::rules::bootstrap::{self, RegistryError};
use enroll_core::state::{StoreError, Writes};

/// A standby: the parts of a daemon that follow, and lead once it is elected.
struct Standby {
    store: Arc<JournalStore>,
    daemon: Arc<Daemon>,
    member: Arc<Member>,
    config: Config,
    /// The database, for errors.
    path: PathBuf,
    /// Told of each change that was applied.
    changes: watch::Sender<u64>,
    /// Set once the writer may begin.
    is_elected: Arc<AtomicBool>,
}

/// Watches over the role of this daemon, and returns why it has to end: it was deposed, or can not follow. For ever
/// where the journal is this host's.
pub(super) async fn watch(
    opened: &Opened,
    config: Config,
    changes: watch::Sender<u64>,
    queue: Queue,
    promoted: impl FnOnce(),
) -> StartError {
    let Some(member) = &opened.member else { return std::future::pending().await };
    if opened.daemon.role.is_standby() {
        let standby = Standby {
            store: Arc::clone(&opened.store),
            daemon: Arc::clone(&opened.daemon),
            member: Arc::clone(member),
            config,
            path: opened.path.clone(),
            changes,
            is_elected: Arc::clone(&opened.is_elected),
        };
        let (ended, end) = oneshot::channel();
        let thread = std::thread::Builder::new().name("standby".to_owned());
        if let Err(err) = thread.spawn(move || drop(ended.send(standby.run()))) {
            return StartError::Io("the standby's thread".to_owned(), err);
        }
        match end.await {
            Ok(Ok(true)) => {}
            // It stops.
            Ok(Ok(false)) => return std::future::pending().await,
            Ok(Err(err)) => return err,
            Err(_) => return StartError::Storage(StoreError::Closed("the follower ended")),
        }
        queue.wake();
        promoted();
    }
    drop(queue);
    if let Some(mut is_lost) = member.is_lost() {
        // The sender is gone only with the runtime of the journal.
        let _ = is_lost.wait_for(|is_lost| *is_lost).await;
    }
    StartError::Storage(StoreError::Deposed)
}

impl Standby {
    /// Follows until this daemon leads, or stops: then false.
    fn run(self) -> Result<bool, StartError> {
        let applied = |writes: &Writes| self.daemon.follow(&*self.store, writes, &self.changes);
        let told = |leader: &str| {
            if self.daemon.role.leader().as_deref() != Some(leader) {
                tracing::info!(leader, "follows");
            }
            self.daemon.role.follow(leader);
        };
        let is_elected = self.member.follow(&self.store, applied, told).map_err(|fault| fault.at(self.path.clone()))?;
        if is_elected {
            self.lead()?;
        }
        Ok(is_elected)
    }

    /// Does what a start does that leads from the beginning, and lets the writer begin.
    fn lead(&self) -> Result<(), StartError> {
        let registry = |source: RegistryError| StartError::Registry { path: self.path.clone(), source };
        let secrets = Arc::clone(&self.daemon.identity.now().secrets);
        let authority = authority::open(&*self.store, &self.config, &secrets, &self.path, true)?;
        self.daemon.identity.update(|identity| identity.authority = authority.into());
        self.daemon.read_keys(&*self.store).map_err(registry)?;
        bootstrap::sign_store(&*self.store).map_err(StartError::Storage)?;
        self.is_elected.store(true, Ordering::SeqCst);
        Ok(())
    }
}
