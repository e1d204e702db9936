//! Redis as a peer: one server with an append-only file that is synced before every answer.
//!
//! A key is a record, and what takes several keys is a script, which Redis runs alone. Random keys and codes are made
//! by the client, because scripts have no randomness; that is less work for the server.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use enrollctl::failure::Failure;
use enrollctl::process::child_server::{self, ChildServer};
use enrollctl::process::which;
use jiff::Timestamp;
use nix::sys::signal::Signal;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, ConnectionAddr, FromRedisValue, IntoConnectionInfo as _, Pipeline};
use tokio::process::Command;

use super::{CAPACITY, Job, POOL, Work, code_of};
use crate::measure::{Driver, Tally, measure};
use crate::workload::random::Random;
use crate::workload::token_use::AUDIT;

/// Expiry of a spent token in seconds, as a service that keeps them in Redis would set it.
const TOKEN_SECONDS: u64 = 10;

/// Expiry of the tokens that Redis is filled with in seconds: longer than any bench.
const FILLED_SECONDS: u64 = 31_536_000;

/// Records of one pipeline while Redis is filled.
const PIPELINE_RECORDS: usize = 1000;

const ENROLL: &str = include_str!("enroll.lua");
const REGISTER: &str = include_str!("register.lua");

/// A running server.
#[derive(Debug)]
pub(super) struct Redis {
    server: ChildServer,
    socket: PathBuf,
    /// The SHA-1 of the work's script; empty for work without one.
    script: String,
}

/// Finds `redis-server`; fails with the package to install.
pub(super) fn find() -> Result<PathBuf, String> {
    let mut paths = which::directories().into_iter().map(|directory| directory.join("redis-server"));
    paths
        .find(|path| which::is_executable(path))
        .ok_or_else(|| "redis-server is not in PATH: install Redis (Debian: apt-get install redis-server)".to_owned())
}

impl Redis {
    /// Starts a server for the clients of this job.
    pub(super) async fn start(program: &Path, job: &Job) -> Result<Self, Failure> {
        let directory = child_server::directory("enroll-bench-redis.")?;
        let socket = directory.path().join("socket");
        let clients_max = (job.connections + 100).to_string();
        let mut command = Command::new(program);
        command.env_clear().args(["--port", "0", "--daemonize", "no", "--maxclients", &clients_max]);
        command.args(["--save", "", "--appendonly", "yes", "--appendfsync", "always"]);
        // Rewriting the file in the middle of a bench would only be to its disadvantage.
        command.args(["--auto-aof-rewrite-percentage", "0"]);
        command.arg("--dir").arg(directory.path()).arg("--unixsocket").arg(&socket);
        let mut server = ChildServer::spawn("redis", directory, Signal::SIGTERM, &mut command)?;
        server.await_start(async || Connection::open(&socket).await?.call(&redis::cmd("PING")).await).await?;
        Ok(Self { server, socket, script: String::new() })
    }

    /// Makes the records that the server begins with, and loads the script of the work.
    pub(super) async fn fill(&mut self, job: &Job) -> Result<(), String> {
        let mut connection = Connection::open(&self.socket).await?;
        let script = match job.work {
            Work::Enroll => Some(ENROLL),
            Work::Register => Some(REGISTER),
            Work::TokenUse | Work::Lookup => None,
        };
        if let Some(script) = script {
            self.script = connection.call(redis::cmd("SCRIPT").arg("LOAD").arg(script)).await?;
        }
        let mut random = Random::new();
        for from in (0..job.records).step_by(PIPELINE_RECORDS) {
            let until = job.records.min(from + PIPELINE_RECORDS as u64);
            let mut pipeline = Pipeline::new();
            for number in from..until {
                add_record(&mut pipeline, job.work, number, &mut random);
            }
            connection.run(&pipeline).await?;
        }
        Ok(())
    }

    /// Does the work for one round.
    pub(super) async fn turn(&mut self, job: &Job, round: u64) -> Result<Tally, String> {
        let Self { server, socket, script } = self;
        let measured = async {
            if job.work == Work::Register {
                let mut event = redis::cmd("HSET");
                event.arg(event_key(round)).arg("taken").arg(0).arg("capacity").arg(CAPACITY);
                Connection::open(socket).await?.call::<()>(&event).await?;
            }
            let mut drivers = Vec::new();
            for _ in 0..job.connections {
                let connection = Connection::open(socket).await?;
                drivers.extend((0..job.in_flight).map(|_| {
                    let (connection, job, script) = (connection.clone(), job.clone(), script.clone());
                    RedisDriver { connection, job, round, script, random: Random::new() }
                }));
            }
            measure(drivers, job.seconds, Tally::new()).await.map_err(|failure| failure.line())
        };
        server.during(measured).await
    }

    /// The directory of all its files.
    pub(super) fn directory(&self) -> Option<&Path> {
        self.server.directory()
    }

