//! The daemon's answer: whether it answers at all, its own warnings, and its version beside ours.

use std::time::Duration;

use enroll_client::Error;
use enroll_client::protocol::Code;
use enroll_client::protocol::finding::{Finding, Topic};
use enroll_client::protocol::server::{DaemonStatus, Status};
use tokio::time::timeout;

use super::{Machine, Outcome, systemd};
use crate::options::Options;

/// The time that a daemon has to answer; one that serves answers in milliseconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// Our version.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Asks the daemon for its status. Returns its warnings, or why it does not answer.
pub(super) async fn ask(machine: &Machine, options: &Options) -> (Outcome, Option<DaemonStatus>) {
    let asked = timeout(PATIENCE, async { options.connect_to(&machine.socket).await?.call(Status {}).await }).await;
    match asked {
        Ok(Ok(status)) => {
            let fine = format!("enrolld {}, state directory {}", status.version, status.state_dir);
            (Outcome::of(status.warnings.clone(), fine), Some(status))
        }
        Ok(Err(err)) => (unanswered(machine, &err), None),
        Err(_) => {
            let why =
                format!("the daemon accepts connections and does not answer within {} seconds", PATIENCE.as_secs());
            (starting(machine).unwrap_or_else(|| silent(machine, Topic::Unreachable, &why)), None)
        }
    }
}

/// Compares the daemon's version with ours.
pub(super) fn versions(machine: &Machine, status: &DaemonStatus) -> Outcome {
    if status.version == VERSION {
        return Outcome::Fine(VERSION.to_owned());
    }
    let arguments = [
        ("ours", "enrollctl"),
        ("our_version", VERSION),
        ("theirs", "the daemon"),
        ("their_version", status.version.as_str()),
        ("restart", machine.restart()),
    ];
    Outcome::Found(vec![Finding::of(Topic::Versions, "", &arguments)])
}

fn unanswered(machine: &Machine, err: &Error) -> Outcome {
    let topic = match err {
        Error::Refused(refusal) if refusal.code == Code::PERMISSION_DENIED => Topic::NoGrant,
        Error::Protocol(_) => Topic::Protocol,
        Error::Refused(_) | Error::Unavailable(_) => Topic::Unreachable,
    };
    let what = err.refusal().map_or_else(|| err.to_string(), |refusal| refusal.message.clone());
    let is_away = matches!(err, Error::Unavailable(_));
    is_away.then(|| starting(machine)).flatten().unwrap_or_else(|| silent(machine, topic, &what))
}

/// A daemon that is starting, perhaps with a migration that a restart would begin anew.
fn starting(machine: &Machine) -> Option<Outcome> {
    let status = machine.is_of_system().then(|| systemd::starting(machine)).flatten()?;
    let far = if status.is_empty() { status } else { format!(": {status}") };
    Some(Outcome::Unseen(format!("it is starting{far}; enrollctl wait says when it answers")))
}

fn silent(machine: &Machine, topic: Topic, what: &str) -> Outcome {
    Outcome::Found(vec![Finding::of(topic, "", &[("what", what), ("restart", machine.restart())])])
}

#[cfg(test)]
mod tests {
    use enroll_client::protocol::Refusal;

    use super::*;

    #[test]
    fn each_kind_of_silence_has_its_topic() {
        for (err, expected) in [
            (Error::Refused(Refusal::new(Code::PERMISSION_DENIED, "no grant")), "no_grant"),
            (Error::Refused(Refusal::new(Code::INVALID_ARGUMENT, "odd")), "unreachable"),
            (Error::Unavailable("away".to_owned()), "unreachable"),
            (Error::Protocol("protocol 2".to_owned()), "protocol"),
        ] {
            let empty = tempfile::tempdir().expect("a directory");
            let machine = Machine { root: empty.path().to_owned(), socket: "/run/enrolld/enrolld.sock".into() };
            let Outcome::Found(found) = unanswered(&machine, &err) else { panic!("{expected}") };
            assert_eq!(found[0].topic, expected);
            assert!(!found[0].mend.contains('?') && found[0].mend.contains("systemctl"), "{}", found[0].mend);
        }
    }
}
