//! The figures of the daemon: rates and percentiles, the writer, the journal, operations, refusals and connections.

use std::collections::VecDeque;

use ratatui::text::Line;

use super::text::{columns, mebibytes, millis, percent, rate};
use super::{Block, alarm, dim};
use crate::top::rates::{Calls, Percentile};
use crate::top::state::{Look, State};

/// Columns of a number.
const NUMBER: usize = 8;

/// The lines that are sparklines.
pub(super) const SPARKLINES: usize = 3;

/// The sparklines, and a line each for the writer and the journal.
pub(super) fn lines(state: &State, width: usize) -> Vec<Line<'static>> {
    let (look, rates) = (state.look, &state.rates);
    let line = |label: &str, value: String, values: &VecDeque<f64>| {
        let text = look.left(label, NUMBER) + &look.right(&value, NUMBER) + "  ";
        let room = width.saturating_sub(columns(&text));
        Line::raw(look.cut(&(text + &look.sparkline(values.iter().copied(), room)), width))
    };
    let mut lines = vec![
        line("calls/s", rate(rates.calls.per_second), &state.calls),
        line("p50 ms", millis(rates.calls.p50), &state.p50),
        line("p99 ms", millis(rates.calls.p99), &state.p99),
    ];
    let commits = &rates.commits;
    let batch = commits.batch.map_or_else(|| "-".to_owned(), rate);
    lines.push(Line::raw(look.cut(
        &format!(
            "commits/s {}  p50 {} p99 {} ms  batch {batch}  queue {}",
            rate(commits.per_second),
            millis(commits.p50),
            millis(commits.p99),
            state.shown.writer.queue,
        ),
        width,
    )));
    if let Some((journal, flusher)) = state.shown.journal.zip(rates.flusher.as_ref()) {
        let text = format!(
            "journal {}  memory {}  flusher {} busy  held back {}  keys/s {}",
            mebibytes(journal.bytes),
            mebibytes(journal.memtable_bytes),
            percent(flusher.busy),
            percent(flusher.paced),
            rate(flusher.keys_per_second),
        );
        lines.push(Line::raw(look.cut(&text, width)));
    }
    lines
}

/// The operations, in the chosen order; with all their figures where they are wanted and have room.
pub(super) fn operations(state: &State, width: usize, is_whole: bool) -> Block {
    let look = state.look;
    let is_whole = is_whole && width >= 72;
    let row = |name: &str, numbers: [String; 7]| {
        let shown = if is_whole { &numbers[..] } else { &numbers[..3] };
        let name = look.left(name, width.saturating_sub(shown.len() * NUMBER));
        name + &shown.iter().map(|number| look.right(number, NUMBER)).collect::<String>()
    };
    let names = ["calls/s", "p50 ms", "p99 ms", "ref./s", "done", "refused", "failed"];
    let mut lines = vec![Line::styled(row("operation", names.map(str::to_owned)), dim())];
    lines.extend(state.operations().into_iter().map(|(name, calls)| {
        let Calls { per_second, refused_per_second, p50, p99, outcomes: [done, refused, failed] } = calls;
        let [p50, p99] = [*p50, *p99].map(|percentile: Option<Percentile>| millis(percentile));
        let counts = [done, refused, failed].map(u64::to_string);
        let [done, refused, failed_shown] = counts;
        let text = row(name, [rate(*per_second), p50, p99, rate(*refused_per_second), done, refused, failed_shown]);
        if *failed > 0 && is_whole { Line::styled(text, alarm(look)) } else { Line::raw(text) }
    }));
    Block { heading: format!("Operations by {}", state.sort.name()), lines }
}

/// The refusals by code.
pub(super) fn refusals(state: &State, width: usize) -> Block {
    let look = state.look;
    let mut lines = vec![Line::styled(numbers(look, width, "code", ["per s", "total"].map(str::to_owned)), dim())];
    let rows = state.refusals();
    if rows.is_empty() {
        lines = vec![Line::raw("none")];
    }
    lines.extend(
        rows.into_iter()
            .map(|row| Line::raw(numbers(look, width, &row.code, [rate(row.per_second), row.total.to_string()]))),
    );
    Block { heading: "Refusals by code".to_owned(), lines }
}

/// The open connections by user.
pub(super) fn connections(state: &State, width: usize) -> Block {
    let (look, connections) = (state.look, &state.shown.connections);
    let rows = connections.by_uid.iter().map(|row| (look.told(&state.user(row.uid)), row.connections));
    let rows = rows.filter(|(user, _)| state.passes(user));
    let lines = rows.map(|(user, count)| Line::raw(numbers(look, width, &user, [count.to_string()]))).collect();
    let refused = match connections.refused {
        0 => " open".to_owned(),
        refused => format!(" open, {refused} refused"),
    };
    Block { heading: format!("Connections: {}{refused}", connections.open), lines }
}

/// A name at the left and numbers at the right.
fn numbers<const N: usize>(look: Look, width: usize, name: &str, numbers: [String; N]) -> String {
    let name = look.left(name, width.saturating_sub(N * NUMBER));
    name + &numbers.iter().map(|number| look.right(number, NUMBER)).collect::<String>()
}
