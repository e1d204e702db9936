//! A transaction: compare-and-swap over several keys, in one round trip.

use crate::messages::{
    Compare, DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest, compare, request_op,
};

/// The relation of a comparison: the property is this value.
const EQUAL: i32 = 0;

/// The relation of a comparison: the property is more than this value.
const GREATER: i32 = 1;

/// The property of a comparison: how often the key was put.
const VERSION: i32 = 0;
/// The property of a comparison: the revision at which the key was made.
const CREATE: i32 = 1;

/// A transaction that is being written down: its conditions, its steps, and the steps where a condition does not hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Txn {
    pub(crate) request: TxnRequest,
}

impl Txn {
    /// Without conditions and steps.
    pub fn new() -> Self {
        Self::default()
    }

    /// If this key was made at this revision. A deleted key that was made again has another one, so this is a fencing
    /// token.
    #[must_use]
    pub fn if_created_at(mut self, key: impl Into<Vec<u8>>, revision: i64) -> Self {
        self.compare(key, CREATE, compare::TargetUnion::CreateRevision(revision));
        self
    }

    /// If this key is not there.
    #[must_use]
    pub fn if_missing(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.compare(key, VERSION, compare::TargetUnion::Version(0));
        self
    }

    /// If this key is there.
    #[must_use]
    pub fn if_there(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.add(key, GREATER, VERSION, compare::TargetUnion::Version(0));
        self
    }

    /// Then put this key, under this lease or under 0 for none.
    #[must_use]
    pub fn put(mut self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>, lease: i64) -> Self {
        self.then(request_op::Request::Put(PutRequest { key: key.into(), value: value.into(), lease }));
        self
    }

    /// Then delete the keys from the first to before the second.
    #[must_use]
    pub fn delete_range(mut self, key: impl Into<Vec<u8>>, range_end: impl Into<Vec<u8>>) -> Self {
        let range = DeleteRangeRequest { key: key.into(), range_end: range_end.into() };
        self.then(request_op::Request::DeleteRange(range));
        self
    }

    /// Then read this key.
    #[must_use]
    pub fn get(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.then(request_op::Request::Range(RangeRequest { key: key.into(), ..Default::default() }));
        self
    }

    /// Else read this key.
    #[must_use]
    pub fn else_get(mut self, key: impl Into<Vec<u8>>) -> Self {
        let range = request_op::Request::Range(RangeRequest { key: key.into(), ..Default::default() });
        self.request.failure.push(RequestOp { request: Some(range) });
        self
    }

    fn compare(&mut self, key: impl Into<Vec<u8>>, target: i32, value: compare::TargetUnion) {
        self.add(key, EQUAL, target, value);
    }

    fn add(&mut self, key: impl Into<Vec<u8>>, result: i32, target: i32, value: compare::TargetUnion) {
        let condition = Compare { result, target, key: key.into(), target_union: Some(value) };
        self.request.compare.push(condition);
    }

    fn then(&mut self, step: request_op::Request) {
        self.request.success.push(RequestOp { request: Some(step) });
    }
}
