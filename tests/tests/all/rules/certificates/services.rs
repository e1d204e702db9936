//! Certificates of services: of names that the configuration reserves, in the same list of revoked ones.

use enroll_core::context::Grant;
use enroll_protocol::person::{CertificateWanted, RevocationReason};
use enroll_protocol::{Code, Envelope, Key, Pk, certificate};
use enroll_tests::openssl::OpenSsl;
use enroll_tests::registry::Registry;
use enrolld::config::Config;

use super::super::check;
use super::{P256, callsign, create, expect_sound, list};

/// A registry in which these names are reserved.
fn reserving(names: &[&str]) -> Registry {
    Registry::configured(&config(names))
}

fn config(names: &[&str]) -> Config {
    Config { reserved_callsigns: names.iter().map(|name| (*name).to_owned()).collect(), ..Config::default() }
}

fn issue(name: &str) -> certificate::Issue {
    certificate::Issue { name: callsign(name), csr: None }
}

fn revoke(name: &str) -> certificate::Revoke {
    certificate::Revoke { person: None, name: Some(callsign(name)), reason: RevocationReason::Superseded, serial: None }
}

#[test]
fn a_service_gets_a_certificate_and_its_key_once_and_it_is_revoked_like_others() {
    let registry = &mut reserving(&["portal"]);
    let openssl = OpenSsl::find("rules::certificates, services");
    let envelope = Envelope { key: Some(Key(Pk::from_bytes([1; 16]))), ..Envelope::default() };
    let issued = registry.call_with(envelope.clone(), issue("portal")).expect("issued");
    assert_eq!(registry.call_with(envelope, issue("portal")).expect("the first answer"), issued);
    let key = issued.key.clone().expect("a key");
    // It is kept in that answer alone, which is sealed.
    let der = enroll_core::identity::pem::read(key.as_str()).expect("PEM").remove(0).der;
    for (_, value) in registry.store().view().expect("a view").range(&[0], &[0xff], usize::MAX).expect("entries") {
        assert!(!value.windows(32).any(|window| window == &der[36..68]), "the key is in the store");
    }
    expect_sound(registry);
    let serial = issued.serial.expect("a serial number").as_str().to_owned();
    registry.pass_seconds(1);
    assert_eq!(registry.call(revoke("PORTAL")).expect("revoked"), [serial]);
    assert_eq!(registry.call(revoke("portal")).expect_err("again").code, Code::NOT_FOUND);
    expect_sound(registry);
    registry.restart();
    expect_sound(registry);
    let (crl, ca) = (list(registry), registry.call(certificate::Ca {}).expect("the authority"));
    let Some(openssl) = openssl else { return };
    let leaf = issued.certificate.expect("a certificate");
    for (file, text) in [("crl.pem", &crl), ("ca.pem", &ca), ("leaf.pem", &leaf), ("key.pem", &key.as_str().to_owned())]
    {
        openssl.write(file, text);
    }
    let now = registry.now.seconds().to_string();
    let verify = ["verify", "-crl_check", "-attime", &now, "-CAfile", "ca.pem", "-CRLfile", "crl.pem", "leaf.pem"];
    assert!(openssl.refused(&verify).contains("certificate revoked"));
    let public = openssl.run(&["x509", "-in", "leaf.pem", "-noout", "-pubkey"]);
    assert_eq!(public, openssl.run(&["pkey", "-in", "key.pem", "-pubout"]));
}

