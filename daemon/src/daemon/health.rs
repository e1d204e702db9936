//! The daemon's look at its own health: conditions that nobody reports, such as a disk that is nearly full. It looks
//! when somebody asks for status or metrics, and once an hour, so that an idle daemon is not woken for it.

use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use enroll_core::context::Context;
use enroll_core::model::record::Kind;
use enroll_core::needs::Process;
use enroll_core::rules::{bootstrap, changes, health};
use enroll_core::state::{ReadTxn, StoreError};
use enroll_protocol::finding::{DISK_LOW_FACTOR, Finding, Topic};
use enroll_protocol::server::Disk;
use enroll_protocol::{Pk, Time};

use super::Daemon;
use super::warnings::CLOCK_DOUBTED;
use crate::metrics::Standing;
use crate::storage::disk::Space as _;
use crate::sys;

/// Seconds that making a batch durable takes, on average, on a slow disk.
const SLOW_SECONDS: f64 = 0.1;

/// A certificate ends soon within this time, or within a quarter of its lifetime where that is less.
const CERTIFICATE_SOON_SECONDS: u64 = 7 * 24 * 60 * 60;

/// A scheduled backup is late after this time: the timer makes one each day.
const BACKUP_LATE_SECONDS: u64 = 2 * 24 * 60 * 60;

/// Certificates up to which the next one to end is looked up whenever somebody asks; of more, once an hour.
const CERTIFICATES_LOOKED_AT: u64 = 1_000;

/// The state behind the daemon's looks at its own health, from one look to the next.
#[derive(Debug, Default)]
pub struct Watched {
    /// The state directory, whose disk is looked at; none in memory.
    directory: Option<File>,
    /// The disk counts as slow.
    is_slow: AtomicBool,
    /// The end of the certificate that ends next, and its holder, as the latest look found it.
    certificate_ends: Mutex<Option<(Time, Pk)>>,
}

impl Watched {
    /// Watches the disk of this directory.
    pub fn of(directory: Option<File>) -> Self {
        Self { directory, ..Self::default() }
    }
}

impl Daemon {
    /// Looks at everything, as once an hour: at each certificate, too.
    pub fn look_closely(&self, txn: &dyn ReadTxn, now: Time) -> Result<(), StoreError> {
        self.watched.set_certificate_ends(health::certificate_ends(txn, now)?);
        self.look(txn, now)?;
        Ok(())
    }

    /// Updates the standing warnings of what nobody reports. Returns the end of the certificate that ends next.
    fn look(&self, txn: &dyn ReadTxn, now: Time) -> Result<Option<Time>, StoreError> {
        self.show_alarms(now);
        let (disk, settings) = (self.disk(), self.settings.now());
        let low_bytes = disk.needed_bytes.saturating_mul(DISK_LOW_FACTOR);
        let [needed, low] = [disk.needed_bytes, low_bytes].map(mebibytes);
        let is_below = |bytes: u64| disk.free_bytes.is_some_and(|free| free < bytes);
        let arguments =
            [("state_dir", settings.state_dir.as_str()), ("needed", needed.as_str()), ("low", low.as_str())];
        let found = |topic: Topic, is_so: bool, arguments: &[(&str, &str)]| {
            self.warnings.replace_findings(topic, is_so.then(|| Finding::of(topic, "", arguments)));
        };
        found(Topic::DiskFull, is_below(disk.needed_bytes), &arguments);
        found(Topic::DiskLow, is_below(low_bytes), &arguments);
        self.look_at_commits();
        found(Topic::ClockUnsynchronised, sys::is_clock_unsynchronised(), &[]);
        let soon = CERTIFICATE_SOON_SECONDS.min(settings.certificate_lifetime_seconds / 4);
        let ends = self.certificate_ends(txn, now)?;
        let [at, person] = ends.map(|(ends, holder)| [ends.to_string(), holder.to_string()]).unwrap_or_default();
        let is_soon = ends.is_some_and(|(ends, _)| ends <= now.plus_seconds(soon));
        found(Topic::Certificates, is_soon, &[("at", &at), ("person", &person)]);
        self.warnings.replace_findings(Topic::Abuse, self.abuse.findings());
        self.look_at_backups(txn, now)?;
        Ok(ends.map(|(ends, _)| ends))
    }

