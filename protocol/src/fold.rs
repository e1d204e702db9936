//! NFKC_Casefold: the form in which names are compared (callsigns, external keys and others), so that two names that
//! look alike are one.
//!
//! It is the caseless compatibility matching of the Unicode standard (definition D146), without default ignorables.

use unicode_normalization::UnicodeNormalization as _;

use crate::is_unseen;

/// The case-folded form of a name, the same for names that are compared as equal.
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let decomposed: String = text.chars().filter(|c| !is_unseen(*c)).nfd().collect();
    let once: String = caseless::default_case_fold_str(&decomposed).nfkc().collect();
    caseless::default_case_fold_str(&once).nfkc().filter(|c| !is_unseen(*c)).collect()
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
            ("DOG\u{200b}GO\u{feff}01a", "doggo01a"),
            ("\u{ff24}\u{ff2f}\u{ff27}\u{ff10}", "dog0"),
            ("\u{345}\u{3b1}", "\u{3b9}\u{3b1}"),
            ("\u{1f71}\u{345}", "\u{1fb4}"),
        ] {
            assert_eq!(fold(one), fold(other), "{one} {other}");
            assert_eq!(fold(&fold(one)), fold(one), "{one}");
        }
        assert_ne!(fold("DOGGO01"), fold("DOGG001"));
    }

    #[test]
    fn folding_what_is_folded_changes_nothing() {
        for c in '\u{80}'..='\u{2ffff}' {
            let folded = fold(&c.to_string());
            assert_eq!(fold(&folded), folded, "U+{:04X}", u32::from(c));
        }
    }

    #[test]
    fn ascii_alone_is_folded_like_the_rest() {
        let ascii: String = (' '..='~').collect();
        let with_more = fold(&format!("{ascii}ß"));
        assert_eq!(with_more.strip_suffix("ss"), Some(fold(&ascii).as_str()));
    }
}
