//! The links from one page of a list to the next one and to the first.

use maud::{Markup, html};

use crate::context::Context;

/// The links of a list: to its first page, unless that is the one shown, and to the next one, where there is more.
/// `of` names the list where a page has several.
pub(crate) fn links(of: &str, first: Option<&str>, next: Option<&str>, context: &Context) -> Markup {
    if first.is_none() && next.is_none() {
        return html! {};
    }
    let label = if of.is_empty() { "More".to_owned() } else { format!("More of: {of}") };
    html! {
        nav .pages aria-label=(label) {
            ul {
                @if let Some(first) = first { li { (context.link(first, "From the start")) } }
                @if let Some(next) = next { li { a rel="next" href=(context.at(next)) { "More" } } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_page_has_no_way_back_and_the_last_none_on() {
        let context = Context::for_tests();
        let drawn = |first, next| links("", first, next, &context).into_string();
        assert_eq!(drawn(None, None), "");
        let first = drawn(None, Some("/people?after=x"));
        assert!(first.contains("rel=\"next\" href=\"/base/people?after=x\"") && !first.contains("start"), "{first}");
        let last = drawn(Some("/people"), None);
        assert!(last.contains("From the start") && !last.contains("rel="), "{last}");
    }
}
