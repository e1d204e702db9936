//! The JSON object `extra` of a record in an update: replaced whole, or changed by a merge patch (RFC 7396).

use enroll_protocol::{Code, Json, Refusal};

/// The `extra` that an update asks for: a whole object or a merge patch.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    extra: Option<&'a Json>,
    patch: Option<&'a Json>,
}

impl<'a> Wanted<'a> {
    /// The wish of an update with these two arguments.
    pub(super) fn of(extra: &'a Option<Json>, patch: &'a Option<Json>) -> Self {
        Self { extra: extra.as_ref(), patch: patch.as_ref() }
    }

    /// Refuses both at once.
    pub(super) fn expect_one_at_most(self) -> Result<(), Refusal> {
        match (self.extra, self.patch) {
            (Some(_), Some(_)) => Err(refusal("extra and patch exclude each other; give one of both")),
            _ => Ok(()),
        }
    }

    /// Refuses both at once, and neither.
    pub(super) fn expect_one(self) -> Result<(), Refusal> {
        self.expect_one_at_most()?;
        match (self.extra, self.patch) {
            (None, None) => Err(refusal("extra or patch must be given: an object to keep, or a merge patch of it")),
            _ => Ok(()),
        }
    }

    /// The object that results; none where nothing is asked for. Refuses a result past the bounds of an object.
    pub(super) fn over(self, before: &Json) -> Result<Option<Json>, Refusal> {
        match (self.extra, self.patch) {
            (Some(extra), _) => Ok(Some(extra.clone())),
            (None, Some(patch)) => {
                let patched = before.patched(patch);
                patched.map(Some).map_err(|err| refusal(&format!("patch: what results is too much: {err}")))
            }
            (None, None) => Ok(None),
        }
    }
}

fn refusal(why: &str) -> Refusal {
    Refusal::new(Code::INVALID_ARGUMENT, why)
}
