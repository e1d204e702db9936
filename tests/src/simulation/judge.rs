//! The judge of a simulation: it follows the changes as they are committed, has the model do what each of them says, and
//! holds every answer against the model as it was at that change, or at one in between for what changes nothing.

use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeInclusive;
use std::rc::Rc;

use enroll_core::model::change::{self, ChainedChange};
use enroll_core::model::key::{self, Family};
use enroll_core::model::record;
use enroll_core::rules::changes;
use enroll_core::state::ReadTxn;
use enroll_protocol::changes::Change;
use enroll_protocol::{Code, Envelope, Key, Pk, Refusal, Time};

use super::following::{Recorded, recorded};
use super::limits::{Limits, SHARED, Sent};
use super::model::{Model, Reply};
use super::operations::{Encoded, Op, number, origin, shared_origin};
use super::programs::Ask;
use super::transactions::Partial;
use super::{answers, certificates, compare};

/// The answer that a client received: an encoded reply, or a refusal.
pub(super) type Answer = Result<Vec<u8>, Refusal>;

/// A request, sent once or more often.
pub(super) struct Request {
    pub(super) op: Op,
    pub(super) encoded: Encoded,
    pub(super) key: Option<Key>,
    /// The latest change when it was first sent.
    first: u64,
    /// Its change, and the answer that it must have.
    done: Option<(u64, Reply)>,
    /// The first answer that is one.
    answer: Option<Answer>,
    /// The user and origin that it was sent with.
    pub(super) sent: Sent,
    /// It has no answer that lasts, and is not sent again.
    is_over: bool,
}

impl Request {
    /// True if a change of this operation may be its.
    fn tells(&self, what: u16) -> bool {
        let units = if let Op::Transact(units) = &self.op { &units[..] } else { &[] };
        self.encoded.operation == what
            || units.iter().any(|unit| unit.encode_with(&Envelope::default()).operation == what)
    }
}

/// See the module.
#[derive(Default)]
pub(super) struct Judge {
    pub(super) requests: Vec<Request>,
    model: Rc<Model>,
    /// The latest change that the model has.
    pub(super) seq: u64,
    /// The model as it was before, by the number of the change after which it was so.
    before: VecDeque<(u64, Rc<Model>)>,
    /// The changes, by their numbers.
    changes: BTreeMap<u64, Recorded>,
    /// Times at which the clock was looked at, the latest ones.
    times: VecDeque<Time>,
    /// The number of the latest revocation list that was seen, and how many certificates it has.
    list: (u64, u64),
    /// A transaction or bulk write whose changes were not all followed yet.
    pub(super) partial: Option<Partial>,
    /// Answers that were held against the model.
    pub(super) judged: u64,
    pub(super) limits: Limits,
}

/// The latest requests, among which those are that are not answered.
const OPEN_REQUESTS: usize = 100;

/// Looks at the clock that are remembered.
const TIMES_MAX: usize = 4096;

impl Judge {
    /// Adds a request, which is about to be sent; its number.
    pub(super) fn add(&mut self, op: Op, key: Option<Key>, uid: u32, shared: Option<usize>) -> usize {
        let number = self.requests.len();
        let origin = shared.map_or_else(|| origin(number), shared_origin);
        let sent = self.sent((uid, origin.as_str().to_owned()));
        let encoded = op.encode(origin, key);
        let (first, done, answer, is_over) = (self.seq, None, None, false);
        self.requests.push(Request { op, encoded, key, first, done, answer, sent, is_over });
        number
    }

    /// An origin that the request may share with others: of those that may be done it is the only one that is open.
    pub(super) fn shared(&self, op: &Op, uid: u32, drawn: usize) -> Option<usize> {
        let drawn = drawn % SHARED;
        let source = (uid, shared_origin(drawn).as_str().to_owned());
        let is_open = |request: &Request| {
            request.op.may_spend() && request.sent.source == source && request.answer.is_none() && !request.is_over
        };
        let is_free = !op.may_spend() || !self.requests.iter().any(is_open);
        (op.takes_code() && !matches!(op, Op::Transact(_)) && is_free).then_some(drawn)
    }

