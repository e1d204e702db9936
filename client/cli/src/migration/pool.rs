//! Invite pools, as an import carries them: with their invite codes, which are known to people, and by which a pool is
//! known again. A second file may close pools that the first one made.

use std::collections::HashMap;

use enroll_client::protocol::fold::fold;
use enroll_client::protocol::{Callsign, Code, InviteCode, Json, Pk, Reference, Refusal, Time, person, pool};
use enroll_client::{Error, Transaction, by_code, by_pk};

use tokio::sync::Mutex;

use super::fields::{Fields, json};
use super::kind::Shape;
use super::outcome::{Caller, Outcome, are_same};

/// A pool to carry.
#[derive(Debug)]
pub(super) struct Pool {
    owner: Callsign,
    invitecode: InviteCode,
    named: Reference,
    max_uses: Option<u32>,
    expires: Option<Time>,
    /// `None` where the file does not say.
    active: Option<bool>,
    is_deleted: bool,
    extra: Json,
}

impl Pool {
    pub(super) fn read(fields: &Fields, shape: &Shape) -> Result<Self, String> {
        let invitecode: InviteCode = fields.required("invitecode")?;
        let named = by_code(invitecode.as_str()).map_err(|err| format!("invitecode: {}", err.0))?;
        Ok(Self {
            owner: fields.required("owner")?,
            invitecode,
            named,
            max_uses: fields.parsed("max_uses")?,
            expires: fields.time("expires")?,
            active: fields.flag("active")?,
            is_deleted: fields.is_deleted()?,
            extra: json("extra", &fields.object("extra", shape.kept)?)?,
        })
    }

    pub(super) fn name(&self) -> String {
        self.invitecode.as_str().to_owned()
    }

    pub(super) async fn carry(self, caller: &Caller) -> Result<Outcome, Error> {
        let create = pool::Create {
            owner: Some(Reference::from(&self.owner)),
            extra: self.extra.clone(),
            max_uses: self.max_uses,
            expires: self.expires,
            invitecode: Some(self.invitecode.clone()),
        };
        if self.is_deleted {
            return self.delete(caller, &create).await;
        }
        let done = if self.active == Some(false) {
            let mut transaction = Transaction::new();
            let _ = transaction.add(&create);
            let _ = transaction.add(&pool::SetActive { pool: self.named.clone(), active: false });
            caller.run(transaction).await?
        } else {
            caller.ask(&create).await?.map(|_| ())
        };
        match done {
            Ok(()) => Ok(Outcome::Carried(None)),
            Err(refusal) if refusal.code == Code::CONFLICT => self.compare(caller).await,
            Err(refusal) => Ok(Outcome::Refused(refusal)),
        }
    }

    /// Deletes the pool if it is there. A trial of making it tells that, and is no guess.
    async fn delete(&self, caller: &Caller, create: &pool::Create) -> Result<Outcome, Error> {
        let trial = Caller { is_dry_run: true, ..caller.clone() };
        match trial.ask(create).await? {
            Err(refusal) if refusal.code == Code::CONFLICT => {
                caller.write(&pool::Delete { pool: self.named.clone() }).await
            }
            Err(refusal) => Ok(Outcome::Refused(refusal)),
            Ok(_) => Ok(Outcome::NotCarried("a pool that is deleted lets nobody in, and is not made again".to_owned())),
        }
    }

    /// Compares the pool with the one that has its code, and opens or closes that.
    async fn compare(&self, caller: &Caller) -> Result<Outcome, Error> {
        let there = match caller.ask(&pool::Get { pool: self.named.clone(), allow_deleted: false }).await? {
            Ok(there) => there,
            Err(refusal) => return Ok(Outcome::Refused(refusal)),
        };
        let owner = person::Get { person: by_pk(there.owner), allow_deleted: true };
        let owner = match caller.ask(&owner).await? {
            Ok(owner) => owner.callsign,
            Err(refusal) => return Ok(Outcome::Refused(refusal)),
        };
        if fold(owner.as_str()) != fold(self.owner.as_str()) {
            return Ok(Outcome::differs(&format!("{owner} owns it")));
        }
        if (there.max_uses, there.expires) != (self.max_uses, self.expires) {
            return Ok(Outcome::differs("it has other bounds; pool update changes them"));
        }
        if !are_same(there.extra.as_str(), self.extra.as_str()) {
            return Ok(Outcome::differs("it has another extra; pool update changes it"));
        }
        match self.active.filter(|active| *active != there.active) {
            Some(active) => caller.write(&pool::SetActive { pool: self.named.clone(), active }).await,
            None => Ok(Outcome::There("a pool has this code, with the same values".to_owned())),
        }
    }
}

/// The pools that enrollments of a file name, by invite code. Each code is looked up once: a wrong one is one guess, and
/// a right one is none, because a transaction that is refused counts the codes in it.
#[derive(Debug, Default)]
pub(super) struct KnownPools(Mutex<HashMap<String, Result<Pk, Refusal>>>);

impl KnownPools {
    /// The pk of the pool of this code.
    pub(super) async fn find(&self, caller: &Caller, code: &str) -> Result<Result<Pk, Refusal>, Error> {
        let mut known = self.0.lock().await;
        if let Some(found) = known.get(code) {
            return Ok(found.clone());
        }
        let found = match by_code(code) {
            Ok(named) => caller.ask(&pool::Get { pool: named, allow_deleted: true }).await?.map(|pool| pool.pk),
            Err(err) => Err(Refusal::new(Code::INVALID_ARGUMENT, format!("pool: {}", err.0))),
        };
        known.insert(code.to_owned(), found.clone());
        Ok(found)
    }
}
