//! JWTs (RFC 7519), signed with Ed25519, which is deterministic, or with ES256, which is not.
//!
//! A rule makes the *unsigned* form (header and claims) and stores that; it is signed after the commit, off the
//! writer, and again when the answer is repeated for its idempotency key. A JWT of ES256 is signed before its answer
//! is stored, because a second signature would differ. Times are checked against the context's clock, never the
//! system's.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use enroll_protocol::{Json, Jwt, Pk, Time};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::IdentityError;

/// A signing algorithm, by its JOSE name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SigningAlgorithm {
    /// Ed25519.
    #[default]
    #[serde(rename = "EdDSA")]
    Ed25519,
    /// ECDSA over P-256.
    #[serde(rename = "ES256")]
    Es256,
}

/// Issuer, audience, algorithm and lifetimes of the daemon's own JWTs.
#[derive(Debug, Clone)]
pub struct Issuing {
    /// The algorithm of keys that are made from now on.
    pub algorithm: SigningAlgorithm,
    /// The claim `iss`.
    pub issuer: String,
    /// The claim `aud`.
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

/// The DER before the private key in an ECPrivateKey (RFC 5915), and after it.
const EC_PRIVATE_KEY: [u8; 7] = [0x30, 0x31, 0x02, 0x01, 0x01, 0x04, 0x20];
const ON_P256: [u8; 12] = [0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];

/// A new key pair, ready to be stored.
pub struct NewKey {
    /// PKCS#8, to be sealed.
    pub private: Zeroizing<Vec<u8>>,
    /// The raw public key; of P-256 its uncompressed point.
    pub public: Vec<u8>,
}

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
    signing: EncodingKey,
    verifying: DecodingKey,
}

impl SigningAlgorithm {
    const ALL: [Self; 2] = [Self::Ed25519, Self::Es256];

    /// The algorithm of this name.
    pub fn named(name: &str) -> Result<Self, IdentityError> {
        let found = Self::ALL.into_iter().find(|algorithm| algorithm.name() == name);
        found.ok_or_else(|| IdentityError(format!("a key signs by {name:?}, which this version does not know")))
    }

    /// The name in the header of a JWT and in a JWK.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "EdDSA",
            Self::Es256 => "ES256",
        }
    }

    fn of_jose(self) -> Algorithm {
        match self {
            Self::Ed25519 => Algorithm::EdDSA,
            Self::Es256 => Algorithm::ES256,
        }
    }
}

impl NewKey {
    /// The key pair of a seed. Fails for one seed in four billion with ES256; a retry draws another.
    pub fn from_seed(algorithm: SigningAlgorithm, seed: &[u8; 32]) -> Result<Self, IdentityError> {
        let failed = || IdentityError(format!("a key pair for {} can not be made", algorithm.name()));
        let (private, public) = match algorithm {
            SigningAlgorithm::Ed25519 => {
                let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| failed())?;
                let private = pair.to_pkcs8().map_err(|_| failed())?;
                (private.as_ref().to_vec(), pair.public_key().as_ref().to_vec())
            }
            SigningAlgorithm::Es256 => {
                // An ECPrivateKey (RFC 5915) with its curve and without its public key, which follows from it.
                let der = Zeroizing::new([&EC_PRIVATE_KEY, &seed[..], &ON_P256].concat());
                let pair = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_ASN1_SIGNING, &der);
                let pair = pair.map_err(|_| failed())?;
                let private = pair.to_pkcs8v1().map_err(|_| failed())?;
                (private.as_ref().to_vec(), pair.public_key().as_ref().to_vec())
            }
        };
        Ok(Self { private: Zeroizing::new(private), public })
    }
}

