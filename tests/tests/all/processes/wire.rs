//! Bytes on the socket from strangers, newer clients and broken ones, and the order in which the requests of one
//! connection take effect.
//!
//! A request that can not be read is refused by itself. The connection ends, with a reason, only if the bytes are no
//! frame. Other connections notice neither.

use std::time::Instant;

use enroll_protocol::envelope::{Hello, MAGIC, PROTOCOL_VERSION};
use enroll_protocol::frame::{self, FrameKind};
use enroll_protocol::limits::FRAME_BYTES_MAX;
use enroll_protocol::{
    Code, Envelope, Json, Operation, Reference, Refusal, RoleName, codec, jwt, person, role, server, token,
};
use enroll_tests::process::{Daemon, PATIENCE};
use enroll_tests::socket::{Outcome, Socket};

fn hello(magic: [u8; 8], protocol: u16) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::append(&mut bytes, FrameKind::Hello, 0, 0, &Hello { magic, protocol, client: "test".to_owned() });
    bytes
}

fn framed(kind: FrameKind, operation: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::append_with(&mut bytes, kind, operation, 77, |bytes| bytes.extend_from_slice(body));
    bytes
}

fn use_of(token: &str) -> token::Use {
    token::Use::new(token.parse().expect("a token"))
}

fn code_of(outcome: &Outcome) -> Option<Code> {
    outcome.as_ref().err().map(|refusal| refusal.code)
}

/// The reason that the daemon gives before it closes the connection.
fn last_word(socket: &mut Socket) -> Refusal {
    let frame = socket.receive().expect("a reason");
    assert_eq!(frame.id, 0, "{frame:?}");
    let refusal = frame.outcome().expect_err("a refusal");
    assert_eq!(socket.receive(), None, "the connection is closed behind its reason");
    refusal
}

#[test]
fn who_says_no_hello_is_told_why_and_let_go() {
    let daemon = Daemon::start();
    let mut too_long = hello(MAGIC, PROTOCOL_VERSION);
    too_long[..4].copy_from_slice(&u32::MAX.to_be_bytes());
    let spoken = format!("protocol version {PROTOCOL_VERSION}");
    let cases = [
        ("another magic", hello(*b"enrolldx", PROTOCOL_VERSION), "hello"),
        ("a newer protocol", hello(MAGIC, PROTOCOL_VERSION + 1), &spoken),
        ("an older protocol", hello(MAGIC, 1), "the client 1;"),
        ("a request first", framed(FrameKind::Request, 60, &[0, 0, 0, 0]), "hello"),
        ("a body that is none", framed(FrameKind::Hello, 0, b"?"), "hello"),
        ("a hello and more in one frame", framed(FrameKind::Hello, 0, &[0; 100]), "hello"),
        ("another protocol", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(), ""),
        ("a length over the limit", too_long, ""),
        ("an unknown kind", [&[0, 0, 0, 11, 99][..], &[0; 10]].concat(), ""),
        ("a length under a header's", vec![0, 0, 0, 1, 1], ""),
    ];
    let mut not_told = Vec::new();
    for (what, bytes, words) in cases {
        let mut socket = Socket::silent(&daemon.home.socket());
        socket.send(&bytes).expect("sent");
        let Some(frame) = socket.receive() else {
            not_told.push(what);
            continue;
        };
        let refusal = frame.outcome().expect_err("a refusal");
        assert_eq!(refusal.code, Code::INVALID_ARGUMENT, "{what}");
        assert!(refusal.message.contains(words), "{what}: {}", refusal.message);
        assert_eq!(socket.receive(), None, "{what}");
    }
    assert_eq!(not_told, Vec::<&str>::new(), "the contract has a reason for everybody");
    Socket::connect(&daemon.home.socket()).call(&server::Status {}).expect("others are served");
}

