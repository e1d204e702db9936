//! The client library of enrolld: every operation of the contract, pipelined over one Unix socket.
//!
//! No code here is specific to an operation. A request is a value of [`protocol`], and its type determines the reply:
//!
//! ```
//! use enroll_client::Client;
//! use enroll_client::protocol::{person, role};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let daemon = enroll_client::fake::Daemon::builder().start()?;
//! # let socket = daemon.socket_of(1000, enroll_client::fake::Grant::Admin)?;
//! // In a service: enroll_client::default_socket().
//! let client = Client::connect(socket).await?;
//! # client.call(person::Create { roles: vec!["superuser".parse()?], ..person::Create::new("BOSS".parse()?) }).await?;
//! let dog = client.call(person::Create::new("DOGGO01a".parse()?)).await?;
//! assert_eq!(client.call(person::Get::new("doggo01A".parse()?)).await?, dog);
//!
//! // On behalf of a person, and saying where the attempt came from:
//! let boss = client.as_actor("BOSS".parse()?).with_origin("203.0.113.9".parse()?);
//! boss.call(role::Assign { person: "DOGGO01a".parse()?, role: "member".parse()? }).await?;
//! # Ok(())
//! # }
//! ```
//!
//! To try a program, run it with a daemon of its own that is gone afterwards: `enrollctl sandbox -- cargo run`. In its
//! tests a daemon can live in their own process, see [Features](#features).
//!
//! A text names a record by its primary key or its natural name. A service that passes on typed text, or a name from a
//! certificate, says which it is with [`by_callsign`], [`by_code`] or [`by_pk`], so that no text of a stranger is taken
//! for a primary key.
//!
//! A program without async calls the same through [`blocking::Client`].
//!
//! Guarantees, whatever happens to the connection:
//! - A request is sent when it is made, not when its future is first awaited, and requests of one client are sent in
//!   the order they were made. Many may be in flight; they share one connection.
//! - A write whose answer was lost is sent again under its idempotency key, so it is done once and gets its first
//!   answer. Every write has a key: its caller's, or one made here.
//! - A stream has a connection of its own and resumes after its last item: no item is lost or repeated.
//! - `busy` is retried, and a daemon that restarts is found again, both within bounds that can be set. With a
//!   [circuit breaker](Builder::circuit_breaker) it is found after any time.
//!
//! # From a callsign to a place
//!
//! Name the person, ask, and act on the refusal's code:
//!
//! ```
//! use enroll_client::protocol::{Code, registration};
//! use enroll_client::{Client, Error, by_callsign};
//!
//! async fn register(client: &Client, event: &str, callsign: &str) -> Result<String, Box<dyn std::error::Error>> {
//!     let create = registration::Create { event: event.parse()?, person: by_callsign(callsign)? };
//!     match client.as_actor(by_callsign(callsign)?).call(create).await {
//!         Ok(registered) if registered.waiting => Ok("you are on the waiting list".to_owned()),
//!         Ok(_) => Ok("you have a place".to_owned()),
//!         Err(Error::Refused(refusal)) if refusal.code == Code::ALREADY_REGISTERED => Ok("as before".to_owned()),
//!         Err(Error::Refused(refusal)) => Ok(refusal.message),
//!         Err(error) => Err(error.into()),
//!     }
//! }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let daemon = enroll_client::fake::Daemon::builder().start()?;
//! # let client = daemon.client()?;
//! # client.call(enroll_client::protocol::person::Create::new("DOGGO01a".parse()?)).await?;
//! let told = register(&client, "01994f3a-7c1e-7d55-a1b2-3c4d5e6f7a8b", "DOGGO01a").await?;
//! assert!(told.contains("event"), "there is no such event: {told}");
//! # Ok(())
//! # }
//! ```
//!
//! Then read [`Client`] for its calls, [`Builder`] for its settings, [`Request`] for a dry run or a key of one's own,
//! [`Stream`] for the change feed, [`Transaction`] for several writes that succeed together or not at all, and
//! [`protocol`] for every operation and record.
//!
//! # Features
//!
//! - `fake`: a daemon in process, for the tests of a service (the module `fake`). Off by default: it brings the daemon's
//!   crates along.
//!
//! Deliberately absent: a method per operation, a pool of connections, and any logging.

pub mod blocking;
#[cfg(feature = "fake")]
pub mod fake;

mod answer;
mod builder;
mod client;
mod error;
mod reference;
mod request;
mod socket;
mod stream;
mod transaction;

mod backoff;
mod breaker;
mod calls;
mod connection;
mod key;
mod peer;
mod pipeline;
mod worker;

#[cfg(test)]
mod fake_daemon;

pub use answer::{Answer, Reply};
pub use builder::Builder;
pub use client::Client;
pub use enroll_protocol as protocol;
pub use error::Error;
pub use reference::{by_callsign, by_code, by_pk};
pub use request::Request;
pub use socket::{check_socket, default_socket};
pub use stream::{RawStream, Stream};
pub use transaction::{Place, Transaction};
