//! The options that every verb has.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgMatches, Args, FromArgMatches};
use enroll_client::protocol::{Envelope, Key, Origin, Reference};
use enroll_client::{Builder, Client, Error, check_socket, default_socket};

use crate::failure::Failure;

/// Options of every command. Their ids bear a prefix, so that no field of a request can have the same.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Options {
    /// The daemon's socket [default: $ENROLLD_SOCKET, or where enrolld listens by default]
    #[arg(id = "global.socket", long = "socket", value_name = "PATH", global = true)]
    pub(crate) socket: Option<PathBuf>,
    /// Ask on behalf of this person (callsign or pk)
    #[arg(id = "global.as", long = "as", value_name = "PERSON", global = true)]
    pub(crate) actor: Option<Reference>,
    /// Where the attempt came from, such as a remote address
    #[arg(id = "global.origin", long = "origin", value_name = "TEXT", global = true)]
    pub(crate) origin: Option<Origin>,
    /// Print the answer as JSON, on one line
    #[arg(id = "global.json", long = "json", global = true)]
    pub(crate) json: bool,
    /// Idempotency key: a write repeated under its key is done once
    #[arg(id = "global.key", long = "key", value_name = "UUID", global = true)]
    key: Option<Key>,
    /// Do everything but commit, and show what would be answered, without secrets
    #[arg(id = "global.dry_run", long = "dry-run", global = true)]
    dry_run: bool,
}

impl Options {
    /// Those of a parsed command line, wherever in it they stood.
    pub(crate) fn of(matches: &ArgMatches) -> Self {
        let mut innermost = matches;
        while let Some((_, matches)) = innermost.subcommand() {
            innermost = matches;
        }
        Self::from_arg_matches(innermost).expect("none of these options is required")
    }

    /// The envelope that they ask for.
    pub(crate) fn envelope(&self) -> Envelope {
        Envelope { key: self.key, dry_run: self.dry_run, ..Envelope::default() }
    }

    /// Refuses what would have no meaning to a command that is no operation.
    pub(crate) fn expect_no_request(&self, command: &str) -> Result<(), Failure> {
        let option = match (self.key.is_some(), self.dry_run) {
            (true, _) => "--key",
            (false, true) => "--dry-run",
            (false, false) => return Ok(()),
        };
        let way_out = if command == "call" { "; each of its lines may have its own" } else { "" };
        Err(Failure::Usage(format!("{command} has no {option}{way_out}")))
    }

    /// A client that is connected.
    pub(crate) async fn connect(&self) -> Result<Client, Error> {
        Ok(self.equip(self.builder().connect().await?))
    }

    /// A client that will connect when it is used.
    pub(crate) fn lazy(&self) -> Client {
        self.equip(self.builder().lazy())
    }

    /// A client that will connect when it is used, and then waits this long for a daemon that went away.
    pub(crate) fn patient(&self, longest: Duration) -> Client {
        self.equip(self.builder().reconnect_for(longest).lazy())
    }

    /// Refuses a socket that can not be.
    pub(crate) fn expect_socket(&self) -> Result<(), Failure> {
        check_socket(&self.socket_path()).map_err(Failure::Usage)
    }

    fn socket_path(&self) -> PathBuf {
        self.socket.clone().unwrap_or_else(default_socket)
    }

    fn builder(&self) -> Builder {
        let socket = self.socket_path();
        Client::builder(socket).name(concat!("enrollctl ", env!("CARGO_PKG_VERSION")))
    }

    fn equip(&self, client: Client) -> Client {
        let client = self.actor.iter().fold(client, |client, actor| client.as_actor(actor.clone()));
        self.origin.iter().fold(client, |client, origin| client.with_origin(origin.clone()))
    }
}
