//! The registry of a fake daemon: the rules, the writer and a store in memory, asked one request at a time.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex};

use enroll_core::context::{Context, Identity, Peer};
use enroll_core::draft::Draft;
use enroll_core::fault::Fault;
use enroll_core::identity::authority::{SERIAL_BYTES, serial};
use enroll_core::identity::counting_seal::SALT_BYTES;
use enroll_core::identity::jwt::SigningAlgorithm;
use enroll_core::identity::secrets::SecretKey;
use enroll_core::identity::{Authority, CountingSeal, Secrets};
use enroll_core::rules::{authority, bootstrap};
use enroll_core::settings::Settings;
use enroll_core::state::memory::MemoryStore;
use enroll_core::state::{Store, StoreError};
use enroll_protocol::encoding::Encoding;
use enroll_protocol::frame::Frame;
use enroll_protocol::{Code, Refusal, Time};
use enrolld::config::Config;
use enrolld::daemon::Daemon;
use enrolld::daemon::internal_error::to_refusal;
use enrolld::daemon::warnings::Topic;
use enrolld::dispatch::{self, Handler, Items, Job, Look, StreamJob, WriteJob};
use enrolld::ownership::Own;
use enrolld::writer::{Ended, Outcome, Request, Writer};
use rand::rngs::ChaCha20Rng;
use rand::{Rng as _, SeedableRng as _};

/// The state directory in its answers: there is none.
const STATE_DIR: &str = "/nonexistent";

/// The store, the daemon's state around it, and where the next random bytes come from.
pub(crate) struct Registry {
    now: Time,
    random: ChaCha20Rng,
    store: Arc<dyn Store>,
    daemon: Arc<Daemon>,
    writer: Writer,
}

/// The answer to a request.
pub(crate) enum Answered {
    /// At once, and whole.
    Reply(Outcome),
    /// All items of a walk, the first as it begins, and how it ended.
    Walk(Vec<u8>, Vec<Vec<u8>>, Result<(), Refusal>),
    /// A stream, with the request that begins in the same place.
    Stream(Vec<u8>, Box<Stream>),
}

/// A stream that was begun.
pub(crate) struct Stream {
    job: Box<dyn StreamJob>,
    ctx: Context,
    handler: &'static Handler,
}

impl Registry {
    /// A new registry, whose keys and codes follow from the seed.
    pub(crate) fn found(config: &Config, now: Time, seed: [u8; 32]) -> Result<Self, Box<dyn std::error::Error>> {
        let mut random = ChaCha20Rng::from_seed(seed);
        let mut bytes = || {
            let mut bytes = [0; 32];
            random.fill_bytes(&mut bytes);
            bytes
        };
        let secrets = Secrets::derive(&SecretKey::new(bytes()))?;
        let (mut number, mut salt) = ([0; SERIAL_BYTES], [0; SALT_BYTES]);
        number.copy_from_slice(&bytes()[..SERIAL_BYTES]);
        salt.copy_from_slice(&bytes()[..SALT_BYTES]);
        let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
        let view = store.view()?;
        let mut draft = Draft::new(&*view);
        bootstrap::create(&mut draft, &secrets, SigningAlgorithm::default(), now, bytes())?;
        let certificates = &config.certificates;
        let lifetime = certificates.authority_lifetime_seconds;
        let founded = Authority::found(&certificates.authority_name, serial(number), now, lifetime)?;
        let since = (now, certificates.crl_seconds);
        authority::found(&mut draft, &secrets, &founded, since, &mut ChaCha20Rng::from_seed(bytes()))?;
        let (writes, _) = draft.into_parts();
        drop(view);
        store.commit(&writes)?;
        let view = store.view()?;
        let keys = bootstrap::key_ring(&*view, &secrets)?;
        let own = authority::open(&*view, &secrets)?.ok_or(bootstrap::RegistryError::NoAuthority)?;
        drop(view);
        let seal = CountingSeal::new(&secrets, salt)?;
        let (trusted, distrusted) = config.trust(Own::user())?;
        let (count_together, unknown) = config.count_together();
        let settings = Settings { trusted, count_together, ..config.settings(Path::new(STATE_DIR)) };
        let identity = Identity { secrets: secrets.into(), keys: keys.into(), authority: own.into() };
        let daemon = Arc::new(Daemon::new(settings, identity, now));
        daemon.warnings.replace(Topic::Issuers, distrusted);
        daemon.warnings.replace(Topic::Guesses, unknown);
        let writer = Writer::new(Arc::clone(&store), Arc::clone(&daemon), seal)?;
        Ok(Self { now, random, store, daemon, writer })
    }

    pub(crate) fn time(&self) -> Time {
        self.now
    }

