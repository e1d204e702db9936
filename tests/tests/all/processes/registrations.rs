//! Races for places: eight processes register people for the last places of an event and cancel again, also while the
//! daemon is killed: no place is given twice, and everybody comes in order.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Barrier;
use std::sync::mpsc::{Sender, channel};

use enroll_protocol::registration::{self, Registration};
use enroll_protocol::value::PageLimit;
use enroll_protocol::{Envelope, Key, Operation as _, Pk, Reference, changes, codec, event};
use enroll_tests::conversation::Conversation;
use enroll_tests::process::{Daemon, PATIENCE};
use enroll_tests::socket::Socket;
use serde_json::{Value, json};

use super::expect_sound;

const PROCESSES: usize = 8;
const PEOPLE: usize = 15;
const PLACES: usize = 20;

/// A daemon with an event of a few places and people for each process.
fn prepare() -> (Daemon, String) {
    let daemon = Daemon::start();
    let people = (0..PROCESSES * PEOPLE).map(|at| json!({"op": "person.create", "args": {"callsign": name(at)}}));
    let event = json!({"op": "event.create", "args": {
        "title": "Camp", "kind": "camp", "owner": name(0), "start": "2100-01-01T00:00:00Z", "duration_minutes": 60,
        "published": true, "max_participants": PLACES,
    }});
    let lines: Vec<String> = people.chain([event]).map(|line| format!("{line}\n")).collect();
    let made = daemon.enrollctl(&["call"], &lines.concat());
    let last: Value = serde_json::from_str(made.stdout.lines().last().expect("answers")).expect("JSON");
    let event = last["ok"]["pk"].as_str().unwrap_or_else(|| panic!("no event: {last}")).to_owned();
    (daemon, event)
}

fn name(at: usize) -> String {
    format!("PERSON-{at}")
}

/// The calls of a process: everybody registers, every second one cancels, and every fourth one comes back.
fn asks(process: usize, event: &str) -> Vec<(usize, String)> {
    let line = |verb: &str, at: usize| {
        let line = json!({"op": format!("registration.{verb}"), "args": {"event": event, "person": name(at)}});
        (at, line.to_string())
    };
    let people = process * PEOPLE..(process + 1) * PEOPLE;
    let registers = people.clone().map(|at| line("create", at));
    let cancels = people.clone().step_by(2).map(|at| line("cancel", at));
    registers.chain(cancels).chain(people.step_by(4).map(|at| line("create", at))).collect()
}

/// Has all processes call at once, and kills the daemon this many times meanwhile. Returns the people with a lost answer,
/// because the daemon came back too late.
fn race(daemon: &mut Daemon, event: &str, kills: usize) -> BTreeSet<usize> {
    let ready = &Barrier::new(PROCESSES);
    let (answered, answers) = channel();
    let run = |mut conversation: Conversation, process: usize, answered: Sender<()>| {
        let asked = asks(process, event);
        conversation.say("{\"op\":\"server.status\"}");
        assert!(conversation.answer()["ok"].is_object());
        ready.wait();
        asked.iter().for_each(|(_, line)| conversation.say(line));
        let mut lost = BTreeSet::new();
        for (person, line) in asked {
            let answer = conversation.answer();
            match answer["error"]["code"].as_str() {
                None => {}
                Some("unavailable") if kills > 0 => drop(lost.insert(person)),
                Some(_) => panic!("{line}: {answer}"),
            }
            // The last kill may be over.
            let _ = answered.send(());
        }
        lost
    };
    let conversations: Vec<_> = (0..PROCESSES).map(|_| Conversation::begin(&daemon.home)).collect();
    std::thread::scope(|scope| {
        let start = |(process, conversation)| {
            let answered = answered.clone();
            scope.spawn(move || run(conversation, process, answered))
        };
        let running: Vec<_> = conversations.into_iter().enumerate().map(start).collect();
        for _ in 0..kills {
            (0..20).for_each(|_| answers.recv_timeout(PATIENCE).expect("an answer"));
            daemon.kill9();
            daemon.restart();
        }
        running.into_iter().flat_map(|running| running.join().expect("a race")).collect()
    })
}

/// Checks the changes: a registration is seated while there are free places, and a later seat goes to the first of the
/// waiting list. Returns the people with a place in the end, and the waiting list.
fn replay(daemon: &Daemon) -> (Vec<Pk>, VecDeque<Pk>) {
    let (client, mut since) = (daemon.client(), None);
    let (mut seated, mut waiting) = (Vec::new(), VecDeque::new());
    loop {
        let limit = PageLimit::new(1000).expect("a limit");
        let page = client.call(changes::List { since, limit, after: None }).expect("changes");
        for change in page.items.iter().filter(|change| change.area.as_str() == "registration") {
            let person = change.subjects[1];
            match change.verb.as_str() {
                "create" if seated.len() < PLACES => seated.push(person),
                "create" => waiting.push_back(person),
                "cancel" => {
                    seated.retain(|other| *other != person);
                    waiting.retain(|other| *other != person);
                }
                "seated" => {
                    assert_eq!(waiting.pop_front(), Some(person), "somebody was passed over");
                    seated.push(person);
                }
                verb => panic!("{verb}"),
            }
            assert!(seated.len() <= PLACES, "a place was given twice");
        }
        since = page.items.last().map(|change| change.seq).or(since);
        if page.next.is_none() {
            return (seated, waiting);
        }
    }
}

