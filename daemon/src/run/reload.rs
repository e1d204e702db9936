//! Reading the configuration again while running, at SIGHUP: what can change does, what can not is named, and a
//! configuration that is not valid changes nothing.
//!
//! A request keeps the settings, and a connection the grant and the server's terms, that it began with.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::signal::unix::Signal;
use tracing_subscriber::{EnvFilter, Registry, reload::Handle};

use super::{Start, StartError, log};
use crate::config::{Changed, Config, Update};
use crate::daemon::warnings::Topic;
use crate::net::Shared;
use crate::net::grants::Grants;
use crate::net::listener::Terms;
use crate::run::systemd;
use enroll_core::settings::Settings;

/// What is logged, replaceable.
pub(super) type LogFilter = Handle<EnvFilter, Registry>;

/// What a reload starts from, and what it replaces.
pub(super) struct Reload {
    /// Where the configuration is read from.
    pub(super) flags: Start,
    /// The configuration that holds.
    pub(super) config: Config,
    /// As it was opened; the settings tell it.
    pub(super) state_dir: PathBuf,
    /// Replaced.
    pub(super) log: LogFilter,
    /// Settings and terms in it are replaced.
    pub(super) shared: Arc<Shared>,
    /// What systemd shows while all is well.
    pub(super) status: String,
}

impl Reload {
    /// Reloads at every SIGHUP, until one comes because the terminal that the daemon was started in is gone: nobody is
    /// left there who could stop it.
    pub(super) async fn at_every(mut self, mut hangup: Signal) {
        let had_terminal = has_terminal();
        while hangup.recv().await.is_some() && has_terminal() == had_terminal {
            tracing::info!("SIGHUP: reading the configuration again");
            systemd::reloading();
            match self.reload().await {
                Ok(()) => systemd::ready(&self.status),
                Err(why) => {
                    tracing::error!(%why, "the configuration can not be used, and everything stays as it was");
                    systemd::ready(&format!("{}; the configuration can not be used: {why}", self.status));
                }
            }
        }
    }

    async fn reload(&mut self) -> Result<(), StartError> {
        let (flags, holding) = (self.flags.clone(), self.config.clone());
        // Whoever knows the users' and groups' names may take long to answer.
        let read = tokio::task::spawn_blocking(move || -> Result<_, StartError> {
            let update = Update::of(&holding, &flags.read_config()?.0)?;
            let (grants, unknown) = Grants::resolve(&update.config.grants)?;
            let filter = log::filter(&update.config)?;
            let (trusted, distrusted) = update.config.trust();
            let warnings = [(Topic::Grants, unknown), (Topic::Issuers, distrusted)];
            Ok((update, grants, filter, trusted, warnings))
        });
        let lost = |err| StartError::Io("reading the configuration".to_owned(), err);
        let (update, grants, filter, trusted, warnings) = read.await.map_err(|err| lost(err.into()))??;
        let Update { config, changed, needs_restart } = update;

        for Changed { key, before, now } in &changed {
            tracing::info!("{key} is now {now}; it was {before}");
        }
        self.log.reload(filter).map_err(|err| lost(std::io::Error::other(err)))?;
        for (topic, warnings) in warnings {
            self.shared.daemon.warnings.replace(topic, warnings);
        }
        let settings = Settings { trusted, ..config.settings(&self.state_dir) };
        self.shared.daemon.settings.replace(settings);
        self.shared.terms.replace(Terms { grants, limits: config.limits() });
        if !needs_restart.is_empty() {
            tracing::warn!("changed, but only a restart can apply it: {}", needs_restart.join(", "));
        }
        tracing::info!(changed = changed.len(), "the configuration is read");
        self.config = config;
        Ok(())
    }
}

/// Whether there is a terminal that this process reads from or writes to.
fn has_terminal() -> bool {
    std::io::stdin().is_terminal() || std::io::stdout().is_terminal() || std::io::stderr().is_terminal()
}
