//! The frame of every page: its head, its navigation, the outcomes of the write that led to it, and its foot.

use enrollctl::output::visible;
use maud::{DOCTYPE, Markup, html};

use crate::context::Context;
use crate::field::{self, Problem};
use crate::outcome;
use crate::report;
use crate::shown::shown;

/// A section of the navigation.
#[derive(Debug)]
pub(crate) struct Section {
    /// Its name.
    pub(crate) name: &'static str,
    /// Its address.
    pub(crate) address: &'static str,
    /// The letter that leads to it after `g`.
    pub(crate) key: &'static str,
}

/// The navigation.
pub(crate) const SECTIONS: &[Section] = &[
    Section { name: "Today", address: "/", key: "t" },
    Section { name: "Enrollments", address: "/enrollments", key: "e" },
    Section { name: "People", address: "/people", key: "p" },
    Section { name: "Pools", address: "/pools", key: "o" },
    Section { name: "Events", address: "/events", key: "v" },
    Section { name: "Supervisor", address: "/supervisor", key: "s" },
    Section { name: "Feed", address: "/feed", key: "f" },
];

/// A whole page of a section. Problems and refusals begin its title with `Error:`.
pub(crate) fn page(context: &Context, section: &str, title: &str, problems: &[Problem], main: Markup) -> Markup {
    let is_wrong = !problems.is_empty() || outcome::has_refusal(&context.outcomes);
    let error = if is_wrong && !title.starts_with("Error:") { "Error: " } else { "" };
    html! {
        (DOCTYPE)
        html lang="en" data-base=(context.base) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                // Isolated, so that no name turns the words after it around.
                title { (error) "\u{2068}" (visible(title)) "\u{2069} – enrolld" }
                link rel="stylesheet" href=(context.at("/static/style.css"));
                script src=(context.at("/static/console.js")) defer {}
            }
            body {
                a .skip href="#main" { "Skip to the content" }
                header {
                    nav aria-label="Pages" {
                        ul {
                            @for Section { name, address, key } in SECTIONS {
                                @let current = (*name == section).then_some("page");
                                li { a href=(context.at(address)) data-key=(key) aria-current=[current] { (name) } }
                            }
                        }
                    }
                    p .who {
                        @if let Some(actor) = &context.actor { "for " (shown(actor)) }
                        @if context.is_read_only { " " span .badge { "read only" } }
                    }
                }
                p #live-state role="status" hidden {}
                p #key-state .visually-hidden role="status" {}
                main id="main" tabindex="-1" {
                    (field::summary(problems, context))
                    (report::markup(&context.outcomes, context))
                    (main)
                }
                footer {
                    p { "enrollctl console " (env!("CARGO_PKG_VERSION")) " – it ends with the command that started it" }
                    p { a #keyboard href=(context.at("/keyboard")) { "Keyboard" } " · " (context.link("/errors", "Refusals")) }
                }
            }
        }
    }
}

/// A page without session: for those who have none.
pub(crate) fn plain(title: &str, lines: &[&str], stylesheet: Option<&str>) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " – enrolld" }
                @if let Some(href) = stylesheet { link rel="stylesheet" href=(href); }
            }
            body { main id="main" { h1 { (title) } @for line in lines { p { (line) } } } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::told::Told;

    #[test]
    fn a_page_escapes_its_title_and_names_its_section() {
        let context = Context { actor: Some("<b>".to_owned()), ..Context::for_tests() };
        let drawn = page(&context, "Feed", "<script>", &[], html! {}).into_string();
        assert!(drawn.contains("<title>\u{2068}&lt;script&gt;\u{2069} – enrolld</title>"), "{drawn}");
        assert!(drawn.contains("aria-current=\"page\">Feed<") && drawn.contains("for <bdi>&lt;b&gt;</bdi>"));
        let problems = [Problem { field: "x", told: Told::invalid("y") }];
        assert!(page(&context, "", "t", &problems, html! {}).into_string().contains("<title>Error: "));
    }
}
