//! `enrolld cluster`: begins a cluster's journal with the database of a stopped daemon, or makes a member's database that
//! of a registry of this host alone.
//!
//! A journal is begun with a record of its own in one transaction, and then the database gets the mark of that record. An
//! interruption in between leaves a journal with which nothing begins: `--replace` begins another one.

use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand};
use enroll_protocol::backup::Position;

use super::inspect::inspect;
use super::{OfflineError, Whose};
use crate::cluster::etcd_journal::EtcdJournal;
use crate::cluster::founding;
use crate::config::{Config, StoreKind};
use crate::daemon::clock::draw_seed;
use crate::run::cluster::etcd_journal;
use crate::run::migrate::migrate;
use crate::run::paths::Paths;
use crate::run::state::open_options;
use crate::run::systemd::while_starting;
use crate::run::{StartError, print};
use crate::storage::journal::{self, Mark};
use crate::storage::open::{OpenError, OpenOptions, StateDir};
use crate::storage::redb::RedbStore;
use enroll_core::identity::Secrets;
use enroll_core::rules::bootstrap::{self, Standing};
use enroll_core::state::{Store as _, StoreError};

/// The standing of a database in a cluster.
#[derive(Debug, Subcommand)]
pub enum Cluster {
    /// Begin a cluster's journal in etcd with this database
    ///
    /// The database is that of a registry that was this host's alone, or a member's whose journal is lost. The
    /// configuration has store = "etcd". One of an older version is migrated first, beside a copy. Then start the daemon;
    /// every other member joins with a backup of it.
    #[command(after_help = "Examples:\n  sudo enrolld cluster begin\n  sudo enrolld cluster begin --replace")]
    Begin(Begin),
    /// Make this member's database that of a registry of this host alone
    ///
    /// The cluster goes on without it, and what is done on either is not done on the other: stop the other members for
    /// good, or call this a copy. Afterwards set store = "local" and start the daemon.
    #[command(after_help = "Example:\n  sudo enrolld cluster leave")]
    Leave(Leave),
}

/// Arguments of `enrolld cluster begin`.
#[derive(Debug, Args)]
pub struct Begin {
    /// Remove the journal that is in etcd first; its other members have to join anew
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    whose: Whose,
}

/// Arguments of `enrolld cluster leave`.
#[derive(Debug, Args)]
pub struct Leave {
    /// Leave also without the records that only etcd has, or without asking etcd if there are any
    #[arg(long)]
    as_it_is: bool,
    #[command(flatten)]
    whose: Whose,
}

impl Cluster {
    pub(super) fn run(self) -> Result<ExitCode, OfflineError> {
        match self {
            Self::Begin(begin) => begin.run(),
            Self::Leave(leave) => leave.run(),
        }
    }
}

impl Begin {
    fn run(self) -> Result<ExitCode, OfflineError> {
        let (config, paths) = self.whose.find()?;
        if config.store == StoreKind::Local {
            return Err(OfflineError::NotShared);
        }
        let locked = StateDir::lock_database(&paths.state_dir)?;
        let path = locked.database_path();
        let failed = |err: StoreError| OfflineError::Kept(path.display().to_string(), err);
        let Some(key) = paths.key.find()? else {
            return Err(OfflineError::NoKey { key: paths.key.path().to_owned(), database: path.clone() });
        };
        let secrets = Secrets::derive(&key)?;
        let (tree, mark) = settled(&locked, &paths, &open_options(&config), Some(&secrets))?;
        let journal = Arc::new(etcd_journal(&config)?);
        let standing = journal.standing().map_err(StartError::Etcd)?;
        if let Some(standing) = standing {
            expect_replaceable(&standing, mark.position(), self.replace, &config)?;
            if !journal.remove().map_err(StartError::Etcd)? {
                return Err(not_begun("another daemon was elected to lead meanwhile; stop all"));
            }
        }
        let identity = draw_seed().first_chunk().copied().map_or(0, u64::from_le_bytes);
        let (mark, record) = journal::found(&mark, identity, journal.clone(), secrets.into()).map_err(failed)?;
        let Some(position) = mark.position() else { return Err(not_begun("its mark is another one")) };
        if !journal.begin(&position, &record).map_err(StartError::Etcd)? {
            return Err(not_begun("another daemon has begun a journal meanwhile"));
        }
        tree.set_mark(&mark).map_err(failed)?;
        tree.close().map_err(failed)?;
        locked.remove_journal()?;
        print(&format!(
            "{} begins a journal under {:?} with record {}\n  next        start the daemon; the others join with a backup of \
             it: enrollctl server backup - | enrolld restore --join -\n",
            path.display(),
            config.etcd.prefix,
            position.number,
        ));
        Ok(ExitCode::SUCCESS)
    }
}

