//! The command `tour`: a demonstration with a daemon of its own. Every command is printed as one would type it, with
//! its real answer.
//!
//! The daemon, its state and its socket are in a temporary directory, which is removed when the tour ends, fails or is
//! interrupted.

mod cluster;
mod failover;
mod stage;
mod story;

use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Command};

use self::cluster::TourCluster;
use self::stage::Stage;
use self::story::STORY;
use crate::failure::Failure;
use crate::options::Options;
use crate::output::Output;
use crate::process::private_daemon::PrivateDaemon;
use crate::process::signals::{self, Signals};

const LONG_ABOUT: &str = "Show what enrolld does, with a daemon that is started for it and leaves nothing behind

The tour makes the first administrator, invites, enrolls, approves, rejects, spends a login code and a token, gives \
away the one place of an event twice, issues a certificate and revokes it, and prints every command as one would type \
it, with its real answer. It uses the enrolld beside enrollctl, or else the one in PATH, in a temporary directory, \
and touches no other daemon.

With --cluster it shows a cluster instead: three etcds and three daemons on this machine, of which the one that leads is \
killed while callers write; then everything that was acknowledged is counted on the others. It needs etcd.";

/// The flag of the cluster's tour.
const CLUSTER: &str = "cluster";

/// The command line.
pub(crate) fn command() -> Command {
    let about = LONG_ABOUT.lines().next().unwrap_or_default();
    let cluster = Arg::new(CLUSTER).long("cluster").action(ArgAction::SetTrue);
    let cluster = cluster.help("Show three hosts that share one registry, and what happens when one is killed");
    let examples = "Examples:\n  enrollctl tour | less\n  enrollctl tour --cluster";
    Command::new("tour").about(about).long_about(LONG_ABOUT).after_help(examples).arg(cluster)
}

/// Runs the tour, and stops and removes its daemon also on a failure or a signal.
pub(crate) async fn run(matches: &ArgMatches, options: &Options, output: &Output) -> Result<ExitCode, Failure> {
    options.expect_no_daemon("tour")?;
    // From here on no signal ends the process before its daemon is removed.
    let mut signals = Signals::listen().map_err(Failure::Io)?;
    if matches.get_flag(CLUSTER) {
        return run_cluster(&mut signals, output).await;
    }
    let mut daemon = PrivateDaemon::spawn("tour", None)?;
    let played = tokio::select! {
        biased;
        signal = signals.next() => Ok(ExitCode::from(signals::exit_code(signal))),
        played = play(&mut daemon, output) => played.map(|()| ExitCode::SUCCESS),
    };
    let stopped = daemon.stop().await;
    played.and_then(|code| stopped.map(|()| code))
}

/// Runs the cluster's tour.
async fn run_cluster(signals: &mut Signals, output: &Output) -> Result<ExitCode, Failure> {
    let mut cluster = TourCluster::begin()?;
    let played = tokio::select! {
        biased;
        signal = signals.next() => Ok(ExitCode::from(signals::exit_code(signal))),
        played = failover::play(&mut cluster, output) => played.map(|()| ExitCode::SUCCESS),
    };
    let stopped = cluster.stop().await;
    played.and_then(|code| stopped.map(|()| code))
}

async fn play(daemon: &mut PrivateDaemon, output: &Output) -> Result<(), Failure> {
    let mut stage = Stage::new(daemon.socket().to_owned(), output)?;
    stage.say("A registry to play with: a daemon whose state and socket are in a directory of their own.")?;
    let arguments = daemon.arguments().iter().map(|argument| stage::quoted(argument));
    stage.show(&format!("enrolld {} &", arguments.collect::<Vec<_>>().join(" ")))?;
    stage.show(&format!("export ENROLLD_SOCKET={}", stage::quoted(&daemon.socket().to_string_lossy())))?;
    daemon.await_start().await?;
    for step in STORY {
        stage.play(step).await?;
    }
    stage.say("That was the tour. The daemon stops, and its directory goes with it.")?;
    stage.show("kill %1")?;
    daemon.stop().await
}
