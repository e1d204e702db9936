//! Renewal and revocation of certificates, with the deletion of their person and without.

use enroll_core::context::Grant;
use enroll_core::model::certificate::Certificates;
use enroll_core::model::key::Family;
use enroll_core::model::record;
use enroll_protocol::person::{CertificateWanted, RevocationReason};
use enroll_protocol::{Code, Envelope, certificate, person};
use enroll_tests::openssl::OpenSsl;
use enroll_tests::registry::Registry;

use super::super::check;
use super::{DAY, ED25519, P256, create, csr, expect_sound, get, list, named};

#[test]
fn a_deleted_persons_certificates_are_revoked_with_the_reason() {
    let registry = &mut Registry::in_memory();
    let openssl = OpenSsl::find("rules::certificates, revocation");
    let first = list(registry);
    for name in ["DELETED", "REVOKED", "STAYS"] {
        create(registry, name, CertificateWanted::Generate).expect("made");
    }
    create(registry, "BARE", CertificateWanted::None).expect("made");
    let renew = certificate::Renew { person: named("REVOKED"), csr: None, keep: true };
    let before = get(registry, "REVOKED");
    let renewed = registry.call(renew).expect("renewed").expect("a certificate");
    assert_ne!(before, renewed);
    assert_eq!(get(registry, "REVOKED"), renewed);
    registry.pass_seconds(60);
    registry.call(person::Delete { person: named("BARE") }).expect("deleted");
    assert_eq!(list(registry), first, "nothing was revoked yet, and it is signed once");
    let deleted = registry.call(person::Delete { person: named("DELETED") }).expect("deleted");
    let reason = deleted.revocation.expect("revoked").reason;
    assert_eq!(reason, RevocationReason::PrivilegeWithdrawn);
    let reason = RevocationReason::KeyCompromise;
    registry.call(person::Revoke { person: named("REVOKED"), reason }).expect("revoked");
    expect_sound(registry);
    check(registry, r#"certificate.get {"person":"REVOKED"} => deleted"#);
    check(registry, r#"certificate.key {"person":"REVOKED"} => deleted"#);
    check(registry, r#"certificate.renew {"person":"REVOKED"} => deleted"#);
    check(registry, r#"certificate.renew {"person":"BARE"} => deleted"#);
    let crl = list(registry);
    assert_eq!(list(registry), crl, "a list is signed once");
    let Some(openssl) = openssl else { return };
    openssl.write("crl.pem", &crl);
    openssl.write("ca.pem", &registry.call(certificate::Ca {}).expect("the authority"));
    let text = openssl.run(&["crl", "-in", "crl.pem", "-CAfile", "ca.pem", "-noout", "-text", "-crlnumber"]);
    assert_eq!(text.matches("Serial Number:").count(), 3, "{text}");
    assert_eq!(text.matches("Key Compromise").count(), 2, "{text}");
    assert_eq!(text.matches("Privilege Withdrawn").count(), 1, "{text}");
    let number = text.split("crlNumber=0x").nth(1).and_then(|rest| rest.lines().next()).expect("a number");
    let number = i64::from_str_radix(number, 16).expect("hexadecimal digits");
    // The second revocation of this microsecond.
    assert_eq!(number, registry.now.micros() + 1);
    assert!(text.contains("Next Update: Jan 22 08:01:00 2027 GMT"), "{text}");
    let now = registry.now.seconds().to_string();
    for (pem, is_revoked) in [(&before, true), (&renewed, true), (&get(registry, "STAYS"), false)] {
        openssl.write("leaf.pem", pem);
        let verify = ["verify", "-crl_check", "-attime", &now, "-CAfile", "ca.pem", "-CRLfile", "crl.pem", "leaf.pem"];
        match is_revoked {
            true => assert!(openssl.refused(&verify).contains("certificate revoked")),
            false => assert!(openssl.run(&verify).contains("OK")),
        }
    }
    openssl.write("first.pem", &first);
    openssl.run(&["crl", "-in", "first.pem", "-CAfile", "ca.pem", "-noout"]);
}

#[test]
fn a_certificate_is_renewed_by_its_holder_for_a_new_key_or_the_one_they_brought() {
    let registry = &mut Registry::in_memory();
    create(registry, "BOSS", CertificateWanted::None).expect("made");
    create(registry, "DOGGO01a", csr(P256)).expect("made");
    create(registry, "MADE", CertificateWanted::Generate).expect("made");
    registry.peer.grant = Grant::Operate;
    check(
        registry,
        r#"
        BOSS> certificate.renew {"person":"DOGGO01a"} => permission_denied
        BOSS> certificate.get {"person":"DOGGO01a"} => permission_denied
        BOSS> certificate.renew {"person":"BOSS"} => not_found
        BOSS> certificate.get {"person":"BOSS"} => not_found
        DOGGO01a> certificate.get {"person":"doggo01A"} => "-----BEGIN CERTIFICATE-----..
        DOGGO01a> certificate.renew {"person":"DOGGO01a","csr":"x"} => invalid_argument
        DOGGO01a> certificate.renew {"person":"DOGGO01a"} => "-----BEGIN CERTIFICATE-----..
        MADE> certificate.renew {"person":"MADE"} => "-----BEGIN CERTIFICATE-----..
        MADE> certificate.key {"person":"MADE"} => permission_denied
        MADE> certificate.pfx {"person":"MADE","password":"x"} => permission_denied
        certificate.key {"person":"MADE"} => permission_denied
        certificate.renew {"person":"MADE"} => permission_denied
        BOSS> certificate.renew {"person":"NOBODY"} => not_found
        "#,
    );
    registry.peer.grant = Grant::Admin;
    let keys = |registry: &mut Registry| {
        let renewed =
            registry.call(certificate::Renew { person: named("DOGGO01a"), csr: Some(ED25519.to_owned()), keep: false });
        renewed.expect("renewed").expect("a certificate")
    };
    keys(registry);
    let mismatch = certificate::Renew { person: named("MADE"), csr: Some(ED25519.to_owned()), keep: false };
    assert_eq!(registry.call(mismatch).expect_err("refused").code, Code::CSR_MISMATCH);
    // A deletion revokes all of them, so there is a bound, and past it the oldest gives way.
    let revoked = |registry: &mut Registry| {
        let revoke = certificate::Revoke::of(named("MADE"), RevocationReason::Unspecified);
        registry.call_with(Envelope { dry_run: true, ..Envelope::default() }, revoke).map_or(0, |serials| serials.len())
    };
    for kept in 2..=20 {
        let renew = certificate::Renew { person: named("MADE"), csr: None, keep: true };
        registry.call(renew).expect("renewed");
        assert_eq!(revoked(registry), kept.min(16));
        expect_sound(registry);
    }
    // Another key supersedes the one before alone.
    check(registry, r#"certificate.renew {"person":"MADE"} => "-----BEGIN CERTIFICATE-----.."#);
    assert_eq!(revoked(registry), 15);
    for _ in 0..80 {
        check(registry, r#"certificate.renew {"person":"MADE"} => "-----BEGIN CERTIFICATE-----.."#);
    }
    assert_eq!(revoked(registry), 15);
    expect_sound(registry);
    // Certificates that have ended make room and are gone.
    registry.pass_seconds(3 * 365 * DAY);
    check(registry, r#"certificate.get {"person":"MADE"} => "-----BEGIN CERTIFICATE-----.."#);
    check(registry, r#"certificate.renew {"person":"MADE"} => "-----BEGIN CERTIFICATE-----.."#);
    expect_sound(registry);
}

#[test]
fn a_certificate_is_revoked_without_its_person() {
    let registry = &mut Registry::in_memory();
    create(registry, "MADE", CertificateWanted::Generate).expect("made");
    create(registry, "DOGGO01a", csr(P256)).expect("made");
    create(registry, "BARE", CertificateWanted::None).expect("made");
    let renew = certificate::Renew { person: named("MADE"), csr: None, keep: true };
    registry.call(renew).expect("renewed");
    let revoke = |person, serial: Option<&str>| certificate::Revoke {
        serial: serial.map(|serial| serial.parse().expect("a serial number")),
        ..certificate::Revoke::of(named(person), RevocationReason::KeyCompromise)
    };
    assert_eq!(registry.call(revoke("BARE", None)).expect_err("none").code, Code::NOT_FOUND);
    assert_eq!(registry.call(revoke("MADE", Some("00"))).expect_err("not theirs").code, Code::NOT_FOUND);
    let dry = Envelope { dry_run: true, ..Envelope::default() };
    let both = registry.call_with(dry, revoke("MADE", None)).expect("a trial");
    assert_eq!(both.len(), 2);
    let plain = both[0].replace(':', "").to_lowercase();
    assert_eq!(registry.call(revoke("MADE", Some(&plain))).expect("revoked"), both[..1]);
    assert_eq!(registry.call(revoke("MADE", Some(&both[0]))).expect_err("again").code, Code::NOT_FOUND);
    assert_eq!(registry.call(revoke("MADE", None)).expect("revoked"), both[1..]);
    assert_eq!(registry.call(revoke("MADE", None)).expect_err("again").code, Code::NOT_FOUND);
    registry.call(revoke("DOGGO01a", None)).expect("revoked");
    check(
        registry,
        r#"
        person.get {"person":"MADE"} => {"pk"..,"revocation":null,..,"deleted":null}
        certificate.renew {"person":"MADE"} => "-----BEGIN CERTIFICATE-----..
        certificate.renew {"person":"DOGGO01a"} => conflict
        person.delete {"person":"MADE"} => {"pk"..
        "#,
    );
    expect_sound(registry);
}

/// Superseded ones are revoked from the seventeenth on, and stay until they end, but for the oldest of 64.
#[test]
fn the_certificates_of_a_person_are_bounded_and_those_that_ended_go() {
    let registry = &mut Registry::in_memory();
    create(registry, "CAT", CertificateWanted::Generate).expect("made");
    let renew = |registry: &mut Registry| {
        let renew = certificate::Renew { person: named("CAT"), csr: None, keep: true };
        registry.call(renew).expect("renewed").expect("a certificate");
        let (from, to) = Family::Certificates.bounds();
        registry.store().view().expect("a view").range(&from, &to, usize::MAX).expect("entries").len()
    };
    for held in 2..=64 {
        assert_eq!(renew(registry), held);
    }
    assert_eq!((renew(registry), renew(registry)), (64, 64));
    expect_sound(registry);
    let ends = registry.store().view().expect("a view");
    let (from, to) = Family::Holders.bounds();
    let holder = ends.range(&from, &to, 1).expect("entries").remove(0).1;
    let ends = record::decode::<Certificates>(&holder).expect("a holder").held[0].ends;
    registry.pass_seconds((ends.seconds() - registry.now.seconds()).unsigned_abs() - 1);
    assert_eq!(renew(registry), 64);
    registry.pass_seconds(1);
    assert_eq!(renew(registry), 2, "those that end now have gone");
}
