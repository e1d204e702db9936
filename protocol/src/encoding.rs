//! The encodings of frame bodies (content negotiation): bincode, and JSON for programs in languages without bincode.
//!
//! A client chooses with the first byte of its hello: `{` begins JSON, and then every body of the connection is JSON.
//! Frames stay the same. A request is an object as on a line of `enrollctl call`; a reply or an item is `{"ok": ..}`,
//! a refusal is `{"error": ..}`, and a stream begins with `{"args": ..}`.
//!
//! Requests and replies pass through their compact form, so both encodings have the same checks, bounds and meaning. A
//! connection that is refused before its hello was read is refused in bincode.

use std::borrow::Cow;
use std::io;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::envelope::{Hello, MAGIC, Welcome};
use crate::frame::{Frame, FrameKind};
use crate::limits::JSON_ANSWER_TIMES;
use crate::raw_object::{self, RawObject};
use crate::{Actor, Code, Envelope, Invalid, Jwt, OperationRow, Reference, Refusal, codec, plain_error, plain_name};

/// The magic of a hello in JSON.
const JSON_MAGIC: &str = "enrolld";

/// The encoding of all bodies of a connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Encoding {
    /// bincode.
    #[default]
    Binary,
    /// JSON.
    Json,
}

/// A request as it was read from a frame, its own bytes in bincode.
#[derive(Debug, PartialEq, Eq)]
pub struct Asked<'a> {
    /// The operation's number, which may be an unknown one.
    pub operation: u16,
    /// Actor, origin, idempotency key and dry run.
    pub envelope: Envelope,
    /// The encoded request.
    pub request: Cow<'a, [u8]>,
}

/// A request in JSON whose arguments are still text.
#[derive(Debug)]
pub struct JsonRequest<'a> {
    /// The operation's name, where it is given.
    pub op: Option<String>,
    /// The arguments, where they are given.
    pub args: Option<&'a RawValue>,
    /// Actor, origin, idempotency key and dry run.
    pub envelope: Envelope,
}

/// A hello in JSON. Members of later versions are ignored.
#[derive(Deserialize)]
struct JsonHello {
    magic: String,
    protocol: u16,
    client: String,
}

/// The body of an answer in JSON.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Answer<'a> {
    Error(&'a Refusal),
}

impl Encoding {
    /// The encoding in which this hello is written.
    pub fn of_hello(body: &[u8]) -> Self {
        if body.starts_with(b"{") { Self::Json } else { Self::Binary }
    }

    /// Reads a hello; `None` if it is none. Later versions may add to it.
    pub fn hello(self, body: &[u8]) -> Option<Hello> {
        match self {
            Self::Binary => codec::decode_front(body).ok().map(|(hello, _)| hello),
            Self::Json => {
                let JsonHello { magic, protocol, client } = serde_json::from_slice(body).ok()?;
                (magic == JSON_MAGIC).then_some(Hello { magic: MAGIC, protocol, client })
            }
        }
    }

    /// The body of a welcome.
    pub fn welcome(self, welcome: &Welcome) -> Vec<u8> {
        self.encode(welcome, welcome)
    }

    /// The body of a refusal.
    pub fn refusal(self, refusal: &Refusal) -> Vec<u8> {
        self.encode(refusal, &Answer::Error(refusal))
    }

    /// Reads a request. Refuses what has not its form.
    pub fn request<'a>(self, frame: &Frame<'a>) -> Result<Asked<'a>, Refusal> {
        match self {
            Self::Binary => {
                let (envelope, consumed) = codec::decode_front(frame.body)?;
                let request = Cow::Borrowed(frame.body.get(consumed..).unwrap_or_default());
                Ok(Asked { operation: frame.operation, envelope, request })
            }
            Self::Json => json_request(frame.operation, frame.body),
        }
    }

    /// The body of a frame of this kind from its compact form. Refuses JSON of more than so many bytes.
    pub fn body<'a>(
        self,
        kind: FrameKind,
        row: &OperationRow,
        compact: &'a [u8],
        bytes_max: usize,
    ) -> Result<Cow<'a, [u8]>, Refusal> {
        type IntoJson = fn(&OperationRow, &[u8], &mut dyn io::Write) -> Result<(), Invalid>;
        let (front, into_json): (&[u8], IntoJson) = match (self, kind) {
            (Self::Binary, _) | (_, FrameKind::StreamEnd) => return Ok(Cow::Borrowed(compact)),
            (Self::Json, FrameKind::StreamBegun) => (b"{\"args\":", OperationRow::request_into_json),
            (Self::Json, _) => (b"{\"ok\":", OperationRow::reply_into_json),
        };
        let mut text = BoundedText { bytes: front.to_vec(), bytes_max, is_full: false };
        match into_json(row, compact, &mut text) {
            Ok(()) => {
                text.bytes.push(b'}');
                Ok(Cow::Owned(text.bytes))
            }
            Err(_) if text.is_full => Err(Refusal::plain(Code::TOO_LARGE)),
            Err(err) => Err(Refusal::new(Code::INTERNAL, format!("an answer of {} has no JSON: {err}", row.name))),
        }
    }

    /// The bytes that an answer may have where a frame may have so many.
    pub fn answer_bytes_max(self, frame_bytes_max: usize) -> usize {
        match self {
            Self::Binary => frame_bytes_max,
            Self::Json => frame_bytes_max.saturating_mul(JSON_ANSWER_TIMES),
        }
    }

    fn encode(self, compact: &impl Serialize, json: &impl Serialize) -> Vec<u8> {
        match self {
            Self::Binary => codec::encode(compact),
            Self::Json => serde_json::to_vec(json).unwrap_or_default(),
        }
    }
}

