//! The subjects of changes: which of a change's records is its person, its event or its pool.

use clap::ValueEnum;
use enroll_client::protocol::Pk;
use enroll_client::protocol::changes::Change;

/// The kind of record whose changes keep their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Per {
    /// Each person.
    Person,
    /// Each event.
    Event,
    /// Each pool, of an event or of invitations.
    Pool,
}

impl Per {
    /// The record of this kind that a change is about; `None` for a change without one.
    pub(super) fn of(self, change: &Change) -> Option<Pk> {
        let at = match (self, change.area.as_str(), change.verb.as_str()) {
            (Self::Person, "person" | "role" | "certificate" | "supervisor", _) => 0,
            (Self::Person, "registration" | "course" | "program", _) => 1,
            (Self::Person, "enrollment", "approve") => 1,
            (Self::Event, "event" | "registration", _) => 0,
            (Self::Pool, "pool", _) => 0,
            (Self::Pool, "enrollment", "create") | (Self::Pool, "event", "opened") => 1,
            // Its third record is the person behind.
            (Self::Pool, "registration", "positioned") => return None,
            (Self::Pool, "registration", _) => 2,
            _ => return None,
        };
        change.subjects.get(at).copied()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use enroll_client::protocol::changes::PeerId;

    use super::*;

    /// A change with the number `seq`, of these subjects, each a pk of one byte.
    pub(crate) fn change(seq: u64, name: &str, subjects: &[u8]) -> Change {
        let (area, verb) = name.split_once('.').expect("area.verb");
        Change {
            seq,
            at: "2026-01-31T18:00:00.000000Z".parse().expect("a time"),
            area: area.to_owned(),
            verb: verb.to_owned(),
            subjects: subjects.iter().map(|byte| Pk::from_bytes([*byte; 16])).collect(),
            actor: None,
            peer: PeerId { uid: 0, pid: 0, member: None },
            origin: None,
            cause: None,
            refused: None,
        }
    }

    #[test]
    fn a_change_has_the_subjects_that_its_operation_names() {
        for (name, subjects, person, event, pool) in [
            ("registration.seated", &[1, 2, 3][..], Some(2), Some(1), Some(3)),
            ("registration.create", &[1, 2], Some(2), Some(1), None),
            ("registration.positioned", &[1, 2, 3], Some(2), Some(1), None),
            ("person.create", &[1], Some(1), None, None),
            ("event.opened", &[1, 2], None, Some(1), Some(2)),
            ("enrollment.create", &[1, 2], None, None, Some(2)),
            ("enrollment.approve", &[1, 2], Some(2), None, None),
            ("pool.update", &[1], None, None, Some(1)),
            ("server.clock", &[], None, None, None),
        ] {
            let change = change(1, name, subjects);
            for (per, expected) in [(Per::Person, person), (Per::Event, event), (Per::Pool, pool)] {
                assert_eq!(per.of(&change), expected.map(|byte| Pk::from_bytes([byte; 16])), "{name} {per:?}");
            }
        }
    }
}
