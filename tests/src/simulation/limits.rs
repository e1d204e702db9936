//! The judge of the limits of guesses: the feed has every wrong code in the order in which they were counted, and the window
//! of each source is a record. A window has exactly as many as were told, and never more than the limit; who was refused
//! for guessing had a full window, and who had one was refused.

use std::collections::BTreeMap;
use std::sync::Arc;

use enroll_core::identity::Secrets;
use enroll_core::model::change::{ALARM, Change, UID_ALARM};
use enroll_core::model::key;
use enroll_core::model::record;
use enroll_core::state::ReadTxn;
use enroll_protocol::{Code, Time};

use super::guesses::{Source, Window};
use super::judge::{Answer, Judge};
use super::operations::Op;

/// Origins that several requests share.
pub(super) const SHARED: usize = 2;

/// The wrong codes of one life of the daemon, and what must be told before it ends in good order.
#[derive(Default)]
struct Life {
    /// Wrong codes that the feed has.
    told: BTreeMap<Source, usize>,
    /// Wrong codes that were answered, each asked once and in this life.
    answered: BTreeMap<Source, usize>,
    /// Those who were refused: between which looks at the clock. The windows that refused them are still to be seen.
    refused: Vec<(usize, Source, usize, usize)>,
    /// Wrong codes in windows whose records were removed as they were over. Requests of before that are late go on in them.
    removed: BTreeMap<Source, u32>,
}

/// See the module.
#[derive(Default)]
pub(super) struct Limits {
    /// Wrong codes of a source in a minute; without it nobody is refused.
    pub(super) per_minute: Option<u32>,
    secrets: Option<Arc<Secrets>>,
    /// The clocks of all hosts as they are.
    clocks: Vec<Time>,
    /// The times that the clocks had, and those of changes, each followed by the clocks as they were then.
    looks: Vec<Time>,
    /// The first of the clocks as they are, among the looks.
    latest: usize,
    life: Life,
    lives: usize,
    /// Wrong codes that the feed has and whose windows were not looked at yet, and the first look at the clocks that the
    /// first of them may have been run at.
    fresh: BTreeMap<Source, (u32, usize)>,
    /// The windows that were full, or nothing where one came and went between two looks, and how often the clock was looked
    /// at before that was seen.
    full: BTreeMap<Source, Vec<(usize, Option<Window>)>>,
}

/// The source of a request, and the state of its window when it was first sent.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub(super) source: Source,
    /// The first look at the clocks that it may have been run at.
    from: usize,
    life: usize,
    /// The number of times that it was sent.
    pub(super) times: u32,
    /// The window that was full then.
    full: Option<Window>,
}

impl Limits {
    /// Notes the clocks of all hosts.
    pub(super) fn look_at_clocks(&mut self, clocks: &[Time]) {
        self.clocks = clocks.to_vec();
        self.look();
    }

    /// Notes the time of a change, which may lie behind the clocks.
    pub(super) fn look_back(&mut self, at: Time) {
        if self.clocks != [at] {
            self.looks.push(at);
            self.look();
        }
    }

    fn look(&mut self) {
        if !self.looks.ends_with(&self.clocks) {
            self.latest = self.looks.len();
            self.looks.extend(&self.clocks);
        }
    }

    /// True if a window may be over: a look at the clock since it was seen says so.
    fn may_have_passed(&self, window: &Window, from: usize) -> bool {
        let from = window.seen.min(from);
        self.looks[from.min(self.looks.len())..].iter().any(|at| window.has_passed(*at))
    }

    fn is_full(&self, window: &Window) -> bool {
        self.per_minute.is_some_and(|most| window.count >= most)
    }

    /// True if a full window of the source was running at a look of these.
    fn refuses(&self, source: &Source, from: usize, to: usize) -> bool {
        let looks = &self.looks[from..to.min(self.looks.len())];
        let ran = |window: &Window| looks.iter().any(|at| !window.has_passed(*at));
        self.full.get(source).is_some_and(|full| full.iter().any(|(seen, of)| of.as_ref().map_or(*seen >= from, ran)))
    }
}

