//! The view: a state as a frame. Nothing is remembered here, and nothing is told by a colour alone.
//!
//! The first two lines tell whose figures these are and whether they are live, the last one the keys. What has no room
//! is counted, not dropped without a word.

mod figures;
mod registry;
mod text;

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

use self::text::{clock, is_right_to_left, length};
use super::state::{Look, State, View};

/// A screen that is narrower has one column.
const WIDE: u16 = 60;

/// An overview that is less tall has no lines of the writer and the journal, and one that is narrow, too, no
/// enrollments.
const TALL: u16 = 14;

/// The characters that keep the direction of a text to itself.
const ISOLATE: [char; 2] = ['\u{2068}', '\u{2069}'];

const KEYS: [&str; 11] = [
    "1 2 3 4       overview, operations, refusals, registry",
    "tab, arrows   next and previous view",
    "up, down      scroll the operations and refusals",
    "s             sort by calls, p99, refusals, total, name",
    "/             filter names; enter keeps, escape clears it",
    "p, space      pause: keep what is shown",
    "ctrl-z        stop; fg goes on",
    "q, ctrl-c     quit",
    "",
    "calls/s, p50 and p99 are of the time since the snapshot",
    "before; asking for snapshots is a call, too.",
];

/// A list under a heading.
struct Block {
    heading: String,
    lines: Vec<Line<'static>>,
}

/// Draws the state.
pub(crate) fn draw(state: &State, frame: &mut Frame<'_>) {
    let area = frame.area();
    let buffer = frame.buffer_mut();
    let width = usize::from(area.width);
    let rest = put(buffer, area, &[header(state, width), status(state, width)]);
    let [body, last] = split_last_line(rest);
    if state.has_help {
        put(buffer, body, &KEYS.map(|line| Line::raw(state.look.cut(line, width))));
    } else {
        draw_body(state, buffer, body);
    }
    put(buffer, last, &[footer(state, width)]);
}

fn draw_body(state: &State, buffer: &mut Buffer, area: Rect) {
    let width = usize::from(area.width);
    match state.view {
        View::Overview => {
            let mut lines = figures::lines(state, width);
            if area.height < TALL {
                lines.truncate(figures::SPARKLINES);
            }
            let rest = put(buffer, area, &lines);
            draw_overview(state, buffer, rest);
        }
        View::Operations => stack(state, buffer, area, vec![scrolled(state, figures::operations(state, width, true))]),
        View::Refusals => {
            let [left, right] = columns(area, 55);
            let refusals = scrolled(state, figures::refusals(state, left.width.into()));
            stack(state, buffer, left, vec![refusals]);
            stack(state, buffer, right, vec![figures::connections(state, right.width.into())]);
        }
        View::Registry => {
            let enrollments = registry::enrollments(state, width, true);
            let pools = registry::pools(state, width, true);
            stack(state, buffer, area, vec![enrollments, pools, registry::events(state, width, true)]);
        }
    }
}

/// Operations, refusals and connections above, and the registry below; on a narrow screen one below the other.
fn draw_overview(state: &State, buffer: &mut Buffer, area: Rect) {
    if area.width < WIDE {
        let width = usize::from(area.width);
        let mut blocks = vec![figures::operations(state, width, false)];
        if area.height >= TALL - 5 {
            blocks.push(registry::enrollments(state, width, false));
        }
        return stack(state, buffer, area, blocks);
    }
    let upper = Rect { height: area.height / 2, ..area };
    let lower = Rect { y: area.y + upper.height, height: area.height - upper.height, ..area };
    let [left, right] = columns(upper, 57);
    stack(state, buffer, left, vec![figures::operations(state, left.width.into(), false)]);
    let right_width = usize::from(right.width);
    let blocks = vec![figures::refusals(state, right_width), figures::connections(state, right_width)];
    stack(state, buffer, right, blocks);
    let [left, right] = columns(lower, 43);
    let left_width = usize::from(left.width);
    let blocks = vec![registry::enrollments(state, left_width, false), registry::pools(state, left_width, false)];
    stack(state, buffer, left, blocks);
    stack(state, buffer, right, vec![registry::events(state, right.width.into(), false)]);
}

/// The daemon, and how it does.
fn header(state: &State, width: usize) -> Line<'static> {
    let shown = &state.shown;
    let up = length(shown.uptime_micros / 1_000_000);
    let warnings = match shown.warnings {
        0 => String::new(),
        1 => "  1 WARNING: server status".to_owned(),
        count => format!("  {count} WARNINGS: server status"),
    };
    let (version, at) = (state.look.told(&shown.version), clock(shown.at));
    let text = format!("enrolld {version}  up {up}{warnings}  {at} UTC");
    Line::styled(state.look.cut(&text, width), bold())
}

