//! The style sheet and the script, which are part of the program. They hold no secret and need no session.

use std::sync::Arc;

use axum::Router;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::console::Console;

const STYLE: &str = include_str!("../static/style.css");
const SCRIPT: &str = include_str!("../static/console.js");

/// Their routes.
pub(crate) fn routes() -> Router<Arc<Console>> {
    Router::new()
        .route("/static/style.css", get(|| async { file("text/css; charset=utf-8", STYLE) }))
        .route("/static/console.js", get(|| async { file("text/javascript; charset=utf-8", SCRIPT) }))
}

fn file(kind: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}
