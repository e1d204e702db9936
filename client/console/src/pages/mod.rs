//! The pages of the console.

pub(crate) mod feed;

mod enrollments;
mod errors;
mod today;

use std::sync::Arc;

use axum::Router;

use crate::console::Console;

/// The routes of all pages, below the base path.
pub(crate) fn router() -> Router<Arc<Console>> {
    Router::new().merge(today::routes()).merge(enrollments::routes()).merge(feed::routes()).merge(errors::routes())
}
