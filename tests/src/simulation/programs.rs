//! Courses and a program in a simulation: what clients ask, and what the plain model of programs says about it.

use std::collections::BTreeSet;

use enroll_protocol::course::Mode;
use enroll_protocol::{Code, Envelope, OperationRow, codec};
use rand::RngExt as _;
use rand::rngs::ChaCha20Rng;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::bulk;
use super::model::{Done, Model, Reply};
use super::operations::{Encoded, callsign};
use crate::program_model::{Course, Subject};

const COURSES: [Course; 3] = ["Hiking", "Rowing", "Sailing"];
const KEYS: [&str; 5] = ["k-0", "K-0", "k-1", "straSSe", "k-2"];
const STATUSES: [&str; 5] = ["enrolled", "pending", "suspended", "canceled", "ended"];
const MODES: [Mode; 4] = [Mode::Audit, Mode::Honor, Mode::Verified, Mode::Masters];
const PROGRAM: &str = "00000000-0000-0000-0000-00000000000a";

/// A request about courses and the program. `how`: the flags `create` and `update` of an upsert.
#[derive(Debug, Clone)]
pub(super) enum Ask {
    CreateCourse {
        course: Course,
        modes: BTreeSet<Mode>,
    },
    DeleteCourse {
        course: Course,
    },
    EnrollPerson {
        course: Course,
        name: usize,
        mode: Mode,
    },
    UnenrollPerson {
        course: Course,
        name: usize,
    },
    Enroll {
        key: &'static str,
        how: (bool, bool),
        curriculum: u8,
        status: &'static str,
        name: Option<usize>,
    },
    EnrollInCourse {
        key: &'static str,
        course: Course,
        how: (bool, bool),
        active: bool,
    },
    Link {
        key: &'static str,
        name: usize,
    },
    Unlink {
        key: &'static str,
    },
    AssignRole {
        key: &'static str,
        course: Course,
    },
    /// Several keys in one call of one operation.
    Many(Vec<Self>),
    /// A key that stands in a call twice, which is not written.
    Twice,
    /// Every program enrollment.
    List,
    /// Every course enrollment.
    ListCourses,
}

impl Ask {
    pub(super) fn draw(random: &mut ChaCha20Rng, name: usize) -> Self {
        let (key, course) = (KEYS[random.random_range(0..KEYS.len())], COURSES[random.random_range(0..COURSES.len())]);
        let how = [(true, false), (false, true), (true, true)][random.random_range(0..3)];
        match random.random_range(0..20) {
            0..3 => {
                let (curriculum, status) =
                    (random.random_range(1..3), STATUSES[random.random_range(0..STATUSES.len())]);
                Self::Enroll { key, how, curriculum, status, name: random.random_bool(0.3).then_some(name) }
            }
            3..6 => Self::EnrollInCourse { key, course, how, active: random.random_bool(0.7) },
            6..10 => Self::Link { key, name },
            10 => Self::Unlink { key },
            11 | 12 => Self::AssignRole { key, course },
            13 | 14 => {
                let mut modes: BTreeSet<_> = MODES.into_iter().filter(|_| random.random_bool(0.7)).collect();
                modes.insert(MODES[random.random_range(0..MODES.len())]);
                Self::CreateCourse { course, modes }
            }
            15 if random.random_bool(0.4) => Self::DeleteCourse { course },
            15 | 16 => Self::EnrollPerson { course, name, mode: MODES[random.random_range(0..3)] },
            17 => Self::UnenrollPerson { course, name },
            18 => Self::ListCourses,
            _ => Self::List,
        }
    }

    pub(super) fn writes(&self) -> bool {
        !matches!(self, Self::List | Self::ListCourses)
    }

    /// The person whom it names.
    pub(super) fn name(&self) -> Option<usize> {
        match self {
            Self::EnrollPerson { name, .. } | Self::UnenrollPerson { name, .. } | Self::Link { name, .. } => {
                Some(*name)
            }
            Self::Enroll { name, .. } => *name,
            _ => None,
        }
    }

