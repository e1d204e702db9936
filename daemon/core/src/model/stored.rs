//! Serialization of stored JSON objects and bytes: compact in a record, readable in an export.

/// JSON objects were checked when they came in, so reading them from a record does not parse them again. In an export
/// they are objects and not texts, and an import checks them.
pub(super) mod stored_json {
    use enroll_protocol::Json;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    pub(in super::super) fn serialize<S: Serializer>(json: &Json, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            json.serialize(serializer)
        } else {
            serializer.serialize_str(json.as_str())
        }
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Json, D::Error> {
        if deserializer.is_human_readable() {
            return Json::deserialize(deserializer);
        }
        String::deserialize(deserializer).map(Json::from_stored)
    }

    pub(in super::super) mod optional {
        use super::{Deserializer, Json, Serializer};
        use serde::{Deserialize as _, Serialize as _};

        pub(in super::super::super) fn serialize<S: Serializer>(
            json: &Option<Json>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            if serializer.is_human_readable() {
                return json.serialize(serializer);
            }
            json.as_ref().map(Json::as_str).serialize(serializer)
        }

        pub(in super::super::super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Json>, D::Error> {
            if d.is_human_readable() {
                return Option::deserialize(d);
            }
            Ok(Option::<String>::deserialize(d)?.map(Json::from_stored))
        }
    }
}

/// Bytes are hexadecimal digits in an export.
pub(super) mod stored_bytes {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    use crate::model::hex;

    pub(in super::super) fn serialize<T, S>(bytes: &T, serializer: S) -> Result<S::Ok, S::Error>
    where
        T: AsRef<[u8]> + Serialize,
        S: Serializer,
    {
        if serializer.is_human_readable() {
            serializer.serialize_str(&hex::encode(bytes.as_ref()))
        } else {
            bytes.serialize(serializer)
        }
    }

    pub(in super::super) fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
    where
        T: TryFrom<Vec<u8>> + Deserialize<'de>,
        D: Deserializer<'de>,
    {
        if !deserializer.is_human_readable() {
            return T::deserialize(deserializer);
        }
        let text = String::deserialize(deserializer)?;
        let bytes = hex::decode(&text).and_then(|bytes| T::try_from(bytes).ok());
        bytes.ok_or_else(|| de::Error::custom("expected hexadecimal digits, as many as there were"))
    }

    pub(in super::super) mod optional {
        use super::{Deserialize, Deserializer, Serialize, Serializer};

        #[derive(Serialize, Deserialize)]
        struct Bytes(#[serde(with = "super")] Vec<u8>);

        pub(in super::super::super) fn serialize<S: Serializer>(
            bytes: &Option<Vec<u8>>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            bytes.clone().map(Bytes).serialize(serializer)
        }

        pub(in super::super::super) fn deserialize<'de, D: Deserializer<'de>>(
            d: D,
        ) -> Result<Option<Vec<u8>>, D::Error> {
            Ok(Option::<Bytes>::deserialize(d)?.map(|Bytes(bytes)| bytes))
        }
    }
}
