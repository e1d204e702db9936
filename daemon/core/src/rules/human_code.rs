//! Human-readable codes: an unambiguous alphabet, drawn evenly at random, and tolerant reading of typed codes.

use std::ops::RangeInclusive;

use enroll_protocol::{Code, Pk, Refusal, is_dash, is_unseen};
use rand::Rng as _;
use rand::rngs::ChaCha20Rng;
use unicode_normalization::UnicodeNormalization as _;

use crate::fault::Fault;
use crate::settings::Settings;
use crate::state::ReadTxn;

/// Letters and digits; where confusion is avoided, `0` and `1` (the last two) are not issued.
const LETTERS_AND_DIGITS: &[u8; 36] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ2345678901";

/// Draws before a code is refused as exhausted.
const DRAWS_MAX: usize = 100;

/// The lengths that a configuration may give invite and approve codes. Codes of every one of them may be there.
pub const LENGTHS: RangeInclusive<usize> = 6..=64;

/// The lengths of codes that somebody chose: none is easier to guess than one that is drawn by default.
const CHOSEN_LENGTHS: RangeInclusive<usize> = 8..=64;

/// The characters that codes are drawn from.
pub fn characters(avoid_confusion: bool) -> &'static [u8] {
    &LETTERS_AND_DIGITS[..if avoid_confusion { 34 } else { 36 }]
}

/// A random code that is free, and its storage key. Refuses after [`DRAWS_MAX`] draws (`code_exhausted`).
pub(super) fn draw_free(
    txn: &dyn ReadTxn,
    random: &mut ChaCha20Rng,
    settings: &Settings,
    length: usize,
    key: impl Fn(&str) -> Vec<u8>,
) -> Result<(String, Vec<u8>), Fault> {
    for _ in 0..DRAWS_MAX {
        let code = draw(random, settings.code_characters, length);
        let key = key(&code);
        if txn.get(&key)?.is_none() {
            return Ok((code, key));
        }
    }
    Err(Fault::Refused(Refusal::plain(Code::CODE_EXHAUSTED)))
}

/// A code of somebody's own choice as it is stored, of [`CHOSEN_LENGTHS`]. Refuses other lengths and other characters than
/// `A-Z0-9`, and one that a reference could read as a primary key (`invalid_argument`).
pub(super) fn chosen(typed: &str, avoid_confusion: bool) -> Result<String, Refusal> {
    let refuse = |why: String| Err(Refusal::new(Code::INVALID_ARGUMENT, why));
    let code = read_typed(typed, avoid_confusion);
    let (least, most) = (CHOSEN_LENGTHS.start(), CHOSEN_LENGTHS.end());
    if !CHOSEN_LENGTHS.contains(&code.len()) || !code.bytes().all(|b| LETTERS_AND_DIGITS.contains(&b)) {
        return refuse(format!("a code of one's own has {least} to {most} of the characters A-Z and 0-9"));
    }
    if [typed, &code.to_ascii_lowercase()].iter().any(|text| Pk::of_ours(text).is_some()) {
        return refuse("this code has the form of a pk; choose another".to_owned());
    }
    Ok(code)
}

/// Normalizes a code that was typed or pasted: case, blanks, dashes of any length, invisible characters and wide forms
/// do not matter, nor `0` for `O` and `1` for `I` if those two are never issued.
pub(super) fn read_typed(typed: &str, avoid_confusion: bool) -> String {
    let read = |c: char| match c.to_ascii_uppercase() {
        '0' if avoid_confusion => 'O',
        '1' if avoid_confusion => 'I',
        other => other,
    };
    let is_part = |c: &char| !c.is_whitespace() && !is_dash(*c) && !is_unseen(*c);
    let parts = typed.chars().filter(is_part);
    // ASCII has one form only, and is what nearly everybody types.
    if typed.is_ascii() { parts.map(read).collect() } else { parts.nfkc().map(read).collect() }
}

/// True for a code, as it was read, that may be an invite or approve code by its length. Another one is no guess.
pub(super) fn may_exist(code: &str) -> bool {
    LENGTHS.contains(&code.chars().count())
}

/// A random code, every character equally likely.
fn draw(random: &mut ChaCha20Rng, characters: &[u8], length: usize) -> String {
    // Bytes at and over the largest multiple would favour the first characters.
    let fair = 256 / characters.len() * characters.len();
    let mut code = String::with_capacity(length);
    while code.len() < length {
        let mut byte = [0];
        random.fill_bytes(&mut byte);
        if usize::from(byte[0]) < fair {
            code.push(char::from(characters[usize::from(byte[0]) % characters.len()]));
        }
    }
    code
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    #[test]
    fn issued_characters_are_evenly_spread_and_never_confusing() {
        let mut random = ChaCha20Rng::from_seed([1; 32]);
        let mut counts = [0_u32; 128];
        for _ in 0..34_000 / 12 {
            for c in draw(&mut random, characters(true), 12).bytes() {
                counts[usize::from(c)] += 1;
            }
        }
        assert_eq!(counts.iter().filter(|count| **count > 0).count(), 34);
        assert_eq!((counts[usize::from(b'0')], counts[usize::from(b'1')]), (0, 0));
        assert!(counts.iter().filter(|count| **count > 0).all(|count| (850..1150).contains(count)), "{counts:?}");
    }

    #[test]
    fn typed_codes_are_read_kindly() {
        assert_eq!(read_typed(" ab0d-1fgh \tjkl ", true), "ABODIFGHJKL");
        assert_eq!(read_typed("\u{feff}ab\u{2013}cd\u{2212}\u{200b}ef\u{ad}\u{a0}\u{ff11}", true), "ABCDEFI");
        assert_eq!(read_typed("ab0d-1", false), "AB0D1");
    }
}
