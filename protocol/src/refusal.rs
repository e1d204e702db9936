//! The table of refusals: error codes of the domain, each with a default text. Numbers are stable and never reused; a
//! client keeps a number that it does not know.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::value::{Invalid, Json};

macro_rules! refusals {
    ($($number:literal $constant:ident $name:literal $text:literal;)*) => {
        impl Code {
            $(#[doc = concat!("`", $name, "`: ", $text)] pub const $constant: Code = Code($number);)*

            /// Every code of this version: number, name, and default text.
            pub const TABLE: &[(Code, &str, &str)] = &[$((Code($number), $name, $text)),*];
        }
    };
}

refusals! {
    1 NOT_FOUND "not_found" "there is no such record; check its name or pk";
    2 DELETED "deleted" "the record was deleted; only reads with allow_deleted show it";
    3 INVALID_ARGUMENT "invalid_argument" "an argument is not acceptable; see the help of the operation";
    4 PERMISSION_DENIED "permission_denied" "the peer's grant or the actor's roles do not allow this; ask an administrator for one that does";
    5 FORBIDDEN_OPERATION "forbidden_operation" "no grant and no permission allows this; the help of the operation names another way";
    6 KEY_REUSED "key_reused" "the idempotency key was used for a different request; use a new key for every new request";
    7 CONFLICT "conflict" "the request conflicts with what is stored; read the record again, and change it or the request";
    8 CODE_EXHAUSTED "code_exhausted" "no free code was found in 100 attempts; make code_size larger";
    9 BUSY "busy" "the queue of the daemon is full; try again in a moment";
    10 TOO_LARGE "too_large" "the answer does not fit a frame; ask for less at once, such as a smaller page";
    11 STORAGE "storage" "the disk refuses writes, and nothing was done; make room on it or replace it, and try again";
    12 OUTCOME_UNKNOWN "outcome_unknown" "the commit failed and may be durable or not; send the request again with the same idempotency key";
    13 UNAVAILABLE "unavailable" "the daemon can not be reached; see that it runs and that the socket's path is right";
    14 SHUTTING_DOWN "shutting_down" "the daemon is stopping; try again when it is back";
    15 INTERNAL "internal" "an error inside the daemon; its log has the reason";
    16 UNKNOWN_OPERATION "unknown_operation" "this daemon has no such operation; upgrade it, or use a client of its version";
    17 CALLSIGN_RESERVED "callsign_reserved" "the callsign is taken or reserved; choose another";
    18 TOKEN_REUSE "token_reuse" "the token or code was used before; get a new one";
    19 EXPIRED "expired" "the record or token has expired; get a new one";
    20 TOO_MANY_ATTEMPTS "too_many_attempts" "too many wrong codes; wait before trying again";
    21 JWT_INVALID "jwt_invalid" "the JWT is not valid here: not signed by this daemon, changed or expired; get a new one";
    22 POOL_INACTIVE "pool_inactive" "the pool is not active; its owner can activate it";
    23 POOL_EXHAUSTED "pool_exhausted" "all uses of the pool are taken; raise its max_uses, or use another pool";
    24 ALREADY_DECIDED "already_decided" "the enrollment was decided before; a rejected one can be reopened";
    25 CODE_MISMATCH "code_mismatch" "the approve code does not belong to this enrollment; check it, or make a new one";
    26 REGISTRATION_NOT_REQUIRED "registration_not_required" "everybody may come to this event without registering";
    27 EVENT_NOT_PUBLISHED "event_not_published" "the event is not published; publish it first";
    28 EVENT_CANCELED "event_canceled" "the event is canceled, and nobody can register for it";
    29 EVENT_PAST "event_past" "the event is over, and nobody can register for it";
    30 REGISTRATION_CLOSED "registration_closed" "the time to register or to cancel has ended; the event's owner can set a later one";
    31 REGISTRATION_NOT_OPEN "registration_not_open" "no pool that admits this person is open yet; try again when one opens";
    32 ALREADY_REGISTERED "already_registered" "the person is registered already; show the registration to see its state";
    33 NO_PERMISSION "no_permission" "no pool of the event admits this person; give them a role of a pool, or add a pool";
    34 NO_FREE_SLOTS "no_free_slots" "no place is free; raise a capacity, or allow the waiting list";
    35 EVENT_HAS_REGISTRATIONS "event_has_registrations" "somebody has registered for the event; cancel the event instead";
    36 POOL_HAS_REGISTRATIONS "pool_has_registrations" "somebody has registered for the event's pools; cancel the registrations first";
    37 INVALID_TRANSITION "invalid_transition" "the state of the record does not allow this; read it again to see its state";
    38 CSR_MISMATCH "csr_mismatch" "the signing request names another person; make one whose common name is the callsign";
    39 WOULD_MOVE "would_move" "only in a dry run: the key is linked to another person, who would be unlinked";
}

/// The stable number of a refusal.
///
/// ```
/// use enroll_protocol::Code;
///
/// assert_eq!(Code::TOKEN_REUSE.to_string(), "token_reuse");
/// assert!(Code::BUSY.is_passing() && !Code::TOKEN_REUSE.is_passing());
/// // One of a newer daemon is kept.
/// assert_eq!(Code(999).to_string(), "code_999");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(pub u16);

impl Code {
    /// Its name, such as `not_found`; `None` for a number from a newer daemon.
    ///
    /// ```
    /// use enroll_protocol::Code;
    ///
    /// assert_eq!(Code::NOT_FOUND.name(), Some("not_found"));
    /// assert_eq!(Code(999).name(), None);
    /// ```
    pub fn name(self) -> Option<&'static str> {
        Self::TABLE.iter().find(|(code, ..)| *code == self).map(|(_, name, _)| *name)
    }

    /// True for a refusal that may pass by itself. Such an answer is never kept under an idempotency key.
    ///
    /// A web service answers 503 with `Retry-After` for these, and 4xx for the others. The example stands at [`Code`].
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

/// A refusal: a stable error code, a sentence for people with the problem and the way out, and details for programs.
///
/// ```
/// use enroll_protocol::{Code, Refusal};
///
/// let refusal = Refusal::new(Code::CONFLICT, "somebody has this key; choose another");
/// assert_eq!(refusal.to_string(), "somebody has this key; choose another");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The stable code of the refusal.
    pub code: Code,
    /// The problem and the way out, for people; lower case, no full stop.
    pub message: String,
    /// Details that programs act on, such as `retry_after_ms` of `busy`.
    pub details: Option<Json>,
}

impl Refusal {
    /// A refusal with a sentence of its own.
    ///
    /// A service refuses with it what it checks itself, in the words of the daemon. The example stands at [`Refusal`].
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), details: None }
    }

    /// A refusal with the default text of its code.
    ///
    /// ```
    /// use enroll_protocol::{Code, Refusal};
    ///
    /// assert!(Refusal::plain(Code::TOKEN_REUSE).to_string().contains("used"));
    /// ```
    pub fn plain(code: Code) -> Self {
        let text = Code::TABLE.iter().find(|(known, ..)| *known == code).map_or("refused", |(.., text)| *text);
        Self::new(code, text)
    }

    /// The same with details for programs.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use enroll_protocol::{Code, Refusal};
    ///
    /// let busy = Refusal::plain(Code::BUSY).with(serde_json::json!({"retry_after_ms": 50}));
    /// let details = busy.details.ok_or("details")?;
    /// assert_eq!(details.member::<u64>("retry_after_ms")?, Some(50));
    /// # Ok(())
    /// # }
    /// ```
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
