//! The command `wait`: a readiness probe that is repeated with backoff until the daemon answers a request.

use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgMatches, Args, Command, FromArgMatches};
use enroll_client::Error;
use enroll_client::protocol::server;

use crate::failure::Failure;
use crate::options::Options;
use crate::output::Output;

/// The time that the client has to tell the last cause, after the time is over.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// Wait until the daemon answers
///
/// For scripts that start a daemon, or come up beside it. A socket that is not there yet, a daemon that starts, and one
/// without room for a connection are waited for. Where waiting does not help, it ends at once with exit code 1: a
/// socket that may not be opened, a user without a grant, a daemon of another protocol version. The exit code is 3
/// when the time is over.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  enrollctl wait --seconds 10")]
struct Wait {
    /// How long to wait, in seconds: 1 to 86400
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
}

/// The command line.
pub(crate) fn command() -> Command {
    Wait::augment_args(Command::new("wait"))
}

/// Waits. Fails with the last cause when the time is over, and with a cause that no waiting removes at once.
pub(crate) async fn run(matches: &ArgMatches, options: &Options, output: &Output) -> Result<ExitCode, Failure> {
    let wait = Wait::from_arg_matches(matches).map_err(|err| Failure::Usage(err.to_string()))?;
    let longest = Duration::from_secs(wait.seconds);
    // The status needs the least grant, and no actor.
    let asked = options.until_answered(longest).call(server::Status {});
    match tokio::time::timeout(longest + LAST_WORDS, asked).await {
        Ok(answer) => drop(answer?),
        Err(_) => {
            let socket = options.socket_path();
            let why = format!("the daemon at {} took the request and has not answered", socket.display());
            return Err(Failure::Client(Error::Unavailable(why)));
        }
    }
    output.reply("wait", "null")?;
    Ok(ExitCode::SUCCESS)
}
