//! The parser of a line of `call`: a JSON object becomes an encoded request, or a refusal that is its answer.

use enroll_client::protocol::encoding::JsonRequest;
use enroll_client::protocol::{Code, Envelope, OperationRow, Refusal};

use crate::raw_object::{self, RawObject};
use crate::stream;

/// A parsed line.
#[derive(Debug)]
pub struct Question {
    /// The id of its answer as JSON: the line's own id, or its number.
    pub id: String,
    /// The request, or its refusal.
    pub ask: Result<Ask, Refusal>,
}

/// A request as it is sent.
#[derive(Debug)]
pub struct Ask {
    /// The operation.
    pub row: &'static OperationRow,
    /// Actor, origin, idempotency key and dry run.
    pub envelope: Envelope,
    /// The encoded request.
    pub request: Vec<u8>,
}

impl Question {
    /// Parses a line.
    pub(crate) fn of(number: u64, line: &[u8]) -> Self {
        let mut members = RawObject::new();
        let ask = match std::str::from_utf8(line) {
            Ok(text) => {
                raw_object::read(text, &mut members).map_err(|err| invalid(not_json(&err))).and_then(|()| ask(&members))
            }
            Err(_) => Err(invalid("the line is not UTF-8")),
        };
        // A line that breaks off may have its id before the error.
        let own_id = members.iter().find(|(name, _)| name == "id").map(|(_, id)| id.get().to_owned());
        Self { id: own_id.unwrap_or_else(|| number.to_string()), ask }
    }

    /// The refusal of a line that was too long to keep.
    pub(crate) fn refused(number: u64, why: impl Into<String>) -> Self {
        Self { id: number.to_string(), ask: Err(invalid(why)) }
    }
}

fn ask(members: &RawObject<'_>) -> Result<Ask, Refusal> {
    let asked = JsonRequest::of(members)?;
    let op =
        asked.op.as_ref().ok_or_else(|| invalid("op is missing; it names an operation, such as \"person.get\""))?;
    let row = OperationRow::by_name(op).ok_or_else(|| unknown_operation(op))?;
    if row.kind.has_items() && !stream::is_list(row) {
        let (area, verb) = (row.area(), row.verb());
        return Err(invalid(format!("{op} is a stream, and a line has one answer; run `enrollctl {area} {verb}`")));
    }
    let request = asked.request(row)?;
    Ok(Ask { row, envelope: asked.envelope, request })
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new(Code::INVALID_ARGUMENT, message)
}

fn unknown_operation(op: &str) -> Refusal {
    Refusal::new(Code::UNKNOWN_OPERATION, format!("there is no operation {op:?}; enrollctl --help shows what there is"))
}

/// The position of a JSON error is its column, because a line has no lines.
fn not_json(err: &serde_json::Error) -> String {
    let sentence = err.to_string();
    let sentence = sentence.rsplit_once(" at line ").map_or(sentence.as_str(), |(sentence, _)| sentence);
    format!("the line is not a JSON object: {sentence} at column {}", err.column())
}

#[cfg(test)]
mod tests {
    use enroll_client::protocol::{Actor, Jwt, Reference, codec, person};

    use super::*;