impl<'a> JsonRequest<'a> {
    /// Reads the members of a request. Refuses one that is unknown or stands twice, and a value of another form.
    pub fn of(members: &RawObject<'a>) -> Result<Self, Refusal> {
        let (mut op, mut args) = (None, None);
        let mut envelope = Envelope::default();
        for (at, (name, value)) in members.iter().enumerate() {
            if members[..at].iter().any(|(before, _)| before == name) {
                return Err(invalid(format!("the field {:?} stands twice", plain_name(name))));
            }
            match name.as_str() {
                // Of a line, whose answer it names; a frame has its own.
                "id" => {}
                "op" => op = text::<String>(name, value)?,
                "args" => args = Some(*value).filter(|value| value.get() != "null"),
                "actor" => {
                    let named = Reference::of_json(value.get()).map_err(|err| invalid(format!("actor: {err}")))?;
                    set_actor(&mut envelope, named)?;
                }
                "actor_jwt" => set_actor(&mut envelope, text::<Jwt>(name, value)?)?,
                "origin" => envelope.origin = text(name, value)?,
                "key" => envelope.key = text(name, value)?,
                "dry_run" => envelope.dry_run = flag(name, value)?,
                _ => {
                    return Err(invalid(format!(
                        "unknown field {:?}; a request has id, op, args, actor, actor_jwt, origin, key and dry_run",
                        plain_name(name)
                    )));
                }
            }
        }
        if args.is_some_and(|args: &RawValue| !args.get().starts_with('{')) {
            return Err(invalid("args must be an object"));
        }
        Ok(Self { op, args, envelope })
    }

    /// The encoded request of this operation.
    pub fn request(&self, row: &OperationRow) -> Result<Vec<u8>, Refusal> {
        let none = RawValue::from_string("{}".to_owned());
        let args = match (self.args, &none) {
            (Some(args), _) => args,
            (None, Ok(none)) => none,
            (None, Err(err)) => return Err(invalid(err.to_string())),
        };
        Ok(row.request_to_wire(args)?)
    }
}

/// Reads a request, whose operation is named by the header's number, or by `op` where that is 0.
fn json_request(number: u16, body: &[u8]) -> Result<Asked<'static>, Refusal> {
    let mut members = RawObject::new();
    let not_json = |err: &dyn std::fmt::Display| {
        invalid(format!("the body is not a JSON object: {}", plain_error(&err.to_string())))
    };
    let body = str::from_utf8(body).map_err(|err| not_json(&err))?;
    if let Err(err) = raw_object::read(body, &mut members) {
        return Err(not_json(&err));
    }
    let asked = JsonRequest::of(&members)?;
    let row = match (number, &asked.op) {
        (0, None) => return Err(invalid("op is missing; it names an operation, such as \"person.get\"")),
        (0, Some(op)) => OperationRow::by_name(op).ok_or_else(|| unknown(&format!("{:?}", plain_name(op))))?,
        (number, op) => {
            let row = OperationRow::by_number(number).ok_or_else(|| unknown(&number.to_string()))?;
            if op.as_ref().is_some_and(|op| op != row.name) {
                return Err(invalid(format!("the frame's number {number} is {}, and op names another one", row.name)));
            }
            row
        }
    };
    let request = asked.request(row)?;
    Ok(Asked { operation: row.number, envelope: asked.envelope, request: Cow::Owned(request) })
}

/// Sets the actor. Refuses a request that names one and proves one.
fn set_actor(envelope: &mut Envelope, actor: Option<impl Into<Actor>>) -> Result<(), Refusal> {
    let Some(actor) = actor else { return Ok(()) };
    match envelope.actor.replace(actor.into()) {
        None => Ok(()),
        Some(_) => Err(invalid("actor and actor_jwt exclude each other; give one of them")),
    }
}

fn text<T: FromStr<Err: ToString>>(name: &str, value: &RawValue) -> Result<Option<T>, Refusal> {
    let text: Option<String> =
        serde_json::from_str(value.get()).map_err(|_| invalid(format!("{name} must be a string")))?;
    text.map(|text| text.parse()).transpose().map_err(|err: T::Err| invalid(format!("{name}: {}", err.to_string())))
}

