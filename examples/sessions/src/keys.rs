//! Keys of the daemon, public ones: they verify sessions in this process, with no call for a request.
//!
//! A session that was verified so is valid until it expires, also when its person is deleted meanwhile. What must end at
//! once is asked of the daemon on behalf of the session.

use std::time::Duration;

use enroll_client::protocol::jwt;
use enroll_client::{Client, Error};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use tokio::sync::RwLock;
use tokio::time::Instant;

use crate::refused::Refused;

/// The shortest time between two fetches, so that forged JWTs cause few.
const FETCH_AGAIN: Duration = Duration::from_secs(10);

/// The daemon's public keys. They are fetched again when a JWT names one that is not among them, which is so after
/// `enrollctl jwt rotate`.
#[derive(Debug)]
pub struct Keys {
    client: Client,
    issuer: String,
    audience: String,
    fetched: RwLock<Fetched>,
}

#[derive(Debug)]
struct Fetched {
    set: JwkSet,
    at: Instant,
}

/// The claims of a session that this service looks at.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Claims {
    /// The callsign of its person.
    pub(crate) sub: String,
}

impl Keys {
    /// Fetches the keys. Issuer and audience are `jwt.issuer` and `jwt.audience` of the daemon's configuration.
    pub async fn fetch(client: Client, issuer: &str, audience: &str) -> Result<Self, Error> {
        let fetched = RwLock::new(Fetched::from(&client).await?);
        Ok(Self { client, issuer: issuer.to_owned(), audience: audience.to_owned(), fetched })
    }

    /// The claims of a session that is valid now.
    pub(crate) async fn verify(&self, jwt: &str) -> Result<Claims, Refused> {
        let header = jsonwebtoken::decode_header(jwt).map_err(|_| Refused::session())?;
        let kid = header.kid.ok_or_else(Refused::session)?;
        if let Some(claims) = self.verified_by(&kid, jwt).await {
            return claims;
        }
        self.fetch_again().await?;
        self.verified_by(&kid, jwt).await.unwrap_or_else(|| Err(Refused::session()))
    }

    /// The claims by the key of this name; `None` without such a key.
    async fn verified_by(&self, kid: &str, jwt: &str) -> Option<Result<Claims, Refused>> {
        let fetched = self.fetched.read().await;
        let key = fetched.set.find(kid)?;
        // The algorithm is the key's, whatever the JWT says.
        let algorithm: Algorithm = key.common.key_algorithm?.to_string().parse().ok()?;
        let verifying = DecodingKey::from_jwk(key).ok()?;
        let mut validation = Validation::new(algorithm);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[&self.audience]);
        let verified = jsonwebtoken::decode::<Claims>(jwt, &verifying, &validation);
        Some(verified.map(|verified| verified.claims).map_err(|_| Refused::session()))
    }

    async fn fetch_again(&self) -> Result<(), Error> {
        let mut fetched = self.fetched.write().await;
        if fetched.at.elapsed() >= FETCH_AGAIN {
            *fetched = Fetched::from(&self.client).await?;
        }
        Ok(())
    }
}

impl Fetched {
    async fn from(client: &Client) -> Result<Self, Error> {
        let set = client.call(jwt::Keys {}).await?;
        let set = serde_json::from_str(set.as_str()).map_err(|err| Error::Protocol(format!("a JWK set: {err}")))?;
        Ok(Self { set, at: Instant::now() })
    }
}
