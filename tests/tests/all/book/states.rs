//! The states of records as the book draws them. The drawings are made from the tables here (`ENROLL_UPDATE=1` writes
//! them), the tables name every state of the contract, and each transition is played by the rules.

use std::str::FromStr as _;

use enroll_protocol::{OperationRow, enrollment, registration};
use enroll_tests::pages;
use enroll_tests::registry::Registry;

use super::drawing::{Arrow, Machine, State};
use crate::rules::check;

const MACHINES: &[Machine] = &[
    Machine {
        name: "enrollment",
        title: "An enrollment is pending until it is approved or rejected; a rejected one can be reopened.",
        states: &[
            State("", "", 0, 0),
            State("pending", "", 1, 0),
            State("approved", "else: already_decided", 2, 0),
            State("rejected", "else: already_decided", 1, 1),
        ],
        arrows: &[
            Arrow("", "pending", "enrollment.create"),
            Arrow("pending", "approved", "enrollment.approve"),
            Arrow("pending", "rejected", "enrollment.reject"),
            Arrow("rejected", "pending", "enrollment.reopen"),
        ],
    },
    Machine {
        name: "token",
        title: "A token that somebody else issued is spent by its first use, for ever.",
        states: &[State("", "", 0, 0), State("spent", "token.use: token_reuse", 1, 0)],
        arrows: &[Arrow("", "spent", "token.use")],
    },
    Machine {
        name: "code",
        title: "A login code is usable until it is used or its time has passed.",
        states: &[
            State("", "", 0, 0),
            State("usable", "", 1, 0),
            State("used", "code.use: token_reuse", 2, 0),
            State("expired", "code.use: expired", 1, 1),
        ],
        arrows: &[
            Arrow("", "usable", "code.create"),
            Arrow("usable", "used", "code.use"),
            Arrow("usable", "expired", "its time passes"),
        ],
    },
    Machine {
        name: "event",
        title: "An event is a draft, published, published with registrations, or canceled.",
        states: &[
            State("", "", 0, 0),
            State("draft", "", 1, 0),
            State("published", "", 2, 0),
            State("registrations", "event.unpublish: refused", 2, 1),
            State("canceled", "registering: event_canceled", 1, 1),
        ],
        arrows: &[
            Arrow("", "draft", "event.create"),
            Arrow("draft", "published", "event.publish"),
            Arrow("published", "draft", "event.unpublish"),
            Arrow("published", "registrations", "registration.create"),
            Arrow("registrations", "published", "the last canceled"),
            Arrow("registrations", "canceled", "event.cancel"),
        ],
    },
    Machine {
        name: "registration",
        title: "A registration has a place, waits for one, is rejected or is canceled.",
        states: &[
            State("", "", 0, 0),
            State("has a place", "", 1, 0),
            State("rejected", "holds no place", 2, 0),
            State("waiting", "", 0, 1),
            State("canceled", "", 1, 1),
        ],
        arrows: &[
            Arrow("", "has a place", "registration.create"),
            Arrow("", "waiting", "registration.create"),
            Arrow("waiting", "has a place", "a place is free, registration.place"),
            Arrow("has a place", "rejected", "registration.reject"),
            Arrow("rejected", "has a place", "registration.approve"),
            Arrow("waiting", "canceled", "registration.cancel"),
            Arrow("has a place", "canceled", "registration.cancel"),
            Arrow("canceled", "has a place", "registration.create"),
        ],
    },
    Machine {
        name: "program",
        title: "An external key waits until it is linked to a person, and can be unlinked.",
        states: &[
            State("", "", 0, 0),
            State("waiting", "courses and roles wait", 1, 0),
            State("linked", "they are the person's", 2, 0),
        ],
        arrows: &[
            Arrow("", "waiting", "program.enroll"),
            Arrow("waiting", "linked", "program.link"),
            Arrow("linked", "waiting", "program.unlink"),
        ],
    },
    Machine {
        name: "certificate",
        title: "A certificate is valid until it is revoked, superseded or over.",
        states: &[
            State("", "", 0, 0),
            State("valid", "", 1, 0),
            State("revoked", "in the revocation list", 2, 0),
            State("superseded", "in the revocation list", 2, 1),
            State("over", "its time has passed", 1, 1),
        ],
        arrows: &[
            Arrow("", "valid", "person.create, certificate.renew, certificate.issue"),
            Arrow("valid", "revoked", "certificate.revoke, person.revoke, person.delete"),
            Arrow("valid", "superseded", "certificate.renew"),
            Arrow("valid", "over", "its time passes"),
        ],
    },
];

