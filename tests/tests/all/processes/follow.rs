//! Following the change feed: each change is seen once, in order, as it happens, across restarts and crashes of the
//! daemon, and a follower hinders nobody else.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use enroll_client::Client;
use enroll_client::blocking;
use enroll_protocol::changes::{Change, Follow};
use enroll_protocol::frame::FrameKind;
use enroll_protocol::limits::STREAMS_MAX;
use enroll_protocol::{Code, Envelope, Operation as _, codec, person, server, token};
use enroll_tests::conversation::Conversation;
use enroll_tests::process::{Daemon, Home, PATIENCE, run_into};
use nix::sys::signal::Signal;
use serde_json::json;

use super::expect_sound;
use enroll_tests::socket::{Received, Socket};

/// The time that the contract gives a daemon to stop.
const STOPS_WITHIN: Duration = Duration::from_secs(5);

const ALL: Follow = Follow { since: Some(0) };
const TO_COME: Follow = Follow { since: None };

fn use_of(number: usize) -> token::Use {
    token::Use::new(format!("nonce {number}").parse().expect("a token"))
}

/// A client that waits for a daemon as long as a test does.
fn patient(daemon: &Daemon) -> blocking::Client {
    Client::builder(daemon.home.socket()).reconnect_for(PATIENCE).connect_blocking().expect("a connection")
}

/// Follows on a thread of its own, up to an error or until nobody listens.
fn follow(client: &blocking::Client, follow: Follow) -> Receiver<Change> {
    let (sender, changes) = channel();
    let stream = client.stream(follow).expect("a stream");
    std::thread::spawn(move || {
        let all_taken = stream.map_while(Result::ok).all(|change| sender.send(change).is_ok());
        drop((sender, all_taken));
    });
    changes
}

fn next(changes: &Receiver<Change>) -> Change {
    changes.recv_timeout(PATIENCE).expect("a change")
}

fn begun_behind(frame: &Received) -> Option<u64> {
    assert_eq!(frame.kind, FrameKind::StreamBegun, "{frame:?}");
    codec::decode::<Follow>(&frame.body).expect("a request").since
}

fn seq(frame: &Received) -> u64 {
    assert_eq!(frame.kind, FrameKind::StreamItem, "{frame:?}");
    codec::decode::<Change>(&frame.body).expect("a change").seq
}

/// Spends so many tokens, each with the longest origin there is.
fn spend_largely(socket: &mut Socket, count: usize) {
    let envelope = Envelope { origin: Some("x".repeat(255).parse().expect("an origin")), ..Envelope::default() };
    let spend = |number| (envelope.clone(), token::Use::ROW.number, codec::encode(&use_of(number)));
    let spent = socket.call_all(&(0..count).map(spend).collect::<Vec<_>>());
    assert!(spent.iter().all(Result::is_ok));
}

#[test]
fn a_follower_sees_changes_as_they_happen() {
    let daemon = Daemon::start();
    let client = daemon.client();
    client.call(use_of(0)).expect("spent");
    let (to_come, all) = (follow(&client, TO_COME), follow(&client, ALL));
    assert_eq!(next(&all).seq, 1);
    for number in 1..50 {
        client.call(use_of(number)).expect("spent");
        let change = next(&to_come);
        assert_eq!((change.seq, change.area.as_str(), change.verb.as_str()), (number as u64 + 1, "token", "use"));
        assert_eq!(next(&all), change);
    }
}

