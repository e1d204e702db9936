//! Markdown as part of a manual page: headings, paragraphs, lists, tables and code. A link is its text alone, because
//! a terminal has no other page to go to.

use clap_mangen::roff::{Inline, bold, italic, roman};
use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use crate::manual::Manual;

/// The section of a page under this heading of the second level, without it.
pub(crate) fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let (_, rest) = page.split_once(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("no section {heading}"));
    rest.split("\n## ").next().unwrap_or_default()
}

/// Sections of a page, each under a heading of the manual's own.
pub(crate) fn write_sections(manual: &mut Manual, page: &str, sections: &[(&str, &str)]) {
    for (heading, name) in sections {
        manual.heading(heading);
        write(manual, section(page, name));
    }
}

/// Writes a page or a section of one. The page's title is left out.
pub(crate) fn write(manual: &mut Manual, markdown: &str) {
    let mut writer = Writer::of(manual);
    Parser::new_ext(markdown, Options::ENABLE_TABLES).for_each(|event| writer.take(event));
}

struct Writer<'m> {
    manual: &'m mut Manual,
    text: Vec<Inline>,
    code: Option<String>,
    is_bold: bool,
    is_italic: bool,
    is_in_item: bool,
    titles: Vec<String>,
    cells: Vec<Vec<Inline>>,
}

impl<'m> Writer<'m> {
    fn of(manual: &'m mut Manual) -> Self {
        Self {
            manual,
            text: Vec::new(),
            code: None,
            is_bold: false,
            is_italic: false,
            is_in_item: false,
            titles: Vec::new(),
            cells: Vec::new(),
        }
    }

    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.begin(&tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) => match &mut self.code {
                Some(code) => code.push_str(&text),
                None => self.push(&text),
            },
            Event::Code(text) => self.text.push(bold(text.into_string())),
            Event::SoftBreak | Event::HardBreak => self.push(" "),
            _ => {}
        }
    }

    fn begin(&mut self, tag: &Tag<'_>) {
        match tag {
            Tag::CodeBlock(_) => self.code = Some(String::new()),
            Tag::Strong => self.is_bold = true,
            Tag::Emphasis => self.is_italic = true,
            Tag::Item => self.is_in_item = true,
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Heading(level) => self.heading(level),
            TagEnd::Paragraph if !self.is_in_item => {
                let text = self.taken();
                self.manual.paragraph(text);
            }
            TagEnd::Item => {
                let text = self.taken();
                self.manual.bullet(text);
                self.is_in_item = false;
            }
            TagEnd::CodeBlock => {
                let code = self.code.take().unwrap_or_default();
                self.manual.code(&code);
            }
            TagEnd::Strong => self.is_bold = false,
            TagEnd::Emphasis => self.is_italic = false,
            TagEnd::TableCell => {
                let cell = self.taken();
                self.cells.push(cell);
            }
            TagEnd::TableHead => self.titles = self.cells.drain(..).map(|cell| text_of(&cell)).collect(),
            TagEnd::TableRow => self.row(),
            _ => {}
        }
    }

    fn heading(&mut self, level: HeadingLevel) {
        let heading = text_of(&self.taken());
        match level {
            HeadingLevel::H1 => {}
            HeadingLevel::H2 => self.manual.heading(&heading.to_uppercase()),
            _ => self.manual.subheading(&heading),
        }
    }

    /// A row is an entry of a list: its first cell, and the others under the titles of their columns.
    fn row(&mut self) {
        let mut cells = self.cells.drain(..);
        self.manual.entry(cells.next().unwrap_or_default());
        let titles = self.titles.iter().skip(1);
        let mut text = Vec::new();
        for (cell, title) in cells.zip(titles) {
            let is_only = self.titles.len() == 2;
            text.extend((!text.is_empty()).then(|| roman("; ")));
            text.extend((!is_only && !title.is_empty()).then(|| roman(format!("{title}: "))));
            text.extend(cell);
        }
        self.manual.text(text);
    }

    fn push(&mut self, text: &str) {
        self.text.push(match (self.is_bold, self.is_italic) {
            (true, _) => bold(text),
            (false, true) => italic(text),
            (false, false) => roman(text),
        });
    }

    fn taken(&mut self) -> Vec<Inline> {
        std::mem::take(&mut self.text)
    }
}

/// The text of inlines without their styles.
fn text_of(inlines: &[Inline]) -> String {
    let text = |inline: &Inline| match inline {
        Inline::Roman(text) | Inline::Italic(text) | Inline::Bold(text) => text.clone(),
        Inline::LineBreak => " ".to_owned(),
    };
    inlines.iter().map(text).collect()
}
