//! Routes of the service, each one call of the daemon or none.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, DefaultBodyLimit, FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::routing::{get, post};
use axum::{Json, Router};
use enroll_client::protocol::{Json as Object, Jwt, LoginCode, Time, Token, code, person, token};
use enroll_client::{Client, by_callsign};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::keys::Keys;
use crate::refused::Refused;

/// The longest body of a request, in bytes.
const BODY_BYTES_MAX: usize = 4096;

#[derive(Debug, Clone)]
struct Service {
    client: Client,
    keys: Arc<Keys>,
}

/// The service, to be served with the addresses of its clients as `ConnectInfo`:
///
/// - `POST /login` with `{"code": ..}` answers `{"jwt": .., "expires": ..}`, once for each login code.
/// - `GET /me` answers whose session it is, without asking the daemon.
/// - `GET /me/record` answers that person's record, which the daemon refuses to sessions of deleted people.
/// - `POST /tickets` with `{"ticket": ..}` spends a ticket, once.
///
/// All but the first need a session: `Authorization: Bearer JWT`.
pub fn router(client: Client, keys: Keys) -> Router {
    Router::new()
        .route("/login", post(log_in))
        .route("/me", get(me))
        .route("/me/record", get(record))
        .route("/tickets", post(spend))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(Service { client, keys: Arc::new(keys) })
}

/// Somebody whose session was verified.
struct Visitor {
    callsign: String,
    session: Jwt,
}

impl FromRequestParts<Service> for Visitor {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, service: &Service) -> Result<Self, Refused> {
        let given = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let jwt = given.and_then(|value| value.strip_prefix("Bearer ")).ok_or_else(Refused::session)?;
        let session: Jwt = jwt.parse().map_err(|_| Refused::session())?;
        let claims = service.keys.verify(jwt).await?;
        Ok(Self { callsign: claims.sub, session })
    }
}

#[derive(Debug, Deserialize)]
struct Login {
    code: LoginCode,
}

#[derive(Debug, Serialize)]
struct Session {
    jwt: Option<Jwt>,
    expires: Time,
}

async fn log_in(
    State(service): State<Service>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    Json(login): Json<Login>,
) -> Result<Json<Session>, Refused> {
    // The daemon counts wrong codes for each address. Behind a proxy this is the proxy's.
    let client = match address.ip().to_string().parse() {
        Ok(origin) => service.client.with_origin(origin),
        Err(_) => service.client,
    };
    let used = client.call(code::Use::new(login.code)).await?;
    Ok(Json(Session { jwt: used.jwt, expires: used.expires }))
}

async fn me(visitor: Visitor) -> Json<Value> {
    Json(json!({"callsign": visitor.callsign}))
}

async fn record(State(service): State<Service>, visitor: Visitor) -> Result<Json<person::Person>, Refused> {
    let person = by_callsign(&visitor.callsign).map_err(|_| Refused::session())?;
    Ok(Json(service.client.as_proven(visitor.session).call(person::Get::new(person)).await?))
}

#[derive(Debug, Deserialize)]
struct Ticket {
    ticket: Token,
}

async fn spend(
    State(service): State<Service>,
    visitor: Visitor,
    Json(ticket): Json<Ticket>,
) -> Result<StatusCode, Refused> {
    let audit = Object::of(&json!({"by": visitor.callsign})).ok();
    service.client.call(token::Use { audit, ..token::Use::new(ticket.ticket) }).await?;
    Ok(StatusCode::NO_CONTENT)
}
