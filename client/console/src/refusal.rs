//! Refusals on a page: the sentence of the command line, with a link to the page of its code.

use maud::{Markup, html};

use crate::context::Context;
use crate::shown::shown;
pub(crate) use crate::told::Told;

/// The sentence, and in parentheses the code as a link to its page.
pub(crate) fn sentence(told: &Told, context: &Context) -> Markup {
    html! {
        span .refusal {
            (shown(&told.message))
            (code(told, context))
        }
    }
}

/// The code in parentheses, as a link to its page; nothing where there is none.
pub(crate) fn code(told: &Told, context: &Context) -> Markup {
    html! {
        @if let Some(code) = told.code {
            " (" a href=(context.at(&format!("/errors/{code}"))) { (code) } ")"
        }
    }
}

#[cfg(test)]
mod tests {
    use enroll_client::protocol::Code;

    use super::*;

    #[test]
    fn a_refusal_is_escaped_and_its_code_leads_to_its_page() {
        let told = Told { code: Some(Code::POOL_EXHAUSTED), message: "pool <x> is full".to_owned() };
        let drawn = sentence(&told, &Context::for_tests()).into_string();
        assert!(drawn.contains("pool &lt;x&gt; is full") && drawn.contains("/base/errors/pool_exhausted"), "{drawn}");
    }
}
