//! The console without a browser, as a program that finds its port would ask it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use enroll_tests::process::{Daemon, PATIENCE, binary};
use enroll_tests::skip;

use super::browser::{Desk, until};

/// A uid that no user of a machine has.
const STRANGER: u32 = 61_234;

/// Connections that a console serves at a time.
const CONNECTIONS_MAX: usize = 64;

/// One connection's requests, with the session's cookie or without.
struct Asker {
    port: u16,
    base: String,
    cookie: Option<String>,
}

/// An answer.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Asker {
    /// One that has opened the session.
    fn enter(desk: &Desk) -> Self {
        let mut asker = Self::of(desk);
        let path = desk.address.split_once("127.0.0.1:").and_then(|(_, rest)| rest.split_once('/')).expect("a path").1;
        let entered = asker.ask(&asker.request("GET", &format!("/{path}"), &[]));
        assert_eq!(entered.status, 200, "{}", entered.head);
        let cookie = entered.head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).expect("a cookie");
        assert!(cookie.contains("; HttpOnly; SameSite=Strict"), "{cookie}");
        asker.cookie = cookie.split(';').next().map(str::to_owned);
        asker
    }

    /// One that has not.
    fn of(desk: &Desk) -> Self {
        let (port, base) = desk.base().split_once("127.0.0.1:").expect("an address").1.split_once('/').expect("a path");
        Self { port: port.parse().expect("a port"), base: format!("/{base}"), cookie: None }
    }

    fn request(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> String {
        let mut request = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|(name, _)| *name == "Host") {
            request += &format!("Host: 127.0.0.1:{}\r\n", self.port);
        }
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        if let Some(cookie) = &self.cookie {
            request += &format!("Cookie: {cookie}\r\n");
        }
        request + "\r\n"
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream
    }

    fn ask(&self, request: &str) -> Answer {
        let mut stream = self.connect();
        // A console that refuses early may not read all of it.
        let _ = stream.write_all(request.as_bytes());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }

    fn get(&self, address: &str, headers: &[(&str, &str)]) -> Answer {
        self.ask(&self.request("GET", &format!("{}{address}", self.base), headers))
    }

    fn post(&self, address: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let length = body.len().to_string();
        let form = [("Content-Type", "application/x-www-form-urlencoded"), ("Content-Length", &length)];
        let headers: Vec<_> = form.iter().chain(headers).copied().collect();
        self.ask(&(self.request("POST", &format!("{}{address}", self.base), &headers) + body))
    }
}

/// The value of the first hidden field of this name.
fn hidden(page: &str, name: &str) -> String {
    let (_, rest) =
        page.split_once(&format!("name=\"{name}\" value=\"")).unwrap_or_else(|| panic!("no {name}: {page}"));
    rest.split('"').next().unwrap_or_default().to_owned()
}

const SAME: [(&str, &str); 1] = [("Sec-Fetch-Site", "same-origin")];

#[test]
fn the_code_opens_one_session_once_and_without_it_there_is_nothing() {
    let desk = Desk::start(&[]);
    let stranger = Asker::of(&desk);
    for wrong in ["/enter", "/enter?code=", "/enter?code=00000000000000000000000000000000"] {
        assert_eq!(stranger.get(wrong, &[]).status, 403, "{wrong}");
    }
    for page in ["", "/feed", "/enrollments", "/live", "/errors/not_found"] {
        let answer = stranger.get(page, &[]);
        assert_eq!(answer.status, 401, "{page}");
        assert!(answer.body.contains("There is no session"), "{}", answer.body);
    }
    let asker = Asker::enter(&desk);
    let again = desk.address.split_once(&asker.base).expect("a path").1;
    assert_eq!(stranger.get(again, &[]).status, 403, "the code is spent");
    assert_eq!(asker.get("", &[]).status, 200);
    assert_eq!(asker.ask(&asker.request("GET", "/", &[])).status, 404, "the path is below a name that nobody knows");
    let forged = asker.cookie.as_ref().map(|cookie| format!("{}0", &cookie[..cookie.len() - 1]));
    let forged = Asker { cookie: forged.map(|cookie| cookie + "x"), ..Asker::of(&desk) };
    assert_eq!(forged.get("", &[]).status, 401);
}

