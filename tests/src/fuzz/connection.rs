//! Fuzzing of connections: bytes are cut into frames, and the daemon reads a hello from the first.

use std::sync::Arc;

use enroll_core::context::{Grant, Peer};
use enroll_protocol::encoding::Encoding;
use enroll_protocol::envelope::{Hello, MAGIC, PROTOCOL_VERSION, Welcome};
use enroll_protocol::frame::{self, FrameError, FrameKind, FrameReader, HEADER_BYTES};
use enroll_protocol::limits::FRAME_BYTES_MAX;
use enroll_protocol::{Refusal, Time, codec};
use enrolld::config::Config;
use enrolld::metrics::Metrics;
use enrolld::net::handshake::{READ_BYTES, greet};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, repeat};
use tokio::runtime::{Builder, Runtime};

/// In front of a frame, and not counted in its limit.
const LENGTH_BYTES: usize = 4;

/// The bytes of a sender that never stops.
const ENDLESS_BYTES: usize = 3 * FRAME_BYTES_MAX;

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
}

/// Bytes become the same frames, and end in the same error, however they are cut; and frames become these bytes again.
/// The first byte chooses the limit, the second the size of the pieces.
pub fn frame(input: &[u8]) {
    let Some(([limit, size], bytes)) = input.split_first_chunk::<2>() else { return };
    let bytes_max = HEADER_BYTES + usize::from(*limit);
    let whole = Frames::read(bytes, bytes_max, bytes.len().max(1));
    assert_eq!(Frames::read(bytes, bytes_max, usize::from(*size).max(1)), whole);
    let rest = bytes.strip_prefix(&whole.bytes[..]).expect("frames as they came");
    if whole.error.is_none() {
        assert_eq!(whole.is_inside_frame, !rest.is_empty());
        assert!(rest.len() < LENGTH_BYTES + bytes_max, "a whole frame was not handed out");
    }
}

/// The frames and the end that a reader gave.
#[derive(Debug, PartialEq, Eq)]
struct Frames {
    /// The frames, written again.
    bytes: Vec<u8>,
    error: Option<FrameError>,
    is_inside_frame: bool,
}

impl Frames {
    fn read(bytes: &[u8], bytes_max: usize, size: usize) -> Self {
        let mut reader = FrameReader::new(bytes_max);
        let (mut written, mut error) = (Vec::new(), None);
        for piece in bytes.chunks(size) {
            reader.push(piece);
            loop {
                match reader.next_frame() {
                    Ok(Some(frame)) => {
                        assert!(HEADER_BYTES + frame.body.len() <= bytes_max, "{frame:?} is over the limit");
                        frame::append_with(&mut written, frame.kind, frame.operation, frame.id, |bytes| {
                            bytes.extend_from_slice(frame.body);
                        });
                    }
                    Ok(None) => break,
                    Err(err) => {
                        error = Some(err);
                        break;
                    }
                }
            }
            if error.is_some() {
                break;
            }
            assert!(reader.rest().len() < LENGTH_BYTES + bytes_max, "more is kept than one unfinished frame");
        }
        // An error ends the connection; bytes after it belong to no frame.
        let is_inside_frame = error.is_none() && reader.is_inside_frame();
        Self { bytes: written, error, is_inside_frame }
    }
}

/// The daemon welcomes exactly who says hello, tells everybody else why not or ends, and reads no more than a frame of
/// somebody who never stops. The first byte chooses where the bytes are cut, the second whether they go on for ever.
pub fn handshake(input: &[u8]) {
    let Some(([cut, goes_on], bytes)) = input.split_first_chunk::<2>() else { return };
    let endless = usize::from(goes_on & 1) * ENDLESS_BYTES;
    let (front, back) = bytes.split_at(usize::from(*cut).min(bytes.len()));
    let mut input = front.chain(back).chain(repeat(b'x').take(endless as u64));
    let (mut output, mut frames) = (Vec::new(), FrameReader::new(FRAME_BYTES_MAX));
    let peer =
        Peer { uid: 1000, pid: 1, connection: 1, grant: Grant::Operate, delegation: Arc::default(), member: None };
    let (limits, metrics) = (Config::default().limits(), Metrics::new(Time::EPOCH));
    let greeting = greet(&mut input, &mut output, &mut frames, &peer, &limits, &metrics);
    let greeted = RUNTIME.with(|runtime| runtime.block_on(greeting));

    let (sent, more) = input.get_ref();
    let (front, back) = sent.get_ref();
    let read = (bytes.len() - front.len() - back.len()) + endless - usize::try_from(more.limit()).expect("bytes");
    assert!(read <= LENGTH_BYTES + FRAME_BYTES_MAX + READ_BYTES.max(bytes.len()), "{read} bytes were read");
    let hello = hello(bytes);
    assert!(hello.is_none() || greeted.is_ok(), "a hello was refused");
    match greeted {
        Ok(Encoding::Json) => {}
        Ok(Encoding::Binary) => {
            let welcome: Welcome = only(&output, FrameKind::Welcome).expect("a welcome");
            assert_eq!((welcome.protocol, welcome.grant.as_str()), (PROTOCOL_VERSION, "operate"));
            if let Some(hello) = hello {
                assert!(bytes[hello..].starts_with(frames.rest()) || endless > 0, "what is behind the hello stays");
                assert_eq!(frames.rest().len(), read - hello);
            } else {
                assert!(endless > 0, "somebody was welcomed without a hello");
            }
        }
        Err(_) if output.is_empty() => {}
        Err(_) => assert_eq!(refused(&output), "invalid_argument"),
    }
}

/// The length of the hello at the front of these bytes, if the daemon understands it.
fn hello(bytes: &[u8]) -> Option<usize> {
    let mut reader = FrameReader::new(FRAME_BYTES_MAX);
    reader.push(bytes);
    let frame = reader.next_frame().ok()??;
    let (hello, _) = codec::decode_front::<Hello>(frame.body).ok()?;
    let is_ours = frame.kind == FrameKind::Hello && hello.magic == MAGIC && hello.protocol == PROTOCOL_VERSION;
    is_ours.then_some(LENGTH_BYTES + HEADER_BYTES + frame.body.len())
}

/// The code of the only refusal that was written, which is JSON for those who said hello in JSON.
fn refused(bytes: &[u8]) -> String {
    let body = only_body(bytes, FrameKind::Refused).expect("one refusal");
    match body.starts_with(b"{") {
        true => {
            serde_json::from_slice::<Value>(&body).expect("JSON")["error"]["code"].as_str().expect("a code").to_owned()
        }
        false => codec::decode::<Refusal>(&body).expect("a refusal").code.to_string(),
    }
}

/// The value of the only frame that was written, if it is of this kind and about the connection itself.
fn only<T: DeserializeOwned>(bytes: &[u8], kind: FrameKind) -> Option<T> {
    codec::decode(&only_body(bytes, kind)?).ok()
}

fn only_body(bytes: &[u8], kind: FrameKind) -> Option<Vec<u8>> {
    let mut reader = FrameReader::new(FRAME_BYTES_MAX);
    reader.push(bytes);
    let frame = reader.next_frame().ok()??;
    let body = (frame.kind == kind && frame.id == 0).then(|| frame.body.to_owned())?;
    (!reader.is_inside_frame()).then_some(body)
}
