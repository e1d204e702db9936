//! The picture of an event: its pools as rows of seats, its waiting list, and the times at which it changes by itself.

use enroll_protocol::Time;
use enroll_protocol::event::{Event, EventPool, TimeState};

/// An event, and what is shown beside its own fields.
#[derive(Debug, Clone)]
pub struct Picture {
    /// The event.
    pub event: Event,
    /// The owner's callsign.
    pub owner: String,
    /// The callsigns of the first of the waiting list, in its order; none if the caller may not see them.
    pub waiting: Vec<String>,
    /// The time for which it is drawn.
    pub now: Time,
}

/// A row of places: those of one pool, or of the event as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The name of the pool, or `all`.
    pub name: String,
    /// Places taken.
    pub taken: u32,
    /// Places there are; `None` for any number.
    pub of: Option<u32>,
    /// Places, roles and how many wait: `22 of 40, for member; 1 waits`.
    pub text: String,
}

/// A time at which the event changes by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The time.
    pub at: Time,
    /// The kind of moment, such as `registration closes`.
    pub what: String,
}

/// The seats of a row that are drawn one by one, and the number of those that are not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seats {
    /// Taken for good.
    pub taken: u32,
    /// Taken by somebody whose approval is pending.
    pub pending: u32,
    /// Free.
    pub free: u32,
    /// Seats that are there and not drawn.
    pub more: u32,
}

impl Picture {
    /// The event in a few words, such as `a draft`.
    pub fn state(&self) -> &'static str {
        match &self.event {
            event if event.canceled => "canceled",
            event if !event.published => "a draft",
            event if event.leisure => "open to everybody",
            event if event.time_state == TimeState::Past => "over",
            event if event.time_state == TimeState::Current => "going on",
            _ => "published",
        }
    }

    /// Title, kind and state: `Camp (camp, published)`.
    pub fn heading(&self) -> String {
        format!("{} ({}, {})", self.event.title, self.event.kind, self.state())
    }

    /// A row for each pool, in their order.
    pub fn pools(&self) -> impl Iterator<Item = Row> {
        self.event.pools.iter().map(|pool| Row {
            name: pool.name.to_string(),
            taken: pool.places_taken,
            of: capacity(pool),
            text: places(pool),
        })
    }

    /// The row of the event as a whole; `None` where one pool says the same.
    pub fn all(&self) -> Option<Row> {
        let (taken, of) = (self.event.places_taken, self.event.max_participants);
        let is_told = self.event.pools.len() != 1 || of.is_some();
        is_told.then(|| Row { name: "all".to_owned(), taken, of, text: counted(taken, of) })
    }

    /// `3: CAT02b, DOGGO01a and 1 more`.
    pub fn waiting_list(&self) -> String {
        let (count, named) = (self.event.waiting_count as usize, self.waiting.len());
        match count.saturating_sub(named) {
            _ if named == 0 => count.to_string(),
            0 => format!("{count}: {}", self.waiting.join(", ")),
            more => format!("{count}: {} and {more} more", self.waiting.join(", ")),
        }
    }

    /// All times at which the event changes by itself, past ones too, in their order; none for a canceled one.
    pub fn steps(&self) -> Vec<Step> {
        let event = &self.event;
        if event.canceled {
            return Vec::new();
        }
        let or_start = |time: Option<Time>| time.unwrap_or(event.start);
        let openings = event.pools.iter().filter_map(|pool| Some((pool.opens?, format!("\"{}\" opens", pool.name))));
        let mut steps: Vec<_> = openings.collect();
        steps.extend(event.merge_time.map(|at| (at, "the pools become one".to_owned())));
        if !event.leisure {
            steps.push((or_start(event.registration_closes), "registration closes".to_owned()));
            steps.push((or_start(event.unregistration_closes), "canceling closes".to_owned()));
        }
        steps.push((event.start, "it begins".to_owned()));
        steps.push((event.start.plus_seconds(u64::from(event.duration_minutes) * 60), "it ends".to_owned()));
        steps.sort_by_key(|(at, _)| *at);
        steps.into_iter().map(|(at, what)| Step { at, what }).collect()
    }

    /// The times that are still to come.
    pub fn next(&self) -> Vec<Step> {
        self.steps().into_iter().filter(|step| step.at > self.now).collect()
    }
}

