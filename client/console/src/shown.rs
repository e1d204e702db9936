//! Text of people, as it is shown: isolated, so that it turns no words around it, and with the characters visible that
//! would draw it as something else.

use enrollctl::output::visible;
use maud::{Markup, html};

/// The text in a `bdi`, with control characters and marks of direction escaped as the command line does.
pub(crate) fn shown(text: &(impl ToString + ?Sized)) -> Markup {
    html! { bdi { (visible(&text.to_string())) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_drawn_as_another() {
        let drawn = shown("<b>\u{202e}gnp.exe").into_string();
        assert_eq!(drawn, "<bdi>&lt;b&gt;\\u{202e}gnp.exe</bdi>");
    }
}
