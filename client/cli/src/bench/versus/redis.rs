//! Redis as a peer: one server with an append-only file that is synced before every answer.
//!
//! A key is a record, and what takes several keys is a script, which Redis runs alone. Keys that a code draws are drawn by
//! the client, since scripts have no randomness; that costs the server less.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use nix::sys::signal::Signal;
use tokio::process::Command;

use super::resp::{Connection, Reply};
use super::{CAPACITY, Job, POOL, Work, code_of};
use crate::bench::measure::{Driver, Tally, measure};
use crate::bench::random::Random;
use crate::bench::token_use::AUDIT;
use crate::failure::Failure;
use crate::private::{self, Private};
use crate::program;

/// How long a spent token is known, in seconds, as a service that keeps them in Redis would have it.
const TOKEN_SECONDS: &str = "10";

/// How long those are known that were spent before: longer than any bench.
const FILLED_SECONDS: &str = "31536000";

/// Records that are made in one go.
const AT_ONCE: u64 = 1000;

const ENROLL: &str = include_str!("enroll.lua");
const REGISTER: &str = include_str!("register.lua");

/// The server.
#[derive(Debug)]
pub(super) struct Redis {
    server: Private,
    socket: PathBuf,
    /// The hash by which the server knows the script of the work, where that is one.
    script: String,
}

/// Where `redis-server` is, or what to install.
pub(super) fn find() -> Result<PathBuf, String> {
    let mut places = program::directories().into_iter().map(|directory| directory.join("redis-server"));
    places
        .find(|path| program::is_program(path))
        .ok_or_else(|| "redis-server is not in PATH: install Redis (Debian: apt-get install redis-server)".to_owned())
}

impl Redis {
    /// Starts one for so many clients.
    pub(super) async fn start(program: &Path, job: &Job) -> Result<Self, Failure> {
        let directory = private::directory("enrollctl-redis.")?;
        let socket = directory.path().join("socket");
        let clients_max = (job.clients + 100).to_string();
        let mut command = Command::new(program);
        command.env_clear().args(["--port", "0", "--daemonize", "no", "--maxclients", &clients_max]);
        command.args(["--save", "", "--appendonly", "yes", "--appendfsync", "always"]);
        // Rewriting the file in the middle of a bench would only be to its disadvantage.
        command.args(["--auto-aof-rewrite-percentage", "0"]);
        command.arg("--dir").arg(directory.path()).arg("--unixsocket").arg(&socket);
        let mut server = Private::spawn("redis", directory, Signal::SIGTERM, &mut command)?;
        let attempt = async || Connection::open(&socket).await?.call(&["PING"]).await.map(|_| ());
        server.await_start(attempt).await?;
        Ok(Self { server, socket, script: String::new() })
    }

    /// Makes the records that it begins with, and teaches it the script of the work.
    pub(super) async fn fill(&mut self, job: &Job) -> Result<(), String> {
        let mut connection = Connection::open(&self.socket).await?;
        let script = match job.work {
            Work::Enroll => Some(ENROLL),
            Work::Register => Some(REGISTER),
            Work::TokenUse | Work::Lookup => None,
        };
        if let Some(script) = script {
            match connection.call(&["SCRIPT", "LOAD", script]).await? {
                Reply::Text(hash) => self.script = hash,
                other => return Err(format!("it answered {other:?} to a script")),
            }
        }
        let mut random = Random::new();
        for from in (0..job.records).step_by(usize::try_from(AT_ONCE).unwrap_or(usize::MAX)) {
            let until = job.records.min(from + AT_ONCE);
            let replies: u64 = (from..until).map(|at| put_record(&mut connection, job.work, at, &mut random)).sum();
            connection.send().await?;
            for _ in 0..replies {
                connection.reply().await?;
            }
        }
        Ok(())
    }

