//! The log: lines on standard error, as text or JSON, or messages with fields straight in systemd's journal. The
//! journal is chosen where standard error leads there and text is the format. Where it does not listen, and for JSON,
//! each line begins with its priority as sd-daemon(3) has it, which the journal takes off again.
//!
//! A line may hold text of a client. Every line, of the log or of an error before it starts, passes through
//! [`one_line`]: a client's text can neither begin a line nor steer a terminal, and is cut where it is long. Panics
//! are lines of the log too.

mod journald;

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use enroll_protocol::is_interpreted;
use nix::sys::stat::fstat;
use serde_json::Value;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::StartError;
use super::reload::LogFilter;
use crate::config::{Config, ConfigError, LogFormat};
use journald::Journald;

/// Bytes of a line before it is escaped; what is longer is cut.
const LINE_BYTES_MAX: usize = 8 << 10;

/// Characters of a text in a line of JSON that is too long; the longer ones are cut.
const JSON_TEXT_CHARACTERS_MAX: usize = 1 << 10;

/// A format's lines made safe, each with its priority in front if standard error is systemd's journal.
struct Lines<F> {
    format: F,
    log_format: LogFormat,
    for_journal: bool,
}

/// The filter in the configuration. Refuses one that can not be parsed.
pub(super) fn filter(config: &Config) -> Result<EnvFilter, ConfigError> {
    EnvFilter::try_new(&config.log).map_err(|_| {
        let why = "log must be a level such as info, or filters such as info,enrolld::writer=debug";
        ConfigError(why.to_owned())
    })
}

pub(super) fn start(config: &Config) -> Result<LogFilter, StartError> {
    let (filter, handle) = tracing_subscriber::reload::Layer::new(filter(config)?);
    let (log_format, for_journal) = (config.log_format, is_journal());
    let journald = (for_journal && log_format == LogFormat::Text).then(Journald::of_this_machine).flatten();
    // A log whose reader is gone must not end the daemon, nor must an error line about that. No colors: they are
    // control characters, and could not be told from those of a client.
    let lines =
        tracing_subscriber::fmt::layer().log_internal_errors(false).with_ansi(false).with_writer(std::io::stderr);
    let lines = match log_format {
        LogFormat::Text => lines.map_event_format(|format| Lines { format, log_format, for_journal }).boxed(),
        LogFormat::Json => lines.json().map_event_format(|format| Lines { format, log_format, for_journal }).boxed(),
    };
    let lines = journald.is_none().then_some(lines);
    let started = tracing_subscriber::registry().with(filter).with(lines).with(journald).try_init();
    started.map_err(|err| StartError::Io("the log".to_owned(), std::io::Error::other(err)))?;
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(|place| format!("{}:{}", place.file(), place.line())).unwrap_or_default();
        let (thread, text) = (std::thread::current(), panic.payload_as_str().unwrap_or("without a text"));
        tracing::error!(thread = thread.name(), place, text, "a thread panicked");
    }));
    Ok(handle)
}

/// The prefix of a line of this level on standard error.
pub(super) fn prefix(level: Level) -> &'static str {
    if is_journal() { priority(level) } else { "" }
}

/// A text as one line that no terminal and no reader of a log interprets, without a line end. What is past a bound is
/// counted.
pub(super) fn one_line(text: &str) -> String {
    let shown = text.floor_char_boundary(LINE_BYTES_MAX);
    let line = escaped(&text[..shown]);
    if shown == text.len() { line } else { format!("{line} [and {} bytes more]", text.len() - shown) }
}

/// The text with the characters escaped that a reader would interpret, as `\n` or `\u001b`; JSON stays what it is.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        // Writing into a string can not fail.
        let _ = match c {
            '\n' => escaped.write_str("\\n"),
            c if is_interpreted(c) => write!(escaped, "\\u{:04x}", u32::from(c)),
            c => escaped.write_char(c),
        };
    }
    escaped
}

/// A line of JSON whose long texts are cut, so that it stays JSON.
fn shortened(json: &str) -> Cow<'_, str> {
    if json.len() <= LINE_BYTES_MAX {
        return json.into();
    }
    let Ok(mut line) = serde_json::from_str::<Value>(json) else { return json.into() };
    cut_texts(&mut line);
    line.to_string().into()
}

