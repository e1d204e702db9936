//! JWTs (RFC 7519), signed with Ed25519 or RS256, which are deterministic, or with ES256, which is not.
//!
//! A rule makes the *unsigned* form (header and claims) and stores that; it is signed after the commit, off the
//! writer, and again when the answer is repeated for its idempotency key. A JWT of ES256 is signed before its answer
//! is stored, because a second signature would differ. Times are checked against the context's clock, never the
//! system's.

mod key_pair;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use enroll_protocol::{Json, Jwt, Pk, Time};
use jsonwebtoken::{DecodingKey, Header, Validation};
use serde_json::{Value, json};

use self::key_pair::Private;
pub use self::key_pair::{NewKey, SigningAlgorithm};
use super::IdentityError;

/// Issuer, audience, algorithm and lifetimes of the daemon's own JWTs.
#[derive(Debug, Clone)]
pub struct Issuing {
    /// The algorithm of keys that are made from now on.
    pub algorithm: SigningAlgorithm,
    /// The claim `iss`.
    pub issuer: String,
    /// The claim `aud`; empty for JWTs without one.
    pub audience: String,
    /// Lifetime of a JWT in seconds.
    pub lifetime_seconds: u64,
    /// Seconds from the first JWT of a session until it can no longer be refreshed.
    pub refresh_seconds: u64,
}

/// Seconds that a JWT's time of issue may lie ahead of the clock. A JWT issued by a clock further ahead would be valid
/// for longer than its lifetime.
const AHEAD_SECONDS_MAX: i64 = 60;

/// The claims that the daemon sets itself.
pub const OWN_CLAIMS: [&str; 7] = ["iss", "aud", "iat", "nbf", "exp", "jti", FIRST_ISSUED];

/// The claim of a refreshed JWT with the time at which the first one was issued.
const FIRST_ISSUED: &str = "orig_iat";

/// The keys that sign and verify JWTs.
#[derive(Default)]
pub struct KeyRing {
    /// Oldest first; the last one signs.
    keys: Vec<SigningKey>,
    /// The time at which the clock last went back.
    went_back_at: Option<Time>,
}

struct SigningKey {
    kid: String,
    created: Time,
    algorithm: SigningAlgorithm,
    public: Vec<u8>,
    signing: Private,
    verifying: DecodingKey,
}

impl SigningKey {
    /// The public key as a JWK (RFC 7517, 7518 and 8037).
    fn jwk(&self) -> Result<Value, IdentityError> {
        let mut jwk = json!({"alg": self.algorithm.name(), "use": "sig", "kid": self.kid});
        for (name, value) in self.algorithm.jwk_members(&self.public)? {
            jwk[name] = value.into();
        }
        Ok(jwk)
    }
}

impl KeyRing {
    /// A ring without keys, for a registry whose clock last went back at this time.
    pub fn since(went_back_at: Option<Time>) -> Self {
        Self { keys: Vec::new(), went_back_at }
    }

    /// Adds a key; the last one added signs.
    pub fn add(
        &mut self,
        pk: Pk,
        created: Time,
        algorithm: SigningAlgorithm,
        private: &[u8],
        public: &[u8],
    ) -> Result<(), IdentityError> {
        self.keys.push(SigningKey {
            kid: pk.to_string(),
            created,
            algorithm,
            public: public.to_vec(),
            signing: algorithm.signing(private)?,
            verifying: algorithm.verifying(public),
        });
        Ok(())
    }

    /// The public keys in use, as a JWK set.
    pub fn key_set(&self, issuing: &Issuing, now: Time) -> Result<Json, IdentityError> {
        let keys: Vec<Value> = self.in_use(issuing, now).map(SigningKey::jwk).collect::<Result<_, _>>()?;
        Json::of(&json!({ "keys": keys })).map_err(|err| IdentityError(err.0))
    }

    /// The unsigned form (header and claims) of a new JWT, and its expiry.
    pub fn unsigned(&self, issuing: &Issuing, claims: &Json, now: Time, id: Pk) -> Result<(Jwt, Time), IdentityError> {
        self.unsigned_since(issuing, claims, None, now, id)
    }

