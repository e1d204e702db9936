//! `enrolld restore FILE`: makes a database from a backup; it gets its name only after all checks.
//!
//! The key comes first: a database without its key is useless, and a daemon that finds neither would begin a new
//! registry, in which every token is fresh. A rehearsal does the same in an unnamed file, and needs no key. A backup of an
//! older schema is migrated, as a start would migrate its database.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use enroll_protocol::backup::{BackupError, Header, Part, Reader};

use super::inspect::{Found, inspect, line, migrate, of_key};
use super::join::Admission;
use super::{OfflineError, Whose};
use crate::config::StoreKind;
use crate::run::paths::Paths;
use crate::run::print;
use crate::run::state::{make_state_dir, open_options};
use crate::storage::open::{OpenError, OpenOptions, StateDir, make_in};
use crate::storage::redb::RedbStore;
use enroll_core::identity::Secrets;
use enroll_core::rules::bootstrap::{SCHEMA, expect_schema};
use enroll_core::state::{Store as _, StoreError, Writes};

const READ_BYTES: usize = 64 << 10;

/// Bytes of keys and values that are committed at a time.
const COMMIT_BYTES: usize = 8 << 20;

/// Arguments of `enrolld restore`.
#[derive(Debug, Args)]
pub struct Restore {
    /// The backup, as `enrollctl server backup` wrote it; - is standard input
    file: PathBuf,
    /// Join the cluster of the running daemon that the backup was taken from
    #[arg(long, conflicts_with = "check")]
    join: bool,
    /// Only rehearse it, in a temporary file: say whether the backup can be restored, and change nothing
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    whose: Whose,
}

/// A backup that can be read.
pub(super) struct Source {
    name: String,
    bytes: Box<dyn Read>,
    /// Where it becomes the database of a member.
    admission: Option<Admission>,
}

/// An error of making a database from a backup.
enum Failed {
    Store(StoreError),
    Other(OfflineError),
}

impl Restore {
    pub(super) fn run(self) -> Result<ExitCode, OfflineError> {
        let (config, paths) = self.whose.find()?;
        let options = open_options(&config);
        let source = Source::open(&self.file)?;
        match (self.check, self.join) {
            (true, _) => rehearse(source, &paths, &options),
            (_, true) => {
                let source = Source { admission: Some(Admission::at(&config)?), ..source };
                restore(source, &paths, &options, StoreKind::Etcd)
            }
            _ => restore(source, &paths, &options, config.store),
        }
    }
}

fn restore(
    mut source: Source,
    paths: &Paths,
    options: &OpenOptions,
    kind: StoreKind,
) -> Result<ExitCode, OfflineError> {
    make_state_dir(&paths.state_dir)?;
    let locked = StateDir::lock_for_owner(&paths.state_dir)?;
    let path = locked.database_path();
    if locked.has_database() {
        match &mut source.admission {
            Some(admission) => admission.replace(&locked, options)?,
            None => return Err(OfflineError::Occupied(path)),
        }
    }
    if let Some(journal) = locked.journal_file()? {
        return Err(OfflineError::Occupied(journal));
    }
    let Some(key) = paths.key.find()? else {
        return Err(OfflineError::NoKey { key: paths.key.path().to_owned(), database: source.name.into() });
    };
    let (secrets, name) = (Secrets::derive(&key)?, source.name.clone());
    let judge = |store: &RedbStore, read| judge(store, read, &name, Some(&secrets));
    let made = locked.make_database(options, |store| source.make(store), judge);
    let made = made.map_err(OpenError::from).map_err(OfflineError::from);
    let made = made.and_then(|made| made.map_err(|failed| failed.at(path.display().to_string())));
    let (header, found) = made.inspect_err(|_| {
        if let Some(admission) = &source.admission {
            admission.withdraw();
        }
    })?;
    let next = match (&source.admission, kind) {
        (Some(_), _) => "next        start the daemon: it follows from there on",
        (None, StoreKind::Local) => "forgotten   what came later: tokens and codes used since then can be used again",
        (None, StoreKind::Etcd) => {
            "forgotten   what came later: tokens and codes used since then can be used again\n  next        it is no \
             member's database: with all daemons stopped, enrolld cluster begin --replace begins the cluster anew with it"
        }
    };
    print(&format!("{} is restored from {name}\n{}  {next}\n", path.display(), summary(&header, &found)));
    Ok(ExitCode::SUCCESS)
}

/// Fills a store with a backup and judges it, as the command does with a new file. Refuses a backup that is not whole or
/// violates an invariant; returns its header.
pub fn restore_into(store: &RedbStore, backup: Box<dyn Read>, secrets: &Secrets) -> Result<Header, String> {
    let name = "the backup".to_owned();
    let mut source = Source { name: name.clone(), bytes: backup, admission: None };
    let judged = source.make(store).and_then(|made| judge(store, made, &name, Some(secrets)));
    judged.map(|(header, _)| header).map_err(|failed| failed.at(name).to_string())
}

fn rehearse(source: Source, paths: &Paths, options: &OpenOptions) -> Result<ExitCode, OfflineError> {
    let secrets = paths.key.find()?.map(|key| Secrets::derive(&key)).transpose()?;
    let name = source.name.clone();
    let (header, found) = source.prove(&std::env::temp_dir(), secrets.as_ref(), options)?;
    print(&format!(
        "{name} can be restored; nothing was changed\n{}  secret key  {}\n",
        summary(&header, &found),
        of_key(&paths.key, secrets.as_ref()),
    ));
    Ok(ExitCode::SUCCESS)
}