impl SigningKey {
    /// The public key as a JWK (RFC 7517, 7518 and 8037).
    fn jwk(&self) -> Value {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let mut jwk = json!({"alg": self.algorithm.name(), "use": "sig", "kid": self.kid});
        let members = match self.algorithm {
            SigningAlgorithm::Ed25519 => {
                vec![("kty", "OKP".to_owned()), ("crv", "Ed25519".to_owned()), ("x", encode(&self.public))]
            }
            SigningAlgorithm::Es256 => {
                // One byte says that the point is not compressed; two coordinates of equal length follow.
                let (x, y) = self.public[1..].split_at(self.public.len() / 2);
                vec![("kty", "EC".to_owned()), ("crv", "P-256".to_owned()), ("x", encode(x)), ("y", encode(y))]
            }
        };
        for (name, value) in members {
            jwk[name] = value.into();
        }
        jwk
    }
}

impl KeyRing {
    /// A ring without keys, for a registry whose clock last went back at this time.
    pub fn since(went_back_at: Option<Time>) -> Self {
        Self { keys: Vec::new(), went_back_at }
    }

    /// Adds a key; the last one added signs.
    pub fn add(&mut self, pk: Pk, created: Time, algorithm: SigningAlgorithm, private: &[u8], public: &[u8]) {
        let (signing, verifying) = match algorithm {
            SigningAlgorithm::Ed25519 => (EncodingKey::from_ed_der(private), DecodingKey::from_ed_der(public)),
            SigningAlgorithm::Es256 => (EncodingKey::from_ec_der(private), DecodingKey::from_ec_der(public)),
        };
        self.keys.push(SigningKey {
            kid: pk.to_string(),
            created,
            algorithm,
            public: public.to_vec(),
            signing,
            verifying,
        });
    }

    /// The public keys in use, as a JWK set.
    pub fn key_set(&self, issuing: &Issuing, now: Time) -> Result<Json, IdentityError> {
        let keys: Vec<Value> = self.in_use(issuing, now).map(SigningKey::jwk).collect();
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
        let mut own = json!({
            "iss": issuing.issuer, "aud": issuing.audience, "iat": now.seconds(), "exp": expires.seconds(), "jti": id,
        });
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
        self.keys.last().is_none_or(|key| key.algorithm == SigningAlgorithm::Ed25519)
    }

    /// Signs an unsigned form; a signed JWT stays as it is.
    pub fn sign(&self, unsigned: &Jwt) -> Result<Jwt, IdentityError> {
        if unsigned.as_str().split('.').count() == 3 {
            return Ok(unsigned.clone());
        }
        let failed = |err: jsonwebtoken::errors::Error| IdentityError(err.to_string());
        let header = jsonwebtoken::decode_header(format!("{}.", unsigned.as_str())).map_err(failed)?;
        let key = self.key(header.kid.as_deref()).ok_or_else(|| IdentityError("the signing key is gone".to_owned()))?;
        let signature = jsonwebtoken::crypto::sign(unsigned.as_str().as_bytes(), &key.signing, key.algorithm.of_jose())
            .map_err(failed)?;
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
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation.set_issuer(&[&issuing.issuer]);
        validation.set_audience(&[&issuing.audience]);
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
        let pair = NewKey::from_seed(algorithm, &[7; 32]).expect("a key");
        ring.add(Pk::from_bytes([1; 16]), at(0), algorithm, &pair.private, &pair.public);
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
    fn a_jwt_verifies_until_it_expires_and_by_ed25519_is_the_same_every_time() {
        for algorithm in SigningAlgorithm::ALL {
            expect_valid_until_it_expires(algorithm);
        }
    }

    fn expect_valid_until_it_expires(algorithm: SigningAlgorithm) {
        let ring = ring(algorithm);
        let claims = Json::new(r#"{"sub":"DOGGO01a","n":1.50}"#).expect("claims");
        let (unsigned, expires) = ring.unsigned(&issuing(), &claims, at(0), Pk::from_bytes([2; 16])).expect("unsigned");
        let jwt = ring.sign(&unsigned).expect("signed");
        assert_eq!(ring.sign(&unsigned).expect("signed") == jwt, algorithm == SigningAlgorithm::Ed25519);
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
