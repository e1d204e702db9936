//! Findings: the table of conditions that an administrator should see to, each with a severity, a sentence, its causes
//! and the command that mends it.
//!
//! Status, doctor, metrics and log take their words from this table, so that one condition has one name everywhere. A
//! finding whose cause is found too is not told: an administrator mends the cause.

use serde::{Deserialize, Serialize};

/// The disk is nearly full where it has less free than this many times what must stay free (`database.free_mib`).
pub const DISK_LOW_FACTOR: u64 = 4;

/// The severity of a finding, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Something does not work.
    Error,
    /// Something works and will not for long, or not as the configuration says.
    Warning,
    /// Worth knowing; nothing is wrong.
    Notice,
}

/// A condition that can be found.
#[derive(Debug)]
pub struct Row {
    /// The topic.
    pub topic: Topic,
    /// The severity.
    pub severity: Severity,
    /// The topics that explain it; while one of them is found it is not told.
    pub causes: &'static [Topic],
    /// Seconds that it holds before it is told, so that what passes by itself is not.
    pub after_seconds: u64,
    /// The condition in a few words.
    pub title: &'static str,
    /// The sentence, with `{arguments}`.
    pub sentence: &'static str,
    /// The command that mends it, or the words that lead to it, with `{arguments}`.
    pub mend: &'static str,
}

macro_rules! findings {
    ($($topic:ident $name:literal $severity:ident [$($cause:ident)*] $after:literal
        $title:literal $sentence:literal $mend:literal;)*) => {
        /// The topic of a finding.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Topic {
            $(#[doc = $title] $topic),*
        }

        impl Topic {
            /// The topic's name in status, doctor, metrics and log.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$topic => $name),* }
            }
        }

        /// Every condition, in the order of the topics.
        pub static TABLE: &[Row] = &[$(Row {
            topic: Topic::$topic,
            severity: Severity::$severity,
            causes: &[$(Topic::$cause),*],
            after_seconds: $after,
            title: $title,
            sentence: $sentence,
            mend: $mend,
        }),*];
    };
}

