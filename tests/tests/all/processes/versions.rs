//! Client and daemon of different versions: with the same version of the wire they work together, whatever their own
//! versions are and whatever else the other one knows.

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread::JoinHandle;

use enroll_protocol::envelope::{Hello, MAGIC, PROTOCOL_VERSION, Welcome};
use enroll_protocol::frame::{self, FrameKind, FrameReader};
use enroll_protocol::limits::FRAME_BYTES_MAX;
use enroll_protocol::{Code, Envelope, Refusal, codec, server};
use enroll_tests::process::{Daemon, Home, run};
use enroll_tests::socket::Socket;
use serde::Serialize;

/// A first frame as a later version may send it: with more at its end.
fn first_frame(kind: FrameKind, known: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::append(&mut bytes, kind, 0, 0, &(known, "of a later version", 7_u64));
    bytes
}

#[test]
fn a_client_of_a_later_version_is_served_what_the_daemon_knows() {
    let daemon = Daemon::start();
    for client in ["enrollctl 0.0.1", "enrollctl 99.1.0", ""] {
        let mut socket = Socket::silent(&daemon.home.socket());
        let hello = Hello { magic: MAGIC, protocol: PROTOCOL_VERSION, client: client.to_owned() };
        socket.send(&first_frame(FrameKind::Hello, &hello)).expect("sent");
        socket.welcomed();
        let mut bytes = Vec::new();
        let id = socket.frame(&mut bytes, &Envelope::default(), 9999, &[]);
        socket.send(&bytes).expect("sent");
        let answer = socket.receive().expect("an answer");
        assert_eq!(answer.id, id);
        let refusal = answer.outcome().expect_err("no such operation here");
        assert_eq!(refusal.code, Code::UNKNOWN_OPERATION);
        assert!(refusal.message.contains("it may be older than the client"), "{}", refusal.message);
        let status = socket.call(&server::Status {}).expect("everything else is served");
        assert_eq!(status.version, env!("CARGO_PKG_VERSION"));
    }
}

/// A daemon of a later version, which gives the requests of one connection these answers.
fn later_daemon(home: &Home, answers: Vec<Result<bool, Refusal>>) -> JoinHandle<()> {
    std::fs::create_dir_all(home.path("run")).expect("a directory");
    let _ = std::fs::remove_file(home.socket());
    let listener = UnixListener::bind(home.socket()).expect("a socket");
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let (daemon, grant) = ("99.1.0".to_owned(), "a later grant".to_owned());
        let welcome = Welcome { protocol: PROTOCOL_VERSION, daemon, grant, frame_bytes_max: 1 << 20 };
        stream.write_all(&first_frame(FrameKind::Welcome, &welcome)).expect("sent");
        let mut reader = FrameReader::new(FRAME_BYTES_MAX);
        for answer in answers {
            let (operation, id) = next_request(&mut stream, &mut reader);
            let mut bytes = Vec::new();
            match answer {
                Ok(reply) => frame::append(&mut bytes, FrameKind::Reply, operation, id, &reply),
                Err(refusal) => frame::append(&mut bytes, FrameKind::Refused, operation, id, &refusal),
            }
            stream.write_all(&bytes).expect("sent");
        }
        // Until the client has gone.
        while stream.read(&mut [0; 64]).is_ok_and(|length| length > 0) {}
    })
}

/// The operation and the id of the next request.
pub(super) fn next_request(stream: &mut UnixStream, reader: &mut FrameReader) -> (u16, u64) {
    loop {
        match reader.next_frame().expect("frames").map(|frame| (frame.kind, frame.operation, frame.id)) {
            Some((FrameKind::Request, operation, id)) => return (operation, id),
            Some(_) => {}
            None => {
                let mut buffer = [0; 4096];
                let length = stream.read(&mut buffer).expect("a request");
                assert!(length > 0, "a request");
                reader.push(&buffer[..length]);
            }
        }
    }
}

#[test]
fn a_daemon_of_a_later_version_is_understood_with_refusals_that_nobody_here_knows() {
    let home = Home::make();
    let later = Refusal::new(Code(9999), "the moon is full; wait until it is not");
    let cases = [
        (Ok(true), 0, "true\n", ""),
        (Ok(false), 1, "false\n", ""),
        (Err(later), 1, "", "the moon is full; wait until it is not (code_9999)"),
    ];
    for (answer, code, stdout, words) in cases {
        let serving = later_daemon(&home, vec![answer]);
        let output = run(&mut home.enrollctl(&["role", "has", "DOG", "member"]), "");
        serving.join().expect("served");
        assert_eq!((output.code, output.stdout.as_str()), (Some(code), stdout), "{output:?}");
        assert!(output.stderr.contains(words), "{output:?}");
    }
    let refusal = codec::decode::<Refusal>(&codec::encode(&Refusal::new(Code(9999), "later"))).expect("a refusal");
    assert_eq!(refusal.code, Code(9999), "the number is kept");
}
