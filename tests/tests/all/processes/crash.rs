//! Crash recovery: the daemon is killed while it works. Acknowledged writes are there afterwards, the others can be
//! sent again under their idempotency keys, and none is done twice.
//!
//! The moment of each kill is drawn from a seed, as a number of acknowledged writes. Set `ENROLL_SEED` to repeat one.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use enroll_protocol::transaction::{Run, Unit};
use enroll_protocol::{
    Code, Envelope, Json, Key, LoginCode, Operation, OperationRow, Pk, Reference, changes, code, codec, enrollment,
    event, person, registration, server, token,
};
use enroll_tests::process::{Daemon, Home, PATIENCE};
use enrolld::storage::journal::Mark;
use enrolld::storage::open::DATABASE;
use enrolld::storage::redb::{RedbOptions, RedbStore};
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

use super::{Seed, expect_sound};
use enroll_tests::socket::{Outcome, Socket};

const KILLS: usize = 100;
const CONNECTIONS: usize = 16;
const IN_FLIGHT: usize = 2;

/// Places of the event that people are registered for.
const PLACES: u32 = 60;

/// Acknowledged writes before the kill after which the next start is measured, and what that may take at most, also on
/// a machine that has much else to do.
const FULL_LOAD: usize = 5000;
const READY_WITHIN: Duration = Duration::from_secs(15);

/// A write that was sent, and its answer, if one came.
struct Sent {
    row: &'static OperationRow,
    key: Key,
    request: Vec<u8>,
    answer: Option<Outcome>,
}

impl Sent {
    fn envelope(&self) -> Envelope {
        Envelope { key: Some(self.key), ..Envelope::default() }
    }

    fn again(&self) -> (Envelope, u16, Vec<u8>) {
        (self.envelope(), self.row.number, self.request.clone())
    }

    fn is(&self, row: &OperationRow) -> bool {
        self.row.number == row.number
    }
}

/// One connection that writes until the daemon is gone.
struct Load {
    random: SmallRng,
    /// Codes that were made and not used by this connection.
    codes: Vec<LoginCode>,
    /// Enrollments that were made and not decided by this connection.
    pending: Vec<Pk>,
    /// People who were made and not registered by this connection.
    people: Vec<Pk>,
    event: Reference,
    sent: Vec<Sent>,
}

impl Load {
    /// Keeps some writes in flight and reports each acknowledged one.
    fn run(&mut self, mut socket: Socket, acknowledged: &Sender<()>) {
        let mut open = BTreeMap::new();
        loop {
            let mut bytes = Vec::new();
            while open.len() < IN_FLIGHT {
                let sent = self.next_write();
                let id = socket.frame(&mut bytes, &sent.envelope(), sent.row.number, &sent.request);
                open.insert(id, self.sent.len());
                self.sent.push(sent);
            }
            if socket.send(&bytes).is_err() {
                break;
            }
            let Some(frame) = socket.receive() else { break };
            let at = open.remove(&frame.id).expect("an answer to what was asked");
            self.take(at, frame.outcome());
            // The test may have counted enough already.
            let _ = acknowledged.send(());
        }
    }

    fn take(&mut self, at: usize, outcome: Outcome) {
        let sent = &mut self.sent[at];
        if let (true, Ok(reply)) = (sent.is(code::Create::ROW), &outcome) {
            let created: code::Created = codec::decode(reply).expect("a reply of its type");
            self.codes.extend(created.code);
        }
        if let (true, Ok(reply)) = (sent.is(enrollment::Create::ROW), &outcome) {
            self.pending.push(codec::decode::<enrollment::Enrollment>(reply).expect("a reply of its type").pk);
        }
        if let (true, Ok(reply)) = (sent.is(person::Create::ROW), &outcome) {
            self.people.push(codec::decode::<person::Person>(reply).expect("a reply of its type").pk);
        }
        sent.answer = Some(outcome);
    }

