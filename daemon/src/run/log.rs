//! The log: lines on standard error, as text or JSON. Where standard error is systemd's journal, each line begins with
//! its priority as sd-daemon(3) has it, which the journal takes off again.

use std::fmt;
use std::io::IsTerminal as _;

use nix::sys::stat::fstat;
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

/// A format's lines, each with its priority in front if standard error is systemd's journal.
struct Prioritized<F> {
    format: F,
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
    let for_journal = is_journal();
    // A log whose reader is gone must not end the daemon, nor must an error line about that.
    let lines = tracing_subscriber::fmt::layer().log_internal_errors(false).with_writer(std::io::stderr);
    let lines = match config.log_format {
        LogFormat::Text => lines
            .with_ansi(std::io::stderr().is_terminal())
            .map_event_format(|format| Prioritized { format, for_journal })
            .boxed(),
        LogFormat::Json => lines.json().map_event_format(|format| Prioritized { format, for_journal }).boxed(),
    };
    let started = tracing_subscriber::registry().with(filter).with(lines).try_init();
    started.map_err(|err| StartError::Io("the log".to_owned(), std::io::Error::other(err)))?;
    Ok(handle)
}

/// The prefix of a line of this level on standard error.
pub(super) fn prefix(level: Level) -> &'static str {
    if is_journal() { priority(level) } else { "" }
}

/// True if standard error is the stream to the journal that the environment names. The variable alone is no proof:
/// children inherit it whose standard error goes elsewhere.
fn is_journal() -> bool {
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

impl<S, N, F> FormatEvent<S, N> for Prioritized<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        if self.for_journal {
            to.write_str(priority(*event.metadata().level()))?;
        }
        self.format.format_event(context, to, event)
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

    #[test]
    fn lines_bear_their_priority_for_the_journal_alone() {
        for (for_journal, prefixes) in [(true, ["<3>{", "<4>{", "<6>{", "<7>{"]), (false, ["{"; 4])] {
            let buffer = Buffer::default();
            let to = buffer.clone();
            let lines = tracing_subscriber::fmt::layer().with_writer(move || to.clone()).json();
            let lines = lines.map_event_format(|format| Prioritized { format, for_journal });
            tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), || {
                tracing::error!("a");
                tracing::warn!("b");
                tracing::info!("c");
                tracing::debug!("d");
            });
            let written = String::from_utf8(buffer.0.lock().expect("a buffer").clone()).expect("text");
            assert_eq!(written.lines().count(), prefixes.len(), "{written}");
            assert!(written.lines().zip(prefixes).all(|(line, prefix)| line.starts_with(prefix)), "{written}");
        }
    }
}