impl Judge {
    /// The source of a request that is about to be sent, and what is known of it.
    pub(super) fn sent(&self, source: Source) -> Sent {
        let window = self.model().windows.get(&source).cloned();
        let looks = self.limits.looks.len();
        let is_running = |window: &Window| self.limits.is_full(window) && !self.limits.may_have_passed(window, looks);
        let full = window.filter(is_running);
        Sent { source, from: self.limits.latest, life: self.limits.lives, times: 0, full }
    }

    /// Begins a life of the daemon. After one that ended in good order everything was told.
    pub(super) fn begin_life(&mut self, secrets: &Arc<Secrets>, was_stopped: bool) -> Result<(), String> {
        let life = std::mem::take(&mut self.limits.life);
        self.limits.secrets = Some(Arc::clone(secrets));
        self.limits.lives += 1;
        if !was_stopped {
            return Ok(());
        }
        if let Some((source, answered)) =
            life.answered.iter().find(|(source, answered)| life.told.get(source).is_none_or(|told| told < *answered))
        {
            let told = life.told.get(source).copied().unwrap_or(0);
            return Err(format!("{answered} wrong codes of {source:?} were answered, and the feed has {told}"));
        }
        match life.refused.first() {
            None => Ok(()),
            Some((number, source, ..)) => Err(format!(
                "request {number}, {:?}, was refused for guessing, and {source:?} had no full window",
                self.requests[*number].op
            )),
        }
    }

    /// Forgets the windows that were full: they went back with everything else.
    pub(super) fn forget_windows(&mut self) {
        self.limits.fresh.clear();
        self.limits.life = Life::default();
        self.requests.iter_mut().for_each(|request| request.sent.full = None);
    }

    /// Takes a refused attempt in the feed. Returns true where nothing else is to be said of it.
    pub(super) fn attempted(&mut self, number: usize, code: Code) -> bool {
        if matches!(self.requests[number].op, Op::Transact(_)) {
            // Its right codes are counted too, and are not told.
            return code == Code::TOO_MANY_ATTEMPTS;
        }
        let Sent { source, from, .. } = self.requests[number].sent.clone();
        if matches!(code, Code::NOT_FOUND | Code::CODE_MISMATCH) {
            let (told, first) = self.limits.fresh.entry(source.clone()).or_insert((0, from));
            (*told, *first) = (*told + 1, from.min(*first));
            *self.limits.life.told.entry(source).or_default() += 1;
        }
        code == Code::TOO_MANY_ATTEMPTS && self.limits.per_minute.is_some()
    }

    /// Takes an alarm in the feed: its user, or all, have guessed more often than [`of_uid`] and [`of_all`] say.
    pub(super) fn alarmed(&self, change: &Change) -> Result<bool, String> {
        let Some(per_minute) = self.limits.per_minute.filter(|_| [ALARM, UID_ALARM].contains(&change.what)) else {
            return Ok(false);
        };
        let is_of = |source: &Source| change.what == ALARM || source.0 == change.peer.uid;
        let told: usize = self.limits.life.told.iter().filter(|(source, _)| is_of(source)).map(|(_, told)| told).sum();
        let most = if change.what == ALARM { of_all(per_minute) } else { of_uid(per_minute) };
        // It is told right before the code that was one too many.
        match told >= most as usize || self.has_transactions() {
            true => Ok(true),
            false => Err(format!("an alarm after {told} wrong codes, of which {most} may be")),
        }
    }

    /// Transactions count codes that are not told.
    fn has_transactions(&self) -> bool {
        self.requests.iter().any(|request| matches!(request.op, Op::Transact(_)))
    }

