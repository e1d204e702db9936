//! Seeded histories: the same random calls on the memory store, on redb, on the journal in front of redb, which is
//! flushed at random moments, and on a small model of a registry. All stores must answer alike to the byte, the
//! model must agree on who got what, and after every call the whole registry must be sound.
//!
//! `ENROLL_HISTORIES=N` runs N of them, `ENROLL_SEED=S` only the one of that seed; a failure prints the seed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use enroll_protocol::enrollment::State;
use enroll_protocol::transaction::{self, Unit};
use enroll_protocol::{Code, Envelope, Key, Operation, Pk, Refusal, code, codec, enrollment, person, role, token};
use enroll_tests::oracle::everything;
use enroll_tests::registry::Registry;
use enroll_tests::seed::of_histories;
use enrolld::storage::journal::JournalStore;
use rand::rngs::ChaCha20Rng;
use rand::{RngExt as _, SeedableRng as _};

const HISTORIES: u64 = 40;
const CALLS: usize = 60;

#[test]
fn all_stores_and_the_model_tell_the_same_history() {
    for seed in of_histories(HISTORIES) {
        let directory = tempfile::tempdir().expect("a directory");
        let (journaled, journal) = Registry::in_journal();
        let stores = [Registry::in_memory(), Registry::in_redb(directory.path()), journaled];
        let random = ChaCha20Rng::seed_from_u64(seed);
        let mut history =
            History { seed, random, stores, journal, model: Model::default(), codes: Vec::new(), step: 0 };
        for step in 0..CALLS {
            history.step = step;
            history.call_something();
        }
        let [first, second, third] = history.stores.each_ref().map(|store| everything(store.store()).expect("read"));
        assert!(first == second && first == third, "seed {seed}: the stores hold other entries");
    }
}

struct History {
    seed: u64,
    random: ChaCha20Rng,
    stores: [Registry; 3],
    /// Below the last of them.
    journal: Arc<JournalStore>,
    model: Model,
    /// Every code that was made, used or not.
    codes: Vec<String>,
    step: usize,
}

/// A model of a registry, as simple as possible.
#[derive(Clone, Default)]
struct Model {
    /// Roles of people, by callsign in lower case.
    people: BTreeMap<String, BTreeSet<String>>,
    /// The decided enrollments, by callsign in lower case.
    enrollments: BTreeMap<String, State>,
    /// Callsigns of people who were deleted.
    deleted: BTreeSet<String>,
    tokens: BTreeSet<String>,
    used_codes: BTreeSet<String>,
    /// The first request under each idempotency key, and its answer.
    kept: BTreeMap<u8, (String, Result<Vec<u8>, Refusal>)>,
}

impl History {
    fn call_something(&mut self) {
        self.stores.iter_mut().for_each(|store| store.pass_seconds(1));
        if self.random.random_bool(0.2) {
            self.journal.flush().and_then(|()| self.journal.make_filter(|| ())).expect("flushed");
        }
        let (callsign, role) = (self.callsign(), ["member", "admin", "staff"][self.random.random_range(0..3)]);
        match self.random.random_range(0..16) {
            0 | 1 => {
                let create = person::Create::new(callsign.parse().expect("a callsign"));
                self.write(create, |model| model.create(&callsign));
            }
            2 => {
                let assign = role::Assign { person: name(&callsign), role: role.parse().expect("a role") };
                self.write(assign, |model| model.assign(&callsign, role));
            }
            3 => {
                let remove = role::Remove { person: name(&callsign), role: role.parse().expect("a role") };
                self.write(remove, |model| model.remove(&callsign, role));
            }
            4 => {
                let token = format!("token {}", self.random.random_range(0..12));
                let spend = token::Use::new(token.parse().expect("a token"));
                self.write(spend, |model| model.spend(&token));
            }
            5 => {
                let made = self.write(code::Create::new("{}".parse().expect("claims")), |_| Ok(()));
                let made = made.and_then(|made| made.code).map(|code| code.as_str().to_owned());
                // A kept answer brings a code that is known already.
                self.codes.extend(made.filter(|code| !self.codes.contains(code)));
            }
            6 => {
                let pick = self.random.random_range(0..=self.codes.len());
                let code = self.codes.get(pick).cloned().unwrap_or_else(|| "NOSUCHCODE22".to_owned());
                let exchange = code::Use::new(code.parse().expect("a code"));
                let is_known = self.codes.contains(&code);
                self.write(exchange, |model| match is_known {
                    false => Err(Code::NOT_FOUND),
                    true if model.used_codes.insert(code) => Ok(()),
                    true => Err(Code::TOKEN_REUSE),
                });
            }
            7 => {
                let enroll = enrollment::Create::new(callsign.parse().expect("a callsign"));
                self.write(enroll, |model| model.enroll(&callsign));
            }
            8 => {
                let approve = enrollment::Approve::new(name(&callsign));
                self.write(approve, |model| model.decide(&callsign, true));
            }
            9 => {
                let reject = enrollment::Reject { enrollment: name(&callsign), reason: None };
                self.write(reject, |model| model.decide(&callsign, false));
            }
            10 => {
                let delete = person::Delete { person: name(&callsign) };
                self.write(delete, |model| model.delete(&callsign));
            }
            11 => {
                let restore = person::Restore { person: name(&callsign) };
                self.write(restore, |model| model.restore(&callsign));
            }
            12 => {
                let reopen = enrollment::Reopen { enrollment: name(&callsign) };
                self.write(reopen, |model| model.reopen(&callsign));
            }
            13 => self.use_two_tokens(),
            14 => self.create_with_role(&callsign, role),
            _ => self.read_everything(),
        }
        for store in &self.stores {
            assert_eq!(store.violations(), Vec::<String>::new(), "seed {} step {}", self.seed, self.step);
        }
    }

