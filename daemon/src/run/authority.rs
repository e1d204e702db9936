//! The certificate authority of a start: the one that was brought along, else the registry's own, which is made if
//! there is none yet.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use enroll_protocol::Time;
use nix::fcntl::OFlag;
use nix::unistd::geteuid;
use rand::SeedableRng as _;
use rand::rngs::ChaCha20Rng;
use zeroize::Zeroizing;

use super::StartError;
use super::paths;
use crate::config::Config;
use crate::daemon::clock::{Clock, draw_seed};
use crate::daemon::warnings::Topic;
use crate::file_error::FileError;
use crate::net::Shared;
use crate::ownership::Own;
use crate::storage::private_dir::Directory;
use crate::sys;
use enroll_core::draft::Draft;
use enroll_core::identity::{Authority, IdentityError, Secrets};
use enroll_core::model::record::ClockState;
use enroll_core::rules::bootstrap::RegistryError;
use enroll_core::rules::{authority, changes};
use enroll_core::state::{Store, StoreError};

/// The time before the authority's end at which a warning begins.
const WARN_BEFORE_SECONDS: u64 = 90 * 24 * 60 * 60;

/// The interval of the check for that warning.
const WATCH_PAUSE: Duration = Duration::from_secs(60 * 60);

/// Bytes of a key or of a chain at most.
const FILE_BYTES_MAX: u64 = 256 << 10;

/// Opens the authority. A daemon that leads commits a new one or a change of the registry's; a standby reads.
pub(super) fn open(
    store: &dyn Store,
    config: &Config,
    secrets: &Secrets,
    path: &Path,
    leads: bool,
) -> Result<Authority, StartError> {
    let registry = |source: RegistryError| StartError::Registry { path: path.to_owned(), source };
    let unreadable = |err: StoreError| registry(err.into());
    let view = store.view().map_err(unreadable)?;
    let mut draft = Draft::new(&*view);
    let now = Clock::default().now();
    let since = (now, config.certificates.crl_seconds);
    let lifetime = config.certificates.authority_lifetime_seconds;
    let mut random = ChaCha20Rng::from_seed(draw_seed());
    // Either the clock was ahead then, or it is slow now.
    let is_right = |clock: &ClockState| clock.accepted_at.is_some() || !sys::is_clock_unsynchronised();
    let authority = match brought(config)? {
        Some(brought) => {
            authority::adopt(&mut draft, &brought, since).map_err(registry)?;
            brought
        }
        None => match authority::open(&draft, secrets).map_err(registry)? {
            Some(own) if leads && own.is_ahead(now) && is_right(&changes::head(&draft).map_err(unreadable)?.clock) => {
                tracing::warn!(
                    "the certificate of the authority was made while the clock was ahead, and is replaced now"
                );
                authority::found_again(&mut draft, secrets, &own, (now, lifetime, since.1), &mut random)
                    .map_err(registry)?
            }
            Some(own) => own,
            None => {
                let serial = authority::draw_serial(&mut random);
                let name = &config.certificates.authority_name;
                let founded = Authority::found(name, serial, now, lifetime)?;
                authority::found(&mut draft, secrets, &founded, since, &mut random).map_err(registry)?;
                Authority::open(&founded.private, vec![founded.certificate.clone()])?
            }
        },
    };
    let writes = draft.into_parts().0;
    drop(view);
    if leads && !writes.is_empty() {
        store.commit(&writes).map_err(StartError::Storage)?;
    }
    Ok(authority)
}

/// Keeps the warnings about the authority's chain and about the daemon's health up to date, for as long as the daemon
/// runs.
pub(super) async fn watch(shared: Arc<Shared>) {
    loop {
        let authority = shared.daemon.identity.now().authority.clone();
        let warning = warning(&authority, shared.clock.now());
        shared.daemon.warnings.replace(Topic::Authority, warning.map(|message| (String::new(), message)));
        let looking = Arc::clone(&shared);
        shared.scans.run(geteuid().as_raw(), move || look(&looking));
        tokio::time::sleep(WATCH_PAUSE).await;
    }
}

