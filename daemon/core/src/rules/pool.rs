//! Invite pools. A pool's record is the head of its enrollments: it counts its uses, and an enrollment by it reads and
//! writes it.
//!
//! A pool is found by its invite code too, so every operation that names one takes a code, and may be a guess.

use enroll_protocol::pool::{Check, Create, Delete, Field, Get, List, Pool, ResetCode, SetActive, Update, Usable};
use enroll_protocol::{Code, InviteCode, Named, NaturalName, Page, Pk, Reference, Refusal};
use rand::rngs::ChaCha20Rng;

use super::extra::Wanted;
use super::page::{Bounds, has_deleted, page, record_of};
use super::{Call, ReadOp, WriteOp, allowed_values, human_code, person, rate_limit};
use crate::context::{Context, Grant, Purpose};
use crate::draft::Txn;
use crate::fault::Fault;
use crate::model::key::{self, Family};
use crate::model::record::{self, Kind, Marker, Pointer};
use crate::state::ReadTxn;

impl WriteOp for Create {
    const REDACT: Option<fn(&mut Pool)> = Some(redact);

    fn check(&self) -> Result<(), Refusal> {
        require_choosable(self.invitecode.as_ref())
    }

    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<Pool, Fault> {
        let (owner, owner_life) = match (&self.owner, &call.actor) {
            (Some(named), _) => {
                let (pk, found) = person::require(txn.as_read(), named)?;
                person::require_live(named, &found)?;
                (pk, found.life)
            }
            (None, Some(actor)) => (actor.pk, actor.person.life),
            (None, None) => {
                let why = "owner: name one, or ask on behalf of a person";
                return Err(Fault::Refused(Refusal::new(Code::INVALID_ARGUMENT, why)));
            }
        };
        call.permit(txn.as_read(), call.is_actor(owner))?;
        permit_choosing(txn.as_read(), call, self.invitecode.as_ref())?;
        call.expect_to_come(self.expires)?;
        allowed_values::require_allowed(txn.as_read(), &self.extra, None)?;
        let mut random = call.ctx.random(Purpose::Rule);
        let pk = call.ctx.new_pk(&mut random);
        let (invitecode, key) = new_code(txn.as_read(), call, &mut random, self.invitecode.as_ref())?;
        let pool = record::Pool {
            owner,
            active: true,
            owner_life,
            invitecode,
            extra: self.extra.clone(),
            max_uses: self.max_uses,
            uses: 0,
            expires: self.expires,
            created: call.ctx.now,
            updated: call.ctx.now,
            deleted: None,
        };
        record::put(txn, key, &Pointer { pk });
        record::put(txn, key::pool(pk), &pool);
        record::put(txn, key::owner_pool(owner, pk), &Marker);
        call.emit(txn, vec![pk], Some(Kind::Pool));
        shown(txn.as_read(), call, pk, pool)
    }
}

impl ReadOp for Get {
    const REDACT: Option<fn(&mut Pool)> = Some(redact);

    fn takes_code(&self) -> bool {
        true
    }

    fn run(&self, txn: &dyn ReadTxn, call: &Call<'_>) -> Result<Pool, Fault> {
        let (pk, pool) = expect(txn, call, &self.pool)?;
        if !self.allow_deleted {
            expect_live(&pool)?;
        }
        call.permit(txn, call.is_actor(pool.owner))?;
        shown(txn, call, pk, pool)
    }
}

impl ReadOp for List {
    fn run(&self, txn: &dyn ReadTxn, call: &Call<'_>) -> Result<Page<Pool>, Fault> {
        let owner = self.owner.as_ref().map(|named| person::require(txn, named)).transpose()?.map(|(pk, _)| pk);
        call.permit(txn, owner.is_some_and(|owner| call.is_actor(owner)))?;
        let filter = (owner, &self.prefix, self.include_deleted, self.deleted_only);
        let bounds = Bounds::of(call, &filter, self.after.as_ref(), self.limit)?;
        let range = match (&self.prefix, owner) {
            (Some(prefix), _) => key::pks_with(Family::Pools, prefix),
            (None, Some(owner)) => key::prefixed(key::owner_pools(owner)),
            (None, None) => Family::Pools.bounds(),
        };
        page(txn, range, &bounds, |key, value| {
            let Some(pk) = key::pk_at_end(key) else { return Ok(None) };
            let found = record_of::<record::Pool>(txn, Family::Pools, (key, value), &key::pool(pk))?;
            let found = found.filter(|pool| owner.is_none_or(|owner| owner == pool.owner));
            let wanted = found.filter(|pool| has_deleted(pool.deleted, self.include_deleted, self.deleted_only));
            wanted.map(|pool| shown(txn, call, pk, pool)).transpose()
        })
    }
}

