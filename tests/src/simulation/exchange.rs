//! The steps of clients in a simulation: they connect, send, and take what arrived.

use std::hash::Hasher as _;

use enroll_protocol::{Code, Key, Pk};
use rand::RngExt as _;

use super::bulk;
use super::client::Link;
use super::core::now;
use super::hosts::Host;
use super::operations::Op;
use super::plan::Fault;
use super::programs::Ask;
use super::run::Run;

/// Operations that are drawn for a standby, up to the first that it answers.
const STANDBY_DRAWS: u32 = 4;

impl Run<'_> {
    /// Connects a client: to a host whose daemon runs, mostly the one that leads.
    pub(super) fn connect(&mut self, at: usize) {
        self.connections += 1;
        let host = if self.cluster.is_some() { self.host_to_ask() } else { 0 };
        let (client, connection) = (&mut self.clients[at], self.connections);
        let Some(core) = &mut self.hosts[host].core else { return };
        client.link = Some(Link::begin(core.connect(client.uid, connection)));
        (client.host, client.is_put_off) = (host, false);
    }

    fn host_to_ask(&mut self) -> usize {
        let up: Vec<usize> = (0..self.hosts.len()).filter(|host| self.hosts[*host].core.is_some()).collect();
        let leads = |host: &&usize| self.hosts[**host].core.as_ref().is_some_and(|core| core.leads());
        match up.iter().find(leads) {
            Some(host) if self.random.random_bool(0.5) => *host,
            _ if up.is_empty() => 0,
            _ => up[self.random.random_range(0..up.len())],
        }
    }

    pub(super) fn take(&mut self, at: usize) -> Result<(), String> {
        let most = self.piece();
        let of_host = self.hosts[self.clients[at].host].core.as_ref();
        let may_fail_inside = of_host.is_some_and(|core| core.machine.has_met_its_fate());
        let Some(link) = &mut self.clients[at].link else { return Ok(()) };
        let bytes = link.wire.take(most);
        match may_fail_inside {
            // What failed inside bears an id that the daemon draws from the system.
            true => self.trace.write_usize(bytes.len()),
            false => self.trace.write(&bytes),
        }
        let is_over = bytes.is_empty() && link.wire.is_closed();
        let mut bytes = &bytes[..];
        loop {
            let Some(link) = &mut self.clients[at].link else { return Ok(()) };
            match link.read(std::mem::take(&mut bytes)) {
                Ok(None) => break,
                Ok(Some(arrived)) => {
                    let (number, answer) = (arrived.request, arrived.answer);
                    let since = match self.judge.requests[number].op.writes() {
                        true => self.judge.first(number),
                        false => arrived.since,
                    };
                    self.known.learn(&self.judge, number, &answer)?;
                    let refused = answer.as_ref().err().map(|refusal| format!("{}: {}", refusal.code, refusal.message));
                    let is_limited = answer.as_ref().is_err_and(|refusal| refusal.code == Code::TOO_MANY_ATTEMPTS);
                    let is_one = self.judge.answered(number, since, answer, may_fail_inside)?;
                    // A host that did not do it tells nothing of another one, which may have.
                    link.saw(self.judge.change_of(number).filter(|_| is_one));
                    self.clients[at].is_put_off |= !is_one && self.cluster.is_some();
                    if !is_one && !is_limited && self.may_repeat(number) {
                        self.clients[at].again.push_back(number);
                        self.latest.refused(number, refused.unwrap_or_default());
                    }
                }
                Err(None) => {
                    self.clients[at].lose_link(&self.judge);
                    return Ok(());
                }
                Err(Some(wrong)) => return Err(wrong),
            }
        }
        self.clients[at].take_followed(&self.judge)?;
        if is_over {
            self.clients[at].lose_link(&self.judge);
        }
        self.forget();
        Ok(())
    }

    fn may_repeat(&self, number: usize) -> bool {
        let request = &self.judge.requests[number];
        request.key.is_some() || !request.op.writes()
    }

    /// Forgets the models that no answer to come can be of.
    fn forget(&mut self) {
        let judge = &self.judge;
        let again = self.clients.iter().flat_map(|client| client.again.iter().copied());
        let links = self.clients.iter().filter_map(|client| client.link.as_ref());
        let open = again.chain(links.flat_map(Link::unanswered));
        let earliest = open.map(|number| judge.first(number)).min().unwrap_or(judge.seq);
        self.judge.forget_before(earliest);
    }

    pub(super) fn send(&mut self, at: usize) {
        let number = match self.clients[at].again.pop_front() {
            Some(number) => number,
            None => {
                let uid = self.clients[at].uid;
                let op = self.draw(at);
                let shared = match self.judge.limits.per_minute.is_some() && self.random.random_bool(0.8) {
                    true => self.judge.shared(&op, uid, self.random.random_range(0..100)),
                    false => None,
                };
                let has_key = op.writes() && self.random.random_bool(0.8) || shared.is_some() && op.may_spend();
                let key = has_key.then(|| Key(Pk::from_bytes(self.random.random())));
                self.asked += 1;
                self.judge.add(op, key, uid, shared)
            }
        };
        if let Some(link) = &mut self.clients[at].link {
            self.judge.requests[number].sent.times += 1;
            link.send(&self.judge, number);
        }
    }

    /// The next operation of a client: mostly a read where its host does not lead, as it refuses writes there. Bulk writes have
    /// no more open keys than a batch takes.
    fn draw(&mut self, at: usize) -> Op {
        let Host { clock, core, .. } = &self.hosts[self.clients[at].host];
        let (now, is_standby) = (now(clock), core.as_ref().is_some_and(|core| core.member.is_some() && !core.leads()));
        let mut draws = if is_standby { STANDBY_DRAWS } else { 1 };
        let op = loop {
            draws -= 1;
            let op = self.known.draw(&mut self.random, &self.plan.areas, now);
            if draws == 0 || !op.writes() {
                break op;
            }
        };
        match (op, self.judge.open_keys()) {
            (Op::Study(Ask::Many(units)), open) if open + units.len() > bulk::OPEN_MAX => Op::Study(units[0].clone()),
            (op, _) => op,
        }
    }

    /// Bytes that arrive at once.
    pub(super) fn piece(&mut self) -> usize {
        match self.plan.has(Fault::Pieces) {
            true => self.random.random_range(1..200),
            false => usize::MAX,
        }
    }
}
