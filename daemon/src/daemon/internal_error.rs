//! Internal errors: a fault that is no refusal is logged with a random id, and the caller gets `internal` with the same
//! id, so that the log line can be found.

use enroll_core::context::Peer;
use enroll_core::fault::Fault;
use enroll_protocol::{Code, OperationRow, Refusal};
use serde_json::json;

use super::clock::draw_seed;

/// The refusal for the caller of an operation that ended in this fault. An internal one is logged.
pub fn to_refusal(fault: &Fault, row: &OperationRow, peer: &Peer) -> Refusal {
    if !fault.is_internal() {
        return fault.refusal();
    }
    let id: String = draw_seed()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    tracing::error!(
        id,
        operation = row.name,
        uid = peer.uid,
        pid = peer.pid,
        connection = peer.connection,
        %fault,
        "an operation failed inside; its caller got the refusal internal with this id, and nothing of it was written"
    );
    let why = format!("the daemon failed inside; the line of its log with the id {id} says how");
    Refusal::new(Code::INTERNAL, why).with(json!({ "id": id }))
}
