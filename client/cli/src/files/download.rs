//! The download of a walk, a backup or an export: its bytes go into an atomic file, or to standard output.
//!
//! The bytes are verified while they are written, so a file that has its name is complete and readable.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use enroll_client::protocol::{Envelope, OperationRow};
use enroll_client::{Error, RawStream};
use indicatif::ProgressBar;
use serde_json::{Map, Value, json};

use super::atomic_file::{AtomicFile, unless_interrupted};
use crate::failure::Failure;
use crate::options::Options;
use crate::output::Output;
use crate::output::names::Names;

/// Verifies the items of a walk.
pub(super) trait Verifier {
    /// The kind of file in messages.
    const WHAT: &'static str;

    /// The members of the reply about a file, besides its name and its bytes.
    const MEMBERS: &'static [&'static str];

    /// Verifies an item and returns its bytes.
    fn take(&mut self, item: &[u8]) -> Result<Vec<u8>, String>;

    /// The text beside the progress bar.
    fn progress(&self) -> String {
        String::new()
    }

    /// Verifies that the walk is complete.
    fn finish(self) -> Result<Contents, String>;

    /// Prints bytes on standard output.
    fn print(output: &Output, bytes: &[u8]) -> Result<(), Failure>;
}

/// The contents of a complete file, for people and as members of the reply.
pub(super) struct Contents {
    pub(super) words: String,
    pub(super) members: Value,
}

/// A walk that is to be downloaded.
pub(super) struct Download<'a> {
    pub(super) row: &'static OperationRow,
    pub(super) envelope: Envelope,
    pub(super) request: &'a [u8],
    /// The new file; `None` for standard output.
    pub(super) path: Option<&'a Path>,
}

impl Download<'_> {
    /// Writes the file, or standard output, and shows its size and contents.
    pub(super) async fn run<V: Verifier>(
        self,
        verifier: V,
        bar: &ProgressBar,
        options: &Options,
        output: &Output,
    ) -> Result<ExitCode, Failure> {
        match self.path {
            Some(_) => output.expect_members(self.row.name, &[&["file", "bytes"][..], V::MEMBERS].concat())?,
            None => options.expect_no_field("standard output")?,
        }
        let file = self.path.map(|path| AtomicFile::new(path, V::WHAT)).transpose()?;
        let mut stream = options.lazy().stream_raw(self.row, self.envelope, self.request).await?;
        match file {
            Some(file) => {
                let written = write(&mut stream, verifier, &file, bar);
                let (bytes, contents) = unless_interrupted(written).await?;
                output.reply_named(self.row.name, &reply(&file, bytes, contents).to_string(), &Names::default())?;
            }
            None => {
                let put = |bytes: &[u8]| V::print(output, bytes).map_err(|failure| failure.of_part(V::WHAT));
                let (bytes, contents) = copy(&mut stream, verifier, put, bar).await?;
                output.note(&format!("{bytes} bytes, {}", contents.words));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn write(
    stream: &mut RawStream,
    verifier: impl Verifier,
    file: &AtomicFile,
    bar: &ProgressBar,
) -> Result<(u64, Contents), Failure> {
    let mut temporary = file.begin()?;
    let written = copy(stream, verifier, |bytes| temporary.write_all(bytes).map_err(file.failed()), bar).await?;
    file.publish(temporary)?;
    Ok(written)
}

/// Verifies all items and hands their bytes on; returns the number of bytes and the contents.
async fn copy(
    stream: &mut RawStream,
    mut verifier: impl Verifier,
    mut put: impl FnMut(&[u8]) -> Result<(), Failure>,
    bar: &ProgressBar,
) -> Result<(u64, Contents), Failure> {
    let unreadable = |why: String| Failure::Client(Error::Protocol(format!("what the daemon sent: {why}")));
    let mut bytes = 0;
    while let Some(item) = stream.next().await {
        let piece = verifier.take(&item?).map_err(unreadable)?;
        put(&piece)?;
        bytes += piece.len() as u64;
        bar.set_position(bytes);
        bar.set_message(verifier.progress());
    }
    bar.finish_and_clear();
    Ok((bytes, verifier.finish().map_err(unreadable)?))
}

fn reply(file: &AtomicFile, bytes: u64, contents: Contents) -> Value {
    let mut reply = Map::from_iter([("file".to_owned(), json!(file.name())), ("bytes".to_owned(), json!(bytes))]);
    if let Value::Object(members) = contents.members {
        reply.extend(members);
    }
    Value::Object(reply)
}
