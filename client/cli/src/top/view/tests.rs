//! Views as a test terminal shows them, on screens of several sizes.

mod picture;

use enroll_client::protocol::server::{
    ConnectionFigures, DaemonSnapshot, EventPlaces, EventPoolPlaces, FullestPools, Journal, NextEvents,
    OperationFigures, PoolUses, RefusalCount, UidConnections, Waiting, WaitingEnrollment, WriterFigures,
};
use enroll_client::protocol::{Pk, Time};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::{Color, Modifier};

use super::*;
use crate::top::keys::Key;

const SIZES: [(u16, u16); 5] = [(80, 24), (40, 12), (200, 60), (20, 5), (3, 2)];

/// 03:04:05 on a day.
const AT: u64 = 20_000 * 86_400 + 3 * 3_600 + 4 * 60 + 5;

fn time(seconds: u64) -> Time {
    Time::EPOCH.plus_seconds(seconds)
}

fn pk(byte: u8) -> Pk {
    Pk::from_bytes([byte; 16])
}

fn operation(name: &str, done: u64, refused: u64) -> OperationFigures {
    let durations = vec![done - done / 9, done / 9, refused];
    OperationFigures { operation: name.to_owned(), done, refused, durations, ..OperationFigures::default() }
}

fn event(title: &str, hours: u64, pools: &[(&str, u32, u32, u32)]) -> EventPlaces {
    let pools = pools.iter().map(|(name, capacity, places_taken, waiting_count)| EventPoolPlaces {
        name: name.parse().expect("a name"),
        capacity: *capacity,
        places_taken: *places_taken,
        waiting_count: *waiting_count,
    });
    let pools: Vec<_> = pools.collect();
    EventPlaces {
        pk: pk(9),
        title: title.parse().expect("a title"),
        start: time(AT + hours * 3_600),
        max_participants: None,
        places_taken: pools.iter().map(|pool| pool.places_taken).sum(),
        waiting_count: pools.iter().map(|pool| pool.waiting_count).sum(),
        pools,
    }
}

fn pool(owner: &str, uses: u32, max_uses: u32) -> PoolUses {
    PoolUses { pk: pk(8), owner: owner.parse().expect("a callsign"), uses, max_uses, expires: None }
}

fn enrollment(callsign: &str, age_seconds: u64) -> WaitingEnrollment {
    let callsign = callsign.parse().expect("a callsign");
    WaitingEnrollment { pk: pk(7), callsign, pool: None, created: time(AT - age_seconds) }
}

/// A busy daemon after so many seconds.
fn snapshot(seconds: u64) -> DaemonSnapshot {
    DaemonSnapshot {
        at: time(AT + seconds),
        version: "0.1.0".to_owned(),
        uptime_micros: (266_000 + seconds) * 1_000_000,
        duration_bounds_micros: vec![100, 5_000],
        batch_bounds: vec![1],
        operations: vec![
            operation("code.use", 40 * seconds, 2 * seconds),
            operation("enrollment.create", 3 * seconds, 0),
            operation("person.get", 900 * seconds, 0),
            operation("server.snapshot", seconds, 0),
        ],
        refusals: vec![
            RefusalCount { code: "expired".to_owned(), count: 3 },
            RefusalCount { code: "token_reuse".to_owned(), count: 2 * seconds },
        ],
        connections: ConnectionFigures {
            open: 12,
            refused: 1,
            by_uid: vec![
                UidConnections { uid: Some(33), connections: 11 },
                UidConnections { uid: Some(0), connections: 1 },
            ],
            ..ConnectionFigures::default()
        },
        writer: WriterFigures {
            queue: 2,
            batches: vec![0, 20 * seconds],
            batched: 43 * seconds,
            commits: vec![0, 20 * seconds, 0],
            ..WriterFigures::default()
        },
        journal: Some(Journal {
            bytes: 128 << 20,
            memtable_bytes: 9 << 20,
            flush_micros: 30_000 * seconds,
            flushed_keys: 80 * seconds,
            ..Journal::default()
        }),
        warnings: 1,
        waiting: Waiting { enrollments: 17, more: false, oldest: None },
        oldest_enrollments: Some(vec![
            enrollment("DOGGO01a", 90_000),
            enrollment("CAT02b", 7_300),
            enrollment("PORA03c", 40),
        ]),
        fullest_pools: Some(FullestPools {
            pools: vec![pool("BOSS", 40, 40), pool("MODERATOR", 19, 25)],
            complete_since: Some(time(AT)),
            looked_at: 0,
        }),
        next_events: Some(NextEvents {
            events: vec![
                event("Summer camp", 30, &[("members", 40, 40, 3), ("guests", 10, 2, 0)]),
                event("Lecture", 2, &[("all", 0, 7, 0)]),
            ],
            more: false,
        }),
        ..DaemonSnapshot::default()
    }
}

