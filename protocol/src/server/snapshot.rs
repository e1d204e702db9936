//! The snapshot: figures of the daemon at one moment, from which a screen makes rates and percentiles, and the ends of
//! the registry that somebody watches.
//!
//! Counts begin when the daemon starts, so two snapshots of one run tell what happened between them. A snapshot costs
//! what it shows, however many records there are.

use serde::{Deserialize, Serialize};

use super::{Disk, Waiting};
use crate::{Callsign, EventPoolName, Pk, Time, Title};

/// Show what a live screen shows: counts since the start, who waits, and the fullest pools
///
/// `enrollctl top` asks it each second. Rates and percentiles are differences of two answers. A peer with the grant
/// `metrics` alone gets the figures, and null in place of enrollments, pools and events; so does an actor without the
/// permission to list them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::Args), command(after_help = "Example:\n  enrollctl server snapshot --json"))]
#[serde(deny_unknown_fields)]
pub struct Snapshot {}

/// The figures of the daemon at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaemonSnapshot {
    /// The time of this snapshot.
    pub at: Time,
    /// Its version.
    pub version: String,
    /// The time of the start as it was measured then: another one is another run, whose counts begin anew.
    pub started: Time,
    /// Time since the start. It does not jump where the clock is set.
    pub uptime_micros: u64,
    /// The upper bounds of all durations' buckets; one more bucket has what is above the last of them.
    pub duration_bounds_micros: Vec<u64>,
    /// The upper bounds of the buckets of batches, in requests.
    pub batch_bounds: Vec<u64>,
    /// Operations that were called since the start.
    pub operations: Vec<OperationFigures>,
    /// Refusals since the start by code, of requests and of streams; those that there were.
    pub refusals: Vec<RefusalCount>,
    /// Connections.
    pub connections: ConnectionFigures,
    /// The writer.
    pub writer: WriterFigures,
    /// The journal and the flusher; null where the database is in memory.
    pub journal: Option<Journal>,
    /// Bytes of the database's file.
    pub database_bytes: u64,
    /// The disk of the state directory.
    pub disk: Disk,
    /// The number of the latest change; 0 before the first.
    pub changes_head: u64,
    /// The number of changes that the last follower of the feed has not; 0 without followers.
    pub follower_lag: u64,
    /// Standing warnings, which `server.status` tells.
    pub warnings: u64,
    /// Enrollments that wait for a decision.
    pub waiting: Waiting,
    /// The oldest of them, at most 10. Null for a peer that may not see them.
    pub oldest_enrollments: Option<Vec<WaitingEnrollment>>,
    /// The pools with the least room. Null likewise.
    pub fullest_pools: Option<FullestPools>,
    /// The next events that people register for. Null likewise.
    pub next_events: Option<NextEvents>,
}

/// An operation's calls since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationFigures {
    /// `area.verb`, or `unknown` for all that the table does not have.
    pub operation: String,
    /// Done.
    pub done: u64,
    /// Refused.
    pub refused: u64,
    /// Failed inside the daemon.
    pub failed: u64,
    /// The sum of their durations, from the request's arrival to its answer, waiting and commit included.
    pub micros: u64,
    /// Calls by duration, whatever their outcome: a count for each bucket.
    pub durations: Vec<u64>,
}

/// Refusals with a code since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusalCount {
    /// The code's word.
    pub code: String,
    /// Their number.
    pub count: u64,
}

/// Connections, now and since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionFigures {
    /// Open now.
    pub open: u64,
    /// Accepted since the start.
    pub accepted: u64,
    /// Refused, or ended with a reason, since the start.
    pub refused: u64,
    /// Streams open now.
    pub streams: u64,
    /// Open now by uid, most first: 16 uids, and the others as one.
    pub by_uid: Vec<UidConnections>,
}

/// The open connections of a uid.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UidConnections {
    /// The uid; null for all others together.
    pub uid: Option<u32>,
    /// Their number.
    pub connections: u64,
}

/// The writer, now and since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriterFigures {
    /// Writes that wait for it now.
    pub queue: u64,
    /// Batches by the requests in them: a count for each bucket.
    pub batches: Vec<u64>,
    /// The requests in all batches.
    pub batched: u64,
    /// Commits by duration: a count for each bucket.
    pub commits: Vec<u64>,
    /// The sum of their durations.
    pub commit_micros: u64,
}

/// The journal and the flusher, which moves its writes into the database's file; now and since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    /// Bytes of its files now.
    pub bytes: u64,
    /// Bytes of memory now of what is journaled and not on its way into the database's file.
    pub memtable_bytes: u64,
    /// Batches it made durable.
    pub syncs: u64,
    /// Moves into the database's file.
    pub flushes: u64,
    /// Writes that were moved.
    pub flushed_keys: u64,
    /// Time that the moves took.
    pub flush_micros: u64,
    /// Time for which batches were held back so that the moves keep up.
    pub paced_micros: u64,
}

/// An enrollment that waits for a decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingEnrollment {
    /// Primary key.
    pub pk: Pk,
    /// The callsign that it asks for.
    pub callsign: Callsign,
    /// The pool it came by.
    pub pool: Option<Pk>,
    /// Creation time.
    pub created: Time,
}

/// The pools with the least room.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FullestPools {
    /// At most 10 that are usable or full, the fullest first, without those that take any number. Their uses are of this
    /// snapshot.
    pub pools: Vec<PoolUses>,
    /// The time when the last look at every pool began. Between two looks another pool may have become as full. Null
    /// until every pool was looked at once: more are looked at with each snapshot.
    pub complete_since: Option<Time>,
    /// Pools that the look that goes on has seen; 0 where each snapshot looks at them all.
    pub looked_at: u64,
}

/// The uses of a pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolUses {
    /// Primary key.
    pub pk: Pk,
    /// The owner's callsign.
    pub owner: Callsign,
    /// The number of people who enrolled by it.
    pub uses: u32,
    /// The most who may.
    pub max_uses: u32,
    /// The time at which it expires.
    pub expires: Option<Time>,
}

/// The next events that people register for: published, not canceled, and not begun.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextEvents {
    /// At most 10, by start.
    pub events: Vec<EventPlaces>,
    /// True if there are, or may be, more than these.
    pub more: bool,
}

/// The places of an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventPlaces {
    /// Primary key.
    pub pk: Pk,
    /// Title.
    pub title: Title,
    /// Start.
    pub start: Time,
    /// The most people who may take part, whatever the pools hold.
    pub max_participants: Option<u32>,
    /// People who hold a place.
    pub places_taken: u32,
    /// People who wait for one.
    pub waiting_count: u32,
    /// Its pools, oldest first.
    pub pools: Vec<EventPoolPlaces>,
}

/// The places of an event's pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventPoolPlaces {
    /// Name, unique in the event.
    pub name: EventPoolName,
    /// Places; 0 for any number.
    pub capacity: u32,
    /// People who hold one.
    pub places_taken: u32,
    /// People who wait for one.
    pub waiting_count: u32,
}
