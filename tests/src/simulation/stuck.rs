//! The report on a run that does not come to an end: which client waits for what, what was answered again and again, and
//! the steps that were taken last.

use std::fmt::Write as _;

use super::client::{Client, Link};
use super::core::Core;
use super::run::Run;
use super::steps::Step;

/// Steps that are told.
const TOLD_MAX: usize = 24;

/// The latest steps, and the refusals that pass of late.
#[derive(Default)]
pub(super) struct Latest {
    steps: Vec<Step>,
    refusal: Option<(usize, String)>,
}

impl Latest {
    /// Notes a step.
    pub(super) fn took(&mut self, step: Step) {
        if self.steps.len() == 2 * TOLD_MAX {
            self.steps.drain(..TOLD_MAX);
        }
        self.steps.push(step);
    }

    /// Notes an answer after which the request is sent again.
    pub(super) fn refused(&mut self, request: usize, why: String) {
        self.refusal = Some((request, why));
    }
}

impl Run<'_> {
    /// The report of a run that is stuck: clients, unanswered requests, sessions, the fault of the disks and the last steps.
    pub(super) fn stuck(&self) -> String {
        let mut told =
            format!("it does not come to an end: {} of {} operations asked", self.asked, self.plan.operations);
        let mut tell = |line: String| {
            let _ = write!(told, "\n  {line}");
        };
        for (at, client) in self.clients.iter().enumerate().filter(|(_, client)| !client.is_idle()) {
            tell(format!("client {at}: {}", self.waits(client)));
        }
        for (at, host) in self.hosts.iter().enumerate() {
            match &host.core {
                None => tell(format!("host {at} is down")),
                Some(core) => self.tell_host(at, core, &mut tell),
            }
        }
        if let Some((request, why)) = &self.latest.refusal {
            tell(format!("the latest answer after which a request is sent again: {request}, {why}"));
        }
        let from = self.latest.steps.len().saturating_sub(TOLD_MAX);
        tell(format!("the latest steps: {:?}", &self.latest.steps[from..]));
        told
    }

    fn tell_host(&self, at: usize, core: &Core, tell: &mut impl FnMut(String)) {
        let is_halted = if self.hosts[at].is_halted { ", halted" } else { "" };
        let role = if core.leads() { "leads" } else { "follows" };
        tell(format!("host {at} {role}{is_halted}, with record {}, looking: {}", core.number(), core.is_looking()));
        tell(format!("  sessions {:?}, of which {:?} can go on", core.sessions.numbers(), core.sessions.ready()));
        let is_over = if core.machine.has_met_its_fate() { "has come" } else { "has not come" };
        tell(format!("  the disks' fault, {:?}, {is_over}; the writer is due: {}", core.machine.fate(), core.is_due()));
    }

    fn waits(&self, client: &Client) -> String {
        let op = |number: &usize| format!("{number} {:?}", self.judge.requests[*number].op);
        let again: Vec<_> = client.again.iter().map(op).collect();
        let Some(link) = &client.link else {
            return format!("not connected, last to host {}, to send again: {again:?}", client.host);
        };
        let unanswered: Vec<_> = link.unanswered().map(|number| op(&number)).collect();
        let (under_way, to_take) = (link.under_way.len(), link.wire.waiting());
        format!(
            "{}, unanswered: {unanswered:?}, to send again: {again:?}, {under_way} bytes on their way, {to_take} to take",
            greeting(link)
        )
    }
}

fn greeting(link: &Link) -> &'static str {
    match (link.is_greeted(), link.wire.is_closed()) {
        (_, true) => "the daemon has closed",
        (true, false) => "connected",
        (false, false) => "not greeted",
    }
}