    /// The external key that it names.
    pub(super) fn key(&self) -> Option<&'static str> {
        match self {
            Self::Enroll { key, .. }
            | Self::EnrollInCourse { key, .. }
            | Self::Link { key, .. }
            | Self::Unlink { key }
            | Self::AssignRole { key, .. } => Some(key),
            _ => None,
        }
    }

    pub(super) fn encode(&self, envelope: &Envelope) -> Encoded {
        let row = OperationRow::by_name(self.operation()).expect("an operation");
        let args = RawValue::from_string(self.args().to_string()).expect("JSON");
        let request = row.request_to_wire(&args).unwrap_or_else(|_| panic!("{self:?} is no request"));
        Encoded { operation: row.number, body: [codec::encode(envelope), request].concat() }
    }

    fn operation(&self) -> &'static str {
        match self {
            Self::CreateCourse { .. } => "course.create",
            Self::DeleteCourse { .. } => "course.delete",
            Self::EnrollPerson { .. } => "course.enroll",
            Self::UnenrollPerson { .. } => "course.unenroll",
            Self::Enroll { .. } => "program.enroll",
            Self::EnrollInCourse { .. } => "program.enroll_course",
            Self::Link { .. } => "program.link",
            Self::Unlink { .. } => "program.unlink",
            Self::Many(units) => units[0].operation(),
            Self::Twice => "program.enroll",
            Self::AssignRole { .. } => "program.assign_course_role",
            Self::List => "program.enrollments",
            Self::ListCourses => "course.enrollments",
        }
    }

    pub(super) fn args(&self) -> Value {
        match self {
            Self::Many(units) => bulk::args(units),
            Self::Twice => Value::Null,
            Self::CreateCourse { course, modes } => {
                let modes: Vec<_> = modes.iter().map(|mode| mode.name()).collect();
                json!({"key": course, "modes": modes})
            }
            Self::DeleteCourse { course } => json!({"key": course}),
            Self::EnrollPerson { course, name, mode } => {
                json!({"course": course, "person": callsign(*name), "mode": mode.name()})
            }
            Self::UnenrollPerson { course, name } => json!({"course": course, "person": callsign(*name)}),
            Self::Enroll { key, how, curriculum, status, name } => {
                let (person, curriculum) = (name.map(callsign), curriculum_of(*curriculum));
                let unit = json!({"external_key": key, "curriculum": curriculum, "status": status, "person": person});
                json!({"program": PROGRAM, "create": how.0, "update": how.1, "enrollments": [unit]})
            }
            Self::EnrollInCourse { key, course, how, active } => {
                let unit = json!({"external_key": key, "status": status_of(*active)});
                json!({"program": PROGRAM, "course": course, "create": how.0, "update": how.1, "enrollments": [unit]})
            }
            Self::Link { key, name } => json!({"program": PROGRAM, "links": {*key: callsign(*name)}}),
            Self::Unlink { key } => json!({"program": PROGRAM, "external_keys": [key]}),
            Self::AssignRole { key, course } => {
                json!({"program": PROGRAM, "external_key": key, "course": course, "role": "staff"})
            }
            Self::List => json!({"program": PROGRAM, "limit": 1000}),
            Self::ListCourses => json!({"limit": 1000}),
        }
    }

    pub(super) fn read(&self, bytes: &[u8]) -> Result<Reply, String> {
        let row = OperationRow::by_name(self.operation()).ok_or("an operation")?;
        let text = row.reply_to_json(bytes).map_err(|_| format!("the reply to {} can not be read", row.name))?;
        let reply: Value = serde_json::from_str(&text).map_err(|err| err.to_string())?;
        let word = |value: &Value| value.as_str().map(str::to_owned).ok_or_else(|| format!("{value} is no word"));
        Ok(match self {
            Self::Many(units) => Reply::Units(units.iter().map(|unit| unit.read(bytes)).collect::<Result<_, _>>()?),
            Self::Twice => return Err("it is not asked alone".to_owned()),
            Self::Enroll { key, .. } | Self::EnrollInCourse { key, .. } => Reply::Word(word(&reply[*key])?),
            // Of a failure its code; nothing where it is done.
            Self::Link { key, .. } | Self::Unlink { key } => match &reply[*key] {
                Value::Null => Reply::Word(String::new()),
                failed => Reply::Word(word(&failed["code"])?),
            },
            Self::CreateCourse { .. } => Reply::Word(format!("{} {}", reply["key"], reply["modes"])),
            Self::EnrollPerson { .. } | Self::UnenrollPerson { .. } => {
                Reply::Word(format!("{} {} {}", reply["course"], reply["mode"], reply["active"]))
            }
            Self::DeleteCourse { .. } | Self::AssignRole { .. } => Reply::Changed(reply == true),
            Self::List => Reply::Lines(lines(&reply, |item| {
                let key = item["external_key"].as_str().unwrap_or_default().to_lowercase();
                let key = if key.starts_with("erased-") { ERASED.to_owned() } else { key };
                format!("{key} {} {} {} {}", item["person"], item["status"], item["curriculum"], item["courses"])
            })?),
            Self::ListCourses => Reply::Lines(lines(&reply, |item| {
                format!("{} {} {} {}", item["course"], item["person"], item["mode"], item["active"])
            })?),
        })
    }
}

