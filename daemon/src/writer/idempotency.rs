//! The kept answer of a write under its idempotency key; of a bulk write that is not whole yet, how far it has come.

use std::sync::Arc;

use enroll_protocol::server::Import;
use enroll_protocol::{Code, Operation as _, Refusal, codec};
use rand::Rng as _;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::Outcome;
use crate::dispatch::{Ran, WriteJob};
use enroll_core::context::{Context, Identity, Purpose};
use enroll_core::fault::Fault;
use enroll_core::model::key::Due;
use enroll_core::model::record::{self, ClockState, Kept};
use enroll_core::state::overlay::Overlay;
use enroll_core::state::{StoreError, WriteTxn as _};

/// Where one request's answer is kept, and what tells the request from another under the same key.
pub(super) struct Keeping {
    due: Due,
    place: Vec<u8>,
    request: [u8; 16],
    identity: Arc<Identity>,
}

/// What lies under a key.
pub(super) enum Found {
    /// Nothing that counts.
    Nothing,
    /// The first answer.
    Answer(Outcome),
    /// How far it has come.
    SoFar(Vec<u8>),
}

/// What is sealed. The first two have the bytes of a `Result`, which was all there was once.
#[derive(Serialize, Deserialize)]
enum Sealed {
    Reply(Vec<u8>),
    Refusal(Refusal),
    SoFar(Vec<u8>),
}

impl Keeping {
    /// `None` where nothing is kept: without a key, in a dry run, and for an import, which remembers itself how far it
    /// has come and whose registry has no answers but those of the file.
    pub(super) fn of(ctx: &Context, job: &dyn WriteJob) -> Option<Self> {
        let is_kept = job.row().number != Import::ROW.number;
        let key = ctx.envelope.key.filter(|_| is_kept && !ctx.envelope.dry_run)?;
        let number = job.row().number.to_be_bytes();
        let actor = codec::encode(&ctx.envelope.actor);
        let request = ctx.identity.secrets.request(&[&number, &Zeroizing::new(job.request()), &actor]);
        let due = Due::Kept(ctx.peer.uid, key);
        Some(Self { place: due.key(), due, request, identity: Arc::clone(&ctx.identity) })
    }

    /// What was kept, where this was asked before.
    pub(super) fn find(&self, batch: &Overlay<'_>, ctx: &Context, clock: &ClockState) -> Result<Found, Fault> {
        let Some(first) = record::get::<Kept>(batch, &self.place)? else { return Ok(Found::Nothing) };
        if clock.written_by(first.at, ctx.now).plus_seconds(ctx.settings.keep_answers_seconds) <= ctx.now {
            return Ok(Found::Nothing);
        }
        if first.request != self.request {
            return Ok(Found::Answer(Err(Refusal::new(
                Code::KEY_REUSED,
                "this key was used for a different request; use a new key for every new request",
            ))));
        }
        let sealed = self.identity.secrets.open(&self.place, &first.sealed)?;
        let sealed =
            codec::decode(&sealed).map_err(|err| StoreError::Corrupt(format!("a kept answer is damaged: {err}")))?;
        Ok(match sealed {
            Sealed::Reply(reply) => Found::Answer(Ok(reply)),
            Sealed::Refusal(refusal) => Found::Answer(Err(refusal)),
            Sealed::SoFar(so_far) => Found::SoFar(so_far),
        })
    }

    /// What to keep, unless it is a refusal that passes.
    pub(super) fn record(&self, ctx: &Context, ran: &Result<Ran, Refusal>) -> Result<Option<Kept>, Fault> {
        let sealed = match ran {
            Err(refusal) if refusal.code.is_passing() => return Ok(None),
            Err(refusal) => Sealed::Refusal(refusal.clone()),
            Ok(Ran::Whole(reply)) => Sealed::Reply(reply.clone()),
            Ok(Ran::Part(so_far)) => Sealed::SoFar(so_far.clone()),
        };
        let mut nonce = [0; 24];
        ctx.random(Purpose::Keeping).fill_bytes(&mut nonce);
        let sealed = self.identity.secrets.seal(&self.place, nonce, &Zeroizing::new(codec::encode(&sealed)))?;
        Ok(Some(Kept { request: self.request, at: ctx.now, sealed }))
    }

    /// Keeps it, and tells what will be due then, unless what lay there before has planned it.
    pub(super) fn keep(&self, batch: &mut Overlay<'_>, kept: &Kept, is_first: bool) -> Option<Due> {
        batch.put(self.place.clone(), record::encode(kept));
        is_first.then_some(self.due)
    }
}

#[cfg(test)]
mod tests {
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
}
