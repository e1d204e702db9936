//! The command `server metrics`: prints the metrics in OpenMetrics or in Prometheus's older text format, or writes
//! them into a file for node_exporter's textfile collector, which reads the older format alone.

use std::fs::Permissions;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use enroll_client::protocol::{Operation as _, OperationRow, server};
use tempfile::NamedTempFile;

use crate::failure::Failure;
use crate::options::Options;
use crate::output::Output;

const TEXT: &str = "metrics.text";
const WRITE: &str = "metrics.write";

/// The mode of the file: the collector is another user.
const MODE: u32 = 0o644;

/// True for the operation whose reply is the metrics.
pub(crate) fn handles(row: &OperationRow) -> bool {
    row.number == server::Metrics::ROW.number
}

/// Adds the options of the form.
pub(crate) fn command(command: Command) -> Command {
    let text = Arg::new(TEXT).long("text").action(ArgAction::SetTrue);
    let write = Arg::new(WRITE).long("write").value_name("FILE").value_parser(value_parser!(PathBuf));
    command
        .arg(text.help("In the older text format, which node_exporter's textfile collector reads"))
        .arg(write.help("Into this file in that format; a file of before is replaced in one step"))
}

/// True if the older text format is asked for.
pub(crate) fn wants_text(matches: &ArgMatches) -> bool {
    matches.get_flag(TEXT) || matches.contains_id(WRITE)
}

/// Prints or writes the metrics in the older text format.
pub(crate) async fn run(matches: &ArgMatches, options: &Options, output: &Output) -> Result<ExitCode, Failure> {
    options.expect_no_request("server metrics --text")?;
    let text = older(&options.connect().await?.call(server::Metrics {}).await?);
    match matches.get_one::<PathBuf>(WRITE) {
        Some(path) => write(path, &text).map_err(|err| Failure::Own(format!("{}: {err}", path.display())))?,
        None if output.is_json() => {
            let json = serde_json::to_string(&text).map_err(|err| Failure::Own(err.to_string()))?;
            output.json(format!("{json}\n").as_bytes())?;
        }
        None => output.raw(text.as_bytes())?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Replaces the file in one step, so that a reader finds the text of before or this one, and never a part.
pub(crate) fn write(path: &Path, text: &str) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // The collector reads every file whose name ends with .prom; this one's does not.
    let mut file = NamedTempFile::with_prefix_in(".enrolld-metrics-", directory)?;
    file.write_all(text.as_bytes())?;
    file.as_file().set_permissions(Permissions::from_mode(MODE))?;
    file.persist(path)?;
    Ok(())
}

/// OpenMetrics as the older text format: a counter's help and type bear the name that its samples have, and there are no
/// units and no end mark. Otherwise the older format's readers lose the help and the type of every counter.
fn older(text: &str) -> String {
    let (mut older, mut help) = (String::with_capacity(text.len()), "");
    for line in text.lines() {
        match line.strip_prefix("# ") {
            None => older.extend([line, "\n"]),
            Some(described) => match described.split_once(' ') {
                Some(("HELP", rest)) => help = rest,
                Some(("TYPE", rest)) => {
                    let (name, kind) = rest.split_once(' ').unwrap_or((rest, "untyped"));
                    let suffix = if kind == "counter" { "_total" } else { "" };
                    let words = help.split_once(' ').map_or("", |(_, words)| words);
                    older.push_str(&format!("# HELP {name}{suffix} {words}\n# TYPE {name}{suffix} {kind}\n"));
                }
                _ => {}
            },
        }
    }
    older
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_keep_their_help_and_type() {
        let text = "# HELP a Things done.\n# TYPE a counter\na_total{x=\"y\"} 3\n\
                    # HELP b_seconds Time.\n# TYPE b_seconds histogram\n# UNIT b_seconds seconds\n\
                    b_seconds_bucket{le=\"+Inf\"} 1\nb_seconds_sum 0.5\nb_seconds_count 1\n\
                    # HELP c Now.\n# TYPE c gauge\nc 7\n# EOF\n";
        let expected = "# HELP a_total Things done.\n# TYPE a_total counter\na_total{x=\"y\"} 3\n\
                        # HELP b_seconds Time.\n# TYPE b_seconds histogram\n\
                        b_seconds_bucket{le=\"+Inf\"} 1\nb_seconds_sum 0.5\nb_seconds_count 1\n\
                        # HELP c Now.\n# TYPE c gauge\nc 7\n";
        assert_eq!(older(text), expected);
    }

    #[test]
    fn a_file_is_replaced_and_may_be_read_by_others() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("enrolld.prom");
        for text in ["a 1\n", "a 2\n"] {
            write(&path, text).expect("written");
            assert_eq!(std::fs::read_to_string(&path).expect("a text"), text);
        }
        assert_eq!(path.metadata().expect("metadata").permissions().mode() & 0o777, MODE);
        assert_eq!(std::fs::read_dir(directory.path()).expect("a directory").count(), 1);
        assert!(write(&directory.path().join("nowhere/enrolld.prom"), "").is_err());
    }
}