    /// The request of a change whose origin several share.
    fn of_shared(&self, change: &change::Change) -> Option<usize> {
        let source = (change.peer.uid, change.origin.as_ref()?.as_str().to_owned());
        let mut requests = (0..self.requests.len()).rev();
        requests.find(|number| {
            let request = &self.requests[*number];
            let may_be = || match change.refused {
                Some(Code::TOO_MANY_ATTEMPTS) => true,
                Some(code) => self.refused(*number, code, request.first..=self.seq).is_ok(),
                None => {
                    request.op.may_spend() && !request.is_over && request.done.is_none() && request.answer.is_none()
                }
            };
            request.sent.source == source && request.tells(change.what) && may_be()
        })
    }

    /// Notes the clocks of all hosts.
    pub(super) fn look_at_clocks(&mut self, clocks: &[Time]) {
        self.limits.look_at_clocks(clocks);
        for now in clocks {
            if self.times.back() != Some(now) {
                self.times.push_back(*now);
            }
        }
        while self.times.len() > TIMES_MAX {
            self.times.pop_front();
        }
    }

    /// Follows the changes of a view. Fails at one that the model does not say.
    pub(super) fn follow(&mut self, view: &dyn ReadTxn) -> Result<(), String> {
        let head = changes::head(view).map_err(|err| err.to_string())?.seq;
        if head < self.seq {
            return Err(format!("change {} was committed, and now the latest is {head}", self.seq));
        }
        if head == self.seq {
            return self.look_at_windows(view);
        }
        let (from, to) = (key::change(self.seq + 1), Family::Changes.bounds().1);
        for (key, value) in view.range(&from, &to, usize::MAX).map_err(|err| err.to_string())? {
            let seq = key::seq_at_end(&key).ok_or("a change without a number")?;
            if seq != self.seq + 1 {
                return Err(format!("change {} is missing", self.seq + 1));
            }
            let change = record::decode::<ChainedChange>(&value).map_err(|err| err.to_string())?.change;
            self.changes.insert(seq, (change.at, change.subjects.clone(), change.refused));
            self.limits.look_back(change.at);
            self.take(seq, &change).map_err(|wrong| format!("change {seq} ({}): {wrong}", change.what))?;
        }
        if let Some(partial) = &self.partial {
            return Err(format!("request {} is there in part", partial.number()));
        }
        match head == self.seq {
            true => self.look_at_windows(view),
            false => Err(format!("change {} is missing", self.seq + 1)),
        }
    }

    fn take(&mut self, seq: u64, change: &change::Change) -> Result<(), String> {
        let request = change.origin.as_ref().and_then(number).or_else(|| self.of_shared(change));
        let asked = request.filter(|number| self.requests[*number].tells(change.what));
        match (asked, change.refused, change.cause) {
            (Some(number), None, None) => {
                self.expect_undone(number)?;
                match self.requests[number].op.units().is_empty() {
                    false => self.done_in_part(seq, number, change)?,
                    true => self.done(seq, number, change)?,
                }
            }
            (Some(number), Some(code), None) if self.attempted(number, code) => {}
            (Some(number), Some(code), None) => {
                self.refused(number, code, self.requests[number].first..=seq)?;
            }
            (_, _, Some(_)) => self.followed_from(seq, change),
            (None, None, None) if self.alarmed(change)? || self.passed(seq, change)? => {}
            _ => return Err(format!("nobody asked for it: {change:?}")),
        }
        self.seq = seq;
        Ok(())
    }

    fn done(&mut self, seq: u64, number: usize, change: &change::Change) -> Result<(), String> {
        let request = &self.requests[number];
        let named = format!("request {number}, {:?}", request.op);
        self.expect_passed(&request.op, change.at)?;
        let mut model = (*self.model).clone();
        match model.apply(number, &request.op, change.at, &change.subjects) {
            Err(code) => return Err(format!("{named} was done, and the model says {code}")),
            Ok((reply, None)) => return Err(format!("{named} changed something, and the model says {reply:?}")),
            Ok((_, Some(subjects))) if !change.subjects.starts_with(&subjects) => {
                return Err(format!("{named} is of {:?}, and the model says {subjects:?}", change.subjects));
            }
            Ok((reply, Some(_))) => self.did(seq, number, reply, model),
        }
        Ok(())
    }

