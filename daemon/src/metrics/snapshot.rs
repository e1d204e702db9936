//! The counts of a snapshot: the same series as those of the text.

use enroll_protocol::server::{
    ConnectionFigures, DaemonSnapshot, Journal, OperationFigures, RefusalCount, WriterFigures,
};

use super::histogram::micros;
use super::{BATCH_REQUESTS, DURATION_MICROS, JournalFigures, Metrics, OUTCOMES};

impl Metrics {
    /// A snapshot that has the counts, and nothing of what the metrics do not know.
    pub fn snapshot(&self) -> DaemonSnapshot {
        DaemonSnapshot {
            started: self.started,
            duration_bounds_micros: DURATION_MICROS.to_vec(),
            batch_bounds: BATCH_REQUESTS.to_vec(),
            operations: self.called(),
            refusals: self.refused_by_code(),
            connections: ConnectionFigures {
                open: self.connections.get(),
                accepted: self.connections_accepted.get(),
                refused: self.connections_refused.sum(0, 1),
                streams: self.streams.get(),
                by_uid: Vec::new(),
            },
            writer: WriterFigures {
                queue: self.queue.get(),
                batches: self.batch.counts(),
                batched: self.batched(),
                commits: self.commit.counts(),
                commit_micros: self.commit.micros(),
            },
            journal: self.journal.as_ref().map(JournalFigures::snapshot),
            database_bytes: self.database_bytes.get(),
            ..DaemonSnapshot::default()
        }
    }

    /// The operations that were called, in the order of the table.
    fn called(&self) -> Vec<OperationFigures> {
        let mut called: Vec<OperationFigures> = Vec::new();
        for (at, labels, durations) in self.operation_seconds.counted() {
            let name = labels.first().map_or("", |(_, name)| *name);
            if called.last().is_none_or(|last| last.operation != name) {
                called.push(OperationFigures { operation: name.to_owned(), ..OperationFigures::default() });
            }
            let Some(last) = called.last_mut() else { continue };
            let counts = durations.counts();
            let count = counts.iter().sum::<u64>();
            match at % OUTCOMES.len() {
                0 => last.done = count,
                1 => last.refused = count,
                _ => last.failed = count,
            }
            last.micros += durations.micros();
            last.durations.resize(counts.len(), 0);
            last.durations.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        }
        called
    }

    #[expect(clippy::cast_possible_truncation, reason = "a sum of whole numbers")]
    fn batched(&self) -> u64 {
        self.batch.sum() as u64
    }

    fn refused_by_code(&self) -> Vec<RefusalCount> {
        let counted = self.refusals.counted();
        counted
            .map(|(_, labels, counter)| RefusalCount {
                code: labels.first().map_or_else(String::new, |(_, code)| (*code).to_owned()),
                count: counter.get(),
            })
            .collect()
    }
}

impl JournalFigures {
    fn snapshot(&self) -> Journal {
        Journal {
            bytes: self.bytes.get(),
            memtable_bytes: self.memory.get(),
            syncs: self.syncs.get(),
            flushes: self.flushes.get(),
            flushed_keys: self.flushed_keys.get(),
            flush_micros: micros(self.flush_seconds.get()),
            paced_micros: micros(self.paced_seconds.get()),
        }
    }
}

#[cfg(test)]
mod tests {
    use enroll_protocol::{Code, Operation as _, Time, person, token};

    use super::*;

    #[test]
    fn an_operation_has_its_outcomes_and_durations_together() {
        let metrics = Metrics::new(Time::EPOCH);
        let (get, spend) = (person::Get::ROW.number, token::Use::ROW.number);
        metrics.answered(spend, None, 0.003);
        metrics.answered(spend, Some(Code::TOKEN_REUSE), 0.003);
        metrics.answered(spend, Some(Code::STORAGE), 9.0);
        metrics.answered(get, None, 0.00001);
        metrics.batch(3);
        metrics.batch(1);
        let snapshot = metrics.snapshot();
        let rows: Vec<_> = snapshot
            .operations
            .iter()
            .map(|row| (row.operation.as_str(), [row.done, row.refused, row.failed], row.micros))
            .collect();
        assert_eq!(rows, [("person.get", [1, 0, 0], 10), ("token.use", [1, 1, 1], 9_006_000)]);
        let durations = &snapshot.operations[1].durations;
        assert_eq!(durations.len(), snapshot.duration_bounds_micros.len() + 1);
        let bucket = |micros: u64| snapshot.duration_bounds_micros.partition_point(|bound| *bound < micros);
        assert_eq!((durations[bucket(3_000)], durations[bucket(9_000_000)]), (2, 1));
        let refusals: Vec<_> = snapshot.refusals.iter().map(|row| (row.code.as_str(), row.count)).collect();
        assert_eq!(refusals.len(), 2);
        assert!(refusals.contains(&("token_reuse", 1)) && refusals.contains(&("storage", 1)), "{refusals:?}");
        assert_eq!((snapshot.writer.batched, snapshot.writer.batches.iter().sum::<u64>()), (4, 2));
        assert_eq!(snapshot.journal, None);
    }
}
