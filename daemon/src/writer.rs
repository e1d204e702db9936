//! The writer: one thread that runs every write, one commit for all that is queued, answers when it is durable.
//!
//! The base of a batch is a committed view and the batch's own ordered puts and deletes; each request runs on an
//! overlay over that. A refused or panicking request is a dropped overlay and never disturbs its neighbours. Answers,
//! refusals too, leave only after the commit: a refusal may have seen what a neighbour wrote.
//!
//! If a commit fails, nothing more is acknowledged: the batch answers `outcome_unknown` and the writer ends, and with
//! it the process.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use enroll_protocol::{Code, Refusal, codec};
use rand::Rng as _;
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use crate::context::{Context, Daemon, Purpose};
use crate::dispatch::WriteJob;
use crate::fault::Fault;
use crate::model::record::{self, ChangesHead, Kept};
use crate::model::{change::Told, key};
use crate::rules::{Call, attempts, changes};
use crate::store::overlay::Overlay;
use crate::store::{Store, StoreError, Writes};

/// Requests of one commit at most: past this a batch only makes its first members wait.
const BATCH_MAX: usize = 256;

/// Writes that may wait; whoever comes then waits to get in.
pub const QUEUE_MAX: usize = 1024;

/// What a write comes to: the encoded reply, not yet finished, or a refusal.
pub type Outcome = Result<Vec<u8>, Refusal>;

/// Takes the answer of one request. It must only pass it on.
pub type Answer = Box<dyn FnOnce(Outcome) + Send>;

/// The answers of a batch, to be given out now that it is durable.
pub type Answers = Vec<(Answer, Outcome)>;

/// One write, and where its answer goes.
pub struct Request {
    /// Time, randomness, peer.
    pub ctx: Context,
    /// The rule.
    pub job: Box<dyn WriteJob>,
    /// Takes the answer.
    pub answer: Answer,
}

/// The writer's state between batches.
pub struct Writer {
    store: Arc<dyn Store>,
    daemon: Arc<Daemon>,
    head: ChangesHead,
}

impl Writer {
    /// A writer that goes on where the store ends.
    pub fn new(store: Arc<dyn Store>, daemon: Arc<Daemon>, head: ChangesHead) -> Self {
        Self { store, daemon, head }
    }

    /// Serves the queue until it is closed and empty, or until a commit fails. The answers of a batch leave together,
    /// so that whoever gives them out is woken once.
    pub fn run(
        mut self,
        mut queue: mpsc::Receiver<Request>,
        answers: mpsc::UnboundedSender<Answers>,
    ) -> Result<(), StoreError> {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        while queue.blocking_recv_many(&mut batch, BATCH_MAX) > 0 {
            self.daemon.gauges.queue.store(queue.len() as u64, Ordering::Relaxed);
            let (answered, result) = self.serve(batch.drain(..));
            // Where nobody gives out answers any more, nobody waits for one.
            let _ = answers.send(answered);
            if let Err(err) = result {
                queue.close();
                let rest = std::iter::from_fn(|| queue.try_recv().ok());
                let refusal = Refusal::plain(Code::SHUTTING_DOWN);
                let _ = answers.send(rest.map(|request| (request.answer, Err(refusal.clone()))).collect());
                return Err(err);
            }
            self.daemon.gauges.database_bytes.store(self.store.bytes(), Ordering::Relaxed);
        }
        Ok(())
    }

    /// Runs these requests and commits once. After an error nothing may be served any more.
    pub fn serve(&mut self, requests: impl Iterator<Item = Request>) -> (Answers, Result<(), StoreError>) {
        let view = match self.store.view() {
            Ok(view) => view,
            Err(err) => return (requests.map(|request| unknown(request.answer)).collect(), Err(err)),
        };
        let mut batch = Overlay::new(&*view);
        let mut answers = Answers::new();
        for mut request in requests {
            // It may have waited behind later ones: the feed's times, like its numbers, only go up.
            request.ctx.now = request.ctx.now.max(self.head.at);
            let outcome = self.run_one(&mut batch, &request);
            answers.push((request.answer, outcome));
        }
        let (mut writes, _) = batch.into_parts();
        drop(view);
        if !writes.is_empty() {
            writes.insert(key::changes_head(), Some(record::encode(&self.head)));
            if let Err(err) = self.store.commit(&writes) {
                return (answers.into_iter().map(|(answer, _)| unknown(answer)).collect(), Err(err));
            }
        }
        (answers, Ok(()))
    }

    fn run_one(&mut self, batch: &mut Overlay<'_>, request: &Request) -> Outcome {
        let ctx = &request.ctx;
        let kept =
            match Keeping::of(ctx, &*request.job).map(|keeping| keeping.find(batch).map(|found| (keeping, found))) {
                None => None,
                Some(Ok((_, Some(first)))) => return first,
                Some(Ok((keeping, None))) => Some(keeping),
                Some(Err(fault)) => return Err(fault.told(request.job.row())),
            };
        let result = self.run_rule(batch, request);
        let (writes, told, outcome) = match result {
            Ok((_, _, reply)) if ctx.envelope.dry_run => return Ok(reply),
            Ok((writes, told, reply)) => (writes, told, Ok(reply)),
            Err(fault) => {
                let refusal = fault.told(request.job.row());
                match self.remember(batch, request, &fault) {
                    Ok((writes, told)) => (writes, told, Err(refusal)),
                    Err(err) => return Err(Fault::from(err).told(request.job.row())),
                }
            }
        };
        match self.accept(batch, writes, told, kept, &outcome) {
            Ok(()) => outcome,
            Err(fault) => Err(fault.told(request.job.row())),
        }
    }

