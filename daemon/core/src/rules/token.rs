//! One-time tokens. The first use stores the token's keyed hash; later uses find it and are refused.

use enroll_protocol::enrollment::Decider;
use enroll_protocol::token::{Delete, Get, Spent, Use};
use enroll_protocol::{Code, Json, Refusal, Time, Token};
use serde_json::{Value, json};

use super::{Call, ReadOp, WriteOp, expiry};
use crate::context::Purpose;
use crate::draft::Txn;
use crate::fault::Fault;
use crate::identity::Hash;
use crate::model::key::{self, Due};
use crate::model::record::{self, Kind};
use crate::model::token::{self, TokenAudit};
use crate::state::ReadTxn;

impl WriteOp for Use {
    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<Spent, Fault> {
        call.permit(txn.as_read(), false).map_err(|fault| fault.into_attempt(None))?;
        let hash = call.ctx.identity.secrets.token(self.token.as_str());
        Ok(to_reply(&self.token, spend(txn, call, hash, self.audit.as_ref(), self.expires)?, self.audit.clone()))
    }
}

impl ReadOp for Get {
    fn run(&self, txn: &dyn ReadTxn, call: &Call<'_>) -> Result<Spent, Fault> {
        let key = key::token(&call.ctx.identity.secrets.token(self.token.as_str()));
        let found = record::get::<token::Token>(txn, &key)?;
        let found = found.ok_or_else(|| Refusal::new(Code::NOT_FOUND, "this token was not used yet"))?;
        call.permit(txn, false)?;
        let attached = record::get::<TokenAudit>(txn, &key::token_audit(found.pk))?;
        Ok(to_reply(&self.token, found, attached.map(|attached| attached.audit)))
    }
}

impl WriteOp for Delete {
    fn run(&self, _: &mut dyn Txn, _: &Call<'_>) -> Result<(), Fault> {
        let why = "tokens can not be deleted: a token that is forgotten could be used twice";
        Err(Fault::Refused(Refusal::new(Code::FORBIDDEN_OPERATION, why)))
    }
}

/// Spends a hash: stores it, or refuses it if it is stored already (`token_reuse`) or has expired (`expired`).
pub(super) fn spend(
    txn: &mut dyn Txn,
    call: &Call<'_>,
    hash: Hash,
    audit: Option<&Json>,
    expires: Option<Time>,
) -> Result<token::Token, Fault> {
    if let Some(first) = record::get::<token::Token>(txn.as_read(), &key::token(&hash))? {
        let why = format!("this token was used before, at {}", first.created);
        let used_by = call.shown_user(txn.as_read(), first.used_by)?;
        let refusal = Refusal::new(Code::TOKEN_REUSE, why).with(reused(first.created, used_by));
        return Err(Fault::Attempt { refusal, subject: Some(first.pk), guess: false });
    }
    if let Some(expires) = expires.filter(|expires| *expires <= call.ctx.now) {
        let refusal = Refusal::new(Code::EXPIRED, format!("this token expired at {expires}"));
        return Err(Fault::Attempt { refusal, subject: None, guess: false });
    }
    let pk = call.ctx.new_pk(&mut call.ctx.random(Purpose::Rule));
    let token = token::Token { pk, created: call.ctx.now, expires, used_by: Some(call.decider()) };
    record::put(txn, key::token(&hash), &token);
    if let Some(audit) = audit {
        record::put(txn, key::token_audit(pk), &TokenAudit { hash, audit: audit.clone() });
    }
    if audit.is_some() || call.ctx.settings.forget_tokens_after(token.expires).is_some() {
        expiry::plan_after_expiry(txn, token.expires, &Due::Token(hash));
    }
    call.emit(txn, vec![token.pk], Some(Kind::Token));
    Ok(token)
}

/// The details of the refusal of a used code or token: time and user of its first use.
pub(super) fn reused(used_on: Time, used_by: Option<Decider>) -> Value {
    json!({"state": "used", "used_on": used_on, "used_by": used_by})
}

fn to_reply(token: &Token, stored: token::Token, audit: Option<Json>) -> Spent {
    Spent { token: token.clone(), created: stored.created, audit, expires: stored.expires }
}
