//! Needs: things that a rule has made outside, because they are slow or random by nature, such as a key pair with its
//! certificate, or the check of a whole registry.
//!
//! The rule answers [`Fault::Needs`](crate::fault::Fault::Needs), and its overlay is dropped. The session has the thing
//! made on a thread of its own and sends the write again, with the thing in its context. A rule that finds something
//! else than it needs by then asks again.

use std::collections::BTreeSet;
use std::sync::Arc;

use enroll_protocol::cluster::{ClusterStatus, HandOver};
use enroll_protocol::finding::Finding;
use enroll_protocol::server::{DaemonSnapshot, Disk, Requests, Violation, WrittenBytes};
use enroll_protocol::{Callsign, Pk, Refusal, Time};

use crate::identity::authority::{Issued, Wanted};
use crate::identity::crl::List;
use crate::identity::jwt::{NewKey, SigningAlgorithm};
use crate::model::export_schema::Importing;

/// A thing to make for a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Needed {
    /// A certificate for this name.
    Certificate(Callsign, Wanted),
    /// A key pair that signs JWTs by this algorithm.
    SigningKey(SigningAlgorithm),
    /// The check of an import that has been read.
    ImportCheck,
    /// The signed list of revoked certificates.
    List,
    /// The figures of the running process.
    Process,
    /// The metrics in the text format of Prometheus.
    Metrics,
    /// A snapshot's figures of the running process, and the fullest pools for a peer that may read.
    Snapshot,
    /// The cluster as this daemon sees it.
    Cluster,
    /// That another member leads.
    HandOver(HandOver),
    /// The records that no index leads to and that name this person.
    Traces(Pk),
}

/// A thing made for a rule.
#[derive(Clone)]
pub enum Made {
    /// A certificate.
    Certificate(Arc<Issued>),
    /// A key pair that signs JWTs.
    SigningKey(Arc<NewKey>),
    /// The check of an import.
    ImportCheck(Arc<ImportCheck>),
    /// The signed revocation list in PEM.
    List(Arc<List>),
    /// Figures of the process.
    Process(Arc<Process>),
    /// The text of the metrics.
    Metrics(Arc<str>),
    /// A snapshot's figures.
    Snapshot(Arc<DaemonSnapshot>),
    /// The cluster.
    Cluster(Arc<ClusterStatus>),
    /// The name of the member that led and hands over, none where nothing happens, or a refusal.
    HandOver(Result<Option<String>, Refusal>),
    /// The traces of a person.
    Traces(Arc<Traces>),
}

/// The figures of the running process, for `server.status`.
pub struct Process {
    /// The version of the daemon.
    pub version: &'static str,
    /// The time of its start, by the clock as it is set now.
    pub started: Time,
    /// Bytes of the database on disk.
    pub database_bytes: u64,
    /// Connections that are open.
    pub connections: u64,
    /// Writes that wait for the writer.
    pub queue: u64,
    /// The standing warnings, the worst first.
    pub warnings: Vec<Finding>,
    /// The durable bytes that each uid's calls caused, largest first.
    pub written: Vec<WrittenBytes>,
    /// The time of the last scheduled backup; `None` before the first.
    pub last_backup: Option<Time>,
    /// Requests since the start.
    pub requests: Requests,
    /// The disk of the state directory.
    pub disk: Disk,
    /// True if the kernel calls the system's clock synchronised.
    pub clock_synchronised: bool,
    /// The end of the certificate that ends next.
    pub certificate_ends: Option<Time>,
    /// The topic and the subject of the warning that ends when the clock is accepted.
    pub clock_doubted: (&'static str, &'static str),
}

/// The traces of a person, by the keys of their records.
pub struct Traces {
    /// The person.
    pub person: Pk,
    /// Kept answers.
    pub kept: BTreeSet<Vec<u8>>,
    /// Audit objects of tokens.
    pub audits: Vec<Vec<u8>>,
    /// Login codes.
    pub codes: Vec<Vec<u8>>,
}

/// The check of an import.
pub struct ImportCheck {
    /// The progress of the import when it was checked.
    pub importing: Importing,
    /// The violated invariants.
    pub violations: Vec<Violation>,
}