    /// A request was done at this change, with this reply, and then the model is so.
    pub(super) fn did(&mut self, seq: u64, number: usize, reply: Reply, model: Model) {
        self.requests[number].done = Some((seq, reply));
        let before = self.model();
        self.became(seq, &before, Rc::new(model));
    }

    /// At this change the model became another one.
    pub(super) fn became(&mut self, seq: u64, before: &Rc<Model>, model: Rc<Model>) {
        self.before.push_back((seq, Rc::clone(before)));
        self.model = model;
    }

    /// Fails for a request that was done or refused before.
    fn expect_undone(&self, number: usize) -> Result<(), String> {
        let request = &self.requests[number];
        let named = format!("request {number}, {:?}", request.op);
        match (&request.done, &request.answer) {
            (Some((first, _)), _) => Err(format!("{named} was done at change {first} already")),
            (_, Some(Err(refusal))) => Err(format!("{named} was answered {} before", refusal.code)),
            _ => Ok(()),
        }
    }

    /// Judges the answer to a request of which nothing before this change was seen when it was sent. Returns whether it is
    /// one, and not a refusal that passes. Where a disk failed, a request may have failed inside.
    pub(super) fn answered(
        &mut self,
        number: usize,
        since: u64,
        answer: Answer,
        may_fail_inside: bool,
    ) -> Result<bool, String> {
        if self.limited(number, &answer)? {
            self.requests[number].is_over = true;
            self.judged += 1;
            return Ok(false);
        }
        let request = &self.requests[number];
        let named = || format!("request {number}, {:?}", request.op);
        if let Err(refusal) = &answer {
            match refusal.code {
                Code::INTERNAL if !may_fail_inside => {
                    return Err(format!("{} failed inside: {}", named(), refusal.message));
                }
                code if code.is_passing() => return Ok(false),
                _ => {}
            }
        }
        self.judged += 1;
        if self.was_erased(number, &answer) {
            return Ok(true);
        }
        if let Some(first) = request.answer.as_ref().filter(|_| request.key.is_some()) {
            return match *first == answer {
                true => Ok(true),
                false => Err(format!("{} was answered {first:?}, and now {answer:?}", named())),
            };
        }
        let window = since.min(self.seq)..=self.seq;
        match (&request.done, &answer) {
            (Some((_, reply)), Ok(bytes)) => {
                let read = answers::read(&request.op, bytes)?;
                if read != *reply {
                    return Err(format!("{} was answered {read:?}, and the model says {reply:?}", named()));
                }
            }
            (Some((seq, _)), Err(refusal)) => {
                return Err(format!("{} was done at change {seq} and refused as {}", named(), refusal.code));
            }
            (None, Ok(bytes)) => {
                let read = answers::read(&request.op, bytes)?;
                let is_so = |model: &Model, at| {
                    model
                        .clone()
                        .apply(number, &request.op, at, &[])
                        .is_ok_and(|(reply, subjects)| subjects.is_none() && reply == read)
                };
                if !self.was(window.clone(), is_so) {
                    let now = (*self.model).clone().apply(number, &request.op, self.latest(), &[]);
                    let window = (window.start(), window.end());
                    return Err(format!(
                        "{} was answered {read:?} and changed nothing, which the model says at no change of {window:?}, \
                         now {now:?}",
                        named()
                    ));
                }
            }
            (None, Err(refusal)) => self
                .refused(number, refusal.code, window)
                .map_err(|wrong| format!("{wrong} (the refusal: {})", refusal.message))?,
        }
        self.requests[number].answer = Some(answer);
        Ok(true)
    }