    /// Stops the server.
    pub(super) async fn stop(&mut self) -> Result<(), Failure> {
        self.server.stop().await
    }
}

/// A connection; its clones are callers that share it.
#[derive(Clone)]
struct Connection(MultiplexedConnection);

impl Connection {
    async fn open(socket: &Path) -> Result<Self, String> {
        // A sync of the disk may take longer than the library's response timeout.
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let open = async {
            let client = Client::open(ConnectionAddr::Unix(socket.to_owned()).into_connection_info()?)?;
            client.get_multiplexed_async_connection_with_config(&config).await
        };
        open.await.map(Self).map_err(|err| format!("{}: {err}", socket.display()))
    }

    async fn call<T: FromRedisValue>(&mut self, command: &Cmd) -> Result<T, String> {
        command.query_async(&mut self.0).await.map_err(|err| err.to_string())
    }

    async fn run(&mut self, pipeline: &Pipeline) -> Result<(), String> {
        pipeline.exec_async(&mut self.0).await.map_err(|err| err.to_string())
    }
}

/// Adds the commands that make the record of this number.
fn add_record(pipeline: &mut Pipeline, work: Work, number: u64, random: &mut Random) {
    if work == Work::TokenUse {
        pipeline.cmd("SET").arg(token_key(&random.token())).arg(AUDIT).arg("EX").arg(FILLED_SECONDS).ignore();
        return;
    }
    let (code, callsign, now) = (code_of(number), format!("Pre{number}"), now());
    let fields = [("callsign", &*callsign), ("pool", POOL), ("state", "0"), ("created", &now), ("updated", &now)];
    pipeline.cmd("HSET").arg(enrollment_key(&code)).arg(&fields).ignore();
    pipeline.cmd("SET").arg(callsign_key(&callsign)).arg(&code).ignore();
}

/// One caller of the server.
struct RedisDriver {
    connection: Connection,
    job: Job,
    round: u64,
    script: String,
    random: Random,
}

impl Driver for RedisDriver {
    async fn run_once(&mut self) -> Result<(), String> {
        match self.job.work {
            Work::TokenUse => self.use_token().await,
            Work::Enroll => self.enroll().await,
            Work::Lookup => self.look_up().await,
            Work::Register => self.register().await,
        }
    }
}

impl RedisDriver {
    async fn use_token(&mut self) -> Result<(), String> {
        let key = token_key(&self.random.token());
        let mut set = redis::cmd("SET");
        set.arg(key).arg(AUDIT).arg("NX").arg("EX").arg(TOKEN_SECONDS);
        match self.connection.call::<Option<String>>(&set).await?.as_deref() {
            Some("OK") => Ok(()),
            other => Err(format!("a new token was answered {other:?}")),
        }
    }

    async fn enroll(&mut self) -> Result<(), String> {
        let callsign = self.random.callsign()?;
        let (callsign, now) = (callsign.as_str(), now());
        loop {
            let code = self.random.code();
            let keys = [callsign_key(callsign), enrollment_key(&code)];
            match self.run_script(&keys, &[callsign, &code, POOL, &now]).await? {
                1 => return Ok(()),
                // The code is taken.
                -1 => {}
                other => return Err(format!("a new callsign was answered {other}")),
            }
        }
    }

    async fn look_up(&mut self) -> Result<(), String> {
        let number = self.random.below(self.job.known);
        let mut get = redis::cmd("HGETALL");
        get.arg(enrollment_key(&code_of(number)));
        let found: HashMap<String, String> = self.connection.call(&get).await?;
        if found.len() == 5 && found.get("callsign") == Some(&format!("Pre{number}")) {
            return Ok(());
        }
        Err(format!("a known code was answered {found:?}"))
    }

    async fn register(&mut self) -> Result<(), String> {
        let keys = [event_key(self.round), format!("registrations:{}", self.round)];
        let person = self.random.pk();
        match self.run_script(&keys, &[&person, &now()]).await? {
            1 => Ok(()),
            other => Err(format!("a new person was answered {other}")),
        }
    }

    async fn run_script(&mut self, keys: &[String; 2], arguments: &[&str]) -> Result<i64, String> {
        let mut evaluate = redis::cmd("EVALSHA");
        evaluate.arg(&self.script).arg(keys.len()).arg(keys).arg(arguments);
        self.connection.call(&evaluate).await
    }
}

fn token_key(token: &str) -> String {
    format!("token:{token}")
}

fn enrollment_key(code: &str) -> String {
    format!("enrollment:{code}")
}

/// The key of a callsign, whose value is the code of its enrollment.
fn callsign_key(callsign: &str) -> String {
    format!("callsign:{}", callsign.to_lowercase())
}

fn event_key(round: u64) -> String {
    format!("event:{round}")
}

fn now() -> String {
    Timestamp::now().as_microsecond().to_string()
}