#[test]
fn the_first_page_comes_at_once() {
    /// The longest time from the start of the console to its first page. A release build takes a twentieth of it; this
    /// is one without optimizations, and other tests run beside.
    const FIRST_PAGE_MAX: Duration = Duration::from_secs(2);
    let first_page = |daemon: Daemon| {
        let begun = Instant::now();
        let desk = Desk::start_at(daemon, &[]);
        Asker::enter(&desk);
        begun.elapsed()
    };
    let fastest = (0..5).map(|_| first_page(Daemon::start())).min().expect("some");
    assert!(fastest < FIRST_PAGE_MAX, "{fastest:?}");
}

#[test]
fn only_a_loopback_name_is_answered_with_any_port() {
    let desk = Desk::start(&[]);
    let asker = Asker::enter(&desk);
    for (host, status) in
        [("localhost:9000", 200), ("127.0.0.1", 200), ("[::1]:1", 200), ("example.org", 421), ("", 421)]
    {
        let answer = asker.get("", &[("Host", host)]);
        assert_eq!(answer.status, status, "{host}: {}", answer.head);
        if status == 421 {
            assert!(answer.body.contains("ssh -L"), "the way out: {}", answer.body);
        }
    }
}

#[test]
fn every_answer_bounds_what_a_browser_does_with_it() {
    let desk = Desk::start(&[]);
    let asker = Asker::enter(&desk);
    let policy = "content-security-policy: default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
                  connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
    for page in ["", "/feed", "/static/style.css", "/nothing", "/enter"] {
        let head = asker.get(page, &[]).head;
        for line in
            [policy, "cache-control: no-store", "referrer-policy: no-referrer", "x-content-type-options: nosniff"]
        {
            assert!(head.lines().any(|known| known == line), "{page} lacks {line}:\n{head}");
        }
    }
}

#[test]
fn a_form_needs_its_page_its_token_and_its_key_and_is_done_once() {
    let desk = Desk::start(&[]);
    desk.run(&["enrollment", "create", "CAT02b"]);
    let pk = desk.run(&["enrollment", "get", "CAT02b", "--field", "pk"]);
    let asker = Asker::enter(&desk);
    let page = asker.get(&format!("/enrollments/{pk}"), &[]).body;
    let (token, key) = (hidden(&page, "token"), hidden(&page, "key"));
    let form = |token: &str, key: &str| format!("token={token}&key={key}&back=%2Fenrollments&reason=late");
    let reject = format!("/enrollments/{pk}/reject");
    let host = format!("127.0.0.1:{}", asker.port);
    let (here, there) = (format!("http://{host}"), "http://127.0.0.1:1".to_owned());
    let refused = [
        (vec![], form(&token, &key)),
        (vec![("Sec-Fetch-Site", "same-site")], form(&token, &key)),
        (vec![("Sec-Fetch-Site", "none")], form(&token, &key)),
        (vec![("Origin", there.as_str())], form(&token, &key)),
        (SAME.to_vec(), form("", &key)),
        (SAME.to_vec(), form("0123456789abcdef0123456789abcdef", &key)),
    ];
    for (headers, body) in refused {
        assert_eq!(asker.post(&reject, &headers, &body).status, 403, "{headers:?} {body}");
    }
    assert_eq!(asker.post(&reject, &SAME, &form(&token, "")).status, 422, "no key");
    assert_eq!(desk.run(&["enrollment", "get", "CAT02b", "--field", "state"]), "pending");
    // A double click: the second is answered as the first, and nothing is done twice.
    let sent =
        [&[("Origin", here.as_str())][..], &SAME].map(|headers| asker.post(&reject, headers, &form(&token, &key)));
    let location = |answer: &Answer| answer.head.lines().find(|line| line.starts_with("location: ")).map(str::to_owned);
    let [first, second] = &sent;
    assert_eq!((first.status, second.status), (303, 303));
    assert_eq!(location(first), location(second));
    let to = location(first).expect("a location");
    assert!(to.ends_with(&format!("/enrollments?outcome={key}")), "{to}");
    let changes = desk.run(&["--json", "changes", "list"]);
    assert_eq!(changes.matches("\"verb\":\"reject\"").count(), 1, "{changes}");
    let shown = asker.get(&format!("/enrollments?outcome={key}"), &[]).body;
    assert!(shown.contains("rejected") && !shown.contains("already_decided"), "{shown}");
}