/// Refuses a journal that must not be replaced, or not by this database.
fn expect_replaceable(
    standing: &founding::Standing,
    own: Option<Position>,
    replace: bool,
    config: &Config,
) -> Result<(), OfflineError> {
    let founding::Standing { identity, head, members, .. } = standing;
    if let Some((member, host)) = members.first() {
        return Err(not_begun(&format!(
            "the member {member} runs on {host}, and its journal goes on; stop all members first, or join it with a \
             backup by enrolld restore --join"
        )));
    }
    if !replace {
        let prefix = &config.etcd.prefix;
        return Err(not_begun(&format!(
            "there is a journal under {prefix:?} in etcd, with record {head}; to go on with it, start the daemon of a \
             member; to remove it for good and begin another one, say --replace"
        )));
    }
    match own {
        Some(own) if own.identity == *identity && own.number < *head => Err(not_begun(&format!(
            "the journal has record {head}, and this database has only {}; start this daemon until it has caught up, or \
             begin with a database that has it",
            own.number
        ))),
        _ => Ok(()),
    }
}

impl Leave {
    fn run(self) -> Result<ExitCode, OfflineError> {
        let (config, paths) = self.whose.find()?;
        let locked = StateDir::lock_database(&paths.state_dir)?;
        let path = locked.database_path();
        let failed = |err: StoreError| OfflineError::Kept(path.display().to_string(), err);
        let options = open_options(&config);
        let (tree, mark) = settled(&locked, &paths, &options, None)?;
        let Some(own) = mark.position() else {
            return Err(OfflineError::NotBegun(format!("{} is no member's database", path.display())));
        };
        let journal = match config.store {
            StoreKind::Local => None,
            StoreKind::Etcd => Some(etcd_journal(&config)?),
        };
        if !self.as_it_is {
            expect_whole(journal.as_ref(), &own)?;
        }
        let Position { number, .. } = own;
        let identity = options.journal.identity;
        let mark = Mark { identity, number, generation: 0, is_open: false, is_shared: false };
        tree.set_mark(&mark).map_err(failed)?;
        tree.close().map_err(failed)?;
        let claim = journal.map(|journal| journal.withdraw());
        let claim = match claim {
            Some(Ok(())) => "",
            _ => "  left        its claim in etcd, for which records are kept: etcdctl del PREFIXk/MEMBER\n",
        };
        print(&format!(
            "{} has everything up to record {number}, and is the database of a registry of this host alone\n{claim}  next   \
             \x20    set store = \"local\", and start the daemon\n",
            path.display(),
        ));
        Ok(ExitCode::SUCCESS)
    }
}

/// Refuses a database that lacks records, as far as etcd can be asked.
fn expect_whole(journal: Option<&EtcdJournal>, own: &Position) -> Result<(), OfflineError> {
    let way_out = "say --as-it-is to leave with what is here";
    let Some(journal) = journal else {
        return Err(not_begun(&format!(
            "store = \"local\" in the configuration, so etcd can not be asked what this database lacks; {way_out}"
        )));
    };
    match journal.standing() {
        Ok(Some(standing)) if standing.identity == own.identity && standing.head > own.number => {
            Err(not_begun(&format!(
                "the journal has record {}, and this database has only {}; start the daemon until it has caught up, or \
                 {way_out}",
                standing.head, own.number
            )))
        }
        Ok(_) => Ok(()),
        Err(err) => Err(not_begun(&format!("{err}, so nobody knows what this database lacks; {way_out}"))),
    }
}

/// The database, with everything that its journal on this disk has, and its mark. Refuses one that is not sound, and with
/// the secrets one that is of another key.
fn settled(
    locked: &StateDir,
    paths: &Paths,
    options: &OpenOptions,
    secrets: Option<&Secrets>,
) -> Result<(RedbStore, Mark), OfflineError> {
    let path = locked.database_path();
    let failed = |err: StoreError| OfflineError::Kept(path.display().to_string(), err);
    locked.close_tree(locked.open_tree(options)?, options)?;
    let mut tree = locked.open_tree(options)?;
    let standing = bootstrap::standing(&*tree.view().map_err(failed)?, secrets);
    if let Standing::Older(schema) = standing.map_err(OfflineError::registry(&path))? {
        tree = while_starting(|stage| migrate(locked, tree, options, schema, stage))?;
    }
    let found = inspect(&*tree.view().map_err(failed)?, secrets).map_err(OfflineError::registry(&path))?;
    if let [first, ..] = found.violations.as_slice() {
        let (name, first) = (path.display().to_string(), super::inspect::line(first));
        return Err(OfflineError::Unsound { name, first, count: found.violations.len() });
    }
    let mark = tree.mark().map_err(failed)?.ok_or_else(|| OpenError::NoDatabase(paths.state_dir.clone()))?;
    Ok((tree, mark))
}

fn not_begun(why: &str) -> OfflineError {
    OfflineError::NotBegun(why.to_owned())
}
