//! Certificates: issued with a person, for a key of the daemon or for a signing request, renewed, and revoked.
//!
//! The signing requests of `tests/requests/` were made by OpenSSL. What comes out is judged by OpenSSL where it is
//! installed.

mod revoking;
mod services;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use enroll_protocol::person::CertificateWanted;
use enroll_protocol::{Callsign, Code, Envelope, Reference, certificate, enrollment, person};
use enroll_tests::openssl::OpenSsl;
use enroll_tests::registry::Registry;

use super::check;

const P256: &str = include_str!("../../../requests/p256.pem");
const P384: &str = include_str!("../../../requests/p384.pem");
const P521: &str = include_str!("../../../requests/p521.pem");
const RSA_PSS: &str = include_str!("../../../requests/rsa_pss.pem");
const RSA_PSS_SALT: &str = include_str!("../../../requests/rsa_pss_salt.pem");
const RSA_PSS_KEY: &str = include_str!("../../../requests/rsa_pss_key.pem");
const RSA_PSS_BOUND: &str = include_str!("../../../requests/rsa_pss_bound.pem");
const RSA_PSS_SHA1: &str = include_str!("../../../requests/rsa_pss_sha1.pem");
const RSA_PSS_WEAK: &str = include_str!("../../../requests/rsa_pss_weak.pem");
const UNIVERSAL_NAME: &str = include_str!("../../../requests/universal_name.pem");
const GENERAL_NAME: &str = include_str!("../../../requests/general_name.pem");
const BMP_NAME: &str = include_str!("../../../requests/bmp_name.pem");
const T61_NAME: &str = include_str!("../../../requests/t61_name.pem");
const ED25519: &str = include_str!("../../../requests/ed25519.pem");
const RSA_2048: &str = include_str!("../../../requests/rsa2048.pem");
const RSA_1024: &str = include_str!("../../../requests/rsa1024.pem");
const TWO_NAMES: &str = include_str!("../../../requests/two_names.pem");
const NO_NAME: &str = include_str!("../../../requests/no_name.pem");

const DAY: u64 = 24 * 60 * 60;

fn callsign(text: &str) -> Callsign {
    text.parse().expect("a callsign")
}

fn named(text: &str) -> Reference {
    text.parse().expect("a name")
}

fn create(registry: &mut Registry, name: &str, certificate: CertificateWanted) -> Result<person::Person, Code> {
    let create = person::Create { certificate, ..person::Create::new(callsign(name)) };
    registry.call(create).map_err(|refusal| refusal.code)
}

fn csr(text: &str) -> CertificateWanted {
    CertificateWanted::Csr(text.to_owned())
}

fn get(registry: &mut Registry, name: &str) -> String {
    registry.call(certificate::Get { person: named(name), allow_deleted: true }).expect("a certificate")
}

fn list(registry: &mut Registry) -> String {
    registry.walk(Envelope::default(), &certificate::Crl::default()).expect("a list").concat()
}

fn expect_sound(registry: &Registry) {
    assert_eq!(registry.violations(), Vec::<String>::new());
}

#[test]
fn a_person_is_made_with_a_certificate_that_the_authority_vouches_for() {
    let registry = &mut Registry::in_memory();
    let person = create(registry, "DOGGO01a", CertificateWanted::Generate).expect("made");
    assert!(person.certificate);
    assert!(registry.call(person::Get::new(named("DOGGO01a"))).expect("found").certificate);
    expect_sound(registry);
    let Some(openssl) = OpenSsl::find("rules::certificates, a generated key") else { return };
    let (ca, leaf) = (registry.call(certificate::Ca {}).expect("the authority"), get(registry, "DOGGO01a"));
    openssl.write("ca.pem", &ca);
    openssl.write("leaf.pem", &leaf);
    let now = (registry.now.seconds() + 60).to_string();
    let verify = ["verify", "-x509_strict", "-purpose", "sslclient", "-attime", &now, "-CAfile", "ca.pem", "leaf.pem"];
    assert!(openssl.run(&verify).contains("leaf.pem: OK"));
    let not_server = ["verify", "-purpose", "sslserver", "-attime", &now, "-CAfile", "ca.pem", "leaf.pem"];
    assert!(openssl.refused(&not_server).contains("purpose"));
    let text = openssl.run(&["x509", "-in", "leaf.pem", "-noout", "-text", "-subject", "-nameopt", "RFC2253"]);
    for line in
        ["subject=CN=DOGGO01a", "DNS:DOGGO01a", "TLS Web Client Authentication", "CA:FALSE", "Digital Signature"]
    {
        assert!(text.contains(line), "{line}\n{text}");
    }
    // The key is the one of the certificate.
    let key = registry.call(certificate::Key { person: named("DOGGO01a") }).expect("a key").expect("not null");
    openssl.write("key.pem", key.as_str());
    let public = openssl.run(&["pkey", "-in", "key.pem", "-pubout"]);
    assert_eq!(public, openssl.run(&["x509", "-in", "leaf.pem", "-noout", "-pubkey"]));
    let ca = openssl.run(&["x509", "-in", "ca.pem", "-noout", "-text"]);
    for line in ["CA:TRUE, pathlen:0", "Certificate Sign, CRL Sign", "CN = enrolld"] {
        assert!(ca.contains(line), "{line}\n{ca}");
    }
}