#[test]
fn a_form_leads_nowhere_else() {
    let desk = Desk::start(&[]);
    desk.run(&["enrollment", "create", "CAT02b"]);
    let asker = Asker::enter(&desk);
    let page = asker.get("/enrollments", &[]).body;
    let pk = desk.run(&["enrollment", "get", "CAT02b", "--field", "pk"]);
    for back in ["//example.org", "https://example.org", "%0d%0aX: y", "/\\example.org"] {
        let form = format!(
            "token={}&key={}&back={back}&decision=reject&enrollment={pk}",
            hidden(&page, "token"),
            hidden(&page, "key")
        );
        let answer = asker.post("/enrollments/decide", &SAME, &form);
        assert!(answer.head.contains(&format!("location: {}?outcome=", asker.base)), "{}", answer.head);
    }
}

#[test]
fn a_read_only_console_draws_no_form_that_writes_and_does_nothing() {
    let desk = Desk::start(&["--read-only"]);
    desk.run(&["enrollment", "create", "CAT02b"]);
    let pk = desk.run(&["enrollment", "get", "CAT02b", "--field", "pk"]);
    let asker = Asker::enter(&desk);
    for page in ["/enrollments".to_owned(), format!("/enrollments/{pk}")] {
        let answer = asker.get(&page, &[]);
        assert!(answer.status == 200 && !answer.body.contains("method=\"post\""), "{}", answer.body);
        assert!(answer.body.contains("read only"));
    }
    let form = format!("token=x&key={pk}&decision=approve&enrollment={pk}");
    assert_eq!(asker.post("/enrollments/decide", &SAME, &form).status, 403);
    assert_eq!(desk.run(&["enrollment", "get", "CAT02b", "--field", "state"]), "pending");
}

#[test]
fn another_user_gets_nothing_also_with_the_cookie() {
    let test = "another_user_gets_nothing_also_with_the_cookie";
    if !skip::is_root(test) {
        return;
    }
    let desk = Desk::start(&[]);
    let asker = Asker::enter(&desk);
    let request = asker.request("GET", &asker.base, &[]);
    let ask_as = |uid: u32, then: &str| {
        let script = format!("exec 3<>/dev/tcp/127.0.0.1/{}; printf '{request}' >&3; {then}", asker.port);
        let mut shell = Command::new("setpriv");
        shell.args([&format!("--reuid={uid}"), "--clear-groups", "bash", "-c", &script]);
        String::from_utf8_lossy(&shell.stdin(Stdio::null()).output().expect("setpriv").stdout).into_owned()
    };
    assert!(ask_as(0, "cat <&3").starts_with("HTTP/1.1 200"), "the user who runs it");
    assert_eq!(ask_as(STRANGER, "cat <&3 2>/dev/null"), "");
    // One that closes at once is nobody's, and not root's.
    for _ in 0..20 {
        assert_eq!(ask_as(STRANGER, "exec 3>&-"), "");
    }
    let note =
        until("the stranger is told of", || desk.notes.try_iter().find(|note| note.contains(&STRANGER.to_string())));
    assert!(note.contains("refused"), "{note}");
    assert_eq!(asker.get("", &[]).status, 200);
}

