//! The page of a refusal's code: the section of the errors page that `enrollctl explain-error` prints.

use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use enroll_client::protocol::Code;
use enrollctl::explain;
use maud::{Markup, PreEscaped, html};
use pulldown_cmark::Parser;

use crate::console::Console;
use crate::context::Context;
use crate::refusal::Told;
use crate::visit::{Answer, Visit};

/// Their routes.
pub(crate) fn routes() -> Router<Arc<Console>> {
    Router::new().route("/errors", get(list)).route("/errors/{code}", get(show))
}

async fn list(visit: Visit) -> Answer {
    let main = html! {
        h1 { "Refusals" }
        dl {
            @for (_, name, text) in Code::TABLE {
                dt { (visit.link(&format!("/errors/{name}"), name)) }
                dd { (text) }
            }
        }
    };
    Ok(visit.page("", "Refusals", main))
}

async fn show(visit: Visit, Path(code): Path<String>) -> Answer {
    let known = Code::TABLE.iter().find(|(_, name, _)| name.eq_ignore_ascii_case(&code));
    let Some((_, name, text)) = known else {
        let why = "there is no such code of a refusal; the list has all".to_owned();
        return Err(visit.refused(&Told { code: Some(Code::NOT_FOUND), message: why }));
    };
    Ok(visit.page("", name, explained(name, text, &visit)))
}

fn explained(name: &str, text: &str, context: &Context) -> Markup {
    let mut section = String::new();
    // A part of this program's own documentation.
    pulldown_cmark::html::push_html(&mut section, Parser::new(explain::section(name).unwrap_or_default()));
    html! {
        h1 { code { (name) } }
        p .lead { (text) }
        (PreEscaped(section))
        p { (context.link("/errors", "All refusals")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_reason_and_its_way_out() {
        for (_, name, text) in Code::TABLE {
            let drawn = explained(name, text, &Context::for_tests()).into_string();
            for part in ["<strong>Why:</strong>", "<strong>What to do:</strong>"] {
                assert!(drawn.contains(part), "{name}: {drawn}");
            }
            assert!(!drawn.contains("style="), "{drawn}");
        }
    }
}
