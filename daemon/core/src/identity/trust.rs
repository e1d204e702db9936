//! Trusted issuers of foreign JWTs, from the configuration, and verification with their public keys.
//!
//! A key verifies by one algorithm, that of its kind, whatever a JWT says; there are no shared secrets. Times are
//! checked against the caller's clock, with a leeway for issuers whose clocks differ.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use enroll_protocol::{Json, Jwt, Time, plain_name, without_mark};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde_json::Value;

use super::jwt::{self, OWN_CLAIMS};
use super::{IdentityError, pem, signer};

/// The claim of the nonce, which is spent like a token.
pub const NONCE: &str = "nonce";

/// The end of the year 9999.
const LATEST_SECONDS: f64 = 253_402_300_799.0;

/// A trusted issuer, whose JWTs can be exchanged.
pub struct Issuer {
    /// The claim `iss`, exactly.
    pub issuer: String,
    /// The audience that the claim `aud` must be or hold.
    pub audience: String,
    keys: Vec<Key>,
}

/// A public key.
struct Key {
    id: Option<String>,
    algorithm: Algorithm,
    verifying: DecodingKey,
}

/// The claims of a JWT of a trusted issuer.
#[derive(Debug)]
pub struct Foreign {
    /// The issuer.
    pub issuer: String,
    /// The claim that makes it single-use.
    pub nonce: String,
    /// The time until which it can be exchanged.
    pub expires: Time,
    /// The claims that are copied into the new JWT: none of those that this daemon sets itself.
    pub claims: Json,
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer").field("issuer", &self.issuer).field("audience", &self.audience).finish_non_exhaustive()
    }
}

impl Issuer {
    /// An issuer with the keys of a text, a JWK set (RFC 7517) or public keys in PEM, and an error for each unusable
    /// key. The other keys are used all the same (RFC 7517, section 5); without any, every JWT of this issuer is
    /// refused.
    pub fn read(issuer: &str, audience: &str, keys: &str) -> (Self, Vec<String>) {
        let keys = without_mark(keys);
        let read = if keys.trim_start().starts_with('{') { of_set(keys) } else { of_pem(keys) };
        let (keys, wrong): (Vec<_>, Vec<_>) = match read {
            Ok(read) => {
                let (keys, wrong): (Vec<_>, Vec<_>) = read.into_iter().partition(Result::is_ok);
                (keys.into_iter().flatten().collect(), wrong.into_iter().filter_map(Result::err).collect())
            }
            Err(err) => (Vec::new(), vec![err.0]),
        };
        let wrong = match (keys.is_empty(), wrong.is_empty()) {
            (true, true) => vec!["there is no public key in it".to_owned()],
            _ => wrong,
        };
        (Self { keys, ..Self::without_keys(issuer, audience) }, wrong)
    }

    /// An issuer whose keys could not be read: every JWT of it is refused.
    pub fn without_keys(issuer: &str, audience: &str) -> Self {
        Self { issuer: issuer.to_owned(), audience: audience.to_owned(), keys: Vec::new() }
    }

    /// True if it has no usable key.
    pub fn is_unusable(&self) -> bool {
        self.keys.is_empty()
    }

    /// The claims of a JWT of this issuer that is valid now; an error is a sentence for people.
    fn verify(&self, jwt: &Jwt, now: Time, leeway_seconds: u64) -> Result<Foreign, &'static str> {
        let claims = self.signed_claims(jwt)?;
        let seconds = |name: &str| match claims.get(name) {
            None | Some(Value::Null) => Ok(None),
            // NumericDate may have a fraction of a second, which is dropped.
            Some(value) => value.as_f64().map(Some).ok_or("one of its times is no number"),
        };
        let (now_seconds, leeway) = (now.micros() as f64 / 1e6, leeway_seconds as f64);
        let exp = seconds("exp")?.ok_or("it does not say when it expires")?;
        if exp + leeway <= now_seconds {
            return Err("it has expired");
        }
        for name in ["nbf", "iat"] {
            if seconds(name)?.is_some_and(|from| from - leeway > now_seconds) {
                return Err("it is not valid yet");
            }
        }
        let nonce = claims.get(NONCE).and_then(Value::as_str).filter(|nonce| !nonce.is_empty());
        let nonce = nonce.ok_or("it has no nonce, or one that is no text")?.to_owned();
        let unreadable = "its claims are not a JSON object within the bounds";
        let payload = jwt::payload_of(jwt).ok_or(unreadable)?;
        let mut members = payload.members().map_err(|_| unreadable)?;
        members.retain(|name, _| !OWN_CLAIMS.contains(&name.as_str()) && name != NONCE);
        let claims = Json::of(&members).map_err(|_| unreadable)?;
        let until = Duration::try_from_secs_f64((exp + leeway).min(LATEST_SECONDS)).unwrap_or_default();
        // Rounded up: until it ends, its nonce must not be taken for an expired token.
        let expires = Time::EPOCH.plus_seconds(until.as_secs() + u64::from(until.subsec_nanos() > 0));
        Ok(Foreign { issuer: self.issuer.clone(), nonce, expires, claims })
    }

    /// The claims of a JWT that one of the keys has signed, for this audience.
    fn signed_claims(&self, jwt: &Jwt) -> Result<Value, &'static str> {
        if self.is_unusable() {
            return Err("none of its issuer's keys can be used here; server status says why");
        }
        let header = jsonwebtoken::decode_header(jwt.as_str()).map_err(|_| "it is not a JWT")?;
        if header.crit.is_some() {
            // RFC 7515, section 4.1.11: an unknown critical header must be refused.
            return Err("its header has a critical extension (crit), and none is known here");
        }
        let fits = |key: &&Key| {
            key.algorithm == header.alg && (header.kid.is_none() || key.id.is_none() || key.id == header.kid)
        };
        for key in self.keys.iter().filter(fits) {
            let mut validation = Validation::new(key.algorithm);
            validation.validate_exp = false;
            validation.set_required_spec_claims(&["exp", "iss", "aud"]);
            validation.set_issuer(&[&self.issuer]);
            validation.set_audience(&[&self.audience]);
            if let Ok(decoded) = jsonwebtoken::decode::<Value>(jwt.as_str(), &key.verifying, &validation) {
                return Ok(decoded.claims);
            }
        }
        Err("its signature, issuer or audience is wrong")
    }
}

