//! The keys of the console, and the switch that turns them off.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use maud::{Markup, html};

use crate::console::Console;
use crate::layout::SECTIONS;
use crate::visit::{Answer, Visit};

/// Keys besides those of the sections, with what they do.
const KEYS: &[(&str, &str)] = &[
    ("?", "Lists these keys"),
    ("/", "Goes to the search or the filter of the page; where there is none, to the search for people"),
    ("n", "Shows more of the list"),
    ("Esc", "Closes this list"),
];

/// Its route.
pub(crate) fn routes() -> Router<Arc<Console>> {
    Router::new().route("/keyboard", get(show))
}

async fn show(visit: Visit) -> Answer {
    Ok(visit.page("", "Keyboard", markup()))
}

/// The list, and the switch. The script shows the switch, because without it there is nothing to turn off.
fn markup() -> Markup {
    html! {
        h1 #keys-title { "Keyboard" }
        dl .keys {
            @for (key, what) in KEYS { dt { kbd { (key) } } dd { (what) } }
            @for section in SECTIONS {
                dt { kbd { "g" } " " kbd { (section.key) } } dd { "Goes to " (section.name) }
            }
        }
        p .hint { "A key does nothing while you type in a field, or together with Ctrl, Alt or Meta." }
        p data-keys-switch hidden {
            label .choice { input type="checkbox" checked; "Keys are on" }
        }
        noscript { p { "Without JavaScript only the keys of the browser work: Tab, Enter and Space reach everything." } }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_section_has_a_letter_of_its_own_and_stands_in_the_list() {
        let letters: BTreeSet<&str> = SECTIONS.iter().map(|section| section.key).collect();
        assert_eq!(letters.len(), SECTIONS.len());
        let drawn = markup().into_string();
        for section in SECTIONS {
            let line = format!("<kbd>{}</kbd></dt><dd>Goes to {}</dd>", section.key, section.name);
            assert!(drawn.contains(&line), "{line}: {drawn}");
        }
    }
}