/// The transitions of enrollment, token, event, registration and program, by the rules.
const PLAYED: &str = r#"
    person.create {"callsign":"BOSS","roles":["superuser"]} => {"pk"..
    enrollment.create {"callsign":"DOG"} => ..,"state":"pending"..
    BOSS> enrollment.reject {"enrollment":"DOG"} => ..,"state":"rejected"..
    BOSS> enrollment.approve {"enrollment":"DOG"} => already_decided
    BOSS> enrollment.reopen {"enrollment":"DOG"} => ..,"state":"pending"..
    BOSS> enrollment.approve {"enrollment":"DOG"} => {"pk"..
    BOSS> enrollment.reject {"enrollment":"DOG"} => already_decided
    BOSS> enrollment.reopen {"enrollment":"DOG"} => already_decided

    token.use {"token":"nonce"} => {"token"..
    token.use {"token":"nonce"} => token_reuse

    person.create {"callsign":"CAT"} => {"pk"..
    $E = BOSS> event.create {"title":"Hike","kind":"hike","start":"2027-02-01T10:00:00Z","duration_minutes":60,"max_participants":1,"approval":"supervisor"} => ..,"update_state":"draft"..
    BOSS> event.publish {"event":"$E"} => ..,"update_state":"published"..
    BOSS> event.unpublish {"event":"$E"} => ..,"update_state":"draft"..
    BOSS> event.publish {"event":"$E"} => ..,"update_state":"published"..
    BOSS> event.cancel {"event":"$E"} => invalid_transition
    DOG> registration.create {"event":"$E","person":"DOG"} => ..,"waiting":false..
    event.get {"event":"$E"} => ..,"update_state":"registrations"..
    BOSS> event.unpublish {"event":"$E"} => event_has_registrations
    CAT> registration.create {"event":"$E","person":"CAT"} => ..,"waiting":true..
    BOSS> registration.reject {"event":"$E","person":"DOG"} => ..,"approval":"rejected"..
    registration.get {"event":"$E","person":"CAT"} => ..,"waiting":false..
    CAT> registration.cancel {"event":"$E","person":"CAT"} => ..,"canceled":true..
    event.get {"event":"$E"} => ..,"update_state":"published"..
    BOSS> registration.approve {"event":"$E","person":"DOG"} => ..,"approval":"approved"..
    CAT> registration.create {"event":"$E","person":"CAT"} => ..,"waiting":true..,"canceled":false..
    BOSS> registration.place {"event":"$E","person":"CAT","reason":"she guides"} => ..,"waiting":false..
    DOG> registration.cancel {"event":"$E","person":"DOG"} => ..,"canceled":true..
    DOG> registration.create {"event":"$E","person":"DOG"} => ..,"waiting":true..
    DOG> registration.cancel {"event":"$E","person":"DOG"} => ..,"canceled":true..
    BOSS> event.cancel {"event":"$E"} => ..,"update_state":"canceled"..
    DOG> registration.create {"event":"$E","person":"DOG"} => event_canceled

    program.enroll {"program":"0b9ac1f0-6a4e-4f3c-9a53-4d9a0c1f2b10","create":true,"update":false,"enrollments":[{"external_key":"s-1","curriculum":"0b9ac1f0-6a4e-4f3c-9a53-4d9a0c1f2b10","status":"enrolled"}]} => {"s-1":"enrolled"}
    program.link {"program":"0b9ac1f0-6a4e-4f3c-9a53-4d9a0c1f2b10","links":{"s-1":"DOG"}} => {}
    program.unlink {"program":"0b9ac1f0-6a4e-4f3c-9a53-4d9a0c1f2b10","external_keys":["s-1"]} => {}
"#;

fn machine(name: &str) -> &'static Machine {
    MACHINES.iter().find(|machine| machine.name == name).expect("a machine")
}

#[test]
fn drawings_are_those_of_the_tables() {
    for machine in MACHINES {
        let (path, svg) = (pages::root().join(format!("docs/pictures/{}.svg", machine.name)), machine.svg());
        if std::env::var_os("ENROLL_UPDATE").is_some() {
            std::fs::write(&path, &svg).expect("written");
        }
        let drawn = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(drawn == svg, "{}: ENROLL_UPDATE=1 draws it anew", path.display());
        let page = pages::page("docs/states.md").text;
        assert!(page.contains(&format!("(pictures/{}.svg)", machine.name)), "states.md does not show {}", machine.name);
    }
}

#[test]
fn arrows_name_operations_and_every_state_of_the_contract_is_drawn() {
    for arrow in MACHINES.iter().flat_map(|machine| machine.arrows) {
        for word in arrow.2.split(", ").filter(|word| word.contains('.')) {
            assert!(OperationRow::by_name(word).is_some(), "there is no operation {word}");
        }
    }
    let is_drawn = |name: &str, word: &str| machine(name).states.iter().any(|state| state.0 == word);
    for word in words_of(enrollment::State::from_str("?").expect_err("no state").0) {
        assert!(is_drawn("enrollment", &word), "{word}");
    }
    for word in words_of(registration::ApprovalState::from_str("?").expect_err("no state").0) {
        let page = pages::page("docs/states.md").text;
        assert!(is_drawn("registration", &word) || page.contains(&format!("`{word}`")), "{word}");
    }
    let draft = serde_json::from_str::<enroll_protocol::event::UpdateState>("\"?\"").expect_err("no state").to_string();
    for word in draft.split('`').skip(1).step_by(2).filter(|word| *word != "?") {
        assert!(is_drawn("event", word), "{word}");
    }
}

/// The words of a type, from the refusal of a word that it does not have.
fn words_of(refusal: String) -> Vec<String> {
    let (_, list) = refusal.split_once(" is none of ").expect("a list");
    list.split(", ").map(str::to_owned).collect()
}

#[test]
fn transitions_happen_as_drawn() {
    check(&mut Registry::in_memory(), PLAYED);
    for machine in MACHINES.iter().filter(|machine| !matches!(machine.name, "code" | "certificate")) {
        for word in machine.arrows.iter().flat_map(|arrow| arrow.2.split(", ")).filter(|word| word.contains('.')) {
            assert!(PLAYED.contains(&format!("{word} {{")), "{word} is not played");
        }
    }
}