/// The views, or why what is shown is not live.
fn status(state: &State, width: usize) -> Line<'static> {
    let look = state.look;
    if let Some(away) = &state.away {
        let text = format!("DAEMON AWAY since {} UTC: {}", clock(away.since), look.told(&away.why));
        return Line::styled(look.cut(&text, width), alarm(look).add_modifier(Modifier::REVERSED));
    }
    let mut notes = Vec::new();
    notes.extend(state.is_paused.then(|| "PAUSED".to_owned()));
    notes.extend(state.is_over.then(|| "END OF THE RECORDING".to_owned()));
    notes.extend(state.rates.is_since_start.then(|| "averages since the start".to_owned()));
    notes.extend((!state.filter.is_empty()).then(|| format!("only \"{}\"", look.told(&state.filter))));
    let tab = |(at, view): (usize, View)| match view == state.view {
        true => format!("[{} {}]", at + 1, view.name()),
        false if width < usize::from(WIDE) => String::new(),
        false => format!(" {} {} ", at + 1, view.name()),
    };
    let tabs: String = View::ALL.into_iter().enumerate().map(|(at, view)| tab((at, view))).collect();
    Line::raw(look.cut(&format!("{tabs}  {}", notes.join(", ")), width))
}

/// The filter that is typed, or the keys.
fn footer(state: &State, width: usize) -> Line<'static> {
    let text = if state.is_typing {
        format!("filter: {}_  (enter keeps, escape clears)", state.look.told(&state.filter))
    } else {
        format!("? keys  q quit  tab view  s sort: {}  / filter  p pause", state.sort.name())
    };
    Line::styled(state.look.cut(&text, width), dim())
}

/// Puts blocks one below the other. Each may have an equal share of the height; what some leave, others take.
fn stack(state: &State, buffer: &mut Buffer, area: Rect, blocks: Vec<Block>) {
    let wanted: Vec<usize> = blocks.iter().map(|block| block.lines.len() + 1).collect();
    let share = usize::from(area.height) / blocks.len().max(1);
    let mut heights: Vec<usize> = wanted.iter().map(|wanted| share.min(*wanted)).collect();
    let mut left = usize::from(area.height) - heights.iter().sum::<usize>();
    for (height, wanted) in heights.iter_mut().zip(wanted) {
        let more = left.min(wanted - *height);
        *height += more;
        left -= more;
    }
    let mut rest = area;
    for (block, height) in blocks.into_iter().zip(heights) {
        rest = put(buffer, rest, &block.fitted(state.look, height, usize::from(area.width)));
    }
}

impl Block {
    /// Its heading and lines in so many lines; those that have no room are counted.
    fn fitted(self, look: Look, height: usize, width: usize) -> Vec<Line<'static>> {
        let mut lines = self.lines;
        let room = height.saturating_sub(1);
        if lines.len() > room && room > 0 {
            let more = lines.split_off(room - 1).len();
            lines.push(Line::styled(look.cut(&format!("and {more} more"), width), dim()));
        }
        let rule = if look.ascii { "-" } else { "─" };
        let heading = look.cut(&format!("{0}{0} {1} ", rule, self.heading), width);
        let ruled = heading.clone() + &rule.repeat(width.saturating_sub(text::columns(&heading)));
        let mut fitted = vec![Line::styled(ruled, bold())];
        fitted.extend(lines.into_iter().take(room));
        fitted.truncate(height);
        fitted
    }
}

/// A block without the lines that it is scrolled by; the first, which names its columns, stays.
fn scrolled(state: &State, mut block: Block) -> Block {
    let away = state.scroll.min(block.lines.len().saturating_sub(2));
    block.lines.drain(1.min(block.lines.len())..(1 + away).min(block.lines.len()));
    block
}

/// Puts lines at the top of an area; the rest of it.
fn put(buffer: &mut Buffer, area: Rect, lines: &[Line<'_>]) -> Rect {
    let area = area.intersection(buffer.area);
    for (y, line) in (area.top()..area.bottom()).zip(lines) {
        let mut x = area.left();
        for span in &line.spans {
            let from = x;
            let styled = Span::styled(span.content.clone(), line.style.patch(span.style));
            x = buffer.set_span(x, y, &styled, area.right().saturating_sub(x)).0;
            if is_right_to_left(&span.content) && x > from {
                isolate(buffer, (from, x - 1), y);
            }
        }
    }
    let taken = u16::try_from(lines.len()).unwrap_or(u16::MAX).min(area.height);
    Rect { y: area.y + taken, height: area.height - taken, ..area }
}

/// Keeps the direction of the text in these columns from those beside it.
fn isolate(buffer: &mut Buffer, (first, last): (u16, u16), y: u16) {
    let begun = format!("{}{}", ISOLATE[0], buffer[(first, y)].symbol());
    buffer[(first, y)].set_symbol(&begun);
    let ended = format!("{}{}", buffer[(last, y)].symbol(), ISOLATE[1]);
    buffer[(last, y)].set_symbol(&ended);
}

fn split_last_line(area: Rect) -> [Rect; 2] {
    let height = area.height.min(1);
    let body = Rect { height: area.height - height, ..area };
    [body, Rect { y: area.y + body.height, height, ..area }]
}

/// Two columns with a gap, the left one of so many percent.
fn columns(area: Rect, percent: u32) -> [Rect; 2] {
    let left = u16::try_from(u32::from(area.width) * percent / 100).unwrap_or(area.width);
    let gap = 2.min(area.width - left);
    [Rect { width: left, ..area }, Rect { x: area.x + left + gap, width: area.width - left - gap, ..area }]
}

fn bold() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

fn dim() -> Style {
    Style::new().add_modifier(Modifier::DIM)
}

/// The style of what somebody should see to; a word says so, too.
fn alarm(look: Look) -> Style {
    if look.colors { bold().fg(Color::Red) } else { bold() }
}

#[cfg(test)]
mod tests;