    fn next_write(&mut self) -> Sent {
        let key = Key(Pk::from_bytes(self.random.random()));
        let (row, request) = match self.random.random_range(0..8) {
            0 => (token::Use::ROW, codec::encode(&token::Use::new(self.nonce()))),
            2 => {
                let callsign = format!("{:032x}", self.random.random::<u128>()).parse().expect("a callsign");
                (enrollment::Create::ROW, codec::encode(&enrollment::Create::new(callsign)))
            }
            3 if !self.pending.is_empty() => {
                let at = self.random.random_range(0..self.pending.len());
                let named = self.pending.swap_remove(at).to_string().parse().expect("a pk");
                (enrollment::Approve::ROW, codec::encode(&enrollment::Approve::new(named)))
            }
            1 if !self.codes.is_empty() => {
                let at = self.random.random_range(0..self.codes.len());
                (code::Use::ROW, codec::encode(&code::Use::new(self.codes.swap_remove(at))))
            }
            4 if !self.people.is_empty() => {
                let at = self.random.random_range(0..self.people.len());
                let person = self.people.swap_remove(at).to_string().parse().expect("a pk");
                let create = registration::Create { event: self.event.clone(), person };
                (registration::Create::ROW, codec::encode(&create))
            }
            4 | 5 => {
                let callsign = format!("{:032x}", self.random.random::<u128>()).parse().expect("a callsign");
                (person::Create::ROW, codec::encode(&person::Create::new(callsign)))
            }
            6 => (Run::ROW, codec::encode(&self.transaction())),
            _ => {
                let claims = Json::new(&format!("{{\"sub\":\"{}\"}}", self.random.random::<u64>())).expect("claims");
                (code::Create::ROW, codec::encode(&code::Create::new(claims)))
            }
        };
        Sent { row, key, request, answer: None }
    }

    /// A person and an enrollment at once.
    fn transaction(&mut self) -> Run {
        let [person, enrolled] = [(); 2].map(|()| format!("{:032x}", self.random.random::<u128>()));
        let person = person::Create::new(person.parse().expect("a callsign"));
        let enrolled = enrollment::Create::new(enrolled.parse().expect("a callsign"));
        Run { units: vec![Unit::of(&person), Unit::of(&enrolled)] }
    }

    fn nonce(&mut self) -> enroll_protocol::Token {
        format!("{:032x}", self.random.random::<u128>()).parse().expect("a token")
    }
}

/// Writes over several connections until this many answers came, then kills the daemon.
fn kill_under_load(daemon: &mut Daemon, loads: &mut [Load], acknowledged_until: usize) {
    let sockets: Vec<_> = loads.iter().map(|_| Socket::connect(&daemon.home.socket())).collect();
    let (sender, acknowledged) = channel();
    std::thread::scope(|scope| {
        for (load, socket) in loads.iter_mut().zip(sockets) {
            let sender = sender.clone();
            scope.spawn(move || load.run(socket, &sender));
        }
        drop(sender);
        for _ in 0..acknowledged_until {
            acknowledged.recv_timeout(PATIENCE).expect("an answer");
        }
        daemon.kill9();
    });
}

/// Acknowledged calls are answered as before; the others are done now, once.
fn verify(socket: &mut Socket, sent: &mut [Sent]) {
    let again: Vec<_> = sent.iter().map(Sent::again).collect();
    let (first, second) = (socket.call_all(&again), socket.call_all(&again));
    for ((sent, first), second) in sent.iter_mut().zip(first).zip(second) {
        let what = (sent.row.name, sent.key);
        assert_eq!(first, second, "{what:?}: asked twice, answered differently");
        assert!(first.is_ok(), "{what:?}: {first:?}");
        match &sent.answer {
            Some(answer) => assert_eq!(*answer, first, "{what:?}: the acknowledged answer was another one"),
            None => sent.answer = Some(first),
        }
    }
    let spent: Vec<_> = sent.iter().filter(|sent| !sent.is(code::Create::ROW)).collect();
    let anew: Vec<_> = spent.iter().map(|sent| (Envelope::default(), sent.row.number, sent.request.clone())).collect();
    for (sent, outcome) in spent.iter().zip(socket.call_all(&anew)) {
        let code = outcome.err().map(|refusal| refusal.code);
        let expected = match sent.row.name {
            "enrollment.create" | "person.create" | "transaction.run" => Code::CALLSIGN_RESERVED,
            "registration.create" => Code::ALREADY_REGISTERED,
            "enrollment.approve" => Code::ALREADY_DECIDED,
            _ => Code::TOKEN_REUSE,
        };
        assert_eq!(code, Some(expected), "{:?}: without its key", (sent.row.name, sent.key));
    }
}

