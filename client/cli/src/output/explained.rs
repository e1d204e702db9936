//! The sentences of `registration explain`: the outcome, the reasons, and a line for each pool. In a pipe each line is
//! a word and a sentence.

use enroll_client::protocol::registration::{Explanation, PoolExplanation};
use enroll_picture::explanation as picture;
use serde_json::{Value, json};

use super::Summary;

/// The three forms of an explanation; `None` for the replies of other operations.
pub(super) fn summary(operation: &str, json: &str) -> Option<Summary> {
    if operation != "registration.explain" {
        return None;
    }
    let explanation: Explanation = serde_json::from_str(json).ok()?;
    Some(Summary { json: json.to_owned(), people: for_people(&explanation), scripts: for_scripts(&explanation) })
}

fn for_people(explanation: &Explanation) -> String {
    let mut lines = vec![picture::outcome(explanation)];
    lines.extend(explanation.because.iter().map(|sentence| format!("  {sentence}")));
    let width = explanation.pools.iter().map(|pool| pool.name.as_str().chars().count()).max().unwrap_or_default();
    for pool in &explanation.pools {
        lines.push(format!("{:width$}  {}", pool.name.as_str(), picture::of_pool(pool)));
    }
    Value::String(lines.join("\n")).to_string()
}

/// A word and a sentence on each line. Built as text, because a word repeats.
fn for_scripts(explanation: &Explanation) -> String {
    let mut members = vec![("outcome", json!(explanation.outcome))];
    members.extend(explanation.waiting_position.map(|position| ("waiting_position", json!(position))));
    members.extend(explanation.because.iter().map(|sentence| ("because", json!(sentence))));
    let pool = |pool: &PoolExplanation| json!(format!("{}, {}", pool.name, picture::of_pool(pool)));
    members.extend(explanation.pools.iter().map(|of| (if of.chosen { "chosen_pool" } else { "pool" }, pool(of))));
    let members: Vec<String> = members.into_iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", members.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    const POOLS: &str = r#"[
        {"pk":"01010101-0101-0101-0101-010101010101","name":"members","admits":true,"open":true,"opens":null,
         "capacity":40,"places_taken":39,"exclusivity":7,"chosen":CHOSEN,"because":"it is the only one"},
        {"pk":"02010101-0101-0101-0101-010101010101","name":"all","admits":false,"open":true,"opens":null,
         "capacity":0,"places_taken":3,"exclusivity":9,"chosen":false,"because":"no role for it"}]"#;

    #[test]
    fn an_explanation_becomes_sentences() {
        for (outcome, position, is_chosen, people, scripts) in [
            (
                "seat",
                "null",
                "true",
                "They would get a place in \"members\".\n  why\nmembers  39 of 40 taken: it is the only one\n\
                 all      3 taken: no role for it",
                r#"{"outcome":"seat","because":"why","chosen_pool":"members, 39 of 40 taken: it is the only one","pool":"all, 3 taken: no role for it"}"#,
            ),
            (
                "wait",
                "3",
                "false",
                "They would wait, as number 3.\n  why\nmembers  39 of 40 taken: it is the only one\n\
                 all      3 taken: no role for it",
                r#"{"outcome":"wait","waiting_position":3,"because":"why","pool":"members, 39 of 40 taken: it is the only one","pool":"all, 3 taken: no role for it"}"#,
            ),
        ] {
            let pools = POOLS.replace("CHOSEN", is_chosen);
            let json = format!(
                r#"{{"outcome":"{outcome}","pool":null,"waiting_position":{position},"pools":{pools},"because":["why"]}}"#
            );
            let summary = summary("registration.explain", &json).expect("an explanation");
            assert_eq!(serde_json::from_str::<String>(&summary.people).expect("a text"), people);
            assert_eq!(summary.scripts, scripts);
        }
    }

    #[test]
    fn a_refusal_has_its_code_and_other_replies_stay() {
        let json =
            r#"{"outcome":"event_past","pool":null,"waiting_position":null,"pools":[],"because":["it is over"]}"#;
        let summary = summary("registration.explain", json).expect("an explanation");
        assert_eq!(summary.people, r#""They would be refused (event_past).\n  it is over""#);
        assert!(super::summary("registration.get", json).is_none());
    }
}
