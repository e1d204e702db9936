//! What can be measured, and what it needs before.

use clap::ValueEnum;
use enroll_client::Client;

use super::measure::Driver;
use super::random::Random;
use super::{certificate, code, enroll, lookup, register, token_use};

/// A workload. A new one is a variant here and of [`Ready`], and a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Workload {
    /// Use one-time tokens, each a new one
    TokenUse,
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

/// What a registry is filled with, so that it is not measured empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Filling {
    Tokens,
    Enrollments,
}

impl Workload {
    /// Makes what it needs, over one connection.
    pub(super) async fn prepare(self, client: &Client, records: u64) -> Result<Ready, String> {
        Ok(match self {
            Self::TokenUse => Ready::TokenUse,
            Self::Code => Ready::Code,
            Self::Certificate => Ready::Certificate,
            Self::Enroll => Ready::Enroll(enroll::prepare(client).await?),
            Self::Lookup => Ready::Lookup(lookup::prepare(client, records).await?),
            Self::Register => Ready::Register(register::prepare(client, records, false).await?),
            Self::RegisterWaiting => Ready::Register(register::prepare(client, records, true).await?),
        })
    }

    /// What a registry that it is measured on is full of.
    pub(super) fn filling(self) -> Filling {
        match self {
            Self::TokenUse | Self::Code => Filling::Tokens,
            Self::Certificate | Self::Enroll | Self::Lookup | Self::Register | Self::RegisterWaiting => {
                Filling::Enrollments
            }
        }
    }

    pub(super) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

impl Filling {
    /// Makes so many.
    pub(super) async fn make(self, client: &Client, records: u64) -> Result<(), String> {
        match self {
            _ if records == 0 => Ok(()),
            Self::Tokens => token_use::fill(client, records).await,
            Self::Enrollments => lookup::prepare(client, records).await.map(|_| ()),
        }
    }

    /// What the daemon counts them as.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::Tokens => "token",
            Self::Enrollments => "enrollment",
        }
    }
}

/// A workload with what it needs; every client has a copy.
#[derive(Debug, Clone)]
pub(super) enum Ready {
    TokenUse,
    Code,
    Certificate,
    Enroll(enroll::Invitation),
    Lookup(lookup::Known),
    Register(register::Crowd),
}

impl Ready {
    /// Whether one run uses up what it needs, so that the next one needs it anew.
    pub(super) fn is_used_up(&self) -> bool {
        matches!(self, Self::Register(_))
    }

    /// One client of the daemon.
    pub(super) fn driver(&self, client: Client) -> impl Driver {
        Ours { ready: self.clone(), client, random: Random::new() }
    }
}

struct Ours {
    ready: Ready,
    client: Client,
    random: Random,
}

impl Driver for Ours {
    async fn run_once(&mut self) -> Result<(), String> {
        let Self { ready, client, random } = self;
        match ready {
            Ready::TokenUse => token_use::run_once(client, random).await,
            Ready::Code => code::run_once(client).await,
            Ready::Certificate => certificate::run_once(client, random).await,
            Ready::Enroll(invitation) => enroll::run_once(invitation, client, random).await,
            Ready::Lookup(known) => lookup::run_once(known, client, random).await,
            Ready::Register(crowd) => register::run_once(crowd, client).await,
        }
    }
}
