//! The screen of `cluster status`: who leads, how full etcd is, and the members as a table.

use enroll_client::protocol::cluster::{ClusterStatus, Member};
use serde_json::Value;

use super::Summary;
use super::status::bytes;

/// Milliseconds from which a difference of clocks is shown.
const CLOCK_MILLIS_MIN: u64 = 100;

/// The three forms of a cluster's status; `None` for the replies of other operations.
pub(super) fn summary(operation: &str, json: &str) -> Option<Summary> {
    if operation != "cluster.status" {
        return None;
    }
    let status: ClusterStatus = serde_json::from_str(json).ok()?;
    let people = Value::String(drawn(&status)).to_string();
    Some(Summary { json: json.to_owned(), people, scripts: json.to_owned() })
}

fn drawn(status: &ClusterStatus) -> String {
    let Some(own) = &status.member else {
        return "the registry is on this host alone (store = \"local\")".to_owned();
    };
    let leads = match &status.leader {
        Some(leader) => format!("{leader} leads, in term {}", status.term),
        None => "nobody leads".to_owned(),
    };
    let here = status.members.iter().filter(|member| member.is_here).count();
    let of_quota = status.etcd.in_use_bytes.saturating_mul(100) / status.etcd.quota_bytes.max(1);
    let mut lines = vec![
        format!("{leads}; {here} of {} members are here, seen from {own}", status.members.len()),
        String::new(),
        format!(
            "{:9}records {} to {}, {}",
            "journal",
            status.oldest_record,
            status.latest_record,
            bytes(status.journal_bytes)
        ),
        format!(
            "{:9}{} in use, {of_quota} % of its quota of {}; its file has {}",
            "etcd",
            bytes(status.etcd.in_use_bytes),
            bytes(status.etcd.quota_bytes),
            bytes(status.etcd.bytes)
        ),
        String::new(),
    ];
    let rows: Vec<[String; 6]> = status.members.iter().map(|member| row(member, status)).collect();
    let heads = ["member", "state", "lag", "on disk to", "version", "host"].map(str::to_owned);
    let width = |column: usize| rows.iter().chain([&heads]).map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths = [0, 1, 2, 3, 4, 5].map(width);
    for row in [&heads].into_iter().chain(&rows) {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        lines.push(cells.collect::<Vec<_>>().join("  ").trim_end().to_owned());
    }
    let remarks: Vec<String> = status.members.iter().flat_map(remarks).collect();
    if !remarks.is_empty() {
        lines.push(String::new());
        lines.extend(remarks);
    }
    lines.join("\n")
}

fn row(member: &Member, status: &ClusterStatus) -> [String; 6] {
    let state = match member.is_here {
        false => "away",
        true if status.leader.as_ref() == Some(&member.name) => "leads",
        true => "follows",
    };
    let lag = match (member.lag_records, member.lag_seconds) {
        (0, _) => "none".to_owned(),
        (records, seconds) => format!("{records} records, {seconds} s"),
    };
    let host = member.host.clone();
    [member.name.clone(), state.to_owned(), lag, member.on_disk.to_string(), member.version.clone(), host]
}

/// The remarks on a member for an operator.
fn remarks(member: &Member) -> Vec<String> {
    let name = &member.name;
    let clock = member.clock_ahead_millis.filter(|millis| millis.unsigned_abs() >= CLOCK_MILLIS_MIN).map(|millis| {
        let direction = if millis > 0 { "ahead" } else { "behind" };
        let seconds = millis.unsigned_abs() as f64 / 1000.0;
        format!("the clock of {name} is {seconds:.1} s {direction}, or more")
    });
    let settings = (!member.differing_settings.is_empty())
        .then(|| format!("{name} has other settings: {}", member.differing_settings.join(", ")));
    clock.into_iter().chain(settings).collect()
}

#[cfg(test)]
mod tests {
    use enroll_client::protocol::cluster::EtcdSize;

    use super::*;

    fn member(name: &str) -> Member {
        Member {
            name: name.to_owned(),
            host: format!("host-{name}"),
            version: "0.1.0".to_owned(),
            is_here: true,
            record: 4711,
            lag_records: 0,
            lag_seconds: 0,
            on_disk: 4700,
            clock_ahead_millis: Some(0),
            differing_settings: Vec::new(),
        }
    }

    #[test]
    fn a_cluster_is_drawn_with_who_leads_and_what_is_odd() {
        let late = Member {
            is_here: false,
            lag_records: 12,
            lag_seconds: 3,
            clock_ahead_millis: Some(-2500),
            differing_settings: vec!["code_size".to_owned(), "jwt".to_owned()],
            ..member("b")
        };
        let status = ClusterStatus {
            member: Some("a".to_owned()),
            leader: Some("a".to_owned()),
            term: 7,
            latest_record: 4711,
            oldest_record: 4000,
            journal_bytes: 1 << 20,
            etcd: EtcdSize { bytes: 30 << 20, in_use_bytes: 20 << 20, quota_bytes: 2 << 30 },
            members: vec![member("a"), late],
        };
        let text = "\
a leads, in term 7; 1 of 2 members are here, seen from a

journal  records 4000 to 4711, 1.0 MiB
etcd     20.0 MiB in use, 0 % of its quota of 2.0 GiB; its file has 30.0 MiB

member  state  lag              on disk to  version  host
a       leads  none             4700        0.1.0    host-a
b       away   12 records, 3 s  4700        0.1.0    host-b

the clock of b is 2.5 s behind, or more
b has other settings: code_size, jwt";
        assert_eq!(drawn(&status), text);
        assert_eq!(drawn(&ClusterStatus::default()), "the registry is on this host alone (store = \"local\")");
    }
}