#[test]
fn a_certificate_lasts_as_long_as_configured_and_no_longer_than_the_authority() {
    let registry = &mut Registry::with_settings(|settings| settings.certificate_lifetime_seconds = 40 * 366 * DAY);
    create(registry, "DOGGO01a", CertificateWanted::Generate).expect("made");
    let (ca, leaf) = (registry.call(certificate::Ca {}).expect("the authority"), get(registry, "DOGGO01a"));
    if let Some(openssl) = OpenSsl::find("rules::certificates, validity") {
        openssl.write("ca.pem", &ca);
        openssl.write("leaf.pem", &leaf);
        let end = |name: &str| openssl.run(&["x509", "-in", name, "-noout", "-enddate"]);
        assert_eq!(end("ca.pem"), end("leaf.pem"));
    }
    // An authority that has expired issues nothing; people can be made all the same.
    registry.pass_seconds(20 * 366 * DAY);
    assert_eq!(create(registry, "PORA22b", CertificateWanted::Generate), Err(Code::EXPIRED));
    create(registry, "PORA22b", CertificateWanted::None).expect("made");
    let renew = certificate::Renew { person: named("DOGGO01a"), csr: None, keep: false };
    assert_eq!(registry.call(renew).expect_err("refused").code, Code::EXPIRED);
    expect_sound(registry);
}

