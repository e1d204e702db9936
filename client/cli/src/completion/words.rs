//! A tokenizer for the words of an unfinished command line: quotes are taken off, and the operation is found.

use std::ffi::OsString;

use enroll_client::protocol::OperationRow;

/// The words without their quotes and backslashes, as the shell will hand them on. An open quote ends with its word.
pub(super) fn unquoted(words: Vec<OsString>) -> Vec<OsString> {
    let of = |word: OsString| match word.to_str() {
        Some(text) => without_quotes(text).into(),
        None => word,
    };
    words.into_iter().map(of).collect()
}

/// The operation that these words name.
pub(super) fn operation(words: &[String]) -> Option<&'static OperationRow> {
    let words: Vec<&String> = words.iter().filter(|word| !word.starts_with('-')).collect();
    let named = |pair: &[&String]| OperationRow::by_name(&format!("{}.{}", pair[0], pair[1].replace('-', "_")));
    words.windows(2).find_map(named)
}

fn without_quotes(text: &str) -> String {
    let (mut plain, mut quote, mut characters) = (String::new(), None, text.chars());
    while let Some(c) = characters.next() {
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            (Some('\''), c) => plain.push(c),
            (_, '\\') => plain.extend(characters.next()),
            (_, c) => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_backslashes_are_taken_off() {
        for (text, expected) in [
            ("DOG", "DOG"),
            ("'a b'", "a b"),
            ("\"a b", "a b"),
            ("--as='D", "--as=D"),
            (r"a\ b", "a b"),
            (r"'a\b'", r"a\b"),
            (r#""it's""#, "it's"),
            (r"a\", "a"),
        ] {
            assert_eq!(without_quotes(text), expected, "{text}");
        }
    }

    #[test]
    fn the_operation_is_found_among_options() {
        let found = |line: &str| operation(&line.split(' ').map(str::to_owned).collect::<Vec<_>>()).map(|row| row.name);
        assert_eq!(found("enrollctl --as BOSS person get --json"), Some("person.get"));
        assert_eq!(found("enrollctl enrollment reset-code"), Some("enrollment.reset_code"));
        assert_eq!(found("enrollctl person"), None);
    }
}