    /// Holds the windows against the wrong codes that the feed has told since the last time.
    pub(super) fn look_at_windows(&mut self, view: &dyn ReadTxn) -> Result<(), String> {
        // A read may fail with its disk: then they are looked at after the next start.
        let mut windows = Vec::new();
        for (source, (told, from)) in &self.limits.fresh {
            let Some(secrets) = &self.limits.secrets else { continue };
            let hash = secrets.guess_source(&[b"origin", &source.0.to_be_bytes(), source.1.as_bytes()]);
            let found = record::get::<record::Guesses>(view, &key::guesses(&hash)).map_err(|err| err.to_string())?;
            windows.push((source.clone(), *told, *from, found));
        }
        self.limits.fresh.clear();
        for (source, told, from, found) in windows {
            let before = self.model().windows.get(&source).cloned();
            let looks = self.limits.looks.len();
            let is_running = |before: &&Window| {
                !self.limits.may_have_passed(before, looks) && !found.is_some_and(|of| before.has_passed(of.since))
            };
            let lost =
                before.as_ref().filter(is_running).filter(|before| found.is_none_or(|of| of.since != before.since));
            if let Some(lost) = lost {
                return Err(format!("{source:?} had {lost:?}, which runs, and has {found:?}"));
            }
            // One that is over may have been dropped before its latest counts were written.
            let may_lack = before.as_ref().is_some_and(|before| self.limits.may_have_passed(before, looks));
            let full = self.limits.full.entry(source.clone()).or_default();
            let Some(found) = found else {
                // It is over, and was removed already.
                full.push((looks, None));
                *self.limits.life.removed.entry(source.clone()).or_default() += told + before.map_or(0, |of| of.count);
                self.set_window(source, None);
                continue;
            };
            let most = self.limits.per_minute.unwrap_or(u32::MAX);
            if found.count > most {
                return Err(format!("{source:?} had {} wrong codes in a minute, and {most} may be", found.count));
            }
            let removed = self.limits.life.removed.remove(&source).unwrap_or(0);
            let mut window = Window { since: found.since, count: found.count, seen: from };
            match before.filter(|before| before.since == found.since) {
                Some(before) if may_lack && (before.count..before.count + told).contains(&found.count) => {
                    window.seen = before.seen;
                }
                Some(before) if before.count + told != found.count => {
                    return Err(format!("{source:?} has {found:?} after {told} more wrong codes, and had {before:?}"));
                }
                Some(before) => window.seen = before.seen,
                None if found.count > told + removed => {
                    return Err(format!("{source:?} has {found:?}, and the feed {told} wrong codes"));
                }
                None if found.count < told => full.push((looks, None)),
                None => {}
            }
            if found.count >= most {
                full.push((looks, Some(window.clone())));
            }
            self.set_window(source, Some(window));
        }
        let refused = std::mem::take(&mut self.limits.life.refused);
        self.limits.life.refused =
            refused.into_iter().filter(|(_, source, from, to)| !self.limits.refuses(source, *from, *to)).collect();
        Ok(())
    }

    fn set_window(&mut self, source: Source, window: Option<Window>) {
        let mut model = (*self.model()).clone();
        match window {
            Some(window) => drop(model.windows.insert(source, window)),
            None => drop(model.windows.remove(&source)),
        }
        self.replace(model);
    }

    /// Judges the answer to a request that brings a code. Returns true for the refusal of who guesses too often.
    pub(super) fn limited(&mut self, number: usize, answer: &Answer) -> Result<bool, String> {
        let request = &self.requests[number];
        let named = || format!("request {number}, {:?}", request.op);
        let (sent, looks) = (request.sent.clone(), self.limits.looks.len());
        if answer.as_ref().is_err_and(|refusal| refusal.code == Code::TOO_MANY_ATTEMPTS) {
            return match &request.op {
                _ if self.limits.per_minute.is_none() => Err(format!("{} was refused for guessing", named())),
                op if !op.takes_code() => Err(format!("{} brings no code, and was refused for guessing", named())),
                // One that was sent again may have counted its codes before.
                Op::Transact(_) if sent.times > 1 => Ok(true),
                _ if self.limits.refuses(&sent.source, sent.from, looks) => Ok(true),
                _ => {
                    self.limits.life.refused.push((number, sent.source, sent.from, looks));
                    Ok(true)
                }
            };
        }
        if answer.as_ref().is_err_and(|refusal| refusal.code.is_passing()) {
            return Ok(false);
        }
        if let Some(full) =
            sent.full.as_ref().filter(|full| request.op.takes_code() && !self.limits.may_have_passed(full, sent.from))
        {
            return Err(format!("{} of {:?} was answered {answer:?} while {full:?} was full", named(), sent.source));
        }
        if sent.times == 1 && sent.life == self.limits.lives && request.op.is_guess(answer) {
            *self.limits.life.answered.entry(sent.source).or_default() += 1;
        }
        Ok(false)
    }
}

/// Wrong codes of one user before an alarm, with this limit of a source.
pub(super) fn of_uid(per_minute: u32) -> u32 {
    per_minute + 1
}

/// Wrong codes in all before an alarm.
pub(super) fn of_all(per_minute: u32) -> u32 {
    per_minute + 2
}
