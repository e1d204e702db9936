//! Capacity planning: from people and their writes to registries, clusters, hosts, and the load of each.
//!
//! A registry, called a realm where there are several, has one active daemon, so its writes are bounded by one machine.
//! More people are more realms. The chapter of the book that explains it is docs/scale.md.

use std::fmt;

use clap::Args;

/// Seconds of a day.
const DAY: f64 = 86_400.0;

/// The share of a realm's measured writes that a plan may use at its peak: the rest is for a fail-over, a flush, a
/// neighbour on the host.
const PEAK_SHARE_MAX: f64 = 0.7;

/// Bytes of a MiB.
const MIB: f64 = 1_048_576.0;

/// The figures that a plan is made from.
#[derive(Debug, Clone, PartialEq, Args)]
pub struct Needs {
    /// The number of people in all
    #[arg(long, value_name = "N", default_value_t = 1_000_000_000)]
    pub people: u64,
    /// Writes of a person a day: enrollments, codes, tokens, registrations
    #[arg(long, value_name = "N", default_value_t = 5.0)]
    pub writes: f64,
    /// The busiest second beside the mean one
    #[arg(long, value_name = "FACTOR", default_value_t = 5.0)]
    pub peak: f64,
    /// The number of people of one realm at most
    #[arg(long, value_name = "N", default_value_t = 20_000_000)]
    pub realm_people: u64,
    /// Bytes of database that a person takes, with an enrollment, a role, a code and the changes that are kept
    #[arg(long, value_name = "BYTES", default_value_t = 4_000)]
    pub person_bytes: u64,
    /// Bytes of a write in the log
    #[arg(long, value_name = "BYTES", default_value_t = 600)]
    pub write_bytes: u64,
    /// Writes a second that a realm was measured to commit on such hosts
    #[arg(long, value_name = "N", default_value_t = 17_890.0)]
    pub realm_writes: f64,
    /// Realms that share a cluster and its etcd
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub realms: u64,
    /// Hosts of a cluster; each has a copy of all its realms
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub hosts: u64,
    /// MiB of a realm's log that etcd keeps (cluster.log_mib)
    #[arg(long, value_name = "MIB", default_value_t = 512)]
    pub log_mib: u64,
}

/// A figure that no plan can be made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unusable(String);

/// The result.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The number of realms.
    pub realms: u64,
    /// People of a realm, the largest.
    pub realm_people: u64,
    /// Bytes of a realm's database.
    pub realm_bytes: f64,
    /// Writes a second, all realms together, on average.
    pub writes_mean: f64,
    /// The same at the peak.
    pub writes_peak: f64,
    /// Writes a second of a realm at the peak.
    pub realm_peak: f64,
    /// The share of what a realm was measured to commit.
    pub peak_share: f64,
    /// The number of clusters.
    pub clusters: u64,
    /// The number of hosts.
    pub hosts: u64,
    /// Bytes a second that a cluster's etcd writes to its log at the peak.
    pub etcd_bytes: f64,
    /// Bytes of log that a cluster's etcd keeps.
    pub window_bytes: f64,
    /// Bytes of databases on a host: every host has a copy of each realm of its cluster.
    pub host_bytes: f64,
    /// The most people of a realm with which the peak leaves enough; none where the plan does already.
    pub people_max: Option<f64>,
}

