//! The memory of a request: what it reserves of the memory budget from its arrival to its answer.

use enroll_protocol::encoding::Encoding;
use enroll_protocol::limits::{BULK_UNITS_MAX, PAGE_BYTES_MAX, TRANSACTION_UNITS_MAX};
use enroll_protocol::transaction::Run;
use enroll_protocol::{Kind, Operation as _};

use crate::dispatch;

/// Frames up to this are within the base allowance of a connection.
pub const SMALL_FRAME_BYTES: usize = 8 << 10;

/// The answer of a read whose size is not known: a page, which most large answers are.
pub const READ_ANSWER_BYTES: usize = PAGE_BYTES_MAX;

/// The answer of a write: few are larger, as a record's `extra` and a JWT's claims are bounded by this.
const WRITE_ANSWER_BYTES: usize = 64 << 10;

/// The buffer of a walk: four pieces of 64 KiB, one more on its way into it and one on its way out.
const WALK_BYTES: usize = 6 * (64 << 10);

/// The least bytes of a unit of a bulk write or of a transaction in a frame.
const UNIT_FRAME_BYTES: usize = 4;

/// The same in JSON: a name, a value, and the marks around them.
const UNIT_JSON_BYTES: usize = 8;

/// A unit of a bulk write, decoded: in its list that has doubled, with a folded key, and the allocations of both.
const UNIT_BYTES: usize = 320;

/// The bytes that a request takes, its frame not counted: decoded, and the usual answer. A large frame of a read reserves
/// the answer, too, so that it waits for nothing once it is in. In JSON there is the compact form, too, and a request
/// without its operation's number is taken for a bulk write, which takes the most.
pub fn request_bytes(encoding: Encoding, operation: u16, frame_bytes: usize, frame_bytes_max: usize) -> usize {
    let kind = match dispatch::handler(operation) {
        Some(handler) => handler.row.kind,
        None if encoding == Encoding::Json && operation == 0 => Kind::Bulk,
        None => return 0,
    };
    let (decoded, units) = match encoding {
        Encoding::Binary => (2 * frame_bytes, frame_bytes / UNIT_FRAME_BYTES),
        Encoding::Json => (3 * frame_bytes, frame_bytes / UNIT_JSON_BYTES),
    };
    decoded
        + match kind {
            Kind::Read | Kind::Lookup | Kind::Stream if frame_bytes <= SMALL_FRAME_BYTES => 0,
            Kind::Read | Kind::Lookup | Kind::Stream => READ_ANSWER_BYTES,
            // The replies to its units, and the answer that they are joined to.
            Kind::Write if operation == Run::ROW.number => {
                2 * frame_bytes_max.min(WRITE_ANSWER_BYTES * units.clamp(1, TRANSACTION_UNITS_MAX))
            }
            Kind::Write => WRITE_ANSWER_BYTES,
            Kind::Bulk => WRITE_ANSWER_BYTES + UNIT_BYTES * BULK_UNITS_MAX.min(units),
            Kind::Scan => frame_bytes_max,
            Kind::Walk => WALK_BYTES,
        }
}
