//! The window of a pipeline of requests: those whose answers are not printed yet, in their order, bounded in number and
//! bytes.

use std::collections::VecDeque;
use std::pin::Pin;

use enroll_client::protocol::limits::{FRAME_BYTES_MAX, IN_FLIGHT_MAX};
use enroll_client::protocol::{OperationRow, Refusal};
use enroll_client::{Answer, Client, Error};

use super::line::{Ask, Question};
use crate::stream;

/// Bytes of open requests after which no line is read: a few of the largest.
const OPEN_BYTES_MAX: usize = 8 * FRAME_BYTES_MAX;

/// The open lines.
#[derive(Default)]
pub(crate) struct Window {
    lines: VecDeque<Open>,
    /// Bytes of their requests.
    bytes: usize,
    has_list: bool,
}

struct Open {
    /// As JSON.
    id: String,
    bytes: usize,
    answer: Pending,
}

enum Pending {
    Refused(Refusal),
    Asked(&'static OperationRow, Answer),
    /// A list of any length, asked for when it is the first open line: so it shows the writes of the lines before it,
    /// and one list at a time is in memory.
    List(Pin<Box<dyn Future<Output = Result<String, Error>>>>),
}

impl Window {
    pub(crate) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// True if another line may be read. None is read behind a list, which would show its writes.
    pub(crate) fn has_room(&self) -> bool {
        self.lines.len() < IN_FLIGHT_MAX && self.bytes < OPEN_BYTES_MAX && !self.has_list
    }

    /// Sends a line's request.
    pub(crate) fn ask(&mut self, client: &Client, question: Question) {
        let bytes = question.ask.as_ref().map_or(0, |ask| ask.request.len());
        let answer = match question.ask {
            Err(refusal) => Pending::Refused(refusal),
            Ok(ask) if stream::is_list(ask.row) => {
                self.has_list = true;
                Pending::List(Box::pin(list(client.clone(), ask)))
            }
            Ok(ask) => Pending::Asked(ask.row, client.call_raw(ask.row, ask.envelope, &ask.request)),
        };
        self.bytes += bytes;
        self.lines.push_back(Open { id: question.id, bytes, answer });
    }

    /// Awaits the answer of the first line and removes the line; its id and its answer, both as JSON. Cancel safe.
    pub(crate) async fn first_answer(&mut self) -> (String, Result<String, Error>) {
        let Some(first) = self.lines.front_mut() else { return std::future::pending().await };
        let answer = match &mut first.answer {
            Pending::Refused(refusal) => Err(Error::Refused(refusal.clone())),
            Pending::Asked(row, answer) => answer.await.and_then(|reply| {
                row.reply_to_json(&reply).map_err(|err| Error::Protocol(format!("the reply of {}: {err}", row.name)))
            }),
            Pending::List(list) => {
                let answer = list.await;
                self.has_list = false;
                answer
            }
        };
        let first = self.lines.pop_front();
        self.bytes -= first.as_ref().map_or(0, |first| first.bytes);
        (first.map(|first| first.id).unwrap_or_default(), answer)
    }
}

/// A whole list as JSON.
async fn list(client: Client, ask: Ask) -> Result<String, Error> {
    let begin = || client.stream_raw(ask.row, ask.envelope.clone(), &ask.request);
    let list = match stream::whole(ask.row, begin().await?).await {
        // A walk that broke off can not be continued, and is begun again once.
        Err(Error::Unavailable(_)) => stream::whole(ask.row, begin().await?).await?,
        list => list?,
    };
    serde_json::to_string(&list).map_err(|err| Error::Protocol(format!("the reply of {}: {err}", ask.row.name)))
}
