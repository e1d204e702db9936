//! `enrolld backup`: one of the scheduled backups. `enrollctl` takes it from the running daemon; it is rehearsed, gets its
//! name, and only then the oldest ones beyond `backup.keep` are removed, so that a full disk keeps the last good one.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use clap::Args;
use jiff::civil::{self, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _, Zoned};
use nix::fcntl::{Flock, FlockArg};

use super::inspect::Found;
use super::restore::{Source, summary};
use super::{OfflineError, Whose};
use crate::config::Config;
use crate::daemon::clock::Clock;
use crate::daemon::last_backup;
use crate::run::paths::{self, Paths};
use crate::run::print;
use crate::run::state::{make_state_dir, open_options};
use crate::storage::private_dir::Directory;
use enroll_core::identity::Secrets;
use enroll_protocol::backup::Header;

/// The form of the name of a backup, with its time in UTC, so that names sort like times.
const NAME: &str = "enrolld-%Y%m%dT%H%M%SZ.backup";

/// Files that are not whole begin with this; `enrollctl` has such names too.
const UNFINISHED: &str = ".enrolld-";

/// Arguments of `enrolld backup`.
#[derive(Debug, Args)]
pub struct Backup {
    /// Do nothing unless backup.time has passed since the last one
    #[arg(long)]
    if_due: bool,
    #[command(flatten)]
    whose: Whose,
}

/// The directory of the backups, in which nobody else takes one meanwhile.
struct BackupDirectory {
    path: PathBuf,
    directory: Directory,
    _lock: Flock<File>,
}

impl Backup {
    pub(super) fn run(self) -> Result<ExitCode, OfflineError> {
        let (config, paths) = self.whose.find()?;
        if config.backup.directory.as_os_str().is_empty() {
            return Err(OfflineError::NoBackups);
        }
        let backups = BackupDirectory::open(&config.backup.directory)?;
        let now = now();
        let last = backups.names()?.last().and_then(|name| time_of(name));
        let time = config.backup.time_of_day().unwrap_or_default();
        if self.if_due && !is_due(time, last, &now.to_zoned(TimeZone::system())) {
            return Ok(ExitCode::SUCCESS);
        }
        let name = now.strftime(NAME).to_string();
        let new = format!(".{name}");
        let (header, found) = backups.take(&new, &config, &paths).inspect_err(|_| {
            // Until the next one it would only take space.
            let _ = backups.directory.remove(&new);
        })?;
        backups.directory.publish_new(&new, &name)?;
        // Before the state directory is written to: its disk may be full, and this one must not fill up meanwhile.
        let removed = backups.remove_oldest(config.backup.keep)?;
        last_backup::keep(&Directory::open_for_owner(&paths.state_dir, ".")?, header.at)?;
        let summary = summary(&header, &found);
        print(&format!(
            "{} is a backup that can be restored\n{summary}  removed     {removed} older ones; {} are kept\n",
            backups.path.join(&name).display(),
            config.backup.keep,
        ));
        Ok(ExitCode::SUCCESS)
    }
}

impl BackupDirectory {
    /// Opens the directory, makes it if there is none, and removes what an interrupted backup left.
    fn open(path: &Path) -> Result<Self, OfflineError> {
        make_state_dir(path)?;
        let directory = Directory::open_for_owner(path, ".")?;
        let failed = |err| OfflineError::Read(path.display().to_string(), err);
        let lock = Flock::lock(File::open(path).map_err(failed)?, FlockArg::LockExclusiveNonblock);
        let lock = lock.map_err(|_| OfflineError::BackupRuns(path.to_owned()))?;
        let backups = Self { path: path.to_owned(), directory, _lock: lock };
        for name in backups.entries()?.iter().filter(|name| name.starts_with(UNFINISHED)) {
            backups.directory.remove(name)?;
        }
        Ok(backups)
    }

    /// Takes a backup into this file and rehearses it.
    fn take(&self, new: &str, config: &Config, paths: &Paths) -> Result<(Header, Found), OfflineError> {
        let secrets = paths.key.find()?.map(|key| Secrets::derive(&key)).transpose()?;
        let file = self.path.join(new);
        ask(&paths.socket, &file)?;
        let proven = Source::open(&file)?.prove(&self.path, secrets.as_ref(), &open_options(config));
        proven.map_err(|err| match err {
            OfflineError::Store(path, why) => OfflineError::NotTaken(format!("{path}: rehearsing it failed: {why}")),
            err => err,
        })
    }

