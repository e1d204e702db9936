//! The writer: group commit. It runs every write, one batch after another with one commit each, and answers a batch once
//! it is durable.
//!
//! The base of a batch is a committed view and the batch's own ordered puts and deletes; each request runs on an
//! overlay over that. A refused or panicking request is a dropped overlay and never disturbs its neighbours. Answers,
//! refusals too, leave only after the commit: a refusal may have seen what a neighbour wrote.
//!
//! A bulk write is run in parts, so many units in each batch, and waits its turn between them. The progress and the reply
//! of each part are kept under its idempotency key, in the same commit as the units: the same call sent again, after a
//! crash or while the first one is still run, goes on from there.
//!
//! Refused look-ups of codes, and the rate limit windows that they changed, are recorded with the next batch.
//!
//! While an import is under way nobody else writes, and nothing happens by itself; when it ends, what was read at the start
//! is read again.
//!
//! While the disk has too little free space, what would write is refused and what writes nothing goes on.
//!
//! If a commit fails, nothing more is acknowledged: the batch answers `outcome_unknown` and the writer ends, and with
//! it the process.

mod attempts;
mod clock;
mod disk_space;
mod idempotency;
mod queue;
mod run;
mod thread;
mod timers;

use std::collections::{BTreeMap, VecDeque};
use std::mem::take;
use std::sync::Arc;

use enroll_protocol::server::Import;
use enroll_protocol::{Code, Kind, Operation as _, Refusal, Time};

use crate::daemon::Daemon;
use crate::daemon::clock::Moment;
use crate::daemon::internal_error::to_refusal;
use crate::dispatch::WriteJob;
use disk_space::FreeSpace;
use enroll_core::context::Context;
use enroll_core::fault::Fault;
use enroll_core::identity::CountingSeal;
use enroll_core::model::change::ChangeEvent;
use enroll_core::model::key;
use enroll_core::model::record::{self, Chain, ChangesHead};
use enroll_core::needs::Needed;
use enroll_core::rules::{changes, expiry, seating};
use enroll_core::settings::Settings;
use enroll_core::state::overlay::Overlay;
use enroll_core::state::{Store, StoreError, Writes};
use idempotency::{Idempotency, Keep, Keeper, Parts};
pub use queue::{Inbox, QUEUE_MAX, Queue, SendError, queue};
use run::run_rule;
pub use thread::WriterThread;
use timers::SweepPlan;

/// Requests of one commit at most: past this a batch only makes its first members wait.
const BATCH_MAX: usize = 256;

/// Units of bulk writes in one batch: with the commit they take a few milliseconds, and others wait for no more than
/// two such batches.
pub const UNITS_MAX: usize = 32;

/// The outcome of a write: the encoded reply, not yet finished, or a refusal.
pub type Outcome = Result<Vec<u8>, Refusal>;

/// The end of a request in the writer.
pub enum Ended {
    /// It has an answer.
    Outcome(Outcome),
    /// Something must be made first. Nothing was written; the request is to be sent again with it in its context.
    Needs(Needed, Box<Write>),
}

/// A write without the receiver of its answer.
pub type Write = (Context, Arc<dyn WriteJob>);

/// Takes the end of one request. It must only pass it on.
pub type Answer = Box<dyn FnOnce(Ended) + Send>;

/// The ends of a batch's requests, to be given out now that the batch is durable.
pub type Answers = Vec<(Answer, Ended)>;

/// One request, and where its answer goes.
pub struct Request {
    /// Time, randomness, peer.
    pub ctx: Context,
    /// The rule to run.
    pub job: Arc<dyn WriteJob>,
    /// Takes the answer.
    pub answer: Answer,
}

/// A request that is being run.
struct Running {
    request: Request,
    /// Its idempotency key, if it has one; made when it is first run.
    keeping: Option<Idempotency>,
    /// The parts of a bulk write that are done.
    parts: Parts,
}

/// The result of one run of a request.
enum Step {
    Answered(Outcome),
    /// Something must be made first.
    Needs(Needed),
    /// There is more to do.
    Unfinished,
}

