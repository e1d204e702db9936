//! Golden samples of events, registrations, supervisors and constants.

use enroll_protocol::enrollment::Decider;
use enroll_protocol::{Page, constant, event, person, registration, supervisor};

use super::{Samples, json, name, pk, time};

/// The pk of an event as it is named.
const EVENT: &str = "01010101-0101-0101-0101-010101010101";

pub(super) fn events(samples: &mut Samples) {
    let event = event();
    samples.operation(&create(), &event);
    samples.operation(&event::Get { event: name(EVENT) }, &event);
    let list = event::List {
        kind: Some("camp".parse().expect("a kind")),
        owner: Some(name("BOSS")),
        time_state: Some(event::TimeState::Past),
        prefix: Some("0199".parse().expect("a prefix")),
        after: Some("cursor".parse().expect("a cursor")),
        limit: "7".parse().expect("a limit"),
    };
    samples.operation(&list, &Page { items: vec![draft()], next: None });
    samples.operation(&update(), &event);
    samples.operation(&event::Publish { event: name(EVENT) }, &event);
    samples.operation(&event::Unpublish { event: name(EVENT) }, &draft());
    samples.operation(&event::Cancel { event: name(EVENT) }, &event);
    let new = new_pool();
    let add = event::AddPool {
        event: name(EVENT),
        name: new.name.clone(),
        capacity: new.capacity,
        roles: new.roles.clone(),
        opens: new.opens,
    };
    samples.operation(&add, &event);
    let update = event::UpdatePool {
        event: name(EVENT),
        pool: name("members"),
        name: Some("guests".parse().expect("a name")),
        capacity: Some(300),
        roles: Some(new.roles),
        opens: Some(time(5)),
    };
    samples.operation(&update, &event);
    samples.operation(&event::RemovePool { event: name(EVENT), pool: name("members") }, &event);
}