    /// Runs the rule on an overlay of its own, which is dropped unless it succeeds.
    fn run_rule(&self, batch: &Overlay<'_>, request: &Request) -> Result<(Writes, Vec<Told>, Vec<u8>), Fault> {
        let mut overlay = Overlay::new(batch);
        let ran = catch_unwind(AssertUnwindSafe(|| {
            let call = Call::begin(&overlay, &request.ctx, request.job.row())?;
            request.job.run(&mut overlay, &call)
        }));
        let reply = ran.unwrap_or_else(|panic| Err(Fault::Panic(panic_text(&*panic))))?;
        let (writes, told) = overlay.into_parts();
        Ok((writes, told, reply))
    }

    /// What is remembered of a refused attempt on a code or token, when the rule's own writes are gone.
    fn remember(
        &self,
        batch: &Overlay<'_>,
        request: &Request,
        fault: &Fault,
    ) -> Result<(Writes, Vec<Told>), StoreError> {
        let Fault::Attempt { refusal, subject, guess } = fault else { return Ok(Default::default()) };
        let mut overlay = Overlay::new(batch);
        // The actor was found already, or the rule would not have got as far as the code.
        match Call::begin(&overlay, &request.ctx, request.job.row()) {
            Ok(call) => attempts::remember(&mut overlay, &call, refusal, *subject, *guess)?,
            Err(Fault::Store(err)) => return Err(err),
            Err(_) => {}
        }
        Ok(overlay.into_parts())
    }

    /// Adds a request's writes, changes and kept answer to the batch.
    fn accept(
        &mut self,
        batch: &mut Overlay<'_>,
        writes: Writes,
        told: Vec<Told>,
        keeping: Option<Keeping>,
        outcome: &Outcome,
    ) -> Result<(), Fault> {
        let kept = keeping.map(|keeping| keeping.keep(&self.daemon, outcome)).transpose()?.flatten();
        batch.absorb(writes);
        changes::number(batch, &mut self.head, told);
        if let Some((place, kept)) = kept {
            self.head.at = self.head.at.max(kept.at);
            record::put(batch, place, &kept);
        }
        Ok(())
    }
}

/// The kept answer of one request: its place, and what tells the request from another under the same key.
struct Keeping {
    place: Vec<u8>,
    kept: Kept,
    nonce: [u8; 24],
    daemon: Arc<Daemon>,
}

impl Keeping {
    /// `None` where nothing is kept: without a key, and in a dry run.
    fn of(ctx: &Context, job: &dyn WriteJob) -> Option<Self> {
        let key = ctx.envelope.key.filter(|_| !ctx.envelope.dry_run)?;
        let number = job.row().number.to_be_bytes();
        let actor = ctx.envelope.actor.as_ref().map_or("", |actor| actor.as_str());
        let request = ctx.daemon.secrets.request(&[&number, &Zeroizing::new(job.request()), actor.as_bytes()]);
        let mut nonce = [0; 24];
        ctx.random(Purpose::Keeping).fill_bytes(&mut nonce);
        let kept = Kept { request, at: ctx.now, sealed: Vec::new() };
        Some(Self { place: key::kept(ctx.peer.uid, key), kept, nonce, daemon: Arc::clone(&ctx.daemon) })
    }

    /// The first answer, where this was asked before.
    fn find(&self, batch: &Overlay<'_>) -> Result<Option<Outcome>, Fault> {
        let Some(first) = record::get::<Kept>(batch, &self.place)? else { return Ok(None) };
        if first.at.plus_seconds(self.daemon.settings.keep_answers_seconds) <= self.kept.at {
            return Ok(None);
        }
        if first.request != self.kept.request {
            return Ok(Some(Err(Refusal::new(
                Code::KEY_REUSED,
                "this key was used for a different request; use a new key for every new request",
            ))));
        }
        let outcome = self.daemon.secrets.open(&self.place, &first.sealed)?;
        Ok(Some(codec::decode(&outcome).map_err(|err| StoreError(format!("a kept answer is damaged: {err}")))?))
    }

    /// The record to keep, unless the refusal is one that passes.
    fn keep(self, daemon: &Daemon, outcome: &Outcome) -> Result<Option<(Vec<u8>, Kept)>, Fault> {
        if matches!(outcome, Err(refusal) if refusal.code.is_passing()) {
            return Ok(None);
        }
        let sealed = daemon.secrets.seal(&self.place, self.nonce, &Zeroizing::new(codec::encode(outcome)))?;
        Ok(Some((self.place, Kept { sealed, ..self.kept })))
    }
}

/// Whether it was done will be known when the store is opened again.
fn unknown(answer: Answer) -> (Answer, Outcome) {
    (answer, Err(Refusal::plain(Code::OUTCOME_UNKNOWN)))
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without a text".to_owned())
}
