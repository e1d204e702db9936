//! The shared journal on etcd: a record is a key, and one transaction compares the leader, puts the record and moves the head.
//!
//! ```text
//! about      identity of the journal, made once
//! leader     the member that leads, under its lease; the revision at which it was made is the term
//! j/NUMBER   a record; the number in 16 hexadecimal digits
//! head       number, checksum and term of the last record, and the bytes of all up to it
//! ```
//!
//! etcd executes the compare, so fencing needs no clock. The lease only decides when somebody else may be elected. A
//! transaction without an answer is sent again as it was: its number and its bytes make it idempotent. That goes on until
//! the outcome is certain, or for so long that callers must not wait any more; nobody knows it then.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use enroll_etcd::messages::{KeyValue, RangeRequest, TxnResponse, response_op};
use enroll_etcd::{Change, Client, Config, Error, Txn};
use enroll_protocol::cluster::EtcdSize;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use super::trim::{Retention, Trimming};
use crate::storage::shared_journal::{Head, Numbered, SharedError, SharedJournal, Term};

/// Between two attempts of a call that was not answered.
const RETRY: Duration = Duration::from_millis(50);

/// Lives of a lease for which a call is repeated.
const PATIENCE: u32 = 2;

/// Keep-alives of a lease within its time to live.
const BEATS: u32 = 3;

/// Records in one range at most.
const READ_RECORDS: i64 = 256;

/// The part of etcd's quota, in per cent, that can be in use before writes are refused.
const QUOTA_PERCENT: u64 = 80;

/// The lease under which the next leader is named: the shortest that etcd gives.
const NEXT: Duration = Duration::from_secs(2);

/// A shared journal on etcd, as one member of its cluster has it.
pub struct EtcdJournal {
    pub(super) runtime: Runtime,
    pub(super) client: Arc<Client>,
    prefix: String,
    pub(super) member: String,
    pub(super) lease: Duration,
    /// Bytes that etcd's database may have.
    quota: u64,
    /// Bytes of etcd's file, and those in use, when this member last looked.
    size: [AtomicU64; 2],
    /// The number of the last record that was appended here, and the bytes of all up to it.
    appended: Mutex<Option<(u64, u64)>>,
}

/// A tenure that was won, with a lease that is prolonged.
pub struct Leadership {
    /// The term.
    pub term: Term,
    lease: i64,
    is_lost: watch::Receiver<bool>,
    beats: tokio::task::JoinHandle<()>,
    trimming: Option<tokio::task::JoinHandle<()>>,
}

