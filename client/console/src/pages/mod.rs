//! The pages of the console.

pub(crate) mod feed;

mod enrollments;
mod errors;
mod events;
mod keyboard;
mod people;
mod pools;
mod supervisor;
mod today;

use std::sync::Arc;

use axum::Router;

use crate::console::Console;

/// The routes of all pages, below the base path.
pub(crate) fn router() -> Router<Arc<Console>> {
    let own = [today::routes(), enrollments::routes(), people::routes(), pools::routes(), events::routes()];
    let more = [supervisor::routes(), feed::routes(), errors::routes(), keyboard::routes()];
    own.into_iter().chain(more).fold(Router::new(), Router::merge)
}
