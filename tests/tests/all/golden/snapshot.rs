//! The wire of the snapshot, with a row of each of its lists.

use enroll_protocol::server::{
    ConnectionFigures, DaemonSnapshot, Disk, EventPlaces, EventPoolPlaces, FullestPools, Journal, NextEvents,
    OperationFigures, PoolUses, RefusalCount, Snapshot, UidConnections, Waiting, WaitingEnrollment, WriterFigures,
};

use super::{Samples, pk, time};

pub(super) fn snapshot(samples: &mut Samples) {
    let operation = OperationFigures {
        operation: "token.use".to_owned(),
        done: 5,
        refused: 2,
        failed: 1,
        micros: 9_000,
        durations: vec![1, 7, 0],
    };
    let uid = |uid, connections| UidConnections { uid, connections };
    let snapshot = DaemonSnapshot {
        at: time(70),
        version: "0.1.0".to_owned(),
        started: time(1),
        uptime_micros: 69_000_000,
        duration_bounds_micros: vec![50, 100],
        batch_bounds: vec![1],
        operations: vec![operation],
        refusals: vec![RefusalCount { code: "token_reuse".to_owned(), count: 2 }],
        connections: ConnectionFigures {
            open: 4,
            accepted: 9,
            refused: 1,
            streams: 2,
            by_uid: vec![uid(Some(1000), 3), uid(None, 1)],
        },
        writer: WriterFigures { queue: 1, batches: vec![3, 1], batched: 8, commits: vec![0, 4, 0], commit_micros: 300 },
        journal: Some(Journal {
            bytes: 1 << 20,
            memtable_bytes: 2_000,
            syncs: 4,
            flushes: 1,
            flushed_keys: 12,
            flush_micros: 900,
            paced_micros: 10,
        }),
        database_bytes: 1 << 20,
        disk: Disk { free_bytes: Some(1 << 30), needed_bytes: 64 << 20, commit_micros: 75 },
        changes_head: 300,
        follower_lag: 6,
        warnings: 1,
        waiting: Waiting { enrollments: 1, more: false, oldest: Some(time(2)) },
        oldest_enrollments: Some(vec![WaitingEnrollment {
            pk: pk(1),
            callsign: "PORA22b".parse().expect("a callsign"),
            pool: Some(pk(2)),
            created: time(2),
        }]),
        fullest_pools: Some(FullestPools {
            pools: vec![PoolUses {
                pk: pk(2),
                owner: "BOSS".parse().expect("a callsign"),
                uses: 3,
                max_uses: 4,
                expires: Some(time(80)),
            }],
            complete_since: Some(time(3)),
            looked_at: 1_024,
        }),
        next_events: Some(NextEvents {
            events: vec![EventPlaces {
                pk: pk(3),
                title: "Camp".parse().expect("a title"),
                start: time(90),
                max_participants: Some(12),
                places_taken: 11,
                waiting_count: 1,
                pools: vec![EventPoolPlaces {
                    name: "members".parse().expect("a name"),
                    capacity: 11,
                    places_taken: 11,
                    waiting_count: 1,
                }],
            }],
            more: true,
        }),
    };
    samples.operation(&Snapshot {}, &snapshot);
}
