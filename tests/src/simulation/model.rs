//! The model of a simulation, written from what the domain says and not from the rules: people, roles, pools, enrollments,
//! tokens, codes and events as plain maps. It tells what an operation answers, and what it changes.

use std::collections::{BTreeMap, BTreeSet};

use enroll_protocol::enrollment::State;
use enroll_protocol::registration::ApprovalState;
use enroll_protocol::{Code, Pk, Time};

use super::events::EventState;
use super::guesses::{Source, Window};
use super::operations::Op;
use super::people::Person;
use crate::event_model::Event;
use crate::program_model;

/// A callsign that waits to be let in, or was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Enrollment {
    pub(super) pk: Pk,
    pub(super) state: State,
    pub(super) pool: Option<Pk>,
}

/// An invite pool, under the number of the request that made it.
#[derive(Debug, Clone)]
pub(super) struct Pool {
    pub(super) pk: Pk,
    pub(super) owner: usize,
    pub(super) owner_life: u32,
    pub(super) is_active: bool,
    pub(super) is_deleted: bool,
    pub(super) uses: u32,
    pub(super) most: Option<u32>,
    /// The requests that drew its invite code anew, in the order they were done; a code of before finds nothing.
    pub(super) resets: Vec<usize>,
}

#[derive(Debug, Clone)]
struct Login {
    sub: Option<usize>,
    life: u32,
    created: Time,
    expires: Option<Time>,
    is_used: bool,
}

/// The registry.
#[derive(Debug, Clone, Default)]
pub(super) struct Model {
    pub(super) people: BTreeMap<usize, Person>,
    pub(super) enrollments: BTreeMap<usize, Enrollment>,
    pub(super) pools: BTreeMap<usize, Pool>,
    pub(super) tokens: BTreeMap<usize, Pk>,
    codes: BTreeMap<usize, Login>,
    /// Events, under the numbers of the requests that made them.
    pub(super) events: BTreeMap<usize, EventState>,
    /// Certificates that were revoked.
    pub(super) revoked: usize,
    pub(super) programs: program_model::Model,
    /// Windows of wrong codes.
    pub(super) windows: BTreeMap<Source, Window>,
}

/// The answer to an operation that is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    Person {
        pk: Pk,
        name: usize,
        roles: BTreeSet<&'static str>,
        is_deleted: bool,
        is_revoked: bool,
    },
    Erased {
        pk: Pk,
    },
    Certificate {
        name: usize,
        key: usize,
    },
    /// The outcome for an external key or a course, in a word.
    Word(String),
    /// Those of the units of a transaction.
    Units(Vec<Reply>),
    /// Records of a list, a line each.
    Lines(Vec<String>),
    /// So many certificates were revoked.
    Revoked(usize),
    /// Whether something was changed.
    Changed(bool),
    Roles(BTreeSet<&'static str>),
    Spent {
        token: usize,
        created: Time,
    },
    Made,
    /// Nothing is wrong.
    Sound,
    Login {
        sub: Option<usize>,
    },
    Pool {
        pk: Pk,
        is_active: bool,
        uses: u32,
        is_deleted: bool,
    },
    Enrollment {
        pk: Pk,
        name: usize,
        state: State,
        pool: Option<Pk>,
    },
    Event {
        pk: Pk,
    },
    Registration {
        event: Pk,
        person: Pk,
        is_waiting: bool,
        is_canceled: bool,
        approval: ApprovalState,
    },
}

/// A done operation: its answer, and the records of its change, if it changes anything.
pub(super) type Done = (Reply, Option<Vec<Pk>>);

