//! Beginning a shared journal with a database, and admitting a database to one: what happens in etcd while the daemon of
//! that database does not run.
//!
//! A journal that begins with a database has one record that says nothing, so that a member without a database finds its
//! journal beginning too late for it, and joins with a backup.

use std::time::Instant;

use enroll_etcd::messages::{KeyValue, RangeRequest};
use enroll_etcd::{Error, Txn};
use enroll_protocol::backup::Position;

use super::etcd_journal::{EtcdJournal, encode, identity, parts, values};
use super::members::{GRACE, RETRY};
use super::roster::Member;
use super::trim;

/// A journal that is in etcd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Its identity.
    pub identity: u64,
    /// The number of its last record.
    pub head: u64,
    /// The number of its oldest record.
    pub low: u64,
    /// The daemons that run: the names of their members, and their hosts.
    pub members: Vec<(String, String)>,
}

/// Why a database can not join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotAdmitted {
    /// There is no journal.
    NoJournal,
    /// The journal has another identity.
    OtherJournal,
    /// The records behind the database are no longer kept; the oldest one that is.
    Trimmed(u64),
    /// The journal ends before the database, with this record.
    Older(u64),
    /// A daemon on this host has the member's name.
    NameTaken(String),
}

impl EtcdJournal {
    /// The journal under this prefix, if there is one.
    pub fn standing(&self) -> Result<Option<Standing>, Error> {
        self.runtime.block_on(async {
            let txn = ["about", "head", "low"].into_iter().fold(Txn::new(), |txn, name| txn.get(self.key(name)));
            let found = self.client.txn(txn).await?;
            let value = |name: &str| values(&found).find(|kv| kv.key == self.key(name).as_bytes());
            let Some(about) = value("about") else { return Ok(None) };
            let members = self.client.range(RangeRequest {
                key: self.key("m/").into_bytes(),
                range_end: self.key("m0").into_bytes(),
                ..RangeRequest::default()
            });
            let member = |kv: &KeyValue| {
                let name = kv.key.strip_prefix(self.key("m/").as_bytes()).unwrap_or_default();
                (String::from_utf8_lossy(name).into_owned(), host(kv))
            };
            Ok(Some(Standing {
                identity: identity(&about.value)?,
                head: value("head").and_then(|kv| parts(&kv.value)).map_or(0, |[number, ..]| number),
                low: value("low").and_then(|kv| trim::low(&kv.value)).map_or(1, |(number, _)| number),
                members: members.await?.kvs.iter().map(member).collect(),
            }))
        })
    }

    /// Begins a journal with this record, which a database at this position has. `false` if there is a journal.
    pub fn begin(&self, position: &Position, record: &[u8]) -> Result<bool, Error> {
        let Position { identity, number, sum } = *position;
        let bytes = record.len() as u64;
        let txn = ["about", "head", "leader"].into_iter().fold(Txn::new(), |txn, name| txn.if_missing(self.key(name)));
        let txn = txn
            .put(self.key("about"), identity.to_be_bytes(), 0)
            .put(self.record_key(number), record, 0)
            .put(self.key("low"), encode([number, 0]), 0)
            .put(self.key("head"), encode([number, sum, 0, bytes]), 0);
        Ok(self.runtime.block_on(self.client.txn(txn))?.succeeded)
    }

    /// Removes the journal, with the claims of its members. `false` if a daemon leads.
    pub fn remove(&self) -> Result<bool, Error> {
        let one = ["about", "head", "low", "next"].map(|name| (self.key(name), format!("{}\0", self.key(name))));
        let all = [("j/", "j0"), ("k/", "k0")].map(|(from, to)| (self.key(from), self.key(to)));
        let txn = Txn::new().if_missing(self.key("leader"));
        let txn = one.into_iter().chain(all).fold(txn, |txn, (from, to)| txn.delete_range(from, to));
        Ok(self.runtime.block_on(self.client.txn(txn))?.succeeded)
    }

    /// Admits a database at this position as that of this member, and has the records behind it kept until its daemon
    /// starts, as far as the journal may grow. A name that was given up without a word is waited for.
    pub fn admit(&self, position: &Position) -> Result<Result<(), NotAdmitted>, Error> {
        let begun = Instant::now();
        let found = loop {
            let key = self.member_key();
            // It claims nothing yet, so nothing is trimmed on its account.
            let txn = Txn::new().if_missing(&*key).put(self.claim_key(), "0", 0);
            let txn = ["about", "head", "low"].into_iter().fold(txn, |txn, name| txn.get(self.key(name)));
            let done = self.runtime.block_on(self.client.txn(txn.else_get(&*key)))?;
            if done.succeeded {
                break done;
            }
            if begun.elapsed() > self.lease + GRACE {
                let holder = values(&done).next().map(host).unwrap_or_default();
                return Ok(Err(NotAdmitted::NameTaken(holder)));
            }
            std::thread::sleep(RETRY);
        };
        let value = |name: &str| values(&found).find(|kv| kv.key == self.key(name).as_bytes());
        let head = value("head").and_then(|kv| parts(&kv.value)).map_or(0, |[number, ..]| number);
        let low = value("low").and_then(|kv| trim::low(&kv.value)).map_or(1, |(number, _)| number);
        let refused = match value("about").map(|kv| identity(&kv.value)).transpose()? {
            None => Some(NotAdmitted::NoJournal),
            Some(identity) if identity != position.identity => Some(NotAdmitted::OtherJournal),
            Some(_) if low > position.number + 1 => Some(NotAdmitted::Trimmed(low)),
            Some(_) if head < position.number => Some(NotAdmitted::Older(head)),
            Some(_) => return Ok(Ok(())),
        };
        self.withdraw()?;
        Ok(refused.map_or(Ok(()), Err))
    }

    /// Withdraws the claim of this member, so that no record is kept for it.
    pub fn withdraw(&self) -> Result<(), Error> {
        let (key, end) = (self.claim_key(), format!("{}\0", self.claim_key()));
        self.runtime.block_on(self.client.delete_range(key, end)).map(drop)
    }
}

/// The host of a member's record.
fn host(kv: &KeyValue) -> String {
    serde_json::from_slice::<Member>(&kv.value).map(|member| member.host).unwrap_or_default()
}
