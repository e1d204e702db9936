//! Seeded histories of courses and programs, on the memory store, on redb and on the journal in front of it at once:
//! answers, states and changes are compared with the model.
//!
//! `ENROLL_HISTORIES=N` runs N of them, `ENROLL_SEED=S` only the one of that seed; a failure prints the seed and every
//! call before it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::sync::Arc;

use enroll_protocol::course::Mode;
use enroll_protocol::program::Status;
use enroll_protocol::{Envelope, OperationRow, person};
use enroll_tests::registry::Registry;
use enroll_tests::seed::of_histories;
use enrolld::storage::journal::JournalStore;
use rand::rngs::ChaCha20Rng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use enroll_tests::program_model::{Course, ExpectedChange, Model, Subject};

const HISTORIES: u64 = 60;
const CALLS: usize = 80;
const PEOPLE: usize = 5;
const COURSES: [Course; 3] = ["Hiking", "Rowing", "Sailing"];
const KEYS: [&str; 6] = ["k-0", "k-1", "K-0", "straSSe", "k-2", "k-3"];
const PROGRAM: &str = "00000000-0000-0000-0000-00000000000a";
const STATUSES: [&str; 5] = ["enrolled", "pending", "suspended", "canceled", "ended"];

#[test]
fn programs_go_as_the_model_says_on_every_store() {
    for seed in of_histories(HISTORIES) {
        let directory = tempfile::tempdir().expect("a directory");
        let (journaled, journal) = Registry::in_journal();
        let stores = [Registry::in_memory(), Registry::in_redb(directory.path()), journaled];
        let mut history = History::begin(seed, stores, journal);
        for _ in 0..CALLS {
            history.call_something();
            history.compare();
        }
    }
}

struct History {
    seed: u64,
    random: ChaCha20Rng,
    stores: [Registry; 3],
    journal: Arc<JournalStore>,
    /// The name of each pk.
    named: BTreeMap<String, Subject>,
    /// The number of changes read.
    seen: u64,
    model: Model,
    log: Vec<String>,
}

impl Drop for History {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = writeln!(std::io::stderr(), "failed with ENROLL_SEED={}:\n{}", self.seed, self.log.join("\n"));
        }
    }
}

impl History {
    fn begin(seed: u64, mut stores: [Registry; 3], journal: Arc<JournalStore>) -> Self {
        let mut named = BTreeMap::new();
        for at in 0..PEOPLE {
            let create = person::Create::new(format!("P{at}").parse().expect("a callsign"));
            let made = stores.each_mut().map(|store| {
                store.pass_seconds(1);
                store.call(create.clone()).expect("a person").pk
            });
            named.insert(made[0].to_string(), Subject::Who(at));
        }
        let random = ChaCha20Rng::seed_from_u64(seed);
        let seen = PEOPLE as u64;
        Self { seed, random, stores, journal, named, seen, model: Model::default(), log: Vec::new() }
    }

