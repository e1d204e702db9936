//! Fixtures: a console with its daemon ([`Desk`]), and a headless Chromium, driven through WebDriver ([`Browser`]).
//!
//! A test begins with `let Some((desk, browser)) = browser::begin("name", &[]).await else { return };` and clicks with
//! [`Browser::submit`], which waits for the document that comes after. Nothing here sleeps for a time: it polls, with a
//! bound. `AXE` names axe-core's `axe.min.js`; without it the pages are not judged by it, which is said.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use enroll_tests::process::{Daemon, Output, PATIENCE, binary};
use enroll_tests::skip;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Between two looks at a page.
const LOOK: Duration = Duration::from_millis(20);

/// Starts of the driver until it has a port.
const STARTS: usize = 5;

/// The file of axe-core.
const AXE: &str = "ENROLL_AXE";

/// A daemon with its console.
#[derive(Debug)]
pub(crate) struct Desk {
    /// The daemon.
    pub(crate) daemon: Daemon,
    console: Child,
    /// The address that the console printed, with the code.
    pub(crate) address: String,
    /// The lines of its standard error.
    pub(crate) notes: Receiver<String>,
}

/// A headless Chromium with a profile of its own.
#[derive(Debug)]
pub(crate) struct Browser {
    /// The WebDriver session.
    pub(crate) driver: Client,
    /// The address of the console's first page.
    base: String,
    /// The name of the test, which its screenshots have.
    test: String,
    _chromedriver: Chromedriver,
    _profile: TempDir,
}

/// A driver on a port of its own. It is shut down when this is dropped, which ends its browser; killed, it would leave that.
#[derive(Debug)]
struct Chromedriver {
    process: Child,
    port: u16,
}

impl Drop for Chromedriver {
    fn drop(&mut self) {
        if let Ok(mut socket) = TcpStream::connect(("127.0.0.1", self.port)) {
            let _ = socket.write_all(b"GET /shutdown HTTP/1.1\r\nHost: localhost\r\n\r\n");
            let end = Instant::now() + PATIENCE;
            while matches!(self.process.try_wait(), Ok(None)) && Instant::now() < end {
                std::thread::sleep(LOOK);
            }
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A desk and a browser that has opened its session; `None`, loudly, where there is no Chromium.
pub(crate) async fn begin(test: &str, options: &[&str]) -> Option<(Desk, Browser)> {
    if !is_installed(test) {
        return None;
    }
    let desk = Desk::start(options);
    let browser = Browser::open(test, &desk).await;
    Some((desk, browser))
}

/// True where there are Chromium and its driver; says otherwise what is missing.
pub(crate) fn is_installed(test: &str) -> bool {
    skip::is_installed(test, "chromium") && skip::is_installed(test, "chromedriver")
}

impl Desk {
    /// A daemon, and a console with these options.
    pub(crate) fn start(options: &[&str]) -> Self {
        Self::start_at(Daemon::start(), options)
    }

    /// A console for this daemon.
    pub(crate) fn start_at(daemon: Daemon, options: &[&str]) -> Self {
        let mut command = daemon.home.command(&binary("enrollctl-console"));
        command.arg("--socket").arg(daemon.home.socket()).args(["--no-browser"]).args(options);
        Self::start_with(daemon, &mut command)
    }

    /// A console by a command of one's own.
    pub(crate) fn start_with(daemon: Daemon, command: &mut Command) -> Self {
        let mut console =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started");
        let mut lines = BufReader::new(console.stdout.take().expect("a pipe"));
        let notes = lines_of(console.stderr.take().expect("a pipe"));
        let mut address = String::new();
        lines.read_line(&mut address).expect("a line");
        assert!(address.starts_with("http://127.0.0.1:"), "{address} {:?}", notes.try_iter().collect::<Vec<_>>());
        Self { daemon, console, address: address.trim().to_owned(), notes }
    }

    /// The address of the first page.
    pub(crate) fn base(&self) -> &str {
        self.address.split_once("/enter?").map_or(self.address.as_str(), |(base, _)| base)
    }

    /// Runs `enrollctl` and expects that it is done; what it prints, without the line end.
    pub(crate) fn run(&self, args: &[&str]) -> String {
        let Output { stdout, stderr, code } = self.daemon.enrollctl(args, "");
        assert_eq!(code, Some(0), "{args:?}: {stderr}");
        stdout.trim_end().to_owned()
    }

    /// Runs many operations in one process, each with its arguments, and expects that all are done; their results.
    pub(crate) fn call(&self, operations: impl IntoIterator<Item = (&'static str, Value)>) -> Vec<Value> {
        let line =
            |(id, (op, args)): (usize, (&str, Value))| format!("{}\n", json!({"id": id, "op": op, "args": args}));
        let lines: String = operations.into_iter().enumerate().map(line).collect();
        let Output { stdout, stderr, .. } = self.daemon.enrollctl(&["call"], &lines);
        let mut answers: Vec<Value> =
            stdout.lines().map(|line| serde_json::from_str(line).expect("an answer")).collect();
        assert_eq!(answers.len(), lines.lines().count(), "{stderr}");
        answers.sort_by_key(|answer| answer["id"].as_u64());
        let done = |mut answer: Value| if answer["ok"].is_null() { panic!("{answer}") } else { answer["ok"].take() };
        answers.into_iter().map(done).collect()
    }

    /// Waits until the console has ended; its exit code.
    pub(crate) fn ended(&mut self) -> Option<i32> {
        until("the console ends", || self.console.try_wait().expect("a status")).code()
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = self.console.kill();
        let _ = self.console.wait();
    }
}

/// Looks until there is something, and at most as long as patience lasts.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "this does not happen: {what}");
        std::thread::sleep(LOOK);
    }
}

fn lines_of(pipe: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        let mut lines = BufReader::new(pipe).lines().map_while(Result::ok);
        while lines.next().is_some_and(|line| sender.send(line).is_ok()) {}
    });
    lines
}