/// An event with something in every field.
fn event() -> event::Event {
    let new = new_pool();
    event::Event {
        pk: pk(1),
        title: "Summer camp".parse().expect("a title"),
        kind: "camp".parse().expect("a kind"),
        owner: pk(2),
        start: time(7200),
        duration_minutes: 90,
        max_participants: Some(300),
        leisure: true,
        published: true,
        canceled: true,
        approval: event::Approval::Supervisor,
        waiting_list: true,
        merge_time: Some(time(3600)),
        registration_closes: Some(time(7000)),
        unregistration_closes: Some(time(6000)),
        extra: json(r#"{"team":"red"}"#),
        time_state: event::TimeState::Upcoming,
        update_state: event::UpdateState::Registrations,
        actions: vec![event::Action::Save, event::Action::Cancel],
        places_taken: 40,
        waiting_count: 3,
        pools: vec![event::EventPool {
            pk: pk(3),
            name: new.name,
            capacity: new.capacity,
            opens: new.opens,
            roles: new.roles,
            places_taken: 39,
            waiting_count: 2,
        }],
        created: time(1),
        updated: time(2),
        deleted: None,
    }
}

/// The same with nothing in those that may be empty, and the other words.
fn draft() -> event::Event {
    event::Event {
        max_participants: None,
        leisure: false,
        published: false,
        canceled: false,
        approval: event::Approval::None,
        waiting_list: false,
        merge_time: None,
        registration_closes: None,
        unregistration_closes: None,
        time_state: event::TimeState::Past,
        update_state: event::UpdateState::Draft,
        actions: vec![event::Action::Publish, event::Action::Unpublish],
        pools: Vec::new(),
        ..event()
    }
}

fn new_pool() -> event::NewPool {
    event::NewPool {
        name: "members".parse().expect("a name"),
        capacity: 40,
        roles: vec!["member".parse().expect("a role"), "guest".parse().expect("a role")],
        opens: Some(time(600)),
    }
}

fn create() -> event::Create {
    let event = event();
    event::Create {
        owner: Some(name("BOSS")),
        max_participants: event.max_participants,
        leisure: Some(true),
        published: Some(false),
        approval: Some(event::Approval::Supervisor),
        waiting_list: Some(true),
        merge_time: event.merge_time,
        registration_closes: event.registration_closes,
        unregistration_closes: event.unregistration_closes,
        pools: vec![new_pool()],
        extra: event.extra,
        ..event::Create::new(event.title, event.kind, event.start, event.duration_minutes)
    }
}

fn update() -> event::Update {
    let event = event();
    event::Update {
        title: Some(event.title),
        kind: Some(event.kind),
        owner: Some(name("BOSS")),
        start: Some(event.start),
        duration_minutes: Some(event.duration_minutes),
        max_participants: event.max_participants,
        leisure: Some(true),
        published: Some(false),
        approval: Some(event::Approval::None),
        waiting_list: Some(true),
        merge_time: event.merge_time,
        registration_closes: event.registration_closes,
        unregistration_closes: event.unregistration_closes,
        extra: Some(event.extra),
        patch: Some(json("{\"team\":null}")),
        clear: vec![
            event::Field::MaxParticipants,
            event::Field::MergeTime,
            event::Field::RegistrationCloses,
            event::Field::UnregistrationCloses,
            event::Field::Extra,
        ],
        ..event::Update::new(name(EVENT))
    }
}

/// Somebody who waits, and about whom somebody has decided.
fn registration() -> registration::Registration {
    registration::Registration {
        pk: pk(4),
        event: pk(1),
        person: pk(2),
        pool: None,
        waiting: true,
        waiting_pools: vec![pk(3), pk(5)],
        waiting_position: Some(300),
        registered_at: time(2),
        canceled: false,
        canceled_at: None,
        approval: registration::ApprovalState::Approved,
        decided_by: Some(Decider::Person(pk(6))),
        decided_on: Some(time(3)),
        reason: Some("they know the way".parse().expect("a reason")),
        placed: None,
        created: time(1),
        updated: time(3),
        deleted: None,
    }
}

pub(super) fn registrations(samples: &mut Samples) {
    use registration::{ApprovalState, Registration};
    let nothing = Registration {
        waiting: false,
        waiting_pools: Vec::new(),
        waiting_position: None,
        decided_by: None,
        decided_on: None,
        reason: None,
        ..registration()
    };
    let seated = Registration { pool: Some(pk(3)), approval: ApprovalState::NotRequired, ..nothing.clone() };
    let pending = Registration { approval: ApprovalState::Pending, ..seated.clone() };
    let canceled = Registration { canceled: true, canceled_at: Some(time(3)), ..nothing.clone() };
    let rejected = Registration {
        approval: ApprovalState::Rejected,
        decided_by: Some(Decider::Uid(1000)),
        decided_on: Some(time(3)),
        ..nothing
    };
    let (event, person) = (|| name(EVENT), || name("DOGGO01a"));
    samples.operation(&registration::Create { event: event(), person: person() }, &seated);
    samples.operation(&registration::Cancel { event: event(), person: person() }, &canceled);
    samples.operation(&registration::Get { event: event(), person: person() }, &registration());
    let list = registration::List {
        event: Some(event()),
        person: Some(person()),
        waiting: Some(true),
        approval: Some(ApprovalState::Rejected),
        after: Some("cursor".parse().expect("a cursor")),
        limit: "7".parse().expect("a limit"),
    };
    samples.operation(&list, &Page { items: vec![pending, registration()], next: None });
    let reason = || Some("they know the way".parse().expect("a reason"));
    samples.operation(&registration::Approve { event: event(), person: person(), reason: reason() }, &registration());
    samples.operation(&registration::Reject { event: event(), person: person(), reason: None }, &rejected);
    let placed = Registration {
        placed: Some(registration::Placed {
            by: Decider::Uid(1000),
            on: time(3),
            reason: "they know the way".parse().expect("a reason"),
        }),
        ..registration()
    };
    let place = registration::Place {
        event: event(),
        person: person(),
        pool: Some(name("members")),
        position: Some(300),
        reason: "they know the way".parse().expect("a reason"),
    };
    samples.operation(&place, &placed);
    samples.operation(&registration::Explain { event: event(), person: person() }, &explanation());
}

fn explanation() -> registration::Explanation {
    registration::Explanation {
        outcome: "seat".to_owned(),
        pool: Some(pk(3)),
        waiting_position: Some(7),
        pools: vec![registration::PoolExplanation {
            pk: pk(3),
            name: "members".parse().expect("a name"),
            admits: true,
            open: true,
            opens: Some(time(600)),
            capacity: 40,
            places_taken: 39,
            exclusivity: 300,
            chosen: true,
            because: "it is the only one".to_owned(),
        }],
        because: vec!["there is a free place".to_owned()],
    }
}

pub(super) fn supervisors(samples: &mut Samples, somebody: &person::Person) {
    let (boss, deputy) = (|| name("BOSS"), || name("DEPUTY"));
    samples.operation(&supervisor::Assign { person: name("DOGGO01a"), supervisor: boss() }, somebody);
    samples.operation(&supervisor::Unassign { person: name("DOGGO01a") }, somebody);
    samples.operation(&supervisor::AddRepresentative { supervisor: boss(), representative: deputy() }, &true);
    samples.operation(&supervisor::RemoveRepresentative { supervisor: boss(), representative: deputy() }, &false);
    let after = Some("cursor".parse().expect("a cursor"));
    let pending = supervisor::Pending { supervisor: boss(), after, limit: "7".parse().expect("a limit") };
    samples.operation(&pending, &Page { items: vec![registration()], next: None });
}

pub(super) fn constants(samples: &mut Samples) {
    let (list, value) = (|| "country".parse().expect("a list"), || "SE".parse().expect("a value"));
    let label = Some("Sweden".parse().expect("a label"));
    samples.operation(&constant::Set { list: list(), value: value(), label: label.clone() }, &true);
    samples.operation(&constant::Remove { list: list(), value: value() }, &false);
    let constant = constant::Constant { list: list(), value: value(), label };
    samples.operation(&constant::List { list: Some(list()) }, &vec![constant]);
}