fn busy() -> State {
    let mut state = State::default();
    state.users = [(33, "www-data".to_owned()), (0, "root".to_owned())].into();
    state.take(snapshot(1));
    state.take(snapshot(2));
    state.take(snapshot(3));
    state
}

fn buffer(state: &State, (width, height): (u16, u16)) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal");
    terminal.draw(|frame| draw(state, frame)).expect("drawn");
    terminal.backend().buffer().clone()
}

/// The lines of the screen.
fn screen(state: &State, (width, height): (u16, u16)) -> String {
    let buffer = buffer(state, (width, height));
    let cell = |x, y| buffer[(x, y)].symbol();
    let line = |y| (0..width).map(|x| cell(x, y)).collect::<String>().trim_end().to_owned() + "\n";
    (0..height).map(line).collect()
}

#[test]
fn the_overview_on_a_usual_screen() {
    let expected = "\
enrolld 0.1.0  up 3 d  1 WARNING: server status  03:04:08 UTC
[1 overview] 2 operations  3 refusals  4 registry
calls/s      946                                                             ▁██
p50 ms      0.06                                                             ███
p99 ms      4.66                                                             ███
commits/s 20.0  p50 2.55 p99 4.95 ms  batch 2.1  queue 2
journal 128 MiB  memory 9 MiB  flusher 3 % busy  held back 0 %  keys/s 80.0
── Operations by calls ──────────────────────  ── Refusals by code ─────────────
operation             calls/s  p50 ms  p99 ms  code                per s   total
person.get                900    0.06    4.56  token_reuse           2.0       6
code.use                 42.0    0.06   >5.00  expired                 0       3
enrollment.create         3.0    0.07    4.85  ── Connections: 12 open, 1 refus…
server.snapshot           1.0    0.05    0.10  www-data                       11
                                               root                            1

── Waiting enrollments: 17 ───────  ── Next events ─────────────────────────────
DOGGO01a                       1 d  in 1 d Summer camp  ██████░░   42/50  3 wait
CAT02b                         2 h  in 1 h Lecture                     7
PORA03c                       43 s
── Fullest pools ─────────────────
BOSS       ████████   40/40   full
MODERATOR  ██████░░   19/25

? keys  q quit  tab view  s sort: calls  / filter  p pause
";
    let shown = screen(&busy(), (80, 24));
    assert_eq!(shown, expected, "\n{shown}");
}

#[test]
fn the_overview_on_a_small_screen() {
    let expected = "\
enrolld 0.1.0  up 3 d  1 WARNING: serve…
[1 overview]
calls/s      946                     ▁██
p50 ms      0.06                     ███
p99 ms      4.66                     ███
── Operations by calls ─────────────────
operation        calls/s  p50 ms  p99 ms
person.get           900    0.06    4.56
code.use            42.0    0.06   >5.00
enrollment.crea…     3.0    0.07    4.85
server.snapshot      1.0    0.05    0.10
? keys  q quit  tab view  s sort: calls…
";
    let shown = screen(&busy(), (40, 12));
    assert_eq!(shown, expected, "\n{shown}");
}

#[test]
fn the_registry_has_pks_and_the_pools_of_events() {
    let mut state = busy();
    state.press(Key::Char('4'));
    let expected = "\
enrolld 0.1.0  up 3 d  1 WARNING: server status  03:04:08 UTC
 1 overview  2 operations  3 refusals [4 registry]
── Waiting enrollments: 17 ─────────────────────────────────────────────────────
DOGGO01a                             07070707-0707-0707-0707-070707070707    1 d
CAT02b                               07070707-0707-0707-0707-070707070707    2 h
PORA03c                              07070707-0707-0707-0707-070707070707   43 s
── Fullest pools ───────────────────────────────────────────────────────────────
BOSS                08080808-0808-0808-0808-080808080808 ████████   40/40   full
MODERATOR           08080808-0808-0808-0808-080808080808 ██████░░   19/25
── Next events ─────────────────────────────────────────────────────────────────
in 1 d Summer camp                                      ██████░░   42/50  3 wait
       members                                          ████████   40/40  3 wait
       guests                                           █░░░░░░░    2/10
in 1 h Lecture                                                         7
       all                                                             7








? keys  q quit  tab view  s sort: calls  / filter  p pause
";
    let shown = screen(&state, (80, 24));
    assert_eq!(shown, expected, "\n{shown}");
}

#[test]
fn ascii_is_ascii() {
    let mut state = busy();
    state.look.ascii = true;
    state.shown.next_events = Some(NextEvents { events: vec![event("Fête", 1, &[])], more: true });
    for view in ['1', '2', '3', '4', '?'] {
        state.press(Key::Char(view));
        for size in SIZES {
            let shown = screen(&state, size);
            assert!(shown.is_ascii(), "{shown}");
        }
    }
}