impl Model {
    /// Does an operation at this time, as the request of this number. Records that it makes get `made` as pks, in their
    /// order. A refusal changes nothing.
    pub(super) fn apply(&mut self, number: usize, op: &Op, at: Time, made: &[Pk]) -> Result<Done, Code> {
        let new = |which: usize| made.get(which).copied().unwrap_or(Pk::from_bytes([0; 16]));
        match op {
            Op::CreatePerson { name, roles } => {
                self.require_free(*name)?;
                let roles = roles.clone();
                self.people.insert(*name, Person { roles, ..Person::new(new(0), at) });
                // More members of a role may have another pool be the most exclusive one; nobody waits who could sit.
                Ok((self.person(*name), Some(vec![new(0)])))
            }
            Op::DeletePerson { name } => self.delete(*name, false, at),
            Op::RevokePerson { name } => self.delete(*name, true, at),
            Op::RestorePerson { name } => {
                self.there(*name)?;
                let person = self.people.get_mut(name).ok_or(Code::NOT_FOUND)?;
                if !person.is_deleted || person.is_revoked {
                    return Err(Code::CONFLICT);
                }
                (person.is_deleted, person.is_withdrawn) = (false, false);
                person.life += 1;
                let pk = person.pk;
                Ok((self.person(*name), Some(vec![pk])))
            }
            Op::ErasePerson { name } => {
                if !self.there(*name)?.is_deleted {
                    return Err(Code::CONFLICT);
                }
                let person = self.people.get_mut(name).ok_or(Code::NOT_FOUND)?;
                person.is_erased = true;
                let pk = person.pk;
                self.erase_keys(*name);
                Ok((Reply::Erased { pk }, Some(vec![pk])))
            }
            Op::Certify(ask) => self.certify(ask, at, made),
            Op::Study(ask) => self.study(ask),
            Op::Guess(ask) => self.guess(ask),
            Op::Transact(units) => self.transact(number, units, at),
            Op::GetPerson { name } => self.there(*name).map(|_| (self.person(*name), None)),
            Op::Assign { name, role } => self.change_role(*name, at, |roles| roles.insert(role)),
            Op::Remove { name, role } => self.change_role(*name, at, |roles| roles.remove(role)),
            Op::ListRoles { name } => Ok((Reply::Roles(self.live(*name)?.roles.clone()), None)),
            Op::RotateKeys => Ok((Reply::Made, Some(vec![new(0)]))),
            Op::Check => Ok((Reply::Sound, None)),
            Op::UseToken { token, expires } => {
                if self.tokens.contains_key(token) {
                    return Err(Code::TOKEN_REUSE);
                }
                if expires.is_some_and(|expires| expires <= at) {
                    return Err(Code::EXPIRED);
                }
                self.tokens.insert(*token, new(0));
                Ok((Reply::Spent { token: *token, created: at }, Some(vec![new(0)])))
            }
            Op::CreateCode { sub, expires } => {
                let life = match sub.and_then(|sub| self.people.get(&sub)) {
                    Some(person) if person.is_deleted => return Err(Code::DELETED),
                    Some(person) => person.life,
                    None => 0,
                };
                if expires.is_some_and(|expires| expires <= at) {
                    return Err(Code::INVALID_ARGUMENT);
                }
                let login = Login { sub: *sub, life, created: at, expires: *expires, is_used: false };
                self.codes.insert(number, login);
                Ok((Reply::Made, Some(vec![new(0)])))
            }
            Op::UseCode { code } => self.use_code(code.as_ref().map(|(code, _)| *code), at, made),
            Op::CreatePool { owner, most } => {
                let owner_life = self.live(*owner)?.life;
                let (owner, most) = (*owner, *most);
                let (is_active, is_deleted, uses, resets) = (true, false, 0, Vec::new());
                let pool = Pool { pk: new(0), owner, owner_life, is_active, is_deleted, uses, most, resets };
                self.pools.insert(number, pool);
                Ok((self.pool(number), Some(vec![new(0)])))
            }
            Op::SetActive { pool, active } => {
                let owner = self.live_pool(pool.0)?.owner;
                let life = self.people.get(&owner).map_or(0, |person| person.life);
                self.change_pool(pool.0, |pool| (pool.is_active, pool.owner_life) = (*active, life))
            }
            Op::ResetCode { pool } => self.change_pool(pool.0, |pool| pool.resets.push(number)),
            Op::DeletePool { pool } => self.change_pool(pool.0, |pool| pool.is_deleted = true),
            Op::Enroll { name, pool } => self.enroll(*name, pool.as_ref().map(|(drawn, _)| *drawn), made),
            Op::Approve { name } => {
                let enrollment = self.pending(*name)?;
                enrollment.state = State::Approved;
                let pk = enrollment.pk;
                self.people.insert(*name, Person::new(new(1), at));
                Ok((self.person(*name), Some(vec![pk, new(1)])))
            }
            Op::Reject { name } => {
                self.pending(*name)?.state = State::Rejected;
                Ok(self.enrollment(*name))
            }
            Op::Reopen { name } => {
                self.expect_enrollment(*name)?;
                let enrollment = self.enrollments.get_mut(name).ok_or(Code::NOT_FOUND)?;
                match enrollment.state {
                    State::Rejected => enrollment.state = State::Pending,
                    State::Approved => return Err(Code::ALREADY_DECIDED),
                    State::Pending => return Err(Code::CONFLICT),
                }
                Ok(self.enrollment(*name))
            }
            Op::CreateEvent { owner, event } => {
                self.live(*owner)?;
                self.events.insert(number, EventState::new(new(0), event, at));
                Ok((Reply::Event { pk: new(0) }, Some(vec![new(0)])))
            }
            Op::Own { event, change } => self.own(event.0, change, at),
            Op::Register { event, name } => self.register(event.0, *name, at, Event::register),
            Op::Cancel { event, name } => self.register(event.0, *name, at, Event::cancel),
            Op::Place { event, name, target } => {
                self.register(event.0, *name, at, |event, people, name, now| event.place(people, name, target, now))
            }
            Op::Decide { event, name, approve: true } => self.register(event.0, *name, at, Event::approve),
            Op::Decide { event, name, approve: false } => self.register(event.0, *name, at, Event::reject),
        }
    }

    /// True if a pool's code finds a pool that lets people in.
    pub(super) fn is_active(&self, pool: &Pool) -> bool {
        pool.is_active && self.people.get(&pool.owner).is_none_or(|owner| owner.life == pool.owner_life)
    }

    /// Refuses a callsign that a person or an enrollment has, or an erased person had.
    pub(super) fn require_free(&self, name: usize) -> Result<(), Code> {
        let is_taken = self.people.contains_key(&name) || self.enrollments.contains_key(&name);
        if is_taken { Err(Code::CALLSIGN_RESERVED) } else { Ok(()) }
    }