    fn use_two_tokens(&mut self) {
        let tokens = [(); 2].map(|()| format!("token {}", self.random.random_range(0..12)));
        let spend = |token: &String| Unit::of(&token::Use::new(token.parse().expect("a token")));
        let run = transaction::Run { units: tokens.iter().map(spend).collect() };
        self.write(run, |model| model.at_once(|model| tokens.iter().try_for_each(|token| model.spend(token))));
    }

    /// Makes a person with a role and a token of their own, as one transaction.
    fn create_with_role(&mut self, callsign: &str, role: &str) {
        let token = format!("token {}", self.random.random_range(0..12));
        let units = vec![
            Unit::of(&person::Create::new(callsign.parse().expect("a callsign"))),
            Unit::of(&role::Assign { person: name(callsign), role: role.parse().expect("a role") }),
            Unit::of(&token::Use::new(token.parse().expect("a token"))),
        ];
        self.write(transaction::Run { units }, |model| {
            model.at_once(|model| {
                model.create(callsign)?;
                model.assign(callsign, role)?;
                model.spend(&token)
            })
        });
    }

    /// Calls a write on all stores, half of the time under one of a few keys, and compares with the model.
    fn write<O: Operation>(
        &mut self,
        operation: O,
        model: impl FnOnce(&mut Model) -> Result<(), Code>,
    ) -> Option<O::Reply> {
        let place = format!("seed {} step {}: {}", self.seed, self.step, O::ROW.name);
        let number = self.random.random_bool(0.5).then(|| self.random.random_range(0..10_u8));
        let key = number.map(|number| Key(Pk::from_bytes([number; 16])));
        let envelope = Envelope { key, ..Envelope::default() };
        let request = codec::encode(&operation);
        let [first, second, third] =
            self.stores.each_mut().map(|store| store.call_encoded(envelope.clone(), O::ROW.number, &request));
        assert_eq!((&first, &first), (&second, &third), "{place}");

        let asked = format!("{} {request:?}", O::ROW.name);
        match number.and_then(|number| self.model.kept.get(&number)) {
            Some((kept, answer)) if *kept == asked => assert_eq!(&first, answer, "{place}: the kept answer"),
            Some(_) => assert_eq!(first.as_ref().map_err(|r| r.code), Err(Code::KEY_REUSED), "{place}"),
            None => {
                let expected = model(&mut self.model);
                assert_eq!(first.as_ref().map(drop).map_err(|refusal| refusal.code), expected, "{place}");
                number.map(|number| self.model.kept.insert(number, (asked, first.clone())));
            }
        }
        first.ok().map(|reply| codec::decode(&reply).expect("a reply"))
    }

