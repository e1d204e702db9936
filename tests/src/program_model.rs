//! A model of courses and programs, as plain as possible: no indexes, no counts, every look-up a scan; and the
//! changes that every call emits.

use std::collections::{BTreeMap, BTreeSet};

use enroll_protocol::course::Mode;

/// A person by number.
pub type Person = usize;

/// A course by key.
pub type Course = &'static str;

/// Courses and one program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Model {
    /// The modes of each course.
    pub courses: BTreeMap<Course, BTreeSet<Mode>>,
    /// The mode of who is enrolled, and whether they are active.
    pub enrolled: BTreeMap<(Course, Person), (Mode, bool)>,
    /// Those who have the role.
    pub roles: BTreeSet<(Course, Person)>,
    /// By key in lower case.
    pub keys: BTreeMap<String, Key>,
    /// Deleted people.
    pub deleted: BTreeSet<Person>,
    /// The changes since they were taken last.
    pub changes: Vec<ExpectedChange>,
}

/// A change: its name, what it happened to, whether it follows from the one before it that does not, and why it was
/// refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedChange {
    /// Its name.
    pub what: String,
    /// The records that it changed.
    pub subjects: Vec<Subject>,
    /// It follows from the one before it that does not.
    pub follows: bool,
    /// Why it was refused.
    pub refused: Option<&'static str>,
}

/// The subject of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A course.
    Of(Course),
    /// A person.
    Who(Person),
    /// A program enrollment, by its key in lower case.
    By(String),
}

/// A program enrollment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The person that it is linked to.
    pub person: Option<Person>,
    /// The curriculum, by number.
    pub curriculum: u8,
    /// Its status.
    pub status: &'static str,
    /// True if they are active.
    pub courses: BTreeMap<Course, bool>,
    /// True if the link gives it; false while it waits.
    pub roles: BTreeMap<Course, bool>,
}

impl Model {
    /// Notes what a call does itself.
    pub fn emit(&mut self, what: &str, subjects: impl IntoIterator<Item = Subject>) {
        let subjects = subjects.into_iter().collect();
        self.changes.push(ExpectedChange { what: what.to_owned(), subjects, follows: false, refused: None });
    }

    /// Notes what follows from that.
    fn tell_more(&mut self, what: &str, subjects: impl IntoIterator<Item = Subject>) {
        self.emit(what, subjects);
        self.changes.iter_mut().next_back().expect("it was just emitted").follows = true;
    }

