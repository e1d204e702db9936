//! The plain form of a reply, for pipes: tab-separated, stable, with every field.
//!
//! A list of records has a header line and then a line per record; a record has a line per field. A tab, a line end or
//! a backslash inside a string is written as `\t`, `\n`, `\r` or `\\`, so that a line is always one item; other
//! characters that a terminal would interpret as `\u{1b}`, because what reads the pipe may print them to one.

use super::view::{View, columns, member, text, visible};

/// The lines of a reply.
pub(crate) fn show(view: &View<'_>) -> String {
    match view {
        View::Scalar("null") => String::new(),
        View::Scalar(value) => line(&text(value)),
        View::Record(members) => {
            members.iter().map(|(name, value)| format!("{}\t{}\n", escaped(name), cell(value.get()))).collect()
        }
        View::Values { values, .. } => values.iter().map(|value| cell(value) + "\n").collect(),
        View::Records { records, .. } => {
            let names = columns(records);
            let header = names.iter().map(|name| escaped(name)).collect::<Vec<_>>().join("\t") + "\n";
            let row = |record| names.iter().map(|name| cell(member(record, name))).collect::<Vec<_>>().join("\t");
            records.iter().fold(header, |lines, record| lines + &row(record) + "\n")
        }
    }
}

/// A text with one line end, which a text such as PEM already has.
fn line(text: &str) -> String {
    if text.ends_with('\n') { text.to_owned() } else { format!("{text}\n") }
}

/// The text of a value on one line.
pub(super) fn cell(json: &str) -> String {
    escaped(&text(json))
}

/// A text on one line.
pub(crate) fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n").replace('\r', "\\r");
    visible(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_in_a_pipe() {
        for (json, expected) in [
            ("null", ""),
            ("true", "true\n"),
            (r#""-----BEGIN\nX\n""#, "-----BEGIN\nX\n"),
            ("[]", ""),
            (r#"["a","b\tc"]"#, "a\nb\\tc\n"),
            (r#"{"pk":"1","extra":{"n":1.50},"deleted":null}"#, "pk\t1\nextra\t{\"n\":1.50}\ndeleted\t\n"),
            (r#"{"items":[],"next":null}"#, ""),
            (
                r#"{"items":[{"a":"x\\y","b":null},{"a":"l1\nl2","b":12345678901234567890123}],"next":"c"}"#,
                "a\tb\nx\\\\y\t\nl1\\nl2\t12345678901234567890123\n",
            ),
            (r#"{"a":"\u001b[2J\u202e"}"#, "a\t\\u{1b}[2J\\u{202e}\n"),
            (r#"[{"list":[1,2]}]"#, "list\n[1,2]\n"),
        ] {
            assert_eq!(show(&View::of(json)), expected, "{json}");
        }
    }

    #[test]
    fn a_page_has_the_cursor_of_the_next() {
        assert_eq!(View::of(r#"{"items":[{"a":1}],"next":"c1"}"#).next(), Some("c1"));
        assert_eq!(View::of(r#"{"items":[],"next":"c1"}"#).next(), Some("c1"));
        assert_eq!(View::of(r#"{"items":[{"a":1}],"next":null}"#).next(), None);
    }
}
