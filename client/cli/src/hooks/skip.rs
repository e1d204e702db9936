//! The command `changes skip`: a human has a runner pass a change at which it is stuck.
//!
//! The request is a file beside the position. The runner that holds the position takes it between two tries, or the next
//! one does when it starts; so nobody but a runner writes the position.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use nix::unistd::getuid;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::position::{Record, beside};
use crate::failure::Failure;
use crate::files::AtomicFile;
use crate::output::Output;

/// A running runner has taken a request after this time, unless its command runs just then.
const TAKEN_WITHIN: Duration = Duration::from_secs(3);
const LOOK: Duration = Duration::from_millis(50);

/// The mode of the request: the runner may be another user.
const MODE: u32 = 0o644;

/// Have a runner pass a change at which it is stuck
///
/// The change is named by its number, so that no other one is passed by mistake; a runner that is not stuck at it is not
/// touched. It is written down in the position file, with the user and the last failure. A runner that does not run
/// passes the change when it starts.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  enrollctl changes skip 1201 --position /var/lib/enrolld-changes/mail/position")]
pub(super) struct Skip {
    /// The number of the change
    seq: u64,
    /// The runner's position
    #[arg(long, value_name = "FILE")]
    position: PathBuf,
}

/// A request of a human.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Request {
    /// The change.
    pub(super) seq: u64,
    /// The user's uid.
    pub(super) by: u32,
}

impl Request {
    /// The request for the runner of this position; `None` without one, and for a file that is none.
    pub(super) fn read(position: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(path(position)).ok()?).ok()
    }

    /// Removes the request.
    pub(super) fn remove(position: &Path) {
        // It may be there no longer.
        let _ = std::fs::remove_file(path(position));
    }
}

/// Writes the request and waits a moment for a runner to take it.
pub(super) async fn run(skip: Skip, output: &Output) -> Result<ExitCode, Failure> {
    let Skip { seq, position } = skip;
    let shown = position.display();
    let missing = || Failure::Usage(format!("{shown} is not there; --position names the file of a runner"));
    let record = Record::read(&position)?.ok_or_else(missing)?;
    if !record.stuck.iter().any(|stuck| (stuck.seq..=stuck.last).contains(&seq)) {
        return Err(Failure::Own(not_stuck(seq, &record)));
    }
    let request = Request { seq, by: getuid().as_raw() };
    let text = serde_json::to_vec(&request).map_err(|err| Failure::Own(err.to_string()))?;
    let path = path(&position);
    AtomicFile::replace(&path, "skip", &text, MODE)
        .map_err(|err| Failure::Own(format!("{}: {err}; nothing was skipped", path.display())))?;
    let until = Instant::now() + TAKEN_WITHIN;
    while Request::read(&position) == Some(request) && Instant::now() < until {
        tokio::time::sleep(LOOK).await;
    }
    let record = Record::read(&position)?.ok_or_else(missing)?;
    let is_passed = record.skipped.iter().any(|skipped| skipped.seq == seq);
    let is_asked =
        matches!(path.symlink_metadata().map_err(|err| err.kind()), Ok(_) | Err(ErrorKind::PermissionDenied));
    if !is_passed && !is_asked {
        return Err(Failure::Own(format!("the runner was not stuck at {seq} any more, and has not passed it so")));
    }
    output.reply("changes.skip", &json!({"seq": seq, "passed": is_passed}).to_string())?;
    output.note(&match is_passed {
        true => format!("the runner has passed {seq}; {shown} says so"),
        false => format!("{seq} is passed before its next try, or when the runner starts"),
    });
    Ok(ExitCode::SUCCESS)
}

fn path(position: &Path) -> PathBuf {
    beside(position, ".skip")
}

fn not_stuck(seq: u64, record: &Record) -> String {
    let stuck: Vec<String> = record.stuck.iter().map(|stuck| stuck.seq.to_string()).collect();
    let at = if stuck.is_empty() { "at none".to_owned() } else { format!("at {}", stuck.join(", ")) };
    format!(
        "the runner is not stuck at {seq}: it is stuck {at}, and has passed every change up to {}",
        record.passed.upto
    )
}
