//! The global options of every command, and the client that they describe.

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use clap::{ArgMatches, Args, Command, FromArgMatches};
use enroll_client::protocol::{Envelope, Jwt, Key, Origin, Reference};
use enroll_client::{Builder, Client, Error, check_socket, default_socket};

use crate::failure::Failure;
use crate::output::{Field, Output};
use crate::process::stdin;
use crate::request::secret;

/// Options of every command. Their ids have a prefix, so that no field of a request can have the same id.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Options {
    /// The daemon's socket [default: $ENROLLD_SOCKET, or where enrolld listens by default]
    #[arg(id = "global.socket", long = "socket", value_name = "PATH", global = true)]
    pub socket: Option<PathBuf>,
    /// Ask on behalf of this person (callsign or pk)
    #[arg(id = "global.as", long = "as", value_name = "PERSON", global = true)]
    pub actor: Option<Reference>,
    /// Ask on behalf of the person of a session JWT of the daemon's, which standard input holds
    #[arg(id = "global.as_jwt", long = "as-jwt", global = true, conflicts_with = "global.as")]
    as_jwt: bool,
    /// Where the attempt came from, such as a remote address
    #[arg(id = "global.origin", long = "origin", value_name = "TEXT", global = true)]
    pub origin: Option<Origin>,
    /// Accept only a daemon that runs as this user, by name or uid; may be repeated [default: root, enrolld and
    /// yourself]
    #[arg(
        id = "global.require_peer",
        long = "require-peer",
        value_name = "USER",
        global = true,
        env = "ENROLL_REQUIRE_PEER",
        value_delimiter = ','
    )]
    require_peer: Vec<String>,
    /// Print the answer as JSON, on one line
    #[arg(id = "global.json", long = "json", global = true)]
    pub json: bool,
    /// Print this field of the answer, such as pk or extra.team, as a bare value; may be repeated. A list has a line
    /// for each item, with a tab between the fields
    #[arg(id = "global.field", long = "field", value_name = "NAME", global = true)]
    pub fields: Vec<Field>,
    /// Idempotency key: a write repeated under its key is done once
    #[arg(id = "global.key", long = "key", value_name = "UUID", global = true)]
    key: Option<Key>,
    /// Do everything but commit, and show what would be answered, without secrets
    #[arg(id = "global.dry_run", long = "dry-run", global = true)]
    dry_run: bool,
    /// The JWT of `--as-jwt`.
    #[arg(skip)]
    jwt: OnceLock<Jwt>,
    /// The name of the program, which is the client's name in the daemon's log.
    #[arg(skip)]
    program: String,
}

impl Options {
    /// Reads them from the parsed command line of `program`, at whatever depth of subcommands they stood.
    pub fn of(program: &str, matches: &ArgMatches) -> Self {
        let mut innermost = matches;
        while let Some((_, matches)) = innermost.subcommand() {
            innermost = matches;
        }
        let options = Self::from_arg_matches(innermost).expect("none of these options is required");
        Self { program: program.to_owned(), ..options }
    }

    /// Those of a command line that is not typed to its end: the socket, the actor and the required users. `None` if
    /// they can not be read.
    pub(crate) fn of_unfinished(program: &str, words: &[String]) -> Option<Self> {
        let mut args = vec![program.to_owned()];
        for (at, word) in words.iter().enumerate() {
            let is_one =
                |option: &&str| word.strip_prefix(*option).is_some_and(|rest| rest.is_empty() || rest.starts_with('='));
            if !["--socket", "--as", "--require-peer"].iter().any(is_one) {
                continue;
            }
            match words.get(at + 1) {
                _ if word.contains('=') => args.push(word.clone()),
                Some(value) => args.extend([word.clone(), value.clone()]),
                // Its value is being typed.
                None => {}
            }
        }
        let matches = Self::augment_args(Command::new("unfinished")).try_get_matches_from(args).ok()?;
        Some(Self::of(program, &matches))
    }

    /// The envelope of a request: its idempotency key, and whether it is a dry run.
    pub fn envelope(&self) -> Envelope {
        Envelope { key: self.key, dry_run: self.dry_run, ..Envelope::default() }
    }

    /// Refuses `--field` beside `--json`, wherever in the command line they stand.
    pub(crate) fn expect_one_form(&self) -> Result<(), Failure> {
        if self.json && !self.fields.is_empty() {
            let why = "--field prints bare values and --json prints JSON; give one of them";
            return Err(Failure::Usage(why.to_owned()));
        }
        Ok(())
    }

    /// Refuses `--field` for a command whose output is no reply.
    pub fn expect_no_field(&self, command: &str) -> Result<(), Failure> {
        if self.fields.is_empty() {
            return Ok(());
        }
        Err(Failure::Usage(format!("{command} has no --field, because it answers no record and no list")))
    }

    /// Refuses what would speak to another daemon, for a command that has one of its own.
    pub(crate) fn expect_no_daemon(&self, command: &str) -> Result<(), Failure> {
        if self.socket.is_some() || self.actor.is_some() || self.origin.is_some() || self.json {
            let why = format!("{command} has a daemon of its own; it takes no --socket, --as, --origin or --json");
            return Err(Failure::Usage(why));
        }
        Ok(())
    }

