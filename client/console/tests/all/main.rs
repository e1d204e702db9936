//! Integration tests of the console in one binary, on the built programs.
//!
//! `browser` has the fixtures: a daemon, a console, a Chromium. `http` asks without a browser, as an attacker would.

mod browser;

mod book;
mod enrollments;
mod events;
mod feed;
mod grants;
mod http;
mod keyboard;
mod names;
mod paging;
mod paper;
mod people;
mod pools;
mod scriptless;
mod session;
mod supervisor;
mod today;
mod walk;
