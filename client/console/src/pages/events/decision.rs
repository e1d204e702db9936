//! Decisions on registrations, one or several at once: approve, reject, cancel. The pages of events and of supervisors
//! have the same form for them.

use std::pin::Pin;

use enroll_client::protocol::registration::{ApprovalState, Approve, Cancel, Registration, Reject};
use enroll_client::protocol::{Pk, Reason, Reference};
use maud::{Markup, html};

use crate::address;
use crate::context::Context;
use crate::form::{Field, Sent};
use crate::outcome::Outcome;
use crate::records::Records;
use crate::refusal::Told;
use crate::visit::Answer;

/// Where the form is sent to.
pub(crate) const ADDRESS: &str = "/registrations/decide";

/// The name of the boxes.
const BOX: &str = "registration";

/// A registration that was ticked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ticked {
    registration: Pk,
    event: Pk,
    person: Pk,
}

impl Ticked {
    /// Reads the value of a box.
    fn parse(text: &str) -> Option<Self> {
        let pks: Vec<Pk> = text.split('.').map(Pk::parse).collect::<Option<_>>()?;
        let [registration, event, person] = pks[..] else { return None };
        Some(Self { registration, event, person })
    }
}

/// The box of a registration, with the name of its person for those who hear it.
pub(crate) fn box_of(one: &Registration, name: &Markup) -> Markup {
    html! {
        label .choice {
            input type="checkbox" name=(BOX) value={ (one.pk) "." (one.event) "." (one.person) };
            span .visually-hidden { "Decide on " (name) }
        }
    }
}

/// The reason and the buttons below the boxes.
pub(crate) fn buttons(can_cancel: bool, context: &Context) -> Markup {
    let reason = Field {
        name: "reason",
        label: "Reason",
        hint: "Of an approval or a rejection. People may read it.",
        ..Field::default()
    };
    html! {
        (reason.markup(&[], context))
        p .tools {
            button name="decision" value="approve" { "Approve those ticked" }
            button .danger name="decision" value="reject" { "Reject those ticked" }
            @if can_cancel {
                button .danger name="decision" value="cancel" { "Cancel those ticked" }
            }
        }
        p .hint {
            "A decision may be changed later; a place that was given up is not kept: it goes to the next who waits."
        }
    }
}

/// Decides on those ticked: all are asked for at once, each under a key of its own, and answered one by one.
pub(super) async fn decide(sent: Sent) -> Answer {
    let reason = match sent.value_if_any::<Reason>("reason") {
        Ok(reason) => reason,
        Err(problem) => return Err(sent.visit.refused(&problem.told)),
    };
    let ticked: Vec<Ticked> = sent.all(BOX).filter_map(Ticked::parse).collect();
    if ticked.is_empty() {
        return Err(sent
            .visit
            .refused(&Told::invalid("no registration was chosen; tick the boxes of those to decide")));
    }
    let client = sent.visit.client();
    let records = Records::look_up(client, ticked.iter().map(|one| one.person)).await;
    let mut decisions: Vec<Pin<Box<dyn Future<Output = Outcome> + Send>>> = Vec::new();
    for one in ticked {
        let name = records.get(one.person).map_or_else(|| one.person.short(), |named| named.name.clone());
        let (event, person) = (Reference::by_pk(one.event), Reference::by_pk(one.person));
        let (key, reason, at) = (sent.unit_key(one.registration), reason.clone(), Some(address::person(one.person)));
        decisions.push(match sent.text("decision") {
            "approve" => {
                let reply = client.request(Approve { event, person, reason }).key(key).send();
                Box::pin(async move { Outcome::of(name, at, "approved", reply.await) })
            }
            "reject" => {
                let reply = client.request(Reject { event, person, reason }).key(key).send();
                Box::pin(async move { Outcome::of(name, at, "rejected", reply.await) })
            }
            "cancel" => {
                let reply = client.request(Cancel { event, person }).key(key).send();
                Box::pin(async move { Outcome::of(name, at, "canceled", reply.await) })
            }
            _ => return Err(sent.visit.refused(&Told::invalid("the decision is to approve, to reject or to cancel"))),
        });
    }
    let mut outcomes = Vec::new();
    for decision in decisions {
        outcomes.push(decision.await);
    }
    Ok(sent.done(outcomes))
}

/// The standing of a registration, in words: `has a place in "members"`, `waits as number 3`.
pub(crate) fn standing(one: &Registration, pool: impl Fn(Pk) -> Option<String>) -> String {
    let standing = match (one.canceled, one.approval, one.waiting) {
        (true, ..) => "canceled".to_owned(),
        (_, ApprovalState::Rejected, _) => "rejected".to_owned(),
        (_, _, true) => {
            one.waiting_position.map_or_else(|| "waits".to_owned(), |number| format!("waits as number {number}"))
        }
        _ => match one.pool.and_then(pool) {
            Some(pool) => format!("has a place in \"{pool}\""),
            None => "has a place".to_owned(),
        },
    };
    match one.approval {
        ApprovalState::Pending if !one.canceled => format!("{standing}, approval pending"),
        _ => standing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_names_its_registration_and_nothing_else_is_read() {
        let pk = |digit: &str| Pk::parse(&format!("0{digit}010101-0101-0101-0101-010101010101")).expect("a pk");
        let text = format!("{}.{}.{}", pk("1"), pk("2"), pk("3"));
        assert_eq!(Ticked::parse(&text), Some(Ticked { registration: pk("1"), event: pk("2"), person: pk("3") }));
        for text in ["", "1.2.3", &text[..74], &format!("{text}.{}", pk("4"))] {
            assert_eq!(Ticked::parse(text), None, "{text}");
        }
    }
}
