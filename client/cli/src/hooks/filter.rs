//! The filter of a runner: the changes for which it runs its command. The others it passes.

use enroll_client::protocol::changes::Change;
use enroll_client::protocol::operations::TABLE;
use enroll_client::protocol::{Pk, Reference, changes};

/// One condition, `area=..`, `verb=..` or `actor=..`, with its alternatives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Condition {
    /// The area is one of these.
    Area(Vec<String>),
    /// The verb is one of these.
    Verb(Vec<String>),
    /// The actor is one of these people.
    Actor(Vec<Reference>),
}

/// Conditions that must all hold, with their people looked up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Filter {
    /// Alternatives for the area; none for any.
    pub(super) areas: Vec<Vec<String>>,
    /// Alternatives for the verb.
    pub(super) verbs: Vec<Vec<String>>,
    /// Alternatives for the actor.
    pub(super) actors: Vec<Vec<Pk>>,
    /// The person among the subjects.
    pub(super) person: Option<Pk>,
}

impl Filter {
    /// True for a change that meets every condition.
    pub(super) fn admits(&self, change: &Change) -> bool {
        self.areas.iter().all(|areas| areas.contains(&change.area))
            && self.verbs.iter().all(|verbs| verbs.contains(&change.verb))
            && self.actors.iter().all(|actors| change.actor.is_some_and(|actor| actors.contains(&actor)))
            && self.person.is_none_or(|person| change.subjects.contains(&person))
    }
}

/// Reads one condition. Refuses an area or a verb that no change has: it would wait for ever.
pub(super) fn condition(text: &str) -> Result<Condition, String> {
    let (name, values) = text.split_once('=').ok_or("expected area=.., verb=.. or actor=..")?;
    let values: Vec<String> = values.split(',').map(str::to_owned).collect();
    match name {
        "area" => known(values, areas()).map(Condition::Area),
        "verb" => known(values, verbs()).map(Condition::Verb),
        "actor" => {
            let people: Result<Vec<_>, _> = values.iter().map(|value| value.parse::<Reference>()).collect();
            people.map(Condition::Actor).map_err(|err| err.to_string())
        }
        _ => Err(format!("\"{name}\" is no condition; there are area, verb and actor")),
    }
}

fn known(values: Vec<String>, mut all: Vec<&str>) -> Result<Vec<String>, String> {
    all.sort_unstable();
    all.dedup();
    match values.iter().find(|value| !all.contains(&value.as_str())) {
        Some(unknown) => Err(format!("no change has \"{unknown}\"; there are {}", all.join(", "))),
        None => Ok(values),
    }
}

/// The names of all kinds of changes.
fn names() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|row| row.name).chain(changes::CONSEQUENCES.iter().map(|(_, name)| *name))
}

fn areas() -> Vec<&'static str> {
    names().filter_map(|name| Some(name.split_once('.')?.0)).collect()
}

fn verbs() -> Vec<&'static str> {
    names().filter_map(|name| Some(name.split_once('.')?.1)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::subjects::tests::change;
    use super::*;

    #[test]
    fn every_condition_must_hold_and_one_of_its_alternatives() {
        let pk = |byte| Pk::from_bytes([byte; 16]);
        let mut seated = change(1, "registration.seated", &[1, 2]);
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let filter = |areas: &[&[&str]], verbs: &[&[&str]], actors: &[Vec<Pk>], person| Filter {
            areas: areas.iter().map(|areas| words(areas)).collect(),
            verbs: verbs.iter().map(|verbs| words(verbs)).collect(),
            actors: actors.to_vec(),
            person,
        };
        seated.actor = Some(pk(9));
        for (filter, expected) in [
            (Filter::default(), true),
            (filter(&[&["person", "registration"]], &[&["seated"]], &[], None), true),
            (filter(&[&["person"]], &[&["seated"]], &[], None), false),
            (filter(&[&["registration"], &["person"]], &[], &[], None), false),
            (filter(&[], &[&["moved"]], &[], None), false),
            (filter(&[], &[], &[vec![pk(8), pk(9)]], None), true),
            (filter(&[], &[], &[vec![pk(8)]], None), false),
            (filter(&[], &[], &[], Some(pk(2))), true),
            (filter(&[], &[], &[], Some(pk(9))), false),
        ] {
            assert_eq!(filter.admits(&seated), expected, "{filter:?}");
        }
    }

    #[test]
    fn what_no_change_has_is_refused() {
        assert_eq!(
            condition("verb=seated,create"),
            Ok(Condition::Verb(vec!["seated".to_owned(), "create".to_owned()]))
        );
        assert!(condition("actor=BOSS").is_ok());
        for wrong in ["area", "area=registrations", "verb=seatd", "verb=", "colour=red", "actor="] {
            assert!(condition(wrong).is_err(), "{wrong}");
        }
    }
}