    /// Sets the clock back.
    pub(crate) fn set_back(&mut self, then: Time) {
        self.writer.clock_stepped(then.seconds() - self.now.seconds());
        self.now = then;
    }

    /// Lets time pass, and does what is due by then. A write at that time finds it done.
    pub(crate) fn pass_until(&mut self, then: Time) {
        self.now = self.now.max(then);
        loop {
            let head = self.writer.head();
            // A store in memory takes every commit.
            if self.serve([]).is_err() || self.writer.head() == head {
                return;
            }
        }
    }

    /// Answers a request's frame.
    pub(crate) fn answer(&mut self, frame: &Frame<'_>, peer: &Peer) -> Answered {
        self.begin(frame, peer).unwrap_or_else(|refusal| Answered::Reply(Err(refusal)))
    }

    fn begin(&mut self, frame: &Frame<'_>, peer: &Peer) -> Result<Answered, Refusal> {
        let (handler, envelope, job) = dispatch::request(frame, Encoding::Binary, peer)?;
        let mut seed = [0; 32];
        if matches!(job, Job::Write(_)) {
            self.random.fill_bytes(&mut seed);
        }
        let ctx = self.daemon.context(self.now, seed, peer.clone(), envelope)?;
        let refused = |fault: Fault| to_refusal(&fault, handler.row, peer);
        let look = match job {
            Job::Write(job) => return self.write(ctx, job, handler).map(|reply| Answered::Reply(Ok(reply))),
            Job::Look(look) => look,
        };
        let view = self.store.view().map_err(|err| refused(err.into()))?;
        match look {
            Look::Read(job) | Look::Scan(job) => {
                let reply = dispatch::run_read(&*job, &self.daemon, &*view, ctx).map_err(refused)?;
                Ok(Answered::Reply(Ok(reply)))
            }
            Look::Items(Items::Stream(mut job)) => {
                let begun = job.start(&*view, &ctx).map_err(refused)?;
                Ok(Answered::Stream(begun, Box::new(Stream { job, ctx, handler })))
            }
            Look::Items(Items::Walk(job)) => {
                let mut items = Vec::new();
                let walked = dispatch::run_walk(&*job, &self.daemon, &*view, ctx, &mut |item| {
                    items.push(item);
                    ControlFlow::Continue(())
                });
                Ok(Answered::Walk(job.request(), items, walked.map_err(refused)))
            }
        }
    }

    /// The next items of a stream, none where there are none yet.
    pub(crate) fn step(&self, stream: &mut Stream) -> Result<Vec<Vec<u8>>, Refusal> {
        stream.ctx.now = self.now;
        let stepped = self.store.view().map_err(Fault::from).and_then(|view| stream.job.next(&*view, &stream.ctx));
        stepped.map_err(|fault| to_refusal(&fault, stream.handler.row, &stream.ctx.peer))
    }

    /// Runs a write to its end, again with each thing that its rule needs.
    fn write(&mut self, mut ctx: Context, mut job: Arc<dyn WriteJob>, handler: &Handler) -> Outcome {
        let peer = ctx.peer.clone();
        let refused = |fault: Fault| to_refusal(&fault, handler.row, &peer);
        let reply = loop {
            match self.run(ctx, job)? {
                Ended::Outcome(outcome) => break outcome?,
                Ended::Needs(needed, write) => {
                    (ctx, job) = *write;
                    let view = self.store.view().map_err(|err| refused(err.into()))?;
                    ctx.made = Some(dispatch::make(&needed, &self.daemon, &*view, &ctx).map_err(refused)?);
                }
            }
        };
        match handler.finish {
            Some(finish) => finish(&reply, &self.daemon.identity.now().keys).map_err(refused),
            None => Ok(reply),
        }
    }

    fn run(&mut self, ctx: Context, job: Arc<dyn WriteJob>) -> Result<Ended, Refusal> {
        let ended: Arc<Mutex<Option<Ended>>> = Arc::default();
        let slot = Arc::clone(&ended);
        let answer = Box::new(move |end| *super::lock(&slot) = Some(end));
        let mut served = self.serve([Request { ctx, job, answer }]);
        while served.is_ok() && self.writer.is_busy() {
            served = self.serve([]);
        }
        super::lock(&ended).take().ok_or_else(|| Refusal::plain(Code::OUTCOME_UNKNOWN))
    }

    fn serve(&mut self, requests: impl IntoIterator<Item = Request>) -> Result<(), StoreError> {
        let (answers, result) = self.writer.serve(requests.into_iter(), self.now);
        answers.into_iter().for_each(|(answer, ended)| answer(ended));
        result
    }
}
