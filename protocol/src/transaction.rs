//! Transactions: several writes of different operations that are done as one, all or none.

use std::str::FromStr;

use serde::de::{self, Deserializer};
use serde::ser::{self, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::limits::TRANSACTION_UNITS_MAX;
use crate::operations::{Kind, Operation, OperationRow};
use crate::server::Piece;
use crate::value::{Invalid, at_most};
use crate::{codec, value::read_json};

/// Do several writes as one transaction: all of them, or none
///
/// A unit is a JSON object: {"op":"role.assign","args":{"person":"DOGGO01a","role":"member"}}. Units are done in their
/// order, and each sees what those before it have left. Events that they touch are filled after the last one. A refusal
/// has the code of the unit that was refused, and its index, from 0, in `details.unit`.
///
/// A unit is a plain write. Bulk writes, streams, transactions, `code.use`, `person.erase`, and the areas certificate, jwt, permission
/// and server are none, nor is a write for which a certificate must be made (`invalid_argument`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Examples:\n  enrollctl transaction run --file units.ndjson\n  \
                          enrollctl transaction run '{\"op\":\"role.assign\",\"args\":{\"person\":\"DOGGO01a\",\"role\":\"member\"}}'")
)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// The units, each a JSON object; 1 to 32
    #[cfg_attr(feature = "cli", arg(value_name = "JSON"))]
    #[serde(deserialize_with = "at_most::<TRANSACTION_UNITS_MAX, _, _>")]
    pub units: Vec<Unit>,
}

/// One write of a transaction: an operation's number and its encoded request. In JSON `{"op", "args"}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// The number of the operation.
    pub number: u16,
    /// The request, encoded as the operation's own frame has it.
    pub request: Vec<u8>,
}

/// The reply to one unit: its operation's number and the encoded reply. In JSON the reply itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The number of the operation.
    pub number: u16,
    /// The reply, encoded as the operation's own frame has it.
    pub reply: Vec<u8>,
}

impl Unit {
    /// The unit that does this operation.
    ///
    /// A client of the crate `enroll-client` has `Transaction` for this, which also reads the replies.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use enroll_protocol::transaction::{Run, Unit};
    /// use enroll_protocol::{person, role};
    ///
    /// let create = person::Create::new("DOGGO01a".parse()?);
    /// let assign = role::Assign { person: "DOGGO01a".parse()?, role: "member".parse()? };
    /// let run = Run { units: vec![Unit::of(&create), Unit::of(&assign)] };
    /// assert_eq!(serde_json::to_value(&run)?["units"][1]["op"], "role.assign");
    /// # Ok(())
    /// # }
    /// ```
    pub fn of<O: Operation>(operation: &O) -> Self {
        Self { number: O::ROW.number, request: codec::encode(operation) }
    }
}

impl Reply {
    /// The reply of this operation. Refuses the reply of another one.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use enroll_protocol::transaction::Reply;
    /// use enroll_protocol::{Operation, codec, person, role};
    ///
    /// let reply = Reply { number: role::Assign::ROW.number, reply: codec::encode(&true) };
    /// assert!(reply.read::<role::Assign>()?);
    /// assert!(reply.read::<person::Create>().is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn read<O: Operation>(&self) -> Result<O::Reply, Invalid> {
        if self.number != O::ROW.number {
            return Err(Invalid(format!("this is not the reply of {}", O::ROW.name)));
        }
        codec::decode(&self.reply)
    }
}

impl OperationRow {
    /// True for a plain write, which may be a unit of a transaction.
    ///
    /// ```
    /// use enroll_protocol::{Operation, code, role};
    ///
    /// assert!(role::Assign::ROW.may_be_unit());
    /// assert!(!code::Use::ROW.may_be_unit(), "its JWT is made after the commit");
    /// ```
    pub fn may_be_unit(&self) -> bool {
        let is_special = ["certificate", "jwt", "permission", "server", "transaction"].contains(&self.area());
        self.kind == Kind::Write && !is_special && !["code.use", "person.erase"].contains(&self.name)
    }
}

/// The JSON form of a unit.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    op: String,
    #[serde(default)]
    args: Option<Box<RawValue>>,
}

impl Serialize for Unit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() {
            return (self.number, Piece(self.request.clone())).serialize(serializer);
        }
        let row = row_of(self.number).map_err(ser::Error::custom)?;
        let args = row.request_to_json(&self.request).map_err(ser::Error::custom)?;
        let args = RawValue::from_string(args).map_err(ser::Error::custom)?;
        Named { op: row.name.to_owned(), args: Some(args) }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Unit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            let (number, Piece(request)) = Deserialize::deserialize(deserializer)?;
            return Ok(Self { number, request });
        }
        let Named { op, args } = Named::deserialize(deserializer)?;
        let unknown = || de::Error::custom(format!("there is no operation \"{op}\""));
        let row = OperationRow::by_name(&op).ok_or_else(unknown)?;
        let args = args.as_deref().map_or("{}", RawValue::get);
        let args = serde_json::from_str(args).map_err(de::Error::custom)?;
        let request = row.request_to_wire(args).map_err(|err| de::Error::custom(format!("{op}: {err}")))?;
        Ok(Self { number: row.number, request })
    }
}

impl FromStr for Unit {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        read_json(text)
    }
}

impl Serialize for Reply {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() {
            return (self.number, Piece(self.reply.clone())).serialize(serializer);
        }
        let row = row_of(self.number).map_err(ser::Error::custom)?;
        let reply = row.reply_to_json(&self.reply).map_err(ser::Error::custom)?;
        RawValue::from_string(reply).map_err(ser::Error::custom)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Reply {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return Err(de::Error::custom(
                "a reply of a unit does not tell its operation in JSON; read it from the wire",
            ));
        }
        let (number, Piece(reply)) = Deserialize::deserialize(deserializer)?;
        Ok(Self { number, reply })
    }
}

fn row_of(number: u16) -> Result<&'static OperationRow, Invalid> {
    OperationRow::by_number(number).ok_or_else(|| Invalid(format!("there is no operation {number}")))
}
