//! Spent tokens and open login codes, as an import carries them.
//!
//! A token is spent here as it was there. A login code is drawn by the daemon, so each gets a new one. Its old code is
//! spent as a token in the same transaction: that keeps it from being carried twice, by whatever run.

use enroll_client::protocol::{Code, Json, Key, Pk, Time, Token, code, codec, token};
use enroll_client::{Error, Transaction};

use super::fields::{Fields, json};
use super::kind::Shape;
use super::outcome::{Caller, Outcome};

/// The beginning of the one-time token that an old login code is spent as.
const OLD_CODE: &str = "imported login code ";

/// A token to spend.
#[derive(Debug)]
pub(super) struct Spent(token::Use);

impl Spent {
    /// An expiry that has passed is kept in the audit: a token without one is spent for ever, too.
    pub(super) fn read(fields: &Fields, shape: &Shape, now: Time) -> Result<Self, String> {
        let expires = fields.time("expires")?;
        let has_expired = expires.is_some_and(|expires| expires <= now);
        let kept = if has_expired { [shape.kept, &["expires"]].concat() } else { shape.kept.to_vec() };
        Ok(Self(token::Use {
            token: fields.required("token")?,
            audit: audit(fields, &kept)?,
            expires: expires.filter(|_| !has_expired),
        }))
    }

    /// The token in hexadecimal digits, because its case matters.
    pub(super) fn name(&self) -> String {
        self.0.token.as_str().bytes().map(|byte| format!("{byte:02x}")).collect()
    }

    pub(super) async fn carry(self, caller: &Caller) -> Result<Outcome, Error> {
        Ok(match caller.ask(&self.0).await? {
            Ok(_) => Outcome::Carried(None),
            Err(refusal) if refusal.code == Code::TOKEN_REUSE => Outcome::There("this token is spent".to_owned()),
            Err(refusal) => Outcome::Refused(refusal),
        })
    }
}

/// A login code to replace.
#[derive(Debug)]
pub(super) struct Login {
    /// The old code, as a token.
    old: Token,
    create: code::Create,
    /// The reason why it needs no new code.
    over: Option<&'static str>,
}

impl Login {
    pub(super) fn read(fields: &Fields, shape: &Shape, now: Time) -> Result<Self, String> {
        let text: String = fields.required("code")?;
        let old = Token::new(format!("{OLD_CODE}{text}")).map_err(|err| format!("code: {}", err.0))?;
        let expires = fields.time("expires")?;
        let over = if fields.text("used_on")?.is_some() {
            Some("it was used; a code that is not there is refused as well")
        } else if expires.is_some_and(|expires| expires <= now) {
            Some("it has expired")
        } else {
            None
        };
        let claims = fields.object("claims", &[])?;
        if claims.is_empty() {
            return Err("claims: the row has none".to_owned());
        }
        let create = code::Create { claims: json("claims", &claims)?, audit: audit(fields, shape.kept)?, expires };
        Ok(Self { old, create, over })
    }

    pub(super) fn name(&self) -> String {
        self.old.as_str().strip_prefix(OLD_CODE).unwrap_or_default().to_owned()
    }

    pub(super) async fn carry(self, caller: &Caller) -> Result<Outcome, Error> {
        if let Some(over) = self.over {
            return Ok(Outcome::NotCarried(over.to_owned()));
        }
        let mut transaction = Transaction::new();
        let _ = transaction.add(&token::Use::new(self.old));
        let created = transaction.add(&self.create);
        let run = transaction.run();
        // A run that broke off before it wrote the new code down gets it again, as long as answers are kept.
        let key = (!caller.is_dry_run).then(|| key_of(&codec::encode(&run)));
        let done = match caller.ask_under(&run, key).await? {
            // A refusal is kept under the key too, and its cause may be mended by now.
            Err(refusal) if refusal.code != Code::TOKEN_REUSE && !caller.is_dry_run => caller.ask(&run).await?,
            done => done,
        };
        match done {
            Ok(replies) => {
                let created = created.of(&replies).map_err(|err| Error::Protocol(err.0))?;
                Ok(Outcome::Carried(created.code.map(|code| code.as_str().to_owned())))
            }
            Err(refusal) if refusal.code == Code::TOKEN_REUSE => Ok(Outcome::There(
                "it got a new code before, which the result of that run has; code create makes another".to_owned(),
            )),
            Err(refusal) => Ok(Outcome::Refused(refusal)),
        }
    }
}

fn audit(fields: &Fields, kept: &[&str]) -> Result<Option<Json>, String> {
    let audit = fields.object("audit", kept)?;
    if audit.is_empty() { Ok(None) } else { json("audit", &audit).map(Some) }
}

/// The idempotency key of a request's bytes, by FNV-1a: the same in every run. The daemon keeps the keys of different
/// users apart and compares the requests, so it need not be hard to guess.
fn key_of(request: &[u8]) -> Key {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let hash = request.iter().fold(OFFSET, |hash, byte| (hash ^ u128::from(*byte)).wrapping_mul(PRIME));
    Key(Pk::from_bytes(hash.to_be_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_a_request_is_the_same_in_every_version() {
        let hex = |bytes: &[u8]| format!("{:032x}", u128::from_be_bytes(*key_of(bytes).0.as_bytes()));
        assert_eq!(hex(b""), "6c62272e07bb014262b821756295c58d");
        assert_eq!(hex(b"a"), "d228cb696f1a8caf78912b704e4a8964");
    }
}