/// Starts the driver with this home. It asks the kernel for a free port of IPv4 and then
/// wants the same one of IPv6, and exits where another process took that in between.
fn start_chromedriver(home: &Path) -> Result<Chromedriver, RecvTimeoutError> {
    let mut command = Command::new("chromedriver");
    command.arg("--port=0").env("HOME", home).stdin(Stdio::null()).stderr(Stdio::null()).stdout(Stdio::piped());
    let mut process = command.spawn().expect("chromedriver");
    let lines = lines_of(process.stdout.take().expect("a pipe"));
    let mut chromedriver = Chromedriver { process, port: 0 };
    while chromedriver.port == 0 {
        let line = lines.recv_timeout(PATIENCE)?;
        if let Some((_, port)) = line.split_once("started successfully on port ") {
            chromedriver.port = port.trim_end_matches('.').parse().expect("a port");
        }
    }
    Ok(chromedriver)
}

impl Browser {
    /// A browser that has opened the session of this desk.
    pub(crate) async fn open(test: &str, desk: &Desk) -> Self {
        let mut browser = Self::start(test, desk.base()).await;
        browser.enter(desk).await;
        browser
    }

    /// Opens the session of this desk.
    pub(crate) async fn enter(&mut self, desk: &Desk) {
        desk.base().clone_into(&mut self.base);
        self.driver.goto(&desk.address).await.expect("the entrance");
        self.wait("the first page", "return !!document.querySelector('main h1')").await;
    }

    /// A browser without a session.
    pub(crate) async fn start(test: &str, base: &str) -> Self {
        let profile = tempfile::tempdir().expect("a directory");
        let mut starts = (0..STARTS).map(|_| start_chromedriver(profile.path()));
        let chromedriver = starts.find_map(Result::ok).expect("a chromedriver that names its port");
        let args = json!([
            "--headless=new",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--window-size=1200,900",
            format!("--user-data-dir={}", profile.path().join("profile").display()),
        ]);
        let options = json!({ "goog:chromeOptions": { "args": args } });
        let options = options.as_object().expect("an object").clone();
        let mut connector = ClientBuilder::new(HttpConnector::new());
        connector.capabilities(options);
        let driver = connector.connect(&format!("http://127.0.0.1:{}", chromedriver.port)).await.expect("a browser");
        let (base, test) = (base.to_owned(), test.to_owned());
        Self { driver, base, test, _chromedriver: chromedriver, _profile: profile }
    }

