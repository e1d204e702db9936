//! Login codes: made for claims, exchanged once for a JWT with those claims.
//!
//! Only a code's keyed hash is stored. A code that does not exist counts as a guess; one that exists but was used or
//! has expired does not.

use enroll_protocol::code::{Create, Created, Delete, Exchanged, Get, Login, Use};
use enroll_protocol::limits::JSON_BYTES_MAX;
use enroll_protocol::{Code, Json, LoginCode, Reference, Refusal};
use rand::Rng as _;
use rand::rngs::ChaCha20Rng;
use serde_json::json;

use super::{Call, WriteOp, attempts, person};
use crate::context::Purpose;
use crate::fault::Fault;
use crate::identity::jwt::OWN_CLAIMS;
use crate::model::key;
use crate::model::record::{self, Kind};
use crate::store::{ReadTxn, Txn};

const LOGIN_CODE_CHARACTERS: usize = 12;

/// The JWT adds its own claims to the caller's, and all together must be an object within the bounds.
const CLAIMS_BYTES_MAX: usize = JSON_BYTES_MAX - (4 << 10);

/// How often a code is drawn before giving up: with 12 characters a second draw is already a miracle.
const DRAWS_MAX: usize = 100;

impl WriteOp for Create {
    const REDACT: Option<fn(&mut Created)> = Some(|reply| reply.code = None);

    fn check(&self) -> Result<(), Refusal> {
        let refuse = |why: String| Err(Refusal::new(Code::INVALID_ARGUMENT, why));
        if self.claims.as_str().len() > CLAIMS_BYTES_MAX {
            return refuse(format!("claims: at most {CLAIMS_BYTES_MAX} bytes, so that the JWT's own fit as well"));
        }
        let claims = self.claims.members()?;
        match OWN_CLAIMS.iter().find(|name| claims.contains_key(**name)) {
            Some(name) => {
                refuse(format!("claims: must not contain {name}; the JWT gets its own {}", OWN_CLAIMS.join(", ")))
            }
            None => Ok(()),
        }
    }

    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<Created, Fault> {
        expect_subject_live(txn.as_read(), &self.claims)?;
        call.permit(txn.as_read(), false)?;
        if let Some(expires) = self.expires.filter(|expires| *expires <= call.ctx.now) {
            let why = format!("expires: {expires} has passed; give a time to come");
            return Err(Fault::Refused(Refusal::new(Code::INVALID_ARGUMENT, why)));
        }
        let mut random = call.ctx.random(Purpose::Rule);
        let pk = call.ctx.new_pk(&mut random);
        for _ in 0..DRAWS_MAX {
            let code = draw(&mut random, call.ctx.daemon.settings.code_avoid_confusion);
            let place = key::code(&call.ctx.daemon.secrets.code(&code));
            if txn.get(&place)?.is_some() {
                continue;
            }
            let stored = record::Code {
                pk,
                created: call.ctx.now,
                claims: self.claims.clone(),
                audit: self.audit.clone(),
                used_on: None,
                expires: self.expires,
            };
            record::put(txn, place, &stored);
            call.tell(txn, vec![pk], Some(Kind::Code));
            return Ok(Created { code: Some(LoginCode::new(code)?), expires: self.expires });
        }
        Err(Fault::Refused(Refusal::plain(Code::CODE_EXHAUSTED)))
    }
}

impl WriteOp for Use {
    const FINISH: Option<super::Finish<Exchanged>> = Some(|mut reply, keys| {
        reply.jwt = reply.jwt.as_ref().map(|unsigned| keys.sign(unsigned)).transpose()?;
        Ok(reply)
    });

    const REDACT: Option<fn(&mut Exchanged)> = Some(|reply| reply.jwt = None);

    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<Exchanged, Fault> {
        attempts::expect_under_limit(txn.as_read(), call.ctx)?;
        let (place, mut code) = expect(txn.as_read(), call, &self.code)?;
        let pk = code.pk;
        let attempt = |refusal| Fault::Attempt { refusal, subject: Some(pk), guess: false };
        let subject = expect_subject_live(txn.as_read(), &code.claims);
        let is_own = matches!(&subject, Ok(Some(pk)) if call.is_actor(*pk));
        subject.map_err(|fault| fault.into_attempt(Some(pk)))?;
        call.permit(txn.as_read(), is_own).map_err(|fault| fault.into_attempt(Some(pk)))?;
        if let Some(used_on) = code.used_on {
            let why = format!("this code was used before, at {used_on}");
            return Err(attempt(Refusal::new(Code::TOKEN_REUSE, why).with(json!({"used_on": used_on}))));
        }
        if let Some(expires) = code.expires.filter(|expires| *expires <= call.ctx.now) {
            return Err(attempt(Refusal::new(Code::EXPIRED, format!("this code expired at {expires}; make another"))));
        }
        let daemon = &call.ctx.daemon;
        let id = call.ctx.new_pk(&mut call.ctx.random(Purpose::Rule));
        let (jwt, expires) = daemon.keys.unsigned(&daemon.settings.issuing, &code.claims, call.ctx.now, id)?;
        code.used_on = Some(call.ctx.now);
        code.audit = match (&code.audit, &self.audit) {
            (Some(made), Some(used)) => Some(made.merged(used)?),
            (made, used) => used.clone().or_else(|| made.clone()),
        };
        record::put(txn, place, &code);
        call.tell(txn, vec![pk], None);
        Ok(Exchanged { jwt: Some(jwt), expires })
    }
}