/// Writers go on while the daemon is killed and started again, and each of their writes is done once: so the feed has
/// as many changes as there were writes, and the follower sees exactly these.
#[test]
fn a_follower_misses_nothing_and_sees_nothing_twice_when_the_daemon_is_killed() {
    const WRITERS: usize = 4;
    const WRITES: usize = 150;
    let mut daemon = Daemon::start();
    let (follower, writers) = (patient(&daemon), [(); WRITERS].map(|()| patient(&daemon)));
    let (to_come, all) = (follow(&follower, TO_COME), follow(&follower, ALL));
    let mut seen = Vec::new();
    std::thread::scope(|scope| {
        for (at, writer) in writers.iter().enumerate() {
            scope.spawn(move || {
                (0..WRITES).for_each(|number| {
                    writer.call(use_of(at * WRITES + number)).expect("spent once");
                });
            });
        }
        for kill_at in [50, 180, 181, 400] {
            while seen.len() < kill_at {
                seen.push(next(&all));
            }
            daemon.kill9();
            daemon.restart();
        }
    });
    while seen.len() < WRITERS * WRITES {
        seen.push(next(&all));
    }
    assert_eq!(seen.iter().map(|change| change.seq).collect::<Vec<_>>(), (1..=600).collect::<Vec<_>>());
    let others: Vec<Change> = (0..WRITERS * WRITES).map(|_| next(&to_come)).collect();
    assert_eq!(others, seen);
    writers[0].call(use_of(9999)).expect("spent");
    assert_eq!((next(&all).seq, next(&to_come).seq), (601, 601), "and nothing was left over");
    expect_sound(&daemon);
}

#[test]
fn a_follower_that_has_seen_nothing_yet_misses_nothing_either() {
    let mut daemon = Daemon::start();
    let client = patient(&daemon);
    client.call(use_of(0)).expect("spent");
    let to_come = follow(&client, TO_COME);
    daemon.kill9();
    // While this follower looks for the daemon, others may find it first.
    daemon.restart();
    Socket::connect(&daemon.home.socket()).call(&use_of(1)).expect("spent");
    assert_eq!(next(&to_come).seq, 2);
}

#[test]
fn a_stream_says_where_it_begins_and_ends_behind_the_last_request() {
    let daemon = Daemon::start();
    let mut other = Socket::connect(&daemon.home.socket());
    (0..5).for_each(|number| drop(other.call(&use_of(number)).expect("spent")));
    for (since, begins_behind) in [(Some(0), 0), (Some(2), 2), (Some(5), 5), (None, 5)] {
        let mut socket = Socket::connect(&daemon.home.socket());
        let id = socket.ask(&Follow { since });
        socket.end();
        assert_eq!(begun_behind(&socket.receive().expect("its beginning")), Some(begins_behind));
        for expected in begins_behind + 1..=5 {
            assert_eq!(seq(&socket.receive().expect("a change")), expected);
        }
        let end = socket.receive().expect("its end");
        assert_eq!((end.kind, end.id, end.body), (FrameKind::StreamEnd, id, vec![]));
        assert_eq!(socket.receive(), None);
    }
    let refusal = other.call(&Follow { since: Some(6) }).expect_err("refused");
    assert_eq!(refusal.code, Code::INVALID_ARGUMENT);
    other.call(&server::Status {}).expect("others are served");
}

#[test]
fn a_stream_begins_behind_the_writes_sent_before_it_and_leaves_room_for_those_behind_it() {
    let daemon = Daemon::start();
    let mut socket = Socket::connect(&daemon.home.socket());
    let mut bytes = Vec::new();
    for number in 0..20 {
        socket.frame(&mut bytes, &Envelope::default(), token::Use::ROW.number, &codec::encode(&use_of(number)));
    }
    let id = socket.frame(&mut bytes, &Envelope::default(), Follow::ROW.number, &codec::encode(&TO_COME));
    for number in 20..40 {
        socket.frame(&mut bytes, &Envelope::default(), token::Use::ROW.number, &codec::encode(&use_of(number)));
    }
    socket.send(&bytes).expect("sent");
    socket.end();
    let frames: Vec<Received> = std::iter::from_fn(|| socket.receive()).collect();
    let (of_stream, answers): (Vec<_>, Vec<_>) = frames.into_iter().partition(|frame| frame.id == id);
    assert_eq!(answers.len(), 40);
    // Later writes may have overtaken its beginning; from there on nothing is missing.
    let behind = begun_behind(&of_stream[0]).expect("a number");
    assert!((20..=40).contains(&behind), "{behind}");
    let (end, items) = of_stream[1..].split_last().expect("its end");
    assert_eq!(items.iter().map(seq).collect::<Vec<_>>(), (behind + 1..=40).collect::<Vec<_>>());
    assert_eq!(end.kind, FrameKind::StreamEnd);
}

