//! Integration tests of the console in one binary, on the built programs.
//!
//! `browser` has the fixtures: a daemon, a console, a Chromium. `http` asks without a browser, as an attacker would.

mod browser;

mod enrollments;
mod feed;
mod http;
mod session;
mod today;
mod walk;