#[test]
fn colors_are_only_where_they_are_wanted() {
    let mut state = busy();
    for colors in [false, true] {
        state.look.colors = colors;
        state.lose(time(AT), "gone".to_owned());
        let buffer = buffer(&state, (80, 24));
        let has_color = buffer.content.iter().any(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset);
        assert_eq!(has_color, colors);
        assert!(buffer[(0, 1)].modifier.contains(Modifier::REVERSED));
    }
}

#[test]
fn a_daemon_that_is_away_is_told_with_the_last_figures() {
    let mut state = busy();
    state.lose(time(AT + 60), "no daemon \u{1b}[2J answers".to_owned());
    for size in SIZES.into_iter().filter(|(width, _)| *width >= 40) {
        let shown = screen(&state, size);
        let second = shown.lines().nth(1).unwrap_or_default();
        assert!(second.starts_with("DAEMON AWAY since 03:05:05 UTC: no"), "{shown}");
        assert!(shown.contains("person.get") && !shown.contains('\u{1b}'), "{shown}");
    }
}

#[test]
fn an_empty_registry_and_a_peer_without_the_grant_are_shown() {
    let mut state = State::default();
    for view in ['1', '2', '3', '4'] {
        state.press(Key::Char(view));
        for size in SIZES {
            screen(&state, size);
        }
    }
    state.take(DaemonSnapshot {
        oldest_enrollments: Some(vec![]),
        fullest_pools: Some(FullestPools { complete_since: None, looked_at: 1_024, pools: vec![] }),
        next_events: Some(NextEvents::default()),
        ..DaemonSnapshot::default()
    });
    let shown = screen(&state, (80, 24));
    assert!(shown.contains("Fullest pools: of 1024 so far") && !shown.contains("not shown"), "{shown}");
    state.take(DaemonSnapshot::default());
    let shown = screen(&state, (80, 24));
    assert_eq!(shown.matches("not shown: this needs the").count(), 3, "{shown}");
}

#[test]
fn what_has_no_room_is_counted_and_scrolled_to() {
    let mut state = State::default();
    let all = (0..90).map(|at| operation(&format!("area{at:02}.verb"), 1_000 - at, 0)).collect();
    state.take(DaemonSnapshot { operations: all, ..snapshot(1) });
    state.press(Key::Char('2'));
    for size in SIZES.into_iter().filter(|(width, _)| *width >= 40) {
        let shown = screen(&state, size);
        let lines: Vec<&str> = shown.lines().collect();
        let rows = lines.iter().filter(|line| line.starts_with("area")).count();
        let more = format!("and {} more", 90 - rows);
        assert!(lines.iter().any(|line| *line == more), "{more}\n{shown}");
        assert!(lines[lines.len() - 1].starts_with("? keys  q quit"), "{shown}");
    }
    for _ in 0..100 {
        state.press(Key::PageDown);
    }
    let shown = screen(&state, (80, 24));
    assert!(shown.contains("area89.verb") && shown.contains("operation  "), "{shown}");
}

#[test]
fn text_of_people_moves_nothing_beside_it() {
    let mut state = busy();
    let title = "\u{5e9}\u{5dc}\u{5d5}\u{5dd} \u{202e}x";
    state.shown.next_events = Some(NextEvents { events: vec![event("Camp", 1, &[])], more: false });
    // The daemon refuses such titles; another one might not.
    let told = state.look.told(title);
    assert!(!told.contains('\u{202e}'), "{told:?}");
    let title = "\u{5e9}\u{5dc}\u{5d5}\u{5dd}";
    state.shown.next_events = Some(NextEvents { events: vec![event(title, 1, &[])], more: false });
    let shown = screen(&state, (80, 24));
    let isolated = shown.contains(&format!("\u{2068}{title}"));
    assert!(isolated && shown.matches('\u{2068}').count() == shown.matches('\u{2069}').count(), "{shown}");
}

#[test]
fn the_state_of_the_screen_is_told_in_words() {
    let mut state = busy();
    for key in ['p', '/', 'c', '"'] {
        state.press(Key::Char(key));
    }
    state.is_over = true;
    let shown = screen(&state, (100, 24));
    for expected in ["PAUSED, END OF THE RECORDING, only \"c\"\"", "filter: c\"_", "[1 overview]", "1 WARNING"] {
        assert!(shown.contains(expected), "{expected}\n{shown}");
    }
    let mut state = State::default();
    state.take(snapshot(1));
    state.press(Key::Char('?'));
    let shown = screen(&state, (80, 24));
    assert!(shown.contains("averages since the start") && shown.contains("ctrl-z"), "{shown}");
}