impl WriteOp for Update {
    const REDACT: Option<fn(&mut Pool)> = Some(redact);

    fn takes_code(&self) -> bool {
        true
    }

    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<Pool, Fault> {
        change(txn, call, &self.pool, |txn, call, _, pool| {
            call.expect_to_come(self.expires)?;
            let extra = Wanted::of(&self.extra, &self.patch).over(&pool.extra)?;
            if let Some(extra) = &extra {
                allowed_values::require_allowed(txn.as_read(), extra, Some(&pool.extra))?;
            }
            for field in &self.clear {
                match field {
                    Field::Extra => pool.extra = Default::default(),
                    Field::MaxUses => pool.max_uses = None,
                    Field::Expires => pool.expires = None,
                }
            }
            if let Some(extra) = extra {
                pool.extra = extra;
            }
            pool.max_uses = self.max_uses.or(pool.max_uses);
            pool.expires = self.expires.or(pool.expires);
            Ok(())
        })
    }

    fn check(&self) -> Result<(), Refusal> {
        Wanted::of(&self.extra, &self.patch).expect_one_at_most()?;
        let given = [
            (Field::Extra, self.extra.is_some() || self.patch.is_some(), "extra"),
            (Field::MaxUses, self.max_uses.is_some(), "max_uses"),
            (Field::Expires, self.expires.is_some(), "expires"),
        ];
        match given.iter().find(|(field, is_given, _)| *is_given && self.clear.contains(field)) {
            Some((.., name)) => {
                let why = format!("clear: {name} is given a value and cleared at once; do one of the two");
                Err(Refusal::new(Code::INVALID_ARGUMENT, why))
            }
            None => Ok(()),
        }
    }
}

impl WriteOp for SetActive {
    const REDACT: Option<fn(&mut Pool)> = Some(redact);

    fn takes_code(&self) -> bool {
        true
    }

    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<Pool, Fault> {
        change(txn, call, &self.pool, |txn, _, _, pool| {
            pool.active = self.active;
            pool.owner_life = owner_of(txn.as_read(), pool)?.map_or(0, |owner| owner.life);
            Ok(())
        })
    }
}

impl WriteOp for ResetCode {
    const REDACT: Option<fn(&mut Pool)> = Some(redact);

    fn takes_code(&self) -> bool {
        true
    }

    fn check(&self) -> Result<(), Refusal> {
        require_choosable(self.invitecode.as_ref())
    }

    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<Pool, Fault> {
        change(txn, call, &self.pool, |txn, call, pk, pool| {
            permit_choosing(txn.as_read(), call, self.invitecode.as_ref())?;
            let mut random = call.ctx.random(Purpose::Rule);
            let (code, key) = new_code(txn.as_read(), call, &mut random, self.invitecode.as_ref())?;
            txn.delete(key::invite_code(&pool.invitecode));
            record::put(txn, key, &Pointer { pk });
            pool.invitecode = code;
            Ok(())
        })
    }
}

impl WriteOp for Delete {
    const REDACT: Option<fn(&mut Pool)> = Some(redact);

    fn takes_code(&self) -> bool {
        true
    }

    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<Pool, Fault> {
        change(txn, call, &self.pool, |_, call, _, pool| {
            pool.deleted = Some(call.ctx.now);
            Ok(())
        })
    }
}

impl ReadOp for Check {
    fn takes_code(&self) -> bool {
        true
    }

    fn reply_to_guess(&self) -> Option<bool> {
        Some(false)
    }

    fn run(&self, txn: &dyn ReadTxn, call: &Call<'_>) -> Result<bool, Fault> {
        match expect_named(txn, call, Named::Natural(self.invitecode.as_str())) {
            Ok((_, pool)) => Ok(usable(call.ctx, &pool, owner_of(txn, &pool)?.as_ref()) == Usable::Yes),
            Err(Fault::Refused(refusal)) if refusal.code == Code::NOT_FOUND => Ok(false),
            Err(fault) => Err(fault),
        }
    }
}