    /// Opens a page by its address below the base.
    pub(crate) async fn goto(&self, address: &str) {
        self.driver.goto(&format!("{}{address}", self.base)).await.expect("a page");
    }

    /// The address of the page below the base.
    pub(crate) async fn address(&self) -> String {
        let url = self.driver.current_url().await.expect("a URL").to_string();
        url.strip_prefix(&self.base).unwrap_or(&url).to_owned()
    }

    /// Runs a script on the page and returns its value.
    pub(crate) async fn run(&self, script: &str) -> Value {
        self.driver.execute(script, Vec::new()).await.unwrap_or_else(|err| panic!("{script}: {err}"))
    }

    /// Waits until a script returns true.
    pub(crate) async fn wait(&self, what: &str, script: &str) {
        let end = Instant::now() + PATIENCE;
        // While a document is replaced there is none to ask.
        while self.driver.execute(script, Vec::new()).await.ok() != Some(Value::Bool(true)) {
            if Instant::now() > end {
                let source = self.driver.source().await.unwrap_or_default();
                panic!("this does not happen: {what}\n{source}");
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until the page shows this text.
    pub(crate) async fn wait_for_text(&self, text: &str) {
        let script = format!("return document.body.innerText.includes({})", json!(text));
        self.wait(&format!("the page shows {text:?}"), &script).await;
    }

    /// The text that the page shows.
    pub(crate) async fn text(&self) -> String {
        self.run("return document.body.innerText").await.as_str().unwrap_or_default().to_owned()
    }

    /// Types into a field.
    pub(crate) async fn fill(&self, css: &str, text: &str) {
        let field = self.driver.find(Locator::Css(css)).await.unwrap_or_else(|err| panic!("{css}: {err}"));
        field.clear().await.expect("cleared");
        field.send_keys(text).await.expect("typed");
    }

    /// Clicks something that changes the page at most by script.
    pub(crate) async fn click(&self, css: &str) {
        let found = self.driver.find(Locator::Css(css)).await.unwrap_or_else(|err| panic!("{css}: {err}"));
        found.click().await.unwrap_or_else(|err| panic!("{css}: {err}"));
    }

    /// Clicks something that leads to another document, and waits for that.
    pub(crate) async fn submit(&self, css: &str) {
        self.run("document.documentElement.dataset.old = 'yes'").await;
        self.click(css).await;
        let script = "return !document.documentElement.dataset.old && document.readyState === 'complete'";
        self.wait("another document", script).await;
    }

    /// Keeps a screenshot of the whole page in both themes, below `target/console`; with `ENROLL_UPDATE=1` those of the
    /// book also in `docs/pictures`.
    pub(crate) async fn shoot(&self, name: &str) {
        let directory = directory();
        std::fs::create_dir_all(&directory).expect("a directory");
        for theme in ["light", "dark"] {
            self.set_theme(theme).await;
            self.driver.set_window_size(1200, 400).await.expect("a size");
            let height = self.run("return document.documentElement.scrollHeight").await.as_u64().unwrap_or(900);
            let size = u32::try_from(height.clamp(400, 4000)).unwrap_or(900) + 140;
            self.driver.set_window_size(1200, size).await.expect("a size");
            let picture = self.driver.screenshot().await.expect("a picture");
            if let (Some(page), Some(_)) = (name.strip_suffix(OF_THE_BOOK), std::env::var_os("ENROLL_UPDATE")) {
                let pictures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/pictures");
                std::fs::write(pictures.join(format!("console-{page}-{theme}.png")), &picture).expect("written");
            }
            std::fs::write(directory.join(format!("{name}-{theme}.png")), picture).expect("written");
        }
        self.set_theme("light").await;
    }

    /// The same at the width of a phone, in the light theme; nothing may be wider than it.
    pub(crate) async fn shoot_phone(&self, name: &str) {
        self.emulate(
            "Emulation.setDeviceMetricsOverride",
            json!({"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": true}),
        )
        .await;
        let width = self.run("return document.documentElement.scrollWidth").await.as_u64();
        let taken = self.emulate("Page.captureScreenshot", json!({"captureBeyondViewport": true})).await;
        let picture = taken["data"].as_str().and_then(|data| BASE64_STANDARD.decode(data).ok()).expect("a picture");
        std::fs::create_dir_all(directory()).expect("a directory");
        std::fs::write(directory().join(format!("{name}-phone.png")), picture).expect("written");
        self.emulate("Emulation.clearDeviceMetricsOverride", json!({})).await;
        assert!(width.is_some_and(|width| width <= 360), "{name} is {width:?} wide on a phone");
    }

    async fn set_theme(&self, theme: &str) {
        let features = json!([{"name": "prefers-color-scheme", "value": theme}]);
        self.emulate("Emulation.setEmulatedMedia", json!({ "features": features })).await;
    }

    /// Lets no page run a script from now on; those of WebDriver still run.
    pub(crate) async fn turn_scripts_off(&self) {
        self.emulate("Emulation.setScriptExecutionDisabled", json!({"value": true})).await;
    }

    /// Prints the page to a PDF below `target/console`, in the dark theme, and returns its file.
    pub(crate) async fn print(&self, name: &str) -> PathBuf {
        self.set_theme("dark").await;
        let options =
            json!({"preferCSSPageSize": true, "printBackground": false, "paperWidth": 8.27, "paperHeight": 11.69});
        let printed = self.emulate("Page.printToPDF", options).await;
        self.set_theme("light").await;
        let pdf = printed["data"].as_str().and_then(|data| BASE64_STANDARD.decode(data).ok()).expect("a PDF");
        std::fs::create_dir_all(directory()).expect("a directory");
        let path = directory().join(format!("{name}.pdf"));
        std::fs::write(&path, pdf).expect("written");
        path
    }

    async fn emulate(&self, method: &str, params: Value) -> Value {
        let command = DevTools(json!({"cmd": method, "params": params}));
        self.driver.issue_cmd(command).await.unwrap_or_else(|err| panic!("{method}: {err}"))
    }

    /// Judges the page by axe-core, in both themes: no finding that is serious or worse.
    pub(crate) async fn judge(&self) {
        let Some(axe) = std::env::var_os(AXE).map(PathBuf::from).filter(|path| path.exists()) else {
            skip::skipped(&self.test, &format!("needs axe-core; {AXE} names its axe.min.js"));
            return;
        };
        self.run(&std::fs::read_to_string(axe).expect("axe-core")).await;
        for theme in ["light", "dark"] {
            self.set_theme(theme).await;
            let script = "const done = arguments[arguments.length - 1]; axe.run(document).then(done, done)";
            let judged = self.driver.execute_async(script, Vec::new()).await.expect("judged");
            let findings = judged["violations"].as_array().unwrap_or_else(|| panic!("no judgement: {judged}"));
            let is_serious = |found: &&Value| ["serious", "critical"].map(Value::from).contains(&found["impact"]);
            let serious: Vec<String> = findings.iter().filter(is_serious).map(told).collect();
            assert_eq!(serious, Vec::<String>::new(), "{} in the {theme} theme", self.address().await);
        }
        self.set_theme("light").await;
    }
}

/// A finding of axe-core on one line.
fn told(found: &Value) -> String {
    let nodes = found["nodes"].as_array().into_iter().flatten();
    let nodes: Vec<String> = nodes.map(|node| format!("{} {}", node["html"], node["failureSummary"])).collect();
    format!("{}: {} {}", found["id"], found["help"], nodes.join("; "))
}

/// The directory of screenshots.
fn directory() -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    test.ancestors().nth(3).map_or_else(|| PathBuf::from("target"), Path::to_owned).join("console")
}

/// The end of the name of a screenshot that the book shows.
const OF_THE_BOOK: &str = "-of-the-book";

/// A command of Chromium's own protocol.
#[derive(Debug)]
struct DevTools(Value);

impl WebDriverCompatibleCommand for DevTools {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (axum::http::Method, Option<String>) {
        (axum::http::Method::POST, Some(self.0.to_string()))
    }
}