    /// True for the refusal that stands in the place of an answer that was kept, and in which an erased person or a key of
    /// theirs stood.
    fn was_erased(&self, number: usize, answer: &Answer) -> bool {
        let request = &self.requests[number];
        let is_tombstone = answer.as_ref().is_err_and(|refusal| refusal.code == Code::DELETED);
        let is_of_erased = |name| self.model.people.get(&name).is_some_and(|of| of.is_erased);
        let is_erased = |op: &Op| {
            let parts = if let Op::Study(ask) = op { ask.parts() } else { &[] };
            let has_erased = |ask: &Ask| {
                ask.name().is_some_and(is_of_erased) || ask.key().is_some_and(|key| self.model.had_erased(key))
            };
            op.names().is_some_and(is_of_erased) || parts.iter().any(has_erased)
        };
        let made = request.op.about().map(|made| &self.requests[made].op);
        let units = request.op.units();
        is_tombstone && request.key.is_some() && units.iter().chain([&request.op]).chain(made).any(is_erased)
    }

    /// The keys of all bulk writes of several that may still be done.
    pub(super) fn open_keys(&self) -> usize {
        let is_open = |request: &&Request| request.answer.is_none() && request.done.is_none();
        self.requests.iter().rev().take(OPEN_REQUESTS).filter(is_open).map(|request| request.op.keys()).sum()
    }

    /// The latest change when a request was first sent.
    pub(super) fn first(&self, number: usize) -> u64 {
        self.requests[number].first
    }

    /// The change of a request, if it is done.
    pub(super) fn change_of(&self, number: usize) -> Option<u64> {
        self.requests[number].done.as_ref().map(|(seq, _)| *seq)
    }

    /// Forgets the models that no request in flight can be of.
    pub(super) fn forget_before(&mut self, seq: u64) {
        while self.before.front().is_some_and(|(until, _)| *until <= seq) {
            self.before.pop_front();
        }
    }

    /// Compares the model with what a view holds.
    pub(super) fn compare(&mut self, view: &dyn ReadTxn) -> Result<(), String> {
        self.list = certificates::compare(&self.model, view, self.list)?;
        compare::compare(&self.model, view)
    }

    /// Puts another model in place of the one that is, which differs in nothing that is answered.
    pub(super) fn replace(&mut self, model: Model) {
        self.model = Rc::new(model);
    }

    /// The model as it is.
    pub(super) fn model(&self) -> Rc<Model> {
        Rc::clone(&self.model)
    }

    /// Goes back to this change, after which the model was so: nothing of what came later was ever done.
    pub(super) fn go_back(&mut self, seq: u64, model: &Rc<Model>) {
        (self.seq, self.model) = (seq, Rc::clone(model));
        // A request of before may be answered as it was then: its answer was kept, and came back with the backup.
        self.before.retain(|(until, _)| *until <= seq);
        self.changes.retain(|of, _| *of <= seq);
        self.list = (0, 0);
        for request in &mut self.requests {
            request.first = request.first.min(seq);
            if request.done.as_ref().is_some_and(|(at, _)| *at > seq) {
                request.is_over |= request.answer.is_some();
                (request.done, request.answer) = (None, None);
            }
        }
        self.forget_windows();
    }

    /// Fails at a change that a follower was given and that is not so, or not there.
    pub(super) fn followed(&self, change: &Change) -> Result<(), String> {
        match self.changes.get(&change.seq) {
            Some(found) if *found == recorded(change) => Ok(()),
            found => Err(format!("a follower was given {change:?}, and there is {found:?}")),
        }
    }

    fn refused(&self, number: usize, code: Code, window: RangeInclusive<u64>) -> Result<(), String> {
        let op = &self.requests[number].op;
        let is_so = |model: &Model, at| model.refuses(number, op, at, code);
        if self.was(window.clone(), is_so) {
            return Ok(());
        }
        let now = (*self.model).clone().apply(number, op, self.latest(), &[] as &[Pk]);
        let window = (window.start(), window.end());
        Err(format!(
            "request {number}, {op:?}, was refused as {code}, which the model says at no change of {window:?}, now {now:?}"
        ))
    }

    /// True if this was so after a change of these, at a time of late.
    fn was(&self, window: RangeInclusive<u64>, is_so: impl Fn(&Model, Time) -> bool) -> bool {
        let before = self.before.iter().filter(|(until, _)| until > window.start()).map(|(_, model)| model);
        let mut models = before.chain([&self.model]);
        models.any(|model| self.times.iter().rev().any(|at| is_so(model, *at)))
    }

    fn latest(&self) -> Time {
        self.times.back().copied().unwrap_or(Time::EPOCH)
    }
}