/// The writer's state between batches.
pub struct Writer {
    store: Arc<dyn Store>,
    daemon: Arc<Daemon>,
    head: ChangesHead,
    /// The time of the latest write. No later write has an earlier time, but for a step of the clock.
    time: Time,
    /// By how many seconds the clock was set, where that is not recorded yet.
    step: Option<i64>,
    /// The warnings on the last step since the start, and on a clock that is doubted.
    stepped: Option<String>,
    doubt: Option<String>,
    /// A start has found something about the clock that is not written yet.
    is_clock_news: bool,
    /// The configuration that what is due was planned by.
    settings: Arc<Settings>,
    sweep: SweepPlan,
    /// The time at which the next event is due.
    event_at: Option<Time>,
    space: FreeSpace,
    /// Keeps answers under idempotency keys.
    keeper: Keeper,
    /// The bytes that each uid's calls have written in this batch.
    written: BTreeMap<u32, u64>,
    /// An import is under way: nobody else writes, and nothing happens by itself.
    importing: bool,
    /// It has ended with this batch.
    imported: bool,
    /// Bulk writes that have more to do, in the order of their turns.
    unfinished: VecDeque<Running>,
}

impl Writer {
    /// A writer that goes on where the store ends. The seal is that of kept answers, and nobody else's.
    pub fn new(store: Arc<dyn Store>, daemon: Arc<Daemon>, seal: CountingSeal) -> Result<Self, StoreError> {
        let view = store.view()?;
        let settings = daemon.settings.now();
        let head = changes::head(&*view)?;
        let sweep = SweepPlan::of(&*view, &settings, &head, head.at)?;
        let event_at = seating::next_due(&*view)?;
        let importing = view.get(&key::importing())?.is_some();
        daemon.guesses.lock().load(&*view)?;
        drop(view);
        let mut writer = Self {
            store,
            daemon,
            time: head.at,
            step: None,
            stepped: None,
            doubt: None,
            is_clock_news: false,
            head,
            settings,
            sweep,
            event_at,
            space: FreeSpace::unknown(),
            keeper: Keeper { seal, dues: Vec::new() },
            written: BTreeMap::new(),
            importing,
            imported: false,
            unfinished: VecDeque::new(),
        };
        writer.tell_doubt(None);
        Ok(writer)
    }

    /// The time at which something is due by itself.
    pub(crate) fn due(&self) -> Option<Time> {
        let is_due = self.is_busy() || self.is_clock_news || (self.step.is_some() && !self.importing);
        let (sweep, event) = match self.head.clock.doubted_since {
            None => (self.sweep.wakes_at(), self.event_at),
            Some(since) => (None, self.event_at.filter(|at| *at <= since)),
        };
        let by_itself = sweep.into_iter().chain(event).filter(|_| !self.importing);
        by_itself.chain(is_due.then_some(Time::EPOCH)).min()
    }

    /// The number of the latest change.
    pub fn head(&self) -> u64 {
        self.head.seq
    }

    /// True if a bulk write was begun and has more to do.
    pub fn is_busy(&self) -> bool {
        !self.unfinished.is_empty()
    }

    /// Runs these requests, removes some of what is due now, and commits once. After an error nothing may be served any
    /// more.
    pub fn serve(&mut self, requests: impl Iterator<Item = Request>, now: Time) -> (Answers, Result<(), StoreError>) {
        let view = match self.store.view() {
            Ok(view) => view,
            Err(err) => {
                let unfinished = take(&mut self.unfinished).into_iter().map(|running| running.request);
                return (unfinished.chain(requests).map(|request| unknown(request.answer)).collect(), Err(err));
            }
        };
        self.take_settings(now);
        self.space.look(&*self.store, &self.settings);
        let mut batch = Overlay::new(&*view);
        let has_stepped = self.step.is_some();
        if let Err(fault) = self.take_step(&mut batch, now) {
            tracing::error!(%fault, "records can not be put in order after a step of the clock; the next step tries again");
        }
        let now = now.max(self.time);
        let answers = self.run_batch(&mut batch, requests, now);
        if let Err(fault) = self.let_time_pass(&mut batch, now) {
            tracing::error!(%fault, "settling a due event failed; those after it wait, retrying in a minute");
        }
        if let Err(fault) = self.sweep(&mut batch, now) {
            tracing::error!(%fault, "expired records can not be removed; it is tried again after the next write");
        }
        let writes = batch.into_writes();
        drop(view);
        let done = match take(&mut self.is_clock_news) || !writes.is_empty() {
            true => self.commit(writes, now, has_stepped),
            // What only looked counts if nobody else has written meanwhile.
            false if !answers.is_empty() => self.store.confirm(),
            false => Ok(()),
        };
        if let Err(err) = done {
            let unfinished = take(&mut self.unfinished).into_iter().map(|running| running.request.answer);
            let asked = answers.into_iter().map(|(answer, _)| answer);
            return (asked.chain(unfinished).map(unknown).collect(), Err(err));
        }
        (answers, Ok(()))
    }

