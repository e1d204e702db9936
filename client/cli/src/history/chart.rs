//! The chart: places taken and waiting list over time, in block elements, or in ASCII where the locale is not UTF-8.

use jiff::Timestamp;

/// Rows of the chart of all places.
const ROWS: i64 = 8;

/// Columns that a chart has at least.
const COLUMNS_MIN: usize = 10;

const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const ASCII: [char; 9] = [' ', '.', '.', ':', ':', '+', '+', '#', '#'];

/// A number over time, from each time on; with its bound, if it has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Series {
    /// Its name.
    pub(super) name: String,
    /// Values, oldest first; not empty.
    pub(super) points: Vec<(Timestamp, i64)>,
    /// The capacity.
    pub(super) bound: Option<i64>,
}

/// The paper of a chart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paper {
    /// Its width in characters.
    pub(super) width: usize,
    /// It has block elements.
    pub(super) is_utf8: bool,
    /// The time of its left and of its right edge.
    pub(super) span: (Timestamp, Timestamp),
}

/// Draws the first series large, with its bound as a line and the axis of time below, and the others in one line each.
pub(super) fn draw(paper: Paper, large: &Series, small: &[Series]) -> Vec<String> {
    let names = small.iter().map(|series| series.name.chars().count()).chain([large.name.chars().count()]);
    let top = large.highest().max(1);
    let label = names.max().unwrap_or(0).max(top.to_string().len());
    let last = small.iter().chain([large]).map(|series| series.now().len()).max().unwrap_or(0);
    let columns = paper.width.saturating_sub(label + last + 4).max(COLUMNS_MIN);
    let values = large.in_columns(paper.span, columns);
    // The bound is a line where no bar covers it.
    let bound_row = large.bound.map(|bound| (bound * ROWS - 1).max(0) / top);
    let (edge, line) = if paper.is_utf8 { ('│', '┄') } else { ('|', '-') };
    let mut lines: Vec<String> = (0..ROWS)
        .rev()
        .map(|row| {
            let text = match row {
                row if row == ROWS - 1 => top.to_string(),
                row if bound_row == Some(row) => large.bound.unwrap_or_default().to_string(),
                0 => "0".to_owned(),
                _ => String::new(),
            };
            let is_bound = bound_row == Some(row);
            let cell = |value: &i64| match paper.block(eighths(*value, top, ROWS) - row * 8) {
                ' ' if is_bound => line,
                block => block,
            };
            let bars: String = values.iter().map(cell).collect();
            format!("{text:>label$} {edge}{bars}").trim_end().to_owned()
        })
        .collect();
    lines.extend(axis(paper, label, columns));
    lines.push(String::new());
    for series in [large].into_iter().chain(small) {
        let scale = series.highest().max(1);
        let bars: String =
            series.in_columns(paper.span, columns).iter().map(|value| paper.block(eighths(*value, scale, 1))).collect();
        lines.push(format!("{:label$} {edge}{bars} {}", series.name, series.now()));
    }
    lines
}

/// The axis of time, with the dates of its ends.
fn axis(paper: Paper, label: usize, columns: usize) -> [String; 2] {
    let (corner, dash) = if paper.is_utf8 { ("└", "─") } else { ("+", "-") };
    let date = |at: Timestamp| at.strftime("%Y-%m-%d %H:%M").to_string();
    let (from, to) = (date(paper.span.0), date(paper.span.1));
    let gap = (columns + 1).saturating_sub(from.len() + to.len()).max(2);
    let blank = " ".repeat(label + 1);
    [format!("{blank}{corner}{}", dash.repeat(columns)), format!("{blank}{from}{}{to} UTC", " ".repeat(gap))]
}

/// Eighths of a row that a value fills, of so many rows. What is not nothing shows, and what is not all is not full.
fn eighths(value: i64, top: i64, rows: i64) -> i64 {
    let full = rows * 8;
    match value {
        ..=0 => 0,
        value if value >= top => full,
        value => (value * full / top).clamp(1, full - 1),
    }
}