fn cut_texts(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Some((end, _)) = text.char_indices().nth(JSON_TEXT_CHARACTERS_MAX) {
                let more = text.len() - end;
                text.truncate(end);
                let _ = write!(text, " [and {more} bytes more]");
            }
        }
        Value::Object(members) => members.values_mut().for_each(cut_texts),
        Value::Array(items) => items.iter_mut().for_each(cut_texts),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// True if standard error is the stream to the journal that the environment names. The variable alone is no proof:
/// children inherit it whose standard error goes elsewhere.
pub(super) fn is_journal() -> bool {
    let Ok(named) = std::env::var("JOURNAL_STREAM") else { return false };
    fstat(std::io::stderr()).is_ok_and(|stderr| named == format!("{}:{}", stderr.st_dev, stderr.st_ino))
}

/// A level as a priority of syslog.
fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "<3>",
        Level::WARN => "<4>",
        Level::INFO => "<6>",
        _ => "<7>",
    }
}

impl<S, N, F> FormatEvent<S, N> for Lines<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut raw = String::new();
        self.format.format_event(context, Writer::new(&mut raw), event)?;
        let raw = raw.strip_suffix('\n').unwrap_or(&raw);
        if self.for_journal {
            to.write_str(priority(*event.metadata().level()))?;
        }
        let line = match self.log_format {
            LogFormat::Text => one_line(raw),
            LogFormat::Json => escaped(&shortened(raw)),
        };
        writeln!(to, "{line}")
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("a buffer").write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// The lines that are logged in this format.
    fn logged(log_format: LogFormat, for_journal: bool, log: impl FnOnce()) -> String {
        let buffer = Buffer::default();
        let to = buffer.clone();
        let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(move || to.clone());
        let lines = match log_format {
            LogFormat::Text => lines.map_event_format(|format| Lines { format, log_format, for_journal }).boxed(),
            LogFormat::Json => {
                lines.json().map_event_format(|format| Lines { format, log_format, for_journal }).boxed()
            }
        };
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), log);
        String::from_utf8(buffer.0.lock().expect("a buffer").clone()).expect("text")
    }

    #[test]
    fn lines_bear_their_priority_for_the_journal_alone() {
        for (for_journal, prefixes) in [(true, ["<3>{", "<4>{", "<6>{", "<7>{"]), (false, ["{"; 4])] {
            let written = logged(LogFormat::Json, for_journal, || {
                tracing::error!("a");
                tracing::warn!("b");
                tracing::info!("c");
                tracing::debug!("d");
            });
            assert_eq!(written.lines().count(), prefixes.len(), "{written}");
            assert!(written.lines().zip(prefixes).all(|(line, prefix)| line.starts_with(prefix)), "{written}");
        }
    }

    #[test]
    fn no_text_leaves_its_line_or_steers_a_reader() {
        let long = "\u{1b}".repeat(1 << 20);
        for hostile in ["a\n<0>b", "\r\n{}", "\u{1b}[2J\u{7}", "\u{9b}31m", "\u{202e}\u{2066}\u{2028}\0", &long] {
            for log_format in [LogFormat::Text, LogFormat::Json] {
                let written = logged(log_format, true, || {
                    tracing::error!(display = %hostile, debug = ?hostile, text = hostile, "{hostile}");
                });
                let line = written.strip_suffix('\n').expect("a line end");
                assert!(!line.contains(is_interpreted), "{line:?}");
                assert!(line.starts_with("<3>") && line.len() < 64 << 10, "{} bytes", line.len());
                if log_format == LogFormat::Json {
                    let fields = &serde_json::from_str::<Value>(&line[3..]).expect("JSON")["fields"];
                    let hostile =
                        if hostile.len() < LINE_BYTES_MAX { hostile } else { fields["text"].as_str().expect("a text") };
                    assert_eq!((fields["display"].as_str(), fields["text"].as_str()), (Some(hostile), Some(hostile)));
                }
            }
        }
    }
}
