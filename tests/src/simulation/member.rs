//! The part of a simulated daemon in a cluster: it takes in what the leader appended, looks at the end of the journal for reads,
//! and leads once it is elected. Each is a step of what the daemon has threads for.

use std::sync::Arc;

use enroll_core::identity::CountingSeal;
use enroll_core::rules::{authority, bootstrap};
use enroll_core::state::{StoreError, Writes};
use enrolld::daemon::Daemon;
use enrolld::daemon::clock::Clock;
use enrolld::net::barrier::Looks;
use enrolld::storage::journal::JournalStore;
use enrolld::storage::shared_journal::Term;
use enrolld::writer::{Inbox, Writer, WriterThread};

use super::control::Control;
use super::core::{Core, Ended};
use super::shared_journal::Way;

/// See the module.
pub(super) struct Member {
    name: String,
    pub(super) way: Arc<Way>,
    looks: Looks,
    /// The look that is under way: the batch that it waits for, if there is one.
    look: Option<Result<Option<u64>, StoreError>>,
    /// For the writer that it has once it leads.
    to_write: Option<(Inbox, CountingSeal)>,
    clock: Clock,
    /// The term in which it leads, or believes to.
    pub(super) term: Option<Term>,
    control: Control,
}

impl Member {
    /// A standby.
    pub(super) fn new(
        name: &str,
        way: &Arc<Way>,
        looks: Looks,
        to_write: (Inbox, CountingSeal),
        clock: Clock,
        control: Control,
    ) -> Self {
        let (name, way, to_write) = (name.to_owned(), Arc::clone(way), Some(to_write));
        Self { name, way, looks, look: None, to_write, clock, term: None, control }
    }

    /// Tells the daemon who it is. It does not know yet who leads.
    pub(super) fn join(&self, daemon: &Daemon) {
        daemon.role.join(self.name.parse().expect("a name"));
        daemon.role.follow("another");
    }
}

impl Core {
    /// The number of the latest record here.
    pub(super) fn number(&self) -> u64 {
        self.store.with(|store| Ok(store.number())).unwrap_or(0)
    }

    /// Takes in so many records of the journal, or all.
    pub(super) fn take_in(&self, records: Option<usize>) -> Result<(), Ended> {
        let Some(member) = &self.member else { return Ok(()) };
        member.way.let_read(records);
        let (daemon, seen) = (&self.shared.daemon, &*self.seen);
        let followed = self.store.with(|store| store.catch_up(|writes| daemon.follow(seen, writes, &self.changes)));
        member.way.let_read(None);
        // A journal that does not answer is asked again.
        match followed {
            Err(_) if member.way.is_cut() && !self.has_failed() => Ok(()),
            followed => followed.map_err(Ended),
        }
    }

    /// True once nothing more can be taken in or committed here.
    pub(super) fn has_failed(&self) -> bool {
        self.store.with(|store| Ok(store.has_failed())).unwrap_or(true)
    }

    /// True if reads wait for a look that has not begun.
    pub(super) fn is_look_due(&self) -> bool {
        self.member.as_ref().is_some_and(|member| member.look.is_none() && member.looks.are_due())
    }

    /// Begins a look at the end of the journal.
    pub(super) fn begin_look(&mut self) {
        let Some(member) = &mut self.member else { return };
        member.looks.begin();
        let is_skipped = match member.control {
            Control::SkipsLooks => true,
            Control::StandbyDoesNotWait => member.term.is_none(),
            Control::LeaderDoesNotLook => member.term.is_some(),
            _ => false,
        };
        let looked = if is_skipped { Ok(None) } else { self.store.with(JournalStore::look_at_end) };
        member.look = Some(looked);
    }

    /// True if the look that is under way has an outcome.
    pub(super) fn has_looked(&self) -> bool {
        match self.member.as_ref().and_then(|member| member.look.as_ref()) {
            Some(Ok(Some(number))) => self.store.with(|store| store.has(*number)).unwrap_or(true),
            Some(_) => true,
            None => false,
        }
    }

    /// True while a look is under way.
    pub(super) fn is_looking(&self) -> bool {
        self.member.as_ref().is_some_and(|member| member.look.is_some())
    }

    /// Ends the look: with its outcome, or because it took too long.
    pub(super) fn end_look(&mut self) {
        let Some(member) = &mut self.member else { return };
        let outcome = match member.look.take() {
            Some(Ok(Some(number))) => self.store.with(|store| store.has(number)).and_then(|is_here| match is_here {
                true => Ok(()),
                false => Err(StoreError::Io { doing: "the shared journal", error: "it took too long".to_owned() }),
            }),
            Some(looked) => looked.map(|_| ()),
            None => return,
        };
        member.looks.end(outcome);
    }

    /// Leads in this term: takes in the rest, does what a start does that leads from the beginning, and has a writer.
    pub(super) fn lead(&mut self, term: Term) -> Result<(), Ended> {
        let Some(member) = &mut self.member else { return Ok(()) };
        let (daemon, seen) = (&self.shared.daemon, &self.seen);
        let applied = |writes: &Writes| daemon.follow(&**seen, writes, &self.changes);
        self.store.with(|store| store.lead(term, applied)).map_err(Ended)?;
        let broken = |why: String| Ended(StoreError::Corrupt(why));
        let secrets = Arc::clone(&daemon.identity.now().secrets);
        let view = seen.view().map_err(Ended)?;
        let authority = authority::open(&*view, &secrets).map_err(|err| broken(err.to_string()))?;
        drop(view);
        let authority = authority.ok_or_else(|| broken("no authority".to_owned()))?;
        daemon.identity.update(|identity| identity.authority = authority.into());
        daemon.read_keys(&**seen).map_err(|err| broken(err.to_string()))?;
        bootstrap::sign_store(&**seen).map_err(Ended)?;
        let Some((inbox, seal)) = member.to_write.take() else { return Ok(()) };
        let mut writer = Writer::new(Arc::clone(seen), Arc::clone(daemon), seal).map_err(Ended)?;
        writer.start_at(member.clock.now(), false);
        self.writer = Some(WriterThread::new(writer, inbox, member.clock.clone(), || {}));
        member.term = Some(term);
        daemon.role.lead(&member.name);
        Ok(())
    }

    /// True if it leads, and has learnt that another one may.
    pub(super) fn is_deposed(&self) -> bool {
        let Some(member) = &self.member else { return false };
        member.term.is_some_and(|term| !member.way.engine().leads(term))
    }
}
