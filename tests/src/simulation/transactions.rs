//! Transactions in a simulation: some writes that are done as one. Their changes follow one another, and are there all at
//! once or not at all.

use std::collections::BTreeSet;

use enroll_core::model::change::Change;
use enroll_protocol::transaction::{Reply as UnitReply, Run, Unit};
use enroll_protocol::{Code, Envelope, Pk, Time, codec};
use rand::RngExt as _;
use rand::rngs::ChaCha20Rng;

use super::answers;
use super::asking::Known;
use super::judge::Judge;
use super::model::{Done, Model, Reply};
use super::operations::{Encoded, Op, encoded};
use super::plan::Area;

/// A transaction or bulk write of which not every change was followed yet.
pub(super) struct Partial {
    number: usize,
    model: Model,
    replies: Vec<Reply>,
}

/// Some units: writes of these areas whose records are not named by the request that made them, and that let nobody move
/// up at an event, which transactions do at their end.
pub(super) fn draw(known: &Known, random: &mut ChaCha20Rng, now: Time) -> Op {
    let areas = BTreeSet::from([Area::People, Area::Tokens, Area::Enrollments]);
    let may_be_unit = |op: &Op| {
        use Op::{Approve, CreatePerson, Enroll, Reject, Reopen, UseToken};
        matches!(
            op,
            CreatePerson { .. } | UseToken { .. } | Enroll { .. } | Approve { .. } | Reject { .. } | Reopen { .. }
        )
    };
    let count = random.random_range(1..4);
    let mut units = Vec::new();
    while units.len() < count {
        let op = known.draw(random, &areas, now);
        if may_be_unit(&op) {
            units.push(op);
        }
    }
    Op::Transact(units)
}

/// The request of a transaction.
pub(super) fn encode(units: &[Op], envelope: &Envelope) -> Encoded {
    // Units have no envelope of their own.
    let head = codec::encode(&Envelope::default()).len();
    let unit = |op: &Op| {
        let Encoded { operation, body } = op.encode_with(&Envelope::default());
        Unit { number: operation, request: body[head..].to_vec() }
    };
    encoded(envelope, &Run { units: units.iter().map(unit).collect() })
}

/// Reads the replies of its units.
pub(super) fn read(units: &[Op], bytes: &[u8]) -> Result<Reply, String> {
    let replies: Vec<UnitReply> = answers::decode::<Run>(bytes)?;
    if replies.len() != units.len() {
        return Err(format!("{} replies to {} units", replies.len(), units.len()));
    }
    let read = units.iter().zip(&replies).map(|(unit, reply)| answers::read(unit, &reply.reply));
    read.collect::<Result<_, _>>().map(Reply::Units)
}

impl Model {
    /// Does all of them, or none.
    pub(super) fn transact(&mut self, number: usize, units: &[Op], at: Time) -> Result<Done, Code> {
        let (mut model, mut replies, mut subjects) = (self.clone(), Vec::new(), None);
        for unit in units {
            let (reply, changed) = model.apply(number, unit, at, &[])?;
            replies.push(reply);
            subjects = subjects.or(changed.map(|_| Vec::<Pk>::new()));
        }
        *self = model;
        Ok((Reply::Units(replies), subjects))
    }
}

impl Judge {
    /// Follows a change of a transaction or a bulk write.
    pub(super) fn done_in_part(&mut self, seq: u64, number: usize, change: &Change) -> Result<(), String> {
        let units = self.requests[number].op.units();
        let mut partial = match self.partial.take().filter(|partial| partial.number == number) {
            Some(partial) => partial,
            None => Partial { number, model: (*self.model()).clone(), replies: Vec::new() },
        };
        partial.pass_over(&units, change.at)?;
        let unit = units.get(partial.replies.len()).ok_or("a change that no unit makes")?;
        if unit.encode_with(&Envelope::default()).operation != change.what {
            return Err(format!("request {number}: it is the turn of {unit:?}"));
        }
        match partial.model.apply(number, unit, change.at, &change.subjects) {
            Ok((reply, Some(subjects))) if change.subjects.starts_with(&subjects) => partial.replies.push(reply),
            said => return Err(format!("request {number}: {unit:?} is of {:?}, and is {said:?}", change.subjects)),
        }
        partial.pass_over(&units, change.at)?;
        match partial.replies.len() == units.len() {
            true => self.did(seq, number, Reply::Units(partial.replies), partial.model),
            false => self.partial = Some(partial),
        }
        Ok(())
    }
}

impl Partial {
    /// The request.
    pub(super) fn number(&self) -> usize {
        self.number
    }

    /// Passes over the next units that change nothing.
    fn pass_over(&mut self, units: &[Op], at: Time) -> Result<(), String> {
        while let Some(unit) = units.get(self.replies.len()) {
            match self.model.clone().apply(self.number, unit, at, &[]) {
                Ok((reply, None)) => self.replies.push(reply),
                Ok((_, Some(_))) => return Ok(()),
                Err(code) => return Err(format!("request {}: {unit:?} was done, and is {code}", self.number)),
            }
        }
        Ok(())
    }
}