#[test]
fn a_connection_has_a_few_streams_and_answers_besides() {
    let daemon = Daemon::start();
    let mut socket = Socket::connect(&daemon.home.socket());
    for _ in 0..STREAMS_MAX {
        socket.ask(&TO_COME);
        assert_eq!(begun_behind(&socket.receive().expect("its beginning")), Some(0));
    }
    let refusal = socket.call(&TO_COME).expect_err("one too many");
    assert_eq!(refusal.code, Code::INVALID_ARGUMENT);
    for expected in 1..=20 {
        let spend = socket.ask(&use_of(expected));
        let frames: Vec<Received> = (0..=STREAMS_MAX).map(|_| socket.receive().expect("a frame")).collect();
        let (answers, items): (Vec<_>, Vec<_>) = frames.iter().partition(|frame| frame.id == spend);
        assert_eq!((answers.len(), answers[0].kind), (1, FrameKind::Reply));
        assert!(items.iter().all(|item| seq(item) == expected as u64));
    }
}

/// A daemon that waits long for answers to be taken: here nobody reads before much was written, however slow that is.
fn waiting_long() -> Home {
    let home = Home::make();
    home.configure("[server]\ntake_answer_seconds = 60\n");
    home
}

#[test]
fn a_follower_that_does_not_read_hinders_nobody_and_misses_nothing() {
    const CHANGES: usize = 6000;
    let daemon = waiting_long().start();
    let mut other = Socket::connect(&daemon.home.socket());
    let mut slow = Socket::connect(&daemon.home.socket());
    slow.ask(&TO_COME);
    // More than the socket and the daemon keep for it.
    spend_largely(&mut other, CHANGES);
    other.call(&server::Status {}).expect("others are served");
    slow.end();
    assert_eq!(begun_behind(&slow.receive().expect("its beginning")), Some(0));
    (1..=CHANGES as u64).for_each(|expected| assert_eq!(seq(&slow.receive().expect("a change")), expected));
    assert_eq!(slow.receive().map(|frame| frame.kind), Some(FrameKind::StreamEnd));
}

#[test]
fn a_follower_is_told_when_the_daemon_stops_and_does_not_keep_it() {
    let mut daemon = waiting_long().start();
    let path = daemon.home.socket();
    let (mut idle, mut greedy) = (Socket::connect(&path), Socket::connect(&path));
    idle.ask(&TO_COME);
    assert_eq!(begun_behind(&idle.receive().expect("its beginning")), Some(0));
    spend_largely(&mut Socket::connect(&path), 6000);
    greedy.ask(&ALL);
    assert_eq!(begun_behind(&greedy.receive().expect("its beginning")), Some(0));
    (1..=6000).for_each(|expected| assert_eq!(seq(&idle.receive().expect("a change")), expected));
    daemon.signal(Signal::SIGTERM);
    let farewell = idle.receive().expect("a word of farewell");
    assert_eq!((farewell.kind, farewell.id), (FrameKind::Refused, 0));
    assert_eq!(farewell.outcome().expect_err("a refusal").code, Code::SHUTTING_DOWN);
    assert_eq!(idle.receive(), None);
    assert_eq!(daemon.ended(STOPS_WITHIN), Some(0));
}

