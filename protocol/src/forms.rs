//! The JSON forms of requests and replies: of each operation, the functions between wire and JSON, with the types
//! erased.
//!
//! They are a table of their own beside that of the operations, so that a program has their code only if it uses it: a
//! client that calls operations by their types reads and writes no JSON of all the others.

use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::codec;
use crate::operations::OperationRow;
use crate::value::{Invalid, read_json};

/// Writes the JSON form of a value from its wire form.
type IntoJson = fn(&[u8], &mut dyn io::Write) -> Result<(), Invalid>;

/// The JSON forms of one operation.
struct Forms {
    number: u16,
    request_to_wire: fn(&RawValue) -> Result<Vec<u8>, Invalid>,
    request_into_json: IntoJson,
    reply_into_json: IntoJson,
}

impl OperationRow {
    /// The wire form of a request from its JSON form.
    ///
    /// For a program that knows operations by name only:
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use enroll_protocol::OperationRow;
    /// use serde_json::value::RawValue;
    ///
    /// let row = OperationRow::by_name("role.assign").ok_or("no such operation")?;
    /// let json = RawValue::from_string(r#"{"person":"DOGGO01a","role":"member"}"#.to_owned())?;
    /// let wire = row.request_to_wire(&json)?;
    /// assert_eq!(row.request_to_json(&wire)?, json.get());
    ///
    /// let wrong = RawValue::from_string(r#"{"persn":"DOGGO01a"}"#.to_owned())?;
    /// assert!(row.request_to_wire(&wrong).is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn request_to_wire(&self, json: &RawValue) -> Result<Vec<u8>, Invalid> {
        (self.forms().request_to_wire)(json)
    }

    /// The JSON form of a request from its wire form.
    ///
    /// The example stands at [`request_to_wire`](Self::request_to_wire).
    pub fn request_to_json(&self, wire: &[u8]) -> Result<String, Invalid> {
        text(self.forms().request_into_json, wire)
    }

    /// The JSON form of a reply from its wire form.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use enroll_protocol::{OperationRow, codec};
    ///
    /// let row = OperationRow::by_name("role.has").ok_or("no such operation")?;
    /// assert_eq!(row.reply_to_json(&codec::encode(&true))?, "true");
    /// # Ok(())
    /// # }
    /// ```
    pub fn reply_to_json(&self, wire: &[u8]) -> Result<String, Invalid> {
        text(self.forms().reply_into_json, wire)
    }

    /// Writes the JSON form of a request from its wire form.
    ///
    /// For a large one, which is written as it is read; else [`request_to_json`](Self::request_to_json) is simpler.
    pub fn request_into_json(&self, wire: &[u8], text: &mut dyn io::Write) -> Result<(), Invalid> {
        (self.forms().request_into_json)(wire, text)
    }

    /// Writes the JSON form of a reply from its wire form.
    ///
    /// For a large one, such as a page; else [`reply_to_json`](Self::reply_to_json) is simpler.
    pub fn reply_into_json(&self, wire: &[u8], text: &mut dyn io::Write) -> Result<(), Invalid> {
        (self.forms().reply_into_json)(wire, text)
    }

    fn forms(&self) -> &'static Forms {
        let at = FORMS.binary_search_by_key(&self.number, |forms| forms.number);
        &FORMS[at.expect("each row has its forms, and no other crate makes rows")]
    }
}

macro_rules! forms {
    ($($number:literal $kind:ident $access:ident $permission:literal $name:literal
       $area:ident::$request:ident => $reply:ty;)*) => {
        use crate::*;

        /// Those of every operation, in the order of the numbers.
        static FORMS: &[Forms] = &[$(Forms {
            number: $number,
            request_to_wire: to_wire::<crate::$area::$request>,
            request_into_json: into_json::<crate::$area::$request>,
            reply_into_json: into_json::<$reply>,
        }),*];
    };
}

crate::operations!(forms);

fn to_wire<T: Serialize + DeserializeOwned>(json: &RawValue) -> Result<Vec<u8>, Invalid> {
    read_json::<T>(json.get()).map(|value| codec::encode(&value))
}

fn into_json<T: Serialize + DeserializeOwned>(wire: &[u8], text: &mut dyn io::Write) -> Result<(), Invalid> {
    serde_json::to_writer(text, &codec::decode::<T>(wire)?).map_err(|err| Invalid(err.to_string()))
}

fn text(into_json: IntoJson, wire: &[u8]) -> Result<String, Invalid> {
    let mut text = Vec::new();
    into_json(wire, &mut text)?;
    String::from_utf8(text).map_err(|err| Invalid(err.to_string()))
}
