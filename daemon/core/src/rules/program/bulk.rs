//! Bulk writes: their units by external key, in the order of the call, because one may make room for another; and the
//! words for failures.

use enroll_protocol::fold::fold;
use enroll_protocol::limits::BULK_KEY_BYTES_MAX;
use enroll_protocol::program::Failure;
use enroll_protocol::{Code, ExternalKey, Refusal};

use crate::rules::{Call, Part};

/// One external key of a call.
pub struct Unit {
    /// Its index in the call.
    pub(super) at: usize,
    /// The case-folded key.
    pub(super) folded: String,
    /// True if it stands in the call more than once, without regard to case.
    pub(super) is_twice: bool,
}

/// The units of these keys. Refuses keys of so many bytes that the answer might not fit a frame.
pub(super) fn units<'a>(keys: impl Iterator<Item = &'a ExternalKey>) -> Result<Vec<Unit>, Refusal> {
    let mut bytes = 0;
    let unit = |(at, key): (usize, &ExternalKey)| {
        bytes += key.as_str().len();
        Unit { at, folded: fold(key.as_str()), is_twice: false }
    };
    let mut units: Vec<Unit> = keys.enumerate().map(unit).collect();
    if bytes > BULK_KEY_BYTES_MAX {
        let why = format!("external keys of {bytes} bytes are too many for one call; send them in several");
        return Err(Refusal::new(Code::INVALID_ARGUMENT, why));
    }
    units.sort_by(|one, other| one.folded.cmp(&other.folded));
    for second in 1..units.len() {
        if units[second - 1].folded == units[second].folded {
            units[second - 1].is_twice = true;
            units[second].is_twice = true;
        }
    }
    units.sort_by_key(|unit| unit.at);
    Ok(units)
}

/// The units of these keys. Refuses a key that stands in the call more than once.
pub(super) fn distinct_units<'a>(
    field: &str,
    keys: impl Iterator<Item = &'a ExternalKey> + Clone,
) -> Result<Vec<Unit>, Refusal> {
    let units = units(keys.clone())?;
    let Some(twice) = units.iter().find(|unit| unit.is_twice) else { return Ok(units) };
    let key = keys.clone().nth(twice.at).map_or("", ExternalKey::as_str);
    let why = format!("{field}: the key \"{key}\" stands there twice; upper and lower case do not matter");
    Err(Refusal::new(Code::INVALID_ARGUMENT, why))
}

/// Refuses a bulk write that neither creates nor updates.
pub(super) fn require_something_to_do(create: bool, update: bool) -> Result<(), Refusal> {
    if create || update {
        return Ok(());
    }
    Err(Refusal::new(Code::INVALID_ARGUMENT, "create, update: at least one of them must be true"))
}

/// Adds a failure, which names the key and the person. Once messages of this length would fill half a page, further
/// failures have the name of their code for a message: all of them must fit a frame.
pub(super) fn fail(part: &mut Part<Failure>, call: &Call<'_>, key: &ExternalKey, person: Option<&str>, why: Refusal) {
    let person = person.map_or(String::new(), |person| format!(", person \"{person}\""));
    let message = format!("key \"{key}\"{person}: {}", why.message);
    let count = part.earlier + part.answers.len() as u64 + 1;
    let fits = message.len() as u64 * count <= call.ctx.settings.page_bytes_max as u64 / 2;
    let message = if fits { message } else { why.code.to_string() };
    part.answers.insert(key.clone(), Failure { code: why.code, message });
}

#[cfg(test)]
mod tests {
    use enroll_protocol::limits::{BULK_UNITS_MAX, FRAME_BYTES_MAX, PAGE_BYTES_MAX};

    use super::*;

    /// The code and both lengths are encoded in at most so many bytes each.
    const NUMBER_BYTES_MAX: usize = 3;

    #[test]
    fn a_failure_of_every_unit_fits_a_frame() {
        let longest = Code::TABLE.iter().map(|(_, name, _)| name.len()).max().expect("codes");
        let short_ones = BULK_UNITS_MAX * (longest + 3 * NUMBER_BYTES_MAX);
        assert!(BULK_KEY_BYTES_MAX + PAGE_BYTES_MAX / 2 + short_ones < FRAME_BYTES_MAX);
    }
}
