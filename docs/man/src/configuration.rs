//! `enrolld.toml(5)`: every key of the configuration, read from the example configuration, which `enrolld
//! --example-config` prints. A comment there explains the keys behind it, up to the next comment.

use clap_mangen::roff::{bold, italic, roman};
use enrolld::config::{Config, EXAMPLE, is_read_at_start};
use toml::{Table, Value};

use crate::manual::{Manual, Page, inlines};
use crate::markdown;

const OPERATING: &str = include_str!("../../operating.md");

/// The page.
pub(crate) fn page() -> Page {
    let (about, keys) = EXAMPLE.split_once("\n\n").unwrap_or_default();
    let mut manual = Manual::new("enrolld.toml", 5, "the configuration of enrolld");
    manual.heading("DESCRIPTION");
    manual.prose(
        "The configuration of enrolld(8) is a file in TOML. Without one every key has its default. Beside each key \
         stand its default, what its value is, and what applies a change: a reload (`systemctl reload enrolld`, or \
         SIGHUP) or a restart.",
    );
    // The first paragraph tells how to edit the example.
    comment(about).into_iter().skip(1).for_each(|paragraph| paragraph.write(&mut manual));
    manual.heading("KEYS");
    let defaults = Table::try_from(Config::default()).expect("the defaults are a table");
    Reader::default().read(keys).iter().for_each(|part| part.write(&defaults, &mut manual));
    manual.heading("EXAMPLE");
    let (_, example) = OPERATING.split_once("\n```toml\n").expect("an example");
    manual.code(example.split("```").next().unwrap_or_default());
    manual.heading("FILES");
    markdown::write(&mut manual, markdown::section(OPERATING, "Files and paths"));
    manual.see_also(&["enrolld(8)", "enrollctl(1)", "enrolld-backup(7)"]);
    manual.finish()
}

/// A part of the example.
#[derive(Debug, PartialEq, Eq)]
enum Part<'a> {
    /// The beginning of a section, and the comment above it.
    Section { name: &'a str, about: String },
    /// Keys, each with its default, and the comment that explains them.
    Keys { keys: Vec<(String, &'a str)>, about: String },
}

/// Reads the example line by line.
#[derive(Default)]
struct Reader<'a> {
    section: &'a str,
    about: String,
    keys: Vec<(String, &'a str)>,
    parts: Vec<Part<'a>>,
}

impl<'a> Reader<'a> {
    fn read(mut self, text: &'a str) -> Vec<Part<'a>> {
        for line in text.lines() {
            match line.strip_prefix('#') {
                // A table of the administrator's own lines is a key too, such as `[grants.act_for]`.
                Some(table) if table.starts_with('[') => {
                    self.keys.push((table.trim_matches(['[', ']']).to_owned(), "none"));
                }
                Some(comment) if comment.is_empty() || comment.starts_with(' ') => {
                    self.end_of_keys();
                    self.about.push_str(line);
                    self.about.push('\n');
                }
                Some(key) => self.key(key),
                None if line.starts_with('[') => self.section(line),
                None => self.end_of_keys(),
            }
        }
        self.end_of_keys();
        self.parts
    }

    fn key(&mut self, line: &'a str) {
        let (name, default) = line.split_once(" = ").unwrap_or((line, ""));
        let prefix = if self.section.is_empty() { String::new() } else { format!("{}.", self.section) };
        self.keys.push((format!("{prefix}{name}"), default));
    }

    fn section(&mut self, line: &'a str) {
        self.end_of_keys();
        self.section = line.trim_matches(['[', ']']);
        self.parts.push(Part::Section { name: self.section, about: std::mem::take(&mut self.about) });
    }

    fn end_of_keys(&mut self) {
        if !self.keys.is_empty() {
            let (keys, about) = (std::mem::take(&mut self.keys), std::mem::take(&mut self.about));
            self.parts.push(Part::Keys { keys, about });
        }
    }
}

impl Part<'_> {
    fn write(&self, defaults: &Table, manual: &mut Manual) {
        match self {
            Self::Section { name, about } => {
                manual.subheading(&format!("[{name}]"));
                comment(about).iter().for_each(|paragraph| paragraph.write(manual));
            }
            Self::Keys { keys, about } => {
                for (at, (key, default)) in keys.iter().enumerate() {
                    let applied = if is_read_at_start(key) { "restart" } else { "reload" };
                    let note = format!("({}; {applied})", unit(key, lookup(defaults, key)));
                    let head = vec![bold(key.as_str()), roman(format!(" = {default}  ")), italic(note)];
                    if at == 0 { manual.entry(head) } else { manual.further_head(head) }
                }
                for paragraph in comment(about) {
                    match paragraph {
                        Paragraph::Text(text) => manual.text(inlines(&text)),
                        Paragraph::Code(code) => manual.code(&code),
                    }
                }
            }
        }
    }
}

/// A paragraph of a comment.
enum Paragraph {
    Text(String),
    /// Lines that are indented further than the text.
    Code(String),
}

impl Paragraph {
    fn write(&self, manual: &mut Manual) {
        match self {
            Self::Text(text) => manual.prose(text),
            Self::Code(code) => manual.code(code),
        }
    }
}

/// The paragraphs of a comment, without its marks.
fn comment(lines: &str) -> Vec<Paragraph> {
    let mut paragraphs = Vec::new();
    let mut continues = false;
    for line in lines.lines() {
        let line = line.trim_start_matches('#');
        let line = line.strip_prefix(' ').unwrap_or(line);
        let is_code = line.starts_with(' ');
        match (paragraphs.last_mut().filter(|_| continues), is_code) {
            (_, false) if line.is_empty() => {}
            (Some(Paragraph::Text(text)), false) => *text = format!("{text}\n{line}"),
            (Some(Paragraph::Code(code)), true) => *code = format!("{code}\n{}", line.trim()),
            (_, false) => paragraphs.push(Paragraph::Text(line.to_owned())),
            (_, true) => paragraphs.push(Paragraph::Code(line.trim().to_owned())),
        }
        continues = !line.is_empty();
    }
    paragraphs
}

/// The value of a key, whose path is joined by dots.
fn lookup<'t>(table: &'t Table, key: &str) -> Option<&'t Value> {
    match key.split_once('.') {
        Some((section, rest)) => lookup(table.get(section)?.as_table()?, rest),
        None => table.get(key),
    }
}

