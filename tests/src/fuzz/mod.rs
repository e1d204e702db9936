//! Properties of arbitrary bytes, one function per fuzz target. The fuzz targets in `fuzz/` call these with bytes that
//! a fuzzer makes up, and an ordinary test replays the ones it kept.
//!
//! A function panics if its property does not hold. Any bytes are acceptable input: bytes that can not be read must be
//! refused in the documented way.

mod calls;
mod connection;
mod seeds;
mod session;
mod shapes;
mod texts;
mod words;

pub use calls::{history, json_request, reply, request};
pub use connection::{frame, handshake};
pub use seeds::{Seed, seeds};
pub use session::session;
pub use texts::{config, import, json, ndjson};

/// The longest input: long enough for everything that has a shape, short enough to be tried thousands of times.
pub const INPUT_BYTES_MAX: usize = 4096;

/// A way in, under the name of its fuzz target.
pub type Target = (&'static str, fn(&[u8]));

/// Every way in.
pub const TARGETS: &[Target] = &[
    ("config", config),
    ("frame", frame),
    ("handshake", handshake),
    ("history", history),
    ("import", import),
    ("json", json),
    ("json_request", json_request),
    ("ndjson", ndjson),
    ("reply", reply),
    ("request", request),
    ("session", session),
];
