//! Full and failing disks under the real daemon: the kernel refuses to let its file grow, or a tracer makes one of its
//! calls fail. A failed commit is not acknowledged, the daemon ends with an exit code of its own, and the next start
//! finds all that was committed. With less free space than the configuration wants, no write is tried.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use enroll_client::blocking::Client;
use enroll_client::protocol::{Code, Envelope, Json, Key, Operation as _, Pk, codec, server, token};
use enroll_client::{Client as AsyncClient, Error};
use enroll_tests::process::{Daemon, Home, PATIENCE};

use super::expect_sound;
use enroll_tests::skip::may_trace;
use enroll_tests::socket::{Outcome, Socket};

/// Two or four MiB, by what the shell counts in: more than a new database has, less than some thousand tokens need.
const BLOCKS: &str = "4096";

const TOKENS_MAX: u32 = 20_000;

pub(super) fn use_token(number: u32) -> token::Use {
    let audit = Json::new(&format!("{{\"a\":\"{}\"}}", "x".repeat(1000))).ok();
    token::Use { audit, ..token::Use::new(format!("token {number}").parse().expect("a token")) }
}

fn key(number: u32) -> Key {
    let mut bytes = [7; 16];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    Key(Pk::from_bytes(bytes))
}

#[test]
fn a_full_disk_loses_nothing_that_was_acknowledged() {
    let home = Home::make();
    let enrolld = home.enrolld();
    let mut limited = home.command("sh".as_ref());
    limited.arg("-c").arg(format!("ulimit -f {BLOCKS}; exec \"$0\" \"$@\""));
    limited.arg(enrolld.get_program()).args(enrolld.get_args());
    let mut daemon = home.start_with(&mut limited);

    let builder = AsyncClient::builder(daemon.home.socket()).reconnect_for(Duration::from_millis(50));
    let client: Client = builder.connect_blocking().expect("a connection");
    let refused = (0..TOKENS_MAX).find_map(|number| {
        let outcome = client.request(use_token(number)).key(key(number)).send();
        outcome.err().map(|err| (number, err))
    });
    let (failed, err) = refused.expect("the file can not grow for ever");
    assert!(matches!(err, Error::Unavailable(_)), "{err:?}");
    assert_eq!(daemon.ended(PATIENCE), Some(6), "{}", daemon.log());
    let log = daemon.log();
    assert!(log.contains("enrolld: the disk failed") && log.contains("file size limit"), "{log}");

    daemon.restart();
    let client = daemon.client();
    for number in 0..failed {
        let refusal = client.call(use_token(number)).expect_err("it was used");
        assert_eq!(refusal.refusal().map(|refusal| refusal.code), Some(Code::TOKEN_REUSE), "token {number}");
    }
    client.request(use_token(failed)).key(key(failed)).send().expect("used once, whatever became of it");
    expect_sound(&daemon);
}

type Answers = BTreeMap<u32, Option<Outcome>>;

/// The calls that are sent at once.
const OF_A_BATCH: u32 = 10;

const DATABASE: &str = "enrolld.redb";
const JOURNAL: &str = "enrolld.journal.0";

const NEXT_SEGMENT: &str = "enrolld.journal.1";

/// Calls on which file fail, how, and which of them: one, or all from one on. A start makes two syncs and a write of
/// its journal, and nine syncs and fourteen writes of its database; the writes after them are the flusher's.
const FAULTS: &[(&str, &str, &str, &str)] = &[
    ("fdatasync", JOURNAL, "EIO", "4"),
    ("fdatasync", JOURNAL, "ENOSPC", "13+"),
    ("pwrite64", JOURNAL, "ENOSPC", "4"),
    ("pwrite64", JOURNAL, "EIO", "40+"),
    ("pwrite64", NEXT_SEGMENT, "ENOSPC", "1"),
    ("fdatasync", NEXT_SEGMENT, "EIO", "2"),
    ("fdatasync", DATABASE, "EIO", "10"),
    ("fdatasync", DATABASE, "ENOSPC", "11+"),
    ("pwrite64", DATABASE, "ENOSPC", "20"),
    ("pwrite64", DATABASE, "EIO", "25+"),
];

