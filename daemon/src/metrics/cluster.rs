//! The metrics of a cluster: the role of this member, its lag, the journal in etcd, and the members that are here. A daemon
//! whose registry is on one host has none of them.

use enroll_protocol::cluster::ClusterStatus;
use prometheus_client::registry::{Registry, Unit};

use super::Histogram;
use super::standing::leveled;

/// Registers the figures of this moment, and the times of looks at etcd.
pub(super) fn register(status: &ClusterStatus, looks: &Histogram, all: &mut Registry) {
    let Some(own) = &status.member else { return };
    let here = status.members.iter().filter(|member| member.is_here).count();
    let (behind, behind_seconds) = (status.members.iter().find(|member| member.name == *own))
        .map_or((0, 0), |member| (member.lag_records, member.lag_seconds));
    let all = all.sub_registry_with_prefix("cluster");
    let mut level = |name: &str, help: &str, value: u64| all.register(name, help, leveled(value));
    level("leads", "1 if this member leads, else 0", u64::from(status.leader.as_ref() == Some(own)));
    level("term", "The term of the member that leads; each fail-over and hand-over begins a new one", status.term);
    level("members", "Members that are known, here or not", status.members.len() as u64);
    level("members_here", "Members whose daemon is here", here as u64);
    level("latest_record", "The number of the journal's latest record", status.latest_record);
    level(
        "oldest_record",
        "The number of the journal's oldest record; what was before it is trimmed",
        status.oldest_record,
    );
    level("lag_records", "Records of the journal that this member has not read yet", behind);
    let mut measured = |name: &str, help: &str, unit: Unit, value: u64| {
        all.register_with_unit(name, help, unit, leveled(value));
    };
    measured("lag", "How far this member is behind the journal", Unit::Seconds, behind_seconds);
    measured("journal", "Size of the journal in etcd", Unit::Bytes, status.journal_bytes);
    measured("etcd_in_use", "What etcd's database has in use", Unit::Bytes, status.etcd.in_use_bytes);
    let help = "What etcd's database may have; writes are refused when 80 % of it are in use";
    measured("etcd_quota", help, Unit::Bytes, status.etcd.quota_bytes);
    let help = "Time of a look at etcd; the reads that wait share one";
    all.register_with_unit("look", help, Unit::Seconds, looks.clone());
}
