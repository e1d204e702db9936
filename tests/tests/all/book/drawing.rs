//! State diagrams as SVG: states are boxes on a grid, transitions are arrows with the operations that make them.

use std::fmt::Write as _;

/// A machine of states.
pub(super) struct Machine {
    /// The name of its file, without `.svg`.
    pub(super) name: &'static str,
    /// Its title, for those who can not see it.
    pub(super) title: &'static str,
    pub(super) states: &'static [State],
    pub(super) arrows: &'static [Arrow],
}

/// A state: its word, what is refused in it, its column and its row. A state without a word is the beginning.
pub(super) struct State(pub(super) &'static str, pub(super) &'static str, pub(super) u16, pub(super) u16);

/// A transition: from the state of this word to another, and the operations or the event that make it, by commas.
pub(super) struct Arrow(pub(super) &'static str, pub(super) &'static str, pub(super) &'static str);

const COLUMN: f64 = 330.0;
const ROW: f64 = 130.0;
const MARGIN: f64 = 44.0;
const BOX: (f64, f64) = (170.0, 54.0);
const DOT: f64 = 8.0;
/// Between the two arrows of a pair of states that lead both ways.
const APART: f64 = 11.0;
const LINE: f64 = 15.0;

const STYLE: &str = "text{font:13px sans-serif;fill:#222;text-anchor:middle}.s{font-weight:bold;font-size:15px}\
    .r{fill:#a33;font-size:11px}.l{paint-order:stroke;stroke:#fff;stroke-width:5px;stroke-linejoin:round}\
    rect.b{fill:#eef3fb;stroke:#3b5b8c;stroke-width:1.5}line{stroke:#444;stroke-width:1.5}";

impl Machine {
    pub(super) fn svg(&self) -> String {
        let columns = self.states.iter().map(|state| state.2).max().unwrap_or_default();
        let rows = self.states.iter().map(|state| state.3).max().unwrap_or_default();
        let width = MARGIN * 2.0 + BOX.0 + COLUMN * f64::from(columns);
        let height = MARGIN * 2.0 + BOX.1 + ROW * f64::from(rows);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" role=\"img\">\n\
             <title>{}</title>\n<style>{STYLE}</style>\n<defs><marker id=\"{}-end\" viewBox=\"0 0 10 10\" refX=\"9\" \
             refY=\"5\" markerWidth=\"8\" markerHeight=\"8\" orient=\"auto\"><path d=\"M0 0 10 5 0 10z\" \
             fill=\"#444\"/></marker></defs>\n<rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n",
            self.title, self.name,
        );
        let (mut labels, mut lines) = (String::new(), String::new());
        for arrow in self.arrows {
            self.draw(arrow, &mut lines, &mut labels);
        }
        svg.push_str(&lines);
        self.states.iter().for_each(|state| state.draw(&mut svg));
        svg + &labels + "</svg>\n"
    }

    fn state(&self, word: &str) -> &State {
        self.states.iter().find(|state| state.0 == word).unwrap_or_else(|| panic!("{}: no state {word}", self.name))
    }

    fn draw(&self, Arrow(from, to, label): &Arrow, lines: &mut String, labels: &mut String) {
        let (start, end) = (self.state(from), self.state(to));
        let is_both_ways = self.arrows.iter().any(|other| other.0 == *to && other.1 == *from);
        let ((x1, y1), (x2, y2)) = (start.center(), end.center());
        let length = (x2 - x1).hypot(y2 - y1).max(1.0);
        let (along_x, along_y) = ((x2 - x1) / length, (y2 - y1) / length);
        let apart = if is_both_ways { APART } else { 0.0 };
        let (off_x, off_y) = (-along_y * apart, along_x * apart);
        let (begin, stop) = (start.reach(along_x, along_y), end.reach(along_x, along_y));
        let (x1, y1) = (x1 + along_x * begin + off_x, y1 + along_y * begin + off_y);
        let (x2, y2) = (x2 - along_x * stop + off_x, y2 - along_y * stop + off_y);
        let name = self.name;
        writeln!(
            lines,
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" marker-end=\"url(#{name}-end)\"/>"
        )
        .expect("written");
        let words: Vec<&str> = label.split(", ").collect();
        // Two arrows beside each other have their words on their own sides.
        let side = if is_both_ways { off_y.signum() * if off_y.abs() < 1.0 { 0.0 } else { 1.0 } } else { -1.0 };
        let below = f64::from(u16::try_from(words.len()).unwrap_or(1)) * LINE;
        let top = if side < 0.0 { 6.0 - below } else { LINE };
        let is_upright = along_y.abs() > 0.5;
        // The words of an upright arrow stand beside it.
        let x = (x1 + x2) / 2.0 + if is_upright && is_both_ways { off_x * 5.0 } else { 0.0 };
        let y = (y1 + y2) / 2.0 + if is_upright { LINE / 2.0 - (below - LINE) / 2.0 } else { top };
        for (index, word) in words.iter().enumerate() {
            let y = y + LINE * f64::from(u16::try_from(index).unwrap_or_default());
            writeln!(labels, "<text class=\"l\" x=\"{x:.1}\" y=\"{y:.1}\">{word}</text>").expect("written");
        }
    }
}

impl State {
    fn center(&self) -> (f64, f64) {
        (MARGIN + BOX.0 / 2.0 + COLUMN * f64::from(self.2), MARGIN + BOX.1 / 2.0 + ROW * f64::from(self.3))
    }

    /// The way from its center to its edge in a direction.
    fn reach(&self, along_x: f64, along_y: f64) -> f64 {
        if self.0.is_empty() {
            return DOT;
        }
        let across = |half: f64, along: f64| if along.abs() < 1e-6 { f64::MAX } else { half / along.abs() };
        across(BOX.0 / 2.0, along_x).min(across(BOX.1 / 2.0, along_y))
    }

    fn draw(&self, svg: &mut String) {
        let (x, y) = self.center();
        let Self(word, refused, ..) = self;
        if word.is_empty() {
            writeln!(svg, "<circle cx=\"{x}\" cy=\"{y}\" r=\"{DOT}\" fill=\"#444\"/>").expect("written");
            return;
        }
        let (left, top) = (x - BOX.0 / 2.0, y - BOX.1 / 2.0);
        let (width, height) = BOX;
        writeln!(svg, "<rect class=\"b\" x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\" rx=\"9\"/>")
            .expect("written");
        let line = if refused.is_empty() { y + 5.0 } else { y - 3.0 };
        writeln!(svg, "<text class=\"s\" x=\"{x}\" y=\"{line}\">{word}</text>").expect("written");
        if !refused.is_empty() {
            writeln!(svg, "<text class=\"r\" x=\"{x}\" y=\"{}\">{refused}</text>", y + 15.0).expect("written");
        }
    }
}
