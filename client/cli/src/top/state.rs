//! The state of the screen: the latest snapshot, what happened before it, and what its user chose. It knows no terminal
//! and no connection.

use std::cmp::Ordering;
use std::collections::{BTreeMap, VecDeque};

use enroll_client::protocol::Time;
use enroll_client::protocol::server::DaemonSnapshot;

use super::keys::Key;
use super::rates::{Calls, Percentile, Rates, Refusals};

/// Values that a sparkline can go back to.
const HISTORY: usize = 512;

/// A filter of more characters is not read.
const FILTER_MAX: usize = 64;

/// A view of the screen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum View {
    /// Something of everything.
    #[default]
    Overview,
    /// Every operation.
    Operations,
    /// Refusals and connections.
    Refusals,
    /// Enrollments, pools and events.
    Registry,
}

/// An order of operations and refusals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Sort {
    /// Most calls in the period first.
    #[default]
    Calls,
    /// The slowest first, by p99.
    Slowest,
    /// Most refusals in the period first.
    Refused,
    /// Most calls since the start first.
    Total,
    /// By name.
    Name,
}

/// The end of the connection to the daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Away {
    /// The time since when it is so.
    pub(crate) since: Time,
    /// The reason.
    pub(crate) why: String,
}

/// The look of the screen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Look {
    /// Colours, beside words and weights.
    pub(crate) colors: bool,
    /// ASCII alone.
    pub(crate) ascii: bool,
}

/// An action of the user that is no change of the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// The end.
    Quit,
    /// The end, by the key of an interrupt.
    Interrupt,
    /// To be stopped, and continued later.
    Suspend,
}

/// The state.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) look: Look,
    pub(crate) shown: DaemonSnapshot,
    pub(crate) rates: Rates,
    latest: Option<DaemonSnapshot>,
    pub(crate) calls: VecDeque<f64>,
    pub(crate) p50: VecDeque<f64>,
    pub(crate) p99: VecDeque<f64>,
    pub(crate) away: Option<Away>,
    pub(crate) view: View,
    pub(crate) sort: Sort,
    pub(crate) is_paused: bool,
    /// True at the end of a recording.
    pub(crate) is_over: bool,
    pub(crate) has_help: bool,
    pub(crate) filter: String,
    /// True while the filter is typed.
    pub(crate) is_typing: bool,
    /// Lines that the lists of a view are scrolled by.
    pub(crate) scroll: usize,
    /// The names of uids.
    pub(crate) users: BTreeMap<u32, String>,
}

impl State {
    /// The state before the first snapshot.
    pub(crate) fn new(look: Look) -> Self {
        Self { look, ..Self::default() }
    }

    /// Takes a snapshot. While it pauses, the screen keeps the one that it shows.
    pub(crate) fn take(&mut self, snapshot: DaemonSnapshot) {
        self.away = None;
        if !self.is_paused {
            self.rates = Rates::between(self.latest.as_ref(), &snapshot);
            let micros = |percentile: Option<Percentile>| percentile.map_or(0.0, |percentile| percentile.micros);
            for (history, value) in [
                (&mut self.calls, self.rates.calls.per_second),
                (&mut self.p50, micros(self.rates.calls.p50)),
                (&mut self.p99, micros(self.rates.calls.p99)),
            ] {
                history.push_back(value);
                if history.len() > HISTORY {
                    history.pop_front();
                }
            }
            self.shown = snapshot.clone();
        }
        self.latest = Some(snapshot);
    }

    /// Notes that the daemon does not answer, since the first time that it did not.
    pub(crate) fn lose(&mut self, now: Time, why: String) {
        let since = self.away.as_ref().map_or(now, |away| away.since);
        self.away = Some(Away { since, why });
    }

    /// Takes a key.
    pub(crate) fn press(&mut self, key: Key) -> Option<Wish> {
        match key {
            Key::Char('\u{3}') => return Some(Wish::Interrupt),
            Key::Char('\u{1a}') => return Some(Wish::Suspend),
            key if self.is_typing => self.type_filter(key),
            Key::Char('q' | 'Q') if !self.has_help => return Some(Wish::Quit),
            _ if self.has_help => self.has_help = false,
            Key::Char('?' | 'h') => self.has_help = true,
            Key::Char('p' | ' ') => self.is_paused = !self.is_paused,
            Key::Char('/') => self.is_typing = true,
            Key::Escape => self.filter.clear(),
            Key::Char('s') => self.sort = self.sort.next(),
            Key::Char('\t') | Key::Right => self.show(self.view.next()),
            Key::BackTab | Key::Left => self.show(self.view.previous()),
            Key::Char(digit @ '1'..='4') => {
                let at = usize::from(u8::try_from(digit).unwrap_or(b'1') - b'1');
                self.show(View::ALL[at]);
            }
            Key::Up | Key::Char('k') => self.scroll = self.scroll.saturating_sub(1),
            Key::Down | Key::Char('j') => self.scroll_by(1),
            Key::PageUp => self.scroll = self.scroll.saturating_sub(10),
            Key::PageDown => self.scroll_by(10),
            Key::Char(_) => {}
        }
        None
    }

