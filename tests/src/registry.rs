//! A registry without sockets, threads or a clock: the rules, the writer and a store, called one request at a time.
//!
//! Every write is first run twice on the same base, and both runs must give the same writes and the same answer: a rule
//! that depends on anything but its state, its context and its request fails here.

pub(crate) mod foundation;
mod on_view;

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex};

use enroll_core::context::{Context, Grant, Identity, Peer};
use enroll_core::model::certificate::ListHead;
use enroll_core::model::key::{self, WITHOUT_ORDER};
use enroll_core::model::record;
use enroll_core::rules::bootstrap::{self, RegistryError};
use enroll_core::rules::{self, authority, changes};
use enroll_core::settings::Settings;
use enroll_core::state::memory::MemoryStore;
use enroll_core::state::{Store, StoreError};
use enroll_protocol::encoding::Encoding;
use enroll_protocol::frame::{Frame, FrameKind};
use enroll_protocol::{Envelope, Operation, Refusal, StreamOperation, Time, codec};
use enrolld::config::Config;
use enrolld::daemon::Daemon;
use enrolld::daemon::clock::Clock;
use enrolld::dispatch::{self, Handler, Items, Job, Look, StreamJob, WalkJob, WriteJob};
use enrolld::storage::journal::{JournalOptions, JournalStore};
use enrolld::storage::redb::{RedbOptions, RedbStore};
use enrolld::writer::{self, Ended, Inbox, Outcome, Queue, Request, Writer, WriterThread};

use crate::machine::{Machine, Platters};
use foundation::{begin, found, seal, secrets};

/// The secret key of every registry of a test.
pub const KEY: [u8; 32] = [42; 32];

/// The time at which every registry of a test begins.
pub const BEGIN_MICROS: i64 = 1_800_000_000_000_000;

/// A registry, and who is asking it and when.
pub struct Registry {
    /// The time of the next call.
    pub now: Time,
    /// The peer of the next call.
    pub peer: Peer,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) daemon: Arc<Daemon>,
    writer: Writer,
    calls: u64,
}

/// A stream that was begun.
pub struct Stream {
    /// The encoded request that begins in the same place.
    pub begun: Vec<u8>,
    job: Box<dyn StreamJob>,
    ctx: Context,
}

impl Registry {
    /// An empty registry in memory.
    pub fn in_memory() -> Self {
        Self::over(Arc::new(MemoryStore::default()), &Config::default())
    }

    /// An empty registry in memory, configured.
    pub fn configured(config: &Config) -> Self {
        Self::over(Arc::new(MemoryStore::default()), config)
    }

    /// An empty registry in memory with settings that no configuration gives.
    pub fn with_settings(change: impl FnOnce(&mut Settings)) -> Self {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
        let mut settings = Config::default().settings(Path::new("/nowhere"));
        change(&mut settings);
        found(&*store).expect("a registry");
        Self::open(store, settings).expect("a registry")
    }

    /// An empty registry in a redb database in this directory.
    pub fn in_redb(directory: &Path) -> Self {
        let mut options = std::fs::OpenOptions::new();
        let file =
            options.read(true).write(true).create_new(true).open(directory.join("enrolld.redb")).expect("a file");
        let options = RedbOptions { cache_bytes: 1 << 20, verify: true };
        Self::over(Arc::new(RedbStore::open(file, options).expect("a database")), &Config::default())
    }

    /// An empty registry in a journal in front of a database, and their store, which is flushed when somebody does.
    /// Segments are small.
    pub fn in_journal() -> (Self, Arc<JournalStore>) {
        let redb = RedbOptions { cache_bytes: 1 << 20, verify: true };
        let journal =
            JournalOptions { segment_bytes: 16 << 10, memory_bytes: 16 << 20, unordered: WITHOUT_ORDER, identity: 1 };
        let store = Machine::holding(Platters::default()).open(redb, journal).map(Arc::new).expect("a store");
        (Self::over(store.clone(), &Config::default()), store)
    }

    /// A new registry in an empty store.
    pub fn over(store: Arc<dyn Store>, config: &Config) -> Self {
        found(&*store).expect("a registry");
        Self::open(store, config.settings(Path::new("/nowhere"))).expect("a registry")
    }

    /// A new registry in an empty store.
    pub fn in_store(store: Arc<dyn Store>) -> Self {
        Self::over(store, &Config::default())
    }

