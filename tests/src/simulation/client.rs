//! A simulated client: one connection at a time, several requests in flight, and calls that are sent again under their
//! keys after the connection is gone.

use std::collections::{BTreeMap, VecDeque};

use enroll_protocol::changes::Change;
use enroll_protocol::envelope::{Hello, MAGIC, PROTOCOL_VERSION};
use enroll_protocol::frame::{self, FrameKind, FrameReader};
use enroll_protocol::limits::FRAME_BYTES_MAX;
use enroll_protocol::{Code, Refusal, codec};

use super::following::STREAM;
use super::judge::{Answer, Judge};
use super::wire::Wire;

/// A client.
pub(super) struct Client {
    pub(super) uid: u32,
    /// The host that it is, or was last, connected to.
    pub(super) host: usize,
    /// That host refused something for now.
    pub(super) is_put_off: bool,
    pub(super) link: Option<Link>,
    /// Calls to be sent again.
    pub(super) again: VecDeque<usize>,
    /// The latest change that it has seen, if it follows them.
    pub(super) follows: Option<u64>,
}

/// A connection.
pub(super) struct Link {
    pub(super) wire: Wire,
    frames: FrameReader,
    is_greeted: bool,
    /// Bytes that have not arrived.
    pub(super) under_way: VecDeque<u8>,
    in_flight: BTreeMap<u64, Sent>,
    /// The stream of changes was asked for.
    pub(super) is_following: bool,
    /// Changes that arrived.
    pub(super) followed: Vec<Change>,
    next: u64,
    /// The latest change that an answer on this connection was of.
    seen: u64,
}

struct Sent {
    request: usize,
    /// The latest change when it was sent.
    since: u64,
}

/// An answer on a connection.
pub(super) struct Arrived {
    pub(super) request: usize,
    /// Nothing before this change was seen.
    pub(super) since: u64,
    pub(super) answer: Answer,
}

impl Client {
    pub(super) fn of(uid: u32, follows: bool) -> Self {
        let (again, follows) = (VecDeque::new(), follows.then_some(0));
        Self { uid, host: 0, is_put_off: false, link: None, again, follows }
    }

    /// True if nothing of it is open.
    pub(super) fn is_idle(&self) -> bool {
        self.again.is_empty() && self.link.as_ref().is_none_or(|link| link.in_flight.is_empty())
    }

    /// Gives up the connection. Calls with a key and reads are sent again; of others nobody knows.
    pub(super) fn lose_link(&mut self, judge: &Judge) {
        let Some(link) = self.link.take() else { return };
        let may_repeat = |sent: &&Sent| {
            let request = &judge.requests[sent.request];
            request.key.is_some() || !request.op.writes()
        };
        for sent in link.in_flight.values().filter(may_repeat).rev() {
            self.again.push_front(sent.request);
        }
    }
}

impl Link {
    /// Says hello.
    pub(super) fn begin(wire: Wire) -> Self {
        let hello = Hello { magic: MAGIC, protocol: PROTOCOL_VERSION, client: "simulation".to_owned() };
        let mut bytes = Vec::new();
        frame::append(&mut bytes, FrameKind::Hello, 0, 0, &hello);
        let (frames, in_flight) = (FrameReader::new(FRAME_BYTES_MAX), BTreeMap::new());
        Self {
            wire,
            frames,
            is_greeted: false,
            under_way: bytes.into(),
            in_flight,
            is_following: false,
            followed: Vec::new(),
            next: 1,
            seen: 0,
        }
    }

    /// The requests that are not answered.
    pub(super) fn unanswered(&self) -> impl Iterator<Item = usize> {
        self.in_flight.values().map(|sent| sent.request)
    }

    /// Requests that are not answered.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Sends a request.
    pub(super) fn send(&mut self, judge: &Judge, request: usize) {
        let id = self.next;
        self.next += 1;
        let encoded = &judge.requests[request].encoded;
        let mut bytes = Vec::new();
        frame::append_with(&mut bytes, FrameKind::Request, encoded.operation, id, |bytes| {
            bytes.extend_from_slice(&encoded.body);
        });
        self.under_way.extend(bytes);
        self.in_flight.insert(id, Sent { request, since: judge.seq });
    }

    /// Has so many bytes arrive at the daemon; those bytes.
    pub(super) fn deliver(&mut self, count: usize) -> Vec<u8> {
        let count = count.min(self.under_way.len());
        let bytes: Vec<u8> = self.under_way.drain(..count).collect();
        self.wire.deliver(bytes.iter().copied());
        bytes
    }

    /// Takes these bytes that arrived; the next answer among all that did. `Err(None)` where the daemon ended the
    /// connection.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<Option<Arrived>, Option<String>> {
        self.frames.push(bytes);
        loop {
            let frame = self.frames.next_frame().map_err(|err| Some(format!("the daemon's frames: {err}")))?;
            let Some(frame) = frame else { return Ok(None) };
            let refusal = || codec::decode::<Refusal>(frame.body).map_err(|err| Some(format!("a refusal: {err}")));
            let answer = match frame.kind {
                FrameKind::Welcome if !self.is_greeted => {
                    self.is_greeted = true;
                    continue;
                }
                FrameKind::Refused if frame.id == 0 => {
                    refusal()?;
                    return Err(None);
                }
                FrameKind::StreamBegun if frame.id == STREAM => continue,
                FrameKind::StreamItem if frame.id == STREAM => {
                    let change = codec::decode(frame.body).map_err(|err| Some(format!("a change: {err}")))?;
                    self.followed.push(change);
                    continue;
                }
                FrameKind::Refused if frame.id == STREAM && refusal()?.code.is_passing() => {
                    self.is_following = false;
                    continue;
                }
                FrameKind::Reply => Ok(frame.body.to_vec()),
                FrameKind::Refused => Err::<Vec<u8>, _>(refusal()?),
                kind => return Err(Some(format!("the daemon sent {kind:?}"))),
            };
            let Some(sent) = self.in_flight.remove(&frame.id) else {
                return Err(Some(format!("an answer to {}, which was not asked", frame.id)));
            };
            // Arguments that are refused need no state, and wait for nothing that was sent before.
            let is_invalid = answer.as_ref().is_err_and(|refusal| refusal.code == Code::INVALID_ARGUMENT);
            if !is_invalid && self.in_flight.keys().next().is_some_and(|first| *first < frame.id) {
                return Err(Some(format!("request {} was answered before those sent before it", frame.id)));
            }
            let since = sent.since.max(self.seen);
            return Ok(Some(Arrived { request: sent.request, since, answer }));
        }
    }

    /// Notes the change that an answer was of: what comes later on the connection sees it.
    pub(super) fn saw(&mut self, change: Option<u64>) {
        self.seen = self.seen.max(change.unwrap_or(0));
    }

    /// True if a request can be sent.
    pub(super) fn is_greeted(&self) -> bool {
        self.is_greeted
    }
}