    /// Does the work once.
    pub(super) async fn turn(&mut self, job: &Job, round: u64) -> Result<Tally, String> {
        let Self { server, socket, script } = self;
        let measured = async {
            if job.work == Work::Register {
                let event = ["HSET", &event(round), "taken", "0", "capacity", &CAPACITY.to_string()];
                Connection::open(socket).await?.call(&event).await?;
            }
            let mut drivers = Vec::new();
            for _ in 0..job.clients {
                let connection = Connection::open(socket).await?;
                let (job, script, random) = (job.clone(), script.clone(), Random::new());
                drivers.push(Theirs { connection, job, round, script, random });
            }
            measure(drivers, job.seconds).await.map_err(|failure| failure.line())
        };
        server.during(measured).await
    }

    /// Ends it.
    pub(super) async fn stop(&mut self) -> Result<(), Failure> {
        self.server.stop().await
    }
}

/// Makes the commands of a record ready; how many they are.
fn put_record(connection: &mut Connection, work: Work, at: u64, random: &mut Random) -> u64 {
    if work == Work::TokenUse {
        connection.put(&["SET", &token(&random.token()), AUDIT, "EX", FILLED_SECONDS]);
        return 1;
    }
    let (code, callsign, now) = (code_of(at), format!("Pre{at}"), now());
    let fields = ["callsign", &callsign, "pool", POOL, "state", "0", "created", &now, "updated", &now];
    connection.put(&[&["HSET", &enrollment(&code)][..], &fields].concat());
    connection.put(&["SET", &reservation(&callsign), &code]);
    2
}

/// One client of it.
struct Theirs {
    connection: Connection,
    job: Job,
    round: u64,
    script: String,
    random: Random,
}

impl Driver for Theirs {
    async fn run_once(&mut self) -> Result<(), String> {
        match self.job.work {
            Work::TokenUse => self.use_token().await,
            Work::Enroll => self.enroll().await,
            Work::Lookup => self.look_up().await,
            Work::Register => self.register().await,
        }
    }
}

impl Theirs {
    async fn use_token(&mut self) -> Result<(), String> {
        let token = token(&self.random.token());
        match self.connection.call(&["SET", &token, AUDIT, "NX", "EX", TOKEN_SECONDS]).await? {
            Reply::Text(word) if word == "OK" => Ok(()),
            other => Err(format!("a new token was answered {other:?}")),
        }
    }

    async fn enroll(&mut self) -> Result<(), String> {
        let callsign = self.random.callsign()?;
        let (callsign, now) = (callsign.as_str(), now());
        loop {
            let code = self.random.code();
            let keys = [&reservation(callsign)[..], &enrollment(&code)];
            let arguments = [callsign, &code, POOL, &now];
            match self.connection.call(&[&["EVALSHA", &self.script, "2"], &keys[..], &arguments].concat()).await? {
                Reply::Number(1) => return Ok(()),
                Reply::Number(-1) => {}
                other => return Err(format!("a new callsign was answered {other:?}")),
            }
        }
    }

    async fn look_up(&mut self) -> Result<(), String> {
        let at = self.random.below(self.job.known);
        let found = self.connection.call(&["HGETALL", &enrollment(&code_of(at))]).await?;
        let expected = Reply::Text(format!("Pre{at}"));
        match found {
            Reply::List(fields) if fields.len() == 10 && fields[1] == expected => Ok(()),
            other => Err(format!("a known code was answered {other:?}")),
        }
    }

    async fn register(&mut self) -> Result<(), String> {
        let (event, person) = (event(self.round), self.random.pk());
        let keys = [&event[..], &format!("registrations:{}", self.round)];
        let arguments = [&person[..], &now()];
        match self.connection.call(&[&["EVALSHA", &self.script, "2"], &keys[..], &arguments].concat()).await? {
            Reply::Number(1) => Ok(()),
            other => Err(format!("a new person was answered {other:?}")),
        }
    }
}

fn token(token: &str) -> String {
    format!("token:{token}")
}

fn enrollment(code: &str) -> String {
    format!("enrollment:{code}")
}

/// The key that says who has a callsign.
fn reservation(callsign: &str) -> String {
    format!("callsign:{}", callsign.to_lowercase())
}

fn event(round: u64) -> String {
    format!("event:{round}")
}

fn now() -> String {
    Timestamp::now().as_microsecond().to_string()
}
