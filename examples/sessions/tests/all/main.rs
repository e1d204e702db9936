//! Tests of the service: over HTTP, with a fake daemon in this process, and as it is run, with a daemon of its own.

mod http;

mod on_a_daemon;
mod on_a_fake;
