//! The sentences of an explanation: what registering would do for a person, and why.

use enroll_protocol::registration::{Explanation, PoolExplanation};

/// The outcome as a sentence: `They would wait, as number 3.`
pub fn outcome(explanation: &Explanation) -> String {
    let chosen = explanation.pools.iter().find(|pool| pool.chosen);
    match (explanation.outcome.as_str(), explanation.waiting_position, chosen) {
        ("seat", _, Some(pool)) => format!("They would get a place in \"{}\".", pool.name),
        ("seat", ..) => "They would get a place.".to_owned(),
        ("wait", Some(position), _) => format!("They would wait, as number {position}."),
        ("wait", ..) => "They would wait.".to_owned(),
        (refusal, ..) => format!("They would be refused ({refusal})."),
    }
}

/// A pool's part in it: `3 of 40 taken: it is not open yet`.
pub fn of_pool(pool: &PoolExplanation) -> String {
    let of = Some(pool.capacity).filter(|capacity| *capacity > 0);
    format!("{} taken: {}", crate::event::counted(pool.places_taken, of), pool.because)
}