/// Before anything is sent again, both units of each transaction are done, or none. Returns the number of transactions
/// that were not answered.
fn expect_whole(socket: &mut Socket, sent: &[Sent]) -> usize {
    let mut unanswered = 0;
    for sent in sent.iter().filter(|sent| sent.is(Run::ROW)) {
        let Run { units } = codec::decode(&sent.request).expect("a transaction");
        let person: person::Create = codec::decode(&units[0].request).expect("a unit");
        let enrolled: enrollment::Create = codec::decode(&units[1].request).expect("a unit");
        let person = socket.call(&person::Get::new((&person.callsign).into())).is_ok();
        let enrolled = socket.call(&enrollment::Get { enrollment: (&enrolled.callsign).into() }).is_ok();
        assert_eq!(person, enrolled, "half of {:?} is done", sent.key);
        match sent.answer {
            Some(_) => assert!(person, "{:?} was acknowledged and is lost", sent.key),
            None => unanswered += 1,
        }
    }
    unanswered
}

/// Reads the changes after a number; counts those that were not refused, and expects no gap. Returns the new head.
fn read_changes(socket: &mut Socket, mut since: u64, done: &mut BTreeMap<String, usize>) -> u64 {
    let limit = enroll_protocol::value::PageLimit::new(1000).expect("a limit");
    loop {
        let page = socket.call(&changes::List { since: Some(since), limit, after: None }).expect("changes");
        for change in &page.items {
            assert_eq!(change.seq, since + 1, "a hole in the changes");
            since = change.seq;
            if change.refused.is_none() {
                *done.entry(format!("{}.{}", change.area, change.verb)).or_default() += 1;
            }
        }
        if page.next.is_none() {
            return since;
        }
    }
}

/// As many changes as writes, of each kind: none was lost and none done twice.
fn expect_done_once(done: &BTreeMap<String, usize>, loads: &[Load]) {
    let mut expected = BTreeMap::new();
    for sent in loads.iter().flat_map(|load| &load.sent) {
        let changes = if sent.is(Run::ROW) { &["person.create", "enrollment.create"][..] } else { &[sent.row.name] };
        for change in changes {
            *expected.entry((*change).to_owned()).or_default() += 1;
        }
    }
    assert_eq!(*done, expected);
}

/// A daemon with an event, and connections that will race on it.
fn prepare(random: &mut SmallRng) -> (Daemon, Vec<Load>) {
    let daemon = Daemon::start();
    let client = daemon.client();
    client.call(person::Create::new("OWNER".parse().expect("a callsign"))).expect("a person");
    let start = "2100-01-01T00:00:00Z".parse().expect("a time");
    let create = event::Create::new("Camp".parse().expect("a title"), "camp".parse().expect("a kind"), start, 60);
    let owner = Some("OWNER".parse().expect("a name"));
    let create = event::Create { owner, published: Some(true), max_participants: Some(PLACES), ..create };
    let event: Reference = client.call(create).expect("an event").pk.to_string().parse().expect("a pk");
    let load = |_| Load {
        random: SmallRng::seed_from_u64(random.random()),
        codes: Vec::new(),
        pending: Vec::new(),
        people: Vec::new(),
        event: event.clone(),
        sent: Vec::new(),
    };
    (daemon, (0..CONNECTIONS).map(load).collect())
}

/// All places are taken, by as many people, and later people wait.
fn expect_places_given_once(daemon: &Daemon, loads: &[Load]) {
    let mut seated = BTreeMap::new();
    let registered = loads.iter().flat_map(|load| &load.sent).filter(|sent| sent.is(registration::Create::ROW));
    let mut waiting = 0;
    for sent in registered {
        let reply = sent.answer.as_ref().and_then(|answer| answer.as_ref().ok()).expect("an answer");
        let registration: registration::Registration = codec::decode(reply).expect("a reply of its type");
        match registration.waiting {
            true => waiting += 1,
            false => assert_eq!(seated.insert(registration.person, registration.pk), None, "seated twice"),
        }
    }
    assert_eq!(u32::try_from(seated.len()).ok(), Some(PLACES), "{waiting} wait");
    assert!(waiting > 0, "nobody came too late");
    let event = loads[0].event.clone();
    let held = daemon.client().call(event::Get { event }).expect("an event");
    assert_eq!((held.places_taken, held.waiting_count), (PLACES, waiting));
}