    /// The registry that a store holds already.
    pub fn reopened(store: Arc<dyn Store>) -> Self {
        Self::open(store, Config::default().settings(Path::new("/nowhere"))).expect("a registry")
    }

    /// Starts a store's registry: a new one in an empty store, else the one it holds.
    pub fn started(store: Arc<dyn Store>) -> Result<Self, RegistryError> {
        if !bootstrap::verify(&*store.view()?, Some(&secrets()))? {
            found(&*store)?;
        }
        Self::open(store, Config::default().settings(Path::new("/nowhere")))
    }

    /// Starts the registry that a store holds now, to follow this one: time goes on, and no random bytes come again.
    pub fn restarted(&self, store: Arc<dyn Store>) -> Result<Self, RegistryError> {
        let next = Self::open(store, (*self.daemon.settings.now()).clone())?;
        Ok(Self { now: self.now, peer: self.peer.clone(), calls: self.calls, ..next })
    }

    /// With other random bytes than registries of other numbers.
    #[must_use]
    pub fn with_randomness(self, number: u64) -> Self {
        Self { calls: number << 32, ..self }
    }

    fn open(store: Arc<dyn Store>, settings: Settings) -> Result<Self, RegistryError> {
        // No pk of before is made again, as if the system's randomness had run on.
        let (now, secrets) = (begin().max(changes::head(&*store.view()?)?.at), secrets());
        let keys = bootstrap::key_ring(&*store.view()?, &secrets)?;
        let authority = authority::open(&*store.view()?, &secrets)?.ok_or(RegistryError::None)?;
        let identity = Identity { secrets: secrets.into(), keys: keys.into(), authority: authority.into() };
        let daemon = Arc::new(Daemon::new(settings, identity, now));
        let writer = Writer::new(Arc::clone(&store), Arc::clone(&daemon), seal())?;
        Ok(Self {
            now,
            peer: Peer {
                uid: 1000,
                pid: 1,
                connection: 1,
                grant: Grant::Admin,
                delegation: Arc::default(),
                member: None,
            },
            store,
            daemon,
            writer,
            calls: 0,
        })
    }

    /// Replaces the configuration, as a reload does.
    pub fn reload(&self, config: &Config) {
        self.daemon.settings.replace(config.settings(Path::new("/nowhere")));
    }

    /// Begins anew with what was committed, as a daemon that was started again.
    pub fn restart(&mut self) {
        self.writer = Writer::new(Arc::clone(&self.store), Arc::clone(&self.daemon), seal()).expect("a writer");
    }

    /// The same with a clock that was set meanwhile, and that the kernel calls synchronised or not.
    pub fn restart_at(&mut self, now: Time, is_unsynchronised: bool) {
        self.now = now;
        self.restart();
        self.writer.start_at(now, is_unsynchronised);
    }

    /// The head of the revoked certificates.
    pub fn list_head(&self) -> ListHead {
        let view = self.store.view().expect("a view");
        record::get(&*view, &key::list_head()).expect("readable").expect("a head")
    }

    /// Sets the clock to another time, which the writer sees when it serves next.
    pub fn set_clock(&mut self, now: Time) {
        self.set_clock_by(now.seconds() - self.now.seconds());
        self.now = now;
    }

    /// Sets the clock, forward or back; the writer sees it when it serves next.
    pub fn set_clock_by(&mut self, seconds: i64) {
        self.now = Time::from_micros(self.now.micros() + seconds * 1_000_000).expect("a time");
        self.writer.clock_stepped(seconds);
    }

    /// Lets time pass.
    pub fn pass_seconds(&mut self, seconds: u64) {
        self.now = self.now.plus_seconds(seconds);
    }

    /// Calls an operation.
    pub fn call<O: Operation>(&mut self, operation: O) -> Result<O::Reply, Refusal> {
        self.call_with(Envelope::default(), operation)
    }

    /// Calls an operation on behalf of a person.
    pub fn call_as<O: Operation>(&mut self, actor: &str, operation: O) -> Result<O::Reply, Refusal> {
        let actor = Some(actor.parse().expect("an actor"));
        self.call_with(Envelope { actor, ..Envelope::default() }, operation)
    }

    /// Calls an operation with an envelope of one's own.
    pub fn call_with<O: Operation>(&mut self, envelope: Envelope, operation: O) -> Result<O::Reply, Refusal> {
        let reply = self.call_encoded(envelope, O::ROW.number, &codec::encode(&operation))?;
        Ok(codec::decode(&reply).expect("a reply of its type"))
    }

