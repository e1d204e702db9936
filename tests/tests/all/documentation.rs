//! Documentation of the crates that a service uses: each public type and function has an example of its own, or a reason
//! to have none.

use std::path::Path;

use enroll_protocol::operations::TABLE;
use enroll_tests::pages;

/// Files whose items need no example, and why.
const FILES: &[(&str, &str)] = &[
    ("protocol/src/event", "the area of events and registrations, as below"),
    ("protocol/src/program", "the area of programs, as below"),
    ("protocol/src/server", "the daemon's own area, as below"),
    ("protocol/src/finding.rs", "a table that is read, not called"),
    (
        "protocol/src/backup.rs",
        "the daemon and its command line write and read backups; the page on backups has commands",
    ),
    ("protocol/src/export.rs", "the lines of an export, on the same page"),
    ("protocol/src/encoding.rs", "between the daemon and the wire; a client meets neither"),
    ("protocol/src/shape.rs", "of the command line alone"),
    ("protocol/src/raw_object.rs", "between the encodings"),
    ("protocol/src/value/text", "the rules of texts; the crate's front page has one parsed"),
];

/// Items that need no example, and why.
const ITEMS: &[(&str, &str)] = &[
    ("StartError", "what is done with it is to show it"),
    ("Hello", "sent and read by the clients"),
    ("Welcome", "sent and read by the clients"),
    ("encode_into", "as encode"),
    ("decode_front", "as decode"),
    ("Kind", "a column of the table"),
    ("Access", "a column of the table"),
    ("Resume", "a column of the table"),
    ("IntoJson", "a column of the table"),
    ("FrameKind", "a part of a frame"),
    ("Frame", "given by the reader, whose example has one"),
    ("FrameError", "what is done with it is to end the connection"),
    ("Announced", "given by the reader"),
    ("append", "in the example of the reader"),
    ("append_with", "as append"),
    ("NaturalName", "the daemon's reading of a reference"),
    ("Named", "the daemon's reading of a reference"),
    ("Invalid", "what is done with it is to show it"),
    ("fold", "its table of examples is a test"),
];

/// Functions between these crates, hidden or for their derives.
const INSIDE: &[&str] =
    &["arrived", "arrived_if_any", "at_most", "or_default", "without_mark", "plain_error", "plain_name"];

#[test]
fn each_public_item_has_an_example_or_a_reason() {
    let mut missing = Vec::new();
    for folder in ["client/src", "protocol/src"] {
        visit(&pages::root().join(folder), folder, &mut missing, without_example);
    }
    assert_eq!(missing, Vec::<String>::new());
}

fn visit(folder: &Path, named: &str, missing: &mut Vec<String>, lacking: fn(&str) -> Vec<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = format!("{named}/{}", path.file_name().and_then(|name| name.to_str()).expect("a name"));
        // An operation's request and record are played, with their fields, on the page of their area.
        let area = name.trim_start_matches("protocol/src/").trim_end_matches(".rs");
        let is_area = TABLE.iter().any(|row| row.area() == area);
        if is_area || FILES.iter().any(|(known, _)| name.starts_with(known)) {
            continue;
        }
        if path.is_dir() {
            visit(&path, &name, missing, lacking);
        } else {
            let text = std::fs::read_to_string(&path).expect("a source");
            missing.extend(lacking(&text).into_iter().map(|item| format!("{name}: {item}")));
        }
    }
}

/// A method has an example, or a second paragraph: when one uses it, and where the example stands that has it.
#[test]
fn each_public_method_has_an_example_or_says_when_one_uses_it() {
    let documented = "    /// Sends.\n    ///\n    /// At once.\n    #[must_use]\n    pub async fn send(self) {}\n";
    assert!(methods_without_example(documented).is_empty());
    assert_eq!(
        methods_without_example("    /// Sends.\n    pub fn send(self) {}\n    pub fn end() {}\n"),
        ["send", "end"]
    );
    let mut missing = Vec::new();
    for folder in ["client/src", "protocol/src"] {
        visit(&pages::root().join(folder), folder, &mut missing, methods_without_example);
    }
    assert_eq!(missing, Vec::<String>::new());
}

/// Public items at the front of lines, with neither an example in their documentation nor a reason.
fn without_example(source: &str) -> Vec<String> {
    let (mut documentation, mut missing) = (String::new(), Vec::new());
    for line in source.lines() {
        let declared = ["struct ", "enum ", "trait ", "fn ", "type "]
            .iter()
            .find_map(|kind| line.strip_prefix("pub ")?.strip_prefix(kind));
        match declared {
            _ if line.starts_with("///") => documentation.push_str(line),
            Some(declared) => {
                let name = declared.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
                let has_reason = INSIDE.contains(&name) || ITEMS.iter().any(|(known, _)| *known == name);
                if !documentation.contains("```") && !has_reason {
                    missing.push(name.to_owned());
                }
                documentation.clear();
            }
            None if line.starts_with("#[") || line.starts_with(' ') || line.starts_with(')') => {}
            None => documentation.clear(),
        }
    }
    missing
}

/// Public methods whose documentation is one paragraph without an example.
fn methods_without_example(source: &str) -> Vec<String> {
    let (mut documentation, mut missing) = (Vec::new(), Vec::new());
    for line in source.lines().take_while(|line| *line != "#[cfg(test)]") {
        let declared =
            ["fn ", "const fn ", "async fn "].iter().find_map(|kind| line.strip_prefix("    pub ")?.strip_prefix(kind));
        match declared {
            _ if line.starts_with("    ///") => documentation.push(line.trim_start()),
            Some(declared) => {
                let name = declared.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
                if !documentation.iter().any(|line| *line == "///" || line.contains("```")) && !INSIDE.contains(&name) {
                    missing.push(name.to_owned());
                }
                documentation.clear();
            }
            None if line.trim_start().starts_with("#[") => {}
            None => documentation.clear(),
        }
    }
    missing
}