/// The claims of a JWT of one of these issuers that is valid now; an error is a sentence for people.
pub fn verify(issuers: &[Issuer], jwt: &Jwt, now: Time, leeway_seconds: u64) -> Result<Foreign, &'static str> {
    let claims = jwt::payload_of(jwt).ok_or("it is not a JWT")?;
    let issuer = claims.member::<String>("iss").ok().flatten().ok_or("it does not say who issued it")?;
    let issuer = issuers.iter().find(|trusted| trusted.issuer == issuer);
    issuer.ok_or("its issuer is not one that the configuration trusts")?.verify(jwt, now, leeway_seconds)
}

/// The outcome of reading each key of a file.
type Keys = Vec<Result<Key, String>>;

fn of_set(text: &str) -> Result<Keys, IdentityError> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<Value>,
    }
    let unreadable = |err: serde_json::Error| {
        let (line, column) = (err.line(), err.column());
        IdentityError(format!("it is no JWK set: an object with a list keys; see line {line}, column {column}"))
    };
    let set: Set = serde_json::from_str(text).map_err(unreadable)?;
    let keys = set.keys.into_iter().enumerate();
    Ok(keys.filter_map(|(at, key)| of_jwk(at, key).transpose()).collect())
}

/// The key of a member of a JWK set; `None` of one that is not for signatures.
fn of_jwk(at: usize, key: Value) -> Result<Option<Key>, String> {
    let name = match key.get("kid").and_then(Value::as_str) {
        Some(id) => format!("its key {:?}", plain_name(id)),
        None => format!("its key {}", at + 1),
    };
    if key.get("use").and_then(Value::as_str).is_some_and(|used| used != "sig") {
        return Ok(None);
    }
    let kind = key.get("kty").and_then(Value::as_str).map(|kind| plain_name(kind).to_owned()).unwrap_or_default();
    let wrong = |why: &str| format!("{name}: {why}");
    let unusable = || wrong(&format!("it is of the kind {kind:?}; a whole key of RSA, P-256 or Ed25519 will do"));
    let jwk: Jwk = serde_json::from_value(key).map_err(|_| unusable())?;
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::RSA(key) => {
            require_strong_modulus(&key.n).map_err(|why| wrong(&why))?;
            Algorithm::RS256
        }
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => Algorithm::ES256,
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => Algorithm::EdDSA,
        _ => return Err(unusable()),
    };
    let says = jwk.common.key_algorithm.map(|algorithm| algorithm.to_string());
    if let Some(says) = says.filter(|says| *says != format!("{algorithm:?}")) {
        return Err(wrong(&format!("it is for {says}; RS256, ES256 and EdDSA will do")));
    }
    let verifying = DecodingKey::from_jwk(&jwk).map_err(|_| wrong("its numbers can not be read"))?;
    Ok(Some(Key { id: jwk.common.key_id, algorithm, verifying }))
}

fn require_strong_modulus(modulus: &str) -> Result<(), String> {
    let bytes = URL_SAFE_NO_PAD.decode(modulus).map_err(|_| "its modulus is not base64url".to_owned())?;
    let first = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
    signer::require_strong_rsa(signer::bits(&bytes[first..]))
}

fn of_pem(text: &str) -> Result<Keys, IdentityError> {
    let key = |block: &pem::Block| {
        if block.label != "PUBLIC KEY" {
            return Err(format!("there is a PEM block {}, and only PUBLIC KEY will do", block.label));
        }
        let key = signer::public_key(&block.der).and_then(|key| signer::verifying(&key));
        let (algorithm, verifying) = key.map_err(|err| err.0)?;
        Ok(Key { id: None, algorithm, verifying })
    };
    Ok(pem::read(text)?.iter().map(key).collect())
}