    fn chance(&mut self, one_in: u32) -> bool {
        self.random.random_ratio(1, one_in)
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.random.random_range(0..all.len())]
    }

    /// Some of the keys in some order; none twice without regard to case.
    fn some_keys(&mut self) -> Vec<&'static str> {
        let mut keys: Vec<&'static str> = Vec::new();
        for key in KEYS {
            if self.random.random_bool(0.4) && keys.iter().all(|other| !other.eq_ignore_ascii_case(key)) {
                keys.push(key);
            }
        }
        keys.shuffle(&mut self.random);
        keys
    }

    /// Somebody, or nobody of that name.
    fn somebody(&mut self) -> Option<usize> {
        let at = self.random.random_range(0..=PEOPLE);
        (at < PEOPLE).then_some(at)
    }

    fn how(&mut self) -> (bool, bool) {
        self.one_of(&[(true, false), (false, true), (true, true)])
    }

    fn call_something(&mut self) {
        self.stores.iter_mut().for_each(|store| store.pass_seconds(1));
        if self.chance(6) {
            self.journal.flush().and_then(|()| self.journal.make_filter(|| ())).expect("flushed");
        }
        match self.random.random_range(0..20) {
            0..3 => self.enroll(),
            3..6 => self.enroll_course(),
            6..11 => self.link(),
            11..13 => self.unlink(),
            13..15 => self.assign_role(),
            15 | 16 => self.create_course(),
            17 => self.delete_course(),
            18 => self.enroll_person(),
            _ if self.chance(8) => self.delete_person(),
            _ => self.unenroll_person(),
        }
    }

    fn enroll(&mut self) {
        let (keys, how) = (self.some_keys(), self.how());
        let (mut expected, mut units) = (Map::new(), Vec::new());
        for key in keys {
            let (curriculum, status) = (self.one_of(&[1, 2]), self.one_of(&STATUSES));
            let person = self.chance(3).then(|| self.somebody());
            let word = self.model.enroll(key, how, (curriculum, status), person);
            expected.insert(key.to_owned(), word.into());
            let person = person.map(callsign);
            let curriculum = curriculum_of(curriculum);
            units.push(json!({"external_key": key, "curriculum": curriculum, "status": status, "person": person}));
        }
        let args = json!({"program": PROGRAM, "create": how.0, "update": how.1, "enrollments": units});
        self.expect_same("program.enroll", &args, Ok(Value::Object(expected)));
    }

    fn enroll_course(&mut self) {
        let (keys, course, how) = (self.some_keys(), self.one_of(&COURSES), self.how());
        let is_there = self.model.courses.contains_key(course);
        let (mut expected, mut units) = (Map::new(), Vec::new());
        for key in keys {
            let active = self.random.random_bool(0.7);
            if is_there {
                expected.insert(key.to_owned(), self.model.enroll_course(key, course, how, active).into());
            }
            let status = if active { "active" } else { "inactive" };
            units.push(json!({"external_key": key, "status": status}));
        }
        let args =
            json!({"program": PROGRAM, "course": course, "create": how.0, "update": how.1, "enrollments": units});
        let expected = if is_there { Ok(Value::Object(expected)) } else { Err("not_found") };
        self.expect_same("program.enroll_course", &args, expected);
    }

    fn link(&mut self) {
        let (mut expected, mut links) = (Map::new(), Map::new());
        for key in self.some_keys() {
            let person = self.somebody();
            if let Err(code) = self.model.link(key, person) {
                expected.insert(key.to_owned(), code.into());
            }
            links.insert(key.to_owned(), callsign(person).into());
        }
        self.expect_same("program.link", &json!({"program": PROGRAM, "links": links}), Ok(Value::Object(expected)));
    }

    fn unlink(&mut self) {
        let (keys, mut expected) = (self.some_keys(), Map::new());
        for key in &keys {
            if let Err(code) = self.model.unlink(key) {
                expected.insert((*key).to_owned(), code.into());
            }
        }
        let args = json!({"program": PROGRAM, "external_keys": keys});
        self.expect_same("program.unlink", &args, Ok(Value::Object(expected)));
    }

    fn assign_role(&mut self) {
        let (key, course) = (self.one_of(&KEYS), self.one_of(&COURSES));
        let expected = self.model.assign_role(key, course).map(Value::Bool);
        let args = json!({"program": PROGRAM, "external_key": key, "course": course, "role": "staff"});
        self.expect_same("program.assign_course_role", &args, expected);
    }

    fn create_course(&mut self) {
        let course = self.one_of(&COURSES);
        let all = [Mode::Audit, Mode::Honor, Mode::Verified, Mode::Masters];
        let mut modes: BTreeSet<Mode> = all.into_iter().filter(|_| self.random.random_bool(0.7)).collect();
        modes.insert(self.one_of(&all));
        let names: Vec<&str> = modes.iter().map(|mode| mode.name()).collect();
        let expected = match self.model.courses.contains_key(course) {
            true => Err("conflict"),
            false => Ok(json!({"key": course, "modes": names})),
        };
        let args = json!({"key": course, "modes": names});
        if expected.is_ok() {
            self.model.courses.insert(course, modes);
            self.model.emit("course.create", [Subject::Of(course)]);
        }
        self.expect_same("course.create", &args, expected);
    }

    fn delete_course(&mut self) {
        let course = self.one_of(&COURSES);
        let expected = self.model.delete_course(course).map(Value::Bool);
        self.expect_same("course.delete", &json!({"key": course}), expected);
    }

    fn enroll_person(&mut self) {
        let (course, mode) = (self.one_of(&COURSES), self.one_of(&[Mode::Audit, Mode::Honor, Mode::Verified]));
        let person = self.random.random_range(0..PEOPLE);
        let expected = match self.model.courses.get(course) {
            None => Err("not_found"),
            Some(_) if self.model.deleted.contains(&person) => Err("deleted"),
            Some(modes) if !modes.contains(&mode) => Err("invalid_argument"),
            Some(_) => {
                if self.model.enrolled.insert((course, person), (mode, true)) != Some((mode, true)) {
                    self.model.emit("course.enroll", [Subject::Of(course), Subject::Who(person)]);
                }
                Ok(json!({"course": course, "mode": mode.name(), "active": true}))
            }
        };
        let args = json!({"course": course, "person": callsign(Some(person)), "mode": mode.name()});
        self.expect_same("course.enroll", &args, expected);
    }

    fn unenroll_person(&mut self) {
        let (course, person) = (self.one_of(&COURSES), self.random.random_range(0..PEOPLE));
        let is_there = self.model.courses.contains_key(course);
        let expected = match self.model.enrolled.get_mut(&(course, person)).filter(|_| is_there) {
            None => Err("not_found"),
            Some(enrolled) => {
                let (mode, was_active) = *enrolled;
                enrolled.1 = false;
                if was_active {
                    self.model.emit("course.unenroll", [Subject::Of(course), Subject::Who(person)]);
                }
                Ok(json!({"course": course, "mode": mode.name(), "active": false}))
            }
        };
        let args = json!({"course": course, "person": callsign(Some(person))});
        self.expect_same("course.unenroll", &args, expected);
    }

    fn delete_person(&mut self) {
        let person = self.random.random_range(0..PEOPLE);
        let expected = if self.model.deleted.insert(person) { Ok(json!({})) } else { Err("deleted") };
        if expected.is_ok() {
            self.model.emit("person.delete", [Subject::Who(person)]);
        }
        self.expect_same("person.delete", &json!({"person": callsign(Some(person))}), expected);
    }

    /// Asks every store: all must answer alike, and as the model does. Of a record only the fields that are expected
    /// count, of a failure its code.
    fn expect_same(&mut self, op: &str, args: &Value, expected: Result<Value, &str>) {
        self.log.push(format!("{op} {args}"));
        let answers = self.stores.each_mut().map(|store| ask(store, op, args));
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{op} {args}: the stores answer otherwise");
        let [answer, ..] = answers;
        let is_map = op.starts_with("program.") && !op.ends_with("role");
        let fits = match (&answer, &expected) {
            (Ok(Value::Object(found)), Ok(Value::Object(expected))) if is_map => {
                let word = |value: &Value| value.get("code").unwrap_or(value).clone();
                found.iter().map(|(key, value)| (key.clone(), word(value))).collect::<Map<_, _>>() == *expected
            }
            (Ok(Value::Object(found)), Ok(Value::Object(expected))) => {
                expected.iter().all(|(name, value)| found.get(name) == Some(value))
            }
            (Ok(found), Ok(expected)) => found == expected,
            (Err(code), Err(expected)) => code == expected,
            _ => false,
        };
        assert!(fits, "{op} {args}\n  answered {answer:?}\n  expected {expected:?}");
        if let Ok(course) = answer
            && op == "course.create"
        {
            self.named.insert(pk_of(&course).to_owned(), Subject::Of(course_of(&course["key"])));
        }
    }

    /// Compares everything with the model, on every store, and has it checked.
    fn compare(&mut self) {
        // Each is asked the same: random bytes follow from how much was asked before.
        let list = json!({"program": PROGRAM, "limit": 1000});
        let [page, ..] = self.stores.each_mut().map(|store| ask(store, "program.enrollments", &list).expect("a page"));
        for item in items(&page) {
            let key = item["external_key"].as_str().expect("a key").to_lowercase();
            self.named.insert(pk_of(item).to_owned(), Subject::By(key));
        }
        let expected = std::mem::take(&mut self.model.changes);
        for store in &mut self.stores {
            assert_eq!(store.violations(), Vec::<String>::new());
            compare(store, &self.model, &self.named);
            assert_eq!(changes(store, self.seen, &self.named), expected);
        }
        self.seen += expected.len() as u64;
    }
}

