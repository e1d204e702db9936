//! Expected texts with gaps: what a test does not care about, such as a pk, is written as `..`.

/// True if a text is the expected one; `..` in that stands for anything.
pub fn matches(text: &str, expected: &str) -> bool {
    let Some((first, others)) = expected.split_once("..") else { return text == expected };
    let (middle, last) = others.rsplit_once("..").unwrap_or(("", others));
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    for part in middle.split("..") {
        match rest.find(part) {
            Some(found) => rest = &rest[found + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn gaps_stand_for_anything_and_nothing_else_does() {
        for (text, expected, is_match) in [
            ("abc", "abc", true),
            ("abc", "ab", false),
            ("abcabd", "a..d", true),
            ("abcabd", "..c..", true),
            ("abcabd", "a..x..d", false),
            ("}}", "..}}", true),
            ("ab", "ab..b", false),
        ] {
            assert_eq!(matches(text, expected), is_match, "{text} {expected}");
        }
    }
}
