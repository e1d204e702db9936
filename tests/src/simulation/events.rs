//! The events of the model of a simulation: registrations, and what time and the clock do to them. Openings and merges come
//! by themselves, an end by the clock alone; where the clock goes back before it, the event goes on.

use std::rc::Rc;

use enroll_core::model::change::{CLOCK, Change, MERGED, OPENED};
use enroll_protocol::{Code, Pk, Time};

use super::judge::Judge;
use super::model::{Done, Model, Reply};
use super::operations::{NAMES, Op, seconds};
use crate::event_model::{Event, Person, Stand};

/// An event.
#[derive(Debug, Clone)]
pub(super) struct EventState {
    pub(super) pk: Pk,
    pub(super) event: Event,
    /// The clock went back, and what follows from that is not done yet.
    is_to_go_on: bool,
}

impl EventState {
    /// A new one, with all that was due before it in effect.
    pub(super) fn new(pk: Pk, event: &Event, at: Time) -> Self {
        Self { pk, event: Event { passed: seconds(at), ..event.clone() }, is_to_go_on: false }
    }

    /// The next opening or merge.
    fn next_moment(&self) -> Option<u64> {
        let opens = self.event.pools.iter().filter_map(|pool| pool.opens);
        opens.chain(self.event.merges).filter(|at| *at > self.event.passed).min()
    }

    /// Does what follows from a clock that went back.
    fn go_on(&mut self, people: &[Person], now: u64) {
        if std::mem::take(&mut self.is_to_go_on) {
            self.event.go_on(people, self.event.passed, now);
        }
    }

    /// The next opening or merge up to now takes effect. Returns false if there is none.
    fn settle_next(&mut self, people: &[Person], now: u64) -> bool {
        self.go_on(people, now);
        let Some(at) = self.next_moment().filter(|at| *at <= now) else { return false };
        self.event.passed = at;
        self.event.fill_as_of(people, at, now);
        true
    }

    /// Does all that comes before a change of it.
    pub(super) fn settle(&mut self, people: &[Person], now: u64) {
        while self.settle_next(people, now) {}
    }

    /// True where this person has a place or waits, if it is not over.
    fn counts_on(&self, name: usize, now: u64) -> bool {
        let is_live = self.event.of(name).is_some_and(|registration| registration.stand != Stand::Out);
        is_live && !self.event.is_over(now)
    }
}

impl Model {
    /// The people as a model of events has them.
    pub(super) fn attending(&self) -> Vec<Person> {
        let of = |name| match self.people.get(&name) {
            Some(person) => Person { roles: person.roles.clone(), is_deleted: person.is_deleted },
            None => Person::default(),
        };
        (0..NAMES).map(of).collect()
    }

    /// The times at which something comes by itself at an event, past and to come.
    pub(super) fn moments(&self) -> impl Iterator<Item = u64> {
        self.events.values().flat_map(|EventState { event, .. }| {
            let opens = event.pools.iter().filter_map(|pool| pool.opens);
            opens.chain(event.merges).chain([event.start, event.end()])
        })
    }

    /// Has a person leave the events that are not over; `before`: the people as they were.
    pub(super) fn leave_events(&mut self, name: usize, before: &[Person], at: Time) {
        let (people, now) = (self.attending(), seconds(at));
        for state in self.events.values_mut().filter(|state| state.counts_on(name, now)) {
            state.settle(before, now);
            state.event.leave(&people, name, now);
        }
    }

    /// The roles of a person are others: who waits may have a place then. `before`: the people as they were.
    pub(super) fn readmit(&mut self, name: usize, before: &[Person], at: Time) {
        let (people, now) = (self.attending(), seconds(at));
        for state in self.events.values_mut().filter(|state| state.counts_on(name, now)) {
            state.settle(before, now);
            state.event.fill(&people, now);
        }
    }

