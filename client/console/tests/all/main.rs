//! Integration tests of the console in one binary, on the built programs.
//!
//! `browser` has the fixtures: a daemon, a console, a Chromium. `http` asks without a browser, as an attacker would.

mod browser;

mod book;
mod enrollments;
mod events;
mod feed;
mod http;
mod people;
mod pools;
mod session;
mod supervisor;
mod today;
mod walk;
