//! Texts in so many columns: numbers, lengths of time, bars and sparklines, and text of people, which is escaped and
//! cut.

use enroll_client::protocol::Time;
use ratatui::text::Span;

use crate::output::visible;
use crate::top::rates::Percentile;
use crate::top::state::Look;

/// Eighths of a block, from none to a whole one.
const LEVELS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The same in ASCII.
const ASCII_LEVELS: [char; 9] = [' ', '_', '.', ',', '-', '=', '+', '*', '#'];

impl Look {
    /// The text of people without what a terminal would interpret, and in ASCII where nothing else is shown.
    pub(super) fn told(self, text: &str) -> String {
        let text = visible(text);
        if self.ascii { text.chars().map(|c| if c.is_ascii() { c } else { '?' }).collect() } else { text }
    }

    /// The text in at most so many columns, with a mark where it was cut.
    pub(super) fn cut(self, text: &str, width: usize) -> String {
        if columns(text) <= width {
            return text.to_owned();
        }
        let (mut cut, mut taken) = (String::new(), 0);
        for c in text.chars() {
            let more = columns(c.encode_utf8(&mut [0; 4]));
            if taken + more + 1 > width {
                break;
            }
            cut.push(c);
            taken += more;
        }
        if width > 0 {
            cut.push(if self.ascii { '~' } else { '…' });
        }
        cut
    }

    /// The text in exactly so many columns, at the left of them.
    pub(super) fn left(self, text: &str, width: usize) -> String {
        let cut = self.cut(text, width);
        let space = width.saturating_sub(columns(&cut));
        cut + &" ".repeat(space)
    }

    /// The text in exactly so many columns, at the right of them.
    pub(super) fn right(self, text: &str, width: usize) -> String {
        let cut = self.cut(text, width);
        " ".repeat(width.saturating_sub(columns(&cut))) + &cut
    }

    /// A bar of so many columns, filled by the share that is taken; one that is not full is not shown as full.
    pub(super) fn bar(self, taken: u64, of: u64, width: usize) -> String {
        let width = width as u64;
        let filled = match of {
            0 => width,
            of if taken >= of => width,
            of => (taken * width / of).min(width.saturating_sub(1)),
        };
        let [full, empty] = if self.ascii { ['#', '-'] } else { ['█', '░'] };
        (0..width).map(|at| if at < filled { full } else { empty }).collect()
    }

    /// The latest values as columns of a height from 0 to the highest of them; the latest at the right.
    pub(super) fn sparkline(self, values: impl DoubleEndedIterator<Item = f64>, width: usize) -> String {
        let mut latest: Vec<f64> = values.rev().take(width).collect();
        latest.reverse();
        let most = latest.iter().copied().fold(0.0, f64::max);
        let levels = if self.ascii { ASCII_LEVELS } else { LEVELS };
        let level = |value: f64| {
            // What is not nothing shows as something.
            let reached = (1..LEVELS.len()).filter(|level| value >= most * (*level as f64 - 0.5) / 8.0).count();
            levels[if value > 0.0 { reached.max(1) } else { 0 }]
        };
        let drawn: String = latest.into_iter().map(level).collect();
        self.right(&drawn, width)
    }
}

/// The columns that a text takes.
pub(super) fn columns(text: &str) -> usize {
    Span::raw(text).width()
}

/// A number of something in a second.
pub(super) fn rate(value: f64) -> String {
    if value == 0.0 {
        "0".to_owned()
    } else if value < 100.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

/// A duration in milliseconds; `-` for none, and `>` before one that is longer than all that can be told.
pub(super) fn millis(percentile: Option<Percentile>) -> String {
    let Some(Percentile { micros, is_more }) = percentile else { return "-".to_owned() };
    let (millis, more) = (micros / 1e3, if is_more { ">" } else { "" });
    if millis < 10.0 {
        format!("{more}{millis:.2}")
    } else if millis < 100.0 {
        format!("{more}{millis:.1}")
    } else {
        format!("{more}{millis:.0}")
    }
}

/// A share in percent.
pub(super) fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// Bytes in MiB.
pub(super) fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

/// A length of time in its largest unit, such as `3 h`.
pub(super) fn length(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// The time from one instant to a later one, such as `3 h`; `0 s` where it is not later.
pub(super) fn between(from: Time, to: Time) -> String {
    length(u64::try_from(to.seconds() - from.seconds()).unwrap_or(0))
}

/// The time of the day, in UTC.
pub(super) fn clock(at: Time) -> String {
    let text = at.to_string();
    text.get(11..19).unwrap_or_default().to_owned()
}

/// True if a text has letters that are written from right to left, which would move what stands beside them.
pub(super) fn is_right_to_left(text: &str) -> bool {
    let is_rtl = |c: char| matches!(u32::from(c), 0x590..=0x8ff | 0xfb1d..=0xfdff | 0xfe70..=0xfefc | 0x10800..=0x10fff | 0x1e800..=0x1efff);
    text.chars().any(is_rtl)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCKS: Look = Look { colors: false, ascii: false };
    const ASCII: Look = Look { colors: false, ascii: true };

    #[test]
    fn texts_take_the_columns_they_have() {
        assert_eq!(BLOCKS.left("abc", 5), "abc  ");
        assert_eq!(BLOCKS.right("abc", 5), "  abc");
        assert_eq!(BLOCKS.left("abcdef", 4), "abc…");
        assert_eq!(ASCII.left("abcdef", 4), "abc~");
        assert_eq!(BLOCKS.left("日本語", 5), "日本…");
        assert_eq!(BLOCKS.left("日本語", 4), "日… ");
        assert_eq!(BLOCKS.cut("abc", 0), "");
        assert_eq!(BLOCKS.told("a\u{1b}[2J\u{202e}é"), "a\\u{1b}[2J\\u{202e}é");
        assert_eq!(ASCII.told("é"), "?");
    }

    #[test]
    fn a_bar_is_full_only_where_nothing_is_left() {
        for (taken, of, expected) in
            [(0, 4, "----"), (1, 4, "#---"), (99, 100, "###-"), (100, 100, "####"), (7, 4, "####"), (0, 0, "####")]
        {
            assert_eq!(ASCII.bar(taken, of, 4), expected, "{taken} of {of}");
        }
        assert_eq!(BLOCKS.bar(1, 2, 4), "██░░");
        assert_eq!(BLOCKS.bar(1, 2, 0), "");
    }

    #[test]
    fn a_sparkline_ends_with_the_latest_value() {
        assert_eq!(BLOCKS.sparkline([9.0, 0.0, 0.01, 4.0, 8.0].into_iter(), 4), " ▁▄█");
        assert_eq!(ASCII.sparkline([1.0].into_iter(), 3), "  #");
        assert_eq!(BLOCKS.sparkline([0.0, 0.0].into_iter(), 3), "   ");
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!([rate(0.0), rate(0.25), rate(1234.4)], ["0", "0.2", "1234"]);
        let of = |micros, is_more| millis(Some(Percentile { micros, is_more }));
        assert_eq!([of(50.0, false), of(12_345.0, false), of(5e6, true)], ["0.05", "12.3", ">5000"]);
        assert_eq!([length(59), length(119), length(90_000)], ["59 s", "1 min", "1 d"]);
        let time = Time::EPOCH.plus_seconds(3_661);
        assert_eq!((clock(time), between(time, Time::EPOCH)), ("01:01:01".to_owned(), "0 s".to_owned()));
    }
}
