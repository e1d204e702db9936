//! The command `import`: migration of people, roles, pools, enrollments, spent tokens and login codes from CSV or JSON
//! lines.
//!
//! Each row is a request of its own, or a transaction, and many are in flight. A record is known again by its natural
//! name, so a second run does nothing twice, however the file was edited and whenever it comes.

mod enrollment;
mod fields;
mod kind;
mod mapping;
mod outcome;
mod person;
mod pool;
mod result_file;
mod row;
mod secret;

use std::collections::VecDeque;
use std::fs::{File, Metadata};
use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{ArgMatches, Args, Command, FromArgMatches, ValueEnum};
use enroll_client::Error;
use enroll_client::protocol::Time;
use indicatif::ProgressBar;
use serde_json::{Map, Value, json};
use tokio::task::JoinHandle;

use self::kind::Kind;
use self::mapping::Mapping;
use self::outcome::{Caller, Outcome};
use self::result_file::{ResultFile, told_before};
use self::row::Item;
use crate::bulk::dedup::Dedup;
use crate::bulk::rows::{Row, Rows};
use crate::bulk::{BAR, PATIENCE, header};
use crate::failure::Failure;
use crate::files::progress_bar;
use crate::options::Options;
use crate::output::Output;
use crate::process::stdin;

/// Rows in flight.
const WINDOW: usize = 128;

/// Rows after which the result is written out.
const FLUSH_ROWS: u64 = 128;

/// Take over people, pools, enrollments, tokens and codes from another system
///
/// Reads rows of one kind, CSV with a header or one JSON object per line, and writes each to the registry. A column
/// that has the name of a field fills it; --map names the column of another field, and --set gives all rows the same
/// value. OBJECT.NAME is a member of a field that is a JSON object, such as extra.team. Times are RFC 3339, as
/// PostgreSQL prints them, or seconds since 1970. Old pks and times, which nothing can set, are kept in the first
/// object under `imported`.
///
/// A record is known again by its callsign, invite code or token, so the same file, or an edited one, may be imported
/// any number of times: what is there already with the same values is left alone, and what differs is refused. --result
/// has every row with what became of it, and may be the FILE of the next run, which passes over what is done. Import
/// people first, then roles, pools, enrollments, tokens and codes. It needs the grant admin.
///
/// The last line counts the rows: carried, there already, refused, and those that no registry can take over, such as a
/// used code. The exit code is 1 if a row was refused.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  printf 'login,team\\nOTTER04d,red\\n' | enrollctl import people - --map callsign=login --map extra.team=team --set roles=member
  printf '{\"token\":\"n-4711\",\"created\":1769882400}\\n' | enrollctl import tokens - --dry-run
  printf 'owner,invitecode\\nBOSS,K7QWM2XB\\n' | enrollctl import pools - --result pools.result.csv")]
struct Import {
    /// The kind of the rows
    #[arg(id = "import.kind", value_name = "KIND")]
    kind: Kind,
    /// The rows; - is standard input
    #[arg(id = "import.file", value_name = "FILE")]
    file: PathBuf,
    /// Fill a field from this column, or in JSON lines from this member; may be repeated
    #[arg(id = "import.map", long = "map", value_name = "FIELD=COLUMN")]
    map: Vec<String>,
    /// Give a field the same value in all rows; may be repeated
    #[arg(id = "import.set", long = "set", value_name = "FIELD=VALUE")]
    set: Vec<String>,
    /// The format of the file [default: told by its first character]
    #[arg(id = "import.format", long = "format", value_name = "FORMAT")]
    format: Option<Format>,
    /// The separator of the columns of a CSV file: , or ; or tab
    #[arg(id = "import.delimiter", long = "delimiter", value_name = "CHARACTER", default_value = ",",
        value_parser = header::delimiter)]
    delimiter: u8,
    /// Write every row and what became of it here, instead of only those that were not carried to standard output. New
    /// login and approve codes stand in it
    #[arg(id = "import.result", long = "result", value_name = "FILE")]
    result: Option<PathBuf>,
}

