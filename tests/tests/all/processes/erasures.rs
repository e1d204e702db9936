//! Erasure in running daemons: what the files still hold of somebody who was erased, a kill in the middle, and a cluster.

use std::fs;
use std::path::Path;
use std::time::Instant;

use enroll_protocol::{Code, Envelope, Key, Operation, Pk, Refusal, code, codec, person, token};
use enroll_tests::etcd::Etcd;
use enroll_tests::member::MemberHost;
use enroll_tests::process::{Daemon, expect_sound, run};
use enroll_tests::socket::Socket;

/// The personal data of people who are erased: the beginnings of each callsign and of the text in their extra.
const KNOWN: [&str; 2] = ["GONEAWAY", "keepsake"];

/// People whose erasure is killed, each a little later than the one before.
const KILLS: u32 = 12;

/// People who are erased where files are searched: enough for leaves of their own in the tree.
const ERASED: u32 = 40;

fn key(number: u128) -> Envelope {
    Envelope { key: Some(Key(Pk::from_bytes(number.to_be_bytes()))), ..Envelope::default() }
}

/// Sends an operation under a key.
fn send<O: Operation>(socket: &mut Socket, envelope: &Envelope, operation: &O) {
    let mut bytes = Vec::new();
    socket.frame(&mut bytes, envelope, O::ROW.number, &codec::encode(operation));
    socket.send(&bytes).expect("sent");
}

/// Calls an operation under a key.
fn call<O: Operation>(socket: &mut Socket, envelope: &Envelope, operation: &O) -> Result<O::Reply, Refusal> {
    send(socket, envelope, operation);
    let outcome = socket.receive().expect("an answer").outcome();
    outcome.map(|reply| codec::decode(&reply).expect("a reply of its type"))
}

fn callsign(number: u32) -> String {
    format!("GONEAWAY{number}x")
}