impl EtcdJournal {
    /// A journal under this prefix, such as `enrolld/`. Leases live so long, which etcd may lengthen.
    pub fn new(config: &Config, prefix: &str, member: &str, lease: Duration) -> Result<Self, Error> {
        let unusable = |err: std::io::Error| Error::Configuration(format!("its thread can not be started: {err}"));
        let builder = &mut tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).thread_name("etcd").enable_all().build().map_err(unusable)?;
        let client = {
            let _in_runtime = runtime.enter();
            Arc::new(Client::new(config)?)
        };
        let (prefix, member, size) = (prefix.to_owned(), member.to_owned(), <[AtomicU64; 2]>::default());
        Ok(Self { runtime, client, prefix, member, lease, quota: u64::MAX, size, appended: Mutex::default() })
    }

    /// The same on an etcd whose database may have so many bytes.
    #[must_use]
    pub fn with_quota(self, quota: u64) -> Self {
        Self { quota, ..self }
    }

    /// The name of this member.
    pub fn member(&self) -> &str {
        &self.member
    }

    /// The life of a leader's lease that is not renewed.
    pub fn lease(&self) -> Duration {
        self.lease
    }

    /// The identity of the journal: the one that it has, or else this one, which it then has.
    pub fn identity(&self, new: u64) -> Result<u64, Error> {
        let key = self.key("about");
        let txn = Txn::new().if_missing(&*key).put(&*key, new.to_be_bytes(), 0).else_get(&*key);
        let done = self.runtime.block_on(self.client.txn(txn))?;
        if done.succeeded {
            return Ok(new);
        }
        identity(values(&done).next().map_or(&[], |kv| &kv.value))
    }

    /// The identity of the journal, if there is one.
    pub fn found_identity(&self) -> Result<Option<u64>, Error> {
        let found = self.runtime.block_on(self.client.range(self.one("about")))?;
        found.kvs.first().map(|kv| identity(&kv.value)).transpose()
    }

    /// Tries to be elected: `None`, and who leads, if somebody does.
    pub fn campaign(&self) -> Result<Result<Leadership, String>, Error> {
        self.runtime.block_on(async {
            let (lease, ttl) = self.client.grant_lease(self.lease).await?;
            let key = self.key("leader");
            let txn = Txn::new().if_missing(&*key).put(&*key, self.member.as_bytes(), lease).else_get(&*key);
            let done = match self.client.txn(txn.get(&*key)).await {
                Ok(done) => done,
                Err(err) => {
                    // Won or not, nobody leads under it.
                    let _ = self.client.revoke_lease(lease).await;
                    return Err(err);
                }
            };
            let leader = values(&done).next();
            if !done.succeeded {
                self.client.revoke_lease(lease).await?;
                return Ok(Err(leader.map(name).unwrap_or_default()));
            }
            let created = leader.map(|kv| kv.create_revision).and_then(|revision| u64::try_from(revision).ok());
            let term = Term(created.ok_or(Error::Protocol("a leader without a revision"))?);
            let (lose, is_lost) = watch::channel(false);
            let beats = tokio::spawn(keep_alive(Arc::clone(&self.client), lease, ttl, lose));
            Ok(Ok(Leadership { term, lease, is_lost, beats, trimming: None }))
        })
    }

    /// Trims the journal for as long as this tenure lasts.
    pub fn trim(self: &Arc<Self>, leadership: &mut Leadership, retention: Retention) {
        let trimming = Trimming::new(Arc::clone(self), leadership.term, retention);
        leadership.trimming = Some(self.runtime.spawn(trimming.run()));
    }

    /// Names the member that is to lead next. It has two seconds, then anybody may.
    pub fn name_next(&self, member: &str) -> Result<(), Error> {
        self.runtime.block_on(async {
            let (lease, _) = self.client.grant_lease(NEXT).await?;
            self.client.txn(Txn::new().put(self.key("next"), member, lease)).await.map(drop)
        })
    }

    /// The member that leads, if somebody does.
    pub fn leader(&self) -> Result<Option<String>, Error> {
        let found = self.runtime.block_on(self.client.range(self.one("leader")))?;
        Ok(found.kvs.first().map(name))
    }

    /// Gives the lease back, so that the next one is elected at once. An etcd that does not answer is left to end it.
    pub fn resign(&self, leadership: Leadership) {
        leadership.beats.abort();
        if let Some(trimming) = &leadership.trimming {
            trimming.abort();
        }
        if let Err(err) = self.runtime.block_on(self.client.revoke_lease(leadership.lease)) {
            tracing::warn!(%err, "the lease is not given back; the next leader is elected when it has run out");
        }
    }

    /// Waits until something was appended behind this number, or nobody leads any more, or the time is over. It is a hint
    /// only: where etcd does not answer it returns early, and the caller looks by itself.
    pub fn wait(&self, number: u64, at_most: Duration) -> Result<(), Error> {
        self.runtime.block_on(async {
            let waited = tokio::time::timeout(at_most, async {
                let found = self.client.range(self.one("head")).await?;
                let revision = found.header.map_or(0, |header| header.revision);
                let is_behind =
                    found.kvs.first().is_some_and(|kv| head(&kv.value).is_some_and(|it| it.number > number));
                let led = self.client.range(self.one("leader")).await?;
                if is_behind || led.kvs.is_empty() {
                    return Ok::<_, Error>(());
                }
                // Head and leader are the only keys between these two that change.
                let mut watch = self.client.watch(self.key("head"), self.key("leadez"), revision + 1).await?;
                loop {
                    let changes = watch.next().await?;
                    let is_news = |change: &Change| match change {
                        Change::Put(kv) => kv.key == self.key("head").as_bytes(),
                        Change::Deleted { .. } => true,
                    };
                    if changes.iter().any(is_news) {
                        return Ok(());
                    }
                }
            });
            match waited.await.unwrap_or(Ok(())) {
                // A history that was forgotten meanwhile has news.
                Err(err) if err.is_transient() || matches!(err, Error::Compacted(_)) => {
                    tokio::time::sleep(RETRY).await;
                    Ok(())
                }
                done => done,
            }
        })
    }

    /// Notes the size of etcd's file, and of what is in use of it.
    pub(super) fn note_size(&self, file: i64, in_use: i64) {
        for (size, bytes) in self.size.iter().zip([file, in_use]) {
            size.store(u64::try_from(bytes).unwrap_or(0), Ordering::Relaxed);
        }
    }

    /// The size of etcd as it was last noted.
    pub(super) fn etcd_size(&self) -> EtcdSize {
        let [bytes, in_use_bytes] = [0, 1].map(|at: usize| self.size[at].load(Ordering::Relaxed));
        EtcdSize { bytes, in_use_bytes, quota_bytes: self.quota }
    }

    pub(super) fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    pub(super) fn member_key(&self) -> String {
        self.key(&format!("m/{}", self.member))
    }

    pub(super) fn claim_key(&self) -> String {
        self.key(&format!("k/{}", self.member))
    }

    pub(super) fn record_key(&self, number: u64) -> String {
        format!("{}j/{number:016x}", self.prefix)
    }

    pub(super) fn one(&self, name: &str) -> RangeRequest {
        self.one_of(&self.key(name))
    }

    pub(super) fn one_of(&self, key: &str) -> RangeRequest {
        RangeRequest { key: key.as_bytes().to_vec(), ..RangeRequest::default() }
    }

    /// The bytes of all records before this one.
    fn bytes_before(&self, number: u64) -> Result<u64, SharedError> {
        let known = *self.appended.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((last, bytes)) = known
            && last + 1 == number
        {
            return Ok(bytes);
        }
        let found = self.until_certain(async || self.client.range(self.one("head")).await)?;
        Ok(found.kvs.first().and_then(|kv| parts(&kv.value)).map_or(0, |[_, _, _, bytes]| bytes))
    }

    /// Repeats a call until it has an outcome, for twice as long as a lease lives: by then another daemon can have been
    /// elected. etcd's own election, over which leases are prolonged, takes two seconds.
    fn until_certain<T>(&self, mut call: impl AsyncFnMut() -> Result<T, Error>) -> Result<T, SharedError> {
        let mut waited = Duration::ZERO;
        self.runtime.block_on(async {
            loop {
                let begun = Instant::now();
                match call().await {
                    Ok(done) => return Ok(done),
                    Err(err) if err.is_transient() && waited < self.lease * PATIENCE => {
                        tracing::debug!(%err, "a call to etcd is repeated");
                        tokio::time::sleep(RETRY).await;
                        // A daemon that was paused meanwhile has not waited: it asks, and learns that it was deposed.
                        waited += begun.elapsed().min(self.lease);
                    }
                    Err(Error::Full(why)) => return Err(SharedError::Full(why)),
                    Err(err) => return Err(SharedError::Unknown(err.to_string())),
                }
            }
        })
    }
}