impl Needs {
    /// The plan for these needs. Refuses figures that are not above 0.
    pub fn plan(&self) -> Result<Plan, Unusable> {
        for (name, figure) in [
            ("people", self.people as f64),
            ("writes", self.writes),
            ("peak", self.peak),
            ("realm-people", self.realm_people as f64),
            ("person-bytes", self.person_bytes as f64),
            ("write-bytes", self.write_bytes as f64),
            ("realm-writes", self.realm_writes),
            ("realms", self.realms as f64),
            ("hosts", self.hosts as f64),
        ] {
            if !(figure.is_finite() && figure > 0.0) {
                return Err(Unusable(format!("--{name} must be above 0")));
            }
        }
        let realms = self.people.div_ceil(self.realm_people);
        let realm_people = self.people.div_ceil(realms);
        let of_people = |people: f64| people * self.writes / DAY;
        let realm_peak = of_people(realm_people as f64) * self.peak;
        let peak_share = realm_peak / self.realm_writes;
        let clusters = realms.div_ceil(self.realms);
        let together = self.realms.min(realms) as f64;
        let realm_bytes = realm_people as f64 * self.person_bytes as f64;
        let people_max = self.realm_writes * PEAK_SHARE_MAX / (of_people(1.0) * self.peak);
        Ok(Plan {
            realms,
            realm_people,
            realm_bytes,
            writes_mean: of_people(self.people as f64),
            writes_peak: of_people(self.people as f64) * self.peak,
            realm_peak,
            peak_share,
            clusters,
            hosts: clusters * self.hosts,
            etcd_bytes: together * realm_peak * self.write_bytes as f64,
            window_bytes: together * self.log_mib as f64 * MIB,
            host_bytes: together * realm_bytes,
            people_max: (peak_share > PEAK_SHARE_MAX).then_some(people_max.floor()),
        })
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = [
            ("realms", count(self.realms as f64)),
            ("  people", count(self.realm_people as f64)),
            ("  database", bytes(self.realm_bytes)),
            ("  writes at the peak", format!("{}/s", count(self.realm_peak))),
            ("  of what was measured", format!("{:.0} %", self.peak_share * 100.0)),
            ("writes, mean", format!("{}/s", count(self.writes_mean))),
            ("writes at the peak", format!("{}/s", count(self.writes_peak))),
            ("clusters", count(self.clusters as f64)),
            ("  etcd's log", format!("{}/s", bytes(self.etcd_bytes))),
            ("  log that it keeps", bytes(self.window_bytes)),
            ("hosts", count(self.hosts as f64)),
            ("  databases on each", bytes(self.host_bytes)),
        ];
        for (name, value) in lines {
            writeln!(f, "{name:<24}{value:>12}")?;
        }
        match self.people_max {
            None => Ok(()),
            Some(most) => writeln!(
                f,
                "\nToo much for one realm: at its peak it leaves no room for a fail-over. Take --realm-people {most} at most, \
                 or measure what your hosts commit and give it as --realm-writes."
            ),
        }
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unusable {}

/// A number with commas between its thousands.
fn count(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Bytes in the unit, of a thousand each, in which they are at least 1.
fn bytes(bytes: f64) -> String {
    const UNITS: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];
    let (mut value, mut unit) = (bytes, 0);
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        (value, unit) = (value / 1000.0, unit + 1);
    }
    format!("{value:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches as _;

    use super::*;

    fn needs(args: &[&str]) -> Needs {
        let command = Needs::augment_args(clap::Command::new("sizing"));
        let matches = command.try_get_matches_from([&["sizing"], args].concat()).expect("arguments");
        Needs::from_arg_matches(&matches).expect("needs")
    }

    #[test]
    fn a_billion_people() {
        let plan = needs(&[]).plan().expect("a plan");
        assert_eq!((plan.realms, plan.realm_people, plan.clusters, plan.hosts), (50, 20_000_000, 13, 39));
        assert_eq!(plan.realm_bytes, 80e9);
        assert_eq!(
            (plan.writes_mean.round(), plan.writes_peak.round(), plan.realm_peak.round()),
            (57_870.0, 289_352.0, 5_787.0)
        );
        assert!((plan.peak_share - 0.3235).abs() < 0.001, "{}", plan.peak_share);
        assert!((plan.etcd_bytes / 13.89e6 - 1.0).abs() < 0.001, "{}", plan.etcd_bytes);
        assert_eq!(plan.window_bytes, 2_147_483_648.0);
        assert_eq!((plan.host_bytes, plan.people_max), (320e9, None));
    }

    #[test]
    fn a_small_registry_is_one_realm_and_shares_its_cluster_with_none() {
        let plan = needs(&["--people", "30000"]).plan().expect("a plan");
        assert_eq!((plan.realms, plan.realm_people, plan.clusters, plan.hosts), (1, 30_000, 1, 3));
        assert_eq!((plan.host_bytes, plan.window_bytes), (120e6, 536_870_912.0));
    }

    #[test]
    fn realms_are_of_one_size() {
        let plan = needs(&["--people", "21000000"]).plan().expect("a plan");
        assert_eq!((plan.realms, plan.realm_people), (2, 10_500_000));
    }

    #[test]
    fn a_realm_that_writes_too_much_is_told_how_large_it_may_be_and_that_size_is_right() {
        let plan = needs(&["--writes", "50"]).plan().expect("a plan");
        let most = plan.people_max.expect("too much");
        assert!(plan.to_string().contains(&format!("--realm-people {most}")), "{plan}");
        let smaller = needs(&["--writes", "50", "--realm-people", &format!("{most:.0}")]).plan().expect("a plan");
        assert_eq!(smaller.people_max, None);
        assert!(smaller.peak_share > 0.69, "not smaller than needed: {}", smaller.peak_share);
    }

    #[test]
    fn nothing_is_divided_by_nothing() {
        for (name, figure) in [
            ("--people", "0"),
            ("--realm-people", "0"),
            ("--writes", "0"),
            ("--peak", "NaN"),
            ("--realm-writes", "inf"),
            ("--hosts", "0"),
        ] {
            let refused = needs(&[name, figure]).plan().expect_err(name);
            assert!(refused.to_string().starts_with(name), "{refused}");
        }
    }

    #[test]
    fn the_page_shows_the_plan_of_a_billion_people() {
        let page = include_str!("../../scale.md");
        let plan = needs(&[]).plan().expect("a plan").to_string();
        assert!(page.contains(&plan), "docs/scale.md does not have what the program prints:\n{plan}");
    }
}