    /// The operations that the filter lets through, in the chosen order.
    pub(crate) fn operations(&self) -> Vec<&(String, Calls)> {
        let mut rows: Vec<_> = self.rates.operations.iter().filter(|(name, _)| self.passes(name)).collect();
        rows.sort_by(|(left_name, left), (right_name, right)| {
            let by = self.sort;
            by.order(right).partial_cmp(&by.order(left)).unwrap_or(Ordering::Equal).then(left_name.cmp(right_name))
        });
        rows
    }

    /// The refusals that the filter lets through, in the chosen order.
    pub(crate) fn refusals(&self) -> Vec<&Refusals> {
        let mut rows: Vec<_> = self.rates.refusals.iter().filter(|row| self.passes(&row.code)).collect();
        let order = |row: &Refusals| match self.sort {
            Sort::Name => (0.0, 0),
            Sort::Total => (0.0, row.total),
            Sort::Calls | Sort::Slowest | Sort::Refused => (row.per_second, row.total),
        };
        rows.sort_by(|left, right| {
            order(right).partial_cmp(&order(left)).unwrap_or(Ordering::Equal).then(left.code.cmp(&right.code))
        });
        rows
    }

    /// True if the filter is somewhere in the text, whatever the case.
    pub(crate) fn passes(&self, text: &str) -> bool {
        self.filter.is_empty() || text.to_lowercase().contains(&self.filter.to_lowercase())
    }

    /// The name of a uid.
    pub(crate) fn user(&self, uid: Option<u32>) -> String {
        match uid {
            None => "others".to_owned(),
            Some(uid) => self.users.get(&uid).cloned().unwrap_or_else(|| uid.to_string()),
        }
    }

    fn show(&mut self, view: View) {
        (self.view, self.scroll) = (view, 0);
    }

    /// Scrolls down; not past the longest list, that of the operations.
    fn scroll_by(&mut self, lines: usize) {
        let last = self.rates.operations.len().max(self.rates.refusals.len()).saturating_sub(1);
        self.scroll = (self.scroll + lines).min(last);
    }

    fn type_filter(&mut self, key: Key) {
        self.scroll = 0;
        match key {
            Key::Char('\r' | '\n') => self.is_typing = false,
            Key::Escape => {
                self.filter.clear();
                self.is_typing = false;
            }
            Key::Char('\u{7f}' | '\u{8}') => drop(self.filter.pop()),
            Key::Char(c) if !c.is_control() && self.filter.chars().count() < FILTER_MAX => self.filter.push(c),
            _ => {}
        }
    }
}

impl View {
    /// All, in the order of their keys.
    pub(crate) const ALL: [Self; 4] = [Self::Overview, Self::Operations, Self::Refusals, Self::Registry];

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Overview => "overview",
            Self::Operations => "operations",
            Self::Refusals => "refusals",
            Self::Registry => "registry",
        }
    }

    fn next(self) -> Self {
        Self::ALL[(self as usize + 1) % Self::ALL.len()]
    }

    fn previous(self) -> Self {
        Self::ALL[(self as usize + Self::ALL.len() - 1) % Self::ALL.len()]
    }
}

