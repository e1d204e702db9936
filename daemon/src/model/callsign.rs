//! When two callsigns are the same one: NFKC, then full case folding, then NFKC once more, because folding can leave
//! a text that is not normalized.

use unicode_normalization::UnicodeNormalization as _;

/// What a callsign, or a prefix of one, is compared by.
pub fn fold(callsign: &str) -> String {
    let normalized: String = callsign.nfkc().collect();
    caseless::default_case_fold_str(&normalized).nfkc().collect()
}

#[cfg(test)]
mod tests {
    use super::fold;

    #[test]
    fn callsigns_that_look_alike_in_any_case_are_one() {
        for (one, other) in [
            ("DOGGO01a", "doggo01A"),
            ("STRASSE", "straße"),
            ("\u{fb01}sh", "FISH"),
            ("\u{212b}ngstr\u{f6}m", "\u{c5}NGSTRO\u{308}M"),
            ("Ὀδυσσεύς", "ὈΔΥΣΣΕΎΣ"),
        ] {
            assert_eq!(fold(one), fold(other), "{one} {other}");
            assert_eq!(fold(&fold(one)), fold(one), "{one}");
        }
        assert_ne!(fold("DOGGO01"), fold("DOGG001"));
    }
}
