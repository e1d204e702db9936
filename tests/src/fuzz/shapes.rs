//! Type-erased operations: a fuzzer chooses request and reply types by number.

use enroll_protocol::{Invalid, Operation, OperationRow, codec, operations};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::words::{Unsaid, Words};

/// An operation with its types erased.
pub(super) struct Shape {
    pub(super) row: &'static OperationRow,
    /// A request, decoded and encoded again.
    pub(super) request: fn(&[u8]) -> Result<Vec<u8>, Invalid>,
    /// A reply, decoded and encoded again.
    pub(super) reply: fn(&[u8]) -> Result<Vec<u8>, Invalid>,
    /// The JSON of an encoded request.
    pub(super) json: fn(&[u8]) -> Result<String, Invalid>,
    /// An encoded request made of words.
    pub(super) worded: fn(&mut Words<'_>) -> Result<Vec<u8>, Unsaid>,
}

impl Shape {
    /// The shape that a byte chooses.
    pub(super) fn chosen(byte: u8) -> &'static Self {
        &SHAPES[usize::from(byte) % SHAPES.len()]
    }

    /// The shape of an operation.
    pub(super) fn of(row: &OperationRow) -> &'static Self {
        SHAPES.iter().find(|shape| shape.row.number == row.number).expect("every operation has its shape")
    }

    const fn new<O: Operation>() -> Self {
        Self {
            row: O::ROW,
            request: again::<O>,
            reply: again::<O::Reply>,
            json: |bytes| serde_json::to_string(&codec::decode::<O>(bytes)?).map_err(|err| Invalid(err.to_string())),
            worded: |words| Ok(codec::encode(&O::deserialize(words)?)),
        }
    }
}

macro_rules! shapes {
    ($($number:literal $kind:ident $access:ident $permission:literal $name:literal
       $area:ident::$request:ident => $reply:ty;)*) => {
        static SHAPES: &[Shape] = &[$(Shape::new::<enroll_protocol::$area::$request>()),*];
    };
}

operations!(shapes);

fn again<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<Vec<u8>, Invalid> {
    codec::decode::<T>(bytes).map(|value| codec::encode(&value))
}
