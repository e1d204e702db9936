//! The command `server import FILE`: uploads an export in pieces, each after the answer of the one before.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Arg, ArgMatches, Command, value_parser};
use enroll_client::protocol::server::{Import, Imported};
use enroll_client::protocol::{Envelope, Operation as _, OperationRow, codec, without_mark};
use enroll_client::{Client, Error};

use super::progress;
use crate::failure::Failure;
use crate::options::Options;
use crate::output::Output;
use crate::output::names::Names;
use crate::process::stdin;

const FILE: &str = "import.file";

/// Bytes of a piece. Its commit takes a few tens of milliseconds.
const PIECE_BYTES: usize = 256 << 10;

/// A reader of a UTF-8 file in pieces.
struct Pieces {
    name: String,
    input: Box<dyn Read>,
    /// The first bytes of a character that the last piece cut.
    rest: Vec<u8>,
}

/// True for the operation that uploads a file.
pub(crate) fn handles(row: &OperationRow) -> bool {
    row.number == Import::ROW.number
}

/// Adds the argument for the file.
pub(crate) fn command(command: Command) -> Command {
    let help = "What `enrollctl server export` wrote; - is standard input";
    command.arg(Arg::new(FILE).required(true).value_name("FILE").help(help).value_parser(value_parser!(PathBuf)))
}

/// Uploads the file and shows the number of records. Refuses `--key` and `--dry-run`.
pub(crate) async fn run(
    matches: &ArgMatches,
    envelope: Envelope,
    options: &Options,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let path = matches.get_one::<PathBuf>(FILE).ok_or_else(|| Failure::Usage("expected a file".to_owned()))?;
    if envelope.key.is_some() || envelope.dry_run {
        let why = "an import has no --key and no --dry-run; to try a file, import it into another daemon";
        return Err(Failure::Usage(why.to_owned()));
    }
    let name = path.display().to_string();
    let is_stdin = path.as_os_str() == "-";
    let input: Box<dyn Read> = match is_stdin {
        true => Box::new(stdin::take("file")?),
        false => Box::new(File::open(path).map_err(|err| Failure::Own(format!("{name}: {err}")))?),
    };
    let bytes = path.metadata().map(|file| file.len()).ok().filter(|_| !is_stdin);
    let bar = progress::progress_bar(bytes, progress::BYTES, output);
    let client = options.connect().await?;
    let (mut pieces, mut at) = (Pieces { name, input, rest: Vec::new() }, 0);
    while let Some(text) = pieces.next()? {
        let text = if at == 0 { without_mark(&text).to_owned() } else { text };
        let import = Import { at, text };
        let mut imported = send(&client, &envelope, &import).await?;
        // The daemon is still removing the records of an earlier import.
        while imported.at == 0 {
            imported = send(&client, &envelope, &import).await?;
        }
        at = imported.at;
        bar.set_position(at);
    }
    bar.set_message("every rule is looked at");
    let imported = send(&client, &envelope, &Import { at, text: String::new() }).await?;
    bar.finish_and_clear();
    let records = serde_json::to_string(&imported.records).map_err(|err| Failure::Own(err.to_string()))?;
    // Counts by kind, of which a registry need not have every one.
    output.reply_named("server.import", &records, &Names::default())?;
    Ok(ExitCode::SUCCESS)
}

async fn send(client: &Client, envelope: &Envelope, import: &Import) -> Result<Imported, Failure> {
    let reply = client.call_raw(Import::ROW, envelope.clone(), &codec::encode(import)).await?;
    codec::decode(&reply).map_err(|err| Failure::Client(Error::Protocol(format!("the reply of server.import: {err}"))))
}

impl Pieces {
    /// The next piece; `None` at the end of the file.
    fn next(&mut self) -> Result<Option<String>, Failure> {
        let mut bytes = std::mem::take(&mut self.rest);
        let read = self.input.by_ref().take(PIECE_BYTES as u64).read_to_end(&mut bytes);
        let read = read.map_err(|err| Failure::Own(format!("{}: {err}", self.name)))?;
        if bytes.is_empty() {
            return Ok(None);
        }
        let no_text = || Failure::Own(format!("{}: this is no text, and so no export", self.name));
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Some(text)),
            Err(err) => {
                let end = err.utf8_error().valid_up_to();
                if err.utf8_error().error_len().is_some() || end == 0 || read == 0 {
                    return Err(no_text());
                }
                let mut bytes = err.into_bytes();
                self.rest = bytes.split_off(end);
                String::from_utf8(bytes).map(Some).map_err(|_| no_text())
            }
        }
    }
}