#[test]
fn a_hundred_kills_under_load_lose_nothing_that_was_acknowledged() {
    let seed = Seed::of_this_run();
    let mut random = SmallRng::seed_from_u64(seed.0);
    let (mut daemon, mut loads) = prepare(&mut random);
    let status = daemon.client().call(server::Status {}).expect("a status");
    let (mut head, mut done, mut unanswered) = (status.changes_head, BTreeMap::new(), 0);
    let mut transactions = 0;
    for _ in 0..KILLS {
        let before: Vec<usize> = loads.iter().map(|load| load.sent.len()).collect();
        kill_under_load(&mut daemon, &mut loads, random.random_range(1..60));
        daemon.restart();
        expect_sound(&daemon);
        let mut socket = Socket::connect(&daemon.home.socket());
        for (load, before) in loads.iter_mut().zip(before) {
            let round = &mut load.sent[before..];
            unanswered += round.iter().filter(|sent| sent.answer.is_none()).count();
            transactions += expect_whole(&mut socket, round);
            verify(&mut socket, round);
        }
        head = read_changes(&mut socket, head, &mut done);
    }
    expect_sound(&daemon);
    assert!(unanswered > 0, "no kill met a write");
    assert!(transactions > 0, "no kill met a transaction");
    let mut socket = Socket::connect(&daemon.home.socket());
    loads.iter_mut().for_each(|load| verify(&mut socket, &mut load.sent));
    expect_done_once(&done, &loads);
    expect_places_given_once(&daemon, &loads);
    assert_eq!(
        socket.call(&server::Status {}).expect("a status").changes_head,
        read_changes(&mut socket, head, &mut done)
    );
}

#[test]
fn a_start_after_a_kill_at_full_load_is_ready_soon() {
    let mut random = SmallRng::seed_from_u64(Seed::of_this_run().0);
    let (mut daemon, mut loads) = prepare(&mut random);
    kill_under_load(&mut daemon, &mut loads, FULL_LOAD);
    let journaled = mark(&daemon).expect("it has a journal");
    assert!(journaled.is_open, "{journaled:?}");
    let begun = Instant::now();
    daemon.restart();
    let took = begun.elapsed();
    let _ = writeln!(std::io::stderr(), "ready {} ms after a kill at full load", took.as_millis());
    assert!(took < READY_WITHIN, "{took:?}");
    let mut socket = Socket::connect(&daemon.home.socket());
    loads.iter_mut().for_each(|load| verify(&mut socket, &mut load.sent));
    expect_sound(&daemon);
}

/// The flush position of a stopped daemon's database, read from a copy of it.
fn mark(daemon: &Daemon) -> Option<Mark> {
    let copy = daemon.home.path("copy.redb");
    std::fs::copy(daemon.home.state_dir().join(DATABASE), &copy).expect("copied");
    let file = std::fs::OpenOptions::new().read(true).write(true).open(copy).expect("a file");
    let store = RedbStore::open(file, RedbOptions { cache_bytes: 1 << 20, verify: true }).expect("a database");
    store.mark().expect("read")
}

#[test]
fn a_stop_in_good_order_leaves_nothing_to_replay_and_a_kill_does() {
    let mut daemon = Daemon::start();
    let spend = |daemon: &Daemon, nonce| assert_eq!(daemon.enrollctl(&["token", "use"], nonce).code, Some(0));
    spend(&daemon, "first");
    daemon.kill9();
    assert!(mark(&daemon).expect("it has a journal").is_open);
    daemon.restart();
    spend(&daemon, "second");
    assert_eq!(daemon.terminate(), Some(0));
    assert!(!mark(&daemon).expect("it has a journal").is_open);
    // The database has everything, so the journal may be missing.
    std::fs::remove_file(daemon.home.state_dir().join("enrolld.journal.0")).expect("removed");
    daemon.restart();
    for nonce in ["first", "second"] {
        let again = daemon.enrollctl(&["token", "use"], nonce);
        assert!(again.stderr.contains("token_reuse"), "{again:?}");
    }
    expect_sound(&daemon);
}

/// The first start makes several files; a crash between any two of them leaves what the next start can use.
#[test]
fn a_daemon_killed_while_it_makes_its_registry_makes_it_at_the_next_start() {
    for name in [
        "state/lock",
        "state/enrolld.key.new",
        "state/enrolld.key",
        "state/enrolld.redb.new",
        "state/enrolld.redb",
        "state/enrolld.journal.0",
    ] {
        let home = Home::make();
        let mut process = home.spawn();
        // A file that is gone again before it is seen: then the next one was there.
        let mut looks = 0;
        while !home.path(name).exists() && !home.socket().exists() && looks < 5_000_000 {
            looks += 1;
            std::thread::yield_now();
        }
        process.kill9();
        let mut daemon = home.start();
        expect_sound(&daemon);
        let spent = daemon.enrollctl(&["token", "use"], "nonce");
        assert_eq!(spent.code, Some(0), "killed at {name}: {spent:?}");
        daemon.kill9();
        daemon.restart();
        let again = daemon.enrollctl(&["token", "use"], "nonce");
        assert!(again.stderr.contains("token_reuse"), "killed at {name}: {again:?}");
    }
}
