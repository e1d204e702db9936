//! I/O errors under a rule: a read of the store that fails is never taken for an answer, nor for a refusal.

use std::cell::Cell;

use enroll_core::state::{Entries, ReadTxn, StoreError, View};
use enroll_protocol::operations::TABLE;
use enroll_protocol::{Code, OperationRow};
use enroll_tests::registry::Registry;
use serde_json::value::RawValue;

use super::grants::{ELSEWHERE, arguments_of, copied};

/// A view that fails at one read and at every later one, as a tree does whose disk failed.
struct Failing {
    view: View,
    left: Cell<u32>,
    has_failed: Cell<bool>,
}

impl Failing {
    fn expect_left(&self) -> Result<(), StoreError> {
        match self.left.get().checked_sub(1) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => {
                self.has_failed.set(true);
                Err(StoreError::Io { doing: "the database can not be read", error: "a test's disk".to_owned() })
            }
        }
    }
}

impl ReadTxn for Failing {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.expect_left()?;
        self.view.get(key)
    }

    fn range(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Entries, StoreError> {
        self.expect_left()?;
        self.view.range(from, to, limit)
    }
}

/// Fails each read of an operation in turn. Returns how many it has.
fn fail_each_read(registry: &mut Registry, row: &OperationRow, request: &[u8]) -> u32 {
    for reads in 0.. {
        let view = registry.store().view().expect("a view");
        let failing = Failing { view, left: Cell::new(reads), has_failed: Cell::new(false) };
        let ended = registry.run_on(&failing, row.number, request);
        if !failing.has_failed.get() {
            assert_eq!(ended, Ok(()), "{}", row.name);
            return reads;
        }
        let code = ended.map_err(|fault| fault.refusal().code);
        assert_eq!(code, Err(Code::INTERNAL), "{}: read {reads} failed", row.name);
    }
    unreachable!("an operation without an end");
}

#[test]
fn no_operation_takes_a_read_that_failed_for_an_answer() {
    let mut reads = 0;
    for row in TABLE.iter().filter(|row| !ELSEWHERE.contains(&row.name)) {
        let arguments = RawValue::from_string(arguments_of(row)).expect("JSON");
        let request = row.request_to_wire(&arguments).expect("a request");
        reads += fail_each_read(&mut copied(), row, &request);
    }
    assert!(reads > 500, "only {reads} reads failed");
}