fn traced(home: &Home, (call, file, error, which): (&str, &str, &str, &str)) -> Command {
    let enrolld = home.enrolld();
    let mut command = home.command("strace".as_ref());
    command.args(["-D", "-f", "-qq", "-o", "/dev/null", "-e"]).arg(format!("trace={call}"));
    command.arg("-e").arg(format!("inject={call}:error={error}:when={which}"));
    // By what the descriptor leads to.
    command.arg("-P").arg(home.state_dir().canonicalize().expect("a directory").join(file));
    command.arg(enrolld.get_program()).args(enrolld.get_args());
    command
}

/// True for the answer `outcome_unknown`.
pub(super) fn is_unknown(outcome: &Option<Outcome>) -> bool {
    matches!(outcome, Some(Err(err)) if err.code == Code::OUTCOME_UNKNOWN)
}

/// Uses tokens, some at once, until the connection ends; what was answered, by number.
pub(super) fn use_tokens_until_it_ends(daemon: &Daemon) -> Answers {
    let mut socket = Socket::connect(&daemon.home.socket());
    let mut answers = Answers::new();
    let mut next = 0;
    while next < TOKENS_MAX {
        let (mut bytes, mut asked) = (Vec::new(), BTreeMap::new());
        for number in next..next + OF_A_BATCH {
            let envelope = Envelope { key: Some(key(number)), ..Envelope::default() };
            let request = codec::encode(&use_token(number));
            asked.insert(socket.frame(&mut bytes, &envelope, token::Use::ROW.number, &request), number);
            answers.insert(number, None);
        }
        next += OF_A_BATCH;
        if socket.send(&bytes).is_err() {
            return answers;
        }
        while !asked.is_empty() {
            let Some(frame) = socket.receive() else { return answers };
            // The last log line comes after all answers.
            let Some(number) = asked.remove(&frame.id) else { return answers };
            answers.insert(number, Some(frame.outcome()));
        }
    }
    panic!("{TOKENS_MAX} tokens, and nothing failed");
}

/// Acknowledged calls are answered as before, the others are done now, and no token can be used again. Returns all
/// answers.
pub(super) fn expect_each_once(daemon: &Daemon, answers: &Answers) -> Answers {
    let mut socket = Socket::connect(&daemon.home.socket());
    let request = |number: &u32| (token::Use::ROW.number, codec::encode(&use_token(*number)));
    let keyed = |number| Envelope { key: Some(key(number)), ..Envelope::default() };
    let again: Vec<_> = answers.keys().map(|at| (keyed(*at), request(at).0, request(at).1)).collect();
    let seconds = socket.call_all(&again);
    for ((number, first), second) in answers.iter().zip(&seconds) {
        match first {
            Some(Ok(first)) => assert_eq!(second.as_ref(), Ok(first), "token {number} was acknowledged"),
            _ => assert!(second.is_ok(), "token {number} was not acknowledged: {second:?}"),
        }
    }
    let anew: Vec<_> = answers.keys().map(|at| (Envelope::default(), request(at).0, request(at).1)).collect();
    for outcome in socket.call_all(&anew) {
        assert_eq!(outcome.map_err(|refusal| refusal.code), Err(Code::TOKEN_REUSE));
    }
    answers.keys().copied().zip(seconds.into_iter().map(Some)).collect()
}

#[test]
fn a_call_that_fails_is_answered_as_unknown_and_ends_the_daemon() {
    if !may_trace("a_call_that_fails_is_answered_as_unknown_and_ends_the_daemon") {
        return;
    }
    for fault in FAULTS {
        let mut daemon = Daemon::start();
        expect_sound(&daemon);
        assert_eq!(daemon.terminate(), Some(0));
        let mut enrolld = traced(&daemon.home, *fault);
        daemon.restart_with(&mut enrolld);
        let answers = use_tokens_until_it_ends(&daemon);
        // A batch in the journal is acknowledged, whether or not it can be flushed into the database.
        if fault.1 == JOURNAL {
            assert!(answers.values().any(is_unknown), "{fault:?}: {}", daemon.log());
        }
        assert_eq!(daemon.ended(PATIENCE), Some(6), "{fault:?}: {}", daemon.log());
        assert_eq!(daemon.log().matches("enrolld: the disk failed").count(), 1, "{fault:?}: {}", daemon.log());
        daemon.restart();
        expect_each_once(&daemon, &answers);
        expect_sound(&daemon);
    }
}

