//! The log in systemd's journal, by its native protocol: each line is a message with fields, by which journalctl finds
//! the lines of an operation, a user, a connection or an error id.
//!
//! The message is the whole line as it would be on standard error, values of fields included, because journalctl shows
//! messages alone. The fields stand beside it under their names with the prefix `ENROLLD_`. Both pass through
//! [`one_line`](super::one_line), so no text of a client is a field of its own or steers a terminal. What the journal
//! does not take is written to standard error, which systemd reads, too.

use std::fmt::{Debug, Write as _};
use std::io::{self, Write as _};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use super::{one_line, priority};

/// The journal's socket.
const SOCKET: &str = "/run/systemd/journal/socket";

const IDENTIFIER: &str = "enrolld";

/// The prefix of our fields: the others belong to the journal and to everybody.
const PREFIX: &str = "ENROLLD_";

/// Characters of a field's name; the journal takes no longer ones.
const NAME_MAX: usize = 64;

/// The journal as a layer of the log.
#[derive(Debug)]
pub(super) struct Journald {
    /// It sends to a path and has no connection, so that a journal that was restarted gets the next line.
    socket: UnixDatagram,
    path: PathBuf,
}

/// The message and the fields of a line.
#[derive(Debug, Default)]
struct Line {
    message: String,
    fields: Vec<(String, String)>,
}

impl Journald {
    /// The journal of this machine, if it listens.
    pub(super) fn of_this_machine() -> Option<Self> {
        Self::at(Path::new(SOCKET)).ok().filter(|journal| journal.path.exists())
    }

    fn at(path: &Path) -> io::Result<Self> {
        Ok(Self { socket: UnixDatagram::unbound()?, path: path.to_owned() })
    }
}

impl<S: Subscriber> Layer<S> for Journald {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let (metadata, mut line) = (event.metadata(), Line::default());
        event.record(&mut line);
        let bytes = line.entry(*metadata.level(), metadata.target());
        if self.socket.send_to(&bytes, &self.path).is_err() {
            // A log whose reader is gone must not end the daemon.
            let mut stderr = io::stderr().lock();
            let _ = writeln!(stderr, "{}{}", priority(*metadata.level()), one_line(&line.whole()));
        }
    }
}

impl Line {
    /// The message with the values of all fields after it.
    fn whole(&self) -> String {
        let mut whole = self.message.clone();
        for (name, value) in &self.fields {
            let _ = write!(whole, " {name}={value}");
        }
        whole
    }

    /// The datagram: a line for each field, `NAME=value`. No value has a line end.
    fn entry(&self, level: Level, target: &str) -> Vec<u8> {
        let mut entry = String::new();
        let mut add = |name: &str, value: &str| {
            let _ = writeln!(entry, "{name}={value}");
        };
        add("MESSAGE", &one_line(&self.whole()));
        add("PRIORITY", priority(level).trim_matches(['<', '>']));
        add("SYSLOG_IDENTIFIER", IDENTIFIER);
        add(&format!("{PREFIX}TARGET"), target);
        for (name, value) in &self.fields {
            let value = unquoted(value);
            add(&field_name(name), &one_line(&value));
        }
        entry.into_bytes()
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            // Quoted in the message, so that a text can not pose as another field there.
            self.fields.push((field.name().to_owned(), format!("{value:?}")));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else {
            self.fields.push((field.name().to_owned(), format!("{value:?}")));
        }
    }
}

/// The name of a field in the journal: capitals, digits and underscores.
fn field_name(name: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    PREFIX.chars().chain(name.chars().map(letter)).take(NAME_MAX).collect()
}

/// The value of a field without the quotes that it has in the message.
fn unquoted(value: &str) -> String {
    let inside = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    inside.map_or_else(|| value.to_owned(), |inside| inside.replace("\\\"", "\"").replace("\\\\", "\\"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use enroll_protocol::is_interpreted;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    /// The fields of what is logged, as a journal receives them.
    fn received(log: impl FnOnce()) -> BTreeMap<String, String> {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("socket");
        let journal = UnixDatagram::bind(&path).expect("a socket");
        let layer = Journald::at(&path).expect("a socket");
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), log);
        let mut bytes = vec![0; 1 << 20];
        let length = journal.recv(&mut bytes).expect("a datagram");
        let text = String::from_utf8(bytes[..length].to_vec()).expect("text");
        let lines = text.lines().map(|line| line.split_once('=').expect("NAME=value"));
        let fields: BTreeMap<_, _> = lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        assert_eq!(fields.len(), text.lines().count(), "a field for each line: {text}");
        fields
    }

    #[test]
    fn a_line_has_its_priority_and_its_fields() {
        let fields = received(|| {
            let (uid, name) = (1000, "a \"b\" \\c");
            tracing::error!(error = "c0ffee", operation = "person.get", uid, name, shown = %"x y", "it {}", "failed");
        });
        for (name, expected) in [
            ("MESSAGE", r#"it failed error="c0ffee" operation="person.get" uid=1000 name="a \"b\" \\c" shown=x y"#),
            ("PRIORITY", "3"),
            ("SYSLOG_IDENTIFIER", "enrolld"),
            ("ENROLLD_ERROR", "c0ffee"),
            ("ENROLLD_OPERATION", "person.get"),
            ("ENROLLD_UID", "1000"),
            ("ENROLLD_NAME", r#"a "b" \c"#),
            ("ENROLLD_SHOWN", "x y"),
        ] {
            assert_eq!(fields.get(name).map(String::as_str), Some(expected), "{name}: {fields:?}");
        }
        assert!(fields["ENROLLD_TARGET"].starts_with("enrolld::run::log"), "{fields:?}");
        for (priority, log) in [("4", (|| tracing::warn!("x")) as fn()), ("6", || tracing::info!("x"))] {
            assert_eq!(received(log)["PRIORITY"], priority);
        }
        assert_eq!(received(|| tracing::debug!("x"))["PRIORITY"], "7");
    }

    #[test]
    fn no_text_of_a_client_is_a_field_of_its_own() {
        let long = "\u{1b}".repeat(100_000);
        for hostile in ["a\nMESSAGE=FORGED", "\r\nPRIORITY=0", "\u{1b}[2J\u{202e}\0", "\" uid=0", &long] {
            let fields = received(|| tracing::info!(client = hostile, shown = %hostile, "{hostile}"));
            assert_eq!(fields.len(), 6, "{fields:?}");
            assert_eq!((fields["PRIORITY"].as_str(), fields["SYSLOG_IDENTIFIER"].as_str()), ("6", "enrolld"));
            for value in fields.values() {
                assert!(!value.contains(is_interpreted) && value.len() < 64 << 10, "{} bytes", value.len());
            }
        }
    }

    #[test]
    fn a_journal_that_is_gone_costs_nothing_but_the_field_form() {
        let directory = tempfile::tempdir().expect("a directory");
        let layer = Journald::at(&directory.path().join("nowhere")).expect("a socket");
        // It goes to standard error, and the daemon goes on.
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || tracing::info!("on stderr"));
        assert_eq!(field_name("state_dir"), "ENROLLD_STATE_DIR");
        assert_eq!(field_name(&"x-1".repeat(40)).len(), NAME_MAX);
    }
}