/// The changes after this one, whose numbers have no hole.
fn changes(store: &mut Registry, since: u64, named: &BTreeMap<String, Subject>) -> Vec<ExpectedChange> {
    let page = ask(store, "changes.list", &json!({"since": since, "limit": 1000})).expect("a page");
    let mut cause = Value::Null;
    let change = |(seq, item): (u64, &Value)| {
        assert_eq!(item["seq"], seq);
        let follows = !item["cause"].is_null();
        if follows {
            assert_eq!(item["cause"], cause, "{item}");
        } else {
            cause = item["seq"].clone();
        }
        let subjects = item["subjects"].as_array().expect("a list").iter();
        let refused = item["refused"].as_str().map(|code| if code == "not_found" { "not_found" } else { "another" });
        let word = |name: &str| item[name].as_str().expect("a word").to_owned();
        ExpectedChange {
            what: format!("{}.{}", word("area"), word("verb")),
            subjects: subjects
                .map(|pk| named.get(pk.as_str().expect("a pk")).unwrap_or_else(|| panic!("{item}")).clone())
                .collect(),
            follows,
            refused,
        }
    };
    (since + 1..).zip(items(&page)).map(change).collect()
}

fn compare(store: &mut Registry, model: &Model, named: &BTreeMap<String, Subject>) {
    let of = |value: &Value| match named[value.as_str()?] {
        Subject::Who(person) => Some(person),
        _ => panic!("{value} is nobody"),
    };
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let page = ask(store, "course.enrollments", &json!({"limit": 1000})).expect("a page");
    let found: Vec<_> = items(&page)
        .iter()
        .map(|item| (text(&item["course"]), of(&item["person"]), text(&item["mode"]), item["active"] == true))
        .collect();
    let expected = model.enrolled.iter().map(|((course, person), (mode, active))| {
        ((*course).to_owned(), Some(*person), mode.name().to_owned(), *active)
    });
    assert_eq!(found, expected.collect::<Vec<_>>());
    let roles = ask(store, "course.roles", &json!({})).expect("roles");
    let found: BTreeSet<_> = roles
        .as_array()
        .expect("a list")
        .iter()
        .map(|item| (text(&item["course"]), of(&item["person"]).expect("somebody")))
        .collect();
    let held = model.roles.iter().filter(|(_, person)| !model.deleted.contains(person));
    assert_eq!(found, held.map(|(course, person)| ((*course).to_owned(), *person)).collect());
    let page = ask(store, "program.enrollments", &json!({"program": PROGRAM, "limit": 1000})).expect("a page");
    assert_eq!(items(&page).len(), model.keys.len());
    for item in items(&page) {
        let key = &model.keys[&text(&item["external_key"]).to_lowercase()];
        assert_eq!(of(&item["person"]), key.person);
        assert_eq!(item["status"], key.status);
        assert!(key.status.parse::<Status>().is_ok());
        assert_eq!(item["curriculum"], curriculum_of(key.curriculum));
        let course = |(course, active): (&Course, &bool)| json!({"course": course, "status": if *active { "active" } else { "inactive" }, "enrolled": key.person.is_some()});
        assert_eq!(item["courses"], key.courses.iter().map(course).collect::<Value>());
    }
}

fn ask(store: &mut Registry, op: &str, args: &Value) -> Result<Value, String> {
    let row = OperationRow::by_name(op).expect("an operation");
    let args = RawValue::from_string(args.to_string()).expect("JSON");
    let request = row.request_to_wire(&args).map_err(|_| "invalid_argument".to_owned())?;
    let reply = store.call_encoded(Envelope::default(), row.number, &request);
    let reply = reply.map_err(|refusal| refusal.code.to_string())?;
    Ok(serde_json::from_str(&row.reply_to_json(&reply).expect("a reply")).expect("JSON"))
}

fn items(page: &Value) -> &Vec<Value> {
    page["items"].as_array().expect("items")
}

fn pk_of(record: &Value) -> &str {
    record["pk"].as_str().expect("a pk")
}

fn course_of(key: &Value) -> Course {
    COURSES.into_iter().find(|course| *key == *course).expect("a course")
}

fn callsign(person: Option<usize>) -> String {
    person.map_or("NOBODY".to_owned(), |at| format!("P{at}"))
}

fn curriculum_of(number: u8) -> String {
    format!("00000000-0000-0000-0000-0000000000c{number}")
}
