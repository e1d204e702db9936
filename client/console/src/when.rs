//! Times on a page: relative to now, with the exact time beside it for those who want it.

use enroll_protocol::Time;
use enrollctl::output::time;
use jiff::Timestamp;
use maud::{Markup, html};

/// A time such as `3 minutes ago`, whose exact form is its title.
pub(crate) fn ago(at: Time, now: Time) -> Markup {
    html! { time datetime=(at) title=(absolute(at)) { (time::relative(instant(at), instant(now))) } }
}

/// A time such as `2026-01-31 18:00:00 UTC`.
pub(crate) fn exact(at: Time) -> Markup {
    html! { time datetime=(at) { (absolute(at)) } }
}

/// Now, by the clock of this machine.
pub(crate) fn now() -> Time {
    Time::from_micros(Timestamp::now().as_microsecond()).unwrap_or(Time::EPOCH)
}

fn absolute(at: Time) -> String {
    time::absolute(instant(at))
}

fn instant(at: Time) -> Timestamp {
    Timestamp::from_microsecond(at.micros()).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_in_both_forms() {
        let at = Time::EPOCH.plus_seconds(1_800_000_000);
        let drawn = ago(at, at.plus_seconds(180)).into_string();
        let expected =
            "<time datetime=\"2027-01-15T08:00:00.000000Z\" title=\"2027-01-15 08:00:00 UTC\">3 minutes ago</time>";
        assert_eq!(drawn, expected);
    }
}