    /// A backup is late where some are scheduled and the last one, or, without one, the registry, is too old.
    fn look_at_backups(&self, txn: &dyn ReadTxn, now: Time) -> Result<(), StoreError> {
        let settings = self.settings.now();
        let last = self.last_backup.read();
        let since = match (&settings.backup_directory, last) {
            (None, _) => None,
            (Some(_), Some(last)) => Some(last),
            (Some(_), None) => Some(bootstrap::created(txn)?),
        };
        let is_late = since.is_some_and(|since| since.plus_seconds(BACKUP_LATE_SECONDS) < now);
        let found = is_late.then(|| {
            let directory = settings.backup_directory.iter().map(|path| path.display().to_string()).collect::<String>();
            let last = last.map_or_else(|| "there is none yet".to_owned(), |at| format!("the last one is of {at}"));
            Finding::told(Topic::Backup, "", &format!("backups are scheduled into {directory}, and {last}"))
        });
        self.warnings.replace_findings(Topic::Backup, found);
        Ok(())
    }

    /// Counts a commit that took this time. The disk counts as slow from the commit on that made it so.
    pub fn committed(&self, seconds: f64) {
        self.metrics.commit(seconds);
        if self.is_disk_slow() != self.watched.is_slow.load(Ordering::Relaxed) {
            self.look_at_commits();
        }
    }

    fn look_at_commits(&self) {
        let is_slow = self.is_disk_slow();
        self.watched.is_slow.store(is_slow, Ordering::Relaxed);
        let limit = format!("{} ms", (SLOW_SECONDS * 1e3).round());
        let finding = || Finding::of(Topic::SlowDisk, "", &[("limit", &limit)]);
        self.warnings.replace_findings(Topic::SlowDisk, is_slow.then(finding));
    }

    fn is_disk_slow(&self) -> bool {
        self.metrics.commit_time.seconds() > SLOW_SECONDS
    }

    /// The figures of the process, for `server.status`.
    pub(super) fn process(&self, txn: &dyn ReadTxn, now: Time) -> Result<Process, StoreError> {
        let certificate_ends = self.look(txn, now)?;
        Ok(Process {
            version: env!("CARGO_PKG_VERSION"),
            started: *self.started.now(),
            database_bytes: self.metrics.database_bytes.get(),
            connections: self.metrics.connections.get(),
            queue: self.metrics.queue.get(),
            warnings: self.warnings.all(),
            written: self.written.shown(now),
            last_backup: self.last_backup.read(),
            requests: self.metrics.requests(),
            disk: self.disk(),
            clock_synchronised: !sys::is_clock_unsynchronised(),
            certificate_ends,
            clock_doubted: CLOCK_DOUBTED,
        })
    }

    /// The figures of this moment, for `server.metrics`.
    pub(super) fn standing(&self, txn: &dyn ReadTxn, ctx: &Context) -> Result<Standing, StoreError> {
        let certificate_ends = self.look(txn, ctx.now)?;
        let head = changes::head(txn)?;
        Ok(Standing {
            authority_ends: ctx.identity.authority.ends(),
            certificate_ends,
            last_backup: self.last_backup.read(),
            waiting: health::waiting(txn)?,
            places: health::places(txn, ctx.now)?,
            follower_lag: self.metrics.followers.lag(head.seq),
            disk: self.disk(),
            clock_synchronised: !sys::is_clock_unsynchronised(),
            written: self.written.shown(ctx.now),
            cluster: self.membership.status(),
            head,
        })
    }

    pub(super) fn disk(&self) -> Disk {
        let commit = Duration::from_secs_f64(self.metrics.commit_time.seconds());
        Disk {
            free_bytes: self.watched.directory.as_ref().and_then(|directory| directory.free_bytes().ok()),
            needed_bytes: self.settings.now().free_bytes,
            commit_micros: u64::try_from(commit.as_micros()).unwrap_or(u64::MAX),
        }
    }

    fn certificate_ends(&self, txn: &dyn ReadTxn, now: Time) -> Result<Option<(Time, Pk)>, StoreError> {
        let count = changes::head(txn)?.records.get(&Kind::Certificate).copied().unwrap_or(0);
        match count {
            0 => Ok(None),
            1..=CERTIFICATES_LOOKED_AT => health::certificate_ends(txn, now),
            _ => Ok(self.watched.certificate_ends()),
        }
    }
}

impl Watched {
    fn certificate_ends(&self) -> Option<(Time, Pk)> {
        *self.certificate_ends.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_certificate_ends(&self, ends: Option<(Time, Pk)>) {
        *self.certificate_ends.lock().unwrap_or_else(PoisonError::into_inner) = ends;
    }
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}