// First what only a look at the machine finds, then what the daemon finds about itself. A sentence of `{what}` alone is
// told by the finder, because there are several.
findings! {
    Configuration "configuration" Error [] 0 "The configuration is not valid"
        "{what}"
        "sudo enrolld --check-config; when it is fine: sudo systemctl reset-failed enrolld.socket enrolld.service && \
         sudo systemctl reload-or-restart enrolld.service";
    KeyMissing "key_missing" Error [] 0 "The secret key is missing"
        "there is a registry in {state_dir} and no secret key at {path}; without it no token, code or signing key can \
         be read"
        "sudo install -m 600 COPY {path} && sudo systemctl reset-failed enrolld.socket enrolld.service && \
         sudo systemctl start enrolld.socket enrolld.service";
    KeyOpen "key_open" Error [] 0 "The secret key is open to others"
        "{path} may be read or written by others than its owner (mode {mode})"
        "sudo chmod 600 {path}";
    StateDirectory "state_directory" Error [] 0 "The state directory is open to others"
        "{path} belongs to {owner} and has the mode {mode}; it must belong to the daemon's user and be nobody else's"
        "sudo chown enrolld:enrolld {path} && sudo chmod 700 {path}";
    StartLimit "start_limit" Error [Configuration KeyMissing] 0 "Too many starts"
        "{unit} was started too often within ten minutes, and systemd starts it no more: {why}"
        "sudo journalctl -u enrolld -n 50; then: sudo systemctl reset-failed enrolld.socket enrolld.service && \
         sudo systemctl start enrolld.socket enrolld.service";
    Service "service" Error [Configuration KeyMissing StartLimit] 0 "The service does not run"
        "enrolld.service is {state}: {why}"
        "sudo journalctl -u enrolld -n 50; then: sudo systemctl start enrolld.socket enrolld.service";
    MaskedUnit "masked_unit" Error [] 0 "A unit is masked"
        "somebody has masked {unit}, so systemd does not start it"
        "sudo systemctl unmask {unit} && sudo systemctl start {unit}";
    SocketUnit "socket_unit" Error [Configuration KeyMissing StartLimit Service MaskedUnit] 0
        "systemd does not hold the socket"
        "enrolld.socket is {state}"
        "sudo systemctl enable --now enrolld.socket";
    NoSocket "no_socket" Error [Configuration KeyMissing StartLimit Service MaskedUnit SocketUnit] 0
        "There is no socket"
        "nothing listens at {socket}: {why}"
        "{start}, or name another socket with --socket";
    GroupLogin "group_login" Error [] 0 "The group holds from the next login on"
        "{user} is in the group {group}, but not in this login yet"
        "log in again, or at once: sg {group} -c '{command}'";
    SocketAccess "socket_access" Error [GroupLogin] 0 "The socket may not be opened"
        "{user} may not open {socket}, which is for {owner} and the group {group}"
        "{way}";
    NoGrant "no_grant" Error [] 0 "No grant"
        "{what}" "give a grant in [grants] of enrolld.toml, then: sudo systemctl reload enrolld";
    Protocol "protocol" Error [] 0 "The daemon speaks another protocol"
        "{what}" "{restart}";
    Unreachable "unreachable" Error
        [Configuration KeyMissing StartLimit Service MaskedUnit SocketUnit NoSocket GroupLogin SocketAccess NoGrant
            Protocol] 0
        "No daemon answers" "{what}" "{restart}; its log says why it did not answer";
    Versions "versions" Warning [Protocol] 0 "Versions differ"
        "{ours} is {our_version}, and {theirs} is {their_version}"
        "{restart}";
    ShadowedUnit "shadowed_unit" Warning [] 0 "A unit of an older installation is in force"
        "{path} takes the place of {shipped}, so updates of the package's unit have no effect"
        "sudo rm {path} && sudo systemctl daemon-reload; what a site needs belongs in: sudo systemctl edit {unit}";
    ChangedUnit "changed_unit" Warning [ShadowedUnit] 0 "A unit is not the shipped one"
        "{path} is not the unit of version {version}"
        "install the package again, or from a clone: sudo install -m 644 systemd/{unit} {path}; then: \
         sudo systemctl daemon-reload; what a site needs belongs in: sudo systemctl edit {unit}";
    UnreadUnit "unread_unit" Warning [] 0 "A changed unit is not in force"
        "{unit} has changed on disk since systemd read it"
        "sudo systemctl daemon-reload && sudo systemctl restart {unit}";
    ClusterUnit "cluster_unit" Error [MaskedUnit] 0 "The unit keeps the daemon from etcd"
        "the configuration says store = \"etcd\", and enrolld.service has no network"
        "sudo install -D -m 644 /usr/share/doc/enrolld/examples/enrolld-cluster.conf \
         /etc/systemd/system/enrolld.service.d/cluster.conf && sudo systemctl daemon-reload && sudo systemctl restart \
         enrolld.service";
    EtcdUnreachable "etcd_unreachable" Warning [] 0 "Members of etcd can not be reached"
        "{count} of {all} members of etcd accept no connection from here: {endpoints}"
        "start them, or mend etcd.endpoints in enrolld.toml; without a majority of them nothing is read or written";
    Cluster "cluster" Warning [ClusterUnit EtcdUnreachable] 0 "Something is wrong in the cluster"
        "{what}"
        "enrollctl cluster status; docs/cluster.md says what to do";
    Hooks "hooks" Warning [] 0 "A hook is stuck"
        "the hook {name} fails at the change {seq}, after {tries} tries since {since} ({why}); it has passed every change \
         up to {upto}{lag}"
        "sudo journalctl -u enrolld-changes@{name} -n 20; it goes on when its command succeeds; without this change: \
         sudo enrollctl changes skip {seq} --position {path}";
    HookBehind "hook_behind" Warning [] 0 "A hook is far behind"
        "the hook {name} has passed every change up to {upto}, {behind} behind the latest, and fails at none"
        "sudo journalctl -u enrolld-changes@{name} -n 20; a command that is too slow takes several changes at once with \
         --batch, or runs several at once with --per and --parallel";
    HookStopped "hook_stopped" Warning [] 0 "A hook does not run"
        "the hook {name} is enabled and does not run: {state}"
        "sudo journalctl -u enrolld-changes@{name} -n 20; then: sudo systemctl restart enrolld-changes@{name}";
    DiskFull "disk_full" Error [] 0 "The disk is full"
        "the disk of {state_dir} has less than the {needed} that database.free_mib wants left: writes are refused, and \
         reads go on"
        "df -h {state_dir}";
    DiskLow "disk_low" Warning [DiskFull] 0 "The disk is nearly full"
        "the disk of {state_dir} has less than {low} left; below {needed} writes are refused"
        "df -h {state_dir}";
    SlowDisk "slow_disk" Warning [DiskFull] 60 "The disk is slow"
        "making a batch of writes durable has taken more than {limit} on average lately"
        "iostat -x 1 5 (package sysstat)";
    Clock "clock" Warning [] 0 "The clock was set, or is in doubt"
        "{what}" "timedatectl; if the clock is right: sudo enrollctl server accept-clock";
    ClockUnsynchronised "clock_unsynchronised" Notice [] 600 "The clock is not synchronised"
        "nothing keeps the system's clock right, and expiries, JWTs and certificates go by it"
        "sudo timedatectl set-ntp true";
    Authority "authority" Warning [] 0 "The certificate authority ends soon, or is not valid"
        "{what}" "enrollctl certificate ca shows it; see docs/certificates.md";
    Certificates "certificates" Notice [Authority] 0 "A certificate ends soon"
        "the certificate that ends next, of the person {person}, ends at {at}"
        "enrollctl certificate renew {person}, on behalf of somebody who may, or with sudo";
    Backup "backup" Warning [DiskFull] 0 "The last backup is too old"
        "{what}"
        "sudo systemctl start enrolld-backup.service; sudo journalctl -u enrolld-backup -n 20; and every day: \
         sudo systemctl enable --now enrolld-backup.timer";
    Registry "registry" Notice [] 0 "The registry is new"
        "{what}" "enrollctl server status shows when it was made";
    Grants "grants" Warning [] 0 "A line of the grants grants nothing"
        "{what}" "mend [grants] in enrolld.toml, then: sudo systemctl reload enrolld";
    Issuers "issuers" Warning [] 0 "A trusted issuer can not be trusted"
        "{what}" "mend jwt.trusted in enrolld.toml, then: sudo systemctl reload enrolld";
    Guesses "guesses" Warning [] 0 "Users whose wrong codes count together are not known"
        "{what}" "mend guesses.count_together in enrolld.toml, then: sudo systemctl reload enrolld";
    RateLimits "rate_limits" Warning [] 0 "Somebody tries codes, or is refused too often"
        "{what}" "enrollctl changes list; sudo journalctl -u enrolld";
    Abuse "abuse" Warning [] 0 "A local user is refused again and again"
        "{what}" "sudo journalctl -u enrolld ENROLLD_ABUSE={kind}";
    Environment "environment" Warning [] 0 "A variable of the environment is no key"
        "{what}" "sudo systemctl edit enrolld.service && sudo systemctl restart enrolld.service";
    Memory "memory" Warning [] 0 "The memory limit is too low"
        "{what}" "sudo systemctl edit enrolld.service && sudo systemctl restart enrolld.service";
}