    /// Changes the registration of a person.
    pub(super) fn register(
        &mut self,
        number: usize,
        name: usize,
        at: Time,
        change: impl FnOnce(&mut Event, &[Person], usize, u64) -> Result<(), Code>,
    ) -> Result<Done, Code> {
        let (people, now) = (self.attending(), seconds(at));
        if !self.events.contains_key(&number) {
            return Err(Code::NOT_FOUND);
        }
        let person = self.live(name)?.pk;
        let state = self.events.get_mut(&number).ok_or(Code::NOT_FOUND)?;
        state.settle(&people, now);
        change(&mut state.event, &people, name, now)?;
        let registration = state.event.of(name).ok_or(Code::NOT_FOUND)?;
        let reply = Reply::Registration {
            event: state.pk,
            person,
            is_waiting: registration.stand == Stand::Waiting,
            is_canceled: registration.is_canceled,
            approval: registration.approval,
        };
        Ok((reply, Some(vec![state.pk, person])))
    }

    /// True if an opening or a merge was due before, of the event that is changed or of one that a changed person waits for or
    /// has a place at.
    fn is_late(&self, op: &Op, at: Time) -> bool {
        let now = seconds(at);
        let is_of = |number: usize, state: &EventState| match op {
            Op::Register { event, .. }
            | Op::Cancel { event, .. }
            | Op::Place { event, .. }
            | Op::Decide { event, .. }
            | Op::Own { event, .. } => event.0 == number,
            Op::DeletePerson { name }
            | Op::RevokePerson { name }
            | Op::Assign { name, .. }
            | Op::Remove { name, .. } => state.counts_on(*name, now),
            _ => false,
        };
        let mut events = self.events.iter().filter(|(number, state)| is_of(**number, state));
        events.any(|(_, state)| state.next_moment().is_some_and(|due| due <= now))
    }
}

impl Judge {
    /// Fails where an event is changed before what was due at it.
    pub(super) fn expect_passed(&self, op: &Op, at: Time) -> Result<(), String> {
        match self.model().is_late(op, at) {
            true => Err(format!("{op:?} was done at {at}, before an opening or a merge that was due")),
            false => Ok(()),
        }
    }

    /// Takes what comes by itself: an opening, a merge, another clock. Returns false for another change.
    pub(super) fn passed(&mut self, seq: u64, change: &Change) -> Result<bool, String> {
        if ![CLOCK, OPENED, MERGED].contains(&change.what) {
            return Ok(false);
        }
        let (before, mut model) = (self.model(), (*self.model()).clone());
        let (people, now) = (model.attending(), seconds(change.at));
        if change.what == CLOCK {
            model.events.values_mut().for_each(|state| state.is_to_go_on = true);
        } else {
            let of = |state: &&mut EventState| change.subjects.first() == Some(&state.pk);
            let state = model.events.values_mut().find(of).ok_or("it is of no event")?;
            let has_settled = state.settle_next(&people, now);
            // Pools that open together are told one by one.
            let event = &state.event;
            let mut moments = event.pools.iter().filter_map(|pool| pool.opens).chain(event.merges);
            if !has_settled && !moments.any(|at| at == event.passed) {
                return Err(format!("nothing of {event:?} was due"));
            }
        }
        self.became(seq, &before, Rc::new(model));
        Ok(true)
    }

    /// Takes what follows from another change, which is in the model with that one, but for what a clock that went back has
    /// an event do: the daemon does that later.
    pub(super) fn followed_from(&mut self, seq: u64, change: &Change) {
        let before = self.model();
        let is_of = |state: &EventState| state.is_to_go_on && change.subjects.first() == Some(&state.pk);
        if before.events.values().any(is_of) {
            let (mut model, people) = ((*before).clone(), before.attending());
            let states = model.events.values_mut().filter(|state| is_of(state));
            states.for_each(|state| state.go_on(&people, seconds(change.at)));
            self.became(seq, &before, Rc::new(model));
        }
    }
}