    /// Refuses `--key` and `--dry-run` for a command that is not an operation.
    pub fn expect_no_request(&self, command: &str) -> Result<(), Failure> {
        let option = match (self.key.is_some(), self.dry_run) {
            (true, _) => "--key",
            (false, true) => "--dry-run",
            (false, false) => return Ok(()),
        };
        let way_out = if command == "call" { "; each of its lines may have its own" } else { "" };
        Err(Failure::Usage(format!("{command} has no {option}{way_out}")))
    }

    /// Refuses `--as-jwt` for a command that calls in the name of nobody or of several people.
    pub fn expect_no_jwt(&self, command: &str) -> Result<(), Failure> {
        if !self.as_jwt {
            return Ok(());
        }
        let way_out = if command == "call" { "; each of its lines may have its own actor_jwt" } else { "" };
        Err(Failure::Usage(format!("{command} has no --as-jwt{way_out}")))
    }

    /// True if a session JWT proves the actor.
    pub fn is_proven(&self) -> bool {
        self.as_jwt
    }

    /// Reads the JWT of `--as-jwt` from standard input, for the clients that are made after this.
    pub fn read_jwt(&self, output: &Output) -> Result<(), Failure> {
        if !self.as_jwt {
            return Ok(());
        }
        let input = stdin::take("session JWT")?;
        output.ask("session JWT");
        let jwt = secret::read("session JWT", &mut input.lock(), io::stdin().is_terminal())?;
        let jwt = Jwt::new(jwt).map_err(|err| Failure::Usage(err.0))?;
        self.jwt.get_or_init(|| jwt);
        Ok(())
    }

    /// Connects now. Fails if no daemon answers or it refuses the connection.
    pub async fn connect(&self) -> Result<Client, Error> {
        Ok(self.equip(self.builder().connect().await?))
    }

    /// Connects now, to the daemon at another socket.
    pub(crate) async fn connect_to(&self, socket: &Path) -> Result<Client, Error> {
        Ok(self.equip(self.builder_at(socket.to_owned()).connect().await?))
    }

    /// A client that connects at its first call.
    pub fn lazy(&self) -> Client {
        self.equip(self.builder().lazy())
    }

    /// A client that connects at its first call and waits up to `longest` for a daemon that went away.
    pub fn patient(&self, longest: Duration) -> Client {
        self.equip(self.builder().reconnect_for(longest).lazy())
    }

    /// Connects now, with a client that waits up to `longest` for a daemon that goes away later.
    pub(crate) async fn connect_patient(&self, longest: Duration) -> Result<Client, Error> {
        Ok(self.equip(self.builder().reconnect_for(longest).connect().await?))
    }

    /// Connects now, for an answer that is wanted at once or not at all.
    pub(crate) async fn connect_briefly(&self, longest: Duration) -> Result<Client, Error> {
        Ok(self.equip(self.builder().reconnect_for(longest).busy_for(Duration::ZERO).connect().await?))
    }

    /// A client of nobody's that waits up to `longest` for a daemon that is absent, starts or has no room.
    pub(crate) fn until_answered(&self, longest: Duration) -> Client {
        self.builder().reconnect_for(longest).busy_for(longest).lazy()
    }

    /// Connects now, with a client that outlives its daemons.
    pub async fn connect_for_life(&self) -> Result<Client, Error> {
        Ok(self.equip(self.builder().circuit_breaker().connect().await?))
    }

    /// A client that outlives its daemons and connects at its first call.
    pub fn for_life(&self) -> Client {
        self.equip(self.builder().circuit_breaker().lazy())
    }

    /// Refuses a path that no socket can have.
    pub fn expect_socket(&self) -> Result<(), Failure> {
        check_socket(&self.socket_path()).map_err(Failure::Usage)
    }

    /// The path of the socket: the one that was named, or the default.
    pub fn socket_path(&self) -> PathBuf {
        self.socket.clone().unwrap_or_else(default_socket)
    }

    /// True if the command line or the environment names the socket.
    pub(crate) fn has_named_socket(&self) -> bool {
        self.socket.is_some() || std::env::var_os("ENROLLD_SOCKET").is_some_and(|value| !value.is_empty())
    }

    fn builder(&self) -> Builder {
        self.builder_at(self.socket_path())
    }

    fn builder_at(&self, socket: PathBuf) -> Builder {
        let builder = Client::builder(socket).name(format!("{} {}", self.program, env!("CARGO_PKG_VERSION")));
        self.require_peer.iter().fold(builder, |builder, user| builder.require_peer(user))
    }

    fn equip(&self, client: Client) -> Client {
        let client = self.actor.iter().fold(client, |client, actor| client.as_actor(actor.clone()));
        let client = self.jwt.get().into_iter().fold(client, |client, jwt| client.as_proven(jwt.clone()));
        self.origin.iter().fold(client, |client, origin| client.with_origin(origin.clone()))
    }
}
