//! JSON on the socket (content negotiation): a client whose hello is JSON is answered in JSON alone, with the checks,
//! bounds and order of bincode.

use enroll_protocol::frame::{self, FrameKind};
use enroll_protocol::limits::FRAME_BYTES_MAX;
use enroll_protocol::{Operation as _, person, server};
use enroll_tests::process::{Daemon, Home};
use enroll_tests::socket::Socket;
use serde_json::{Value, json};

const HELLO: &str = r#"{"magic":"enrolld","protocol":4,"client":"test","later":true}"#;

fn send(socket: &mut Socket, kind: FrameKind, number: u16, id: u64, body: &str) {
    let mut bytes = Vec::new();
    frame::append_with(&mut bytes, kind, number, id, |bytes| bytes.extend_from_slice(body.as_bytes()));
    socket.send(&bytes).expect("sent");
}

fn silent(daemon: &Daemon) -> Socket {
    Socket::silent(&daemon.home.socket())
}

/// The next frame: kind, id and body.
fn receive(socket: &mut Socket) -> (FrameKind, u64, Value) {
    let frame = socket.receive().expect("a frame");
    let body = if frame.body.is_empty() { Value::Null } else { serde_json::from_slice(&frame.body).expect("JSON") };
    (frame.kind, frame.id, body)
}

fn connect(daemon: &Daemon) -> Socket {
    let mut socket = silent(daemon);
    send(&mut socket, FrameKind::Hello, 0, 0, HELLO);
    let (kind, _, welcome) = receive(&mut socket);
    assert_eq!(kind, FrameKind::Welcome);
    assert_eq!((&welcome["protocol"], &welcome["grant"]), (&json!(4), &json!("admin")), "{welcome}");
    socket
}

/// Asks by the operation's name.
fn call(socket: &mut Socket, body: &Value) -> Value {
    send(socket, FrameKind::Request, 0, 5, &body.to_string());
    let (kind, id, answer) = receive(socket);
    assert_eq!((id, kind == FrameKind::Reply), (5, answer.get("ok").is_some()), "{answer}");
    answer
}

