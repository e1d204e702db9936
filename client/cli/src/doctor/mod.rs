//! The command `doctor`: looks at everything between a caller and the daemon, and says of each condition which command
//! mends it. It works without a daemon; with one it tells the daemon's own warnings, too.
//!
//! Conditions and commands are those of the table of findings, which status and metrics use. A check that needs root,
//! or something that the machine lacks, says so instead of guessing.

mod access;
mod answer;
mod cluster;
mod files;
mod hooks;
mod systemd;

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Command;
use enroll_client::protocol::finding::{self, Finding};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::options::Options;
use crate::output::{Output, Summary, findings};

/// The socket of the system's daemon. Another one is of a daemon that somebody runs by hand, without units and files in
/// the system's places.
const SYSTEM_SOCKET: &str = "/run/enrolld/enrolld.sock";

const ABOUT: &str = "Look for what is wrong around the daemon, and say how to mend it

Goes through the socket and who may open it, the group and this login, the answer of the daemon and its own \
warnings, versions, the units of systemd, the configuration, the secret key, the state directory, hooks, the cluster, the \
disk and the clock. It works while the daemon does not run. Some things only root can see; the others are told to everybody.

The exit code is 1 if something is wrong.";

const EXAMPLES: &str = "Examples:
  enrollctl doctor
  sudo enrollctl doctor --json";

/// The machine that is looked at.
struct Machine {
    /// The directory that stands for `/`.
    root: PathBuf,
    socket: PathBuf,
}

/// One thing that was looked at.
struct Check {
    name: &'static str,
    outcome: Outcome,
}

/// The outcome of a look.
enum Outcome {
    /// It is as it should be; the words say what was seen.
    Fine(String),
    /// The findings.
    Found(Vec<Finding>),
    /// It could not be looked at, and why.
    Unseen(String),
}

/// The command.
pub(crate) fn command() -> Command {
    let about = ABOUT.lines().next().unwrap_or_default();
    Command::new("doctor").about(about).long_about(ABOUT).after_help(EXAMPLES)
}

