//! The workloads: one kind of operation each, with the records that it needs.

pub(crate) mod random;
pub(crate) mod register;
pub(crate) mod token_use;

mod certificate;
mod code;
mod enroll;
mod lookup;
mod pipelined;
mod token_get;

use clap::ValueEnum;
use enroll_client::Client;

use self::random::Random;
use crate::measure::Driver;

/// A workload. A new one is a variant here and in [`Prepared`], and a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Workload {
    /// Use one-time tokens, each a new one
    TokenUse,
    /// Read tokens that were used
    TokenGet,
    /// Make a login code and exchange it for a JWT; both together count as one operation
    Code,
    /// Make people with a certificate, each for a new key
    Certificate,
    /// Enroll callsigns by the invite code of a pool, each a new one
    Enroll,
    /// Find enrollments by their approve codes
    Lookup,
    /// Register people for one event of a million places, each a new one
    Register,
    /// Register ten times more people than there are places in five overlapping pools, of whom a fifth cancel again
    RegisterWaiting,
}

/// The records that fill a registry, so that it is not measured empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Filling {
    Tokens,
    Enrollments,
}

impl Workload {
    /// Makes the records that the workload needs, over one connection.
    pub(crate) async fn prepare(self, client: &Client, records: u64) -> Result<Prepared, String> {
        Ok(match self {
            Self::TokenUse => Prepared::TokenUse,
            Self::TokenGet => Prepared::TokenGet(token_get::prepare(client, records).await?),
            Self::Code => Prepared::Code,
            Self::Certificate => Prepared::Certificate,
            Self::Enroll => Prepared::Enroll(enroll::prepare(client).await?),
            Self::Lookup => Prepared::Lookup(lookup::prepare(client, records).await?),
            Self::Register => Prepared::Register(register::prepare(client, records, false).await?),
            Self::RegisterWaiting => Prepared::Register(register::prepare(client, records, true).await?),
        })
    }

    /// The records that fill a registry before this workload.
    pub(crate) fn filling(self) -> Filling {
        match self {
            Self::TokenUse | Self::TokenGet | Self::Code => Filling::Tokens,
            Self::Certificate | Self::Enroll | Self::Lookup | Self::Register | Self::RegisterWaiting => {
                Filling::Enrollments
            }
        }
    }

    pub(crate) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

impl Filling {
    /// Makes this many.
    pub(crate) async fn make(self, client: &Client, records: u64) -> Result<(), String> {
        match self {
            _ if records == 0 => Ok(()),
            Self::Tokens => token_use::fill(client, records).await,
            Self::Enrollments => lookup::prepare(client, records).await.map(|_| ()),
        }
    }

    /// Their name in the record counts of `server.status`.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Tokens => "token",
            Self::Enrollments => "enrollment",
        }
    }
}

/// A workload whose records are made; every client has a copy.
#[derive(Debug, Clone)]
pub(crate) enum Prepared {
    TokenUse,
    TokenGet(token_get::Used),
    Code,
    Certificate,
    Enroll(enroll::Invitation),
    Lookup(lookup::Known),
    Register(register::Crowd),
}

impl Prepared {
    /// True if a run uses up the records, so that the next one has to make new ones.
    pub(crate) fn is_used_up(&self) -> bool {
        matches!(self, Self::Register(_))
    }

    /// The driver of one client of the daemon.
    pub(crate) fn driver(&self, client: Client) -> impl Driver {
        DaemonDriver { prepared: self.clone(), client, random: Random::new() }
    }
}

struct DaemonDriver {
    prepared: Prepared,
    client: Client,
    random: Random,
}

impl Driver for DaemonDriver {
    async fn run_once(&mut self) -> Result<(), String> {
        let Self { prepared, client, random } = self;
        match prepared {
            Prepared::TokenUse => token_use::run_once(client, random).await,
            Prepared::TokenGet(used) => token_get::run_once(used, client, random).await,
            Prepared::Code => code::run_once(client).await,
            Prepared::Certificate => certificate::run_once(client, random).await,
            Prepared::Enroll(invitation) => enroll::run_once(invitation, client, random).await,
            Prepared::Lookup(known) => lookup::run_once(known, client, random).await,
            Prepared::Register(crowd) => register::run_once(crowd, client).await,
        }
    }
}