/// The unit of a key's value, with which the key's name ends, or else the kind of the value.
fn unit(key: &str, default: Option<&Value>) -> &'static str {
    let units = [("_seconds", "seconds"), ("_mib", "MiB"), ("_kib", "KiB"), ("per_minute", "per minute")];
    if let Some((_, unit)) = units.iter().find(|(ending, _)| key.ends_with(ending)) {
        return unit;
    }
    match default {
        Some(Value::Integer(_) | Value::Float(_)) => "number",
        Some(Value::Boolean(_)) => "true or false",
        Some(Value::Array(_)) => "list",
        Some(Value::Table(_)) => "table",
        Some(Value::String(_) | Value::Datetime(_)) => "text",
        None => "unset",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_explains_the_keys_behind_it() {
        let text = "# One.\n#a = 1\n#b = 2\n\n# Two.\n[s]\n# Three:\n#   \"x\" = 1\n#[s.t]\n";
        let key = |key: &str, default: &'static str| (key.to_owned(), default);
        assert_eq!(
            Reader::default().read(text),
            [
                Part::Keys { keys: vec![key("a", "1"), key("b", "2")], about: "# One.\n".to_owned() },
                Part::Section { name: "s", about: "# Two.\n".to_owned() },
                Part::Keys { keys: vec![key("s.t", "none")], about: "# Three:\n#   \"x\" = 1\n".to_owned() },
            ]
        );
    }

    /// A section's comment explains its first keys too.
    #[test]
    fn every_key_of_the_configuration_is_explained() {
        let (_, keys) = EXAMPLE.split_once("\n\n").expect("keys");
        let mut is_explained = false;
        for part in Reader::default().read(keys) {
            match part {
                Part::Section { about, .. } => is_explained = !about.is_empty(),
                Part::Keys { keys, about } => {
                    assert!(!about.is_empty() || is_explained, "{keys:?} have no comment");
                    is_explained = false;
                }
            }
        }
    }
}