impl SharedJournal for EtcdJournal {
    fn append(&self, term: Term, head: Head, record: &[u8]) -> Result<(), SharedError> {
        let (leader, place) = (self.key("leader"), self.record_key(head.number));
        let bytes = self.bytes_before(head.number)? + record.len() as u64;
        let leads = Txn::new().if_created_at(&*leader, revision(term)).if_missing(&*place);
        // A repetition may arrive when its record was trimmed: its place is free then, and the record before is gone too.
        let follows = match head.number.checked_sub(1) {
            None | Some(0) => leads,
            Some(before) => leads.if_there(self.record_key(before)),
        };
        let txn = follows
            .put(&*place, record, 0)
            .put(self.key("head"), encode([head.number, head.sum, term.0, bytes]), 0)
            .else_get(&*place);
        let done = self.until_certain(async || self.client.txn(txn.clone()).await)?;
        // An answer was lost if the record is there already: it is ours to the byte, and sealed in this term.
        let is_ours = done.succeeded || values(&done).next().is_some_and(|kv| kv.value == record);
        if !is_ours {
            return Err(SharedError::Deposed);
        }
        *self.appended.lock().unwrap_or_else(PoisonError::into_inner) = Some((head.number, bytes));
        Ok(())
    }

    fn look(&self, term: Option<Term>) -> Result<Head, SharedError> {
        let key = self.key("head");
        let txn = match term {
            Some(term) => Txn::new().if_created_at(self.key("leader"), revision(term)).get(&*key),
            None => Txn::new().get(&*key),
        };
        let done = self.until_certain(async || self.client.txn(txn.clone()).await)?;
        if !done.succeeded {
            return Err(SharedError::Deposed);
        }
        match values(&done).next() {
            None => Ok(Head { number: 0, sum: 0 }),
            Some(kv) => head(&kv.value).ok_or_else(|| SharedError::Unknown("its head has another form".to_owned())),
        }
    }