#[test]
fn a_service_may_bring_a_signing_request_of_its_name() {
    let registry = &mut reserving(&["portal", "DOGGO01a"]);
    let with = |name: &str, csr: &str| certificate::Issue { csr: Some(csr.to_owned()), ..issue(name) };
    let issued = registry.call(with("DOGGO01a", P256)).expect("issued");
    assert!(issued.certificate.is_some() && issued.key.is_none());
    assert_eq!(registry.call(with("portal", P256)).expect_err("refused").code, Code::CSR_MISMATCH);
    assert_eq!(registry.call(with("portal", "x")).expect_err("refused").code, Code::INVALID_ARGUMENT);
    // Those before stay valid, and past the bound the oldest gives way.
    for kept in 2..=18_usize {
        registry.call(with("DOGGO01a", P256)).expect("issued");
        let dry = Envelope { dry_run: true, ..Envelope::default() };
        assert_eq!(registry.call_with(dry, revoke("DOGGO01a")).expect("a trial").len(), kept.min(16));
    }
    expect_sound(registry);
}

#[test]
fn a_name_that_is_not_reserved_or_is_somebodys_is_refused() {
    let registry = &mut Registry::in_memory();
    create(registry, "OLD", CertificateWanted::Generate).expect("made");
    check(
        registry,
        r#"
        person.create {"callsign":"GONE"} => {"pk"..
        person.delete {"person":"GONE"} => {"pk"..
        enrollment.create {"callsign":"WAITS"} => {"pk"..
        person.find {"claims":{"CN":"OLD"}} => {"pk"..
        "#,
    );
    registry.reload(&config(&["old", "gone", "waits", "portal"]));
    check(
        registry,
        r#"
        certificate.issue {"name":"other"} => invalid_argument
        certificate.issue {"name":"OLD"} => conflict
        certificate.issue {"name":"gone"} => conflict
        certificate.issue {"name":"Waits"} => conflict
        certificate.revoke {"name":"portal","reason":"superseded"} => not_found
        certificate.revoke {"reason":"superseded"} => invalid_argument
        certificate.revoke {"name":"portal","person":"OLD","reason":"superseded"} => invalid_argument
        # A CN that is a reserved name finds no person; a name that somebody says does.
        person.find {"claims":{"CN":"old"}} => not_found
        person.find {"claims":{"sub":"old"}} => {"pk"..
        person.get {"person":"OLD"} => {"pk"..
        "#,
    );
    expect_sound(registry);
}

#[test]
fn a_service_keeps_its_name_when_it_is_reserved_no_longer() {
    let registry = &mut reserving(&["portal"]);
    registry.call(issue("portal")).expect("issued");
    registry.reload(&Config::default());
    check(
        registry,
        r#"
        person.create {"callsign":"Portal"} => callsign_reserved
        enrollment.create {"callsign":"Portal"} => callsign_reserved
        person.find {"claims":{"CN":"portal"}} => not_found
        person.list {"prefix":"port"} => {"items":[],"next":null}
        certificate.issue {"name":"portal"} => invalid_argument
        certificate.revoke {"name":"portal","reason":"cessation_of_operation"} => [".."]
        "#,
    );
    expect_sound(registry);
}

#[test]
fn issuing_takes_an_admin_peer_and_everything_and_a_dry_run_shows_nothing() {
    let registry = &mut reserving(&["portal"]);
    check(
        registry,
        r#"
        person.create {"callsign":"BOSS","roles":["superuser"]} => {"pk"..
        person.create {"callsign":"ADMIN","roles":["admin"]} => {"pk"..
        ADMIN> certificate.issue {"name":"portal"} => permission_denied
        ADMIN> certificate.issue {"name":"other"} => permission_denied
        "#,
    );
    let dry = Envelope { dry_run: true, ..Envelope::default() };
    assert_eq!(registry.call_with(dry, issue("portal")).expect("a trial"), certificate::Issued::default());
    check(
        registry,
        r#"
        certificate.revoke {"name":"portal","reason":"superseded"} => not_found
        BOSS> certificate.issue {"name":"portal"} => {"certificate":"-----BEGIN..,"serial":"..","key":"-----BEGIN..
        "#,
    );
    registry.peer.grant = Grant::Decide;
    check(
        registry,
        r#"
        certificate.issue {"name":"portal"} => permission_denied
        ADMIN> certificate.revoke {"name":"portal","reason":"superseded"} => [".."]
        "#,
    );
}