#[test]
fn a_request_that_can_not_be_read_is_its_own_answer() {
    let daemon = Daemon::start();
    let mut socket = Socket::connect(&daemon.home.socket());
    let envelope = codec::encode(&Envelope::default());
    let with = |body: &[u8]| [&envelope[..], body].concat();
    let status = server::Status::ROW.number;
    let spend = token::Use::ROW.number;
    for (what, kind, operation, body, code, words) in [
        ("an unknown operation", FrameKind::Request, 9999, with(&[]), Code::UNKNOWN_OPERATION, "9999"),
        ("operation 0", FrameKind::Request, 0, with(&[]), Code::UNKNOWN_OPERATION, "0"),
        ("bytes behind a read", FrameKind::Request, status, with(&[0]), Code::INVALID_ARGUMENT, "too many"),
        (
            "bytes behind a write",
            FrameKind::Request,
            spend,
            with(&[codec::encode(&use_of("trailing")), vec![0]].concat()),
            Code::INVALID_ARGUMENT,
            "too many",
        ),
        ("no envelope", FrameKind::Request, status, vec![], Code::INVALID_ARGUMENT, ""),
        ("an envelope that is none", FrameKind::Request, status, vec![9; 40], Code::INVALID_ARGUMENT, ""),
        ("a request cut off", FrameKind::Request, spend, with(&[5, b'a']), Code::INVALID_ARGUMENT, ""),
        ("a token without text", FrameKind::Request, spend, with(&[0, 0, 0]), Code::INVALID_ARGUMENT, "token"),
        ("a claimed length", FrameKind::Request, spend, with(&[0xfd; 9]), Code::INVALID_ARGUMENT, ""),
        ("a second hello", FrameKind::Hello, 0, vec![], Code::INVALID_ARGUMENT, "requests only"),
        ("a reply", FrameKind::Reply, status, vec![], Code::INVALID_ARGUMENT, "requests only"),
    ] {
        socket.send(&framed(kind, operation, &body)).expect("sent");
        let frame = socket.receive().unwrap_or_else(|| panic!("{what}: the connection is closed"));
        assert_eq!(frame.id, 77, "{what}");
        let refusal = frame.outcome().expect_err("a refusal");
        assert_eq!(refusal.code, code, "{what}: {}", refusal.message);
        assert!(refusal.message.contains(words), "{what}: {}", refusal.message);
        socket.call(&server::Status {}).unwrap_or_else(|err| panic!("{what}: not served afterwards: {err}"));
    }
    socket.call(&use_of("trailing")).expect("what was refused was not done");
}

#[test]
fn a_frame_over_the_limit_ends_the_connection_before_its_bytes_arrive() {
    let daemon = Daemon::start();
    let bytes_max = u32::try_from(FRAME_BYTES_MAX).expect("a length");
    let mut socket = Socket::connect(&daemon.home.socket());
    socket.send(&(bytes_max + 1).to_be_bytes()).expect("sent");
    let refusal = last_word(&mut socket);
    assert_eq!(refusal.code, Code::INVALID_ARGUMENT);
    assert!(refusal.message.contains("1048576"), "{}", refusal.message);

    let mut socket = Socket::connect(&daemon.home.socket());
    let mut largest = framed(FrameKind::Request, jwt::Verify::ROW.number, &vec![0; FRAME_BYTES_MAX - 11]);
    assert_eq!(largest.len(), FRAME_BYTES_MAX + 4);
    socket.send(&largest).expect("sent");
    assert_eq!(code_of(&socket.receive().expect("an answer").outcome()), Some(Code::INVALID_ARGUMENT));
    largest[4] = 99;
    socket.send(&largest).expect("sent");
    assert!(last_word(&mut socket).message.contains("99"), "an unknown kind of frame can not be skipped");
    Socket::connect(&daemon.home.socket()).call(&server::Status {}).expect("others are served");
}

#[test]
fn who_leaves_within_a_frame_harms_nobody() {
    let daemon = Daemon::start();
    let mut socket = Socket::connect(&daemon.home.socket());
    let id = socket.ask(&use_of("whole"));
    socket.send(&framed(FrameKind::Request, token::Use::ROW.number, &[0; 20])[..17]).expect("sent");
    socket.end();
    let frame = socket.receive().expect("the whole request is answered");
    assert_eq!((frame.id, frame.kind), (id, FrameKind::Reply));
    assert_eq!(socket.receive(), None);
    let mut other = Socket::connect(&daemon.home.socket());
    assert_eq!(other.call(&use_of("whole")).expect_err("it was done").code, Code::TOKEN_REUSE);
}

