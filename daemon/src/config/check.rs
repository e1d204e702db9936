//! Checks of a configuration: ranges of numbers and lengths, absolute paths, and names.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::ops::RangeInclusive;

use enroll_core::rules::human_code;
use enroll_protocol::{Callsign, EventKind, plain_name};

use super::{Backup, Certificates, Config, ConfigError, Jwt, StoreKind};

const YEAR_SECONDS: u64 = 366 * 24 * 60 * 60;

const YEAR: RangeInclusive<u64> = 1..=YEAR_SECONDS;

const CENTURY: RangeInclusive<u64> = 1..=100 * YEAR_SECONDS;

/// Largest frames that the memory budget must hold: one uid has half of it, and a frame is held beside its request.
const FRAMES_MIN: usize = 16;

impl Config {
    /// Refuses a value out of its range, a relative path, an invalid name, and keys that contradict each other.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        check_jwt(&self.jwt)?;
        check_certificates(&self.certificates)?;
        check_backup(&self.backup)?;
        self.check_limits()?;
        self.check_guesses()?;
        self.check_cluster()?;
        self.check_paths()?;
        self.check_names()
    }

    fn check_limits(&self) -> Result<(), ConfigError> {
        let Self { guesses, server, database, journal, .. } = self;
        within("keep_answers_seconds", self.keep_answers_seconds, 60..=YEAR_SECONDS, ", a year")?;
        let sizes = human_code::LENGTHS;
        within("code_size", self.code_size as u64, *sizes.start() as u64..=*sizes.end() as u64, "")?;
        within("server.threads", server.threads as u64, 1..=64, "")?;
        within("server.connections", server.connections as u64, 1..=1 << 16, "")?;
        within("server.connections_per_uid", server.connections_per_uid as u64, 1..=1 << 16, "")?;
        within("server.admin_connections", server.admin_connections as u64, 0..=1 << 16, "")?;
        within("server.frame_kib", server.frame_kib as u64, 256..=16 << 10, "")?;
        within("server.memory_mib", server.memory_mib as u64, 1..=1 << 20, "")?;
        if server.memory_mib << 10 < FRAMES_MIN * server.frame_kib {
            return Err(ConfigError(format!(
                "server.memory_mib must hold {FRAMES_MIN} frames of server.frame_kib, that is {} MiB",
                (FRAMES_MIN * server.frame_kib).div_ceil(1 << 10)
            )));
        }
        within("server.finish_frame_seconds", server.finish_frame_seconds, YEAR, ", a year")?;
        within("server.take_answer_seconds", server.take_answer_seconds, YEAR, ", a year")?;
        within("server.idle_seconds", server.idle_seconds, YEAR, ", a year")?;
        within("database.cache_mib", database.cache_mib as u64, 1..=1 << 20, "")?;
        within("database.verify_mib", database.verify_mib, 0..=1 << 30, "")?;
        within("journal.segment_mib", journal.segment_mib, 1..=1 << 10, "")?;
        within("journal.memory_mib", journal.memory_mib as u64, 1..=1 << 20, "")?;
        within("database.free_mib", database.free_mib, 0..=1 << 20, "")?;
        within("guesses.refused_per_minute", u64::from(guesses.refused_per_minute), 1..=1 << 20, "")?;
        within("guesses.per_minute", u64::from(guesses.per_minute), 1..=u64::from(u32::MAX), "")
    }

    fn check_cluster(&self) -> Result<(), ConfigError> {
        let Self { etcd, cluster, .. } = self;
        within("etcd.timeout_ms", etcd.timeout_ms, 50..=60_000, "")?;
        within("etcd.quota_mib", etcd.quota_mib, 16..=1 << 20, "")?;
        within("cluster.lease_seconds", cluster.lease_seconds, 2..=3600, "")?;
        within("cluster.copies", cluster.copies, 1..=100, "")?;
        within("cluster.log_mib", cluster.log_mib, 1..=1 << 20, "")?;
        within("cluster.skew_seconds_max", cluster.skew_seconds_max, 1..=3600, "")?;
        if self.store == StoreKind::Local {
            return Ok(());
        }
        if etcd.endpoints.is_empty() {
            return Err(ConfigError("store is \"etcd\", so etcd.endpoints must name its members".to_owned()));
        }
        let wants = if etcd.ca.as_os_str().is_empty() { "http://" } else { "https://" };
        if let Some(other) = etcd.endpoints.iter().find(|endpoint| !endpoint.starts_with(wants)) {
            let why = "addresses begin with https:// where etcd.ca is set, and with http:// where it is not";
            return Err(ConfigError(format!("etcd.endpoints: \"{}\": {why}", plain_name(other))));
        }
        if cluster.member.contains('/') || cluster.member.chars().any(char::is_control) {
            return Err(ConfigError("cluster.member must have no / and no control characters".to_owned()));
        }
        if !cluster.listen.is_empty() && cluster.listen.parse::<SocketAddr>().is_err() {
            return Err(ConfigError("cluster.listen must be an address and a port, such as 0.0.0.0:7411".to_owned()));
        }
        if !cluster.address.is_empty() && !is_host_and_port(&cluster.address) {
            return Err(ConfigError("cluster.address must be a host and a port, such as a.example:7411".to_owned()));
        }
        if etcd.prefix.is_empty() {
            return Err(ConfigError("etcd.prefix must not be empty".to_owned()));
        }
        if etcd.cert.as_os_str().is_empty() != etcd.key.as_os_str().is_empty() {
            return Err(ConfigError("etcd.cert and etcd.key belong together; set both or none".to_owned()));
        }
        Ok(())
    }

    fn check_guesses(&self) -> Result<(), ConfigError> {
        let mut seen = HashSet::new();
        for member in self.guesses.count_together.iter().flatten() {
            let named = plain_name(member);
            if !member.starts_with("user:") {
                return Err(ConfigError(format!("guesses.count_together: \"{named}\": expected \"user:NAME\"")));
            }
            if !seen.insert(member) {
                return Err(ConfigError(format!("guesses.count_together: \"{named}\" stands there twice")));
            }
        }
        Ok(())
    }

    fn check_paths(&self) -> Result<(), ConfigError> {
        for (key, path) in [
            ("state_dir", &self.state_dir),
            ("socket", &self.socket),
            ("key_file", &self.key_file),
            ("certificates.authority_key", &self.certificates.authority_key),
            ("certificates.authority_chain", &self.certificates.authority_chain),
            ("certificates.crl_file", &self.certificates.crl_file),
            ("backup.directory", &self.backup.directory),
        ] {
            if !path.as_os_str().is_empty() && !path.is_absolute() {
                return Err(ConfigError(format!("{key} must be an absolute path; it is \"{}\"", path.display())));
            }
        }
        Ok(())
    }

    fn check_names(&self) -> Result<(), ConfigError> {
        for callsign in &self.reserved_callsigns {
            let callsign = Callsign::new(callsign.as_str());
            callsign.map_err(|err| ConfigError(format!("reserved_callsigns: {err}")))?;
        }
        for kind in &self.restricted_event_types {
            EventKind::new(kind.as_str()).map_err(|err| ConfigError(format!("restricted_event_types: {err}")))?;
        }
        Ok(())
    }
}

