//! A random load of writes, and a check of their answers: an answer given once must be given again under
//! its idempotency key, and no token is spent twice.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::mpsc::channel;

use enroll_protocol::{
    Code, Envelope, Json, Key, LoginCode, Operation, OperationRow, Pk, Reference, code, codec, enrollment, person,
    pool, role, token,
};
use enrolld::writer::Outcome;
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::registry::Registry;

/// Names and tokens are so few that they collide.
const NAMES: u32 = 60;
const TOKENS: u32 = 200;

/// Random writes, in the order they were sent.
pub struct Load {
    random: SmallRng,
    sent: Vec<Sent>,
    /// Codes that were made.
    codes: Vec<LoginCode>,
    /// Enrollments that were made.
    enrollments: Vec<Pk>,
    /// Pools that were made.
    pools: Vec<Pk>,
    /// The tokens spent.
    spent: BTreeSet<(u16, Vec<u8>)>,
    failed_inside: usize,
}

struct Sent {
    row: &'static OperationRow,
    key: Key,
    request: Vec<u8>,
    answer: Option<Outcome>,
}

impl Load {
    /// None yet.
    pub fn new(seed: u64) -> Self {
        let random = SmallRng::seed_from_u64(seed);
        let (codes, enrollments, pools) = Default::default();
        Self { random, sent: Vec::new(), codes, enrollments, pools, spent: BTreeSet::new(), failed_inside: 0 }
    }

    /// The number of calls sent.
    pub fn len(&self) -> usize {
        self.sent.len()
    }

    /// True if no call was sent.
    pub fn is_empty(&self) -> bool {
        self.sent.is_empty()
    }

    /// The number of `internal` answers since the last call of this function.
    pub fn take_failed_inside(&mut self) -> usize {
        std::mem::take(&mut self.failed_inside)
    }

    /// Has a registry serve so many new writes as one batch. `Ok(false)`: its writer has ended.
    pub fn send(&mut self, registry: &mut Registry, count: usize) -> Result<bool, String> {
        let before = self.sent.len();
        for _ in 0..count {
            let (row, request) = self.next_write();
            let key = Key(Pk::from_bytes(self.random.random()));
            self.sent.push(Sent { row, key, request, answer: None });
        }
        self.send_again(registry, before..self.sent.len())
    }

    /// Has a registry serve these as one batch, whether they were answered before or not.
    pub fn send_again(&mut self, registry: &mut Registry, which: Range<usize>) -> Result<bool, String> {
        let (sender, answers) = channel();
        let mut batch = Vec::new();
        for at in which {
            let (sender, sent) = (sender.clone(), &self.sent[at]);
            let envelope = Envelope { key: Some(sent.key), ..Envelope::default() };
            let answer = move |outcome| {
                let _ = sender.send((at, outcome));
            };
            batch.push(registry.request_encoded(envelope, sent.row.number, &sent.request, answer));
        }
        drop(sender);
        let count = batch.len();
        let ended = registry.serve(batch).is_err();
        let answers: Vec<(usize, Outcome)> = answers.into_iter().collect();
        if answers.len() != count {
            return Err(format!("{} of {count} requests were answered", answers.len()));
        }
        for (at, outcome) in answers {
            let is_unknown = matches!(&outcome, Err(refusal) if refusal.code == Code::OUTCOME_UNKNOWN);
            if is_unknown != ended {
                return Err(format!("the commit failed: {ended}; and {} was answered {outcome:?}", self.name(at)));
            }
            self.take(at, outcome)?;
        }
        Ok(!ended)
    }

    fn name(&self, at: usize) -> String {
        format!("write {at} ({})", self.sent[at].row.name)
    }

    fn take(&mut self, at: usize, outcome: Outcome) -> Result<(), String> {
        if matches!(&outcome, Err(refusal) if refusal.code.is_passing()) {
            self.failed_inside += usize::from(outcome.is_err_and(|refusal| refusal.code == Code::INTERNAL));
            return Ok(());
        }
        if let Some(first) = &self.sent[at].answer {
            if *first != outcome {
                return Err(format!("{} was answered {first:?}, and now {outcome:?}", self.name(at)));
            }
            return Ok(());
        }
        if let Ok(reply) = &outcome {
            self.learn(at, reply)?;
        }
        self.sent[at].answer = Some(outcome);
        Ok(())
    }

    fn learn(&mut self, at: usize, reply: &[u8]) -> Result<(), String> {
        let Sent { row, request, .. } = &self.sent[at];
        match row.name {
            "token.use" | "code.use" => {
                let is_first = self.spent.insert((row.number, request.clone()));
                return is_first.then_some(()).ok_or_else(|| format!("{} spent what was spent before", self.name(at)));
            }
            "code.create" => {
                let made: code::Created = codec::decode(reply).map_err(|err| err.to_string())?;
                self.codes.extend(made.code);
            }
            "enrollment.create" => {
                let made: enrollment::Enrollment = codec::decode(reply).map_err(|err| err.to_string())?;
                self.enrollments.push(made.pk);
            }
            "pool.create" => {
                let made: pool::Pool = codec::decode(reply).map_err(|err| err.to_string())?;
                self.pools.push(made.pk);
            }
            _ => {}
        }
        Ok(())
    }

    fn next_write(&mut self) -> (&'static OperationRow, Vec<u8>) {
        let callsign = format!("DOG{}", self.random.random_range(0..NAMES));
        let named: Reference = callsign.parse().expect("a callsign");
        let claims = || Json::new("{\"sub\":\"DOG\"}").expect("claims");
        match self.random.random_range(0..12) {
            0..=2 => {
                let token = format!("token {}", self.random.random_range(0..TOKENS));
                encoded(token::Use::new(token.parse().expect("a token")))
            }
            3 => encoded(code::Create::new(claims())),
            4 => match self.pick(self.codes.len()) {
                Some(at) => encoded(code::Use::new(self.codes[at].clone())),
                None => encoded(code::Use::new("NOSUCHCODE22".parse().expect("a code"))),
            },
            5 => encoded(person::Create::new(callsign.parse().expect("a callsign"))),
            6 => encoded(role::Assign { person: named, role: "member".parse().expect("a role") }),
            7 => encoded(pool::Create { owner: Some(named), ..pool::Create::default() }),
            8 => encoded(person::Delete { person: named }),
            9 => match self.pick(self.enrollments.len()) {
                Some(at) => {
                    let enrollment = by_pk(self.enrollments[at]);
                    match self.random.random_bool(0.7) {
                        true => encoded(enrollment::Approve::new(enrollment)),
                        false => encoded(enrollment::Reject { enrollment, reason: None }),
                    }
                }
                None => encoded(code::Create::new(claims())),
            },
            _ => {
                let pool = self.pick(self.pools.len()).map(|at| by_pk(self.pools[at]));
                let create = enrollment::Create::new(callsign.parse().expect("a callsign"));
                encoded(enrollment::Create { pool, ..create })
            }
        }
    }

    /// One of so many, mostly of the latest; sometimes none.
    fn pick(&mut self, count: usize) -> Option<usize> {
        let back = self.random.random_range(0..9);
        count.checked_sub(back + 1)
    }
}

fn by_pk(pk: Pk) -> Reference {
    pk.to_string().parse().expect("a pk")
}

fn encoded<O: Operation>(operation: O) -> (&'static OperationRow, Vec<u8>) {
    (O::ROW, codec::encode(&operation))
}
