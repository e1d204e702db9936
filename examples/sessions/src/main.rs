//! The executable `sessions`. `SESSIONS_LISTEN` is its address, 127.0.0.1:8480 by default, and `ENROLLD_SOCKET` the
//! daemon's socket. SIGTERM and an interrupt end it in good order: what was begun is answered.

use std::error::Error;
use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use enroll_client::Client;
use sessions_example::{Keys, router};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// The longest time for which a visitor waits while the daemon is away or busy.
const PATIENCE: Duration = Duration::from_secs(2);

/// The time that requests have to be answered when the service ends.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let socket = enroll_client::default_socket();
    let builder = Client::builder(socket).name("sessions").reconnect_for(PATIENCE).busy_for(PATIENCE);
    let client = builder.circuit_breaker().connect().await?;
    let keys = Keys::fetch(client.clone(), "enrolld", "enrolld").await?;
    let address = std::env::var("SESSIONS_LISTEN").unwrap_or_else(|_| "127.0.0.1:8480".to_owned());
    let listener = TcpListener::bind(address).await?;
    writeln!(std::io::stdout(), "listens on http://{}", listener.local_addr()?)?;

    let (stop, stopped) = watch::channel(false);
    let service = router(client, keys).into_make_service_with_connect_info::<SocketAddr>();
    let serving = axum::serve(listener, service).with_graceful_shutdown(until(stopped.clone()));
    let last_answers = async {
        until(stopped).await;
        tokio::time::sleep(LAST_ANSWERS).await;
    };
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        stop.send_replace(true);
    });
    tokio::select! {
        ended = serving => ended?,
        () = last_answers => {}
    }
    Ok(())
}

/// Returns when the service is told to stop.
async fn until(mut stopped: watch::Receiver<bool>) {
    // An error says that nobody is left who could stop it, which ends it as well.
    let _ = stopped.wait_for(|is_stopped| *is_stopped).await;
}
