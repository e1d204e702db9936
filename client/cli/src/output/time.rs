//! Times for people: relative, such as `3 minutes ago`, and absolute.

use jiff::Timestamp;

const UNITS: [(i64, &str); 6] =
    [(31_557_600, "year"), (2_629_800, "month"), (86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second")];

/// Parses a time in the exact form of the contract; `None` for other texts.
pub fn instant(text: &str) -> Option<Timestamp> {
    let has_form = text.len() == "2026-01-31T18:00:00.000000Z".len() && text.ends_with('Z');
    if has_form { text.parse().ok() } else { None }
}

/// `3 minutes ago` or `in 2 hours`, in the largest unit that fits at least once.
pub fn relative(at: Timestamp, now: Timestamp) -> String {
    match at.as_second() - now.as_second() {
        0 => "just now".to_owned(),
        ..0 => format!("{} ago", length(at, now)),
        _ => format!("in {}", length(at, now)),
    }
}

/// The time between two instants, such as `3 minutes`.
pub fn length(from: Timestamp, to: Timestamp) -> String {
    let seconds = (to.as_second() - from.as_second()).abs();
    let (length, unit) = UNITS.iter().find(|(length, _)| seconds >= *length).unwrap_or(&(1, "second"));
    let count = seconds / length;
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}

/// Formats as `2026-01-31 18:00:00 UTC`.
pub fn absolute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_unit_counts() {
        let now = instant("2026-01-31T18:00:00.000000Z").expect("an instant");
        for (seconds, expected) in [
            (0, "just now"),
            (-1, "1 second ago"),
            (-179, "2 minutes ago"),
            (7200, "in 2 hours"),
            (86_400, "in 1 day"),
            (-86_400 * 40, "1 month ago"),
            (86_400 * 800, "in 2 years"),
        ] {
            let at = Timestamp::from_second(now.as_second() + seconds).expect("an instant");
            assert_eq!(relative(at, now), expected);
        }
        assert_eq!(absolute(now), "2026-01-31 18:00:00 UTC");
        assert_eq!(instant("2026-01-31"), None);
        assert_eq!(instant("DOGGO01a"), None);
    }
}
