//! The server: the port on loopback, whose connections it serves, within which bounds, and its end.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::{StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use enrollctl::console::Arguments;
use enrollctl::failure::Failure;
use enrollctl::options::Options;
use enrollctl::output::Output;
use enrollctl::process::signals::{self, Signals};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use maud::{DOCTYPE, html};
use nix::unistd::geteuid;
use serde::Deserialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::browser::OpenFile;
use crate::console::Console;
use crate::session::Session;
use crate::{assets, browser, guard, live, owner, pages};

/// Connections at a time. A browser has at most six to one host, and one more for its event stream.
const CONNECTIONS_MAX: usize = 64;

/// Bytes of the head of a request.
const HEAD_BYTES_MAX: usize = 32 * 1024;

/// Bytes of a form.
const BODY_BYTES_MAX: usize = 256 * 1024;

/// The time to send the head of a request.
const HEAD_MAX: Duration = Duration::from_secs(10);

/// The time after the end of the session in which its pages still say that it has ended.
const FAREWELL: Duration = Duration::from_secs(2);

/// The time in which open pages are told that a signal has ended the console.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// Serves until a signal comes or nobody has used it for long. Returns the exit code.
pub(crate) async fn run(arguments: &Arguments, options: &Options, output: &Output) -> Result<ExitCode, Failure> {
    let mut signals = Signals::listen().map_err(Failure::Io)?;
    // Connects now, so that a daemon that refuses this user is told of here and not on a page.
    let client = options.connect_for_life().await?;
    let actor = options.actor.as_ref().map(ToString::to_string);
    let actor = actor.or_else(|| options.is_proven().then(|| "the person of the session JWT".to_owned()));
    let session = Session::new(Duration::from_secs_f64(arguments.idle_minutes * 60.0));
    let console = Arc::new(Console::new(client, actor, arguments.read_only, session));
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, arguments.port))).await;
    let listener = listener.map_err(|err| Failure::Own(format!("127.0.0.1:{}: {err}", arguments.port)))?;
    let here = listener.local_addr().map_err(Failure::Io)?;
    let _opened = announce(&console, here, arguments, output)?;
    let served = serve(&console, listener, here, output);
    tokio::select! {
        never = served => never,
        signal = signals.next() => {
            console.session.end();
            tokio::time::sleep(LAST_WORDS).await;
            Ok(ExitCode::from(signals::exit_code(signal)))
        }
        () = farewell(&console) => {
            output.note("the console was not used for a while and has ended");
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Prints the address, with what to type on another machine, and opens a browser where there is one.
fn announce(
    console: &Arc<Console>,
    here: SocketAddr,
    arguments: &Arguments,
    output: &Output,
) -> Result<Option<OpenFile>, Failure> {
    let code = console.session.code().unwrap_or_default();
    let address = format!("http://{here}{}/enter?code={code}", console.base);
    output.lines(&format!("{address}\n"))?;
    output.note("this address opens one session in one browser; the console ends with Ctrl-C, or when it is not used");
    if let Some(line) = browser::tunnel(here.port()) {
        output.note(&format!("on the machine with your browser: {line}"));
    }
    if arguments.no_browser {
        return Ok(None);
    }
    let opened = browser::open(&address).unwrap_or_else(|why| {
        output.note(&format!("no browser was opened: {why}"));
        None
    });
    let Some(file) = opened else { return Ok(None) };
    file.remove_when_spent(console.clone());
    Ok(Some(file))
}

/// Waits for the end of an idle session and gives open pages the time to say so.
async fn farewell(console: &Console) {
    console.session.idle().await;
    tokio::time::sleep(FAREWELL).await;
}

/// Accepts connections of this user, up to a number.
async fn serve(
    console: &Arc<Console>,
    listener: TcpListener,
    here: SocketAddr,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let router = router(console.clone());
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut strangers = Strangers::default();
    loop {
        let Ok((stream, there)) = listener.accept().await else {
            // Such as too many open files: a moment later there may be room.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        if !strangers.lets_pass(there, here, output) {
            continue;
        }
        let Ok(permit) = room.clone().try_acquire_owned() else { continue };
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let _permit = permit;
            // A connection that breaks off concerns nobody else.
            let _ = connection(stream, service).await;
        });
    }
}

/// Serves one connection.
async fn connection(stream: TcpStream, service: TowerToHyperService<Router>) -> Result<(), hyper::Error> {
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .await
}

/// Every path: the entrance, what every page loads, and the pages of the session.
pub(crate) fn router(console: Arc<Console>) -> Router {
    let inside = pages::router()
        .merge(live::routes())
        .route_layer(middleware::from_fn_with_state(console.clone(), guard::session));
    let below = Router::new().merge(inside).merge(assets::routes()).route("/enter", get(enter));
    // The first page has the address of the base with or without a slash.
    Router::new()
        .nest(&console.base, below)
        .route(&format!("{}/", console.base), get(to_first))
        .fallback(nothing_here)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn(guard::any))
        .with_state(console)
}

async fn to_first(State(console): State<Arc<Console>>) -> Response {
    crate::form::see_other(&console.base)
}

async fn nothing_here(State(console): State<Arc<Console>>) -> Response {
    let why = "The pages of the console are below the path that enrollctl console printed.";
    let style = format!("{}/static/style.css", console.base);
    guard::refuse(StatusCode::NOT_FOUND, "There is no such page", &[why], Some(&style))
}

#[derive(Debug, Deserialize)]
struct Entry {
    #[serde(default)]
    code: String,
}

/// Exchanges the code for the cookie, once, and goes on to the first page. It goes on by a page, because a browser that
/// came from a file sends no strict cookie through a redirect.
async fn enter(State(console): State<Arc<Console>>, Query(entry): Query<Entry>) -> Response {
    if console.session.has_ended() {
        return guard::refuse(StatusCode::GONE, "The session has ended", &[&guard::ended(&console)], None);
    }
    if !console.session.open(&entry.code) {
        let why = "The code of this address is not the one that was printed, or it was used before. If that was in this \
                   browser, its session goes on; else start enrollctl console again.";
        let style = format!("{}/static/style.css", console.base);
        return guard::refuse(StatusCode::FORBIDDEN, "The code opens nothing", &[why], Some(&style));
    }
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="refresh" content={ "0;url=" (console.base) };
                title { "enrolld" }
            }
            body { p { a href=(console.base) { "Go on to the console" } } }
        }
    };
    ([(header::SET_COOKIE, console.session.set_cookie(&console.base))], page).into_response()
}

/// The users whose connections were refused; each is told of once.
#[derive(Debug, Default)]
struct Strangers(BTreeSet<Option<u32>>);

impl Strangers {
    /// True for a connection of the user who runs this process.
    fn lets_pass(&mut self, there: SocketAddr, here: SocketAddr, output: &Output) -> bool {
        let uid = match owner::of(there, here) {
            Ok(uid) => uid,
            Err(err) => {
                if self.0.insert(None) {
                    output.note(&format!("the kernel does not tell whose a connection is, so none is served: {err}"));
                }
                return false;
            }
        };
        let own = geteuid().as_raw();
        if uid == Some(own) {
            return true;
        }
        // One that has closed already is nobody's, and happens.
        if let Some(stranger) = uid
            && self.0.insert(uid)
        {
            output.note(&format!(
                "a connection of uid {stranger} was refused: the console is for the user who runs it, uid {own}"
            ));
        }
        false
    }
}
