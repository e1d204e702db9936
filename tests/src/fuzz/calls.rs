//! Fuzzing of requests: each is decoded, and run as the daemon runs it, on a registry in memory. For every
//! request and every peer the answer is a reply or a refusal, and the registry stays sound.

use std::sync::{Arc, LazyLock};

use enroll_core::context::{Grant, Peer};
use enroll_core::state::Store as _;
use enroll_core::state::Writes;
use enroll_core::state::memory::MemoryStore;
use enroll_protocol::encoding::Encoding;
use enroll_protocol::frame::{Frame, FrameKind};
use enroll_protocol::limits::FRAME_BYTES_MAX;
use enroll_protocol::transaction::Run;
use enroll_protocol::{
    Code, Envelope, Invalid, Json, Kind, Operation as _, OperationRow, Refusal, codec, enrollment, person, pool,
};
use serde::Deserialize as _;
use serde_json::value::RawValue;

use super::shapes::Shape;
use super::words::{Unsaid, Words};
use crate::registry::Registry;

/// Codes that are errors of the daemon, not of the request.
const BROKEN: &[Code] = &[Code::INTERNAL, Code::STORAGE, Code::OUTCOME_UNKNOWN, Code::UNAVAILABLE];

/// Steps of a history.
const STEPS_MAX: usize = 48;

const MINUTE: u64 = 60;
const DAY: u64 = 24 * 60 * MINUTE;

/// A request that decodes is the same when it is encoded and decoded again, and has an answer. The first byte chooses
/// the operation, the second who asks and when, the rest is the body of the frame.
pub fn request(input: &[u8]) {
    let Some(([operation, who], body)) = input.split_first_chunk::<2>() else { return };
    let shape = Shape::chosen(*operation);
    if let Ok((envelope, consumed)) = codec::decode_front::<Envelope>(body) {
        assert_eq!(codec::decode(&codec::encode(&envelope)), Ok(envelope));
        again(shape.request, &body[consumed..], shape.row.name);
    }
    let mut registry = peopled();
    set(&mut registry, *who);
    answer(&mut registry, shape, body);
    assert_eq!(registry.violations(), Vec::<String>::new());
}

/// A request in JSON is refused in words, or is the request that the same text is in bincode; and what answers it has
/// JSON. The first byte chooses the operation, and whether the frame names it, the second who asks and when, the rest is
/// the body of the frame.
pub fn json_request(input: &[u8]) {
    let Some(([operation, who], body)) = input.split_first_chunk::<2>() else { return };
    let shape = Shape::chosen(operation >> 1);
    let operation = if operation & 1 == 0 { shape.row.number } else { 0 };
    let frame = Frame { kind: FrameKind::Request, operation, id: 1, body };
    let asked = match Encoding::Json.request(&frame) {
        Ok(asked) => asked,
        Err(refusal) => {
            assert!([Code::INVALID_ARGUMENT, Code::UNKNOWN_OPERATION].contains(&refusal.code), "{refusal:?}");
            assert!(!refusal.message.is_empty());
            return expect_json(&Encoding::Json.refusal(&refusal));
        }
    };
    let shape = Shape::of(OperationRow::by_number(asked.operation).expect("a known operation"));
    assert_eq!((shape.request)(&asked.request), Ok(asked.request.to_vec()), "{}", shape.row.name);
    let mut registry = peopled();
    set(&mut registry, *who);
    let compact = [codec::encode(&asked.envelope), asked.request.to_vec()].concat();
    if !shape.row.kind.has_items()
        && let Ok(reply) = registry.call_body(shape.row.number, &compact)
    {
        let bytes_max = Encoding::Json.answer_bytes_max(FRAME_BYTES_MAX);
        let body = Encoding::Json.body(FrameKind::Reply, shape.row, &reply, bytes_max);
        expect_json(&body.expect("JSON that fits"));
    }
    assert_eq!(registry.violations(), Vec::<String>::new());
}

fn expect_json(body: &[u8]) {
    serde_json::from_slice::<&RawValue>(body).expect("JSON");
}

/// A reply that decodes is the same when it is encoded and decoded again, and can be shown. The first byte chooses the
/// operation.
pub fn reply(input: &[u8]) {
    let Some((operation, bytes)) = input.split_first() else { return };
    let Shape { row, reply, .. } = Shape::chosen(*operation);
    if again(*reply, bytes, row.name) {
        match row.reply_to_json(bytes) {
            Ok(json) => expect_json(json.as_bytes()),
            // A unit's reply is read by the number of its operation, which no daemon makes up.
            Err(err) => assert_eq!(row.name, Run::ROW.name, "{err}"),
        }
    }
}