impl Topic {
    /// Its line of the table.
    pub fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }

    /// True for a condition that only a look at the machine around the daemon finds. The table has these first.
    pub fn is_of_machine(self) -> bool {
        self < Self::DiskFull
    }

    /// The topic of this name; `None` for one of a newer daemon.
    ///
    /// ```
    /// use enroll_protocol::finding::Topic;
    ///
    /// assert!(Topic::by_name("memory").is_some() && Topic::by_name("weather").is_none());
    /// ```
    pub fn by_name(name: &str) -> Option<Self> {
        TABLE.iter().map(|row| row.topic).find(|topic| topic.name() == name)
    }
}

/// A condition that was found. It does not stop the daemon, and an administrator should see to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The condition, one of a table of words, such as `grants`. The metric `enrolld_warnings` counts by it.
    pub topic: String,
    /// Its severity.
    pub severity: Severity,
    /// The subject within the topic, such as an issuer; empty for a topic that has only one.
    pub subject: String,
    /// The problem, its consequence, and, where the command is not enough, the way out.
    pub message: String,
    /// The command that mends it, or the words that lead to it.
    pub mend: String,
}

impl Finding {
    /// A finding by the table's sentence and command with these arguments.
    ///
    /// The daemon and `enrollctl doctor` make findings; a program that reads them has them in `server.status`.
    pub fn of(topic: Topic, subject: &str, arguments: &[(&str, &str)]) -> Self {
        let row = topic.row();
        Self {
            topic: topic.name().to_owned(),
            severity: row.severity,
            subject: subject.to_owned(),
            message: filled(row.sentence, arguments),
            mend: filled(row.mend, arguments),
        }
    }