impl WriteOp for Get {
    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<Login, Fault> {
        attempts::expect_under_limit(txn.as_read(), call.ctx)?;
        let (_, code) = expect(txn.as_read(), call, &self.code)?;
        call.permit(txn.as_read(), false).map_err(|fault| fault.into_attempt(Some(code.pk)))?;
        Ok(Login {
            created: code.created,
            claims: code.claims,
            audit: code.audit,
            used_on: code.used_on,
            expires: code.expires,
        })
    }
}

impl WriteOp for Delete {
    fn run(&self, _: &mut dyn Txn, _: &Call<'_>) -> Result<(), Fault> {
        let why = "login codes can not be deleted; using a code is how it is revoked";
        Err(Fault::Refused(Refusal::new(Code::FORBIDDEN_OPERATION, why)))
    }
}

/// The stored code, or an attempt that counts as a guess.
fn expect(txn: &dyn ReadTxn, call: &Call<'_>, typed: &LoginCode) -> Result<(Vec<u8>, record::Code), Fault> {
    let read = read_typed(typed.as_str(), call.ctx.daemon.settings.code_avoid_confusion);
    let place = key::code(&call.ctx.daemon.secrets.code(&read));
    match record::get::<record::Code>(txn, &place)? {
        Some(code) => Ok((place, code)),
        None => Err(Fault::Attempt {
            refusal: Refusal::new(Code::NOT_FOUND, "there is no such login code; check it for typing errors"),
            subject: None,
            guess: true,
        }),
    }
}

/// The person whom the claim `sub` names, who must not be deleted. A `sub` may also name nobody here.
fn expect_subject_live(txn: &dyn ReadTxn, claims: &Json) -> Result<Option<enroll_protocol::Pk>, Fault> {
    let Some(sub) = claims.member::<String>("sub")? else { return Ok(None) };
    let Ok(named) = Reference::new(sub) else { return Ok(None) };
    let Some((pk, found)) = person::find(txn, &named)? else { return Ok(None) };
    person::expect_live(&named, &found)?;
    Ok(Some(pk))
}

const LETTERS_AND_DIGITS: &[u8; 36] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ2345678901";

/// A code, every character equally likely. Where confusion is avoided, `0` and `1` (the last two) are not issued.
fn draw(random: &mut ChaCha20Rng, avoid_confusion: bool) -> String {
    let alphabet = &LETTERS_AND_DIGITS[..if avoid_confusion { 34 } else { 36 }];
    // Bytes at and over the largest multiple would favour the first characters.
    let fair = 256 / alphabet.len() * alphabet.len();
    let mut code = String::with_capacity(LOGIN_CODE_CHARACTERS);
    while code.len() < LOGIN_CODE_CHARACTERS {
        let mut byte = [0];
        random.fill_bytes(&mut byte);
        if usize::from(byte[0]) < fair {
            code.push(char::from(alphabet[usize::from(byte[0]) % alphabet.len()]));
        }
    }
    code
}

/// A code as people type it: case, blanks and dashes do not matter, nor `0` for `O` and `1` for `I` where those two
/// are never issued.
fn read_typed(typed: &str, avoid_confusion: bool) -> String {
    typed
        .chars()
        .filter(|c| !c.is_whitespace() && *c != '-')
        .map(|c| match c.to_ascii_uppercase() {
            '0' if avoid_confusion => 'O',
            '1' if avoid_confusion => 'I',
            other => other,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    #[test]
    fn issued_characters_are_evenly_spread_and_never_confusing() {
        let mut random = ChaCha20Rng::from_seed([1; 32]);
        let mut counts = [0_u32; 128];
        for _ in 0..34_000 / LOGIN_CODE_CHARACTERS {
            for c in draw(&mut random, true).bytes() {
                counts[usize::from(c)] += 1;
            }
        }
        assert_eq!(counts.iter().filter(|count| **count > 0).count(), 34);
        assert_eq!((counts[usize::from(b'0')], counts[usize::from(b'1')]), (0, 0));
        assert!(counts.iter().filter(|count| **count > 0).all(|count| (850..1150).contains(count)), "{counts:?}");
    }

    #[test]
    fn typed_codes_are_read_kindly() {
        assert_eq!(read_typed(" ab0d-1fgh \tjkl ", true), "ABODIFGHJKL");
        assert_eq!(read_typed("ab0d-1", false), "AB0D1");
    }
}
