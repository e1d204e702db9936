//! A snapshot as lines, for scripts and for readers of a screen: a kind, a name and its values, with tabs between them.
//! The columns of a kind are always the same, and what is not known is `-`.

use std::fmt::Display;

use super::rates::{Percentile, Rates};
use super::state::State;
use crate::output::escaped;

/// The lines of what the state shows.
pub(crate) fn lines(state: &State) -> String {
    let mut lines = Lines::default();
    figures(&mut lines, state);
    for (name, calls) in state.operations() {
        let [done, refused, failed] = calls.outcomes.map(|count| count.to_string());
        let [p50, p99] = [calls.p50, calls.p99].map(millis);
        let rates = [rate(calls.per_second), rate(calls.refused_per_second)];
        let [calls, refused_rate] = rates;
        lines.add(["operation", name, &calls, &p50, &p99, &refused_rate, &done, &refused, &failed]);
    }
    for row in state.refusals() {
        lines.add(["refusal", &row.code, &rate(row.per_second), &row.total.to_string()]);
    }
    for row in &state.shown.connections.by_uid {
        let uid = row.uid.map_or_else(|| "others".to_owned(), |uid| uid.to_string());
        lines.add(["connections", &uid, &row.connections.to_string()]);
    }
    registry(&mut lines, state);
    lines.0
}

#[derive(Default)]
struct Lines(String);

impl Lines {
    fn add<const N: usize>(&mut self, cells: [&str; N]) {
        self.0.push_str(&cells.map(escaped).join("\t"));
        self.0.push('\n');
    }

    fn figure(&mut self, name: &str, value: impl Display) {
        self.add(["figure", name, &value.to_string()]);
    }
}

fn figures(lines: &mut Lines, state: &State) {
    let (shown, rates) = (&state.shown, &state.rates);
    let Rates { calls, commits, .. } = rates;
    lines.figure("version", &shown.version);
    lines.figure("at", shown.at);
    lines.figure("uptime_seconds", shown.uptime_micros / 1_000_000);
    lines.figure("period_seconds", format!("{:.3}", rates.seconds));
    lines.figure("warnings", shown.warnings);
    lines.figure("calls_per_second", rate(calls.per_second));
    lines.figure("calls_p50_ms", millis(calls.p50));
    lines.figure("calls_p99_ms", millis(calls.p99));
    lines.figure("connections", shown.connections.open);
    lines.figure("connections_refused", shown.connections.refused);
    lines.figure("streams", shown.connections.streams);
    lines.figure("queue", shown.writer.queue);
    lines.figure("commits_per_second", rate(commits.per_second));
    lines.figure("commit_p50_ms", millis(commits.p50));
    lines.figure("commit_p99_ms", millis(commits.p99));
    lines.figure("requests_in_a_batch", commits.batch.map_or_else(none, rate));
    let journal = shown.journal.as_ref();
    lines.figure("journal_bytes", journal.map_or_else(none, |journal| journal.bytes.to_string()));
    lines.figure("memtable_bytes", journal.map_or_else(none, |journal| journal.memtable_bytes.to_string()));
    let flusher = rates.flusher.as_ref();
    lines.figure("flushes_per_second", flusher.map_or_else(none, |flusher| rate(flusher.flushes_per_second)));
    lines.figure("flushed_keys_per_second", flusher.map_or_else(none, |flusher| rate(flusher.keys_per_second)));
    lines.figure("flusher_busy_share", flusher.map_or_else(none, |flusher| rate(flusher.busy)));
    lines.figure("held_back_share", flusher.map_or_else(none, |flusher| rate(flusher.paced)));
    lines.figure("database_bytes", shown.database_bytes);
    lines.figure("disk_free_bytes", shown.disk.free_bytes.map_or_else(none, |bytes| bytes.to_string()));
    lines.figure("changes_head", shown.changes_head);
    lines.figure("follower_lag", shown.follower_lag);
    let more = if shown.waiting.more { "+" } else { "" };
    lines.figure("waiting_enrollments", format!("{}{more}", shown.waiting.enrollments));
}

fn registry(lines: &mut Lines, state: &State) {
    let shown = &state.shown;
    let withheld = [
        ("enrollment", shown.oldest_enrollments.is_none()),
        ("pool", shown.fullest_pools.is_none()),
        ("event", shown.next_events.is_none()),
    ];
    for (kind, _) in withheld.iter().filter(|(_, is_withheld)| *is_withheld) {
        lines.add(["withheld", kind]);
    }
    for row in shown.oldest_enrollments.iter().flatten() {
        let pool = row.pool.map_or_else(none, |pool| pool.to_string());
        lines.add(["enrollment", row.callsign.as_str(), &row.pk.to_string(), &row.created.to_string(), &pool]);
    }
    if let Some(fullest) = &shown.fullest_pools {
        lines.figure("pools_complete_since", fullest.complete_since.map_or_else(none, |since| since.to_string()));
        for row in &fullest.pools {
            let (uses, most) = (row.uses.to_string(), row.max_uses.to_string());
            let expires = row.expires.map_or_else(none, |expires| expires.to_string());
            lines.add(["pool", row.owner.as_str(), &row.pk.to_string(), &uses, &most, &expires]);
        }
    }
    if let Some(next) = &shown.next_events {
        lines.figure("more_events", next.more);
        for event in &next.events {
            let most = event.max_participants.map_or_else(none, |most| most.to_string());
            let (pk, start) = (event.pk.to_string(), event.start.to_string());
            let (taken, waiting) = (event.places_taken.to_string(), event.waiting_count.to_string());
            lines.add(["event", event.title.as_str(), &pk, &start, &taken, &most, &waiting]);
            for pool in &event.pools {
                let capacity = if pool.capacity > 0 { pool.capacity.to_string() } else { none() };
                let (taken, waiting) = (pool.places_taken.to_string(), pool.waiting_count.to_string());
                lines.add(["event_pool", pool.name.as_str(), &pk, &taken, &capacity, &waiting]);
            }
        }
    }
}

fn none() -> String {
    "-".to_owned()
}

fn rate(value: f64) -> String {
    format!("{value:.3}")
}

/// In milliseconds; the bound with `>` for what lies above all bounds.
fn millis(percentile: Option<Percentile>) -> String {
    let more = |is_more| if is_more { ">" } else { "" };
    percentile.map_or_else(none, |Percentile { micros, is_more }| format!("{}{:.3}", more(is_more), micros / 1e3))
}