    /// A finding in a sentence of one's own.
    ///
    /// For a topic whose sentence in the table is `{what}`.
    pub fn told(topic: Topic, subject: &str, what: &str) -> Self {
        Self::of(topic, subject, &[("what", what)])
    }

    /// The condition in a few words; its topic where a newer daemon has found it.
    ///
    /// The example stands at [`is_wrong`](Self::is_wrong).
    pub fn title(&self) -> &str {
        Topic::by_name(&self.topic).map_or(&self.topic, |topic| topic.row().title)
    }

    /// True for an error and for a warning: something is wrong.
    ///
    /// ```
    /// use enroll_protocol::finding::{Finding, Topic};
    ///
    /// let found = Finding::told(Topic::Memory, "", "the limit is too low");
    /// assert!(found.is_wrong() && found.title().contains("memory"));
    /// ```
    pub fn is_wrong(&self) -> bool {
        self.severity <= Severity::Warning
    }
}

/// The findings to tell, the worst first and each once: those without a cause among them.
pub fn to_tell(found: impl IntoIterator<Item = Finding>) -> Vec<Finding> {
    let found: Vec<Finding> = found.into_iter().collect();
    let is_found = |topic: &Topic| found.iter().any(|finding| finding.topic == topic.name());
    let is_effect = |finding: &&Finding| {
        Topic::by_name(&finding.topic).is_some_and(|topic| topic.row().causes.iter().any(is_found))
    };
    let mut told: Vec<Finding> = Vec::new();
    for finding in found.iter().filter(|finding| !is_effect(finding)) {
        if !told.iter().any(|other| (&other.topic, &other.subject) == (&finding.topic, &finding.subject)) {
            told.push(finding.clone());
        }
    }
    told.sort_by_key(|finding| (finding.severity, Topic::by_name(&finding.topic)));
    told
}

/// The text with its arguments in place.
fn filled(text: &str, arguments: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        filled.push_str(before);
        filled.push_str(arguments.iter().find(|(known, _)| *known == name).map_or("?", |(_, value)| value));
        rest = after;
    }
    filled + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_says_something_in_every_column() {
        for (at, row) in TABLE.iter().enumerate() {
            let name = row.topic.name();
            assert_eq!((row.topic as usize, Topic::by_name(name)), (at, Some(row.topic)), "{name}");
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
            assert!(row.title.starts_with(char::is_uppercase) || row.title.starts_with("systemd"), "{name}");
            assert!(!row.sentence.is_empty() && !row.mend.is_empty(), "{name}");
        }
    }

    /// Otherwise two findings could silence each other, and nothing would be told.
    #[test]
    fn no_finding_explains_itself_through_others() {
        fn causes(topic: Topic, depth: usize) -> Vec<Topic> {
            assert!(depth < TABLE.len(), "{topic:?} is its own cause");
            let row = topic.row();
            row.causes.iter().flat_map(|cause| causes(*cause, depth + 1).into_iter().chain([*cause])).collect()
        }
        for row in TABLE {
            assert!(!causes(row.topic, 0).contains(&row.topic), "{:?}", row.topic);
        }
    }

    #[test]
    fn arguments_stand_where_their_names_do_and_are_not_read_again() {
        let arguments = [("state_dir", "/var/lib/{needed}"), ("needed", "64 MiB"), ("low", "256 MiB")];
        let finding = Finding::of(Topic::DiskLow, "", &arguments);
        assert_eq!(
            finding.message,
            "the disk of /var/lib/{needed} has less than 256 MiB left; below 64 MiB writes are refused"
        );
        assert_eq!(finding.mend, "df -h /var/lib/{needed}");
    }

    #[test]
    fn a_cause_silences_its_effects_and_the_worst_comes_first() {
        let found = |topic: Topic| Finding::told(topic, "", "it is so");
        let unknown = Finding { topic: "of_tomorrow".to_owned(), ..found(Topic::Grants) };
        let all = [
            found(Topic::Registry),
            found(Topic::Unreachable),
            found(Topic::Memory),
            found(Topic::NoSocket),
            found(Topic::Memory),
            unknown,
        ];
        let told: Vec<String> = to_tell(all).into_iter().map(|finding| finding.topic).collect();
        assert_eq!(told, ["no_socket", "of_tomorrow", "memory", "registry"]);
    }
}
