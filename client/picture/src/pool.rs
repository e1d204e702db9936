//! The picture of an invite pool: its uses as a share, its expiry, and its enrollments by state.

use enroll_protocol::enrollment::{Enrollment, State};
use enroll_protocol::pool::Pool;

/// Callsigns in a line for people.
pub const CALLSIGNS_MAX: usize = 20;

/// The states of enrollments with their words, in the order in which they are shown.
pub const STATES: [(State, &str); 3] =
    [(State::Pending, "pending"), (State::Approved, "approved"), (State::Rejected, "rejected")];

/// `3 of 40`, or `3` where there is no bound.
pub fn uses(pool: &Pool) -> String {
    crate::event::counted(pool.uses, pool.max_uses)
}

/// The expiry, or `never`.
pub fn expires(pool: &Pool) -> String {
    pool.expires.map_or_else(|| "never".to_owned(), |at| at.to_string())
}

/// The callsigns of enrollments by state, in the order of [`STATES`].
pub fn by_state(enrollments: &[Enrollment]) -> [(&'static str, Vec<&str>); 3] {
    STATES.map(|(state, name)| {
        let of_state = enrollments.iter().filter(|enrollment| enrollment.state == state);
        (name, of_state.map(|enrollment| enrollment.callsign.as_str()).collect())
    })
}

/// `2: DOGGO01a, PORA22b`, cut after twenty callsigns.
pub fn counted(callsigns: &[&str], is_cut: bool) -> String {
    let or_more = if is_cut { " or more" } else { "" };
    let shown = callsigns.iter().take(CALLSIGNS_MAX).copied().collect::<Vec<_>>().join(", ");
    match callsigns.len() {
        0 => format!("0{or_more}"),
        count @ ..=CALLSIGNS_MAX => format!("{count}{or_more}: {shown}"),
        count => format!("{count}{or_more}: {shown} and {} more", count - CALLSIGNS_MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_for_people_says_how_many_there_are_and_ends() {
        let many = vec!["A"; 23];
        for (callsigns, is_cut, expected) in [
            (&[][..], false, "0".to_owned()),
            (&[], true, "0 or more".to_owned()),
            (&["A", "B"], false, "2: A, B".to_owned()),
            (&many, true, format!("23 or more: {} and 3 more", ["A"; 20].join(", "))),
        ] {
            assert_eq!(counted(callsigns, is_cut), expected);
        }
    }
}
