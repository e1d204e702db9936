//! Idempotency records: the answer to a write is kept under the caller's idempotency key, for callers that send the write
//! again. Of a bulk write in parts each part's reply is a record of its own, and the idempotency record holds the
//! progress, so a part writes no more than its share of the answer.

use std::sync::Arc;

use enroll_protocol::server::Import;
use enroll_protocol::{Code, Key, Operation as _, Refusal, codec};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::Outcome;
use crate::dispatch::{Progress, Ran, WriteJob};
use enroll_core::context::{Context, Identity};
use enroll_core::fault::Fault;
use enroll_core::identity::CountingSeal;
use enroll_core::model::idempotency::{Kept, KeptPart};
use enroll_core::model::key::{self, Due};
use enroll_core::model::record::{self, ClockState};
use enroll_core::state::overlay::Overlay;
use enroll_core::state::{ReadTxn as _, StoreError, Writes};

/// The idempotency key of one request, and a hash that tells the request from another under the same key.
pub(super) struct Idempotency {
    uid: u32,
    key: Key,
    request: [u8; 16],
    identity: Arc<Identity>,
    /// An idempotency record of this request counts.
    is_there: bool,
    /// The number of parts that are stored.
    stored: usize,
}

/// The parts of a bulk write that are done: its progress, and each part's encoded reply.
#[derive(Default)]
pub(super) struct Parts {
    pub(super) progress: Progress,
    replies: Vec<Vec<u8>>,
}

/// The writes that keep an answer or the progress to it, and the entry of the expiry index that they need.
pub(super) struct Keep {
    pub(super) writes: Writes,
    pub(super) due: Option<Due>,
}

/// The keeper of answers under their idempotency keys.
pub(super) struct Keeper {
    /// Seals them.
    pub(super) seal: CountingSeal,
    /// Those of this batch that still need an entry of the expiry index.
    pub(super) dues: Vec<Due>,
}

/// The sealed content of an idempotency record. The first two have the bytes of a `Result`, which was all there was once.
#[derive(Serialize, Deserialize)]
enum Sealed {
    Reply(Vec<u8>),
    Refusal(Refusal),
    /// The progress as it was stored before parts were records: the units that are done, and the reply so far.
    SoFar(Vec<u8>),
    /// The progress, and the number of parts beside the record.
    Parts {
        progress: Progress,
        count: u32,
        is_whole: bool,
    },
}

impl Idempotency {
    /// `None` where nothing is kept: without a key, in a dry run, and for an import, which remembers itself how far it
    /// has come and whose registry has no answers but those of the file.
    pub(super) fn of(ctx: &Context, job: &dyn WriteJob) -> Option<Self> {
        let is_kept = job.row().number != Import::ROW.number;
        let key = ctx.envelope.key.filter(|_| is_kept && !ctx.envelope.dry_run)?;
        let number = job.row().number.to_be_bytes();
        let actor = ctx.actor_bytes();
        let request = ctx.identity.secrets.request(&[&number, &Zeroizing::new(job.request()), &actor]);
        let identity = Arc::clone(&ctx.identity);
        Some(Self { uid: ctx.peer.uid, key, request, identity, is_there: false, stored: 0 })
    }

    /// The first answer, if the same request was answered before. For a bulk write that is half done, loads the parts
    /// that are stored, from which it goes on.
    pub(super) fn find(
        &mut self,
        batch: &Overlay<'_>,
        ctx: &Context,
        clock: &ClockState,
        job: &dyn WriteJob,
        parts: &mut Parts,
    ) -> Result<Option<Outcome>, Fault> {
        (self.is_there, self.stored) = (false, 0);
        let place = key::kept(self.uid, self.key);
        let Some(first) = record::get::<Kept>(batch, &place)? else { return Ok(None) };
        if clock.written_by(first.at, ctx.now).plus_seconds(ctx.settings.keep_answers_seconds) <= ctx.now {
            return Ok(None);
        }
        if first.request != self.request {
            return Ok(Some(Err(Refusal::new(
                Code::KEY_REUSED,
                "this key was used for a different request; use a new key for every new request",
            ))));
        }
        self.is_there = true;
        let sealed = self.identity.secrets.open_counted(&place, &first.sealed)?;
        Ok(match codec::decode(&sealed).map_err(|err| damaged(&err))? {
            Sealed::Reply(reply) => Some(Ok(reply)),
            Sealed::Refusal(refusal) => Some(Err(refusal)),
            Sealed::SoFar(so_far) => {
                *parts = Parts::of_one(&so_far)?;
                None
            }
            Sealed::Parts { progress, count, is_whole } => {
                self.load(batch, count, parts)?;
                parts.progress = progress;
                is_whole.then(|| parts.join(job)).transpose()?.map(Ok)
            }
        })
    }

    /// True once a part of a bulk write is done: its end is kept, whatever it is.
    pub(super) fn is_begun(&self) -> bool {
        self.is_there
    }