impl Paper {
    fn block(self, eighths: i64) -> char {
        let at = usize::try_from(eighths.clamp(0, 8)).unwrap_or_default();
        if self.is_utf8 { BLOCKS[at] } else { ASCII[at] }
    }
}

impl Series {
    /// The largest value, or the bound.
    fn highest(&self) -> i64 {
        self.points.iter().map(|(_, value)| *value).chain(self.bound).max().unwrap_or(0)
    }

    /// The latest value: `3 of 40`.
    pub(super) fn now(&self) -> String {
        let value = self.points.last().map_or(0, |(_, value)| *value);
        self.bound.map_or_else(|| value.to_string(), |bound| format!("{value} of {bound}"))
    }

    /// The value at the end of each column of time.
    fn in_columns(&self, (from, to): (Timestamp, Timestamp), columns: usize) -> Vec<i64> {
        let [from, to] = [from, to].map(Timestamp::as_microsecond);
        let mut value = self.points.first().map_or(0, |(_, value)| *value);
        let mut next = self.points.iter().peekable();
        let mut values = Vec::with_capacity(columns);
        for column in 1..=columns as i64 {
            let part = i128::from(to - from) * i128::from(column) / columns as i128;
            let end = from.saturating_add(i64::try_from(part).unwrap_or(i64::MAX));
            // All that is left belongs to the last column, also what a clock that was set back has put later.
            while let Some((_, known)) = next.next_if(|(at, _)| at.as_microsecond() <= end || column == columns as i64)
            {
                value = *known;
            }
            values.push(value);
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_769_882_400 + second).expect("an instant")
    }

    fn series(name: &str, points: &[(i64, i64)], bound: Option<i64>) -> Series {
        Series { name: name.to_owned(), points: points.iter().map(|(s, n)| (at(*s), *n)).collect(), bound }
    }

    fn paper(width: usize, is_utf8: bool) -> Paper {
        Paper { width, is_utf8, span: (at(0), at(60 * 100)) }
    }

    #[test]
    fn places_are_drawn_with_their_capacity_axis_and_pools() {
        let large = series("all", &[(0, 0), (600, 2), (3000, 4), (4800, 3)], Some(4));
        let small = [series("waiting", &[(0, 0), (3600, 5), (4800, 0)], None)];
        let expected = [
            "      4 │┄┄┄┄┄┄┄┄┄██████┄┄┄┄",
            "        │         ██████",
            "        │         ██████████",
            "        │         ██████████",
            "        │ ██████████████████",
            "        │ ██████████████████",
            "        │ ██████████████████",
            "      0 │ ██████████████████",
            "        └───────────────────",
            "        2026-01-31 18:00  2026-01-31 19:40 UTC",
            "",
            "all     │ ▄▄▄▄▄▄▄▄██████▆▆▆▆ 3 of 4",
            "waiting │           ████     0",
        ];
        assert_eq!(draw(paper(36, true), &large, &small), expected);
        let ascii = draw(paper(36, false), &large, &small).join("\n");
        assert!(ascii.is_ascii() && ascii.contains("all     | ") && ascii.contains('#'), "{ascii}");
    }

    #[test]
    fn the_first_shows_and_only_the_last_fills() {
        for (value, top, expected) in [(0, 100, 0), (1, 1000, 1), (999, 1000, 63), (1000, 1000, 64), (-1, 5, 0)] {
            assert_eq!(eighths(value, top, 8), expected, "{value} of {top}");
        }
    }

    #[test]
    fn the_last_column_has_the_latest_value_whatever_the_clock_says() {
        for points in [&[(0, 1), (6000, 7)][..], &[(0, 1), (90_000, 7)], &[(5000, 3), (10, 7)]] {
            let values = series("x", points, None).in_columns(paper(80, true).span, 20);
            assert_eq!((values.len(), values.last()), (20, Some(&7)), "{points:?}");
        }
    }
}
