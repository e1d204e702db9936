//! The fake daemon: it answers as a daemon does, the same for the same seed and times, and each code to one caller.

#![cfg(feature = "fake")]

use std::collections::BTreeMap;
use std::sync::Barrier;

use enroll_client::fake::{Daemon, Grant, StartError};
use enroll_client::protocol::{Code, Time, changes, code, person, role, token};
use enroll_client::{Error, blocking};

const WORKERS: usize = 8;
const CODES: usize = 200;

fn start() -> Daemon {
    Daemon::builder().start().expect("a fake daemon")
}

fn refused<T: std::fmt::Debug>(answer: Result<T, Error>) -> Code {
    match answer {
        Err(Error::Refused(refusal)) => refusal.code,
        other => panic!("{other:?}"),
    }
}

fn create(callsign: &str) -> person::Create {
    person::Create::new(callsign.parse().expect("a callsign"))
}

fn login_code(client: &blocking::Client) -> enroll_client::protocol::LoginCode {
    let claims = r#"{"sub":"PORA22b"}"#.parse().expect("claims");
    client.call(code::Create::new(claims)).expect("made").code.expect("a code")
}

#[test]
fn eight_workers_exchange_two_hundred_codes_once_each() {
    let daemon = start();
    let client = daemon.blocking().expect("a client");
    client.call(create("PORA22b")).expect("made");
    let codes: Vec<_> = (0..CODES).map(|_| login_code(&client)).collect();
    let ready = Barrier::new(WORKERS);
    let work = |worker: usize| {
        let client = daemon.blocking().expect("a client");
        ready.wait();
        let exchange = |step: usize| {
            let at = (step + worker * CODES / WORKERS) % CODES;
            let answer = client.call(code::Use::new(codes[at].clone()));
            if answer.is_err() {
                assert_eq!(refused(answer), Code::TOKEN_REUSE);
                return None;
            }
            Some(at)
        };
        (0..CODES).filter_map(exchange).collect::<Vec<_>>()
    };
    let won: Vec<usize> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..WORKERS).map(|worker| scope.spawn(move || work(worker))).collect();
        running.into_iter().flat_map(|running| running.join().expect("a worker")).collect()
    });
    let mut successes = BTreeMap::<usize, usize>::new();
    won.into_iter().for_each(|at| *successes.entry(at).or_default() += 1);
    assert_eq!(successes, (0..CODES).map(|at| (at, 1)).collect());
}

#[test]
fn the_same_seed_and_times_give_the_same_answers() {
    let told = |seed: u8| {
        let daemon = Daemon::builder().seed([seed; 32]).start().expect("a fake daemon");
        let client = daemon.blocking().expect("a client");
        let person = client.call(create("PORA22b")).expect("made");
        let first = login_code(&client);
        daemon.advance(60);
        let used = client.call(code::Use::new(first.clone())).expect("exchanged");
        (person, format!("{first:?}"), used.jwt.map(|jwt| jwt.as_str().to_owned()), used.expires)
    };
    assert_eq!(told(1), told(1));
    assert_ne!(told(1), told(2));
}

#[test]
fn time_passes_when_the_test_says_so() {
    let daemon = start();
    let client = daemon.blocking().expect("a client");
    let begin = daemon.time();
    let expires = Some(begin.plus_seconds(60));
    let claims = || "{}".parse().expect("claims");
    let made = || client.call(code::Create { expires, ..code::Create::new(claims()) }).expect("made").code;
    let (in_time, too_late) = (made().expect("a code"), made().expect("a code"));
    daemon.advance(59);
    client.call(code::Use::new(in_time)).expect("in time");
    daemon.set_time(begin.plus_seconds(61));
    assert_eq!(refused(client.call(code::Use::new(too_late))), Code::EXPIRED);
    let noon = Time::from_micros(1_900_000_000_000_000).expect("a time");
    daemon.set_time(noon);
    assert_eq!(daemon.time(), noon);
    daemon.set_time(begin);
    assert_eq!(daemon.time(), begin);
    client.call(create("DOGGO01a")).expect("a clock that was set back is no obstacle");
}

#[tokio::test]
async fn grants_and_idempotency_keys_are_those_of_a_daemon() {
    let daemon = start();
    let admin = daemon.client().expect("a client");
    let reader = daemon.client_with_grant(Grant::Read).expect("a client");
    assert_eq!(refused(reader.call(create("DOGGO01a")).await), Code::PERMISSION_DENIED);
    let key = "019aab01-997b-774b-bfff-ffffffffffff".parse().expect("a key");
    let first = admin.request(create("DOGGO01a")).key(key).send().await.expect("made");
    assert_eq!(admin.request(create("DOGGO01a")).key(key).send().await, Ok(first));
    assert_eq!(refused(admin.request(create("CAT02b")).key(key).send().await), Code::KEY_REUSED);
    let has = role::Has::new("DOGGO01a".parse().expect("a person"), "member".parse().expect("a role"));
    assert_eq!(reader.call(has).await, Ok(false));
}

#[tokio::test]
async fn a_stream_gives_every_change_as_it_comes() {
    let daemon = start();
    let client = daemon.client().expect("a client");
    client.call(create("DOGGO01a")).await.expect("made");
    let mut changes = client.stream(changes::Follow { since: Some(0) }).await.expect("a stream");
    let first = changes.next().await.expect("an item").expect("a change");
    client.call(create("CAT02b")).await.expect("made");
    let second = changes.next().await.expect("an item").expect("a change");
    assert!(second.seq > first.seq, "{first:?} {second:?}");
    drop(daemon);
    let used = client.call(token::Use::new("a token".parse().expect("a token"))).await;
    assert!(matches!(used, Err(Error::Unavailable(_))), "{used:?}");
}

#[test]
fn a_configuration_holds_and_a_wrong_one_is_refused() {
    let daemon = Daemon::builder().config("reserved_callsigns = [\"BOSS\"]").start().expect("a fake daemon");
    let client = daemon.blocking().expect("a client");
    assert_eq!(refused(client.call(create("boss"))), Code::CALLSIGN_RESERVED);
    let wrong = Daemon::builder().config("nonsense = 1").start();
    assert!(matches!(&wrong, Err(StartError::Config(why)) if why.contains("nonsense")), "{wrong:?}");
}