    /// The writes that keep this outcome, or the progress if there is none yet. `None` for a refusal that passes.
    pub(super) fn keep(
        &self,
        batch: &Overlay<'_>,
        ctx: &Context,
        outcome: Option<&Outcome>,
        parts: &Parts,
        seal: &mut CountingSeal,
    ) -> Result<Option<Keep>, Fault> {
        let sealed = match outcome {
            Some(Err(refusal)) if refusal.code.is_passing() => return Ok(None),
            Some(Err(refusal)) => Sealed::Refusal(refusal.clone()),
            Some(Ok(reply)) if parts.replies.is_empty() => Sealed::Reply(reply.clone()),
            _ => Sealed::Parts { progress: parts.progress, count: parts.count(), is_whole: outcome.is_some() },
        };
        let mut keep = Keep { writes: Writes::new(), due: (!self.is_there).then_some(Due::Kept(self.uid, self.key)) };
        let place = key::kept(self.uid, self.key);
        let record = Kept {
            request: self.request,
            at: ctx.now,
            sealed: seal.seal(&place, &Zeroizing::new(codec::encode(&sealed)))?,
        };
        keep.writes.insert(place, Some(record::encode(&record)));
        if !matches!(sealed, Sealed::Parts { .. }) {
            return Ok(Some(keep));
        }
        if self.stored == 0 {
            keep.due = Some(Due::Parts(self.uid, self.key));
            keep.writes.extend(self.leftovers(batch)?);
        }
        for (part, reply) in (0..).zip(&parts.replies).skip(self.stored) {
            let place = key::kept_part(self.uid, self.key, part);
            let record = KeptPart { sealed: seal.seal(&place, reply)? };
            keep.writes.insert(place, Some(record::encode(&record)));
        }
        Ok(Some(keep))
    }

    /// Removes the parts of an earlier call under the same key, which expired and was not swept yet.
    fn leftovers(&self, batch: &Overlay<'_>) -> Result<Writes, StoreError> {
        let (from, to) = key::prefixed(key::kept_parts(self.uid, self.key));
        let parts = batch.range(&from, &to, usize::MAX)?;
        Ok(parts.into_iter().map(|(place, _)| (place, None)).collect())
    }

    /// Reads the replies of the parts that are stored and not in memory: after a restart, or where the same call was sent
    /// twice and the other one has done them.
    fn load(&mut self, batch: &Overlay<'_>, count: u32, parts: &mut Parts) -> Result<(), Fault> {
        parts.replies.truncate(count as usize);
        for part in parts.count()..count {
            let place = key::kept_part(self.uid, self.key, part);
            let Some(KeptPart { sealed }) = record::get(batch, &place)? else {
                return Err(damaged(&format!("part {part} of {count} is missing")).into());
            };
            parts.replies.push(self.identity.secrets.open_counted(&place, &sealed)?.to_vec());
        }
        self.stored = parts.replies.len();
        Ok(())
    }
}

impl Parts {
    /// Adds the part that was run. Returns the outcome of the whole write, if there is one by now.
    pub(super) fn add(&mut self, ran: Result<Ran, Refusal>, job: &dyn WriteJob) -> Result<Option<Outcome>, Fault> {
        let (reply, progress, is_last) = match ran {
            Ok(Ran::Whole(reply)) => return Ok(Some(Ok(reply))),
            Err(refusal) => return Ok(Some(Err(refusal))),
            Ok(Ran::Part(reply, progress)) => (reply, progress, false),
            Ok(Ran::LastPart(reply, progress)) => (reply, progress, true),
        };
        self.replies.push(reply);
        self.progress = progress;
        Ok(is_last.then(|| self.join(job)).transpose()?.map(Ok))
    }

    /// The parts of a progress in its old form, all in one. The reply is a map, which begins with its length: with the
    /// units before it, these are the bytes of a progress.
    fn of_one(so_far: &[u8]) -> Result<Self, StoreError> {
        let (progress, _) = codec::decode_front::<Progress>(so_far).map_err(|err| damaged(&err))?;
        let (_, units_bytes) = codec::decode_front::<u64>(so_far).map_err(|err| damaged(&err))?;
        Ok(Self { progress, replies: vec![so_far.get(units_bytes..).unwrap_or_default().to_vec()] })
    }

    fn count(&self) -> u32 {
        u32::try_from(self.replies.len()).unwrap_or(u32::MAX)
    }

    fn join(&self, job: &dyn WriteJob) -> Result<Vec<u8>, StoreError> {
        job.join(&self.replies)
    }
}

impl Keep {
    /// The bytes of the keys and values.
    pub(super) fn bytes(&self) -> usize {
        self.writes.iter().map(|(key, value)| key.len() + value.as_ref().map_or(0, Vec::len)).sum()
    }
}

fn damaged(why: &dyn std::fmt::Display) -> StoreError {
    StoreError::Corrupt(format!("a kept answer is damaged: {why}"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use enroll_protocol::ExternalKey;

    use super::*;

    #[test]
    fn answers_that_were_kept_before_there_were_parts_can_be_read() {
        let refusal = Refusal::plain(Code::NOT_FOUND);
        let before: [Outcome; 2] = [Ok(vec![1, 2]), Err(refusal.clone())];
        let now = [Sealed::Reply(vec![1, 2]), Sealed::Refusal(refusal)];
        for (before, now) in before.iter().zip(&now) {
            assert_eq!(codec::encode(before), codec::encode(now));
        }
    }

    #[test]
    fn progress_that_was_kept_before_parts_were_records_can_be_read() {
        let reply: BTreeMap<ExternalKey, String> =
            ["a", "b"].map(|key| (key.parse().expect("a key"), "enrolled".to_owned())).into();
        for units in [2_u64, 300, 10_000] {
            let parts = Parts::of_one(&codec::encode(&(units, &reply))).expect("readable");
            assert_eq!(parts.progress, Progress { units, answers: 2 });
            assert_eq!(parts.replies, [codec::encode(&reply)]);
        }
        assert!(Parts::of_one(&[]).is_err());
    }
}