/// The format of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Columns between delimiters, with a header
    Csv,
    /// A JSON object on each line
    Jsonl,
}

/// The counts of a run.
#[derive(Debug, Default)]
struct Count {
    rows: u64,
    carried: u64,
    there: u64,
    refused: u64,
    not_carried: u64,
}

/// The command line.
pub(crate) fn command() -> Command {
    Import::augment_args(Command::new("import"))
}

/// Carries the rows and tells the outcome of each. The exit code is 1 if one was refused.
pub(crate) async fn run(matches: &ArgMatches, options: &Options, output: &Output) -> Result<ExitCode, Failure> {
    options.expect_no_field("import")?;
    let envelope = options.envelope();
    if envelope.key.is_some() {
        let why = "import has no --key: a row is known again by its name, so the same command does nothing twice";
        return Err(Failure::Usage(why.to_owned()));
    }
    let import = Import::from_arg_matches(matches).map_err(|err| Failure::Usage(err.to_string()))?;
    if import.kind == Kind::Codes && import.result.is_none() && !envelope.dry_run {
        let why = "login codes are drawn anew and shown once; give --result FILE, which will have them";
        return Err(Failure::Usage(why.to_owned()));
    }
    let shape = import.kind.shape();
    let mapping = Mapping::of(shape, &import.map, &import.set)?;
    let (input, bytes): (Box<dyn Read>, _) = if import.file.as_os_str() == "-" {
        (Box::new(stdin::take("file")?), None)
    } else {
        let failed = |err: std::io::Error| Failure::Usage(format!("{}: {err}", import.file.display()));
        let file = File::open(&import.file).map_err(failed)?;
        let bytes = file.metadata().ok().filter(Metadata::is_file).map(|file| file.len());
        (Box::new(file), bytes)
    };
    let is_json = import.format.map(|format| format == Format::Jsonl);
    let rows = Rows::open_any(input, import.delimiter, is_json)?;
    if let Some(columns) = rows.columns() {
        mapping.expect_columns(shape, &columns, import.delimiter)?;
    }
    let caller = Caller {
        client: options.connect_patient(PATIENCE).await?,
        is_dry_run: envelope.dry_run,
        pools: Arc::default(),
    };
    let result = ResultFile::new(import.result.as_deref(), rows.columns(), import.delimiter, output)?;
    let mut migration = Migration {
        kind: import.kind,
        mapping,
        caller,
        result,
        open: VecDeque::new(),
        dedup: Dedup::default(),
        count: Count::default(),
        now: now(),
    };
    let bar = progress_bar(bytes, BAR, output);
    let carried = migration.carry_all(rows, &bar).await;
    let flushed = migration.result.flush();
    bar.finish_and_clear();
    if let Err(failure) = carried {
        output.note(&format!("{}; the same command goes on where it was", migration.count.words(envelope.dry_run)));
        return Err(failure);
    }
    flushed?;
    migration.end(envelope.dry_run, output)
}

/// An import on its way.
struct Migration {
    kind: Kind,
    mapping: Mapping,
    caller: Caller,
    result: ResultFile,
    open: VecDeque<Open>,
    dedup: Dedup,
    count: Count,
    now: Time,
}

/// A row in flight.
struct Open {
    line: u64,
    record: Map<String, Value>,
    outcome: Pending,
}

enum Pending {
    Known(Outcome),
    Asked(JoinHandle<Result<Outcome, Error>>),
    /// The earlier run told it.
    Before,
}