    /// The unsigned form of the successor of a JWT with these claims, or the reason, for people, that there is none.
    pub fn unsigned_again(
        &self,
        issuing: &Issuing,
        claims: &Json,
        now: Time,
        id: Pk,
    ) -> Result<Result<(Jwt, Time), &'static str>, IdentityError> {
        let failed = |err: enroll_protocol::Invalid| IdentityError(err.0);
        let mut members = claims.members().map_err(failed)?;
        let Some(first) = first_issued(claims) else {
            return Ok(Err("it does not say when it was issued"));
        };
        let last = first.saturating_add(i64::try_from(issuing.refresh_seconds).unwrap_or(i64::MAX));
        if now.seconds() >= last {
            return Ok(Err("the first one was issued too long ago; log in again"));
        }
        members.retain(|name, _| !OWN_CLAIMS.contains(&name.as_str()));
        let claims = Json::of(&members).map_err(failed)?;
        self.unsigned_since(issuing, &claims, Some(first), now, id).map(Ok)
    }

    fn unsigned_since(
        &self,
        issuing: &Issuing,
        claims: &Json,
        first_issued: Option<i64>,
        now: Time,
        id: Pk,
    ) -> Result<(Jwt, Time), IdentityError> {
        let key = self.keys.last().ok_or_else(|| IdentityError("there is no signing key".to_owned()))?;
        let header = Header { kid: Some(key.kid.clone()), ..Header::new(key.algorithm.of_jose()) };
        let header = serde_json::to_vec(&header).map_err(|err| IdentityError(err.to_string()))?;
        let expires = now.plus_seconds(issuing.lifetime_seconds);
        let mut own = json!({"iss": issuing.issuer});
        if !issuing.audience.is_empty() {
            own["aud"] = issuing.audience.as_str().into();
        }
        own["iat"] = now.seconds().into();
        own["exp"] = expires.seconds().into();
        own["jti"] = json!(id);
        if let Some(first_issued) = first_issued {
            own[FIRST_ISSUED] = first_issued.into();
        }
        // Joined as text, so that the caller's claims keep every digit.
        let mut payload = own.to_string();
        payload.pop();
        match &claims.as_str()[1..] {
            "}" => payload.push('}'),
            rest => payload.extend([",", rest]),
        }
        let unsigned = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        Ok((Jwt::new(unsigned).map_err(|err| IdentityError(err.0))?, expires))
    }

    /// True if a second signature of the same form is the same.
    pub fn signs_alike(&self) -> bool {
        self.keys.last().is_none_or(|key| key.algorithm.signs_alike())
    }

    /// Signs an unsigned form; a signed JWT stays as it is.
    pub fn sign(&self, unsigned: &Jwt) -> Result<Jwt, IdentityError> {
        if unsigned.as_str().split('.').count() == 3 {
            return Ok(unsigned.clone());
        }
        let failed = |err: jsonwebtoken::errors::Error| IdentityError(err.to_string());
        let header = jsonwebtoken::decode_header(format!("{}.", unsigned.as_str())).map_err(failed)?;
        let key = self.key(header.kid.as_deref()).ok_or_else(|| IdentityError("the signing key is gone".to_owned()))?;
        let signature = key.signing.sign(unsigned.as_str().as_bytes(), key.algorithm)?;
        Jwt::new(format!("{}.{signature}", unsigned.as_str())).map_err(|err| IdentityError(err.0))
    }

    /// The claims of a JWT that was signed here and is valid now; otherwise the reason, for people, that it is not.
    pub fn verify(&self, issuing: &Issuing, jwt: &Jwt, now: Time) -> Result<Json, &'static str> {
        let header = jsonwebtoken::decode_header(jwt.as_str()).map_err(|_| "it is not a JWT")?;
        let mut keys = self.in_use(issuing, now);
        let key =
            keys.find(|key| Some(&key.kid) == header.kid.as_ref()).ok_or("its key is not one of this daemon's")?;
        let mut validation = Validation::new(key.algorithm.of_jose());
        validation.validate_exp = false;
        validation.set_issuer(&[&issuing.issuer]);
        match issuing.audience.as_str() {
            "" => {
                validation.set_required_spec_claims(&["exp", "iss"]);
                validation.validate_aud = false;
            }
            audience => {
                validation.set_required_spec_claims(&["exp", "iss", "aud"]);
                validation.set_audience(&[audience]);
            }
        }
        let claims = jsonwebtoken::decode::<Value>(jwt.as_str(), &key.verifying, &validation)
            .map_err(|_| "its signature, issuer or audience is wrong")?
            .claims;
        let seconds = |name: &str| claims.get(name).and_then(Value::as_i64);
        if seconds("exp").is_none_or(|exp| exp <= now.seconds()) {
            return Err("it has expired");
        }
        if seconds("iat").is_some_and(|iat| iat > now.seconds().saturating_add(AHEAD_SECONDS_MAX)) {
            return Err("it was issued while the clock was ahead; log in again");
        }
        payload_of(jwt).ok_or("its claims are not a JSON object within the bounds")
    }

    /// The key that signs, and replaced keys while a JWT that they signed in their time may be valid. A JWT signed with
    /// a key after its replacement is not valid: somebody may have stolen the key. A key whose replacement lies in the
    /// future was replaced before the clock went back.
    fn in_use(&self, issuing: &Issuing, now: Time) -> impl Iterator<Item = &SigningKey> {
        let replaced = self.keys.iter().skip(1).map(|next| Some(next.created)).chain([None]);
        let lifetime = issuing.lifetime_seconds;
        let by = move |at: Time| if at <= now { at } else { self.went_back_at.map_or(at, |back| back.min(at)) };
        let is_used = move |at: Option<Time>| at.is_none_or(|at| now < by(at).plus_seconds(lifetime + 1));
        self.keys.iter().zip(replaced).filter(move |(_, at)| is_used(*at)).map(|(key, _)| key)
    }

    fn key(&self, kid: Option<&str>) -> Option<&SigningKey> {
        self.keys.iter().find(|key| Some(key.kid.as_str()) == kid)
    }
}

