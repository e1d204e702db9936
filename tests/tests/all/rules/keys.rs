//! Idempotency keys: a write sent again with its key gets its first answer.

use enroll_protocol::{Code, Envelope, Json, code, person};
use enroll_tests::registry::Registry;

use super::key;

fn create(callsign: &str) -> person::Create {
    person::Create::new(callsign.parse().expect("a callsign"))
}

#[test]
fn a_write_sent_again_is_not_done_again() {
    let registry = &mut Registry::in_memory();
    let first = registry.call_with(key(1), create("A")).expect("made");
    registry.pass_seconds(100);
    assert_eq!(registry.call_with(key(1), create("A")), Ok(first));
    let taken = registry.call_with(key(2), create("a")).expect_err("refused");
    assert_eq!(taken.code, Code::CALLSIGN_RESERVED);
    assert_eq!(registry.violations(), Vec::<String>::new());
}

#[test]
fn a_refusal_is_kept_too() {
    let registry = &mut Registry::in_memory();
    let assign =
        enroll_protocol::role::Assign { person: "A".parse().expect("a name"), role: "x".parse().expect("one") };
    let first = registry.call_with(key(1), assign.clone()).expect_err("refused");
    registry.call(create("A")).expect("made");
    assert_eq!(registry.call_with(key(1), assign.clone()), Err(first));
    assert_eq!(registry.call_with(key(2), assign), Ok(true));
}

#[test]
fn an_exchange_sent_again_gets_the_same_jwt() {
    let registry = &mut Registry::in_memory();
    let made = registry.call_with(key(1), code::Create::new(Json::default())).expect("made");
    assert_eq!(registry.call_with(key(1), code::Create::new(Json::default())), Ok(made.clone()));
    let exchange = code::Use::new(made.code.expect("a code"));
    let first = registry.call_with(key(2), exchange.clone()).expect("exchanged");
    registry.pass_seconds(5);
    assert_eq!(registry.call_with(key(2), exchange.clone()), Ok(first));
    assert_eq!(registry.call_with(key(3), exchange).expect_err("refused").code, Code::TOKEN_REUSE);
}

#[test]
fn a_key_belongs_to_one_request_of_one_uid() {
    let registry = &mut Registry::in_memory();
    registry.call_with(key(1), create("A")).expect("made");
    let other = |envelope: Envelope, registry: &mut Registry| registry.call_with(envelope, create("B"));
    assert_eq!(other(key(1), registry).expect_err("refused").code, Code::KEY_REUSED);
    let as_a = Envelope { actor: Some("A".parse().expect("a name")), ..key(1) };
    assert_eq!(registry.call_with(as_a, create("A")).expect_err("refused").code, Code::KEY_REUSED);
    registry.peer.uid = 2000;
    other(key(1), registry).expect("another uid has keys of its own");
}

#[test]
fn the_key_is_looked_at_before_the_actor_and_behind_the_arguments() {
    let registry = &mut Registry::in_memory();
    registry.call_with(key(1), create("A")).expect("made");
    let nobody = Envelope { actor: Some("nobody".parse().expect("a name")), ..key(1) };
    assert_eq!(registry.call_with(nobody, create("B")).expect_err("refused").code, Code::KEY_REUSED);
    let certificate = person::CertificateWanted::Csr("no PEM".to_owned());
    let unacceptable = person::Create { certificate, ..create("B") };
    assert_eq!(registry.call_with(key(1), unacceptable).expect_err("refused").code, Code::INVALID_ARGUMENT);
}

#[test]
fn a_kept_answer_lives_for_a_day() {
    let registry = &mut Registry::in_memory();
    registry.call_with(key(1), create("A")).expect("made");
    registry.pass_seconds(24 * 60 * 60 - 1);
    registry.call_with(key(1), create("A")).expect("kept");
    registry.pass_seconds(1);
    assert_eq!(registry.call_with(key(1), create("A")).expect_err("refused").code, Code::CALLSIGN_RESERVED);
}

#[test]
fn a_dry_run_neither_reads_nor_keeps() {
    let registry = &mut Registry::in_memory();
    let dry = |number| Envelope { dry_run: true, ..key(number) };
    registry.call_with(dry(1), create("A")).expect("would be made");
    registry.call_with(key(1), create("B")).expect("the key is still free");
    registry.call_with(dry(1), create("A")).expect("would be made, whatever the key was used for");
}

#[test]
fn what_passes_is_not_kept() {
    let registry = &mut Registry::in_memory();
    let wrong = || code::Use::new("WRONGWRONG22".parse().expect("a text"));
    for number in 0..30 {
        assert_eq!(registry.call_with(key(number), wrong()).expect_err("refused").code, Code::NOT_FOUND);
    }
    assert_eq!(registry.call_with(key(100), wrong()).expect_err("refused").code, Code::TOO_MANY_ATTEMPTS);
    registry.pass_seconds(60);
    assert_eq!(registry.call_with(key(100), wrong()).expect_err("refused").code, Code::NOT_FOUND);
}
