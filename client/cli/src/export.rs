//! `enrollctl server export`: the lines of a walk, into a file that has its name when it is whole, or to standard output.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Arg, ArgMatches, Command, value_parser};
use enroll_client::protocol::export::End;
use enroll_client::protocol::server;
use enroll_client::protocol::{Envelope, Operation as _, OperationRow, codec};
use enroll_client::{Error, RawStream};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::failure::Failure;
use crate::options::Options;
use crate::output::Output;
use crate::place::Place;

const FILE: &str = "export.file";

/// What was written.
struct Written {
    bytes: u64,
    records: u64,
}

/// Whether it is the operation whose items are an export.
pub(crate) fn is_one(row: &OperationRow) -> bool {
    row.number == server::Export::ROW.number
}

/// An export's command with the file that its items go to.
pub(crate) fn command(command: Command) -> Command {
    let help = "Where to write it; - and nothing are standard output";
    command.arg(Arg::new(FILE).value_name("FILE").help(help).value_parser(value_parser!(PathBuf)))
}

/// Asks and writes.
pub(crate) async fn run(
    row: &'static OperationRow,
    matches: &ArgMatches,
    envelope: Envelope,
    request: &[u8],
    options: &Options,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let path = matches.get_one::<PathBuf>(FILE).filter(|path| path.as_os_str() != "-");
    let place = path.map(|path| Place::find(path, "export")).transpose()?;
    let bar = bar(None, place.is_some() || !io::stdout().is_terminal(), output);
    let mut stream = options.lazy().stream_raw(row, envelope, request).await?;
    let Some(place) = place else {
        let put = |bytes: &[u8]| {
            output.raw(bytes).map_err(|failure| match failure {
                Failure::Io(err) => Failure::Own(format!("standard output: {err}; what was read is no export")),
                other => other,
            })
        };
        let Written { bytes, records } = copy(&mut stream, put, &bar).await?;
        output.note(&format!("{bytes} bytes, {records} records"));
        return Ok(ExitCode::SUCCESS);
    };
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::Io)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::Io)?;
    let interrupted = || Failure::Own("interrupted; nothing was kept".to_owned());
    tokio::select! {
        written = write(&mut stream, &place, &bar, output) => written,
        _ = interrupt.recv() => Err(interrupted()),
        _ = terminate.recv() => Err(interrupted()),
    }
}

async fn write(stream: &mut RawStream, place: &Place, bar: &ProgressBar, output: &Output) -> Result<ExitCode, Failure> {
    let mut file = place.begin()?;
    let Written { bytes, records } = copy(stream, |bytes| file.write_all(bytes).map_err(place.failed()), bar).await?;
    place.publish(file)?;
    let told = json!({ "file": place.name(), "bytes": bytes, "records": records });
    output.reply("server.export", &told.to_string())?;
    Ok(ExitCode::SUCCESS)
}

/// Hands on what comes; its last line must say how many records there were.
async fn copy(
    stream: &mut RawStream,
    mut put: impl FnMut(&[u8]) -> Result<(), Failure>,
    bar: &ProgressBar,
) -> Result<Written, Failure> {
    let unreadable = |err: String| Failure::Client(Error::Protocol(format!("what the daemon sent: {err}")));
    let (mut bytes, mut lines, mut last) = (0, 0_u64, String::new());
    while let Some(item) = stream.next().await {
        let piece: String = codec::decode(&item?).map_err(|err| unreadable(err.0))?;
        put(piece.as_bytes())?;
        bytes += piece.len() as u64;
        lines += piece.matches('\n').count() as u64;
        last.push_str(&piece);
        let whole = last.trim_end_matches('\n');
        if let Some(end) = whole.rfind('\n') {
            last.drain(..=end);
        }
        bar.set_position(bytes);
        bar.set_message(format!("{lines} lines"));
    }
    bar.finish_and_clear();
    match serde_json::from_str::<End>(&last) {
        Ok(End { enrolld_export_end: records }) if lines == records + 2 => Ok(Written { bytes, records }),
        _ => Err(unreadable("an export without its last line".to_owned())),
    }
}

/// A bar on a terminal, over the bytes of a file; without its end where nobody knows it; nothing elsewhere.
pub(crate) fn bar(bytes: Option<u64>, is_wanted: bool, output: &Output) -> ProgressBar {
    if !is_wanted || output.is_json() || !io::stderr().is_terminal() {
        return ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
    }
    let (bar, template) = match bytes {
        Some(bytes) => {
            (ProgressBar::new(bytes), "{bar:40} {percent}%, {bytes} of {total_bytes}, {elapsed}, {eta} left {msg}")
        }
        None => (ProgressBar::no_length(), "{spinner} {bytes}, {elapsed} {msg}"),
    };
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