impl Sort {
    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Slowest => "p99",
            Self::Refused => "refused",
            Self::Total => "total",
            Self::Name => "name",
        }
    }

    fn next(self) -> Self {
        match self {
            Self::Calls => Self::Slowest,
            Self::Slowest => Self::Refused,
            Self::Refused => Self::Total,
            Self::Total => Self::Name,
            Self::Name => Self::Calls,
        }
    }

    /// The value by which it orders, and the one that decides between equal ones; the largest is first.
    fn order(self, calls: &Calls) -> (f64, u64) {
        let total = calls.outcomes.iter().sum();
        match self {
            Self::Calls => (calls.per_second, total),
            Self::Slowest => (calls.p99.map_or(-1.0, |p99| p99.micros), total),
            Self::Refused => (calls.refused_per_second, calls.outcomes[1]),
            Self::Total => (0.0, total),
            Self::Name => (0.0, 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use enroll_client::protocol::server::{OperationFigures, RefusalCount};

    use super::*;

    fn row(operation: &str, fast: u64, slow: u64, refused: u64) -> OperationFigures {
        let (operation, durations) = (operation.to_owned(), vec![fast, slow]);
        OperationFigures { operation, done: fast + slow - refused, refused, durations, ..OperationFigures::default() }
    }

    fn snapshot(uptime_seconds: u64, scale: u64) -> DaemonSnapshot {
        DaemonSnapshot {
            uptime_micros: uptime_seconds * 1_000_000,
            duration_bounds_micros: vec![100],
            operations: vec![
                row("code.use", 7 * scale, 0, 3 * scale),
                row("person.get", 9 * scale, 0, 0),
                row("token.use", 100, scale, 0),
            ],
            refusals: vec![
                RefusalCount { code: "not_found".to_owned(), count: scale },
                RefusalCount { code: "token_reuse".to_owned(), count: 3 * scale },
            ],
            ..DaemonSnapshot::default()
        }
    }

    fn names(state: &State) -> Vec<&str> {
        state.operations().iter().map(|(name, _)| name.as_str()).collect()
    }

    fn type_text(state: &mut State, text: &str) {
        text.chars().for_each(|c| assert_eq!(state.press(Key::Char(c)), None));
    }

    #[test]
    fn operations_are_sorted_as_the_user_chose() {
        let mut state = State::default();
        state.take(snapshot(1, 0));
        state.take(snapshot(2, 10));
        for (sort, expected) in [
            (Sort::Calls, ["person.get", "code.use", "token.use"]),
            (Sort::Slowest, ["token.use", "person.get", "code.use"]),
            (Sort::Refused, ["code.use", "person.get", "token.use"]),
            (Sort::Total, ["token.use", "person.get", "code.use"]),
            (Sort::Name, ["code.use", "person.get", "token.use"]),
        ] {
            assert_eq!((state.sort, names(&state)), (sort, expected.to_vec()));
            type_text(&mut state, "s");
        }
        assert_eq!(state.sort, Sort::Calls);
        let codes: Vec<&str> = state.refusals().iter().map(|row| row.code.as_str()).collect();
        assert_eq!(codes, ["token_reuse", "not_found"]);
    }

    #[test]
    fn a_filter_is_typed_kept_and_cleared() {
        let mut state = State::default();
        state.take(snapshot(1, 1));
        type_text(&mut state, "/USEq");
        assert_eq!((state.filter.as_str(), names(&state)), ("USEq", vec![]));
        type_text(&mut state, "\u{7f}\r");
        assert_eq!((state.is_typing, names(&state)), (false, vec!["token.use", "code.use"]));
        assert_eq!(state.press(Key::Escape), None);
        assert_eq!(names(&state).len(), 3);
        type_text(&mut state, "/");
        type_text(&mut state, &"x".repeat(100));
        assert_eq!(state.filter.len(), FILTER_MAX);
    }

    #[test]
    fn a_pause_keeps_what_is_shown() {
        let mut state = State::default();
        state.take(snapshot(1, 1));
        state.take(snapshot(2, 2));
        let rates = state.rates.clone();
        type_text(&mut state, "p");
        state.take(snapshot(10, 50));
        assert_eq!((&state.rates, state.shown.uptime_micros, state.calls.len()), (&rates, 2_000_000, 2));
        type_text(&mut state, " ");
        // The rate is of the last period, not of the pause.
        state.take(snapshot(11, 51));
        assert_eq!((state.rates.seconds, state.rates.calls.per_second), (1.0, 17.0));
    }

    #[test]
    fn an_outage_is_as_old_as_its_beginning() {
        let mut state = State::default();
        state.take(snapshot(1, 1));
        state.lose(Time::EPOCH, "gone".to_owned());
        state.lose(Time::EPOCH.plus_seconds(5), "still gone".to_owned());
        let away = Away { since: Time::EPOCH, why: "still gone".to_owned() };
        assert_eq!((state.away.as_ref(), state.shown.uptime_micros), (Some(&away), 1_000_000));
        state.take(snapshot(1, 1));
        assert_eq!(state.away, None);
    }

    #[test]
    fn keys_change_the_view_and_end_it() {
        let mut state = State::default();
        state.take(snapshot(1, 1));
        for (key, expected) in [
            (Key::Char('\t'), View::Operations),
            (Key::Char('4'), View::Registry),
            (Key::Right, View::Overview),
            (Key::BackTab, View::Registry),
        ] {
            assert_eq!((state.press(key), state.view), (None, expected));
        }
        for _ in 0..9 {
            state.press(Key::Down);
        }
        assert_eq!(state.scroll, 2);
        type_text(&mut state, "?");
        assert!(state.has_help);
        type_text(&mut state, "q");
        assert!(!state.has_help, "a key leaves the help");
        for (key, wish) in [('q', Wish::Quit), ('\u{3}', Wish::Interrupt), ('\u{1a}', Wish::Suspend)] {
            assert_eq!(state.press(Key::Char(key)), Some(wish));
        }
    }
}
