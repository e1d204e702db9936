//! When two callsigns, or two external keys, are the same one: NFKC, then full case folding, then NFKC once more,
//! because folding can leave a text that is not normalized.

use unicode_normalization::UnicodeNormalization as _;

/// What a callsign, a prefix of one, or an external key is compared by.
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let normalized: String = text.nfkc().collect();
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

    #[test]
    fn ascii_alone_is_folded_like_the_rest() {
        let ascii: String = (0..128_u8).map(char::from).collect();
        let with_more = fold(&format!("{ascii}ß"));
        assert_eq!(with_more.strip_suffix("ss"), Some(fold(&ascii).as_str()));
    }
}
