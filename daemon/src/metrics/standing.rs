//! The metrics of what holds at this moment: records, times at which something ends or began to wait, the disk and the
//! clock. They are read when somebody asks, and are not counted along.

use enroll_core::model::record::{ChangesHead, Kind};
use enroll_core::rules::health::Places;
use enroll_protocol::Time;
use enroll_protocol::cluster::ClusterStatus;
use enroll_protocol::server::{Disk, Waiting, WrittenBytes};
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::{Registry, Unit};

use super::series::Series;
use super::{Level, Timestamp};

/// The figures of this moment.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    /// The head of the change feed.
    pub head: ChangesHead,
    /// The end of the authority's certificate.
    pub authority_ends: Time,
    /// The end of the certificate that ends next.
    pub certificate_ends: Option<Time>,
    /// The time of the last scheduled backup.
    pub last_backup: Option<Time>,
    /// The enrollments that wait for a decision.
    pub waiting: Waiting,
    /// The places of the events to come.
    pub places: Places,
    /// The number of changes that the last follower of the feed has not.
    pub follower_lag: u64,
    /// The disk of the state directory.
    pub disk: Disk,
    /// True if the kernel calls the system's clock synchronised.
    pub clock_synchronised: bool,
    /// The bytes written by uid.
    pub written: Vec<WrittenBytes>,
    /// The cluster; empty for a registry on one host.
    pub cluster: ClusterStatus,
}

impl Standing {
    /// Registers every figure with its name and help. A time that there is not has no line.
    pub(super) fn register(&self, all: &mut Registry) {
        let mut at = |name: &str, help: &str, time: Option<Time>| {
            if let Some(time) = time {
                let value = Timestamp::default();
                value.set(time.micros() as f64 / 1e6);
                all.register_with_unit(name, help, Unit::Seconds, value);
            }
        };
        at(
            "authority_ends_timestamp",
            "When the certificate of the authority ends, or one above it, since 1970",
            Some(self.authority_ends),
        );
        at(
            "certificate_ends_timestamp",
            "When the certificate that ends next ends, without those that were renewed, since 1970",
            self.certificate_ends,
        );
        at("backup_timestamp", "When the last scheduled backup was made, since 1970", self.last_backup);
        at(
            "enrollment_oldest_timestamp",
            "When the oldest enrollment was made that waits for a decision, since 1970",
            self.waiting.oldest,
        );
        let mut level = |name: &str, help: &str, value: u64| all.register(name, help, leveled(value));
        level(
            "enrollments_waiting",
            "Enrollments that wait for a decision; 1000 stands for as many or more",
            self.waiting.enrollments,
        );
        level("places_free", "Free places of the events to come, the next 256 of them", self.places.free);
        level("places_waiting", "People who wait for a place of these events", self.places.waiting);
        level(
            "follower_lag_changes",
            "Changes that the last follower of the feed was not sent yet; 0 without followers",
            self.follower_lag,
        );
        level("changes_head", "The number of the latest change", self.head.seq);
        level(
            "clock_synchronised",
            "1 if the kernel calls the system's clock synchronised, else 0",
            u64::from(self.clock_synchronised),
        );
        let records = Series::of(Kind::ALL.map(|(_, name)| vec![("kind", name)]), Level::default);
        for (at, (kind, _)) in Kind::ALL.iter().enumerate() {
            records.at(at).set(self.head.records.get(kind).copied().unwrap_or(0));
        }
        all.register("records", "Records, by kind", records);
        self.register_bytes(all);
    }

    fn register_bytes(&self, all: &mut Registry) {
        let mut bytes = |name: &str, help: &str, value: u64| {
            all.register_with_unit(name, help, Unit::Bytes, leveled(value));
        };
        if let Some(free) = self.disk.free_bytes {
            bytes("disk_free", "Free space on the disk of the state directory", free);
        }
        bytes("disk_needed", "Free space below which writes are refused (database.free_mib)", self.disk.needed_bytes);
        let help = "Durable bytes that the calls of a uid caused, refused ones too, by uid and hour (this or last); the \
                    uids with less are other";
        all.register_with_unit("uid_written", help, Unit::Bytes, by_uid(&self.written));
    }
}

pub(super) fn leveled(value: u64) -> Level {
    let level = Level::default();
    level.set(value);
    level
}

/// The bytes of each uid in this hour and the last one.
fn by_uid(written: &[WrittenBytes]) -> Family<[(&'static str, String); 2], Level> {
    let family = Family::<[(&'static str, String); 2], Level>::default();
    for row in written {
        let uid = row.uid.map_or_else(|| "other".to_owned(), |uid| uid.to_string());
        for (hour, bytes) in [("this", row.bytes_this_hour), ("last", row.bytes_last_hour)] {
            family.get_or_create(&[("uid", uid.clone()), ("hour", hour.to_owned())]).set(bytes);
        }
    }
    family
}