    fn read_everything(&mut self) {
        for store in &mut self.stores {
            let people = store.call(person::List::default()).expect("people").items;
            let mut found = BTreeMap::new();
            for person in people {
                let roles = store.call(role::List::new((&person.callsign).into())).expect("roles");
                assert_eq!(person.roles, roles, "seed {} step {}", self.seed, self.step);
                let roles: BTreeSet<String> = roles.iter().map(|role| role.as_str().to_owned()).collect();
                found.insert(person.callsign.as_str().to_lowercase(), roles);
            }
            assert_eq!(found, self.model.people, "seed {} step {}", self.seed, self.step);
            let status = store.call(enroll_protocol::server::Status {}).expect("a status");
            assert_eq!(status.records["enrollment"], self.model.enrollments.len() as u64);
            assert_eq!(status.records["token"], self.model.tokens.len() as u64);
            assert_eq!(status.records["code"], self.codes.len() as u64);
        }
    }

    fn callsign(&mut self) -> String {
        let name = ["Dog", "Cat", "Cow", "Hen", "Fox", "Bee", "Ant", "Elk"][self.random.random_range(0..8)];
        if self.random.random_bool(0.5) { name.to_uppercase() } else { name.to_owned() }
    }
}

impl Model {
    /// All or nothing.
    fn at_once(&mut self, units: impl FnOnce(&mut Self) -> Result<(), Code>) -> Result<(), Code> {
        let mut after = self.clone();
        units(&mut after)?;
        *self = after;
        Ok(())
    }

    fn spend(&mut self, token: &str) -> Result<(), Code> {
        if self.tokens.insert(token.to_owned()) { Ok(()) } else { Err(Code::TOKEN_REUSE) }
    }

    fn create(&mut self, callsign: &str) -> Result<(), Code> {
        self.expect_free(callsign)?;
        self.people.insert(callsign.to_lowercase(), BTreeSet::new());
        Ok(())
    }

    fn assign(&mut self, callsign: &str, role: &str) -> Result<(), Code> {
        self.person(callsign)?.insert(role.to_owned());
        Ok(())
    }

    fn remove(&mut self, callsign: &str, role: &str) -> Result<(), Code> {
        self.person(callsign)?.remove(role);
        Ok(())
    }

    fn delete(&mut self, callsign: &str) -> Result<(), Code> {
        self.person(callsign)?;
        self.people.remove(&callsign.to_lowercase());
        self.deleted.insert(callsign.to_lowercase());
        Ok(())
    }

    fn restore(&mut self, callsign: &str) -> Result<(), Code> {
        if self.person(callsign).is_ok() {
            return Err(Code::CONFLICT);
        }
        let callsign = callsign.to_lowercase();
        if !self.deleted.remove(&callsign) {
            return Err(Code::NOT_FOUND);
        }
        self.people.insert(callsign, BTreeSet::new());
        Ok(())
    }

    fn enroll(&mut self, callsign: &str) -> Result<(), Code> {
        self.expect_free(callsign)?;
        self.enrollments.insert(callsign.to_lowercase(), State::Pending);
        Ok(())
    }

    fn decide(&mut self, callsign: &str, is_approved: bool) -> Result<(), Code> {
        let state = self.enrollments.get_mut(&callsign.to_lowercase()).ok_or(Code::NOT_FOUND)?;
        if *state != State::Pending {
            return Err(Code::ALREADY_DECIDED);
        }
        *state = if is_approved { State::Approved } else { State::Rejected };
        if is_approved {
            self.people.insert(callsign.to_lowercase(), BTreeSet::new());
        }
        Ok(())
    }

    fn reopen(&mut self, callsign: &str) -> Result<(), Code> {
        match self.enrollments.get_mut(&callsign.to_lowercase()).ok_or(Code::NOT_FOUND)? {
            State::Approved => Err(Code::ALREADY_DECIDED),
            State::Pending => Err(Code::CONFLICT),
            state => {
                *state = State::Pending;
                Ok(())
            }
        }
    }

    fn expect_free(&self, callsign: &str) -> Result<(), Code> {
        let callsign = callsign.to_lowercase();
        let is_taken = self.people.contains_key(&callsign)
            || self.deleted.contains(&callsign)
            || self.enrollments.contains_key(&callsign);
        if is_taken { Err(Code::CALLSIGN_RESERVED) } else { Ok(()) }
    }

    fn person(&mut self, callsign: &str) -> Result<&mut BTreeSet<String>, Code> {
        let callsign = callsign.to_lowercase();
        let missing = if self.deleted.contains(&callsign) { Code::DELETED } else { Code::NOT_FOUND };
        self.people.get_mut(&callsign).ok_or(missing)
    }
}

fn name(callsign: &str) -> enroll_protocol::Reference {
    callsign.parse().expect("a name")
}
