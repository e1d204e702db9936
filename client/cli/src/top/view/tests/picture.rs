//! The picture of the live screen in the book: the overview as an SVG, which `ENROLL_UPDATE=1` writes anew.

use std::fmt::Write as _;
use std::path::Path;

use super::*;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/pictures/top.svg");

const SIZE: (u16, u16) = (100, 24);

/// Pixels of a cell.
const CELL: (u16, u16) = (8, 17);

/// Ink and paper by the theme of the reader's system.
const STYLE: &str = "text{font:13px monospace;white-space:pre;fill:#1f2328}.paper{fill:#fff}.bold{font-weight:bold}\
                     .dim{opacity:.6}.red,.alarm{fill:#b3261e}.over{fill:#fff}@media(prefers-color-scheme:dark){text{fill:#e6e6e6}\
                     .paper{fill:#16181c}.red,.alarm{fill:#ff8a80}.over{fill:#16181c}}";

#[test]
fn the_picture_of_the_book_is_this_screen() {
    let picture = svg(&buffer(&busy(), SIZE));
    if std::env::var_os("ENROLL_UPDATE").is_some() {
        std::fs::create_dir_all(Path::new(FILE).parent().expect("a folder")).expect("made");
        std::fs::write(FILE, &picture).expect("written");
    }
    let kept = std::fs::read_to_string(FILE).unwrap_or_default();
    assert!(kept == picture, "ENROLL_UPDATE=1 writes docs/pictures/top.svg anew");
}

/// A screen as an SVG: a text for each run of cells of one style.
fn svg(buffer: &Buffer) -> String {
    let (width, height) = (SIZE.0 * CELL.0, SIZE.1 * CELL.1 + 8);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\"><style>{STYLE}</style>\
         <rect class=\"paper\" width=\"{width}\" height=\"{height}\"/>\n"
    );
    for y in 0..SIZE.1 {
        let mut x = 0;
        while x < SIZE.0 {
            let style = style_of(buffer, x, y);
            let end = (x..SIZE.0).find(|other| style_of(buffer, *other, y) != style).unwrap_or(SIZE.0);
            let text: String = (x..end).map(|x| buffer[(x, y)].symbol()).collect();
            run(&mut svg, &text, (x, y), style);
            x = end;
        }
    }
    svg + "</svg>\n"
}

fn style_of(buffer: &Buffer, x: u16, y: u16) -> (Modifier, bool) {
    let cell = &buffer[(x, y)];
    (cell.modifier, cell.fg == Color::Red)
}

fn run(svg: &mut String, text: &str, (x, y): (u16, u16), (modifier, is_red): (Modifier, bool)) {
    let trimmed = text.trim_end();
    let is_reversed = modifier.contains(Modifier::REVERSED);
    if trimmed.is_empty() && !is_reversed {
        return;
    }
    let (left, top) = (x * CELL.0, y * CELL.1 + 4);
    let cells = u16::try_from(text.chars().count()).expect("a line");
    if is_reversed {
        let width = cells * CELL.0;
        writeln!(svg, "<rect class=\"alarm\" x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{}\"/>", CELL.1)
            .expect("written");
    }
    let classes = [
        (modifier.contains(Modifier::BOLD), "bold"),
        (modifier.contains(Modifier::DIM), "dim"),
        (is_red && !is_reversed, "red"),
        (is_reversed, "over"),
    ];
    let classes: Vec<&str> = classes.iter().filter(|(is_so, _)| *is_so).map(|(_, class)| *class).collect();
    let class = if classes.is_empty() { String::new() } else { format!(" class=\"{}\"", classes.join(" ")) };
    let length = u16::try_from(trimmed.chars().count()).expect("a line") * CELL.0;
    let escaped = trimmed.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    writeln!(svg, "<text{class} x=\"{left}\" y=\"{}\" textLength=\"{length}\">{escaped}</text>", top + 13)
        .expect("written");
}
