//! The second table: what the domain can say no with. Numbers are stable and never reused; a client that meets a
//! number it does not know keeps it.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::value::{Invalid, Json};

macro_rules! refusals {
    ($($number:literal $constant:ident $name:literal $text:literal;)*) => {
        impl Code {
            $(#[doc = concat!("`", $name, "`: ", $text)] pub const $constant: Code = Code($number);)*

            /// Every code of this version: number, name, and what it says by default.
            pub const TABLE: &[(Code, &str, &str)] = &[$((Code($number), $name, $text)),*];
        }
    };
}

refusals! {
    1 NOT_FOUND "not_found" "there is no such record";
    2 DELETED "deleted" "the record is deleted";
    3 INVALID_ARGUMENT "invalid_argument" "an argument is not acceptable";
    4 PERMISSION_DENIED "permission_denied" "the peer or the actor may not do this";
    5 FORBIDDEN_OPERATION "forbidden_operation" "nobody may do this";
    6 KEY_REUSED "key_reused" "the idempotency key was used for a different request";
    7 CONFLICT "conflict" "the record is in the way of this";
    8 CODE_EXHAUSTED "code_exhausted" "no free code was found in 100 attempts; make code_size larger";
    9 BUSY "busy" "too much is waiting; try again in a moment";
    10 TOO_LARGE "too_large" "the answer does not fit a frame";
    11 STORAGE "storage" "the disk refuses writes; nothing was done";
    12 OUTCOME_UNKNOWN "outcome_unknown" "the commit failed; ask again with the same key";
    13 UNAVAILABLE "unavailable" "the daemon can not be reached";
    14 SHUTTING_DOWN "shutting_down" "the daemon is stopping; try again when it is back";
    15 INTERNAL "internal" "something went wrong inside; the daemon's log tells more";
    16 UNKNOWN_OPERATION "unknown_operation" "this daemon has no such operation";
    17 CALLSIGN_RESERVED "callsign_reserved" "the callsign is taken or reserved";
    18 TOKEN_REUSE "token_reuse" "it was used before";
    19 EXPIRED "expired" "it has expired";
    20 TOO_MANY_ATTEMPTS "too_many_attempts" "too many wrong codes; wait before trying again";
    21 JWT_INVALID "jwt_invalid" "the JWT is not valid here";
    22 POOL_INACTIVE "pool_inactive" "the pool is not active";
    23 POOL_EXHAUSTED "pool_exhausted" "the pool is used up";
    24 ALREADY_DECIDED "already_decided" "it was decided before";
    25 CODE_MISMATCH "code_mismatch" "the approve code is another one";
    26 REGISTRATION_NOT_REQUIRED "registration_not_required" "everybody may come to this event without registering";
    27 EVENT_NOT_PUBLISHED "event_not_published" "the event is not published";
    28 EVENT_CANCELED "event_canceled" "the event is canceled";
    29 EVENT_PAST "event_past" "the event is over";
    30 REGISTRATION_CLOSED "registration_closed" "the time for this has passed";
    31 REGISTRATION_NOT_OPEN "registration_not_open" "no pool that admits this person is open yet";
    32 ALREADY_REGISTERED "already_registered" "the person is registered already";
    33 NO_PERMISSION "no_permission" "no pool of the event admits this person";
    34 NO_FREE_SLOTS "no_free_slots" "no place is free";
    35 EVENT_HAS_REGISTRATIONS "event_has_registrations" "somebody has registered for the event";
    36 POOL_HAS_REGISTRATIONS "pool_has_registrations" "somebody has registered for the event's pools";
    37 INVALID_TRANSITION "invalid_transition" "the record is not in a state that allows this";
    38 CSR_MISMATCH "csr_mismatch" "the signing request names somebody else";
    39 WOULD_MOVE "would_move" "only in a trial: it is linked to somebody else, who would be unlinked";
}

/// The stable number of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(pub u16);

impl Code {
    /// Its name, such as `not_found`; `None` for a number from a newer daemon.
    pub fn name(self) -> Option<&'static str> {
        Self::TABLE.iter().find(|(code, ..)| *code == self).map(|(_, name, _)| *name)
    }

    /// Whether the same request may succeed a moment later. Such an answer is never kept under an idempotency key.
    pub fn is_passing(self) -> bool {
        [
            Self::BUSY,
            Self::STORAGE,
            Self::OUTCOME_UNKNOWN,
            Self::SHUTTING_DOWN,
            Self::INTERNAL,
            Self::TOO_LARGE,
            Self::TOO_MANY_ATTEMPTS,
            Self::UNAVAILABLE,
        ]
        .contains(&self)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "code_{}", self.0),
        }
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { self.0.serialize(serializer) }
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return u16::deserialize(deserializer).map(Self);
        }
        let name = String::deserialize(deserializer)?;
        let known = Self::TABLE.iter().find(|(_, known, _)| *known == name).map(|(code, ..)| *code);
        let numbered = || name.strip_prefix("code_").and_then(|number| number.parse().ok()).map(Self);
        known.or_else(numbered).ok_or_else(|| de::Error::custom(format!("there is no refusal {name:?}")))
    }
}

/// The domain's no: a stable code, a sentence for people that says what is wrong and what to do, and details for
/// programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// What kind of no.
    pub code: Code,
    /// What is wrong, and the way out; lower case, no full stop.
    pub message: String,
    /// What a program needs to act on it, such as `retry_after_ms` of `busy`.
    pub details: Option<Json>,
}

impl Refusal {
    /// A refusal with a sentence of its own.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), details: None }
    }

    /// A refusal that says what its code says.
    pub fn plain(code: Code) -> Self {
        let text = Code::TABLE.iter().find(|(known, ..)| *known == code).map_or("refused", |(.., text)| *text);
        Self::new(code, text)
    }

    /// The same with details for programs.
    pub fn with(mut self, details: serde_json::Value) -> Self {
        self.details = Json::of(&details).ok();
        self
    }
}

impl From<Invalid> for Refusal {
    fn from(invalid: Invalid) -> Self {
        Self::new(Code::INVALID_ARGUMENT, invalid.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_unique() {
        for (at, (code, name, _)) in Code::TABLE.iter().enumerate() {
            assert!(Code::TABLE[..at].iter().all(|(c, n, _)| c != code && n != name), "{name}");
        }
    }

    #[test]
    fn an_unknown_code_is_kept_and_printed() {
        for code in [Code(9999), Code::NOT_FOUND] {
            let json = serde_json::to_string(&code).expect("JSON");
            assert_eq!(json, format!("\"{code}\""));
            assert_eq!(serde_json::from_str::<Code>(&json).expect("a code"), code);
        }
        assert_eq!(Code(9999).to_string(), "code_9999");
    }
}