    /// Runs the requests of a batch, the bulk writes that were begun before them first.
    fn run_batch(&mut self, batch: &mut Overlay<'_>, requests: impl Iterator<Item = Request>, now: Time) -> Answers {
        self.record_attempts(batch, now);
        self.daemon.end_alarms(now);
        let (identity, doubted_since) = (self.daemon.identity.now(), *self.daemon.doubted_since.now());
        let mut answers = Answers::new();
        let begun = take(&mut self.unfinished);
        let mut units = UNITS_MAX;
        for mut running in begun.into_iter().chain(requests.map(Running::new)) {
            // It may have waited after later ones, or have come before a step of the clock.
            self.time = running.request.ctx.now.clamp(self.time, now);
            running.request.ctx.now = self.time;
            // Since it was sent, an import or a rotation may have brought other keys.
            (running.request.ctx.identity, running.request.ctx.doubted_since) = (Arc::clone(&identity), doubted_since);
            match self.run_write(batch, &mut running, &mut units) {
                Step::Answered(outcome) => answers.push((running.request.answer, Ended::Outcome(outcome))),
                Step::Needs(needed) => {
                    let Request { ctx, job, answer } = running.request;
                    answers.push((answer, Ended::Needs(needed, Box::new((ctx, job)))));
                }
                Step::Unfinished => self.unfinished.push_back(running),
            }
        }
        self.unfinished.rotate_left(usize::from(self.is_busy()));
        // One expiry entry for all of them: their deadlines differ by less than a batch takes.
        let due = self.time.plus_seconds(self.settings.keep_answers_seconds);
        expiry::plan_together(batch, due, &take(&mut self.keeper.dues));
        if !answers.is_empty() {
            self.daemon.metrics.batch(answers.len());
        }
        answers
    }

    /// Commits a batch, and reads back what the daemon keeps in memory of it.
    fn commit(&mut self, mut writes: Writes, now: Time, has_stepped: bool) -> Result<(), StoreError> {
        let doubted_before = *self.daemon.doubted_since.now();
        writes.insert(key::changes_head(), Some(record::encode(&self.head)));
        let begun = Moment::now();
        self.store.commit(&writes)?;
        self.daemon.committed(begun.elapsed_seconds());
        self.daemon.metrics.database_bytes.set(self.store.bytes());
        self.daemon.written.add(now, take(&mut self.written));
        self.tell_doubt(doubted_before);
        self.plan_sweep(&writes, now);
        self.event_at = self.event_at.into_iter().chain(seating::first_due(&writes)).min();
        let read_back = self.daemon.applied(&*self.store, &writes);
        // After a step of the clock other keys may be in use.
        if has_stepped && let Err(err) = self.daemon.read_keys(&*self.store) {
            tracing::error!(%err, "the keys that sign can not be read back; those of before sign until a restart");
        }
        if take(&mut self.imported)
            && let Err(err) = read_back.and_then(|()| Ok(self.take_imported()?))
        {
            tracing::error!(%err, "the keys of an import can not be read back; writes are refused until a restart");
        }
        Ok(())
    }

    /// With another configuration other things may be due.
    fn take_settings(&mut self, now: Time) {
        let settings = self.daemon.settings.now();
        if !Arc::ptr_eq(&self.settings, &settings) {
            self.settings = settings;
            self.sweep.look_at_once(now);
        }
    }

    /// Other things may be due after an import.
    fn take_imported(&mut self) -> Result<(), StoreError> {
        let view = self.store.view()?;
        self.sweep = SweepPlan::of(&*view, &self.settings, &self.head, self.time)?;
        self.event_at = seating::next_due(&*view)?;
        self.importing = false;
        tracing::info!(latest = self.head.seq, "an import is finished");
        Ok(())
    }