/// Refuses a chosen invite code of another form than codes have.
fn require_choosable(chosen: Option<&InviteCode>) -> Result<(), Refusal> {
    chosen.map_or(Ok(()), |chosen| human_code::chosen(chosen.as_str(), false).map(drop))
}

/// Refuses a chosen invite code unless the peer has the grant `admin` and the actor, if there is one, `/pools/`.
fn permit_choosing(txn: &dyn ReadTxn, call: &Call<'_>, chosen: Option<&InviteCode>) -> Result<(), Fault> {
    match chosen {
        None => Ok(()),
        Some(_) if call.ctx.peer.grant < Grant::Admin => {
            let why = "an invite code of one's own needs a peer with the grant admin; leave it out to have one drawn";
            Err(Fault::Refused(Refusal::new(Code::PERMISSION_DENIED, why)))
        }
        Some(_) => call.permit(txn, false),
    }
}

/// The chosen invite code, or one that is drawn, and its storage key. A chosen one may have been a deleted pool's, and
/// leads to the new pool from then on; refuses that of a live one.
fn new_code(
    txn: &dyn ReadTxn,
    call: &Call<'_>,
    random: &mut ChaCha20Rng,
    chosen: Option<&InviteCode>,
) -> Result<(String, Vec<u8>), Fault> {
    let settings = &call.ctx.settings;
    let Some(chosen) = chosen else {
        return human_code::draw_free(txn, random, settings, settings.code_size, key::invite_code);
    };
    let code = human_code::chosen(chosen.as_str(), settings.code_avoid_confusion)?;
    let key = key::invite_code(&code);
    let holder = match record::get::<Pointer>(txn, &key)? {
        Some(Pointer { pk }) => record::get::<record::Pool>(txn, &key::pool(pk))?,
        None => None,
    };
    if holder.is_some_and(|pool| pool.deleted.is_none()) {
        let why = "a live pool has this invite code, in the form in which a typed code is read; choose another";
        return Err(Fault::Refused(Refusal::new(Code::CONFLICT, why)));
    }
    Ok((code, key))
}

