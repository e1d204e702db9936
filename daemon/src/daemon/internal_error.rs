//! Internal errors: a fault that is no refusal is logged with a random id, and the caller gets `internal` with the same
//! id, by which the log line is found: `journalctl ENROLLD_ERROR=ID`.

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
        error = id,
        operation = row.name,
        uid = peer.uid,
        pid = peer.pid,
        connection = peer.connection,
        fault = fault.to_string(),
        "an operation failed inside; its caller got the refusal internal with this id, and nothing of it was written"
    );
    let why = format!(
        "the daemon failed inside; the line of its log with the id {id} says how: journalctl ENROLLD_ERROR={id}"
    );
    Refusal::new(Code::INTERNAL, why).with(json!({ "id": id }))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use enroll_core::context::Grant;
    use enroll_protocol::{Operation as _, person};

    use super::*;

    fn peer() -> Peer {
        Peer { uid: 1, pid: 2, connection: 3, grant: Grant::Read, delegation: Arc::default(), member: None }
    }

    #[test]
    fn an_internal_error_bears_an_id_and_tells_nothing_of_its_cause() {
        let (row, peer) = (person::Create::ROW, peer());
        let fault = Fault::Broken("cause 4711".to_owned());
        let [first, second] = [(); 2].map(|()| to_refusal(&fault, row, &peer));
        let id = |refusal: &Refusal| {
            let details = serde_json::to_value(&refusal.details).expect("JSON");
            details["id"].as_str().expect("an id").to_owned()
        };
        assert_eq!(first.code, Code::INTERNAL);
        assert!(first.message.contains(&id(&first)) && !first.message.contains("4711"), "{}", first.message);
        assert_ne!(id(&first), id(&second));
    }

    #[test]
    fn a_refusal_stays_as_it_is() {
        let (row, peer) = (person::Create::ROW, peer());
        let refusal = Refusal::new(Code::CONFLICT, "taken");
        assert_eq!(to_refusal(&Fault::Refused(refusal.clone()), row, &peer), refusal);
    }
}