#[test]
fn a_hello_in_json_is_answered_in_json_also_where_it_is_refused() {
    let daemon = Daemon::start();
    for (hello, words) in [
        (r#"{"magic":"enrolld","protocol":5,"client":"test"}"#, "protocol version 4, the client 5"),
        (r#"{"magic":"other","protocol":4,"client":"test"}"#, "a client says hello first"),
        (r#"{"magic":"enrolld""#, "a client says hello first"),
        ("{}", "a client says hello first"),
    ] {
        let mut socket = silent(&daemon);
        send(&mut socket, FrameKind::Hello, 0, 0, hello);
        let (kind, id, body) = receive(&mut socket);
        assert_eq!((kind, id), (FrameKind::Refused, 0), "{hello}");
        assert_eq!(body["error"]["code"], "invalid_argument", "{hello}");
        assert!(body["error"]["message"].as_str().is_some_and(|why| why.contains(words)), "{hello}: {body}");
        assert_eq!(socket.receive(), None, "{hello}");
    }
    connect(&daemon);
    Socket::connect(&daemon.home.socket()).call(&server::Status {}).expect("bincode is spoken beside it");
}

#[test]
fn a_request_is_what_it_is_on_a_line_of_call() {
    let daemon = Daemon::start();
    let mut socket = connect(&daemon);
    let create = json!({"op": "person.create", "args": {"callsign": "DOGGO01a", "extra": {"n": 1.50}},
        "key": "019aab01-997b-774b-bfff-ffffffffffff"});
    let preview = call(&mut socket, &json!({"op": "person.create", "args": {"callsign": "DOGGO01a"}, "dry_run": true}));
    assert_eq!(preview["ok"]["callsign"], "DOGGO01a");
    let person = call(&mut socket, &create);
    assert_eq!(person["ok"]["extra"], json!({"n": 1.50}));
    assert_eq!(call(&mut socket, &create), person, "the first answer under its key");
    send(&mut socket, FrameKind::Request, person::Get::ROW.number, 9, r#"{"args":{"person":{"callsign":"doggo01A"}}}"#);
    let (kind, id, again) = receive(&mut socket);
    assert_eq!((kind, id, &again), (FrameKind::Reply, 9, &person), "named by its number");
    let actor = call(&mut socket, &json!({"op": "person.get", "args": {"person": "DOGGO01a"}, "actor": "NOBODY"}));
    assert_eq!(actor["error"]["code"], "not_found");
    let proof = call(&mut socket, &json!({"op": "server.status", "args": null, "actor_jwt": "a.b.c"}));
    assert_eq!(proof["error"]["code"], "jwt_invalid");
    assert!(call(&mut socket, &json!({"op": "token.delete", "args": {"token": "x"}}))["error"]["message"].is_string());
}

#[test]
fn a_request_that_can_not_be_read_is_its_own_answer() {
    let daemon = Daemon::start();
    let mut socket = connect(&daemon);
    let deep = format!(r#"{{"op":"person.create","args":{{"callsign":"A","extra":{}"#, "[".repeat(500_000));
    let keys: String = (0..60_000).map(|number| format!("\"{number}\":1,")).collect();
    let wide = format!(r#"{{"op":"person.create","args":{{"callsign":"A","extra":{{{keys}"z":1}}}}}}"#);
    let many =
        format!(r#"{{"op":"person.create","args":{{"callsign":"A","roles":[{}"a"]}}}}"#, "\"a\",".repeat(200_000));
    for (what, kind, number, body, code, words) in [
        ("nothing", FrameKind::Request, 0, "", "invalid_argument", "not a JSON object"),
        ("no object", FrameKind::Request, 0, "[1]", "invalid_argument", "not a JSON object"),
        ("bincode", FrameKind::Request, 60, "\0\0\0\0", "invalid_argument", "not a JSON object"),
        ("an object and more", FrameKind::Request, 60, "{} {}", "invalid_argument", "not a JSON object"),
        ("no operation", FrameKind::Request, 0, "{}", "invalid_argument", "op is missing"),
        ("an unknown one", FrameKind::Request, 0, r#"{"op":"a.b"}"#, "unknown_operation", "\"a.b\""),
        ("an unknown number", FrameKind::Request, 9999, "{}", "unknown_operation", "9999"),
        ("two operations", FrameKind::Request, 60, r#"{"op":"person.get"}"#, "invalid_argument", "names another"),
        ("an unknown member", FrameKind::Request, 60, r#"{"acter":"A"}"#, "invalid_argument", "\"acter\""),
        ("an unknown argument", FrameKind::Request, 60, r#"{"args":{"x":1}}"#, "invalid_argument", "`x`"),
        ("a number for a text", FrameKind::Request, 2, r#"{"args":{"person":1}}"#, "invalid_argument", "person"),
        ("half a character", FrameKind::Request, 2, r#"{"args":{"person":"\ud800"}}"#, "invalid_argument", ""),
        ("a key that is none", FrameKind::Request, 60, r#"{"key":"x"}"#, "invalid_argument", "key"),
        ("too deep", FrameKind::Request, 0, &deep, "invalid_argument", ""),
        ("too many members", FrameKind::Request, 0, &wide, "invalid_argument", "65536 bytes"),
        ("too many roles", FrameKind::Request, 0, &many, "invalid_argument", "at most 64"),
        ("a second hello", FrameKind::Hello, 0, HELLO, "invalid_argument", "requests only"),
    ] {
        send(&mut socket, kind, number, 77, body);
        let (kind, id, answer) = receive(&mut socket);
        assert_eq!((kind, id), (FrameKind::Refused, 77), "{what}");
        assert_eq!(answer["error"]["code"], code, "{what}: {answer}");
        assert!(answer["error"]["message"].as_str().is_some_and(|why| why.contains(words)), "{what}: {answer}");
    }
    assert!(call(&mut socket, &json!({"op": "server.status"}))["ok"]["version"].is_string(), "it is served afterwards");
    let mut bytes = Vec::new();
    frame::append_with(&mut bytes, FrameKind::Request, 0, 7, |bytes| bytes.extend_from_slice(b"{\"op\":\"\xff\"}"));
    socket.send(&bytes).expect("sent");
    assert_eq!(receive(&mut socket).2["error"]["code"], "invalid_argument", "what is no UTF-8");

    let length = u32::try_from(FRAME_BYTES_MAX + 1).expect("a length");
    socket.send(&length.to_be_bytes()).expect("sent");
    let (kind, id, answer) = receive(&mut socket);
    assert_eq!((kind, id, &answer["error"]["code"]), (FrameKind::Refused, 0, &json!("invalid_argument")));
    assert_eq!(socket.receive(), None, "the connection is closed behind its reason");
}

#[test]
fn a_stream_begins_goes_on_and_ends_in_frames() {
    let daemon = Daemon::start();
    let mut socket = connect(&daemon);
    call(&mut socket, &json!({"op": "person.create", "args": {"callsign": "DOGGO01a"}}));
    send(&mut socket, FrameKind::Request, 0, 8, r#"{"op":"changes.follow","args":{"since":0}}"#);
    let (kind, id, begun) = receive(&mut socket);
    assert_eq!((kind, id, begun), (FrameKind::StreamBegun, 8, json!({"args": {"since": 0}})));
    let (kind, _, item) = receive(&mut socket);
    assert_eq!((kind, &item["ok"]["verb"], &item["ok"]["seq"]), (FrameKind::StreamItem, &json!("create"), &json!(1)));
    send(&mut socket, FrameKind::Request, 0, 9, r#"{"op":"certificate.crl"}"#);
    let mut kinds = Vec::new();
    while kinds.last() != Some(&FrameKind::StreamEnd) {
        let (kind, id, _) = receive(&mut socket);
        assert_eq!(id, 9);
        kinds.push(kind);
    }
    assert_eq!(kinds, [FrameKind::StreamBegun, FrameKind::StreamItem, FrameKind::StreamEnd]);
}

#[test]
fn an_answer_that_fits_a_frame_may_be_longer_in_json() {
    let home = Home::make();
    home.configure("[server]\nframe_kib = 256\n");
    let daemon = home.start();
    let mut socket = connect(&daemon);
    for number in 0..1000 {
        let callsign = format!("DOG{number}");
        let args = json!({"callsign": callsign, "extra": {"text": "x".repeat(40)}});
        let body = json!({"op": "person.create", "args": args}).to_string();
        send(&mut socket, FrameKind::Request, 0, number + 1, &body);
    }
    for _ in 0..1000 {
        assert_eq!(receive(&mut socket).0, FrameKind::Reply);
    }
    let page = call(&mut socket, &json!({"op": "person.list", "args": {"limit": 1000}}));
    assert_eq!(page["ok"]["items"].as_array().map(Vec::len), Some(1000));
    assert!(page.to_string().len() > 256 << 10);
    let long = json!({"op": "server.status", "origin": "x".repeat(64 << 10)}).to_string();
    send(&mut socket, FrameKind::Request, 0, 1000, &long);
    assert_eq!(receive(&mut socket).2["error"]["code"], "invalid_argument", "an origin has its own bound");
}
