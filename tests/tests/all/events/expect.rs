//! Comparison of answers with the model.

use enroll_protocol::event::{self, EventPool, TimeState, UpdateState};
use enroll_protocol::registration::{self, Registration};
use enroll_protocol::{Code, Pk, Refusal};

use super::history::{History, name};
use enroll_tests::event_model::{Event, Stand};

impl History {
    /// Everything about every event and everybody.
    pub(super) fn compare(&mut self) {
        for at in 0..self.events.len() {
            let event = self.events[at].0.clone();
            let shown = self.registry.call(event::Get { event: event.clone() });
            let pools = shown.as_ref().expect("an event").pools.clone();
            self.expect_event(at, shown, Ok(()));
            for person in 0..self.people.len() {
                let found = self.registry.call(registration::Get { event: event.clone(), person: name(person) });
                match found {
                    Ok(found) => self.expect_of(at, person, &found, &pools),
                    Err(refusal) => {
                        assert_eq!(refusal.code, Code::NOT_FOUND);
                        assert!(self.events[at].1.of(person).is_none(), "{person} is registered");
                    }
                }
            }
            let waiting = registration::List { event: Some(event), waiting: Some(true), ..Default::default() };
            let listed = self.registry.call(waiting).expect("a page").items;
            let model = &self.events[at].1;
            let expected: Vec<_> = model.waiting().iter().map(|other| self.pks[other.person]).take(100).collect();
            assert_eq!(listed.iter().map(|item| item.person).collect::<Vec<_>>(), expected, "the waiting list");
        }
    }

    /// A registration is as the model has it.
    pub(super) fn expect_registration(&mut self, at: usize, person: usize, shown: &Registration) {
        let event = self.events[at].0.clone();
        let pools = self.registry.call(event::Get { event }).expect("an event").pools;
        self.expect_of(at, person, shown, &pools);
    }

    fn expect_of(&self, at: usize, person: usize, shown: &Registration, pools: &[EventPool]) {
        let name_of = |pk: Pk| pools.iter().find(|pool| pool.pk == pk).map(|pool| pool.name.as_str().to_owned());
        let model = &self.events[at].1;
        let of = model.of(person).expect("the model has it");
        let stand = match shown.pool {
            Some(pool) => Stand::Seated(name_of(pool)),
            None if shown.waiting => Stand::Waiting,
            None if shown.canceled || shown.approval == registration::ApprovalState::Rejected => Stand::Out,
            None => Stand::Seated(None),
        };
        assert_eq!((stand, shown.canceled), (of.stand.clone(), of.is_canceled), "{shown:?}");
        assert_eq!((shown.approval, shown.canceled_at.is_some()), (of.approval, of.is_canceled), "{shown:?}");
        let position = model.waiting().iter().position(|other| other.person == person);
        assert_eq!(shown.waiting_position.map(|position| position as usize), position.map(|at| at + 1), "{shown:?}");
        if !model.is_over(self.now) {
            let waits_for: Vec<_> = shown.waiting_pools.iter().filter_map(|pool| name_of(*pool)).collect();
            let possible = model.possible(&self.people, person, self.now);
            let expected: Vec<_> = possible.iter().filter(|_| shown.waiting).map(|pool| pool.name.clone()).collect();
            assert_eq!(waits_for, expected, "{shown:?}");
        }
    }

    /// An event is as the model has it, unless more is left to be done than one write does.
    pub(super) fn expect_event(
        &mut self,
        at: usize,
        answer: Result<event::Event, Refusal>,
        expected: Result<(), Code>,
    ) {
        expect_same(&answer, expected);
        let now = self.now;
        let Ok(shown) = answer.and_then(|answer| match self.is_crowd {
            true => {
                self.wake();
                self.registry.call(event::Get { event: self.events[at].0.clone() })
            }
            false => Ok(answer),
        }) else {
            return;
        };
        let model = &self.events[at].1;
        let count = |count: usize| u32::try_from(count).expect("few");
        assert_eq!((shown.places_taken, shown.waiting_count), (model.taken(), count(model.waiting().len())));
        let pools = shown.pools.iter().map(|pool| (pool.name.as_str(), pool.capacity, pool.places_taken));
        let expected = model.pools.iter().map(|pool| (pool.name.as_str(), pool.capacity, model.taken_in(pool)));
        assert!(pools.eq(expected), "{shown:?}");
        if !model.is_over(now) {
            let waiting = |name: &str| {
                let waits = |person| model.possible(&self.people, person, now).iter().any(|pool| pool.name == name);
                count(model.waiting().iter().filter(|other| waits(other.person)).count())
            };
            let differs = |pool: &&EventPool| pool.waiting_count != waiting(pool.name.as_str());
            assert!(!shown.pools.iter().any(|pool| differs(&pool)), "{shown:?}");
        }
        assert_eq!((shown.time_state, shown.update_state), (time_state(model, now), update_state(model)));
        let actions: Vec<_> = shown.actions.iter().map(|action| format!("{action:?}")).collect();
        assert_eq!(actions.join(" "), actions_of(shown.update_state));
    }
}

fn time_state(event: &Event, now: u64) -> TimeState {
    match () {
        () if now < event.start => TimeState::Upcoming,
        () if event.is_past(now) => TimeState::Past,
        () => TimeState::Current,
    }
}

fn update_state(event: &Event) -> UpdateState {
    match () {
        () if event.is_canceled => UpdateState::Canceled,
        () if !event.is_published => UpdateState::Draft,
        () if event.has_live() => UpdateState::Registrations,
        () => UpdateState::Published,
    }
}

fn actions_of(state: UpdateState) -> &'static str {
    match state {
        UpdateState::Draft => "Save Publish",
        UpdateState::Published => "Save Unpublish",
        UpdateState::Registrations => "Save Cancel",
        UpdateState::Canceled => "Save",
    }
}

/// Answered, or refused with this code.
pub(super) fn expect_same<T>(answer: &Result<T, Refusal>, expected: Result<(), Code>) {
    assert_eq!(code_of(answer), expected);
}

pub(super) fn code_of<T>(answer: &Result<T, Refusal>) -> Result<(), Code> {
    answer.as_ref().map(drop).map_err(|refusal| refusal.code)
}