    /// Begins a stream.
    pub fn begin<O: StreamOperation>(&mut self, envelope: Envelope, operation: &O) -> Result<Stream, Refusal> {
        self.begin_body(O::ROW.number, &body(&envelope, &codec::encode(operation)))
    }

    /// Begins a stream by its number, with the body of its frame.
    pub fn begin_body(&mut self, number: u16, body: &[u8]) -> Result<Stream, Refusal> {
        let (handler, job, ctx) = self.admitted(number, body)?;
        let Job::Look(Look::Items(Items::Stream(mut job))) = job else { panic!("{} is no stream", handler.row.name) };
        let begun = job.start(&*self.store.view().expect("a view"), &ctx).map_err(|fault| fault.refusal())?;
        Ok(Stream { job, ctx, begun })
    }

    /// The next items of a stream.
    pub fn step<O: StreamOperation>(&self, stream: &mut Stream) -> Result<Vec<O::Reply>, Refusal> {
        let items = self.step_encoded(stream)?;
        Ok(items.iter().map(|item| codec::decode(item).expect("an item of its type")).collect())
    }

    /// The next items of a stream, encoded.
    pub fn step_encoded(&self, stream: &mut Stream) -> Result<Vec<Vec<u8>>, Refusal> {
        let view = self.store.view().expect("a view");
        stream.job.next(&*view, &stream.ctx).map_err(|fault| fault.refusal())
    }

    /// All items of a walk.
    pub fn walk<O: Operation>(&mut self, envelope: Envelope, operation: &O) -> Result<Vec<O::Reply>, Refusal> {
        let (handler, job, ctx) = self.admitted(O::ROW.number, &body(&envelope, &codec::encode(operation)))?;
        let Job::Look(Look::Items(Items::Walk(job))) = job else { panic!("{} is no walk", handler.row.name) };
        let items = self.items(&*job, ctx)?;
        Ok(items.iter().map(|item| codec::decode(item).expect("an item of its type")).collect())
    }

    /// Calls an operation by its number, with its request's bytes.
    pub fn call_encoded(&mut self, envelope: Envelope, number: u16, request: &[u8]) -> Outcome {
        self.call_body(number, &body(&envelope, request))
    }

    /// Calls an operation by its number, with the body of its frame; of a stream, where it begins.
    pub fn call_body(&mut self, number: u16, body: &[u8]) -> Outcome {
        let (handler, job, ctx) = self.admitted(number, body)?;
        match job {
            Job::Look(look) => {
                let view = self.store.view().expect("a view");
                let outcome = match look {
                    Look::Read(job) | Look::Scan(job) => dispatch::run_read(&*job, &self.daemon, &*view, ctx),
                    Look::Items(Items::Stream(mut job)) => job.start(&*view, &ctx),
                    Look::Items(Items::Walk(job)) => return Ok(self.items(&*job, ctx)?.swap_remove(0)),
                };
                outcome.map_err(|fault| fault.refusal())
            }
            Job::Write(job) => {
                let reply = self.write(ctx, job)?;
                match handler.finish {
                    Some(finish) => Ok(finish(&reply, &self.daemon.identity.now().keys).expect("finished")),
                    None => Ok(reply),
                }
            }
        }
    }

    /// A write as the writer takes it.
    pub fn request<O: Operation>(
        &mut self,
        envelope: Envelope,
        operation: &O,
        answer: impl FnOnce(Outcome) + Send + 'static,
    ) -> Request {
        self.request_encoded(envelope, O::ROW.number, &codec::encode(operation), answer)
    }

    /// A write as the writer takes it, by its number and with its request's bytes.
    pub fn request_encoded(
        &mut self,
        envelope: Envelope,
        number: u16,
        request: &[u8],
        answer: impl FnOnce(Outcome) + Send + 'static,
    ) -> Request {
        let handler = dispatch::handler(number).expect("a handler");
        match (handler.job)(request).expect("a request") {
            Job::Write(job) => {
                job.check().expect("arguments that are accepted");
                let answer = move |ended| match ended {
                    Ended::Outcome(outcome) => answer(outcome),
                    Ended::Needs(needed, _) => panic!("{needed:?} must be made first"),
                };
                Request { ctx: self.context(envelope).expect("a context"), job, answer: Box::new(answer) }
            }
            Job::Look(_) => panic!("{} is no write", handler.row.name),
        }
    }