fn flag(name: &str, value: &RawValue) -> Result<bool, Refusal> {
    let flag: Option<bool> =
        serde_json::from_str(value.get()).map_err(|_| invalid(format!("{name} must be true or false")))?;
    Ok(flag.unwrap_or_default())
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new(Code::INVALID_ARGUMENT, message)
}

/// The refusal of an operation that the table does not have, by name or number.
pub fn unknown(operation: &str) -> Refusal {
    let why = format!("this daemon has no operation {operation}; it may be older than the client");
    Refusal::new(Code::UNKNOWN_OPERATION, why)
}

/// Text up to a bound, past which nothing more is written.
struct BoundedText {
    bytes: Vec<u8>,
    bytes_max: usize,
    is_full: bool,
}

impl io::Write for BoundedText {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.is_full |= self.bytes.len() + bytes.len() >= self.bytes_max;
        if self.is_full {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Operation as _, person, server};

    fn asked(number: u16, body: &str) -> Result<Asked<'static>, Refusal> {
        json_request(number, body.as_bytes())
    }

    #[test]
    fn the_first_byte_of_a_hello_chooses() {
        let hello = Hello { magic: MAGIC, protocol: 4, client: "x".to_owned() };
        let json = br#"{"magic":"enrolld","protocol":4,"client":"x","later":[1]}"#;
        for (body, encoding) in [(&codec::encode(&hello)[..], Encoding::Binary), (json, Encoding::Json)] {
            assert_eq!(Encoding::of_hello(body), encoding);
            assert_eq!(encoding.hello(body), Some(hello.clone()));
        }
        for body in [
            "{",
            "{}",
            r#"{"magic":"enrolls","protocol":4,"client":"x"}"#,
            r#"{"magic":"enrolld","protocol":-3,"client":"x"}"#,
            r#"{"magic":"enrolld","protocol":4,"protocol":4,"client":"x"}"#,
            r#"{"magic":"enrolld","protocol":4,"client":"x"} {}"#,
        ] {
            assert_eq!(Encoding::Json.hello(body.as_bytes()), None, "{body}");
        }
    }

    #[test]
    fn an_operation_is_named_by_number_or_by_name() {
        let get = person::Get::ROW.number;
        let by_name = asked(0, r#"{"op":"person.get","args":{"person":"DOG"},"dry_run":true}"#).expect("a request");
        let by_number = asked(get, r#"{"args":{"person":"DOG"},"dry_run":true}"#).expect("a request");
        assert_eq!(by_name, by_number);
        assert!(by_name.envelope.dry_run);
        assert_eq!(*by_name.request, codec::encode(&person::Get::new("DOG".parse().expect("a name"))));
        assert_eq!(asked(server::Status::ROW.number, "{}").map(|asked| asked.request.len()), Ok(0));
    }

    #[test]
    fn what_is_no_request_is_refused_in_words() {
        let deep = format!(r#"{{"op":"person.create","args":{{"callsign":"A","extra":{}}}}}"#, "[".repeat(100_000));
        for (number, body, code, words) in [
            (0, "", Code::INVALID_ARGUMENT, "not a JSON object"),
            (0, "[]", Code::INVALID_ARGUMENT, "not a JSON object"),
            (0, &deep, Code::INVALID_ARGUMENT, "not a JSON object"),
            (0, "{}", Code::INVALID_ARGUMENT, "op is missing"),
            (0, r#"{"op":7}"#, Code::INVALID_ARGUMENT, "op must be a string"),
            (0, r#"{"op":"a.b"}"#, Code::UNKNOWN_OPERATION, "\"a.b\""),
            (9999, "{}", Code::UNKNOWN_OPERATION, "9999"),
            (2, r#"{"op":"person.list"}"#, Code::INVALID_ARGUMENT, "number 2 is person.get"),
            (60, r#"{"args":[]}"#, Code::INVALID_ARGUMENT, "args must be an object"),
            (60, r#"{"args":{"x":1}}"#, Code::INVALID_ARGUMENT, "`x`"),
            (60, r#"{"acter":1}"#, Code::INVALID_ARGUMENT, "\"acter\""),
            (60, r#"{"key":null,"key":null}"#, Code::INVALID_ARGUMENT, "stands twice"),
        ] {
            let refusal = asked(number, body).expect_err(body);
            assert_eq!(refusal.code, code, "{body}");
            assert!(refusal.message.contains(words), "{}", refusal.message);
        }
    }

    #[test]
    fn an_answer_over_the_bound_is_refused() {
        let reply = codec::encode(&"x".repeat(100));
        let body = |bytes_max| Encoding::Json.body(FrameKind::Reply, server::Metrics::ROW, &reply, bytes_max);
        assert_eq!(body(1000).expect("JSON").len(), 100 + "{\"ok\":\"\"}".len());
        assert_eq!(body(100).expect_err("too large").code, Code::TOO_LARGE);
    }
}
