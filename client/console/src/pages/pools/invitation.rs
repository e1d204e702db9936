//! An invitation: the invite code of a pool as text and as a QR code, to be printed.

use axum::extract::{Path, Query};
use enroll_client::protocol::pool::Pool;
use maud::{Markup, html};
use qrcodegen::{QrCode, QrCodeEcc};
use serde::Deserialize;

use super::pool;
use crate::address;
use crate::context::Context;
use crate::form::{Field, Problem};
use crate::refusal::Told;
use crate::shown::shown;
use crate::visit::{Answer, Visit};
use crate::when;

/// The quiet zone around the symbol, in modules (ISO/IEC 18004).
const QUIET: i32 = 4;

/// The link of the invitation, as it stands in the address.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    /// The address where people enroll, to which the code is appended.
    link: String,
}

pub(super) async fn show(visit: Visit, Path(pk): Path<String>, Query(asked): Query<Asked>) -> Answer {
    let pool = pool::found(&visit, &pk).await?;
    match markup(&pool, asked.link.trim(), &[], &visit) {
        Ok(main) => Ok(visit.page("Pools", "Invitation", main)),
        Err(told) => {
            let problems = [Problem { field: "link", told }];
            let main = markup(&pool, "", &problems, &visit).map_err(|told| visit.refused(&told))?;
            Ok(visit.page_with("Pools", "Invitation", main, &problems))
        }
    }
}

/// The invitation; a sentence where it holds more than a QR code can.
fn markup(pool: &Pool, link: &str, problems: &[Problem], context: &Context) -> Result<Markup, Told> {
    let code = super::code(pool);
    let text = format!("{link}{code}");
    let symbol = QrCode::encode_text(&text, QrCodeEcc::Medium);
    let symbol = symbol.map_err(|_| Told::invalid("the address is too long for a QR code"))?;
    let field = Field {
        name: "link",
        label: "Address where people enroll",
        hint: "The code is appended to it, such as https://club.example/enroll?code=. Empty for the code alone.",
        value: link,
        is_code: false,
    };
    Ok(html! {
        h1 { "Invitation" }
        div .invitation {
            (qr(&symbol, &text))
            div {
                p .lead { "Enroll with this code:" }
                p .code { code { (code) } }
                @if !link.is_empty() { p { (shown(&text)) } }
                @if let Some(expires) = pool.expires { p { "until " (when::exact(expires)) } }
            }
        }
        p .no-print { (context.link(&address::pool(pool.pk), "The pool")) }
        form method="get" action=(context.at(&format!("{}/invitation", address::pool(pool.pk)))) {
            (field.markup(problems, context))
            button { "Show" }
            p .hint { "Print this page with the browser: only the invitation is printed." }
        }
    })
}

/// The symbol as geometry: one path of unit squares. It is dark on light in every theme, because readers expect that.
fn qr(symbol: &QrCode, text: &str) -> Markup {
    let (size, mut path) = (symbol.size(), String::new());
    for y in 0..size {
        for x in (0..size).filter(|x| symbol.get_module(*x, y)) {
            path.push_str(&format!("M{} {}h1v1h-1z", x + QUIET, y + QUIET));
        }
    }
    let side = size + 2 * QUIET;
    html! {
        svg .qr viewBox={ "0 0 " (side) " " (side) } width="240" height="240" role="img" shape-rendering="crispEdges"
            aria-label={ "QR code: " (text) } {
            rect .qr-light width=(side) height=(side) {}
            path .qr-dark d=(path) {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::pool;
    use super::*;

    #[test]
    fn an_invitation_has_the_code_as_text_and_as_a_symbol() {
        let context = Context::for_tests();
        let drawn = markup(&pool(), "https://x.example/?c=<", &[], &context).expect("drawn").into_string();
        for part in ["K7QWM2XA", "aria-label=\"QR code: https://x.example/?c=&lt;K7QWM2XA\"", "<path class=\"qr-dark\""]
        {
            assert!(drawn.contains(part), "{part}: {drawn}");
        }
        assert!(!drawn.contains("style="), "{drawn}");
        let symbol = QrCode::encode_text("K7QWM2XA", QrCodeEcc::Medium).expect("a symbol");
        // The finder pattern at the upper left.
        assert!(qr(&symbol, "K7QWM2XA").into_string().contains("d=\"M4 4h1v1h-1zM5 4h1v1h-1z"));
    }

    #[test]
    fn what_no_symbol_can_hold_is_told() {
        let told = markup(&pool(), &"x".repeat(3000), &[], &Context::for_tests()).expect_err("too long");
        assert_eq!(told.message, "the address is too long for a QR code");
    }
}