/// Changes a pool that is not deleted, on behalf of its owner or of somebody who may.
fn change(
    txn: &mut dyn Txn,
    call: &Call<'_>,
    named: &Reference,
    how: impl FnOnce(&mut dyn Txn, &Call<'_>, Pk, &mut record::Pool) -> Result<(), Fault>,
) -> Result<Pool, Fault> {
    let (pk, mut pool) = expect(txn.as_read(), call, named)?;
    expect_live(&pool)?;
    call.permit(txn.as_read(), call.is_actor(pool.owner))?;
    how(txn, call, pk, &mut pool)?;
    pool.updated = call.ctx.now;
    record::put(txn, key::pool(pk), &pool);
    call.emit(txn, vec![pk], None);
    shown(txn.as_read(), call, pk, pool)
}

/// The pool of this pk or invite code. A code that does not exist counts as a guess; a pk does not, nor does what can
/// be no invite code by its length.
pub(super) fn expect(txn: &dyn ReadTxn, call: &Call<'_>, named: &Reference) -> Result<(Pk, record::Pool), Fault> {
    expect_named(txn, call, named.read(NaturalName::InviteCode)?)
}

/// The same for what a stranger typed: a text is an invite code and never a pk, which would open the pool for ever.
pub(super) fn expect_typed(txn: &dyn ReadTxn, call: &Call<'_>, named: &Reference) -> Result<(Pk, record::Pool), Fault> {
    expect_named(txn, call, named.read_typed(NaturalName::InviteCode)?)
}

fn expect_named(txn: &dyn ReadTxn, call: &Call<'_>, named: Named<'_>) -> Result<(Pk, record::Pool), Fault> {
    match named {
        Named::Pk(pk) => {
            let found = record::get::<record::Pool>(txn, &key::pool(pk))?;
            found.map(|pool| (pk, pool)).ok_or_else(|| Fault::Refused(unknown()))
        }
        Named::Natural(invitecode) => {
            let wrong = || Fault::Attempt { refusal: unknown(), subject: None, guess: true };
            of_code(txn, call, invitecode)?.ok_or_else(wrong)
        }
    }
}

fn of_code(txn: &dyn ReadTxn, call: &Call<'_>, typed: &str) -> Result<Option<(Pk, record::Pool)>, Fault> {
    if !call.sees_codes() {
        let why = "naming a pool by its invite code needs the grant operate; name it by its pk";
        return Err(Fault::Refused(Refusal::new(Code::PERMISSION_DENIED, why)));
    }
    rate_limit::expect_under_limit(call.ctx)?;
    let code = human_code::read_typed(typed, call.ctx.settings.code_avoid_confusion);
    if !human_code::may_exist(&code) {
        return Err(Fault::Refused(unknown()));
    }
    let Some(Pointer { pk }) = record::get::<Pointer>(txn, &key::invite_code(&code))? else { return Ok(None) };
    call.note_right_code();
    Ok(record::get::<record::Pool>(txn, &key::pool(pk))?.map(|pool| (pk, pool)))
}

/// Refuses a pool by which nobody can enroll now.
pub(super) fn expect_usable(txn: &dyn ReadTxn, ctx: &Context, pool: &record::Pool) -> Result<(), Fault> {
    let refuse = |code, why: String| Err(Fault::Refused(Refusal::new(code, why)));
    match usable(ctx, pool, owner_of(txn, pool)?.as_ref()) {
        Usable::Yes => Ok(()),
        Usable::Deleted => expect_live(pool),
        Usable::Inactive => {
            refuse(Code::POOL_INACTIVE, "this pool is not active; ask the person who invited you".to_owned())
        }
        Usable::OwnerDeleted => {
            let why = "the owner of this pool is deleted; ask for another invitation";
            refuse(Code::POOL_INACTIVE, why.to_owned())
        }
        Usable::Exhausted => {
            let (uses, most) = (pool.uses, pool.max_uses.unwrap_or_default());
            let why = format!("this pool is full: {uses} of {most} uses are taken; raise max_uses or make another");
            refuse(Code::POOL_EXHAUSTED, why)
        }
        Usable::Expired => {
            let at = pool.expires.map_or_else(String::new, |at| format!(" at {at}"));
            refuse(Code::EXPIRED, format!("this pool expired{at}"))
        }
    }
}

/// The usability of a pool of this owner now.
pub(super) fn usable(ctx: &Context, pool: &record::Pool, owner: Option<&record::Person>) -> Usable {
    if pool.deleted.is_some() {
        Usable::Deleted
    } else if !is_active(pool, owner) {
        Usable::Inactive
    } else if owner.is_none_or(|owner| owner.deleted.is_some()) {
        Usable::OwnerDeleted
    } else if pool.max_uses.is_some_and(|most| pool.uses >= most) {
        Usable::Exhausted
    } else if pool.expires.is_some_and(|expires| expires <= ctx.now) {
        Usable::Expired
    } else {
        Usable::Yes
    }
}

/// True if a pool is active and its owner was not restored since it was activated.
fn is_active(pool: &record::Pool, owner: Option<&record::Person>) -> bool {
    pool.active && owner.is_none_or(|owner| owner.life == pool.owner_life)
}

pub(super) fn owner_of(txn: &dyn ReadTxn, pool: &record::Pool) -> Result<Option<record::Person>, Fault> {
    Ok(record::get::<record::Person>(txn, &key::person(pool.owner))?)
}

/// Refuses a deleted pool.
pub(super) fn expect_live(pool: &record::Pool) -> Result<(), Fault> {
    match pool.deleted {
        Some(at) => Err(Fault::Refused(Refusal::new(Code::DELETED, format!("this pool was deleted at {at}")))),
        None => Ok(()),
    }
}

fn unknown() -> Refusal {
    Refusal::new(Code::NOT_FOUND, "no pool has this pk or invite code; check it for typing errors")
}

fn redact(pool: &mut Pool) {
    pool.invitecode = None;
}

fn shown(txn: &dyn ReadTxn, call: &Call<'_>, pk: Pk, pool: record::Pool) -> Result<Pool, Fault> {
    let owner = owner_of(txn, &pool)?;
    Ok(Pool {
        pk,
        owner: pool.owner,
        active: is_active(&pool, owner.as_ref()),
        usable: usable(call.ctx, &pool, owner.as_ref()),
        invitecode: call.sees_codes().then(|| InviteCode::new(pool.invitecode)).transpose()?,
        extra: call.shown_extra(pool.extra),
        max_uses: pool.max_uses,
        uses: pool.uses,
        expires: pool.expires,
        created: pool.created,
        updated: pool.updated,
        deleted: pool.deleted,
    })
}