/// Tokens that make a database larger than its cache.
const MANY: u32 = 3_000;

/// Checks until the connection ends.
fn check_until_it_ends(daemon: &Daemon) {
    let mut socket = Socket::connect(&daemon.home.socket());
    for _ in 0..20 {
        let mut bytes = Vec::new();
        socket.frame(
            &mut bytes,
            &Envelope::default(),
            server::Check::ROW.number,
            &codec::encode(&server::Check::default()),
        );
        let is_over = socket.send(&bytes).is_err() || socket.receive().is_none();
        if is_over {
            return;
        }
    }
    panic!("checked twenty times, and every read was fine: {}", daemon.log());
}

/// After a read that failed redb answers nothing more, so a daemon that went on would refuse everybody.
#[test]
fn a_database_that_can_not_be_read_ends_the_daemon() {
    if !may_trace("a_database_that_can_not_be_read_ends_the_daemon") {
        return;
    }
    let home = Home::make();
    home.configure("[database]\ncache_mib = 1\nverify_mib = 0\n");
    let mut daemon = home.start();
    let mut socket = Socket::connect(&daemon.home.socket());
    let request = |number| (Envelope::default(), token::Use::ROW.number, codec::encode(&use_token(number)));
    let many: Vec<_> = (0..MANY).map(request).collect();
    assert!(many.chunks(100).all(|some| socket.call_all(some).iter().all(Result::is_ok)));
    drop(socket);
    assert_eq!(daemon.terminate(), Some(0));
    // All of it is in the tree, and nothing will be flushed. How many reads are a start and a check?
    let counted = daemon.home.path("reads");
    let enrolld = daemon.home.enrolld();
    let mut counting = daemon.home.command("strace".as_ref());
    counting.args(["-D", "-f", "-qq", "-e", "trace=pread64", "-o"]).arg(&counted);
    counting.arg("-P").arg(daemon.home.state_dir().canonicalize().expect("a directory").join(DATABASE));
    counting.arg(enrolld.get_program()).args(enrolld.get_args());
    daemon.restart_with(&mut counting);
    expect_sound(&daemon);
    assert_eq!(daemon.terminate(), Some(0));
    let reads = std::fs::read_to_string(&counted).expect("the trace").lines().count();
    assert!(reads > 500, "{reads} reads");
    let mut enrolld = traced(&daemon.home, ("pread64", DATABASE, "EIO", &(reads - 50).to_string()));
    daemon.restart_with(&mut enrolld);
    check_until_it_ends(&daemon);
    assert_eq!(daemon.ended(PATIENCE), Some(6), "{}", daemon.log());
    let log = daemon.log();
    assert_eq!(log.matches("enrolld: the disk failed").count(), 1, "{log}");
    assert!(log.contains("the database can not be read any more"), "{log}");
    daemon.restart();
    expect_sound(&daemon);
}

#[test]
fn a_disk_with_less_left_than_configured_serves_reads_only() {
    let mut daemon = Daemon::start();
    assert_eq!(daemon.enrollctl(&["person", "create", "DOGGO01a"], "").code, Some(0));
    assert_eq!(daemon.terminate(), Some(0));
    // More than any disk has.
    daemon.home.configure("[database]\nfree_mib = 1048576\n");
    daemon.restart();
    let refused = daemon.enrollctl(&["token", "use"], "nonce");
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("too little free space") && refused.stderr.contains("storage"), "{refused:?}");
    let read = daemon.enrollctl(&["--json", "person", "get", "DOGGO01a"], "");
    assert_eq!(read.json()["callsign"], "DOGGO01a");
    assert_eq!(daemon.log().matches("the disk has too little free space").count(), 1, "{}", daemon.log());
    assert_eq!(daemon.terminate(), Some(0));
    daemon.home.configure("");
    daemon.restart();
    assert_eq!(daemon.enrollctl(&["token", "use"], "nonce").code, Some(0));
}
