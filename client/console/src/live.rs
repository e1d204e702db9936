//! The live stream: one connection of server-sent events for a browser, with each change as the feed draws it.
//!
//! An event's id is the number of its change, so that a stream that broke off goes on after the last one. A daemon that
//! is away, and back, is told of, and so is the end of the session.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Query;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use enroll_client::protocol::changes::{Change, Follow};
use enroll_client::protocol::server;
use enroll_client::{Error, Stream};
use futures_util::stream;
use serde::Deserialize;
use tokio::sync::mpsc::{self, Sender};

use crate::console::Console;
use crate::guard::LIVE;
use crate::pages::feed;
use crate::records::Records;
use crate::refusal::Told;
use crate::visit::Visit;

/// Events that wait for a slow browser; more wait with the daemon.
const EVENTS_MAX: usize = 64;

/// The time between two looks whether a daemon that is away is back.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Its route.
pub(crate) fn routes() -> Router<Arc<Console>> {
    Router::new().route(LIVE, get(live))
}

#[derive(Debug, Deserialize)]
struct Begin {
    /// The number of the last change that the page shows.
    since: Option<u64>,
}

async fn live(visit: Visit, Query(begin): Query<Begin>, headers: HeaderMap) -> Response {
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    let since = last.or(begin.since);
    let (events, mut receiver) = mpsc::channel(EVENTS_MAX);
    tokio::spawn(async move {
        tokio::select! {
            () = follow(&visit, since, &events) => {}
            () = visit.console().session.ended() => {
                // A browser that reads nothing need not know.
                let _ = events.try_send(Event::default().event("ended").data("ended"));
            }
            () = events.closed() => {}
        }
    });
    let events = stream::poll_fn(move |context| receiver.poll_recv(context).map(|event| event.map(Ok::<_, Error>)));
    Sse::new(events).keep_alive(KeepAlive::default()).into_response()
}

/// Sends each change until the feed is refused or the browser is gone.
async fn follow(visit: &Visit, since: Option<u64>, events: &Sender<Event>) {
    let mut changes: Option<Stream<Follow>> = None;
    loop {
        let next = match &mut changes {
            Some(changes) => changes.next().await.transpose(),
            None => match visit.client().stream(Follow { since }).await {
                Ok(begun) => {
                    changes = Some(begun);
                    continue;
                }
                Err(error) => Err(error),
            },
        };
        let event = match next {
            Ok(Some(change)) => drawn(visit, &change).await,
            Ok(None) => return,
            Err(error @ Error::Unavailable(_)) => {
                let away = Event::default().event("away").data(line(&Told::of(&error).message));
                if events.send(away).await.is_err() {
                    return;
                }
                // Each "away" has its "back", also when the next request finds the daemon again.
                wait_for_daemon(visit).await;
                Event::default().event("back").data("back")
            }
            Err(error) => {
                let _ = events.send(Event::default().event("refused").data(line(&Told::of(&error).message))).await;
                // The browser would ask again and again, where nothing will change: it is left to wait.
                return events.closed().await;
            }
        };
        if events.send(event).await.is_err() {
            return;
        }
    }
}

/// Waits until the daemon answers.
async fn wait_for_daemon(visit: &Visit) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let looked = visit.client().call(server::Status {}).await;
        if !matches!(looked, Err(Error::Unavailable(_))) {
            return;
        }
    }
}

async fn drawn(visit: &Visit, change: &Change) -> Event {
    let records = Records::look_up(visit.client(), feed::records_of(std::slice::from_ref(change))).await;
    let entry = feed::entry(change, &records, visit).into_string();
    Event::default().id(change.seq.to_string()).event("change").data(line(&entry))
}

/// A text without the one character that an event can not carry.
fn line(text: &str) -> String {
    text.replace('\r', " ")
}
