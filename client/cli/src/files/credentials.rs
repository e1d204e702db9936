//! The command `certificate install`: a person's key, certificate and the authority's chain as files of a directory.
//!
//! Each file replaces an older one atomically. The key is readable by this user alone, the others by everybody.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{ArgMatches, Args, Command, FromArgMatches};
use enroll_client::protocol::{Code, PrivateKey, Reference, certificate};
use enroll_client::{Client, Error};
use serde_json::json;
use tempfile::NamedTempFile;

use crate::failure::Failure;
use crate::options::Options;
use crate::output::Output;

const PRIVATE: u32 = 0o600;
const PUBLIC: u32 = 0o644;

/// Attempts to fetch a certificate that is renewed in between.
const TRIES: usize = 3;

/// Write a person's key, certificate and the authority's chain into a directory
///
/// The files are key.pem (mode 600), certificate.pem and chain.pem (mode 644). A directory that is not there is made.
/// Where the person made the key, it is left to them. Needs the permission `/`, as `certificate key` does.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  enrollctl certificate install DOGGO01a --dir /etc/dog/tls")]
struct Install {
    /// Callsign or pk
    person: Reference,
    /// Where the files go
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
}

/// The contents of the files.
struct Files {
    certificate: String,
    key: Option<PrivateKey>,
    chain: String,
}

/// The command line.
pub(crate) fn command() -> Command {
    Install::augment_args(Command::new("install"))
}

/// Fetches the credentials and writes the files.
pub(crate) async fn run(matches: &ArgMatches, options: &Options, output: &Output) -> Result<ExitCode, Failure> {
    let install = Install::from_arg_matches(matches).map_err(|err| Failure::Usage(err.to_string()))?;
    let files = Files::fetch(&options.connect().await?, &install.person).await?;
    let failed = |path: &Path| {
        let path = path.display().to_string();
        move |err: io::Error| Failure::Own(format!("{path}: {err}"))
    };
    let dir = install.dir;
    fs::DirBuilder::new().recursive(true).mode(0o755).create(&dir).map_err(failed(&dir))?;
    let key = files.key.as_ref().map(|key| ("key.pem", key.as_str(), PRIVATE));
    let public = [("certificate.pem", &*files.certificate, PUBLIC), ("chain.pem", &*files.chain, PUBLIC)];
    let written: Vec<_> = key.into_iter().chain(public).collect();
    for (name, text, mode) in &written {
        write(&dir, name, text, *mode).map_err(failed(&dir.join(name)))?;
    }
    File::open(&dir).and_then(|dir| dir.sync_all()).map_err(failed(&dir))?;
    let names: Vec<_> = written.iter().map(|(name, ..)| dir.join(name).display().to_string()).collect();
    output.reply("certificate.install", &json!(names).to_string())?;
    if files.key.is_none() {
        output.note("the key was not made by the daemon, so it is where it was made");
    }
    Ok(ExitCode::SUCCESS)
}

impl Files {
    /// Fetches a certificate with the key that belongs to it.
    async fn fetch(client: &Client, person: &Reference) -> Result<Self, Failure> {
        let chain = client.call(certificate::Ca {}).await?;
        let mut certificate = client.call(certificate::Get::new(person.clone())).await?;
        for _ in 0..TRIES {
            let key = match client.call(certificate::Key { person: person.clone() }).await {
                Err(Error::Refused(refusal)) if refusal.code == Code::NOT_FOUND => None,
                key => key?,
            };
            // The certificate may have been renewed in between, for another key.
            let latest = client.call(certificate::Get::new(person.clone())).await?;
            if latest == certificate {
                return Ok(Self { certificate, key, chain });
            }
            certificate = latest;
        }
        Err(Failure::Own("the certificate is renewed again and again; try once more".to_owned()))
    }
}

fn write(dir: &Path, name: &str, text: &str, mode: u32) -> io::Result<()> {
    // The temporary file is private; its mode is set when it is complete.
    let mut file = NamedTempFile::with_prefix_in(format!(".{name}-"), dir)?;
    file.write_all(text.as_bytes())?;
    file.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
    file.as_file().sync_all()?;
    file.persist(dir.join(name)).map(drop).map_err(|err| err.error)
}
