//! The properties of operations that are looked at before a rule is run: barriers, codes that requests bring, and the
//! check of arguments.

use enroll_core::rules::{ReadOp, WriteOp};
use enroll_protocol::person::CertificateWanted;
use enroll_protocol::server::{AcceptClock, Import};
use enroll_protocol::{Callsign, Json, Reference, certificate, code, enrollment, jwt, person, token};

fn callsign() -> Callsign {
    "CAT".parse().expect("a callsign")
}

fn named() -> Reference {
    "CAT".parse().expect("a name")
}

fn create(certificate: CertificateWanted) -> person::Create {
    person::Create { certificate, ..person::Create::new(callsign()) }
}

/// A write for which something may have to be made or looked for is a barrier on its connection.
#[test]
fn a_write_is_a_barrier_if_something_may_be_made_for_it() {
    let import = |at, text: &str| Import { at, text: text.to_owned() }.may_need();
    for (what, may_need, expected) in [
        ("a token", token::Use::new("a".parse().expect("a token")).may_need(), false),
        ("a person without a certificate", create(CertificateWanted::None).may_need(), false),
        ("a person with one", create(CertificateWanted::Generate).may_need(), true),
        ("a renewal", certificate::Renew { person: named(), csr: None, keep: false }.may_need(), true),
        ("a service's certificate", issue(None).may_need(), true),
        ("an approval", enrollment::Approve::new(named()).may_need(), true),
        ("an erasure", person::Erase { person: named() }.may_need(), true),
        ("another key", jwt::Rotate {}.may_need(), true),
        ("a clock", AcceptClock {}.may_need(), true),
        ("the beginning of an import", import(0, "{}"), false),
        ("nothing at the beginning of an import", import(0, ""), false),
        ("a piece of an import", import(7, "{}"), false),
        ("the end of an import", import(7, ""), true),
    ] {
        assert_eq!(may_need, expected, "{what}");
    }
}

fn issue(csr: Option<&str>) -> certificate::Issue {
    certificate::Issue { name: callsign(), csr: csr.map(str::to_owned) }
}

#[test]
fn a_request_brings_a_code_if_there_is_one_in_it() {
    let enroll = |pool: Option<Reference>| enrollment::Create { pool, ..enrollment::Create::new(callsign()) };
    let list = |pool: Option<Reference>| enrollment::List { pool, ..enrollment::List::default() };
    let by_code = enrollment::Approve {
        approvecode: Some("ABCDEFGH".parse().expect("a code")),
        ..enrollment::Approve::new(named())
    };
    for (what, takes_code, expected) in [
        ("a token", token::Use::new("a".parse().expect("a token")).takes_code(), false),
        ("a new login code", code::Create::new(Json::default()).takes_code(), false),
        ("a login", code::Use::new("WRONGWRONG22".parse().expect("a code")).takes_code(), true),
        ("an enrollment", enroll(None).takes_code(), false),
        ("an enrollment by a pool", enroll(Some(named())).takes_code(), true),
        ("a list", list(None).takes_code(), false),
        ("a list of a pool", list(Some(named())).takes_code(), true),
        ("an approval", enrollment::Approve::new(named()).takes_code(), false),
        ("an approval by a code", by_code.takes_code(), true),
    ] {
        assert_eq!(takes_code, expected, "{what}");
    }
}

/// It is refused before anything is looked up, and before a reply that is kept.
#[test]
fn a_signing_request_that_can_not_be_read_is_refused_at_once() {
    let csr = || Some("no request".to_owned());
    certificate::Renew { person: named(), csr: csr(), keep: false }.check().expect_err("refused");
    certificate::Renew { person: named(), csr: None, keep: false }.check().expect("in order");
    issue(csr().as_deref()).check().expect_err("refused");
    issue(None).check().expect("in order");
    let approve = |certificate| enrollment::Approve { certificate, ..enrollment::Approve::new(named()) }.check();
    approve(CertificateWanted::Csr("no request".to_owned())).expect_err("refused");
    approve(CertificateWanted::Generate).expect("in order");
    create(CertificateWanted::Csr("no request".to_owned())).check().expect_err("refused");
}
