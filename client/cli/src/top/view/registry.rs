//! The ends of the registry that somebody watches: enrollments that wait, pools that are nearly full, and events.

use enroll_client::protocol::server::{EventPlaces, EventPoolPlaces};
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::text::{between, clock};
use super::{Block, alarm};
use crate::top::state::State;

/// In place of a list that the peer may not see.
const WITHHELD: &str = "not shown: this needs the grant read";

/// Columns of a pk.
const PK: usize = 36;

/// Columns of a bar, of the figures behind it, and of a time.
const BAR: usize = 8;
const FIGURES: usize = 8;
const TIME: usize = 7;

/// The oldest enrollments that wait for a decision; with pks where they are wanted and have room.
pub(super) fn enrollments(state: &State, width: usize, has_pks: bool) -> Block {
    let (look, shown) = (state.look, &state.shown);
    let more = if shown.waiting.more { "more than " } else { "" };
    let heading = format!("Waiting enrollments: {more}{}", shown.waiting.enrollments);
    let Some(oldest) = &shown.oldest_enrollments else { return withheld(heading) };
    let has_pks = has_pks && width >= PK + TIME + 20;
    let rows = oldest.iter().filter(|row| state.passes(row.callsign.as_str()));
    let lines = rows.map(|row| {
        let pk = if has_pks { format!("  {}", row.pk) } else { String::new() };
        let room = width.saturating_sub(TIME + pk.len());
        let callsign = look.left(&look.told(row.callsign.as_str()), room);
        Line::raw(callsign + &pk + &look.right(&between(row.created, shown.at), TIME))
    });
    Block { heading, lines: lines.collect() }
}

/// The fullest pools, likewise.
pub(super) fn pools(state: &State, width: usize, has_pks: bool) -> Block {
    let (look, shown) = (state.look, &state.shown);
    let heading = "Fullest pools".to_owned();
    let Some(fullest) = &shown.fullest_pools else { return withheld(heading) };
    let heading = match fullest.complete_since {
        None => format!("{heading}: of {} so far", fullest.looked_at),
        Some(since) if fullest.looked_at > 0 => format!("{heading}: looked for at {}", clock(since)),
        Some(_) => heading,
    };
    let has_pks = has_pks && width >= PK + BAR + FIGURES + TIME + 12;
    let rows = fullest.pools.iter().filter(|row| state.passes(row.owner.as_str()));
    let lines = rows.map(|row| {
        let is_full = row.uses >= row.max_uses;
        let pk = if has_pks { format!("  {}", row.pk) } else { String::new() };
        let full = if is_full { "full" } else { "" };
        let room = width.saturating_sub(BAR + FIGURES + TIME + 1 + pk.len());
        let owner = look.left(&look.told(row.owner.as_str()), room);
        let bar = look.bar(row.uses.into(), row.max_uses.into(), BAR);
        let uses = look.right(&format!("{}/{}", row.uses, row.max_uses), FIGURES);
        let text = format!("{pk} {bar}{uses}{}", look.right(full, TIME));
        let style = if is_full { alarm(look) } else { Style::new() };
        Line::from(vec![Span::raw(owner), Span::styled(text, style)])
    });
    Block { heading, lines: lines.collect() }
}

/// The next events with their places; with each of their pools where those are wanted.
pub(super) fn events(state: &State, width: usize, has_pools: bool) -> Block {
    let heading = "Next events".to_owned();
    let Some(next) = &state.shown.next_events else { return withheld(heading) };
    let mut lines = Vec::new();
    for event in next.events.iter().filter(|event| state.passes(event.title.as_str())) {
        let start = between(state.shown.at, event.start);
        let places = (event.places_taken, capacity(event), event.waiting_count);
        lines.push(line(state, width, &format!("in {start}"), event.title.as_str(), places));
        for EventPoolPlaces { name, capacity, places_taken, waiting_count } in event.pools.iter().filter(|_| has_pools)
        {
            let places = (*places_taken, (*capacity > 0).then_some(*capacity), *waiting_count);
            lines.push(line(state, width, "", name.as_str(), places));
        }
    }
    let heading = if next.more { format!("{heading}: the first {}", next.events.len()) } else { heading };
    Block { heading, lines }
}

/// A line with the places of an event or of a pool: those taken, all of them where there is an end, and who waits.
fn line(
    state: &State,
    width: usize,
    time: &str,
    name: &str,
    (taken, of, waiting): (u32, Option<u32>, u32),
) -> Line<'static> {
    let look = state.look;
    let room = width.saturating_sub(TIME + 1 + BAR + FIGURES + FIGURES);
    let bar = of.map_or_else(|| " ".repeat(BAR), |of| look.bar(taken.into(), of.into(), BAR));
    let places = of.map_or_else(|| taken.to_string(), |of| format!("{taken}/{of}"));
    let waits = if waiting > 0 { format!("{waiting} wait") } else { String::new() };
    let name = look.left(&look.told(name), room);
    let figures = format!(" {bar}{}{}", look.right(&places, FIGURES), look.right(&waits, FIGURES));
    Line::from(vec![Span::raw(look.left(time, TIME)), Span::raw(name), Span::raw(figures)])
}

/// The places of an event: those of its pools, and no more than the event itself has. None for any number.
fn capacity(event: &EventPlaces) -> Option<u32> {
    let is_bounded = !event.pools.is_empty() && event.pools.iter().all(|pool| pool.capacity > 0);
    let in_pools = is_bounded.then(|| event.pools.iter().fold(0, |sum: u32, pool| sum.saturating_add(pool.capacity)));
    [in_pools, event.max_participants].into_iter().flatten().min()
}

fn withheld(heading: String) -> Block {
    Block { heading, lines: vec![Line::raw(WITHHELD)] }
}
