//! The drawing of an event: rows of seats and a line of time, as SVG geometry. The words beside it say the same.

use enroll_picture::event::{Picture, Row, Seats, Step};
use maud::{Markup, html};

use crate::context::Context;
use crate::shown::shown;
use crate::when;

/// Seats of a row that are drawn one by one.
const SEATS_MAX: u32 = 120;

/// Seats side by side.
const SIDE_BY_SIDE: u32 = 20;

/// The side of a seat with the gap after it, and the side alone.
const STEP: u32 = 16;
const SIDE: u32 = 13;

/// The length of the line of time.
const LINE: i64 = 600;

/// A row of seats with its words. `pending` is the number of those who sit and whose approval is pending.
pub(super) fn row(row: &Row, pending: u32) -> Markup {
    let seats = Seats::of(row, pending, SEATS_MAX);
    let kinds = [(seats.taken, "taken"), (seats.pending, "pending"), (seats.free, "free")];
    let kinds = kinds.into_iter().flat_map(|(count, kind)| (0..count).map(move |_| kind));
    let count = seats.taken + seats.pending + seats.free;
    let (width, height) = (SIDE_BY_SIDE.min(count.max(1)) * STEP, count.div_ceil(SIDE_BY_SIDE).max(1) * STEP);
    html! {
        div .seats {
            h3 { (shown(&row.name)) }
            p {
                (shown(&row.text))
                @if pending > 0 { "; " (pending) " pending" }
            }
            svg .picture width=(width) height=(height) viewBox={ "0 0 " (width) " " (height) } aria-hidden="true" {
                @for (number, kind) in (0_u32..).zip(kinds) {
                    (seat(number % SIDE_BY_SIDE * STEP, number / SIDE_BY_SIDE * STEP, kind))
                }
            }
            @if seats.more > 0 { p .hint { "and " (seats.more) " more that are not drawn" } }
        }
    }
}

/// The words of a row that has no bound of its own, such as that of an event whose pools have theirs.
pub(super) fn words(row: &Row, pending: u32) -> Markup {
    html! {
        div .seats {
            h3 { (shown(&row.name)) }
            p { (shown(&row.text)) @if pending > 0 { "; " (pending) " pending" } }
        }
    }
}

/// The seats by kind, each with its word, so that none is told by its colour alone.
pub(super) fn legend() -> Markup {
    html! {
        p .legend {
            @for kind in ["taken", "pending", "free"] {
                span {
                    svg .picture width=(STEP) height=(STEP) viewBox={ "0 0 " (STEP) " " (STEP) } aria-hidden="true" {
                        (seat(0, 0, kind))
                    }
                    " " (kind)
                }
                " "
            }
        }
    }
}

/// A seat: full when taken, half full when pending, and an outline when free.
fn seat(x: u32, y: u32, kind: &str) -> Markup {
    let (x, y) = (x + 1, y + 1);
    html! {
        rect .seat .{ "seat-" (kind) } x=(x) y=(y) width=(SIDE) height=(SIDE) rx="2" {}
        @if kind == "pending" {
            path .half d={ "M" (x) " " (y + SIDE) "h" (SIDE) "v-" (SIDE) "z" } {}
        }
    }
}

/// The line of time: from the first step to the last, with now on it, and the steps as a list.
pub(super) fn time(picture: &Picture, context: &Context) -> Markup {
    let steps = picture.steps();
    if steps.is_empty() {
        return html! {};
    }
    let at_once: Vec<&[Step]> = steps.chunk_by(|one, other| one.at == other.at).collect();
    let marks = marks(&steps, picture.now.micros());
    html! {
        h2 { "Times" }
        svg .picture .time width="620" height="44" viewBox="0 0 620 44" aria-hidden="true" {
            line x1="10" y1="20" x2="610" y2="20" {}
            @for (number, x) in (1..).zip(&marks.steps) {
                circle cx=(x + 10) cy="20" r="5" {}
                // Neighbours alternate, so that their numbers do not lie upon each other.
                text x=(x + 10) y=(if number % 2 == 1 { 40 } else { 11 }) text-anchor="middle" { (number) }
            }
            @if let Some(x) = marks.now { path .now d={ "M" (x + 10) " 6v28" } {} }
        }
        ol .steps {
            @for steps in at_once {
                li .past[steps[0].at <= picture.now] {
                    (when::exact(steps[0].at)) ", " (when::ago(steps[0].at, context.now)) ": "
                    (shown(&enroll_picture::event::joined(steps)))
                }
            }
        }
    }
}

/// Places on the line of time.
#[derive(Debug, PartialEq, Eq)]
struct Marks {
    /// Of each time at which something happens, in their order.
    steps: Vec<i64>,
    /// Of now; `None` where it is before the first or after the last.
    now: Option<i64>,
}

/// The places of steps that are in order.
fn marks(steps: &[Step], now: i64) -> Marks {
    let mut times: Vec<i64> = steps.iter().map(|step| step.at.micros()).collect();
    times.dedup();
    let (first, last) = (times.first().copied().unwrap_or(0), times.last().copied().unwrap_or(0));
    let all = i128::from(last) - i128::from(first);
    let place = |at: i64| i64::try_from((i128::from(at) - i128::from(first)) * i128::from(LINE) / all.max(1));
    let place = |at| place(at).unwrap_or(0);
    Marks { steps: times.iter().map(|at| place(*at)).collect(), now: (first..=last).contains(&now).then(|| place(now)) }
}

#[cfg(test)]
mod tests {
    use enroll_protocol::Time;

    use super::*;

    #[test]
    fn seats_are_drawn_one_by_one_and_their_words_say_the_same() {
        let three = Row { name: "<b>".to_owned(), taken: 3, of: Some(5), text: "3 of 5, for member".to_owned() };
        let drawn = row(&three, 1).into_string();
        for (part, count) in [("seat-taken", 2), ("seat-pending", 1), ("seat-free", 2), ("&lt;b&gt;", 1), ("style", 0)]
        {
            assert_eq!(drawn.matches(part).count(), count, "{part}: {drawn}");
        }
        assert!(drawn.contains("3 of 5, for member") && drawn.contains("; 1 pending"));
        let many = Row { taken: 5000, of: Some(9000), ..three };
        let drawn = row(&many, 0).into_string();
        assert_eq!(drawn.matches("<rect").count(), SEATS_MAX as usize);
        assert!(drawn.contains("and 8880 more"), "{drawn}");
    }

    #[test]
    fn steps_lie_on_the_line_in_proportion() {
        let step = |seconds| Step { at: Time::EPOCH.plus_seconds(seconds), what: "x".to_owned() };
        let steps = [step(100), step(150), step(150), step(200)];
        assert_eq!(marks(&steps, 175_000_000), Marks { steps: vec![0, 300, 600], now: Some(450) });
        assert_eq!(marks(&steps, 0), Marks { steps: vec![0, 300, 600], now: None });
        assert_eq!(marks(&steps[..1], 0).steps, [0]);
    }
}