#[test]
fn a_connection_that_only_follows_is_not_idle() {
    let home = Home::make();
    home.configure("[server]\nidle_seconds = 1\n");
    let daemon = home.start();
    let path = daemon.home.socket();
    let mut following = Socket::connect(&path);
    following.ask(&TO_COME);
    assert_eq!(begun_behind(&following.receive().expect("its beginning")), Some(0));
    assert_eq!(Socket::connect(&path).receive(), None, "a silent connection is let go, and this one came first");
    Socket::connect(&path).call(&use_of(1)).expect("spent");
    assert_eq!(seq(&following.receive().expect("a change")), 1);
}

#[test]
fn a_stream_ends_when_its_actor_may_no_longer_have_it() {
    let daemon = Daemon::start();
    let (mut socket, mut admin) = (Socket::connect(&daemon.home.socket()), Socket::connect(&daemon.home.socket()));
    let boss = person::Create { roles: vec!["superuser".parse().expect("a role")], ..create("BOSS") };
    admin.call(&boss).expect("made");
    let envelope = Envelope { actor: Some("BOSS".parse().expect("a name")), ..Envelope::default() };
    let mut bytes = Vec::new();
    let id = socket.frame(&mut bytes, &envelope, Follow::ROW.number, &codec::encode(&TO_COME));
    socket.send(&bytes).expect("sent");
    assert_eq!(begun_behind(&socket.receive().expect("its beginning")), Some(1));
    admin.call(&create("DOG")).expect("made");
    assert_eq!(seq(&socket.receive().expect("a change")), 2);
    admin.call(&person::Delete { person: "BOSS".parse().expect("a name") }).expect("deleted");
    let refused = socket.receive().expect("its end");
    assert_eq!(refused.id, id);
    assert_eq!(refused.outcome().expect_err("a refusal").code, Code::DELETED);
    socket.call(&server::Status {}).expect("the connection goes on");
}

fn create(callsign: &str) -> person::Create {
    person::Create::new(callsign.parse().expect("a callsign"))
}

#[test]
fn the_command_prints_a_line_for_each_change_and_goes_on_over_a_restart() {
    let mut daemon = Daemon::start();
    let spend = |daemon: &Daemon, token: &str| assert_eq!(daemon.enrollctl(&["token", "use"], token).code, Some(0));
    spend(&daemon, "first");
    let mut all = Conversation::with(&daemon.home, &["changes", "follow", "--since", "0"]);
    let first = all.answer();
    assert_eq!((&first["seq"], &first["area"], &first["verb"]), (&json!(1), &json!("token"), &json!("use")));
    for (expected, restart) in [(2, false), (3, true), (4, false), (5, true), (6, true)] {
        if restart {
            assert_eq!(daemon.terminate(), Some(0));
            daemon.restart();
        }
        spend(&daemon, &format!("nonce {expected}"));
        assert_eq!(all.answer()["seq"], json!(expected));
    }
}

#[test]
fn the_command_says_at_once_that_there_is_no_daemon() {
    let output = enroll_tests::process::run(&mut Home::make().enrollctl(&["changes", "follow"]), "");
    assert_eq!((output.code, output.stdout.as_str()), (Some(3), ""), "{output:?}");
    assert!(output.stderr.contains("unavailable"), "{output:?}");
}

#[test]
fn the_command_ends_when_nobody_reads_it_any_more_and_tells_so() {
    let daemon = Daemon::start();
    assert_eq!(daemon.enrollctl(&["token", "use"], "nonce").code, Some(0));
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let mut command = daemon.home.enrollctl(&["changes", "follow", "--since", "0"]);
    let following = std::thread::spawn(move || run_into(&mut command, "", Stdio::from(writer)));
    let mut lines = BufReader::new(reader).lines();
    assert!(lines.next().expect("a line").expect("a text").starts_with("{\"seq\":1,"));
    // Nothing more happens: the end of its reader is all that it can notice.
    drop(lines);
    let output = following.join().expect("it ends");
    assert_eq!(output.code, Some(4), "{output:?}");
    assert!(output.stderr.contains("could not be written"), "{output:?}");
}
