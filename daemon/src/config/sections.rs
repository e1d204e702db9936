//! The sections of the configuration.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::civil;
use serde::{Deserialize, Serialize};

use enroll_core::identity::jwt::SigningAlgorithm;

/// The format of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text for people.
    Text,
    /// One JSON object a line, for programs.
    Json,
}

/// `[grants]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Grants {
    pub metrics: Vec<String>,
    pub read: Vec<String>,
    pub operate: Vec<String>,
    pub decide: Vec<String>,
    pub admin: Vec<String>,
    pub superusers_through: Vec<String>,
    pub read_sees_extra: bool,
    pub act_for: BTreeMap<String, Vec<String>>,
    pub actors: BTreeMap<String, Actors>,
}

/// The actors that a peer may bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Actors {
    /// Named and proven ones.
    Named,
    /// Proven ones only.
    Proven,
}

/// `[database]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Database {
    pub cache_mib: usize,
    pub verify_mib: u64,
    pub free_mib: u64,
}

/// `[jwt]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Jwt {
    pub issuer: String,
    pub audience: String,
    pub lifetime_seconds: u64,
    pub refresh_seconds: u64,
    pub algorithm: SigningAlgorithm,
    pub leeway_seconds: u64,
    pub trusted: Vec<Trusted>,
}

/// One of `trusted` in `[jwt]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trusted {
    pub issuer: String,
    pub audience: String,
    pub keys: PathBuf,
}

/// `[certificates]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Certificates {
    pub authority_name: String,
    pub authority_lifetime_seconds: u64,
    pub authority_key: PathBuf,
    pub authority_chain: PathBuf,
    pub lifetime_seconds: u64,
    pub crl_seconds: u64,
    pub crl_file: PathBuf,
}

/// `[tokens]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tokens {
    pub forget_after_seconds: u64,
}

/// `[changes]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Changes {
    pub keep_seconds: u64,
}

/// `[backup]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Backup {
    pub directory: PathBuf,
    pub time: String,
    pub keep: usize,
}

/// `[guesses]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Guesses {
    pub per_minute: u32,
    pub uid_per_minute: u32,
    pub total_per_minute: u32,
    pub refused_per_minute: u32,
    pub count_together: Vec<Vec<String>>,
}

/// The place of the write-ahead log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// On this host's disk.
    Local,
    /// On etcd, shared by several hosts.
    Etcd,
}

/// `[etcd]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Etcd {
    pub endpoints: Vec<String>,
    pub prefix: String,
    pub ca: PathBuf,
    pub cert: PathBuf,
    pub key: PathBuf,
    pub user: String,
    pub timeout_ms: u64,
    pub quota_mib: u64,
}

/// The consistency of reads at a standby.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reads {
    /// Never from the past, for the price of a look at etcd that reads share.
    Linearizable,
    /// From this host's copy as it is, which may be behind; a connection that wrote reads its own writes.
    Local,
}

/// `[cluster]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cluster {
    pub member: String,
    pub listen: String,
    pub address: String,
    pub lease_seconds: u64,
    pub reads: Reads,
    pub copies: u64,
    pub log_mib: u64,
    pub skew_seconds_max: u64,
}

/// `[journal]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Journal {
    pub segment_mib: u64,
    pub memory_mib: usize,
}

/// `[server]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    pub threads: usize,
    pub connections: usize,
    pub connections_per_uid: usize,
    pub admin_connections: usize,
    pub memory_mib: usize,
    pub frame_kib: usize,
    pub finish_frame_seconds: u64,
    pub take_answer_seconds: u64,
    pub idle_seconds: u64,
}

impl Backup {
    /// The time of day at which a backup is due, in the system's time zone; `None` for a text of another form than HH:MM.
    pub fn time_of_day(&self) -> Option<civil::Time> {
        let has_form = self.time.len() == "03:00".len();
        has_form.then(|| civil::Time::strptime("%H:%M", &self.time).ok()).flatten()
    }
}

impl Default for Database {
    fn default() -> Self {
        Self { cache_mib: 64, verify_mib: 64, free_mib: 64 }
    }
}

impl Default for Etcd {
    fn default() -> Self {
        Self {
            endpoints: Vec::new(),
            prefix: "enrolld/".to_owned(),
            ca: PathBuf::new(),
            cert: PathBuf::new(),
            key: PathBuf::new(),
            user: String::new(),
            timeout_ms: 1000,
            quota_mib: 2048,
        }
    }
}

impl Default for Cluster {
    fn default() -> Self {
        Self {
            member: String::new(),
            listen: String::new(),
            address: String::new(),
            lease_seconds: 5,
            reads: Reads::Linearizable,
            copies: 2,
            log_mib: 512,
            skew_seconds_max: 2,
        }
    }
}

impl Default for Journal {
    fn default() -> Self {
        Self { segment_mib: 64, memory_mib: 192 }
    }
}

impl Default for Jwt {
    fn default() -> Self {
        Self {
            issuer: "enrolld".to_owned(),
            audience: "enrolld".to_owned(),
            lifetime_seconds: 3600,
            refresh_seconds: 604_800,
            algorithm: SigningAlgorithm::default(),
            leeway_seconds: 60,
            trusted: Vec::new(),
        }
    }
}

impl Default for Certificates {
    fn default() -> Self {
        Self {
            authority_name: "enrolld".to_owned(),
            authority_lifetime_seconds: 630_720_000,
            authority_key: PathBuf::new(),
            authority_chain: PathBuf::new(),
            lifetime_seconds: 63_072_000,
            crl_seconds: 604_800,
            crl_file: PathBuf::new(),
        }
    }
}

impl Default for Backup {
    fn default() -> Self {
        Self { directory: PathBuf::new(), time: "03:00".to_owned(), keep: 7 }
    }
}

impl Default for Guesses {
    fn default() -> Self {
        Self {
            per_minute: 30,
            uid_per_minute: 150,
            total_per_minute: 300,
            refused_per_minute: 3000,
            count_together: Vec::new(),
        }
    }
}

impl Default for Server {
    fn default() -> Self {
        Self {
            threads: 1,
            connections: 1024,
            connections_per_uid: 512,
            admin_connections: 16,
            memory_mib: 64,
            frame_kib: 1024,
            finish_frame_seconds: 5,
            take_answer_seconds: 5,
            idle_seconds: 600,
        }
    }
}