    fn read(&self, from: u64, bytes_max: usize) -> Result<Vec<Numbered>, SharedError> {
        let (mut records, mut bytes, mut next) = (Vec::new(), 0, from);
        loop {
            let range = RangeRequest {
                key: self.record_key(next).into_bytes(),
                range_end: self.record_key(u64::MAX).into_bytes(),
                limit: READ_RECORDS,
                ..RangeRequest::default()
            };
            let found = self.until_certain(async || self.client.range(range.clone()).await)?;
            for kv in found.kvs {
                let digits = kv.key.strip_prefix(self.key("j/").as_bytes()).and_then(|key| str::from_utf8(key).ok());
                let number = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
                match number {
                    Some(number) if number == next => {}
                    Some(number) if records.is_empty() => return Err(SharedError::Trimmed(number)),
                    _ => return Err(SharedError::Unknown(format!("record {next} is missing"))),
                }
                bytes += kv.value.len();
                if bytes > bytes_max && !records.is_empty() {
                    return Ok(records);
                }
                records.push(Numbered { number: next, record: kv.value });
                next += 1;
            }
            if !found.more {
                return Ok(records);
            }
        }
    }

    fn free_bytes(&self) -> u64 {
        let most = self.quota / 100 * QUOTA_PERCENT;
        most.saturating_sub(self.size[1].load(Ordering::Relaxed))
    }
}

impl Leadership {
    /// Turns true when the lease has run out, so that somebody else may lead.
    pub fn is_lost(&self) -> watch::Receiver<bool> {
        self.is_lost.clone()
    }
}

/// Prolongs a lease until it has ended, or was not prolonged for its time to live.
async fn keep_alive(client: Arc<Client>, lease: i64, ttl: Duration, lose: watch::Sender<bool>) {
    let mut prolonged = Instant::now();
    while prolonged.elapsed() < ttl {
        tokio::time::sleep(ttl / BEATS).await;
        let begun = Instant::now();
        match client.keep_alive(lease).await {
            Ok(_) => prolonged = begun,
            Err(Error::NoLease) => break,
            Err(err) => tracing::debug!(%err, "a lease was not prolonged"),
        }
    }
    let _ = lose.send(true);
}

/// The keys that the steps of a transaction read.
pub(super) fn values(response: &TxnResponse) -> impl Iterator<Item = &KeyValue> {
    response.responses.iter().flat_map(|response| match &response.response {
        Some(response_op::Response::Range(range)) => range.kvs.as_slice(),
        _ => &[],
    })
}

fn name(leader: &KeyValue) -> String {
    String::from_utf8_lossy(&leader.value).into_owned()
}

pub(super) fn revision(term: Term) -> i64 {
    i64::try_from(term.0).unwrap_or(i64::MAX)
}

pub(super) fn identity(about: &[u8]) -> Result<u64, Error> {
    let identity = about.try_into().map(u64::from_be_bytes);
    identity.map_err(|_| Error::Protocol("the journal's identity has another form"))
}

/// Numbers, one behind the other.
pub(super) fn encode<const PARTS: usize>(parts: [u64; PARTS]) -> Vec<u8> {
    parts.iter().flat_map(|part| part.to_be_bytes()).collect()
}

/// The parts of a head: number, checksum, term, bytes.
pub(super) fn parts(bytes: &[u8]) -> Option<[u64; 4]> {
    let bytes: &[u8; 32] = bytes.try_into().ok()?;
    Some([0, 1, 2, 3].map(|at| bytes[8 * at..8 * (at + 1)].try_into().map_or(0, u64::from_be_bytes)))
}

fn head(bytes: &[u8]) -> Option<Head> {
    parts(bytes).map(|[number, sum, ..]| Head { number, sum })
}