impl Migration {
    async fn carry_all(&mut self, mut rows: Rows, bar: &ProgressBar) -> Result<(), Failure> {
        while let Some(Row { line, unit }) = rows.next::<Map<String, Value>>()? {
            while self.open.len() >= WINDOW {
                self.take().await?;
            }
            let (record, outcome) = match unit {
                Ok(record) => {
                    let outcome = self.begin(&record);
                    (record, outcome)
                }
                Err(why) => (Map::new(), Pending::Known(Outcome::unreadable(why))),
            };
            self.open.push_back(Open { line, record, outcome });
            bar.set_position(rows.bytes());
            bar.set_message(self.count.rows.to_string());
        }
        while !self.open.is_empty() {
            self.take().await?;
        }
        if self.count.rows == 0 {
            return Err(Failure::Own(format!("no row was read from {} bytes: a header alone is no row", rows.bytes())));
        }
        Ok(())
    }

    /// Reads a row and begins to carry it.
    fn begin(&mut self, record: &Map<String, Value>) -> Pending {
        let fields = self.mapping.apply(record);
        let item = match Item::read(self.kind, &fields, self.now) {
            Ok(item) => item,
            Err(why) => return Pending::Known(Outcome::unreadable(why)),
        };
        if !self.dedup.insert(&item.name()) {
            let why = "the same record stands in the file before; upper and lower case do not matter";
            return Pending::Known(Outcome::unreadable(why));
        }
        if told_before(record).is_some() {
            return Pending::Before;
        }
        let caller = self.caller.clone();
        Pending::Asked(tokio::spawn(async move { item.carry(&caller).await }))
    }

    /// Awaits the outcome of the oldest row and writes it down.
    async fn take(&mut self) -> Result<(), Failure> {
        let Some(Open { line, record, outcome }) = self.open.pop_front() else { return Ok(()) };
        let known;
        let is_before = matches!(outcome, Pending::Before);
        let told = match outcome {
            Pending::Before => told_before(&record),
            Pending::Known(outcome) => {
                known = outcome;
                Some(known.told())
            }
            Pending::Asked(asked) => {
                known = asked.await.map_err(|err| Failure::Own(format!("line {line}: {err}")))??;
                Some(known.told())
            }
        };
        let Some(told) = told else { return Ok(()) };
        self.count.add(if is_before { "there" } else { told.result });
        let has_code = !told.new.is_empty();
        self.result.write(line, &record, &told)?;
        // A code is drawn once, and must not be lost with the process.
        if has_code || self.count.rows.is_multiple_of(FLUSH_ROWS) {
            self.result.flush()?;
        }
        Ok(())
    }

    fn end(self, is_dry_run: bool, output: &Output) -> Result<ExitCode, Failure> {
        let untaken = self.mapping.untaken();
        if !untaken.is_empty() {
            output.note(&format!("no field takes these columns: {}; --map FIELD=COLUMN takes one", untaken.join(", ")));
        }
        let Count { rows, carried, there, refused, not_carried } = &self.count;
        if output.is_json() {
            let counts = json!({"rows": rows, "carried": carried, "there": there, "refused": refused,
                "not_carried": not_carried});
            output.json(format!("{counts}\n").as_bytes())?;
        } else {
            output.note(&self.count.words(is_dry_run));
        }
        Ok(if *refused > 0 { ExitCode::from(1) } else { ExitCode::SUCCESS })
    }
}

impl Count {
    fn add(&mut self, result: &str) {
        self.rows += 1;
        match result {
            "carried" => self.carried += 1,
            "there" => self.there += 1,
            "refused" => self.refused += 1,
            _ => self.not_carried += 1,
        }
    }

    /// The counts in a sentence.
    fn words(&self, is_dry_run: bool) -> String {
        let Self { rows, carried, there, refused, not_carried } = self;
        let would = if is_dry_run { "would be carried" } else { "carried" };
        format!(
            "{rows} rows: {carried} {would}, {there} there already, {refused} refused, {not_carried} can not be carried"
        )
    }
}

/// The time of this machine's clock.
fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX)).unwrap_or(Time::EPOCH)
}
