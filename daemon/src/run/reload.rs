//! Reload of the configuration at SIGHUP: keys that can change at run time do, others are named in the log, and an
//! invalid configuration changes nothing.
//!
//! A running request keeps its settings; an open connection keeps its grant and its limits.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::signal::unix::Signal;
use tracing_subscriber::{EnvFilter, Registry, reload::Handle};

use super::memory_limit;
use super::{Start, StartError, log};
use crate::config::{Changed, Config, Update};
use crate::daemon::warnings::Topic;
use crate::net::Shared;
use crate::net::grants::Grants;
use crate::net::listener::Terms;
use crate::ownership::Own;
use crate::run::systemd;
use enroll_core::settings::Settings;

/// The handle that replaces the log's filter.
pub(super) type LogFilter = Handle<EnvFilter, Registry>;

/// The inputs of a reload, and the state that it replaces.
pub(super) struct Reload {
    /// The flags of the start, which name the file of the configuration.
    pub(super) flags: Start,
    /// The configuration in force.
    pub(super) config: Config,
    /// The state directory, which a reload does not change.
    pub(super) state_dir: PathBuf,
    /// The log's filter.
    pub(super) log: LogFilter,
    /// The state shared by all connections; a reload replaces its settings and terms.
    pub(super) shared: Arc<Shared>,
    /// The status for systemd while there is no error.
    pub(super) status: String,
}

impl Reload {
    /// Reloads at every SIGHUP. Returns at a SIGHUP because the daemon's terminal is gone: the daemon then stops,
    /// because nobody could stop it from there any more.
    pub(super) async fn at_every(mut self, mut hangup: Signal) {
        let had_terminal = has_terminal();
        while hangup.recv().await.is_some() && has_terminal() == had_terminal {
            tracing::info!("SIGHUP: reading the configuration again");
            systemd::reloading();
            match self.reload().await {
                Ok(()) => systemd::ready(&self.status),
                Err(why) => {
                    tracing::error!(%why, "the reload failed; the old configuration stays until another SIGHUP");
                    systemd::ready(&format!("{}; the configuration can not be used: {why}", self.status));
                }
            }
        }
    }

    async fn reload(&mut self) -> Result<(), StartError> {
        let (flags, holding) = (self.flags.clone(), self.config.clone());
        // Looking up users and groups may ask a slow directory service.
        let read = tokio::task::spawn_blocking(move || -> Result<_, StartError> {
            let update = Update::of(&holding, &flags.read_config()?.0)?;
            let (grants, unknown) = Grants::resolve(&update.config.grants)?;
            let filter = log::filter(&update.config)?;
            update.config.check_files(Own::user())?;
            let (trusted, distrusted) = update.config.trust(Own::user())?;
            let (together, nobody) = update.config.count_together();
            let memory = memory_limit::warning(&update.config).into_iter().collect();
            let warnings = [
                (Topic::Grants, unknown),
                (Topic::Issuers, distrusted),
                (Topic::Guesses, nobody),
                (Topic::Memory, memory),
            ];
            Ok((update, grants, filter, trusted, together, warnings))
        });
        let lost = |err| StartError::Io("reading the configuration".to_owned(), err);
        let (update, grants, filter, trusted, count_together, warnings) =
            read.await.map_err(|err| lost(err.into()))??;
        let Update { config, changed, needs_restart } = update;

        for Changed { key, before, now } in &changed {
            tracing::info!("{key} is now {now}; it was {before}");
        }
        self.log.reload(filter).map_err(|err| lost(std::io::Error::other(err)))?;
        for (topic, warnings) in warnings {
            self.shared.daemon.warnings.replace(topic, warnings);
        }
        let settings = Settings { trusted, count_together, ..config.settings(&self.state_dir) };
        self.shared.daemon.settings.replace(settings);
        self.shared.terms.replace(Terms { grants, limits: config.limits() });
        if !needs_restart.is_empty() {
            tracing::warn!("these keys changed and are applied by a restart only: {}", needs_restart.join(", "));
        }
        tracing::info!(changed = changed.len(), "the configuration was read again and is in force");
        self.config = config;
        Ok(())
    }
}

/// True if this process reads from or writes to a terminal.
fn has_terminal() -> bool {
    std::io::stdin().is_terminal() || std::io::stdout().is_terminal() || std::io::stderr().is_terminal()
}