impl Seats {
    /// The seats of a row in which `pending` of those who sit wait for an approval, at most `most` of them. Where a row
    /// has no bound, one free seat stands for any number.
    pub fn of(row: &Row, pending: u32, most: u32) -> Self {
        let free = row.of.map_or(1, |of| of.saturating_sub(row.taken));
        let pending = pending.min(row.taken);
        let all = row.taken.saturating_add(free);
        let drawn = all.min(most);
        // Those who sit come first; a free seat always shows.
        let sitting = row.taken.min(drawn.saturating_sub(u32::from(free > 0)));
        let pending = pending.min(sitting);
        let free = free.min(drawn - sitting);
        Self { taken: sitting - pending, pending, free, more: all - sitting - free }
    }
}

/// Steps at one time, joined: `registration closes, it begins`.
pub fn joined(steps: &[Step]) -> String {
    steps.iter().map(|step| step.what.as_str()).collect::<Vec<_>>().join(", ")
}

/// `3 of 40`, or `3` where there is no bound.
pub fn counted(taken: u32, of: Option<u32>) -> String {
    of.map_or_else(|| taken.to_string(), |of| format!("{taken} of {of}"))
}

/// The capacity of a pool; `None` if it has no bound.
fn capacity(pool: &EventPool) -> Option<u32> {
    Some(pool.capacity).filter(|capacity| *capacity > 0)
}

/// Places taken in a pool, its roles, and the number of people who wait.
fn places(pool: &EventPool) -> String {
    let roles = pool.roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(", ");
    let of = capacity(pool).map_or("any number".to_owned(), |capacity| capacity.to_string());
    let waits = match pool.waiting_count {
        0 => String::new(),
        1 => "; 1 waits".to_owned(),
        count => format!("; {count} wait"),
    };
    format!("{} of {of}, for {roles}{waits}", pool.places_taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(taken: u32, of: Option<u32>) -> Row {
        Row { name: "all".to_owned(), taken, of, text: counted(taken, of) }
    }

    #[test]
    fn seats_are_cut_with_a_count_and_a_free_one_shows() {
        for (taken, of, pending, [sitting, waiting, free, more]) in [
            (3, Some(5), 1, [2, 1, 2, 0]),
            (3, None, 0, [3, 0, 1, 0]),
            (0, Some(0), 0, [0, 0, 0, 0]),
            (12, Some(10), 0, [10, 0, 0, 2]),
            (500, Some(1000), 2, [7, 2, 1, 990]),
            (10, Some(10), 99, [0, 10, 0, 0]),
            (1000, None, 0, [9, 0, 1, 991]),
        ] {
            let seats = Seats::of(&row(taken, of), pending, 10);
            let expected = Seats { taken: sitting, pending: waiting, free, more };
            assert_eq!(seats, expected, "{taken} of {of:?}");
        }
    }

    #[test]
    fn a_step_that_is_over_is_among_all_and_not_among_the_next() {
        let event = r#"{"pk":"01010101-0101-0101-0101-010101010101","title":"Camp","kind":"camp",
            "owner":"02020202-0202-0202-0202-020202020202","start":"2026-03-01T10:00:00.000000Z","duration_minutes":120,
            "max_participants":null,"leisure":false,"published":true,"canceled":false,"approval":"none",
            "waiting_list":true,"merge_time":"2026-02-20T10:00:00.000000Z","registration_closes":null,
            "unregistration_closes":"2026-01-01T10:00:00.000000Z","extra":{},"time_state":"upcoming",
            "update_state":"registrations","actions":[],"places_taken":0,"waiting_count":3,"pools":[],
            "created":"2026-01-01T10:00:00.000000Z","updated":"2026-01-01T10:00:00.000000Z","deleted":null}"#;
        let event: Event = serde_json::from_str(event).expect("an event");
        let now = "2026-01-31T10:00:00.000000Z".parse().expect("a time");
        let mut picture = Picture { event, owner: "BOSS".to_owned(), waiting: Vec::new(), now };
        let what = |steps: Vec<Step>| steps.into_iter().map(|step| step.what).collect::<Vec<_>>();
        let next = ["the pools become one", "registration closes", "it begins", "it ends"];
        assert_eq!(what(picture.next()), next);
        assert_eq!(what(picture.steps()), [&["canceling closes"][..], &next].concat());
        assert_eq!(picture.waiting_list(), "3", "a list without names is a count");
        picture.event.canceled = true;
        assert_eq!((picture.steps(), picture.state()), (Vec::new(), "canceled"));
    }
}
