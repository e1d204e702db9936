//! A manual page while it is written: headings, paragraphs, lists and code, as requests of roff's macro package man(7).
//!
//! roff takes a line that begins with `.` or `'` for a request and a hyphen for a place to break a word; the crate roff
//! escapes these. Three characters beside them would be printed as others that no shell knows; see [`AS_TYPED`].

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, roman};

/// Characters that a terminal would show as typographic ones, and their names in roff.
const AS_TYPED: [(char, &str); 3] = [('~', "\\(ti"), ('^', "\\(ha"), ('`', "\\(ga")];

/// A whole page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The name of its file, such as `enrolld.8`.
    pub file: String,
    /// Its text in roff.
    pub text: String,
}

/// A page while it is written.
pub(crate) struct Manual {
    file: String,
    /// The preamble of every text that the crate roff renders; a page has it once.
    preamble: String,
    body: String,
}

impl Manual {
    /// A page with its title and its section NAME. `about` completes "NAME - ".
    pub(crate) fn new(name: &str, section: u8, about: &str) -> Self {
        let preamble = Roff::new().render();
        let title = name.to_uppercase().replace('-', "\\-");
        let version = env!("CARGO_PKG_VERSION");
        let body = format!("{preamble}.TH {title} {section} \"\" \"enrolld {version}\" \"enrolld manual\"\n");
        let mut manual = Self { file: format!("{name}.{section}"), preamble, body };
        manual.heading("NAME");
        manual.text(vec![roman(format!("{name} - {about}"))]);
        manual
    }

    /// The heading of a section.
    pub(crate) fn heading(&mut self, heading: &str) {
        self.headed("SH", heading);
    }

    /// The heading of a part of a section.
    pub(crate) fn subheading(&mut self, heading: &str) {
        self.headed("SS", heading);
    }

    /// A paragraph.
    pub(crate) fn paragraph(&mut self, text: Vec<Inline>) {
        self.add(|roff| {
            roff.control("PP", []);
            roff.text(text);
        });
    }

    /// Plain text, whose paragraphs are separated by empty lines and whose words between backticks are bold.
    pub(crate) fn prose(&mut self, text: &str) {
        for paragraph in text.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty()) {
            self.paragraph(inlines(paragraph));
        }
    }

    /// Lines as they are, such as commands.
    pub(crate) fn code(&mut self, code: &str) {
        self.add(|roff| {
            roff.control("PP", []);
            roff.control("RS", ["4"]);
            roff.control("nf", []);
            for line in code.trim_end().lines() {
                roff.text([roman(line)]);
            }
            roff.control("fi", []);
            roff.control("RE", []);
        });
    }

    /// The beginning of an entry of a list: its head. Its text is what is added as `text` next.
    pub(crate) fn entry(&mut self, head: Vec<Inline>) {
        self.add(|roff| {
            roff.control("TP", []);
            roff.text(head);
        });
    }

    /// Another head of the same entry.
    pub(crate) fn further_head(&mut self, head: Vec<Inline>) {
        self.add(|roff| {
            roff.control("TQ", []);
            roff.text(head);
        });
    }

    /// An item of a list.
    pub(crate) fn bullet(&mut self, text: Vec<Inline>) {
        self.add(|roff| {
            roff.control("IP", ["\\(bu", "2"]);
            roff.text(text);
        });
    }

    /// Text of the entry or the section that was begun last.
    pub(crate) fn text(&mut self, text: Vec<Inline>) {
        self.add(|roff| {
            roff.text(text);
        });
    }

    /// Lines, each on a line of its own and with its first words bold.
    pub(crate) fn lines<'a>(&mut self, lines: impl IntoIterator<Item = (&'a str, &'a str)>) {
        for (at, (name, rest)) in lines.into_iter().enumerate() {
            self.add(|roff| {
                roff.control(if at == 0 { "PP" } else { "br" }, []);
                roff.text([bold(name), roman(rest)]);
            });
        }
    }

    /// The arguments and options of a command that are not hidden.
    pub(crate) fn options(&mut self, command: &Command) {
        if command.get_arguments().all(|argument| argument.is_hide_set()) {
            return;
        }
        let mut rendered = Vec::new();
        Man::new(command.clone()).render_options_section(&mut rendered).expect("memory takes every write");
        let rendered = String::from_utf8(rendered).expect("roff of a text is a text");
        // It is part of a section here, under a heading of this page.
        let lines = rendered.strip_prefix(&self.preamble).unwrap_or(&rendered).lines();
        lines.filter(|line| !line.starts_with(".SH ")).for_each(|line| {
            self.body.push_str(&bold_between_backticks(line));
            self.body.push('\n');
        });
    }

    /// The section SEE ALSO.
    pub(crate) fn see_also<T: AsRef<str>>(&mut self, pages: &[T]) {
        self.heading("SEE ALSO");
        let mut text = Vec::new();
        for page in pages.iter().map(AsRef::as_ref) {
            let (name, section) = page.split_once('(').unwrap_or((page, ""));
            text.extend((!text.is_empty()).then(|| roman(", ")));
            text.extend([bold(name), roman(format!("({section}"))]);
        }
        self.text(text);
    }

    /// The whole page.
    pub(crate) fn finish(self) -> Page {
        let text = AS_TYPED.iter().fold(self.body, |text, (typed, name)| text.replace(*typed, name));
        Page { file: self.file, text }
    }

    fn headed(&mut self, request: &str, heading: &str) {
        self.add(|roff| {
            roff.control(request, [escaped(heading).as_str()]);
        });
    }

    fn add(&mut self, write: impl FnOnce(&mut Roff)) {
        let mut roff = Roff::new();
        write(&mut roff);
        let rendered = roff.render();
        self.body.push_str(rendered.strip_prefix(&self.preamble).unwrap_or(&rendered));
    }
}

/// A paragraph of plain text, whose words between backticks are bold. A backtick without another one stays.
pub(crate) fn inlines(text: &str) -> Vec<Inline> {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.matches('`').count() % 2 == 1 {
        return vec![roman(text)];
    }
    let parts = text.split('`').enumerate().filter(|(_, part)| !part.is_empty());
    parts.map(|(at, part)| if at % 2 == 0 { roman(part) } else { bold(part) }).collect()
}

/// A line of roff whose words between backticks are bold, as those of [`inlines`] are.
fn bold_between_backticks(line: &str) -> String {
    if line.matches('`').count() % 2 == 1 {
        return line.to_owned();
    }
    let parts = line.split('`').enumerate();
    parts.map(|(at, part)| if at % 2 == 0 { part.to_owned() } else { format!("\\fB{part}\\fR") }).collect()
}

/// An argument of a request, which the crate roff takes as it is.
fn escaped(argument: &str) -> String {
    argument.replace('\\', "\\\\").replace('-', "\\-").replace('"', "\\(dq").replace('\'', "\\(aq")
}