/// Looks at everything and prints what was found. The exit code is 1 if something is wrong.
pub(crate) async fn run(options: &Options, output: &Output) -> Result<ExitCode, Failure> {
    let machine = Machine::of(options);
    let checks = machine.look(options).await;
    let found = checks.iter().filter_map(|check| match &check.outcome {
        Outcome::Found(found) => Some(found.clone()),
        Outcome::Fine(_) | Outcome::Unseen(_) => None,
    });
    let found = finding::to_tell(found.flatten());
    output.summary("doctor", &summary(&found, &checks))?;
    Ok(if found.iter().any(Finding::is_wrong) { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

impl Machine {
    /// This machine, and the socket to look at: the one that is named, or that the caller would ask. Where nobody
    /// listens at the caller's own and the system's daemon is installed, it is the system's.
    fn of(options: &Options) -> Self {
        let machine = Self { root: PathBuf::from("/"), socket: options.socket_path() };
        let is_alive = || UnixStream::connect(&machine.socket).is_ok();
        match options.has_named_socket() || machine.is_of_system() || !systemd::is_installed(&machine) || is_alive() {
            true => machine,
            false => Self { socket: PathBuf::from(SYSTEM_SOCKET), ..machine },
        }
    }

    async fn look(&self, options: &Options) -> Vec<Check> {
        let socket = access::socket(self);
        let (answer, status) = match &socket {
            Outcome::Found(_) => (Outcome::Unseen("the socket can not be opened".to_owned()), None),
            Outcome::Fine(_) | Outcome::Unseen(_) => answer::ask(self, options).await,
        };
        let (is_answered, head) = (status.is_some(), status.as_ref().map(|status| status.changes_head));
        let mut checks = vec![("socket", socket), ("daemon", answer)];
        checks.extend(status.map(|status| ("versions", answer::versions(self, &status))));
        if self.is_of_system() {
            checks.push(("unit files", systemd::unit_files(self)));
            checks.push(("service", systemd::service(self)));
            checks.push(("socket unit", systemd::socket(self)));
            checks.push(("configuration", files::configuration(self)));
            checks.push(("secret key", files::secret_key(self, is_answered)));
            checks.push(("state directory", files::state_directory(self)));
            checks.push(("hooks", hooks::look(self, head)));
            if cluster::is_shared(self) {
                checks.push(("cluster unit", cluster::unit(self)));
                checks.push(("etcd", cluster::etcd(self)));
                checks.push(("cluster", cluster::members(self, options).await));
            }
        }
        // A daemon that answers has told of both itself.
        if !is_answered {
            checks.push(("disk", files::disk(self)));
            checks.push(("clock", systemd::clock()));
        }
        checks.into_iter().map(|(name, outcome)| Check { name, outcome }).collect()
    }

    /// True for the system's daemon, which systemd starts.
    fn is_of_system(&self) -> bool {
        self.socket == Path::new(SYSTEM_SOCKET)
    }

    /// The command that has the daemon listen.
    fn start(&self) -> String {
        match self.is_of_system() {
            true => "sudo systemctl start enrolld.socket".to_owned(),
            false => format!("start it: enrolld --socket {}", self.socket.display()),
        }
    }

    /// The command that has another daemon take over.
    fn restart(&self) -> &'static str {
        match self.is_of_system() {
            true => "sudo systemctl restart enrolld.service",
            false => "start the daemon of this socket again, or name another socket with --socket",
        }
    }

    /// A path of the machine.
    fn path(&self, absolute: &str) -> PathBuf {
        self.root.join(absolute.trim_start_matches('/'))
    }
}

impl Outcome {
    /// The findings, or the words where there are none.
    fn of(found: Vec<Finding>, fine: String) -> Self {
        if found.is_empty() { Self::Fine(fine) } else { Self::Found(found) }
    }
}

impl Check {
    /// The outcome in a word, and what was seen or why not.
    fn told(&self) -> (&'static str, String) {
        match &self.outcome {
            Outcome::Fine(seen) => ("fine", seen.clone()),
            Outcome::Found(found) => {
                let topics: Vec<&str> = found.iter().map(|finding| finding.topic.as_str()).collect();
                ("found", topics.join(", "))
            }
            Outcome::Unseen(why) => ("unseen", why.clone()),
        }
    }
}

fn summary(found: &[Finding], checks: &[Check]) -> Summary {
    let mut lines = vec![findings::sum(found), String::new()];
    lines.extend(findings::lines(found));
    if !found.is_empty() {
        lines.push(String::new());
    }
    let told = |check: &Check| (check.name, check.told());
    lines.extend(checks.iter().map(told).map(|(name, (word, text))| format!("{word:9}{name:17}{text}")));
    let rows: Vec<Value> = checks
        .iter()
        .map(told)
        .map(|(name, (outcome, text))| json!({"check": name, "outcome": outcome, "seen": text}))
        .collect();
    Summary {
        json: json!({"findings": found, "checks": rows}).to_string(),
        people: Value::String(lines.join("\n")).to_string(),
        scripts: json!(found).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use enroll_client::protocol::finding::Topic;

    use super::*;

    #[test]
    fn a_report_names_what_is_wrong_then_everything_that_was_looked_at() {
        let found = [Finding::of(Topic::UnreadUnit, "enrolld.service", &[("unit", "enrolld.service")])];
        let checks = [
            Check { name: "socket", outcome: Outcome::Fine("/s".to_owned()) },
            Check { name: "service", outcome: Outcome::Found(found.to_vec()) },
            Check { name: "secret key", outcome: Outcome::Unseen("needs root".to_owned()) },
        ];
        let summary = summary(&found, &checks);
        let people: String = serde_json::from_str(&summary.people).expect("a text");
        let expected = "\
1 thing is wrong

warning  A changed unit is not in force (enrolld.service)
         enrolld.service has changed on disk since systemd read it
         mend: sudo systemctl daemon-reload && sudo systemctl restart enrolld.service

fine     socket           /s
found    service          unread_unit
unseen   secret key       needs root";
        assert_eq!(people, expected);
        let json: Value = serde_json::from_str(&summary.json).expect("JSON");
        assert_eq!(json["findings"][0]["topic"], "unread_unit");
        assert_eq!(json["checks"][2], json!({"check": "secret key", "outcome": "unseen", "seen": "needs root"}));
    }
}
