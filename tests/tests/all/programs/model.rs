//! What courses and programs are, as plainly as it can be said: no indexes, no counts, everything looked for by walking.

use std::collections::{BTreeMap, BTreeSet};

use enroll_protocol::course::Mode;

/// A person by number, a course by key.
pub(super) type Person = usize;
pub(super) type Course = &'static str;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Model {
    pub(super) courses: BTreeMap<Course, BTreeSet<Mode>>,
    pub(super) enrolled: BTreeMap<(Course, Person), (Mode, bool)>,
    pub(super) roles: BTreeSet<(Course, Person)>,
    /// By key in lower case.
    pub(super) keys: BTreeMap<String, Key>,
    pub(super) deleted: BTreeSet<Person>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) person: Option<Person>,
    pub(super) curriculum: u8,
    pub(super) status: &'static str,
    /// Whether they are active.
    pub(super) courses: BTreeMap<Course, bool>,
    /// Whether the link gave it; nothing while it waits.
    pub(super) roles: BTreeMap<Course, Option<bool>>,
}

impl Model {
    /// What is answered, and the state after it; the same state where something is refused.
    pub(super) fn link(&mut self, key: &str, person: Option<Person>) -> Result<(), &'static str> {
        let before = self.clone();
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
        self.unlink(key).or_else(|code| if code == "conflict" { Ok(()) } else { Err(code) })?;
        for (course, active) in &found.courses {
            self.realise(course, person, *active)?;
        }
        let given: Vec<_> = found.roles.keys().map(|course| (*course, self.give_role(course, person))).collect();
        let key = self.keys.get_mut(&key.to_lowercase()).ok_or("not_found")?;
        key.person = Some(person);
        key.roles.extend(given);
        Ok(())
    }

    pub(super) fn unlink(&mut self, key: &str) -> Result<(), &'static str> {
        let found = self.keys.get_mut(&key.to_lowercase()).ok_or("not_found")?;
        let person = found.person.take().ok_or("conflict")?;
        for course in found.courses.keys() {
            let Some(modes) = self.courses.get(course) else { continue };
            if let Some((mode, active)) = self.enrolled.get_mut(&(*course, person)) {
                *active = false;
                *mode = if modes.contains(&Mode::Audit) { Mode::Audit } else { *mode };
            }
        }
        for (course, stand) in &mut found.roles {
            if *stand == Some(true) {
                self.roles.remove(&(*course, person));
            }
            *stand = None;
        }
        Ok(())
    }

    pub(super) fn enroll_course(&mut self, key: &str, course: Course, how: (bool, bool), active: bool) -> &'static str {
        let Some(found) = self.keys.get(&key.to_lowercase()).cloned() else { return "not-in-program" };
        let before = found.courses.get(course).copied();
        match before {
            Some(_) if !how.1 => return "conflict",
            None if !how.0 => return "not-found",
            _ => {}
        }
        match (found.person, before) {
            (Some(person), None) if self.realise(course, person, active).is_err() => return "conflict",
            (Some(person), Some(before)) if before != active => {
                if let Some(enrolled) = self.enrolled.get_mut(&(course, person)) {
                    enrolled.1 = active;
                }
            }
            _ => {}
        }
        self.keys.get_mut(&key.to_lowercase()).expect("a key").courses.insert(course, active);
        if active { "active" } else { "inactive" }
    }

    pub(super) fn enroll(
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
        let mut found = exists.unwrap_or(Key { person: None, curriculum, status, courses, roles });
        if let Some(linked) = found.person.filter(|_| found.curriculum != curriculum)
            && self.is_in(linked, curriculum)
        {
            return "conflict";
        }
        (found.curriculum, found.status) = (curriculum, status);
        let linked = found.person;
        self.keys.insert(key.to_lowercase(), found);
        if let Some(person) = person.filter(|person| linked != Some(*person))
            && self.try_link(key, Some(person)).is_err()
        {
            *self = before;
            return "conflict";
        }
        status
    }

    pub(super) fn assign_role(&mut self, key: &str, course: Course) -> Result<bool, &'static str> {
        let found = self.keys.get(&key.to_lowercase()).ok_or("not_found")?.clone();
        if !self.courses.contains_key(course) {
            return Err("not_found");
        }
        if found.roles.contains_key(course) {
            return Ok(false);
        }
        let stand = found.person.and_then(|person| self.give_role(course, person));
        self.keys.get_mut(&key.to_lowercase()).expect("a key").roles.insert(course, stand);
        Ok(stand != Some(false))
    }

    pub(super) fn delete_course(&mut self, course: Course) -> Result<bool, &'static str> {
        if !self.courses.contains_key(course) {
            return Ok(false);
        }
        if self.enrolled.iter().any(|((of, _), (_, active))| *of == course && *active) {
            return Err("conflict");
        }
        self.courses.remove(course);
        self.roles.retain(|(of, _)| *of != course);
        Ok(true)
    }

    fn is_in(&self, person: Person, curriculum: u8) -> bool {
        self.keys.values().any(|key| key.person == Some(person) && key.curriculum == curriculum)
    }

    fn realise(&mut self, course: Course, person: Person, active: bool) -> Result<(), &'static str> {
        let modes = self.courses.get(course).ok_or("not_found")?;
        let mode = match self.enrolled.get(&(course, person)) {
            Some((mode @ (Mode::Verified | Mode::Masters), true)) => *mode,
            _ if modes.contains(&Mode::Masters) => Mode::Masters,
            _ => return Err("conflict"),
        };
        self.enrolled.insert((course, person), (mode, active));
        Ok(())
    }

    fn give_role(&mut self, course: Course, person: Person) -> Option<bool> {
        self.courses.contains_key(course).then(|| self.roles.insert((course, person)))
    }
}
