//! The guard: judges each request before a page sees it, and gives each answer the headers that bound what a browser
//! does with it.
//!
//! A request must name this machine in `Host`, with any port, because `ssh -L` changes the port. Below the base path it
//! needs the session's cookie, and one that writes must come from a page of this console.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::console::Console;
use crate::layout;

/// The path of the event stream, which is open for long and is no use of the session.
pub(crate) const LIVE: &str = "/live";

/// The header of what a page asks for by itself, which is no use of the session either.
const BY_ITSELF: &str = "x-by-itself";

/// The time to send and answer one request. A daemon that is busy is waited for up to ten seconds.
const REQUEST_MAX: Duration = Duration::from_secs(30);

const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The headers of every answer.
const HEADERS: [(&str, &str); 6] = [
    ("content-security-policy", POLICY),
    ("cache-control", "no-store"),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
];

/// Judges `Host`, bounds the time of the request, and adds the headers.
pub(crate) async fn any(request: Request, next: Next) -> Response {
    let answer = if names_this_machine(request.headers()) {
        let late = || refuse(StatusCode::REQUEST_TIMEOUT, "This took too long", &["Load the page again."], None);
        tokio::time::timeout(REQUEST_MAX, next.run(request)).await.unwrap_or_else(|_| late())
    } else {
        let way_out = "The console answers only where it is addressed as 127.0.0.1 or localhost, with any port. From \
                       another machine: ssh -L PORT:127.0.0.1:PORT USER@HOST, and then http://127.0.0.1:PORT/ with the \
                       path that was printed.";
        refuse(StatusCode::MISDIRECTED_REQUEST, "This is not the name of the console", &[way_out], None)
    };
    with_headers(answer)
}

/// Lets requests of the session pass, and notes that it is used.
pub(crate) async fn session(State(console): State<Arc<Console>>, request: Request, next: Next) -> Response {
    let style = format!("{}/static/style.css", console.base);
    let refuse = |status, title: &str, lines: &[&str]| refuse(status, title, lines, Some(&style));
    if console.session.has_ended() {
        return refuse(StatusCode::GONE, "The session has ended", &[&ended(&console)]);
    }
    let cookies = request.headers().get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    if !cookies.into_iter().any(|cookies| console.session.is_in(cookies)) {
        let why = "This browser has no session here. One is opened by the address that enrollctl console prints, once; for \
                   another browser start another console.";
        return refuse(StatusCode::UNAUTHORIZED, "There is no session", &[why]);
    }
    let is_read = [Method::GET, Method::HEAD].contains(request.method());
    let is_ours = if is_read { may_read(request.headers()) } else { may_write(request.headers()) };
    if !is_ours {
        let why = "Only a page of this console may ask for this. Open the page here and send its form again.";
        return refuse(StatusCode::FORBIDDEN, "This came from another page", &[why]);
    }
    if request.uri().path() != LIVE && !request.headers().contains_key(BY_ITSELF) {
        console.session.touch();
    }
    next.run(request).await
}

/// The sentence for a session that has ended.
pub(crate) fn ended(console: &Console) -> String {
    let minutes = console.session.idle_max().as_secs_f64() / 60.0;
    format!("It was not used for {minutes} minutes, or its command has ended. Start enrollctl console again.")
}

/// A page for those who get no other.
pub(crate) fn refuse(status: StatusCode, title: &str, lines: &[&str], stylesheet: Option<&str>) -> Response {
    (status, layout::plain(title, lines, stylesheet)).into_response()
}

fn with_headers(mut answer: Response) -> Response {
    for (name, value) in HEADERS {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer
}

/// True where `Host` is one, and a loopback name or address.
fn names_this_machine(headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    host.to_str().is_ok_and(is_loopback)
}

fn is_loopback(host: &str) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        // The last part of an IPv6 address in brackets is none.
        Some((name, port)) if !port.ends_with(']') => (name, port),
        _ => (host, ""),
    };
    let name = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit());
    is_port && (name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()))
}

/// A page of another site may link to ours, and use nothing of it.
fn may_read(headers: &HeaderMap) -> bool {
    let is = |name, values: &[&str]| headers.get(name).is_none_or(|value| values.iter().any(|known| value == known));
    is("sec-fetch-site", &["same-origin", "none"])
        || headers.get("sec-fetch-mode").is_some_and(|mode| mode == "navigate")
}

/// A request that writes must come from here: the browser says so, or else names an origin that is the host.
fn may_write(headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin";
    }
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let origin = text(header::ORIGIN).and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
    origin.is_some() && origin == text(header::HOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| ((*name).parse().expect("a name"), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_host_is_loopback_with_any_port() {
        for (host, expected) in [
            ("127.0.0.1:8480", true),
            ("127.0.0.1", true),
            ("127.1.2.3:1", true),
            ("localhost:9000", true),
            ("LOCALHOST", true),
            ("[::1]:80", true),
            ("[::1]", true),
            ("example.org", false),
            ("localhost.example.org", false),
            ("127.0.0.1.example.org:80", false),
            ("10.0.0.1", false),
            ("0.0.0.0", false),
            ("localhost:80@example.org", false),
            ("", false),
        ] {
            assert_eq!(is_loopback(host), expected, "{host}");
        }
        assert!(!names_this_machine(&headers(&[])));
    }

    #[test]
    fn a_write_comes_from_here_and_a_read_may_be_a_link() {
        let host = ("host", "localhost:9000");
        for (pairs, write, read) in [
            (vec![host, ("sec-fetch-site", "same-origin")], true, true),
            (vec![host, ("sec-fetch-site", "none")], false, true),
            (vec![host, ("sec-fetch-site", "same-site"), ("origin", "http://localhost:9000")], false, false),
            (vec![host, ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")], false, true),
            (vec![host, ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")], false, false),
            (vec![host, ("origin", "http://localhost:9000")], true, true),
            (vec![host, ("origin", "http://localhost:9001")], false, true),
            (vec![host, ("origin", "null")], false, true),
            (vec![host], false, true),
        ] {
            let headers = headers(&pairs);
            assert_eq!((may_write(&headers), may_read(&headers)), (write, read), "{pairs:?}");
        }
    }
}