/// Looks at everything that a look from time to time is enough for.
fn look(shared: &Shared) {
    let looked = shared.store.view().and_then(|view| shared.daemon.look_closely(&*view, shared.clock.now()));
    if let Err(err) = looked {
        tracing::error!(%err, "the registry can not be looked at; it is tried again in an hour");
    }
}

fn warning(authority: &Authority, now: Time) -> Option<String> {
    if authority.is_ahead(now) {
        let why = authority.is_invalid(now).unwrap_or_default();
        return Some(format!(
            "{why}; nothing is issued before that. Where the clock was ahead when it was made, and is right now, run \
             enrollctl server accept-clock and start enrolld again: it makes another for the same key, unless the authority \
             was brought along"
        ));
    }
    if let Some(why) = authority.is_invalid(now) {
        return Some(format!("{why}; nothing is issued without a valid one"));
    }
    let is_near = authority.ends() <= now.plus_seconds(WARN_BEFORE_SECONDS);
    is_near.then(|| {
        let ends = authority.ends();
        format!(
            "the certificate of the authority, or one above it, ends at {ends}, and so does everything it has issued; plan \
             another one"
        )
    })
}

/// The authority of the configuration's files, or of the credentials that systemd passed.
fn brought(config: &Config) -> Result<Option<Authority>, StartError> {
    let (key, chain) = (&config.certificates.authority_key, &config.certificates.authority_chain);
    let (key, chain) = if !key.as_os_str().is_empty() {
        (read_private(key)?, read(chain, opened(Own::user().open(chain))?)?)
    } else if let Some((key, chain)) = paths::authority_credentials()? {
        let own = Own::user();
        (read(&key, opened(own.open_credential(&key))?)?, read(&chain, opened(own.open_credential(&chain))?)?)
    } else {
        return Ok(None);
    };
    Authority::of_pem(&key, &chain).map(Some).map_err(StartError::Authority)
}

fn read_private(path: &Path) -> Result<Zeroizing<String>, StartError> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let parent = path.parent().unwrap_or(Path::new("/"));
    let file = Directory::open(parent).and_then(|directory| directory.open_private(name, OFlag::O_RDONLY));
    read(path, opened(file)?)
}

fn opened(file: Result<File, FileError>) -> Result<File, StartError> {
    file.map_err(|err| StartError::Authority(IdentityError(err.to_string())))
}

fn read(path: &Path, file: File) -> Result<Zeroizing<String>, StartError> {
    let mut text = Zeroizing::new(String::new());
    file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(failed(path))?;
    Ok(text)
}

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> StartError {
    move |err| StartError::Authority(IdentityError(format!("{}: {err}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_warns_before_it_begins_near_its_end_and_behind_it() {
        const DAY: u64 = 24 * 60 * 60;
        let made = Time::EPOCH.plus_seconds(20_000 * DAY);
        let founded = Authority::found("enrolld", [0x41; 20], made, 365 * DAY).expect("made");
        let authority = Authority::open(&founded.private, vec![founded.certificate]).expect("an authority");
        for (day, expected) in [
            (19_999, Some("begins at 2024-10-03T23:55:00.000000Z; nothing is issued")),
            (20_000, None),
            (20_274, None),
            (20_275, Some("ends at 2025-10-04T00:00:00.000000Z, and so does")),
            (20_364, Some("ends at 2025-10-04T00:00:00.000000Z, and so does")),
            (20_365, Some("ended at 2025-10-04T00:00:00.000000Z; nothing is issued")),
        ] {
            let said = warning(&authority, Time::EPOCH.plus_seconds(day * DAY));
            match expected {
                Some(words) => assert!(said.as_deref().is_some_and(|said| said.contains(words)), "{day} {said:?}"),
                None => assert_eq!(said, None, "{day}"),
            }
        }
    }
}