    fn run_write(&mut self, batch: &mut Overlay<'_>, running: &mut Running, units: &mut usize) -> Step {
        let Running { request: Request { ctx, job, .. }, keeping, parts } = running;
        if job.row().kind == Kind::Bulk && *units == 0 {
            return Step::Unfinished;
        }
        if self.importing && job.row().number != Import::ROW.number {
            let why = "an import is under way; wait until it has ended, or begin it again if it was interrupted";
            return Step::Answered(Err(Refusal::new(Code::CONFLICT, why)));
        }
        if keeping.is_none() {
            *keeping = Idempotency::of(ctx, &**job);
        }
        let found = keeping.as_mut().map(|keeping| keeping.find(batch, ctx, &self.head.clock, &**job, parts));
        match found.transpose().map(Option::flatten) {
            Ok(None) => {}
            Ok(Some(first)) => return Step::Answered(first),
            Err(fault) => return Step::Answered(Err(to_refusal(&fault, job.row(), &ctx.peer))),
        }
        let (writes, events, ran) = match run_rule(&self.daemon, batch, ctx, &**job, parts.progress, units) {
            Ok((_, _, ran)) if ctx.envelope.dry_run => (Writes::new(), Vec::new(), Ok(ran)),
            Ok((writes, events, ran)) => (writes, events, Ok(ran)),
            Err(Fault::Needs(needed)) => return Step::Needs(needed),
            Err(fault) => {
                let refusal = to_refusal(&fault, job.row(), &ctx.peer);
                match self.refused(batch, ctx, &**job, &fault) {
                    Ok(()) => (Writes::new(), Vec::new(), Err(refusal)),
                    Err(fault) => return Step::Answered(Err(to_refusal(&fault, job.row(), &ctx.peer))),
                }
            }
        };
        let accepted = parts.add(ran, &**job).and_then(|outcome| {
            let is_kept = |keeping: &&Idempotency| keeping.is_begun() || self.may_keep(ctx, outcome.as_ref());
            let (kept, seal) = (keeping.as_ref().filter(is_kept), &mut self.keeper.seal);
            let keep = kept.map(|keeping| keeping.keep(batch, ctx, outcome.as_ref(), parts, seal));
            self.accept(batch, ctx, (writes, events), keep.transpose()?.flatten())?;
            Ok(outcome)
        });
        match accepted {
            Ok(Some(outcome)) => Step::Answered(outcome),
            Ok(None) => {
                ctx.advance_seed();
                Step::Unfinished
            }
            Err(fault) => Step::Answered(Err(to_refusal(&fault, job.row(), &ctx.peer))),
        }
    }

    /// Adds a request's writes, changes and what is kept of it to the batch, if the disk has space for them.
    fn accept(
        &mut self,
        batch: &mut Overlay<'_>,
        ctx: &Context,
        (writes, events): (Writes, Vec<ChangeEvent>),
        keep: Option<Keep>,
    ) -> Result<(), Fault> {
        let mut bytes = match writes.is_empty() && events.is_empty() && keep.is_none() {
            true => 0,
            false => self.space.take(&writes, keep.as_ref().map_or(0, Keep::bytes), &self.settings)?,
        };
        // Nobody but an import writes these themselves.
        if let Some(Some(head)) = writes.get(&key::changes_head()) {
            // Changes of another registry are not of this one's chain.
            let read = record::decode::<ChangesHead>(head)?;
            self.head = ChangesHead { clock: take(&mut self.head.clock), chain: Chain::after(read.seq), ..read };
        }
        if let Some(mark) = writes.get(&key::importing()) {
            (self.importing, self.imported) = (true, mark.is_none());
        }
        batch.absorb(writes);
        bytes += changes::number(batch, &ctx.identity.secrets, &mut self.head, events);
        if let Some(Keep { writes, due }) = keep {
            self.head.at = ctx.now;
            self.keeper.dues.extend(due);
            batch.absorb(writes);
        }
        if bytes > 0 {
            self.add_written(ctx.peer.uid, bytes);
        }
        Ok(())
    }
}

impl Running {
    fn new(request: Request) -> Self {
        Self { request, keeping: None, parts: Parts::default() }
    }
}

/// The end of a write after a failed commit: recovery at the next start finds out if it was done.
fn unknown(answer: Answer) -> (Answer, Ended) {
    (answer, Ended::Outcome(Err(Refusal::plain(Code::OUTCOME_UNKNOWN))))
}