fn expect_in_order(daemon: &Daemon, event: &str, lost: &BTreeSet<usize>) {
    expect_sound(daemon);
    let client = daemon.client();
    let event: Reference = event.parse().expect("a pk");
    let limit = PageLimit::new(1000).expect("a limit");
    let list = registration::List { event: Some(event.clone()), limit, ..registration::List::default() };
    let registered = client.call(list).expect("a page").items;
    let live: Vec<&Registration> = registered.iter().filter(|item| !item.canceled).collect();
    let (seated, waiting) = live.split_at(PLACES);
    assert!(seated.iter().all(|item| !item.waiting), "somebody came before others and waits");
    let positions = waiting.iter().map(|item| item.waiting_position);
    assert!(positions.eq((1..=waiting.len()).map(|position| u32::try_from(position).ok())), "{waiting:?}");
    let (told_seated, told_waiting) = replay(daemon);
    assert_eq!(seated.iter().map(|item| item.person).collect::<BTreeSet<_>>(), told_seated.into_iter().collect());
    assert!(waiting.iter().map(|item| item.person).eq(told_waiting), "the changes tell of another waiting list");
    for process in 0..PROCESSES {
        for at in (0..PEOPLE).filter(|at| !lost.contains(&(process * PEOPLE + at))) {
            let person = name(process * PEOPLE + at).parse().expect("a name");
            let found = client.call(registration::Get { event: event.clone(), person }).expect("a registration");
            assert_eq!(found.canceled, at % 4 == 2, "{found:?}");
        }
    }
}

#[test]
fn the_last_places_go_to_who_came_first_of_eight() {
    let (mut daemon, event) = prepare();
    let lost = race(&mut daemon, &event, 0);
    expect_in_order(&daemon, &event, &lost);
}

#[test]
fn places_are_given_once_and_in_order_whatever_is_killed() {
    let (mut daemon, event) = prepare();
    let lost = race(&mut daemon, &event, 3);
    expect_in_order(&daemon, &event, &lost);
}

/// Placements by hand of some people, each under a key of its own: in turns a place and the first position.
fn placements(people: std::ops::Range<usize>, event: &str) -> Vec<(Envelope, u16, Vec<u8>)> {
    let placement = |at: usize| {
        let key = Key(Pk::from_bytes([u8::try_from(at).expect("few people"); 16]));
        let place = registration::Place {
            event: event.parse().expect("a pk"),
            person: name(at).parse().expect("a name"),
            pool: None,
            position: (at % 2 == 1).then_some(1),
            reason: "by hand".parse().expect("a reason"),
        };
        (Envelope { key: Some(key), ..Envelope::default() }, registration::Place::ROW.number, codec::encode(&place))
    };
    people.map(placement).collect()
}

#[test]
fn a_placement_whose_answer_a_kill_took_is_done_once_and_answered_under_its_key() {
    const AT_ONCE: usize = 30;
    let (mut daemon, event) = prepare();
    for (round, answers) in [0, 1, 7, 29].into_iter().enumerate() {
        let asked = placements(round * AT_ONCE..(round + 1) * AT_ONCE, &event);
        let mut socket = Socket::connect(&daemon.home.socket());
        let mut bytes = Vec::new();
        let frame = |(envelope, number, request): &(Envelope, u16, Vec<u8>)| {
            socket.frame(&mut bytes, envelope, *number, request)
        };
        let ids: Vec<u64> = asked.iter().map(frame).collect();
        socket.send(&bytes).expect("sent");
        let told: Vec<_> = (0..answers).map(|_| socket.receive().expect("an answer")).collect();
        daemon.kill9();
        daemon.restart();
        expect_sound(&daemon);
        let mut socket = Socket::connect(&daemon.home.socket());
        let again = socket.call_all(&asked);
        assert_eq!(again, socket.call_all(&asked), "asked twice, answered differently");
        assert!(again.iter().all(Result::is_ok), "{again:?}");
        for frame in told {
            let at = ids.iter().position(|id| *id == frame.id).expect("an answer to what was asked");
            assert_eq!(frame.outcome(), again[at], "the acknowledged answer was another one");
        }
    }
    expect_sound(&daemon);
    let people = PROCESSES * PEOPLE;
    let (client, limit) = (daemon.client(), PageLimit::new(1000).expect("a limit"));
    let held = client.call(event::Get { event: event.parse().expect("a pk") }).expect("an event");
    // Of the places of the event each second one was free for the first of the line.
    let from_line = PLACES / 2;
    let expected = (people / 2 + from_line, people / 2 - from_line);
    assert_eq!((held.places_taken as usize, held.waiting_count as usize), expected);
    let told = client.call(changes::List { since: None, limit, after: None }).expect("changes").items;
    let placed: Vec<Pk> = told.iter().filter(|of| of.verb.as_str() == "place").map(|of| of.subjects[1]).collect();
    assert_eq!((placed.len(), placed.iter().collect::<BTreeSet<_>>().len()), (people, people));
}