/// A history of requests that make sense, each on what those before have left. Two bytes of each step choose the
/// operation, and who asks and when; the others choose what is in the request.
pub fn history(input: &[u8]) {
    let (mut registry, mut words) = (peopled(), Words::new(input));
    for _ in 0..STEPS_MAX {
        if words.is_at_end() {
            break;
        }
        let shape = Shape::chosen(words.byte());
        set(&mut registry, words.byte());
        if let Ok(body) = worded(shape, &mut words) {
            for answer in answer(&mut registry, shape, &body) {
                words.learn(serde_json::from_str(&answer).expect("JSON"));
            }
        }
    }
    assert_eq!(registry.violations(), Vec::<String>::new());
    registry.pass_seconds(400 * DAY);
    registry.wake();
    assert_eq!(registry.violations(), Vec::<String>::new(), "when everything is due");
}

fn worded(shape: &Shape, words: &mut Words<'_>) -> Result<Vec<u8>, Unsaid> {
    let envelope = codec::encode(&Envelope::deserialize(&mut *words)?);
    Ok([envelope, (shape.worded)(words)?].concat())
}

/// True if the bytes decode. Then their value must encode to no more bytes, and decode to the same.
fn again(read: fn(&[u8]) -> Result<Vec<u8>, Invalid>, bytes: &[u8], name: &str) -> bool {
    let Ok(encoded) = read(bytes) else { return false };
    assert!(encoded.len() <= bytes.len(), "{name} has grown");
    assert_eq!(read(&encoded), Ok(encoded.clone()), "{name}");
    true
}

/// The actor, and the time that has passed.
fn set(registry: &mut Registry, who: u8) {
    let grant = [Grant::Admin, Grant::Operate, Grant::Read, Grant::Admin][usize::from(who & 3)];
    registry.peer =
        Peer { uid: 1000 + u32::from(who & 1), pid: 1, connection: 1, grant, delegation: Arc::default(), member: None };
    registry.pass_seconds([0, 0, 1, 2, MINUTE, 60 * MINUTE, DAY, 8 * DAY][usize::from(who >> 2 & 7)]);
    if who & 0x80 != 0 {
        registry.wake();
    }
}

/// The answer as JSON: one reply, the items of a stream, or nothing for a refusal.
fn answer(registry: &mut Registry, shape: &Shape, body: &[u8]) -> Vec<String> {
    let outcome = match shape.row.kind {
        Kind::Stream => items(registry, shape, body),
        _ => registry.call_body(shape.row.number, body).map(|reply| vec![reply]),
    };
    let replies = outcome.unwrap_or_else(|refusal| {
        assert!(!BROKEN.contains(&refusal.code) && !refusal.message.is_empty(), "{}: {refusal:?}", shape.row.name);
        assert_eq!(codec::decode::<Refusal>(&codec::encode(&refusal)), Ok(refusal));
        Vec::new()
    });
    let shown = replies.iter().map(|reply| {
        assert_eq!((shape.reply)(reply).as_ref(), Ok(reply), "{}", shape.row.name);
        shape.row.reply_to_json(reply).expect("JSON")
    });
    shown.collect()
}

/// The first items of a stream.
fn items(registry: &mut Registry, shape: &Shape, body: &[u8]) -> Result<Vec<Vec<u8>>, Refusal> {
    let mut stream = registry.begin_body(shape.row.number, body)?;
    let items = registry.step_encoded(&mut stream)?;
    let resume = shape.row.resume.expect("a stream can be continued");
    for item in &items {
        assert!((shape.request)(&resume(&stream.begun, item)?).is_ok(), "{}", shape.row.name);
    }
    Ok(items)
}

/// A registry with an administrator, a member, a pool and an enrollment that waits. It is made once and copied.
fn peopled() -> Registry {
    static ENTRIES: LazyLock<Writes> = LazyLock::new(|| {
        let mut registry = Registry::in_memory();
        for (callsign, role) in [("BOSS", "superuser"), ("DOGGO01a", "member")] {
            let callsign = callsign.parse().expect("a callsign");
            let roles = vec![role.parse().expect("a role")];
            registry.call(person::Create { roles, ..person::Create::new(callsign) }).expect("a person");
        }
        let (owner, extra) = ("BOSS".parse().ok(), Json::default());
        registry
            .call(pool::Create { owner, extra: extra.clone(), max_uses: Some(2), ..pool::Create::default() })
            .expect("a pool");
        let callsign = "CAT02b".parse().expect("a callsign");
        registry.call(enrollment::Create { callsign, pool: None, extra, csr: None }).expect("an enrollment");
        let view = registry.store().view().expect("a view");
        let entries = view.range(&[], &[0xff; 64], usize::MAX).expect("entries");
        entries.into_iter().map(|(key, value)| (key, Some(value))).collect()
    });
    let store = MemoryStore::default();
    store.commit(&ENTRIES).expect("committed");
    let mut registry = Registry::reopened(Arc::new(store));
    // Every registry of a test begins at the same time, and draws the same: what is made from here on is new.
    registry.pass_seconds(MINUTE);
    registry
}