#[test]
fn signing_requests_of_the_usual_keys_are_certified_and_nothing_else_of_them() {
    let registry = &mut Registry::in_memory();
    let openssl = OpenSsl::find("rules::certificates, signing requests");
    for (name, request) in [
        ("p256", P256),
        ("p384", P384),
        ("p521", P521),
        ("ed25519", ED25519),
        ("rsa2048", RSA_2048),
        ("rsa-pss", RSA_PSS),
        ("rsa-pss with the longest salt", RSA_PSS_SALT),
        ("a key for rsa-pss", RSA_PSS_KEY),
        ("a key for rsa-pss of one kind", RSA_PSS_BOUND),
        ("a UniversalString", UNIVERSAL_NAME),
        ("a BMPString", BMP_NAME),
        ("a TeletexString", T61_NAME),
    ] {
        let registry = &mut Registry::in_memory();
        assert!(create(registry, "DOGGO01a", csr(request)).expect("made").certificate, "{name}");
        expect_sound(registry);
        // Only the maker of the key has it.
        let key = registry.call(certificate::Key { person: named("DOGGO01a") }).expect_err("refused");
        assert_eq!(key.code, Code::NOT_FOUND);
        let Some(openssl) = &openssl else { continue };
        openssl.write("ca.pem", &registry.call(certificate::Ca {}).expect("the authority"));
        openssl.write("leaf.pem", &get(registry, "DOGGO01a"));
        openssl.write("request.pem", request);
        let now = registry.now.seconds().to_string();
        openssl.run(&[
            "verify",
            "-x509_strict",
            "-purpose",
            "sslclient",
            "-attime",
            &now,
            "-CAfile",
            "ca.pem",
            "leaf.pem",
        ]);
        let of_request = openssl.run(&["req", "-in", "request.pem", "-noout", "-pubkey"]);
        assert_eq!(openssl.run(&["x509", "-in", "leaf.pem", "-noout", "-pubkey"]), of_request);
        let text = openssl.run(&["x509", "-in", "leaf.pem", "-noout", "-text"]);
        for word in ["CA:TRUE", "www.example.org", "TLS Web Server", "1.2.3.4", "Somebody"] {
            assert!(!text.contains(word), "{name} {word}\n{text}");
        }
    }
    let too_long = format!("{P256}{}", " ".repeat(1 << 20));
    let tampered = P256.replacen("MIH", "MIG", 1);
    let other_key = {
        // The signature of one request under another's content.
        let body = |pem: &str| pem.lines().filter(|line| !line.starts_with("---")).collect::<String>();
        let (front, back) = (body(P256), body(ED25519));
        format!(
            "-----BEGIN CERTIFICATE REQUEST-----\n{}{}\n-----END CERTIFICATE REQUEST-----\n",
            &front[..64],
            &back[64..]
        )
    };
    for (what, request) in [
        ("weak", RSA_1024),
        ("weak, for rsa-pss", RSA_PSS_WEAK),
        ("signed with SHA-1", RSA_PSS_SHA1),
        ("with a name of an odd type", GENERAL_NAME),
        ("no PEM", "-----BEGIN"),
        ("another PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        ("two", &format!("{P256}{P256}")),
        ("too long", &too_long),
        ("tampered", &tampered),
        ("mixed", &other_key),
    ] {
        assert_eq!(create(registry, "DOGGO01a", csr(request)), Err(Code::INVALID_ARGUMENT), "{what}");
    }
    for (name, request) in [("doggo01A", P256), ("DOGGO01a ", P256), ("DOGGO01a", TWO_NAMES), ("DOGGO01a", NO_NAME)] {
        if Callsign::new(name).is_ok() {
            assert_eq!(create(registry, name, csr(request)), Err(Code::CSR_MISMATCH), "{name}");
        }
    }
    // Every bit counts.
    let der = enroll_core::identity::pem::read(P256).expect("PEM").remove(0).der;
    for at in 0..der.len() {
        let mut flipped = der.to_vec();
        flipped[at] ^= 1;
        let request = enroll_core::identity::pem::write("CERTIFICATE REQUEST", &flipped);
        assert!(create(registry, "DOGGO01a", csr(&request)).is_err(), "byte {at}");
    }
    let long = "x".repeat(65);
    assert_eq!(create(registry, &long, CertificateWanted::Generate), Err(Code::INVALID_ARGUMENT));
    assert!(registry.call(person::List::default()).expect("a page").items.is_empty());
}

#[test]
fn the_list_is_renewed_in_time_and_forgets_what_has_ended() {
    let registry = &mut Registry::with_settings(|settings| settings.certificate_lifetime_seconds = 30 * DAY);
    create(registry, "DOGGO01a", CertificateWanted::Generate).expect("made");
    let serials = |registry: &mut Registry| {
        let der = enroll_core::identity::pem::read(&list(registry)).expect("PEM").remove(0).der;
        der.len()
    };
    let empty = serials(registry);
    registry.call(person::Delete { person: named("DOGGO01a") }).expect("deleted");
    let one = serials(registry);
    assert!(one > empty);
    let mut before = list(registry);
    for day in 1..60 {
        registry.pass_seconds(DAY);
        registry.wake();
        let now = list(registry);
        // Half of a week.
        assert!(day % 4 != 0 || now != before, "day {day}");
        before = now;
    }
    assert!(serials(registry) < one, "it has ended long ago");
    let printed = registry.call(enroll_protocol::changes::List::default()).expect("changes").items;
    assert!(printed.iter().filter(|change| change.verb == "listed").count() > 10);
    expect_sound(registry);
}

#[test]
fn an_enrollment_brings_a_request_and_is_approved_with_its_certificate() {
    let registry = &mut Registry::in_memory();
    let name = || callsign("DOGGO01a");
    let create = |csr: &str| enrollment::Create { csr: Some(csr.to_owned()), ..enrollment::Create::new(name()) };
    assert_eq!(registry.call(create(RSA_1024)).expect_err("refused").code, Code::INVALID_ARGUMENT);
    assert_eq!(registry.call(create(TWO_NAMES)).expect_err("refused").code, Code::CSR_MISMATCH);
    assert_eq!(registry.call(create(RSA_2048)).expect("enrolled").csr.as_deref(), Some(RSA_2048));
    check(
        registry,
        r#"enrollment.get {"enrollment":"DOGGO01a"} => ..,"csr":"-----BEGIN CERTIFICATE REQUEST-----..,"has_csr":true,.."#,
    );
    check(registry, r#"enrollment.create {"callsign":"PORA22b"} => ..,"csr":null,"has_csr":false,.."#);
    check(registry, r#"enrollment.create {"callsign":"CAT03c"} => ..,"csr":null,"has_csr":false,.."#);
    check(registry, r#"enrollment.approve {"enrollment":"DOGGO01a"} => ..,"certificate":true,.."#);
    check(registry, r#"enrollment.approve {"enrollment":"DOGGO01a"} => already_decided"#);
    check(registry, r#"enrollment.approve {"enrollment":"NOBODY"} => not_found"#);
    check(
        registry,
        r#"enrollment.approve {"enrollment":"PORA22b","certificate":"generate"} => ..,"certificate":true,.."#,
    );
    check(registry, r#"enrollment.approve {"enrollment":"CAT03c","certificate":{"csr":"x"}} => invalid_argument"#);
    let approve = enrollment::Approve { certificate: csr(P256), ..enrollment::Approve::new(named("CAT03c")) };
    assert_eq!(registry.call(approve).expect_err("refused").code, Code::CSR_MISMATCH);
    check(registry, r#"enrollment.get {"enrollment":"CAT03c"} => ..,"state":"pending",.."#);
    check(registry, r#"enrollment.approve {"enrollment":"CAT03c"} => ..,"certificate":false,.."#);
    assert!(registry.call(certificate::Key { person: named("PORA22b") }).expect("a key").is_some());
    assert_eq!(registry.call(certificate::Key { person: named("DOGGO01a") }).expect_err("none").code, Code::NOT_FOUND);
}

#[test]
fn a_dry_run_issues_nothing_and_tells_no_secret() {
    let registry = &mut Registry::in_memory();
    create(registry, "DOGGO01a", CertificateWanted::Generate).expect("made");
    let dry = || Envelope { dry_run: true, ..Envelope::default() };
    for (op, args, expected) in [
        ("person.create", r#"{"callsign":"X","certificate":"generate"}"#, r#""certificate":true"#),
        ("certificate.renew", r#"{"person":"DOGGO01a"}"#, "null"),
        ("certificate.key", r#"{"person":"DOGGO01a"}"#, "null"),
        ("certificate.pfx", r#"{"person":"DOGGO01a","password":"x"}"#, "null"),
    ] {
        let answer = super::call(registry, dry(), op, args).expect("answered");
        assert!(answer.contains(expected), "{op} {answer}");
    }
    check(registry, r#"person.get {"person":"X"} => not_found"#);
}

#[test]
fn private_keys_are_nowhere_in_the_store() {
    let registry = &mut Registry::in_memory();
    create(registry, "DOGGO01a", CertificateWanted::Generate).expect("made");
    let key = registry.call(certificate::Key { person: named("DOGGO01a") }).expect("a key").expect("not null");
    assert_eq!(format!("{key:?}"), "[secret]");
    let der = enroll_core::identity::pem::read(key.as_str()).expect("PEM").remove(0).der;
    // The bytes after the PKCS#8 header are the key.
    let canary = &der[36..68];
    let everything = registry.store().view().expect("a view").range(&[0], &[0xff], usize::MAX).expect("entries");
    for (key, value) in &everything {
        assert!(!value.windows(canary.len()).any(|window| window == canary), "{key:?}");
    }
}

#[test]
fn a_pfx_opens_with_its_password_in_both_profiles() {
    let registry = &mut Registry::in_memory();
    create(registry, "DOGGO01a", CertificateWanted::Generate).expect("made");
    let key = registry.call(certificate::Key { person: named("DOGGO01a") }).expect("a key").expect("not null");
    for legacy in [false, true] {
        let password = "pässword 1".parse().expect("a password");
        let pfx = certificate::Pfx { legacy, ..certificate::Pfx::new(named("DOGGO01a"), password) };
        let pfx = registry.call(pfx).expect("made").expect("not null");
        let Some(openssl) = OpenSsl::find("rules::certificates, PKCS#12") else { continue };
        openssl.write("pfx.base64", pfx.as_str());
        openssl.write("key.pem", key.as_str());
        openssl.run(&["base64", "-d", "-A", "-in", "pfx.base64", "-out", "all.pfx"]);
        let mut open = vec!["pkcs12", "-in", "all.pfx", "-nodes", "-passin", "pass:pässword 1"];
        let mut info = vec!["pkcs12", "-in", "all.pfx", "-info", "-noout", "-passin", "pass:pässword 1"];
        if legacy {
            open.push("-legacy");
            info.push("-legacy");
        }
        let opened = openssl.run(&open);
        assert_eq!(opened.matches("BEGIN CERTIFICATE").count(), 2, "{opened}");
        openssl.write("opened.pem", &opened);
        let public = openssl.run(&["pkey", "-in", "opened.pem", "-pubout"]);
        assert_eq!(public, openssl.run(&["pkey", "-in", "key.pem", "-pubout"]));
        let printed = openssl.output_of(&info);
        let expected = if legacy { "pbeWithSHA1And3-KeyTripleDES-CBC" } else { "AES-256-CBC" };
        assert!(printed.contains(expected), "{printed}");
        openssl.refused(&["pkcs12", "-in", "all.pfx", "-nodes", "-passin", "pass:wrong", "-legacy"]);
    }
}

#[test]
fn a_pfx_of_a_key_that_was_brought_holds_the_certificates_alone() {
    let registry = &mut Registry::in_memory();
    create(registry, "DOGGO01a", csr(P256)).expect("made");
    for legacy in [false, true] {
        let password = "password".parse().expect("a password");
        let pfx = certificate::Pfx { legacy, ..certificate::Pfx::new(named("DOGGO01a"), password) };
        let pfx = registry.call(pfx).expect("made").expect("not null");
        let Some(openssl) = OpenSsl::find("rules::certificates, PKCS#12 without a key") else { continue };
        openssl.write("pfx.base64", pfx.as_str());
        openssl.run(&["base64", "-d", "-A", "-in", "pfx.base64", "-out", "all.pfx"]);
        let mut open = vec!["pkcs12", "-in", "all.pfx", "-nodes", "-passin", "pass:password"];
        open.extend(legacy.then_some("-legacy"));
        let opened = openssl.run(&open);
        assert_eq!(opened.matches("BEGIN CERTIFICATE").count(), 2, "{opened}");
        assert!(opened.contains("CN = DOGGO01a") || opened.contains("CN=DOGGO01a"), "{opened}");
        assert!(!opened.contains("PRIVATE KEY"), "{opened}");
    }
}

#[test]
fn a_pfx_takes_any_password_and_bears_any_callsign() {
    let registry = &mut Registry::in_memory();
    let openssl = OpenSsl::find("rules::certificates, names in PKCS#12");
    let long = "p\u{1f511}ss".repeat(128);
    for name in ["Ελένη", "Good dog \u{1f415}", "plain"] {
        create(registry, name, CertificateWanted::Generate).expect("made");
        for password in ["κλειδί", "p\u{1f511}ss", "\u{1f511}", " ", "\u{ffff}\u{feff}", &long] {
            for legacy in [false, true] {
                let parsed = password.parse().expect("a password");
                let pfx = certificate::Pfx { legacy, ..certificate::Pfx::new(named(name), parsed) };
                let pfx = registry.call(pfx).expect("made").expect("not null");
                let der = STANDARD.decode(pfx.as_str()).expect("base64");
                let friendly: Vec<u8> = name.encode_utf16().flat_map(u16::to_be_bytes).collect();
                assert!(der.windows(friendly.len()).any(|window| window == friendly), "{name}");
                let Some(openssl) = &openssl else { continue };
                openssl.write("pfx.base64", pfx.as_str());
                openssl.write("password", password);
                openssl.run(&["base64", "-d", "-A", "-in", "pfx.base64", "-out", "all.pfx"]);
                let mut open = vec!["pkcs12", "-in", "all.pfx", "-nodes", "-passin", "file:password"];
                open.extend(legacy.then_some("-legacy"));
                let opened = openssl.run(&open);
                assert_eq!(opened.matches("BEGIN CERTIFICATE").count(), 2, "{name} {password} {opened}");
                assert_eq!(opened.matches("friendlyName: ").count(), 2, "{opened}");
                assert_eq!(opened.matches("localKeyID: 31").count(), 2, "{opened}");
            }
        }
    }
}