    /// Has the writer serve a batch.
    pub fn serve(&mut self, requests: impl IntoIterator<Item = Request>) -> Result<(), StoreError> {
        let (answers, result) = self.writer.serve(requests.into_iter(), self.now);
        answers.into_iter().for_each(|(answer, ended)| answer(ended));
        result
    }

    /// A writer thread by this clock, not yet started, and where its requests go.
    pub fn writer_thread(&self, clock: Clock) -> (Queue, WriterThread) {
        let (queue, inbox) = writer::queue();
        (queue, self.writer_thread_of(inbox, clock))
    }

    /// The same of a queue that there is already.
    pub fn writer_thread_of(&self, inbox: Inbox, clock: Clock) -> WriterThread {
        let writer = Writer::new(Arc::clone(&self.store), Arc::clone(&self.daemon), seal()).expect("a writer");
        WriterThread::new(writer, inbox, clock, || {})
    }

    /// A clock that begins at the time of the next call.
    pub fn clock(&self) -> Clock {
        let clock = Clock::default();
        clock.set_by_seconds(self.now.seconds() - clock.now().seconds() + 1);
        clock
    }

    /// Lets the writer wake by itself, as it does when something is due.
    pub fn wake(&mut self) {
        self.serve([]).expect("committed");
    }

    /// Everything that `server check` finds.
    pub fn violations(&self) -> Vec<String> {
        let violations =
            rules::check::violations(&*self.store.view().expect("a view"), Some(&self.daemon.identity.now().secrets))
                .expect("checked");
        violations.into_iter().map(|v| format!("{} {}: {}", v.invariant, v.subject, v.message)).collect()
    }

    /// The store, to look at.
    pub fn store(&self) -> &dyn Store {
        &*self.store
    }

    fn items(&self, job: &dyn WalkJob, ctx: Context) -> Result<Vec<Vec<u8>>, Refusal> {
        let mut items = Vec::new();
        let view = self.store.view().expect("a view");
        let walked = dispatch::run_walk(job, &self.daemon, &*view, ctx, &mut |item| {
            items.push(item);
            ControlFlow::Continue(())
        });
        walked.map(|()| items).map_err(|fault| fault.refusal())
    }

    /// Decodes and admits a request's frame, as the daemon does before it reads any state.
    fn admitted(&mut self, operation: u16, body: &[u8]) -> Result<(&'static Handler, Job, Context), Refusal> {
        let frame = Frame { kind: FrameKind::Request, operation, id: 1, body };
        let (handler, envelope, job) = dispatch::request(&frame, Encoding::Binary, &self.peer)?;
        Ok((handler, job, self.context(envelope)?))
    }

    fn context(&mut self, envelope: Envelope) -> Result<Context, Refusal> {
        self.calls += 1;
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&self.calls.to_be_bytes());
        self.daemon.context(self.now, seed, self.peer.clone(), envelope)
    }

    fn write(&mut self, mut ctx: Context, mut job: Arc<dyn WriteJob>) -> Outcome {
        loop {
            self.expect_same_twice(&ctx, &*job);
            match self.run(ctx, job) {
                Ended::Outcome(outcome) => return outcome,
                Ended::Needs(needed, write) => {
                    (ctx, job) = *write;
                    let made = dispatch::make(&needed, &self.daemon, &*self.store.view().expect("a view"), &ctx);
                    ctx.made = Some(made.map_err(|fault| fault.refusal())?);
                }
            }
        }
    }

    fn run(&mut self, ctx: Context, job: Arc<dyn WriteJob>) -> Ended {
        let ended: Arc<Mutex<Option<Ended>>> = Arc::default();
        let slot = Arc::clone(&ended);
        let answer = Box::new(move |end| *slot.lock().expect("unpoisoned") = Some(end));
        self.serve([Request { ctx, job, answer }]).expect("committed");
        while self.writer.is_busy() {
            self.serve([]).expect("committed");
        }
        ended.lock().expect("unpoisoned").take().expect("an end")
    }

    fn expect_same_twice(&self, ctx: &Context, job: &dyn WriteJob) {
        let view = self.store.view().expect("a view");
        let guesses = job.takes_code().then(|| self.daemon.guesses.lock().window(ctx));
        let ctx = &Context { guesses, ..ctx.clone() };
        let run = || on_view::run_write(&*view, job, ctx);
        assert!(run() == run(), "{} gave other writes or another reply when run again", job.row().name);
    }
}

/// The body of a request's frame.
fn body(envelope: &Envelope, request: &[u8]) -> Vec<u8> {
    [&codec::encode(envelope), request].concat()
}
