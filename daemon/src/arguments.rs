//! The command line of the daemon's executable: it runs the daemon or an offline command, and gives the exit code.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Command, CommandFactory as _, Parser};

use crate::offline::Offline;
use crate::run::{self, Start};

/// A local enrollment authority
///
/// Keeps people, roles, one-time tokens and login codes in an embedded database and serves them over a Unix socket;
/// `enrollctl` and the client library talk to it. Needs no root: by default it uses the directories of the user who runs
/// it. Without a command it is the daemon; the commands are for a database on which no daemon runs.
///
/// Exit codes: 0 stopped in good order, or done; 1 it could not start or be done; 2 wrong arguments or configuration;
/// 3 another enrolld uses the state directory; 4 the secret key is missing or another one; 5 the database or the
/// backup can not be used or is not sound; 6 the disk is full or failed; 8 the database of an older version could not
/// be migrated.
#[derive(Parser)]
#[command(
    version,
    args_conflicts_with_subcommands = true,
    after_help = "Example:\n  enrolld --state-dir ~/registry --socket ~/registry/enrolld.sock"
)]
struct Arguments {
    /// The configuration; without it /etc/enrolld/enrolld.toml (root) or ~/.config/enrolld/enrolld.toml, if there
    #[arg(long, value_name = "FILE", env = "ENROLLD_CONFIG")]
    config: Option<PathBuf>,
    /// Where the database, its key and its lock are kept
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Where to listen
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// End in good order when the process that started it ends, also if that was killed
    #[arg(long)]
    exit_with_parent: bool,
    /// Read the configuration, say what is wrong with it, and end
    #[arg(long)]
    check_config: bool,
    /// Print every key of the configuration with its default, and end
    #[arg(long)]
    example_config: bool,
    #[command(subcommand)]
    offline: Option<Offline>,
}

/// The whole command line.
pub fn command() -> Command {
    Arguments::command()
}

/// Runs the command line of this process and returns its exit code.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(offline) = arguments.offline {
        return offline.run();
    }
    if arguments.example_config {
        return run::print_example();
    }
    let flags = Start {
        config: arguments.config,
        state_dir: arguments.state_dir,
        socket: arguments.socket,
        exit_with_parent: arguments.exit_with_parent,
    };
    if arguments.check_config { flags.check_config() } else { flags.run() }
}
