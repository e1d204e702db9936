//! Fuzzing of sessions: a script of requests, cut and joined anywhere on its way to the daemon, is answered as it is in
//! one piece. The hello is part of it.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use enroll_core::context::{Grant, Peer};
use enroll_protocol::envelope::{Hello, MAGIC, PROTOCOL_VERSION};
use enroll_protocol::frame::{self, FrameKind, FrameReader};
use enroll_protocol::limits::FRAME_BYTES_MAX;
use enroll_protocol::{Code, Envelope, Operation, Refusal, changes, codec, person, server, token};
use enrolld::config::Config;
use enrolld::daemon::Swap;
use enrolld::daemon::clock::Seeds;
use enrolld::net::barrier::Barrier;
use enrolld::net::grants::Grants;
use enrolld::net::listener::Terms;
use enrolld::net::memory_budget::MemoryBudget;
use enrolld::net::worker_pool::WorkerPool;
use enrolld::net::{Shared, serve_alone};
use tokio::runtime::Builder;
use tokio::sync::{Semaphore, watch};
use tokio::task::yield_now;

use crate::registry::Registry;

/// Requests of one script at most.
const REQUESTS_MAX: usize = 32;

/// The memory of connections.
const MEMORY_BYTES: usize = 64 << 20;

/// Pauses after each piece, in which the daemon takes it.
const PAUSES: usize = 4;

/// The answers of a connection: for each request its frames in their order, each with its code, if it is a refusal. Items of
/// streams are none: the end of the bytes ends a stream, and what is written meanwhile may be in it or not.
type Answers = BTreeMap<u64, Vec<(FrameKind, Option<Code>)>>;

