//! The context in which a page is drawn: what markup needs to know beside the view model. It is plain data.

use enroll_protocol::Time;
use maud::{Markup, html};

use crate::key;
use crate::outcome::Outcome;
use crate::shown::shown;

/// The context of one page.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    /// The first segment of every path.
    pub(crate) base: String,
    /// The address of this page below the base, with its query and without the outcome that it shows.
    pub(crate) here: String,
    /// The token of the session's forms.
    pub(crate) token: String,
    /// The person on whose behalf the console asks.
    pub(crate) actor: Option<String>,
    /// True if the console changes nothing.
    pub(crate) is_read_only: bool,
    /// The time at which the page is drawn.
    pub(crate) now: Time,
    /// The outcomes of the write that led here.
    pub(crate) outcomes: Vec<Outcome>,
}

impl Context {
    /// The whole path of an address below the base, such as `/people`. The first page is the base itself.
    pub(crate) fn at(&self, address: &str) -> String {
        match address.strip_prefix('/') {
            Some(rest) if rest.is_empty() || rest.starts_with('?') => format!("{}{rest}", self.base),
            _ => format!("{}{address}", self.base),
        }
    }

    /// A link to an address below the base.
    pub(crate) fn link(&self, address: &str, text: &str) -> Markup {
        html! { a href=(self.at(address)) { (shown(text)) } }
    }

    /// A form that writes, sent to this address. It has the session's token, an idempotency key of its own and the
    /// address to come back to. In a read-only console it is not drawn.
    pub(crate) fn form(&self, action: &str, inside: Markup) -> Markup {
        if self.is_read_only {
            return html! {};
        }
        html! {
            form method="post" action=(self.at(action)) {
                input type="hidden" name=(key::TOKEN) value=(self.token);
                input type="hidden" name=(key::KEY) value=(key::new_key().0);
                input type="hidden" name=(key::BACK) value=(self.here);
                (inside)
            }
        }
    }

    /// A context made by hand.
    #[cfg(test)]
    pub(crate) fn for_tests() -> Self {
        Self {
            base: "/base".to_owned(),
            here: "/here".to_owned(),
            token: "token".to_owned(),
            actor: None,
            is_read_only: false,
            now: Time::EPOCH.plus_seconds(1_800_000_000),
            outcomes: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_has_its_token_and_key_and_a_read_only_console_has_no_form() {
        let context = Context::for_tests();
        let form = context.form("/do", html! { button { "Do" } }).into_string();
        for part in ["action=\"/base/do\"", "method=\"post\"", "name=\"token\" value=\"token\"", "name=\"key\""] {
            assert!(form.contains(part), "{form}");
        }
        assert_ne!(form, context.form("/do", html! { button { "Do" } }).into_string(), "a key of its own");
        let read_only = Context { is_read_only: true, ..context };
        assert_eq!(read_only.form("/do", html! { "x" }).into_string(), "");
    }
}