    #[test]
    fn a_line_becomes_an_envelope_and_a_request() {
        let key = "019aab01-997b-774b-bfff-ffffffffffff";
        let args = r#"{"person":"DOGGO01a"}"#;
        let rest = format!(r#""actor":"BOSS","origin":"::1","key":"{key}","dry_run":true"#);
        let line = format!(r#"{{"id":[1],"op":"person.get","args":{args},{rest}}}"#);
        let question = Question::of(9, line.as_bytes());
        let ask = question.ask.expect("a request");
        assert_eq!((question.id.as_str(), ask.row.name), ("[1]", "person.get"));
        assert_eq!(ask.envelope.actor, "BOSS".parse().ok());
        assert_eq!(ask.envelope.origin, "::1".parse().ok());
        assert_eq!(ask.envelope.key, key.parse().ok());
        assert!(ask.envelope.dry_run);
        assert_eq!(ask.request, codec::encode(&person::Get::new("DOGGO01a".parse().expect("a reference"))));
    }

    #[test]
    fn an_actor_may_say_how_it_is_named() {
        let line = br#"{"op":"person.get","args":{"person":"A"},"actor":{"callsign":"BOSS"}}"#;
        let ask = Question::of(1, line).ask.expect("a request");
        assert_eq!(ask.envelope.actor, Reference::by_callsign("BOSS").ok().map(Actor::Named));
    }

    #[test]
    fn an_actor_may_be_proven() {
        for line in [
            r#"{"op":"server.status","actor_jwt":"a.b.c"}"#,
            r#"{"op":"server.status","actor":null,"actor_jwt":"a.b.c"}"#,
        ] {
            let ask = Question::of(1, line.as_bytes()).ask.expect("a request");
            assert_eq!(ask.envelope.actor, Jwt::new("a.b.c").ok().map(Actor::Proven), "{line}");
        }
    }

    #[test]
    fn optional_fields_may_be_absent_or_null() {
        for line in [
            r#"{"op":"server.status"}"#,
            r#" { "op" : "server.status" , "args" : {} } "#,
            r#"{"op":"server.status","args":null,"actor":null,"origin":null,"key":null,"dry_run":null}"#,
        ] {
            let question = Question::of(9, line.as_bytes());
            assert_eq!(question.id, "9");
            assert_eq!(question.ask.expect("a request").envelope, Envelope::default(), "{line}");
        }
    }

    #[test]
    fn an_error_is_named_and_has_the_id_if_it_could_be_read() {
        for (line, id, code, words) in [
            (&b"x"[..], "9", Code::INVALID_ARGUMENT, "not a JSON object: expected value at column 1"),
            (br#"[1]"#, "9", Code::INVALID_ARGUMENT, "not a JSON object"),
            (br#"{"id":7,"op":"#, "7", Code::INVALID_ARGUMENT, "at column 13"),
            (br#"{"id":7} {}"#, "7", Code::INVALID_ARGUMENT, "trailing"),
            (b"{\"id\":7,\"op\":\"\xff\"}", "9", Code::INVALID_ARGUMENT, "UTF-8"),
            (br#"{"id":7}"#, "7", Code::INVALID_ARGUMENT, "op is missing"),
            (br#"{"id":7,"op":7}"#, "7", Code::INVALID_ARGUMENT, "op must be a string"),
            (br#"{"op":"a.b","op":"a.b"}"#, "9", Code::INVALID_ARGUMENT, "\"op\" stands twice"),
            (br#"{"op":"a.b","id":"x"}"#, "\"x\"", Code::UNKNOWN_OPERATION, "\"a.b\""),
            (br#"{"op":"server.status","acter":"x"}"#, "9", Code::INVALID_ARGUMENT, "\"acter\""),
            (br#"{"op":"server.status","args":[]}"#, "9", Code::INVALID_ARGUMENT, "args must be an object"),
            (br#"{"op":"server.status","args":{"x":1}}"#, "9", Code::INVALID_ARGUMENT, "`x`"),
            (br#"{"op":"server.status","key":"x"}"#, "9", Code::INVALID_ARGUMENT, "key: expected a UUID"),
            (
                br#"{"op":"server.status","actor":{"uid":"1"}}"#,
                "9",
                Code::INVALID_ARGUMENT,
                "actor: a reference has one",
            ),
            (
                br#"{"op":"server.status","actor":"A","actor_jwt":"a.b.c"}"#,
                "9",
                Code::INVALID_ARGUMENT,
                "exclude each other",
            ),
            (br#"{"op":"server.status","actor_jwt":""}"#, "9", Code::INVALID_ARGUMENT, "actor_jwt"),
            (br#"{"op":"server.status","dry_run":1}"#, "9", Code::INVALID_ARGUMENT, "dry_run must be true or false"),
            (br#"{"op":"changes.follow"}"#, "9", Code::INVALID_ARGUMENT, "run `enrollctl changes follow`"),
            (br#"{"op":"person.get","args":{"person":""}}"#, "9", Code::INVALID_ARGUMENT, "person"),
        ] {
            let question = Question::of(9, line);
            let refusal = question.ask.expect_err("a refusal");
            assert_eq!((question.id.as_str(), refusal.code), (id, code), "{}", String::from_utf8_lossy(line));
            assert!(refusal.message.contains(words), "{}", refusal.message);
            assert!(!refusal.message.contains("line 1"), "{}", refusal.message);
        }
    }
}
