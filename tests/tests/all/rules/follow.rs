//! The change feed as a stream: its beginning, the items of a step, and access to it.

use enroll_protocol::changes::{Change, Follow};
use enroll_protocol::{Code, Envelope, Refusal, codec, person, token};
use enroll_tests::registry::{Registry, Stream};

/// A registry whose feed has so many changes.
fn with_changes(count: u64) -> Registry {
    let mut registry = Registry::in_memory();
    (1..=count).for_each(|number| spend(&mut registry, number));
    registry
}

fn spend(registry: &mut Registry, number: u64) {
    registry.call(token::Use::new(format!("nonce {number}").parse().expect("a token"))).expect("spent");
}

fn begin(registry: &mut Registry, since: Option<u64>) -> Result<Stream, Refusal> {
    registry.begin(Envelope::default(), &Follow { since })
}

fn step(registry: &Registry, stream: &mut Stream) -> Vec<u64> {
    let changes = registry.step::<Follow>(stream).expect("a step");
    changes.iter().map(|change: &Change| change.seq).collect()
}

fn as_actor(actor: &str) -> Envelope {
    Envelope { actor: Some(actor.parse().expect("an actor")), ..Envelope::default() }
}

#[test]
fn a_stream_begins_behind_since_or_with_what_is_to_come() {
    let registry = &mut with_changes(5);
    for (since, begins_behind, first) in
        [(None, 5, vec![]), (Some(0), 0, vec![1, 2, 3, 4, 5]), (Some(3), 3, vec![4, 5]), (Some(5), 5, vec![])]
    {
        let mut stream = begin(registry, since).expect("a stream");
        assert_eq!(stream.begun, codec::encode(&Follow { since: Some(begins_behind) }), "since {since:?}");
        assert_eq!(step(registry, &mut stream), first, "since {since:?}");
    }
    for since in [6, u64::MAX] {
        let Err(refusal) = begin(registry, Some(since)) else { panic!("since {since}: begun") };
        assert_eq!(refusal.code, Code::INVALID_ARGUMENT);
        assert!(refusal.message.contains("the latest is 5"), "{}", refusal.message);
    }
}

#[test]
fn steps_are_bounded_and_join_to_the_whole_feed() {
    let registry = &mut with_changes(50);
    let mut stream = begin(registry, Some(0)).expect("a stream");
    let steps = [16, 16, 16, 2, 0].map(|length| {
        let step = step(registry, &mut stream);
        assert_eq!(step.len(), length);
        step
    });
    assert_eq!(steps.concat(), (1..=50).collect::<Vec<_>>());
    spend(registry, 51);
    assert_eq!(step(registry, &mut stream), [51]);
    assert_eq!(step(registry, &mut stream), Vec::<u64>::new());
}

#[test]
fn a_step_of_large_changes_stays_small() {
    let registry = &mut Registry::in_memory();
    let origin = Some("x".repeat(255).parse().expect("an origin"));
    for number in 0..300 {
        let spend = token::Use::new(format!("nonce {number}").parse().expect("a token"));
        registry.call_with(Envelope { origin: origin.clone(), ..Envelope::default() }, spend).expect("spent");
    }
    let mut stream = begin(registry, Some(0)).expect("a stream");
    let first = registry.step::<Follow>(&mut stream).expect("a step");
    assert!(codec::encode(&first).len() < 8 << 10, "{} changes", first.len());
    let mut count = first.len();
    while let more @ 1.. = registry.step::<Follow>(&mut stream).expect("a step").len() {
        count += more;
    }
    assert_eq!(count, 300);
}

#[test]
fn what_an_actor_may_follow_is_decided_at_every_step() {
    let registry = &mut Registry::in_memory();
    for (callsign, role) in [("BOSS", "superuser"), ("DOG", "member")] {
        let mut create = person::Create::new(callsign.parse().expect("a callsign"));
        create.roles = vec![role.parse().expect("a role")];
        registry.call(create).expect("made");
    }
    let denied = registry.begin(as_actor("DOG"), &Follow { since: None }).err().map(|refusal| refusal.code);
    assert_eq!(denied, Some(Code::PERMISSION_DENIED));
    let mut stream = registry.begin(as_actor("BOSS"), &Follow { since: None }).expect("a stream");
    assert_eq!(step(registry, &mut stream), Vec::<u64>::new());
    registry.call(person::Delete { person: "BOSS".parse().expect("a name") }).expect("deleted");
    let ended = registry.step::<Follow>(&mut stream).map_err(|refusal| refusal.code);
    assert_eq!(ended, Err(Code::DELETED));
}