/// The time in seconds at which the first JWT of a session was issued, by the claims of a later one.
pub fn first_issued(claims: &Json) -> Option<i64> {
    let seconds = |name: &str| claims.member::<i64>(name).ok().flatten();
    seconds(FIRST_ISSUED).or_else(|| seconds("iat"))
}

/// The claims as they stand in the JWT, digit for digit.
pub(super) fn payload_of(jwt: &Jwt) -> Option<Json> {
    let payload = URL_SAFE_NO_PAD.decode(jwt.as_str().split('.').nth(1)?).ok()?;
    Json::new(std::str::from_utf8(&payload).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_763_805_600_000_000;

    fn ring(algorithm: SigningAlgorithm) -> KeyRing {
        let mut ring = KeyRing::default();
        let pair = NewKey::make(algorithm, &[7; 32]).expect("a key");
        ring.add(Pk::from_bytes([1; 16]), at(0), algorithm, &pair.private, &pair.public).expect("a key that signs");
        ring
    }

    fn at(seconds: i64) -> Time {
        Time::from_micros(NOW + seconds * 1_000_000).expect("a time")
    }

    fn issuing() -> Issuing {
        Issuing {
            algorithm: SigningAlgorithm::default(),
            issuer: "enrolld".to_owned(),
            audience: "tests".to_owned(),
            lifetime_seconds: 60,
            refresh_seconds: 600,
        }
    }

    #[test]
    fn a_jwt_verifies_until_it_expires_and_but_for_es256_is_the_same_every_time() {
        for algorithm in SigningAlgorithm::ALL {
            expect_valid_until_it_expires(algorithm);
        }
    }

    fn expect_valid_until_it_expires(algorithm: SigningAlgorithm) {
        let ring = ring(algorithm);
        let claims = Json::new(r#"{"sub":"DOGGO01a","n":1.50}"#).expect("claims");
        let (unsigned, expires) = ring.unsigned(&issuing(), &claims, at(0), Pk::from_bytes([2; 16])).expect("unsigned");
        let jwt = ring.sign(&unsigned).expect("signed");
        assert_eq!(ring.sign(&unsigned).expect("signed") == jwt, algorithm.signs_alike());
        assert_eq!(expires, at(60));
        let verified = ring.verify(&issuing(), &jwt, at(59)).expect("valid");
        assert!(verified.as_str().ends_with(r#""sub":"DOGGO01a","n":1.50}"#), "{verified:?}");
        assert_eq!(ring.verify(&issuing(), &jwt, at(60)), Err("it has expired"));
        // Also by a clock that is a little slow.
        assert_eq!(ring.verify(&issuing(), &jwt, at(-1)), Ok(verified));
    }

    #[test]
    fn what_was_not_signed_here_is_refused() {
        for algorithm in SigningAlgorithm::ALL {
            expect_nothing_forged_is_believed(&ring(algorithm), algorithm);
        }
    }

    fn expect_nothing_forged_is_believed(ring: &KeyRing, algorithm: SigningAlgorithm) {
        let (unsigned, _) =
            ring.unsigned(&issuing(), &Json::default(), at(0), Pk::from_bytes([2; 16])).expect("unsigned");
        let jwt = ring.sign(&unsigned).expect("signed");
        let parts: Vec<&str> = jwt.as_str().split('.').collect();
        let kid = Pk::from_bytes([1; 16]);
        let none = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"none","kid":"{kid}"}}"#));
        let hs256 = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"HS256","kid":"{kid}"}}"#));
        let other = SigningAlgorithm::ALL.into_iter().find(|other| *other != algorithm).map(SigningAlgorithm::name);
        let other = URL_SAFE_NO_PAD.encode(json!({"alg": other, "kid": kid}).to_string());
        let claims = URL_SAFE_NO_PAD.encode(r#"{"sub":"BOSS","exp":99999999999,"iss":"enrolld","aud":"tests"}"#);
        for forged in [
            "x".to_owned(),
            format!("{}.{claims}.{}", parts[0], parts[2]),
            format!("{none}.{}.", parts[1]),
            format!("{none}.{}.{}", parts[1], parts[2]),
            format!("{hs256}.{}.{}", parts[1], parts[2]),
            format!("{other}.{}.{}", parts[1], parts[2]),
        ] {
            assert!(ring.verify(&issuing(), &Jwt::new(forged.clone()).expect("text"), at(1)).is_err(), "{forged}");
        }
        assert!(KeyRing::default().verify(&issuing(), &jwt, at(1)).is_err());
    }
}
