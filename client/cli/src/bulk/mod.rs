//! The bulk writes from a file, such as `program link --file`: the rows are sent in batches, each a bulk write under an
//! idempotency key derived from the command's key and its number, so the same command on the same file resumes.
//!
//! Rows that fail are reported by line, as CSV or as JSON lines; the others are done. With `--all-or-nothing` the whole
//! file is tried first in dry runs, and nothing is written unless every row would succeed. The dry runs find the same
//! failures as the writes, as long as nobody else writes.

mod conflict_groups;
pub(crate) mod dedup;
pub(crate) mod header;
mod read_buffer;
mod report;
pub(crate) mod rows;
mod send;
mod units;

use std::fs::{File, Metadata};
use std::io::{self, Read, Seek as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use enroll_client::protocol::{Envelope, Operation as _, OperationRow, program};

use self::conflict_groups::ConflictGroups;
use self::report::Report;
use self::rows::{Rows, spooled};
pub(crate) use self::send::PATIENCE;
use self::send::{Count, Run, send};
use self::units::Bulk;
use crate::failure::Failure;
use crate::files::progress_bar;
use crate::options::Options;
use crate::output::Output;
use crate::process::stdin;

const FILE: &str = "bulk.file";
const FAILURES: &str = "bulk.failures";
const DELIMITER: &str = "bulk.delimiter";
const ALL_OR_NOTHING: &str = "bulk.all_or_nothing";

/// The styles of the progress bar: for a file, and for a pipe.
pub(crate) const BAR: [&str; 2] =
    ["{bar:40} {percent}%, {msg} rows, {elapsed}, {eta} left", "{spinner} {msg} rows, {elapsed}"];

/// True for an operation whose units can come from a file.
pub(crate) fn handles(row: &OperationRow) -> bool {
    [program::Link::ROW, program::Enroll::ROW, program::EnrollCourse::ROW].iter().any(|one| one.number == row.number)
}

/// Adds the options for files.
pub(crate) fn command(command: Command) -> Command {
    let path = |id: &'static str, long: &'static str, help: &'static str| {
        Arg::new(id).long(long).value_name("FILE").help(help).value_parser(value_parser!(PathBuf))
    };
    let file = "Read rows from here, CSV with a header or one JSON object per line; - is standard input";
    let failures = "Write what failed here, as CSV, instead of to standard output";
    let all = "Write nothing unless every row would succeed";
    let all = Arg::new(ALL_OR_NOTHING).long("all-or-nothing").help(all).action(ArgAction::SetTrue).requires(FILE);
    let delimiter = Arg::new(DELIMITER).long("delimiter").value_name("CHARACTER").default_value(",").requires(FILE);
    let delimiter = delimiter.help("What stands between the columns of a CSV file: , or ; or tab");
    let delimiter = delimiter.value_parser(header::delimiter);
    command
        .arg(delimiter)
        .arg(path(FILE, "file", file))
        .arg(path(FAILURES, "failures", failures).requires(FILE))
        .arg(all)
}

/// True if the command line names a file.
pub(crate) fn has_file(matches: &ArgMatches) -> bool {
    matches.get_one::<PathBuf>(FILE).is_some()
}

/// Sends the rows of the file and reports the failures. The exit code is 1 if a row failed.
pub(crate) async fn run(
    row: &OperationRow,
    matches: &ArgMatches,
    envelope: Envelope,
    options: &Options,
    output: &Output,
) -> Result<ExitCode, Failure> {
    if row.number == program::Link::ROW.number {
        run_one::<program::Link>(matches, envelope, options, output).await
    } else if row.number == program::Enroll::ROW.number {
        run_one::<program::Enroll>(matches, envelope, options, output).await
    } else {
        run_one::<program::EnrollCourse>(matches, envelope, options, output).await
    }
}

async fn run_one<B: Bulk>(
    matches: &ArgMatches,
    envelope: Envelope,
    options: &Options,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let mut operation = B::from_arg_matches(matches).map_err(|err| Failure::Usage(err.to_string()))?;
    if !operation.replace(Vec::new()).is_empty() {
        return Err(Failure::Usage("rows come either from --file or from the command line".to_owned()));
    }
    let path = matches.get_one::<PathBuf>(FILE).ok_or_else(|| Failure::Usage("expected a file".to_owned()))?;
    let is_stdin = path.as_os_str() == "-";
    let delimiter = matches.get_one::<u8>(DELIMITER).copied().unwrap_or(b',');
    let all_or_nothing = matches.get_flag(ALL_OR_NOTHING);
    if all_or_nothing && envelope.key.is_some() {
        let why =
            "--key goes on with a file that was begun, and --all-or-nothing tries one that was not; give one of them";
        return Err(Failure::Usage(why.to_owned()));
    }
    let mut report = Report::new(matches.get_one::<PathBuf>(FAILURES), output)?;
    let client = options.patient(PATIENCE);
    let failed = |err: io::Error| Failure::Own(format!("{}: {err}", path.display()));
    let (input, bytes): (Box<dyn Read>, _) = if is_stdin {
        (Box::new(stdin::take("file")?), None)
    } else {
        let file = File::open(path).map_err(failed)?;
        // The size is known of a regular file only, and only that can be read twice.
        let bytes = file.metadata().ok().filter(Metadata::is_file).map(|file| file.len());
        (Box::new(file), bytes)
    };
    if !all_or_nothing && !envelope.dry_run {
        let run = Run { envelope, groups: None, again: "" };
        let count =
            send(&client, &operation, run, Rows::open(input, B::COLUMNS, delimiter)?, bytes, &mut report, output)
                .await?;
        return end(report, &count, false, output);
    }
    let mut file = if bytes.is_some() { File::open(path) } else { spooled(input) }.map_err(failed)?;
    let bytes = file.metadata().ok().map(|file| file.len());
    let mut rows = || {
        file.rewind().map_err(failed)?;
        Rows::open(file.try_clone().map_err(failed)?, B::COLUMNS, delimiter)
    };
    let bar = progress_bar(bytes, BAR, output);
    let groups = ConflictGroups::look_up(&client, &operation, rows()?, |rows, bytes| {
        bar.set_message(rows.to_string());
        bar.set_position(bytes);
    });
    let groups = groups.await?;
    bar.finish_and_clear();
    let dry_run = Envelope { dry_run: true, ..envelope.clone() };
    let run = Run { envelope: dry_run, groups: Some(groups), again: "" };
    let tried = send(&client, &operation, run, rows()?, bytes, &mut report, output).await?;
    if tried.failed > 0 || envelope.dry_run {
        return end(report, &tried, !envelope.dry_run, output);
    }
    let run = Run { envelope, groups: None, again: " in place of --all-or-nothing" };
    let count = send(&client, &operation, run, rows()?, bytes, &mut report, output).await?;
    end(report, &count, false, output)
}

fn end(report: Report, count: &Count, nothing_was_done: bool, output: &Output) -> Result<ExitCode, Failure> {
    report.end(count, nothing_was_done, output)?;
    Ok(if count.failed > 0 { ExitCode::from(1) } else { ExitCode::SUCCESS })
}