fn create(number: u32) -> person::Create {
    let extra = format!(r#"{{"note":"keepsake {number} of theirs"}}"#).parse().expect("JSON");
    person::Create { extra, ..person::Create::new(callsign(number).parse().expect("a callsign")) }
}

fn erase(number: u32) -> person::Erase {
    person::Erase { person: callsign(number).parse().expect("a name") }
}

/// Makes a person with whatever names them, and deletes them.
fn delete_with_traces(socket: &mut Socket, number: u32) {
    let of = |call: u128| key(u128::from(number) * 10 + call);
    call(socket, &of(1), &create(number)).expect("made");
    let named = format!(r#"{{"sub":"{}","says":"keepsake"}}"#, callsign(number));
    call(socket, &of(2), &code::Create::new(named.parse().expect("claims"))).expect("a code");
    let token = format!("token {number}").parse().expect("a token");
    let audit = Some(format!(r#"{{"by":"{}"}}"#, callsign(number)).parse().expect("JSON"));
    call(socket, &of(3), &token::Use { audit, ..token::Use::new(token) }).expect("used");
    call(socket, &of(4), &person::Delete { person: callsign(number).parse().expect("a name") }).expect("deleted");
}

/// The files below a directory that have something of what is known, with case or without.
fn traces(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            // A socket, or what was removed meanwhile.
            let Ok(bytes) = fs::read(&path) else { continue };
            let text = String::from_utf8_lossy(&bytes).to_lowercase();
            for known in KNOWN.map(str::to_lowercase) {
                let at = text.find(&known);
                found.extend(at.map(|at| {
                    let around: String = text[at..].chars().take(40).collect();
                    format!("{}: {around:?}", path.display())
                }));
            }
        }
    }
    found
}

/// Lines of an export that tell of a person.
fn lines_about(daemon: &Daemon, number: u32) -> usize {
    let exported = daemon.enrollctl(&["server", "export", "--with-secrets"], "").stdout.to_lowercase();
    assert!(exported.lines().count() > 1, "no export");
    let known = [callsign(number).to_lowercase(), format!("keepsake {number} ")];
    exported.lines().filter(|line| known.iter().any(|known| line.contains(known))).count()
}

#[test]
fn nothing_is_left_of_who_was_erased_once_the_database_is_compacted() {
    let mut daemon = Daemon::start();
    let mut socket = Socket::connect(&daemon.home.socket());
    daemon.done(&["person", "create", "STAYS"]);
    (0..ERASED).for_each(|number| delete_with_traces(&mut socket, number));
    // The database has them, and not the journal alone.
    assert_eq!(daemon.terminate(), Some(0));
    daemon.restart();
    let mut socket = Socket::connect(&daemon.home.socket());
    for number in 0..ERASED {
        call(&mut socket, &Envelope::default(), &erase(number)).expect("erased");
    }
    assert_eq!(daemon.terminate(), Some(0));
    let state_dir = daemon.home.state_dir();
    assert!(!traces(&state_dir).is_empty(), "what was written before is written over later, so a search finds it");
    let place = state_dir.display().to_string();
    let compacted = run(&mut daemon.home.enrolld_with(&["compact", "--state-dir", &place]), "");
    assert_eq!(compacted.code, Some(0), "{compacted:?}");
    assert_eq!(traces(&state_dir), Vec::<String>::new());
    daemon.restart();
    expect_sound(&daemon);
    daemon.done(&["person", "get", "STAYS"]);
    // A start and its first batches bring nothing back.
    assert_eq!(traces(&state_dir), Vec::<String>::new());
    let mut socket = Socket::connect(&daemon.home.socket());
    let refused = call(&mut socket, &Envelope::default(), &create(0)).expect_err("reserved");
    assert_eq!(refused.code, Code::CALLSIGN_RESERVED);
}

#[test]
fn an_erasure_is_whole_or_not_at_all_whenever_the_daemon_is_killed() {
    let mut daemon = Daemon::start();
    let mut socket = Socket::connect(&daemon.home.socket());
    (0..=KILLS).for_each(|number| delete_with_traces(&mut socket, number));
    let begun = Instant::now();
    call(&mut socket, &Envelope::default(), &erase(KILLS)).expect("erased");
    let whole = begun.elapsed();
    let mut outcomes = Vec::new();
    for number in 0..KILLS {
        let mut socket = Socket::connect(&daemon.home.socket());
        let before = lines_about(&daemon, number);
        assert!(before >= 2, "{before} lines tell of {number}");
        let by_key = key(u128::from(number) * 10 + 5);
        send(&mut socket, &by_key, &erase(number));
        let begun = Instant::now();
        if number + 1 == KILLS {
            socket.receive().expect("an answer").outcome().expect("erased");
        }
        while begun.elapsed() < whole * number / (KILLS / 2) {
            std::hint::spin_loop();
        }
        daemon.kill9();
        daemon.restart();
        expect_sound(&daemon);
        let after = lines_about(&daemon, number);
        assert!(after == 0 || after == before, "{after} of {before} lines tell of {number}");
        outcomes.push(after == 0);
        // The answer of the call that made them is gone with them, or is what it was.
        let mut socket = Socket::connect(&daemon.home.socket());
        let again = call(&mut socket, &key(u128::from(number) * 10 + 1), &create(number)).map_err(|err| err.code);
        assert_eq!(again.err(), (after == 0).then_some(Code::DELETED));
        let erased = call(&mut socket, &by_key, &erase(number)).expect("erased, then or now");
        assert_eq!(call(&mut socket, &by_key, &erase(number)).as_ref(), Ok(&erased), "one erasure, one answer");
        assert_eq!((erased.callsign.as_str(), lines_about(&daemon, number)), (&*format!("erased-{}", erased.pk), 0));
        let refused = call(&mut socket, &Envelope::default(), &erase(number)).expect_err("nobody has the name");
        assert_eq!(refused.code, Code::NOT_FOUND);
    }
    assert_eq!(outcomes.last(), Some(&true), "an erasure that was answered is lost: {outcomes:?}");
}

#[test]
fn nothing_is_left_at_a_standby_and_in_etcd_of_who_was_erased() {
    let test = "nothing_is_left_at_a_standby_and_in_etcd_of_who_was_erased";
    let Some(etcd) = Etcd::start(test, 1, &[]) else { return };
    tokio::runtime::Runtime::new().expect("a runtime").block_on(etcd.await_ready());
    let mut leader = MemberHost::new("a", &etcd, "");
    leader.start_leading();
    let mut standby = MemberHost::new("b", &etcd, "").with_key_of(&leader);
    standby.start();
    standby.await_answers();
    let mut socket = Socket::connect(&leader.home.socket());
    (0..ERASED).for_each(|number| delete_with_traces(&mut socket, number));
    // The standby has them in its files.
    standby.done(&["person", "get", &callsign(0), "--allow-deleted"]);
    standby.stop();
    standby.start();
    standby.await_answers();
    let mut pks = Vec::new();
    for number in 0..ERASED {
        pks.push(call(&mut socket, &Envelope::default(), &erase(number)).expect("erased").pk);
    }
    for pk in &pks {
        let shown = standby.done(&["person", "get", &pk.to_string(), "--allow-deleted"]);
        assert!(shown.contains(&format!("erased-{pk}")) && !shown.contains("GONEAWAY"), "{shown}");
    }
    let lines = standby.records();
    assert!(lines.iter().all(|line| KNOWN.iter().all(|known| !line.contains(known))), "{lines:?}");
    for host in [&mut standby, &mut leader] {
        host.stop();
        assert!(!traces(&host.home.state_dir()).is_empty(), "a search finds what was not written over");
        let compacted = host.offline(&["compact"]);
        assert_eq!(compacted.code, Some(0), "{compacted:?}");
        assert_eq!(traces(&host.home.state_dir()), Vec::<String>::new());
    }
    assert_eq!(traces(&etcd.data_of(0)), Vec::<String>::new(), "records are sealed");
    leader.start_leading();
    leader.done(&["server", "check"]);
}