    fn use_code(&mut self, number: Option<usize>, at: Time, made: &[Pk]) -> Result<Done, Code> {
        let login = number.and_then(|number| self.codes.get(&number)).ok_or(Code::NOT_FOUND)?;
        if let Some(person) = login.sub.and_then(|sub| self.people.get(&sub)) {
            match () {
                () if person.is_deleted => return Err(Code::DELETED),
                () if login.created < person.created && person.created <= at => return Err(Code::EXPIRED),
                () if person.life != login.life => return Err(Code::DELETED),
                () => {}
            }
        }
        match () {
            () if login.is_used => return Err(Code::TOKEN_REUSE),
            () if login.expires.is_some_and(|expires| expires <= at) => return Err(Code::EXPIRED),
            () => {}
        }
        let sub = login.sub;
        number.and_then(|number| self.codes.get_mut(&number)).ok_or(Code::NOT_FOUND)?.is_used = true;
        Ok((Reply::Login { sub }, Some(made.first().copied().into_iter().collect())))
    }

    fn live_pool(&self, number: usize) -> Result<&Pool, Code> {
        let pool = self.pools.get(&number).ok_or(Code::NOT_FOUND)?;
        if pool.is_deleted { Err(Code::DELETED) } else { Ok(pool) }
    }

    fn change_pool(&mut self, number: usize, change: impl FnOnce(&mut Pool)) -> Result<Done, Code> {
        self.live_pool(number)?;
        let pool = self.pools.get_mut(&number).ok_or(Code::NOT_FOUND)?;
        change(pool);
        let pk = pool.pk;
        Ok((self.pool(number), Some(vec![pk])))
    }

    fn pool(&self, number: usize) -> Reply {
        let pool = &self.pools[&number];
        Reply::Pool { pk: pool.pk, is_active: self.is_active(pool), uses: pool.uses, is_deleted: pool.is_deleted }
    }

    /// The pool of the invite code that the answer to this request told, which made the pool or drew its code anew.
    pub(super) fn pool_of_code(&self, drawn: usize) -> Option<usize> {
        let is_of = |(number, pool): &(&usize, &Pool)| match pool.resets.last() {
            Some(latest) => *latest == drawn,
            None => **number == drawn,
        };
        self.pools.iter().find(is_of).map(|(number, _)| *number)
    }

    /// Refuses a pool by which nobody can enroll.
    pub(super) fn usable(&self, number: usize) -> Result<(), Code> {
        let pool = &self.pools[&number];
        match () {
            () if pool.is_deleted => Err(Code::DELETED),
            () if !self.is_active(pool) => Err(Code::POOL_INACTIVE),
            () if self.people.get(&pool.owner).is_none_or(|owner| owner.is_deleted) => Err(Code::POOL_INACTIVE),
            () if pool.most.is_some_and(|most| pool.uses >= most) => Err(Code::POOL_EXHAUSTED),
            () => Ok(()),
        }
    }

    /// True for a login code that was used.
    pub(super) fn is_used(&self, number: usize) -> Option<bool> {
        self.codes.get(&number).map(|login| login.is_used)
    }

    /// `drawn`: the request whose answer told the invite code.
    fn enroll(&mut self, name: usize, drawn: Option<usize>, made: &[Pk]) -> Result<Done, Code> {
        let by = drawn.map(|drawn| self.pool_of_code(drawn).ok_or(Code::NOT_FOUND)).transpose()?;
        by.map(|number| self.usable(number)).transpose()?;
        self.require_free(name)?;
        let pk = made.first().copied().unwrap_or(Pk::from_bytes([0; 16]));
        let mut subjects = vec![pk];
        if let Some(pool) = by.and_then(|by| self.pools.get_mut(&by)) {
            pool.uses += 1;
            subjects.push(pool.pk);
        }
        let pool = by.and_then(|by| self.pools.get(&by)).map(|pool| pool.pk);
        self.enrollments.insert(name, Enrollment { pk, state: State::Pending, pool });
        Ok((self.enrollment(name).0, Some(subjects)))
    }

    /// Refuses a callsign that no enrollment has, or that was erased with its person.
    fn expect_enrollment(&self, name: usize) -> Result<(), Code> {
        match self.people.get(&name) {
            Some(person) if person.is_erased => Err(Code::NOT_FOUND),
            _ => Ok(()),
        }
    }

    /// The enrollment of a callsign, which was not decided.
    pub(super) fn pending(&mut self, name: usize) -> Result<&mut Enrollment, Code> {
        self.expect_enrollment(name)?;
        let enrollment = self.enrollments.get_mut(&name).ok_or(Code::NOT_FOUND)?;
        if enrollment.state == State::Pending { Ok(enrollment) } else { Err(Code::ALREADY_DECIDED) }
    }

    fn enrollment(&self, name: usize) -> Done {
        let Enrollment { pk, state, pool } = self.enrollments[&name].clone();
        (Reply::Enrollment { pk, name, state, pool }, Some(vec![pk]))
    }
}
