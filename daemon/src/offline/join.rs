//! Admission to a cluster: a backup of a running member becomes the database of another one, which follows from there.
//!
//! The cluster is asked when the first bytes have come, so that it keeps what the rest of the backup lacks.

use enroll_protocol::backup::{Header, Position};

use super::OfflineError;
use crate::config::{Config, StoreKind};
use crate::run::cluster::{EtcdJournal, etcd_journal};
use crate::storage::journal::Mark;
use crate::storage::open::{OpenOptions, StateDir};
use enroll_core::rules::bootstrap::SCHEMA;

/// The admission of a backup's database.
pub(super) struct Admission {
    journal: EtcdJournal,
    /// The journal position of this member's database.
    before: Option<Position>,
    admitted: Option<Position>,
}

impl Admission {
    /// Refuses a configuration without a cluster.
    pub(super) fn at(config: &Config) -> Result<Self, OfflineError> {
        match config.store {
            StoreKind::Local => Err(OfflineError::NotShared),
            StoreKind::Etcd => Ok(Self { journal: etcd_journal(config)?, before: None, admitted: None }),
        }
    }

    /// Has it replace the database of this directory: one without records, or what this member has of the journal.
    pub(super) fn replace(&mut self, locked: &StateDir, options: &OpenOptions) -> Result<(), OfflineError> {
        let path = locked.database_path();
        let failed = |err| OfflineError::Store(path.display().to_string(), err);
        let store = locked.open_copy(options)?;
        if store.entries().map_err(failed)? == 0 {
            return Ok(());
        }
        self.before = store.mark().map_err(failed)?.and_then(|mark| mark.position());
        if self.before.is_some() { Ok(()) } else { Err(OfflineError::Occupied(path)) }
    }

    /// Asks the cluster to admit the database of a backup with this header.
    #[cfg(feature = "etcd")]
    pub(super) fn ask(&mut self, header: &Header, name: &str) -> Result<(), OfflineError> {
        use crate::cluster::founding::NotAdmitted;
        let refused = |why: String| OfflineError::NotJoined(format!("{name}: {why}; nothing was restored"));
        let Some(position) = header.journal else {
            return Err(refused(
                "it was taken from a registry that was no cluster's; take one of a running member: enrollctl server \
                 backup"
                    .to_owned(),
            ));
        };
        if header.schema != SCHEMA {
            let (of, version) = (header.schema, &header.version);
            return Err(refused(format!(
                "it has schema {of}, of enrolld {version}, and the records behind it too; join with that version"
            )));
        }
        let Position { number, .. } = position;
        if let Some(before) =
            self.before.filter(|before| before.identity == position.identity && before.number > number)
        {
            return Err(refused(format!(
                "this member has record {}, and the backup ends with {number}; start the daemon, or take a backup now",
                before.number
            )));
        }
        let admitted = self.journal.admit(&position).map_err(crate::run::StartError::Etcd)?;
        admitted.map_err(|why| {
            refused(match why {
                NotAdmitted::NoJournal => "there is no journal in etcd, so no cluster to join; see that etcd.endpoints and \
                                           etcd.prefix are those of the others"
                    .to_owned(),
                NotAdmitted::OtherJournal => {
                    "it is of another journal than the one in etcd; take a backup of a member that runs now".to_owned()
                }
                NotAdmitted::Trimmed(low) => format!(
                    "it ends with record {number}, and the journal begins with {low} by now; take a newer backup"
                ),
                NotAdmitted::Older(head) => format!(
                    "it ends with record {number}, and the journal with {head}: etcd was restored from an older copy; see \
                     the disasters in docs/cluster.md"
                ),
                NotAdmitted::NameTaken(host) => format!(
                    "a daemon on {host} is the member \"{}\"; stop that one, or give this one a name of its own in \
                     cluster.member",
                    self.journal.member()
                ),
            })
        })?;
        self.admitted = Some(position);
        Ok(())
    }

    /// There is no cluster to ask.
    #[cfg(not(feature = "etcd"))]
    pub(super) fn ask(&mut self, _: &Header, _: &str) -> Result<(), OfflineError> {
        let _ = (SCHEMA, &self.journal);
        Err(OfflineError::NotShared)
    }

    /// The mark of the database that was admitted.
    pub(super) fn mark(&self) -> Option<Mark> {
        self.admitted.as_ref().map(Mark::at)
    }

    /// Takes the admission back: no database came of it.
    pub(super) fn withdraw(&self) {
        #[cfg(feature = "etcd")]
        if self.admitted.is_some()
            && let Err(err) = self.journal.withdraw()
        {
            tracing::warn!(%err, "the claim of this member stays in etcd");
        }
    }
}
