//! Redaction of parse errors: a value that can not be read may be a secret in the wrong field, so an error names the
//! kind of the value and its field, and never repeats the value.

/// Characters of a name in an error, such as an unknown field: longer ones are no names.
const NAME_CHARACTERS_MAX: usize = 40;

/// A parse error's sentence without the values that it quotes. Names of fields and variants stay where they are short
/// and plain.
pub fn plain_error(sentence: &str) -> String {
    without_names(&without_values(sentence))
}

/// Reduces the value in `invalid type: string "..", expected ..` to its kind.
fn without_values(sentence: &str) -> String {
    for opening in ["invalid type: ", "invalid value: "] {
        let Some((before, rest)) = sentence.split_once(opening) else { continue };
        // A quoted text may hold the words that follow it, so the last ones count.
        let Some((value, expected)) = rest.rsplit_once(", expected ") else { continue };
        if opening == "invalid value: " && value.starts_with("integer `") {
            // A number of the right type that is out of bounds.
            continue;
        }
        let kind = value.split(['"', '`']).next().unwrap_or_default().trim_end();
        return format!("{before}{opening}{kind}, expected {expected}");
    }
    sentence.to_owned()
}

/// Replaces a quoted text that is no name in ``unknown field `..` ``.
fn without_names(sentence: &str) -> String {
    for opening in ["unknown field `", "unknown variant `", "duplicate field `"] {
        let Some((before, rest)) = sentence.split_once(opening) else { continue };
        let end =
            ["`, expected ", "`, there are no "].iter().find_map(|end| rest.rfind(end)).or_else(|| rest.rfind('`'));
        let Some(end) = end else { continue };
        let (name, after) = rest.split_at(end);
        return format!("{before}{opening}{}{after}", plain_name(name));
    }
    sentence.to_owned()
}

/// A given name if it is short and plain enough to be one; otherwise a mark in its stead.
pub fn plain_name(name: &str) -> &str {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | '/' | ' ' | '+' | '@');
    if name.chars().count() <= NAME_CHARACTERS_MAX && name.chars().all(is_plain) { name } else { "[..]" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_what_was_expected_and_repeats_no_value() {
        for (sentence, expected) in [
            ("invalid type: string \"s3cret\", expected u64", "invalid type: string, expected u64"),
            ("x: invalid type: integer `4711`, expected a string", "x: invalid type: integer, expected a string"),
            ("invalid value: string \"a, expected b\", expected c", "invalid value: string, expected c"),
            ("invalid value: integer `70000`, expected u16", "invalid value: integer `70000`, expected u16"),
            ("invalid type: null, expected a map", "invalid type: null, expected a map"),
            ("unknown field `acter`, expected one of `a`, `b`", "unknown field `acter`, expected one of `a`, `b`"),
            ("unknown field `MIIE/==\n`, expected `a`", "unknown field `[..]`, expected `a`"),
            ("unknown variant `x`, expected `a`, `b`", "unknown variant `x`, expected `a`, `b`"),
            ("missing field `callsign`", "missing field `callsign`"),
            ("token must be 1 to 1024 bytes; this is 0", "token must be 1 to 1024 bytes; this is 0"),
        ] {
            assert_eq!(plain_error(sentence), expected);
        }
        let long = "k".repeat(41);
        assert_eq!(plain_error(&format!("unknown field `{long}`, expected `a`")), "unknown field `[..]`, expected `a`");
        assert_eq!(plain_error(&format!("unknown field `{long}`")), "unknown field `[..]`");
    }
}