impl Source {
    pub(super) fn open(path: &Path) -> Result<Self, OfflineError> {
        if path.as_os_str() == "-" {
            return Ok(Self { name: "standard input".to_owned(), bytes: Box::new(io::stdin()), admission: None });
        }
        let name = path.display().to_string();
        let file = File::open(path).map_err(|err| OfflineError::Read(name.clone(), err))?;
        Ok(Self { name, bytes: Box::new(file), admission: None })
    }

    /// Fills a database, and migrates it. Returns the header and the number of entries that it then has. Refuses a backup
    /// that does not hold as many as were written.
    fn make(&mut self, store: &RedbStore) -> Result<(Header, u64), Failed> {
        let (header, written) = self.fill(store)?;
        let entries = store.entries()? as u64;
        if entries != written {
            let first = format!("{entries} entries where {written} were written");
            return Err(Failed::Other(OfflineError::Unsound { name: self.name.clone(), first, count: 1 }));
        }
        migrate(store).map_err(|err| Failed::Other(OfflineError::registry(&self.name)(err)))?;
        if let Some(mark) = self.admission.as_ref().and_then(Admission::mark) {
            store.set_mark(&mark)?;
        }
        Ok((header, store.entries()? as u64))
    }

    /// Restores it on trial, in a file of this directory that has no name.
    pub(super) fn prove(
        mut self,
        directory: &Path,
        secrets: Option<&Secrets>,
        options: &OpenOptions,
    ) -> Result<(Header, Found), OfflineError> {
        let at = directory.display().to_string();
        let file = tempfile::tempfile_in(directory).map_err(|err| OfflineError::Read(at.clone(), err))?;
        let name = self.name.clone();
        let made = make_in(&file, options, |store| self.make(store), |store, read| judge(store, read, &name, secrets));
        made.map_err(|failed| failed.at(at))
    }

    /// Commits every entry, a few at a time. Returns the header and the number of entries.
    fn fill(&mut self, store: &RedbStore) -> Result<(Header, u64), Failed> {
        let (mut reader, mut header, mut entries) = (Reader::new(), None, 0);
        let (mut writes, mut bytes) = (Writes::new(), 0);
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let length = match self.bytes.read(&mut buffer) {
                Ok(length) => length,
                Err(err) if err.kind() == io::ErrorKind::Interrupted => continue,
                Err(err) => return Err(Failed::Other(OfflineError::Read(self.name.clone(), err))),
            };
            let name = self.name.clone();
            let unusable = |err| Failed::Other(OfflineError::Backup(name.clone(), err));
            if length == 0 {
                reader.finish().map_err(unusable)?;
                break;
            }
            reader.push(&buffer[..length]);
            while let Some(part) = reader.next_part().map_err(unusable)? {
                match part {
                    Part::Header(found) => header = Some(self.expect_known(found)?),
                    Part::Entry(key, value) => {
                        bytes += key.len() + value.len();
                        writes.insert(key.to_owned(), Some(value.to_owned()));
                    }
                    Part::End(count) => entries = count,
                }
                if bytes >= COMMIT_BYTES {
                    store.commit(&std::mem::take(&mut writes))?;
                    bytes = 0;
                }
            }
        }
        store.commit(&writes)?;
        let header =
            header.ok_or_else(|| Failed::Other(OfflineError::Backup(self.name.clone(), BackupError::Foreign)))?;
        Ok((header, entries))
    }

    fn expect_known(&mut self, header: Header) -> Result<Header, Failed> {
        let known = expect_schema(header.schema, || Ok(Some(header.version.clone())));
        known.map_err(|err| Failed::Other(OfflineError::registry(&self.name)(err)))?;
        if let Some(admission) = &mut self.admission {
            admission.ask(&header, &self.name).map_err(Failed::Other)?;
        }
        Ok(header)
    }
}

/// Refuses a database that differs from the backup's header or violates an invariant.
fn judge(
    store: &RedbStore,
    (header, entries): (Header, u64),
    name: &str,
    secrets: Option<&Secrets>,
) -> Result<(Header, Found), Failed> {
    let found = inspect(&*store.view()?, secrets);
    let found = found.map_err(|err| Failed::Other(OfflineError::registry(name)(err)))?;
    let not_sound = |first: String, count| OfflineError::Unsound { name: name.to_owned(), first, count };
    if let [first, ..] = found.violations.as_slice() {
        return Err(Failed::Other(not_sound(line(first), found.violations.len())));
    }
    if (found.entries, found.changes_head) != (entries, header.changes_head) {
        let what = format!(
            "{} entries and change {} where {entries} and {} were written",
            found.entries, found.changes_head, header.changes_head
        );
        return Err(Failed::Other(not_sound(what, 1)));
    }
    Ok((header, found))
}

pub(super) fn summary(header: &Header, found: &Found) -> String {
    let migrated = match header.schema {
        SCHEMA => String::new(),
        before => format!("  migrated    from schema {before} to {SCHEMA}\n"),
    };
    format!(
        "  taken       {} by enrolld {}\n{migrated}  holds       {} entries, latest change {}\n",
        header.at, header.version, found.entries, found.changes_head
    )
}

impl Failed {
    /// The error for people, with this path for those of the store.
    fn at(self, path: String) -> OfflineError {
        match self {
            Self::Store(err) => OfflineError::Store(path, err),
            Self::Other(err) => err,
        }
    }
}

impl From<StoreError> for Failed {
    fn from(err: StoreError) -> Self {
        Self::Store(err)
    }
}
