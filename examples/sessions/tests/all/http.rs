//! HTTP requests, as plain as they can be: each has a connection of its own.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// An answer: its status, its headers in lower case, and its body, which is null where it is no JSON.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Value,
}

/// A visitor of the service at an address, with a session or without.
#[derive(Debug, Clone)]
pub(crate) struct Visitor {
    pub(crate) address: SocketAddr,
    pub(crate) session: Option<String>,
}

impl Visitor {
    /// A stranger.
    pub(crate) fn at(address: SocketAddr) -> Self {
        Self { address, session: None }
    }

    /// Logs in, which must succeed.
    pub(crate) async fn logged_in(&self, code: &str) -> Self {
        let answer = self.log_in(code).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        Self { session: Some(answer.body["jwt"].as_str().expect("a JWT").to_owned()), ..self.clone() }
    }

    pub(crate) async fn log_in(&self, code: &str) -> Answer {
        self.post("/login", &format!("{{\"code\":\"{code}\"}}")).await
    }

    pub(crate) async fn spend(&self, ticket: &str) -> Answer {
        self.post("/tickets", &format!("{{\"ticket\":\"{ticket}\"}}")).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "").await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        self.ask("POST", path, body).await
    }

    async fn ask(&self, method: &str, path: &str, body: &str) -> Answer {
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
        request += &format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
        if let Some(session) = &self.session {
            request += &format!("Authorization: Bearer {session}\r\n");
        }
        request += &format!("\r\n{body}");
        let mut stream = TcpStream::connect(self.address).await.expect("a connection");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut text = String::new();
        stream.read_to_string(&mut text).await.expect("an answer");
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        let headers = head.lines().skip(1).filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
        Answer { status, headers, body: serde_json::from_str(body).unwrap_or_default() }
    }
}

/// Eight visitors ask for each of these at the same time: one has it, and it is refused to the others as `token_reuse`.
pub(crate) async fn race<F>(names: &[String], had: u16, ask: impl Fn(usize, String) -> F)
where
    F: Future<Output = Answer> + Send + 'static,
{
    for name in names {
        let asked: Vec<_> = (0..WORKERS).map(|worker| tokio::spawn(ask(worker, name.clone()))).collect();
        let mut won = 0;
        for answer in asked {
            let answer = answer.await.expect("an answer");
            if answer.status == had {
                won += 1;
            } else {
                assert_eq!((answer.status, &answer.body["code"]), (409, &"token_reuse".into()), "{name}: {answer:?}");
            }
        }
        assert_eq!(won, 1, "{name}");
    }
}

/// Visitors that race.
pub(crate) const WORKERS: usize = 8;

/// Codes and tickets that they race for.
pub(crate) const CODES: usize = 200;