#[test]
fn what_is_asked_for_has_bounds() {
    let desk = Desk::start(&[]);
    let asker = Asker::enter(&desk);
    let long = "x".repeat(100_000);
    assert_eq!(asker.get("", &[("X-Long", &long)]).status, 431);
    let much = format!("token={}", "x".repeat(400_000));
    let answer = asker.post("/enrollments/decide", &SAME, &much);
    assert_eq!(answer.status, 422, "{}", answer.head);
    assert!(answer.body.contains("length limit"), "{}", answer.body);
    // More connections than it serves are closed at once; when some end, there is room again.
    let mut open: Vec<TcpStream> = (0..CONNECTIONS_MAX).map(|_| asker.connect()).collect();
    until("a connection too many", || {
        let mut one = asker.connect();
        one.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout");
        match one.read(&mut [0]) {
            Ok(0) => Some(()),
            Err(err) if err.kind() == std::io::ErrorKind::ConnectionReset => Some(()),
            _ => {
                open.push(one);
                None
            }
        }
    });
    drop(open);
    until("room again", || (asker.get("", &[]).status == 200).then_some(()));
}

#[test]
fn a_request_that_does_not_come_is_not_waited_for() {
    let desk = Desk::start(&[]);
    let asker = Asker::of(&desk);
    let begun = ["", "GET / HTTP/1.1\r\nHost: localhost\r\n"].map(|part| {
        let mut stream = asker.connect();
        stream.write_all(part.as_bytes()).expect("a part");
        stream
    });
    for mut stream in begun {
        // The console closes it; the test reads no longer than its patience.
        let closed = stream.read_to_end(&mut Vec::new());
        assert!(closed.is_ok(), "{closed:?}");
    }
}

#[test]
fn the_browser_is_opened_on_a_private_file_that_is_gone_when_the_code_is_spent() {
    let daemon = Daemon::start();
    let (browser, record) = (daemon.home.path("browser"), daemon.home.path("opened"));
    let script =
        format!("#!/bin/sh\nstat -c %a \"$1\" > {0}.new; echo \"$1\" >> {0}.new; mv {0}.new {0}\n", record.display());
    std::fs::write(&browser, script).expect("written");
    std::fs::set_permissions(&browser, PermissionsExt::from_mode(0o755)).expect("executable");
    // By way of enrollctl, which becomes the console.
    let mut command = daemon.home.command(&binary("enrollctl"));
    command.env("BROWSER", &browser).env("SSH_CONNECTION", "192.0.2.1 5 192.0.2.9 22").env("USER", "dog");
    command.arg("--socket").arg(daemon.home.socket()).arg("console");
    let desk = Desk::start_with(daemon, &mut command);
    let opened = until("the browser is started", || std::fs::read_to_string(&record).ok());
    let (mode, file) = opened.trim().split_once('\n').expect("a mode and a file");
    assert_eq!(mode, "600");
    let file = PathBuf::from(file);
    assert_eq!(file.parent(), record.parent(), "in the home directory");
    assert!(std::fs::read_to_string(&file).expect("a page").contains(&desk.address));
    let told: String = until("the tunnel is told", || desk.notes.try_iter().find(|note| note.contains("ssh -L")));
    assert!(told.ends_with("dog@192.0.2.9"), "{told}");
    Asker::enter(&desk);
    until("the file is gone", || (!file.exists()).then_some(()));
}

#[test]
fn without_a_daemon_and_with_a_port_that_is_taken_it_says_so() {
    let daemon = Daemon::start();
    let run = |args: &[&str]| {
        let mut console = daemon.home.command(&binary("enrollctl-console"));
        console.args(args);
        enroll_tests::process::run(&mut console, "")
    };
    let away = run(&["--no-browser", "--socket", "/nonexistent/enrolld.sock"]);
    assert_eq!(away.code, Some(3), "{}", away.stderr);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let socket = daemon.home.socket();
    let refused = run(&["--no-browser", "--port", &port, "--socket", socket.to_str().expect("a path")]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains(&format!("127.0.0.1:{port}: ")), "{}", refused.stderr);
    assert_eq!(run(&["--idle-minutes", "0"]).code, Some(2));
    assert_eq!(run(&["--dry-run"]).code, Some(2));
}