    /// Removes all but the latest few. Returns the number of those that are removed.
    fn remove_oldest(&self, keep: usize) -> Result<usize, OfflineError> {
        let names = self.names()?;
        let removed = names.len().saturating_sub(keep);
        for name in &names[..removed] {
            self.directory.remove(name)?;
        }
        self.directory.sync()?;
        Ok(removed)
    }

    /// The names of the backups, oldest first. Files with other names are none of ours.
    fn names(&self) -> Result<Vec<String>, OfflineError> {
        let mut names: Vec<_> = self.entries()?.into_iter().filter(|name| time_of(name).is_some()).collect();
        names.sort();
        Ok(names)
    }

    fn entries(&self) -> Result<Vec<String>, OfflineError> {
        let failed = |err| OfflineError::Read(self.path.display().to_string(), err);
        let entries = self.path.read_dir().map_err(failed)?.collect::<std::io::Result<Vec<_>>>().map_err(failed)?;
        Ok(entries.into_iter().filter_map(|entry| entry.file_name().into_string().ok()).collect())
    }
}

/// Has `enrollctl` write a backup of the daemon at this socket to a new file, which it checks and syncs.
fn ask(socket: &Path, file: &Path) -> Result<(), OfflineError> {
    let program = paths::control_program().unwrap_or_else(|| "enrollctl".into());
    let mut command = Command::new(&program);
    command.arg("--socket").arg(socket).args(["server", "backup"]).arg(file);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let failed = |why: String| OfflineError::NotTaken(why);
    let output = command.output().map_err(|err| failed(format!("{}: {err}", program.display())))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(failed(said.lines().last().map_or_else(|| format!("enrollctl: {}", output.status), str::to_owned)))
}

fn now() -> Timestamp {
    Timestamp::from_microsecond(Clock::default().now().micros()).unwrap_or_default()
}

/// The time in the name of a backup; `None` for another name.
fn time_of(name: &str) -> Option<Timestamp> {
    Some(DateTime::strptime(NAME, name).ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// True if the time of day has passed since the last backup. One of the future is none: the clock was wrong.
fn is_due(time: civil::Time, last: Option<Timestamp>, now: &Zoned) -> bool {
    let at = |day: civil::Date| day.to_datetime(time).to_zoned(now.time_zone().clone()).map(|at| at.timestamp());
    let (today, now) = (now.date(), now.timestamp());
    let due = match (at(today), today.checked_sub(1.day()).and_then(at)) {
        (Ok(due), _) if due <= now => due,
        (_, Ok(due)) => due,
        (_, Err(_)) => return last.is_none(),
    };
    last.is_none_or(|last| last < due || last > now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_due_when_the_time_of_day_has_passed_since_the_last() {
        let time = civil::time(3, 0, 0, 0);
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let now = civil::date(2026, 1, 31).at(12, 0, 0, 0).to_zoned(zone.clone()).expect("a time");
        for (last, expected) in [
            (None, true),
            (Some(civil::date(2026, 1, 30).at(3, 5, 0, 0)), true),
            (Some(civil::date(2026, 1, 31).at(2, 59, 0, 0)), true),
            (Some(civil::date(2026, 1, 31).at(3, 0, 0, 0)), false),
            (Some(civil::date(2026, 1, 31).at(11, 0, 0, 0)), false),
            (Some(civil::date(2026, 2, 1).at(11, 0, 0, 0)), true),
        ] {
            let last = last.map(|last| last.to_zoned(zone.clone()).expect("a time").timestamp());
            assert_eq!(is_due(time, last, &now), expected, "{last:?}");
        }
        let early = civil::date(2026, 1, 31).at(2, 0, 0, 0).to_zoned(zone.clone()).expect("a time");
        for (hour, expected) in [(2, true), (4, false)] {
            let last = civil::date(2026, 1, 30).at(hour, 0, 0, 0).to_zoned(zone.clone()).expect("a time");
            assert_eq!(is_due(time, Some(last.timestamp()), &early), expected, "yesterday at {hour}");
        }
    }

    #[test]
    fn a_name_has_its_time_and_other_names_have_none() {
        let at = Timestamp::from_second(1_800_000_000).expect("a time");
        let name = at.strftime(NAME).to_string();
        assert_eq!((name.as_str(), time_of(&name)), ("enrolld-20270115T080000Z.backup", Some(at)));
        for other in ["registry.backup", "enrolld-20270115T080000Z.backup.old", ".enrolld-20270115T080000Z.backup", ""]
        {
            assert_eq!(time_of(other), None, "{other}");
        }
    }
}