/// Bytes of a script are answered the same whether they come in one piece or in many. The first byte chooses the grant,
/// the second the number of requests; then comes a byte for each request, and the others are the sizes of the pieces.
pub fn session(input: &[u8]) {
    let Some(([grant, count], rest)) = input.split_first_chunk::<2>() else { return };
    let grant = [Grant::Read, Grant::Operate, Grant::Admin][usize::from(grant % 3)];
    let (script, sizes) = rest.split_at(usize::from(*count).min(REQUESTS_MAX).min(rest.len()));
    let bytes = written(script);
    let whole = answered(grant, &[&bytes]);
    let mut sizes = sizes.iter().map(|size| usize::from(*size) + 1).chain(std::iter::repeat(bytes.len()));
    let (mut pieces, mut rest) = (Vec::new(), &bytes[..]);
    while let Some(size) = sizes.next().filter(|_| !rest.is_empty()) {
        let (piece, after) = rest.split_at(size.min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    assert_eq!(answered(grant, &pieces), whole, "in pieces of {:?}", pieces.iter().map(|piece| piece.len()));
    assert!(whole.contains_key(&0), "the hello was answered");
}

/// A hello and the frames of a script, which no client would send like that.
fn written(script: &[u8]) -> Vec<u8> {
    let hello = Hello { magic: MAGIC, protocol: PROTOCOL_VERSION, client: "fuzz".to_owned() };
    let mut bytes = Vec::new();
    frame::append(&mut bytes, FrameKind::Hello, 0, 0, &hello);
    for (id, chosen) in (1..).zip(script) {
        let (operation, argument) = (chosen % 10, chosen / 10);
        let callsign = || format!("DOG{argument}");
        let mut ask = |number: u16, body: &[u8]| {
            frame::append_with(&mut bytes, FrameKind::Request, number, id, |bytes| bytes.extend_from_slice(body));
        };
        match operation {
            0 => ask(server::Status::ROW.number, &body(&server::Status {})),
            1 => ask(token::Use::ROW.number, &body(&token::Use::new(callsign().parse().expect("a token")))),
            2 | 3 => {
                ask(person::Create::ROW.number, &body(&person::Create::new(callsign().parse().expect("a callsign"))))
            }
            4 | 5 => ask(person::Get::ROW.number, &body(&person::Get::new(callsign().parse().expect("a name")))),
            6 => ask(changes::Follow::ROW.number, &body(&changes::Follow { since: Some(0) })),
            7 => ask(server::Check::ROW.number, &body(&server::Check::default())),
            // An unknown operation, and a body that is none.
            8 => ask(9999, &[0; 4]),
            // Every now and then bytes that are no frame; nothing behind them is read.
            _ if argument == 24 => bytes.extend_from_slice(&[0xff; 8]),
            _ => ask(token::Use::ROW.number, &[0xfe; 60]),
        }
    }
    bytes
}

fn body(operation: &impl Operation) -> Vec<u8> {
    let mut bytes = Vec::new();
    codec::encode_into(&Envelope::default(), &mut bytes);
    bytes.extend(codec::encode(operation));
    bytes
}

/// The answers of a fresh registry to bytes that come in these pieces, then their end.
fn answered(grant: Grant, pieces: &[&[u8]]) -> Answers {
    let registry = Registry::in_memory();
    let (changes, latest) = watch::channel(0);
    let (queue, writer) = registry.writer_thread(registry.clock());
    let writing = std::thread::spawn(move || {
        writer.run(|head| {
            // A daemon that has ended needs none.
            let _ = changes.send(head);
        })
    });
    let config = Config::default();
    let (grants, _) = Grants::resolve(&config.grants).expect("no grants");
    let shared = Arc::new(Shared {
        daemon: Arc::clone(&registry.daemon),
        reads_locally: false,
        forwarding: None,
        barrier: Barrier::of(Arc::clone(&registry.store), &registry.daemon.metrics.looks).expect("a thread"),
        store: Arc::clone(&registry.store),
        clock: registry.clock(),
        seeds: Seeds::default(),
        terms: Swap::new(Terms { grants, limits: config.limits() }),
        memory: MemoryBudget::new(MEMORY_BYTES),
        scans: WorkerPool::start("scans", 1).expect("a thread"),
        makers: WorkerPool::start("makers", 1).expect("a thread"),
        walks: Arc::new(Semaphore::new(1)),
        changes: latest,
    });
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let bytes = runtime.block_on(async {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        for stream in [&ours, &theirs] {
            stream.set_nonblocking(true).expect("set");
        }
        let (_stop, stopping) = watch::channel(false);
        let peer = Peer { uid: 1000, pid: 1, connection: 1, grant, delegation: Arc::default(), member: None };
        let (input, output) = enroll_socket::split(theirs).expect("a socket");
        let sender = output.sender().clone();
        let serving = tokio::spawn(serve_alone((input, output, sender), peer, shared, queue, stopping));
        let received = talk(ours, pieces).await;
        serving.await.expect("served");
        received
    });
    writing.join().expect("ended").expect("committed");
    read(&bytes)
}

/// Sends the pieces one after another; everything that is received until the end.
async fn talk(mut stream: UnixStream, pieces: &[&[u8]]) -> Vec<u8> {
    let (mut received, mut buffer) = (Vec::new(), [0; 4096]);
    let mut pieces = pieces.iter().copied();
    let mut piece: &[u8] = &[];
    let mut has_ended = false;
    loop {
        if piece.is_empty() && !has_ended {
            match pieces.next() {
                Some(next) => piece = next,
                None => {
                    has_ended = true;
                    // The daemon may have closed it.
                    let _ = stream.shutdown(Shutdown::Write);
                }
            }
        }
        match stream.write(piece) {
            Ok(bytes) => piece = &piece[bytes..],
            Err(err) if err.kind() == ErrorKind::WouldBlock => {}
            Err(_) => piece = &[],
        }
        for _ in 0..PAUSES {
            yield_now().await;
        }
        match stream.read(&mut buffer) {
            Ok(0) => return received,
            Ok(bytes) => received.extend_from_slice(&buffer[..bytes]),
            Err(err) if err.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return received,
        }
    }
}

fn read(bytes: &[u8]) -> Answers {
    let (mut reader, mut answers) = (FrameReader::new(FRAME_BYTES_MAX), Answers::new());
    reader.push(bytes);
    while let Some(frame) = reader.next_frame().expect("frames") {
        if frame.kind == FrameKind::StreamItem {
            let begun = answers.get(&frame.id).and_then(|frames| frames.first());
            assert_eq!(begun, Some(&(FrameKind::StreamBegun, None)), "an item of what was not begun");
            continue;
        }
        let refusal = (frame.kind == FrameKind::Refused).then(|| codec::decode(frame.body).expect("a refusal"));
        let code = refusal.map(|refusal: Refusal| refusal.code);
        answers.entry(frame.id).or_default().push((frame.kind, code));
    }
    assert!(!reader.is_inside_frame(), "the daemon sends whole frames");
    answers
}