fn check_jwt(jwt: &Jwt) -> Result<(), ConfigError> {
    within("jwt.issuer", jwt.issuer.len() as u64, 1..=255, " bytes")?;
    within("jwt.audience", jwt.audience.len() as u64, 0..=255, " bytes")?;
    within("jwt.lifetime_seconds", jwt.lifetime_seconds, YEAR, ", a year")?;
    within("jwt.leeway_seconds", jwt.leeway_seconds, 0..=3600, ", an hour")?;
    within("jwt.refresh_seconds", jwt.refresh_seconds, 0..=YEAR_SECONDS, ", a year")?;
    for (at, trusted) in jwt.trusted.iter().enumerate() {
        if trusted.issuer.is_empty() || trusted.audience.is_empty() || !trusted.keys.is_absolute() {
            let why = "needs an issuer, an audience, and the absolute path of its keys";
            return Err(ConfigError(format!("jwt.trusted: number {} {why}", at + 1)));
        }
        if jwt.trusted[..at].iter().any(|before| before.issuer == trusted.issuer) || trusted.issuer == jwt.issuer {
            return Err(ConfigError(format!(
                "jwt.trusted: the issuer \"{}\" stands there twice, or is our own",
                trusted.issuer
            )));
        }
    }
    Ok(())
}

fn check_certificates(certificates: &Certificates) -> Result<(), ConfigError> {
    let name_chars = certificates.authority_name.chars().count() as u64;
    within("certificates.authority_name", name_chars, 1..=64, " characters")?;
    let lifetime = certificates.authority_lifetime_seconds;
    within("certificates.authority_lifetime_seconds", lifetime, CENTURY, ", a century")?;
    within("certificates.lifetime_seconds", certificates.lifetime_seconds, CENTURY, ", a century")?;
    within("certificates.crl_seconds", certificates.crl_seconds, 60..=YEAR_SECONDS, ", a year")?;
    if certificates.authority_key.as_os_str().is_empty() != certificates.authority_chain.as_os_str().is_empty() {
        let why = "certificates.authority_key and certificates.authority_chain belong together; set both or neither";
        return Err(ConfigError(why.to_owned()));
    }
    Ok(())
}

fn check_backup(backup: &Backup) -> Result<(), ConfigError> {
    within("backup.keep", backup.keep as u64, 1..=10_000, "")?;
    match backup.time_of_day() {
        Some(_) => Ok(()),
        None => Err(ConfigError("backup.time must be a time of day from 00:00 to 23:59".to_owned())),
    }
}

/// True for a name or an address, a colon and a port.
fn is_host_and_port(address: &str) -> bool {
    let parts = address.rsplit_once(':');
    parts.is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0))
}

fn within(key: &str, value: u64, range: RangeInclusive<u64>, note: &str) -> Result<(), ConfigError> {
    match range.contains(&value) {
        true => Ok(()),
        false => Err(ConfigError(format!("{key} must be {} to {}{note}", range.start(), range.end()))),
    }
}
