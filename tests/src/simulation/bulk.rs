//! Bulk writes in a simulation: some external keys in one call, each of which is done whole or answered with what was wrong
//! with it. The keys of a call are changes that follow one another.

use std::collections::BTreeMap;

use enroll_protocol::Code;
use rand::RngExt as _;
use rand::rngs::ChaCha20Rng;
use serde_json::Value;

use super::model::{Done, Model, Reply};
use super::operations::Op;
use super::programs::Ask;

/// Keys of all bulk writes that are not answered, at most: a batch takes them all, also where one was sent twice.
pub(super) const OPEN_MAX: usize = 8;

/// Keys of a call at most.
const KEYS_MAX: usize = 4;

/// Some keys in one call of one operation.
pub(super) fn draw(random: &mut ChaCha20Rng, mut name: impl FnMut(&mut ChaCha20Rng) -> usize) -> Ask {
    let count = random.random_range(2..=KEYS_MAX);
    let first = loop {
        let drawn = name(random);
        let ask = Ask::draw(random, drawn);
        if ask.is_of_a_key() {
            break ask;
        }
    };
    let mut units = vec![first];
    while units.len() < count {
        let drawn = name(random);
        let unit = Ask::draw(random, drawn);
        units.extend(unit.beside(&units[0]));
    }
    // A map has each key once, in their order.
    if matches!(units[0], Ask::Link { .. }) {
        let by_key: BTreeMap<_, _> = units.into_iter().filter_map(|unit| Some((unit.key()?, unit))).collect();
        units = by_key.into_values().collect();
    }
    Ask::Many(units)
}

impl Ask {
    /// The parts of a bulk write of several, or this alone.
    pub(super) fn parts(&self) -> &[Self] {
        if let Self::Many(units) = self { units } else { std::slice::from_ref(self) }
    }

    /// True for a bulk write, of one key.
    fn is_of_a_key(&self) -> bool {
        matches!(self, Self::Enroll { .. } | Self::EnrollInCourse { .. } | Self::Link { .. } | Self::Unlink { .. })
    }

    /// The same as a key of the call of another one, if it is of the same operation: what holds for the whole call is that
    /// one's.
    fn beside(self, first: &Self) -> Option<Self> {
        match (self, first) {
            (Self::Enroll { key, curriculum, status, name, .. }, Self::Enroll { how, .. }) => {
                Some(Self::Enroll { key, how: *how, curriculum, status, name })
            }
            (Self::EnrollInCourse { key, active, .. }, Self::EnrollInCourse { course, how, .. }) => {
                Some(Self::EnrollInCourse { key, course, how: *how, active })
            }
            (Self::Link { key, name }, Self::Link { .. }) => Some(Self::Link { key, name }),
            (Self::Unlink { key }, Self::Unlink { .. }) => Some(Self::Unlink { key }),
            _ => None,
        }
    }

    /// True for one key of several that stands there twice, in upper and lower case.
    fn twice(units: &[Self], at: usize) -> bool {
        let key = |unit: &Self| unit.key().map(str::to_lowercase);
        units.iter().enumerate().any(|(other, unit)| other != at && key(unit) == key(&units[at]))
    }
}

/// The arguments of a call with these keys: those of the first one, with what the others have in its list or map.
pub(super) fn args(units: &[Ask]) -> Value {
    let mut all = units[0].args();
    for unit in &units[1..] {
        let mut args = unit.args();
        for field in ["enrollments", "external_keys"] {
            let (more, list) = (args.get_mut(field), all.get_mut(field));
            if let (Some(Value::Array(more)), Some(Value::Array(list))) = (more, list) {
                list.append(more);
            }
        }
        if let (Some(Value::Object(more)), Some(Value::Object(map))) = (args.get_mut("links"), all.get_mut("links")) {
            map.append(more);
        }
    }
    all
}

impl Op {
    /// Its parts, which are done one after the other: the units of a transaction, or the keys of a bulk write.
    pub(super) fn units(&self) -> Vec<Self> {
        match self {
            Self::Transact(units) => units.clone(),
            Self::Study(Ask::Many(units)) => {
                let unit = |(at, unit): (usize, &Ask)| match Ask::twice(units, at) {
                    true => Ask::Twice,
                    false => unit.clone(),
                };
                units.iter().enumerate().map(|(at, of)| Self::Study(unit((at, of)))).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The number of keys of a bulk write of several.
    pub(super) fn keys(&self) -> usize {
        if let Self::Study(Ask::Many(units)) = self { units.len() } else { 0 }
    }
}

impl Model {
    pub(super) fn study_many(&mut self, units: &[Ask]) -> Result<Done, Code> {
        let is_twice = (0..units.len()).any(|at| Ask::twice(units, at));
        match &units[0] {
            Ask::Link { .. } | Ask::Unlink { .. } if is_twice => return Err(Code::INVALID_ARGUMENT),
            Ask::EnrollInCourse { course, .. } if !self.programs.courses.contains_key(course) => {
                return Err(Code::NOT_FOUND);
            }
            _ => {}
        }
        let (mut replies, mut is_changed) = (Vec::new(), false);
        for unit in Op::Study(Ask::Many(units.to_vec())).units() {
            let Op::Study(unit) = unit else { continue };
            let (reply, changed) = self.study(&unit)?;
            replies.push(reply);
            is_changed |= changed.is_some();
        }
        Ok((Reply::Units(replies), is_changed.then(Vec::new)))
    }
}