#[test]
fn a_read_sees_every_write_sent_before_it() {
    let daemon = Daemon::start();
    let mut socket = Socket::connect(&daemon.home.socket());
    let mut bytes = Vec::new();
    let mut expected = Vec::new();
    for number in 0..60 {
        let (token, callsign) = (format!("nonce {number}"), format!("DOG{number}"));
        let mut append = |row_number: u16, request: Vec<u8>| {
            expected.push(socket.frame(&mut bytes, &Envelope::default(), row_number, &request));
        };
        append(token::Use::ROW.number, codec::encode(&use_of(&token)));
        append(token::Get::ROW.number, codec::encode(&token::Get { token: token.parse().expect("a token") }));
        let create = person::Create::new(callsign.parse().expect("a callsign"));
        append(person::Create::ROW.number, codec::encode(&create));
        append(person::Get::ROW.number, codec::encode(&person::Get::new(callsign.parse().expect("a name"))));
    }
    socket.send(&bytes).expect("sent");
    let outcomes = socket.outcomes(expected.len());
    for id in expected {
        assert!(outcomes[&id].is_ok(), "request {id}: {:?}", outcomes[&id]);
    }
}

#[test]
fn writes_of_one_connection_take_effect_in_the_order_sent() {
    let daemon = Daemon::start();
    let mut socket = Socket::connect(&daemon.home.socket());
    socket.call(&person::Create::new("DOG".parse().expect("a callsign"))).expect("made");
    let person: Reference = "DOG".parse().expect("a name");
    let role: RoleName = "member".parse().expect("a role");
    let assign = codec::encode(&role::Assign { person: person.clone(), role: role.clone() });
    let has = codec::encode(&role::Has::new(person.clone(), role.clone()));
    let remove = codec::encode(&role::Remove { person, role });
    let numbers = [role::Assign::ROW.number, role::Has::ROW.number, role::Remove::ROW.number];
    let requests: Vec<_> = (0..50)
        .flat_map(|_| [(0, &assign), (0, &assign), (1, &has), (2, &remove), (2, &remove)])
        .map(|(which, request)| (Envelope::default(), numbers[which], request.clone()))
        .collect();
    let answers: Vec<bool> = socket
        .call_all(&requests)
        .into_iter()
        .map(|outcome| codec::decode(&outcome.expect("a reply")).expect("true or false"))
        .collect();
    // Behind a read, later writes may have overtaken it: it says what was at some moment after the writes before it.
    for round in answers.chunks(5) {
        assert_eq!([round[0], round[1], round[3], round[4]], [true, false, true, false]);
    }
}

#[test]
fn answers_that_are_read_late_are_whole_and_in_their_order() {
    const ROUNDS: usize = 20;
    let daemon = Daemon::start();
    let (mut slow, mut other) = (Socket::connect(&daemon.home.socket()), Socket::connect(&daemon.home.socket()));
    other.call(&person::Create::new("DOG".parse().expect("a callsign"))).expect("made");
    let dog = || "DOG".parse().expect("a name");
    let extra_of = |round: usize| Json::new(&format!(r#"{{"round":{round},"more":"{}"}}"#, "x".repeat(30_000)));
    let asked: Vec<u64> = (0..ROUNDS)
        .map(|round| {
            let extra = extra_of(round).expect("an object");
            let id = slow.ask(&person::Update { person: dog(), extra: Some(extra.clone()), patch: None });
            // It is done before the next one is sent, and the socket takes ever less of the answers.
            let until = Instant::now() + PATIENCE;
            while other.call(&person::Get { person: dog(), allow_deleted: false }).expect("a person").extra != extra {
                assert!(Instant::now() < until, "write {round} is not done");
            }
            id
        })
        .collect();
    for (round, id) in asked.into_iter().enumerate() {
        let answer = slow.receive().expect("an answer");
        assert_eq!(answer.id, id);
        let person: person::Person = codec::decode(&answer.outcome().expect("done")).expect("a person");
        assert_eq!(person.extra, extra_of(round).expect("an object"));
    }
    slow.call(&server::Status {}).expect("nothing is left of them");
}

#[test]
fn more_requests_than_may_be_in_flight_are_answered_as_they_are_taken() {
    let daemon = Daemon::start();
    let mut socket = Socket::connect(&daemon.home.socket());
    let mut bytes = Vec::new();
    for number in 0..2000 {
        let request = codec::encode(&use_of(&format!("nonce {}", number / 2)));
        socket.frame(&mut bytes, &Envelope::default(), token::Use::ROW.number, &request);
    }
    socket.send(&bytes).expect("sent");
    let outcomes = socket.outcomes(2000);
    for (id, outcome) in &outcomes {
        let expected = if id % 2 == 1 { None } else { Some(Code::TOKEN_REUSE) };
        assert_eq!(code_of(outcome), expected, "request {id}");
    }
}