/// The key that stands for the keys of erased people.
const ERASED: &str = "erased";

fn lines(page: &Value, line: impl Fn(&Value) -> String) -> Result<Vec<String>, String> {
    let items = page["items"].as_array().ok_or("a page without items")?;
    let mut lines: Vec<_> = items.iter().map(line).collect();
    lines.sort();
    Ok(lines)
}

impl Model {
    pub(super) fn study(&mut self, ask: &Ask) -> Result<Done, Code> {
        let deleted = self.people.iter().filter(|(_, person)| person.is_deleted).map(|(name, _)| *name);
        self.programs.deleted = deleted.collect();
        // An erased person is named by nobody.
        let named = |name: usize| self.there(name).ok().map(|_| name);
        let person = ask.name().map(named);
        if let Ask::Many(units) = ask {
            return self.study_many(units);
        }
        let programs = &mut self.programs;
        let reply = match ask {
            Ask::Many(_) | Ask::Twice => Reply::Word("duplicated".to_owned()),
            Ask::CreateCourse { course, modes } => {
                if programs.courses.insert(course, modes.clone()).is_some() {
                    return Err(Code::CONFLICT);
                }
                programs.emit("course.create", [Subject::Of(course)]);
                let modes: Vec<_> = modes.iter().map(|mode| mode.name()).collect();
                Reply::Word(format!("{} {}", json!(course), json!(modes)))
            }
            Ask::DeleteCourse { course } => Reply::Changed(programs.delete_course(course).map_err(code)?),
            Ask::EnrollPerson { course, mode, .. } => {
                let modes = programs.courses.get(course).ok_or(Code::NOT_FOUND)?;
                let person = person.flatten().ok_or(Code::NOT_FOUND)?;
                match () {
                    () if programs.deleted.contains(&person) => return Err(Code::DELETED),
                    () if !modes.contains(mode) => return Err(Code::INVALID_ARGUMENT),
                    () => {}
                }
                if programs.enrolled.insert((course, person), (*mode, true)) != Some((*mode, true)) {
                    programs.emit("course.enroll", [Subject::Of(course), Subject::Who(person)]);
                }
                enrolled(course, *mode, true)
            }
            Ask::UnenrollPerson { course, .. } => {
                let person = person.flatten().ok_or(Code::NOT_FOUND)?;
                let is_there = programs.courses.contains_key(course);
                let found = programs.enrolled.get_mut(&(*course, person)).filter(|_| is_there);
                let (mode, is_active) = found.ok_or(Code::NOT_FOUND)?;
                let (mode, was_active) = (*mode, std::mem::replace(is_active, false));
                if was_active {
                    programs.emit("course.unenroll", [Subject::Of(course), Subject::Who(person)]);
                }
                enrolled(course, mode, false)
            }
            Ask::Enroll { key, how, curriculum, status, .. } => {
                Reply::Word(programs.enroll(key, *how, (*curriculum, status), person).to_owned())
            }
            Ask::EnrollInCourse { course, .. } if !programs.courses.contains_key(course) => {
                return Err(Code::NOT_FOUND);
            }
            Ask::EnrollInCourse { key, course, how, active } => {
                Reply::Word(programs.enroll_course(key, course, *how, *active).to_owned())
            }
            Ask::Link { key, .. } => {
                Reply::Word(programs.link(key, person.flatten()).err().unwrap_or_default().to_owned())
            }
            Ask::Unlink { key } => Reply::Word(programs.unlink(key).err().unwrap_or_default().to_owned()),
            Ask::AssignRole { key, course } => Reply::Changed(programs.assign_role(key, course).map_err(code)?),
            Ask::List => Reply::Lines(self.program_enrollments()),
            Ask::ListCourses => Reply::Lines(self.course_enrollments()),
        };
        let is_changed = !std::mem::take(&mut self.programs.changes).is_empty();
        Ok((reply, is_changed.then(Vec::new)))
    }