    /// The answer, and the state after it; a refusal leaves the state as it is.
    pub fn link(&mut self, key: &str, person: Option<Person>) -> Result<(), &'static str> {
        let before = self.clone();
        self.emit("program.link", [by(key)].into_iter().chain(person.map(Subject::Who)));
        let linked = self.try_link(key, person);
        if linked.is_err() {
            *self = before;
        }
        linked
    }

    fn try_link(&mut self, key: &str, person: Option<Person>) -> Result<(), &'static str> {
        let person = person.ok_or("not_found")?;
        if self.deleted.contains(&person) {
            return Err("deleted");
        }
        let found = self.keys.get(&key.to_lowercase()).ok_or("not_found")?.clone();
        if found.person == Some(person) || self.is_in(person, found.curriculum) {
            return Err("conflict");
        }
        if let Some(before) = found.person {
            self.tell_more("program.unlinked", [by(key), Subject::Who(before)]);
            self.cut(key, before);
        }
        for (course, active) in &found.courses {
            self.materialize(key, course, person, *active)?;
        }
        let given: Vec<_> = found.roles.keys().map(|course| (*course, self.give_role(key, course, person).0)).collect();
        let key = self.keys.get_mut(&key.to_lowercase()).ok_or("not_found")?;
        key.person = Some(person);
        key.roles.extend(given);
        Ok(())
    }

    /// Takes a key from whom it is linked to.
    pub fn unlink(&mut self, key: &str) -> Result<(), &'static str> {
        let person = self.keys.get(&key.to_lowercase()).ok_or("not_found")?.person.ok_or("conflict")?;
        self.emit("program.unlink", [by(key), Subject::Who(person)]);
        self.cut(key, person);
        Ok(())
    }

    fn cut(&mut self, key: &str, person: Person) {
        let found = self.keys[&key.to_lowercase()].clone();
        for course in found.courses.keys() {
            let (Some(modes), Some(before)) = (self.courses.get(course), self.enrolled.get(&(*course, person))) else {
                continue;
            };
            let (mode, active) = *before;
            let stays = active && self.is_active_by_another(key, course, person);
            let is_last = !self.others(key, person).any(|other| other.courses.contains_key(course));
            let now = if is_last && modes.contains(&Mode::Audit) { Mode::Audit } else { mode };
            let subjects = [Subject::Of(course), Subject::Who(person), by(key)];
            if active && !stays {
                self.tell_more("course.deactivated", subjects.clone());
            }
            if now != mode {
                self.tell_more("course.moved_to_audit", subjects);
            }
            self.enrolled.insert((course, person), (now, stays));
        }
        for (course, is_given) in &found.roles {
            let is_last = !self.others(key, person).any(|other| other.roles.get(course) == Some(&true));
            if *is_given && is_last && self.roles.remove(&(*course, person)) {
                self.tell_more("course.role_taken", [Subject::Of(course), Subject::Who(person), by(key)]);
            }
        }
        let found = self.keys.get_mut(&key.to_lowercase()).expect("a key");
        found.person = None;
        found.roles.values_mut().for_each(|is_given| *is_given = false);
    }

    /// The other keys that are linked to a person.
    fn others(&self, key: &str, person: Person) -> impl Iterator<Item = &Key> {
        let key = key.to_lowercase();
        self.keys
            .iter()
            .filter(move |(other, found)| **other != key && found.person == Some(person))
            .map(|(_, found)| found)
    }

    fn is_active_by_another(&self, key: &str, course: Course, person: Person) -> bool {
        self.others(key, person).any(|other| other.courses.get(course) == Some(&true))
    }

    /// Enrolls a key in a course, `how`: whether to create and to update. The word that is answered.
    pub fn enroll_course(&mut self, key: &str, course: Course, how: (bool, bool), active: bool) -> &'static str {
        let Some(found) = self.keys.get(&key.to_lowercase()).cloned() else { return "not-in-program" };
        let before = found.courses.get(course).copied();
        match before {
            Some(_) if !how.1 => return "conflict",
            None if !how.0 => return "not-found",
            _ => {}
        }
        let word = if active { "active" } else { "inactive" };
        if before == Some(active) {
            return word;
        }
        let state = self.clone();
        let subjects = [Some(Subject::Of(course)), found.person.map(Subject::Who), Some(by(key))];
        self.emit("program.enroll_course", subjects.into_iter().flatten());
        match (found.person, before) {
            (Some(person), None) if self.materialize(key, course, person, active).is_err() => {
                *self = state;
                return "conflict";
            }
            (Some(person), Some(_)) => {
                let stays = self.is_active_by_another(key, course, person);
                if let Some(enrolled) = self.enrolled.get_mut(&(course, person))
                    && enrolled.1 != active
                    && (active || !stays)
                    && self.courses.contains_key(course)
                {
                    enrolled.1 = active;
                    let what = if active { "course.activated" } else { "course.deactivated" };
                    self.tell_more(what, [Subject::Of(course), Subject::Who(person), by(key)]);
                }
            }
            _ => {}
        }
        self.keys.get_mut(&key.to_lowercase()).expect("a key").courses.insert(course, active);
        word
    }

    /// Makes or changes a program enrollment. The word that is answered.
    pub fn enroll(
        &mut self,
        key: &str,
        (create, update): (bool, bool),
        (curriculum, status): (u8, &'static str),
        person: Option<Option<Person>>,
    ) -> &'static str {
        let before = self.clone();
        let exists = self.keys.get(&key.to_lowercase()).cloned();
        if exists.is_some() && !update {
            return "conflict";
        }
        let person = match person {
            None => None,
            Some(Some(person)) if !self.deleted.contains(&person) => Some(person),
            Some(_) => return "not-found",
        };
        if exists.is_none() && !create {
            return "not-in-program";
        }
        let (courses, roles) = (BTreeMap::new(), BTreeMap::new());
        let is_same = |found: &Key| {
            (found.curriculum, found.status) == (curriculum, status)
                && person.is_none_or(|who| found.person == Some(who))
        };
        if exists.as_ref().is_some_and(is_same) {
            return status;
        }
        let mut found = exists.unwrap_or(Key { person: None, curriculum, status, courses, roles });
        self.emit("program.enroll", [by(key)].into_iter().chain(found.person.map(Subject::Who)));
        if let Some(linked) = found.person.filter(|_| found.curriculum != curriculum)
            && self.is_in(linked, curriculum)
        {
            *self = before;
            return "conflict";
        }
        (found.curriculum, found.status) = (curriculum, status);
        let linked = found.person;
        self.keys.insert(key.to_lowercase(), found);
        if let Some(person) = person.filter(|person| linked != Some(*person)) {
            self.tell_more("program.linked", [by(key), Subject::Who(person)]);
            if self.try_link(key, Some(person)).is_err() {
                *self = before;
                return "conflict";
            }
        }
        status
    }

    /// Gives a key a role in a course; true if that is new.
    pub fn assign_role(&mut self, key: &str, course: Course) -> Result<bool, &'static str> {
        let found = self.keys.get(&key.to_lowercase()).ok_or("not_found")?.clone();
        if !self.courses.contains_key(course) {
            return Err("not_found");
        }
        if found.roles.contains_key(course) {
            return Ok(false);
        }
        let subjects = [Some(Subject::Of(course)), found.person.map(Subject::Who), Some(by(key))];
        self.emit("program.assign_course_role", subjects.into_iter().flatten());
        let (is_given, is_new) = found.person.map_or((false, true), |person| self.give_role(key, course, person));
        self.keys.get_mut(&key.to_lowercase()).expect("a key").roles.insert(course, is_given);
        Ok(is_new)
    }

    /// Deletes a course; true if it was there.
    pub fn delete_course(&mut self, course: Course) -> Result<bool, &'static str> {
        if !self.courses.contains_key(course) {
            return Ok(false);
        }
        if self.enrolled.iter().any(|((of, _), (_, active))| *of == course && *active) {
            return Err("conflict");
        }
        self.emit("course.delete", [Subject::Of(course)]);
        self.courses.remove(course);
        self.roles.retain(|(of, _)| *of != course);
        // The next course of that key gets them anew.
        self.keys.values_mut().filter_map(|key| key.roles.get_mut(course)).for_each(|is_given| *is_given = false);
        Ok(true)
    }

    fn is_in(&self, person: Person, curriculum: u8) -> bool {
        self.keys.values().any(|key| key.person == Some(person) && key.curriculum == curriculum)
    }

    fn materialize(&mut self, key: &str, course: Course, person: Person, active: bool) -> Result<(), &'static str> {
        let modes = self.courses.get(course).ok_or("not_found")?;
        let (mode, what) = match self.enrolled.get(&(course, person)) {
            Some((mode @ (Mode::Verified | Mode::Masters), true)) => (*mode, "course.mode_kept"),
            _ if !modes.contains(&Mode::Masters) => return Err("conflict"),
            Some((_, true)) => (Mode::Masters, "course.converted"),
            _ => (Mode::Masters, "course.enrolled"),
        };
        let active = active || self.is_active_by_another(key, course, person);
        self.enrolled.insert((course, person), (mode, active));
        let subjects = [Subject::Of(course), Subject::Who(person), by(key)];
        self.tell_more(what, subjects.clone());
        if !active {
            self.tell_more("course.deactivated", subjects);
        }
        Ok(())
    }

    /// True if it is given, and true if that is new.
    fn give_role(&mut self, key: &str, course: Course, person: Person) -> (bool, bool) {
        let subjects = [Subject::Who(person), by(key)];
        if !self.courses.contains_key(course) {
            self.tell_more("course.role_failed", subjects);
            self.changes.iter_mut().next_back().expect("it was just emitted").refused = Some("not_found");
            return (false, true);
        }
        let is_new = self.roles.insert((course, person));
        if is_new {
            self.tell_more("course.role_given", [Subject::Of(course)].into_iter().chain(subjects));
        }
        (true, is_new)
    }
}

fn by(key: &str) -> Subject {
    Subject::By(key.to_lowercase())
}