    /// Gives the keys of a person other names.
    pub(super) fn erase_keys(&mut self, name: usize) {
        let keys = std::mem::take(&mut self.programs.keys);
        let renamed = keys.into_iter().map(|(key, found)| match found.person == Some(name) {
            true if !key.starts_with(ERASED) => (format!("{ERASED} {name} {key}"), found),
            _ => (key, found),
        });
        self.programs.keys = renamed.collect();
    }

    /// True if this was the key of a person who was erased.
    pub(super) fn had_erased(&self, key: &str) -> bool {
        let end = format!(" {}", key.to_lowercase());
        self.programs.keys.keys().any(|known| known.starts_with(ERASED) && known.ends_with(&end))
    }

    fn program_enrollments(&self) -> Vec<String> {
        let line = |(key, found): (&String, &crate::program_model::Key)| {
            let key = if key.starts_with(ERASED) { ERASED } else { key };
            let person = found.person.map(|name| self.people[&name].pk.to_string());
            let of_course = |(course, active): (&Course, &bool)| json!({"course": course, "status": status_of(*active), "enrolled": found.person.is_some()});
            let courses: Value = found.courses.iter().map(of_course).collect();
            let curriculum = curriculum_of(found.curriculum);
            format!("{key} {} {} {} {courses}", json!(person), json!(found.status), json!(curriculum))
        };
        let mut lines: Vec<_> = self.programs.keys.iter().map(line).collect();
        lines.sort();
        lines
    }

    fn course_enrollments(&self) -> Vec<String> {
        let enrolled = self.programs.enrolled.iter().map(|((course, name), (mode, active))| {
            let person = self.people[name].pk.to_string();
            format!("{} {} {} {active}", json!(course), json!(person), json!(mode.name()))
        });
        let mut lines: Vec<_> = enrolled.collect();
        lines.sort();
        lines
    }
}

fn enrolled(course: Course, mode: Mode, active: bool) -> Reply {
    Reply::Word(format!("{} {} {active}", json!(course), json!(mode.name())))
}

fn status_of(active: bool) -> &'static str {
    if active { "active" } else { "inactive" }
}

fn curriculum_of(number: u8) -> String {
    format!("00000000-0000-0000-0000-0000000000c{number}")
}

fn code(word: &str) -> Code {
    match word {
        "conflict" => Code::CONFLICT,
        "deleted" => Code::DELETED,
        _ => Code::NOT_FOUND,
    }
}
