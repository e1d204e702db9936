//! Certificates and exchanged JWTs with real processes: killed in the middle, raced for, published, brought along.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use enroll_protocol::{Envelope, Key, Operation as _, Pk, codec, person};
use enroll_tests::openssl::OpenSsl;
use enroll_tests::process::{Daemon, Home, PATIENCE, run, run_refused, skipped};
use enroll_tests::socket::Socket;
use serde_json::json;

use super::{count, expect_sound};

const ROUNDS: usize = 6;
const IN_FLIGHT: usize = 16;

/// Keeps creations in flight on one connection until the daemon is killed after so many answers; the callsigns answered.
fn issue_until_killed(daemon: &mut Daemon, round: usize, answers: usize) -> BTreeSet<String> {
    let mut socket = Socket::connect(&daemon.home.socket());
    let (mut sent, mut done) = (Vec::new(), BTreeSet::new());
    loop {
        let mut bytes = Vec::new();
        while sent.len() < done.len() + IN_FLIGHT {
            let callsign = format!("R{round}-{}", sent.len());
            let certificate = person::CertificateWanted::Generate;
            let create = person::Create { certificate, ..person::Create::new(callsign.parse().expect("a callsign")) };
            let mut key = [0; 16];
            key[0] = u8::try_from(round).expect("few rounds");
            key[8..].copy_from_slice(&(sent.len() as u64).to_be_bytes());
            let envelope = Envelope { key: Some(Key(Pk::from_bytes(key))), ..Envelope::default() };
            let id = socket.frame(&mut bytes, &envelope, person::Create::ROW.number, &codec::encode(&create));
            sent.push((id, callsign));
        }
        if socket.send(&bytes).is_err() {
            return done;
        }
        if done.len() >= answers {
            daemon.kill9();
        }
        let Some(frame) = socket.receive() else { return done };
        let (_, callsign) = sent.iter().find(|(id, _)| *id == frame.id).expect("asked");
        frame.outcome().expect("made");
        done.insert(callsign.clone());
    }
}

/// Nobody without their certificate, and no certificate of nobody.
#[test]
fn a_daemon_killed_while_it_issues_leaves_people_with_certificates() {
    let mut daemon = Daemon::start();
    let mut acknowledged = BTreeSet::new();
    for round in 0..ROUNDS {
        acknowledged.extend(issue_until_killed(&mut daemon, round, 7 * round + 3));
        daemon.restart();
        expect_sound(&daemon);
        assert_eq!(count(&daemon, "person"), count(&daemon, "certificate"), "round {round}");
    }
    for callsign in &acknowledged {
        let found = daemon.enrollctl(&["--json", "person", "get", callsign], "").json();
        assert_eq!(found["certificate"], true, "{callsign}");
    }
    assert_eq!(daemon.enrollctl(&["certificate", "key", acknowledged.first().expect("some")], "").code, Some(0));
}

#[test]
fn files_of_a_certificate_are_installed_with_their_modes() {
    let daemon = Daemon::start();
    daemon.enrollctl(&["person", "create", "DOGGO01a", "--certificate", "generate"], "");
    let dir = daemon.home.path("tls");
    let installed = daemon.enrollctl(&["certificate", "install", "DOGGO01a", "--dir", &dir.display().to_string()], "");
    assert_eq!((installed.code, installed.stderr.as_str()), (Some(0), ""), "{installed:?}");
    let mode = |name: &str| std::fs::metadata(dir.join(name)).expect("a file").permissions().mode() & 0o777;
    assert_eq!([mode("key.pem"), mode("certificate.pem"), mode("chain.pem")], [0o600, 0o644, 0o644]);
    assert_eq!(std::fs::read_dir(&dir).expect("a directory").count(), 3);
    let read = |name: &str| std::fs::read_to_string(dir.join(name)).expect("a text");
    let Some(openssl) = OpenSsl::find("processes::identity, installed files") else { return };
    for name in ["key.pem", "certificate.pem", "chain.pem"] {
        openssl.write(name, &read(name));
    }
    openssl.run(&["verify", "-CAfile", "chain.pem", "certificate.pem"]);
    let public = openssl.run(&["pkey", "-in", "key.pem", "-pubout"]);
    assert_eq!(public, openssl.run(&["x509", "-in", "certificate.pem", "-noout", "-pubkey"]));
}

/// Waits until a file is another one than before; its text.
fn awaited(path: &Path, before: &str) -> String {
    let begun = Instant::now();
    loop {
        match std::fs::read_to_string(path) {
            Ok(text) if text != before => return text,
            _ => assert!(begun.elapsed() < PATIENCE, "{} is not written", path.display()),
        }
        std::thread::yield_now();
    }
}

#[test]
fn the_list_is_a_file_that_is_replaced_after_a_revocation_and_kept_over_a_restart() {
    let home = Home::make();
    let path = home.path("revoked.pem");
    home.configure(&format!("[certificates]\ncrl_file = \"{}\"", path.display()));
    let mut daemon = home.start();
    let first = awaited(&path, "");
    daemon.enrollctl(&["person", "create", "DOGGO01a", "--certificate", "generate"], "");
    daemon.enrollctl(&["person", "revoke", "DOGGO01a", "superseded"], "");
    let second = awaited(&path, &first);
    assert_eq!(std::fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o644);
    assert_eq!(daemon.enrollctl(&["certificate", "crl"], "").stdout, second);
    assert_eq!(daemon.terminate(), Some(0));
    daemon.restart();
    // The one that was signed before, once it was read: a list is signed once.
    let begun = Instant::now();
    while daemon.enrollctl(&["certificate", "crl"], "").stdout != std::fs::read_to_string(&path).expect("a list") {
        assert!(begun.elapsed() < PATIENCE);
    }
    if let Some(openssl) = OpenSsl::find("processes::identity, the list's file") {
        openssl.write("crl.pem", &second);
        openssl.write("ca.pem", &daemon.enrollctl(&["certificate", "ca"], "").stdout);
        let told = openssl.told(&["crl", "-in", "crl.pem", "-CAfile", "ca.pem", "-noout", "-text"]);
        assert!(told.contains("verify OK") && told.contains("Superseded"), "{told}");
    }
}

#[test]
fn an_authority_is_brought_along_with_its_chain_and_not_exchanged_for_another() {
    let Some(openssl) = OpenSsl::find("processes::identity, an authority that is brought along") else { return };
    let authority = |name: &str, kind: &[&str]| {
        let (key, request) = (format!("{name}.key"), format!("{name}.csr"));
        let subject = format!("/O=Example/CN={name}");
        let make = ["req", "-new", "-nodes", "-keyout", &key, "-out", &request, "-subj", &subject];
        openssl.told(&[&make, kind].concat());
    };
    openssl.write(
        "ca.ext",
        "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n",
    );
    authority("root", &["-newkey", "rsa:2048"]);
    openssl.told(&[
        "x509", "-req", "-in", "root.csr", "-signkey", "root.key", "-out", "root.pem", "-days", "30", "-extfile",
        "ca.ext",
    ]);
    for (name, kind) in
        [("middle", &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"][..]), ("other", &["-newkey", "rsa:2048"])]
    {
        authority(name, kind);
        let (request, out) = (format!("{name}.csr"), format!("{name}.pem"));
        openssl.told(&[
            "x509",
            "-req",
            "-in",
            &request,
            "-CA",
            "root.pem",
            "-CAkey",
            "root.key",
            "-CAcreateserial",
            "-out",
            &out,
            "-days",
            "20",
            "-extfile",
            "ca.ext",
        ]);
    }
    let home = Home::make();
    let bring = |home: &Home, name: &str, certificates: &[&str]| {
        let (key, chain) = (home.path("ca.key"), home.path("ca.pem"));
        std::fs::write(&key, openssl.read(&format!("{name}.key"))).expect("written");
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).expect("a mode");
        let text: String = certificates.iter().map(|name| openssl.read(&format!("{name}.pem"))).collect();
        std::fs::write(&chain, text).expect("written");
        home.configure(&format!(
            "[certificates]\nauthority_key = \"{}\"\nauthority_chain = \"{}\"",
            key.display(),
            chain.display()
        ));
    };
    for (name, chain, said) in [
        ("middle", &["other", "root"][..], "another key"),
        ("middle", &["middle", "other"], "no chain"),
        ("middle", &[], "missing"),
    ] {
        bring(&home, name, chain);
        let refused = run_refused(&mut home.enrolld());
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(refused.stderr.contains(said), "{refused:?}");
    }
    bring(&home, "middle", &["middle", "root"]);
    let mut daemon = home.start();
    daemon.enrollctl(&["person", "create", "DOGGO01a", "--certificate", "generate"], "");
    openssl.write("leaf.pem", &daemon.enrollctl(&["certificate", "get", "DOGGO01a"], "").stdout);
    openssl.write("chain.pem", &daemon.enrollctl(&["certificate", "ca"], "").stdout);
    openssl.run(&["verify", "-purpose", "sslclient", "-CAfile", "root.pem", "-untrusted", "chain.pem", "leaf.pem"]);
    daemon.enrollctl(&["person", "delete", "DOGGO01a"], "");
    openssl.write("crl.pem", &daemon.enrollctl(&["certificate", "crl"], "").stdout);
    let told = openssl.told(&["crl", "-in", "crl.pem", "-CAfile", "middle.pem", "-noout", "-text"]);
    assert!(told.contains("verify OK") && told.contains("Privilege Withdrawn"), "{told}");
    expect_sound(&daemon);
    assert_eq!(daemon.terminate(), Some(0));
    // What it has issued could not be revoked by another one, nor without it.
    bring(&daemon.home, "other", &["other", "root"]);
    let refused = run_refused(&mut daemon.home.enrolld());
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("another authority"), "{refused:?}");
    daemon.home.configure("");
    let refused = run_refused(&mut daemon.home.enrolld());
    assert!(refused.stderr.contains("authority_key"), "{refused:?}");
    bring(&daemon.home, "middle", &["middle", "root"]);
    daemon.restart();
    expect_sound(&daemon);
    assert!(!daemon.log().contains("PRIVATE KEY"));
}

#[test]
fn a_signing_request_is_an_argument_as_it_stands() {
    let daemon = Daemon::start();
    // PEM begins like an option.
    let csr = include_str!("../../../requests/p256.pem");
    daemon.enrollctl(&["enrollment", "create", "DOGGO01a", "--csr", csr], "");
    let approved = daemon.enrollctl(&["--json", "enrollment", "approve", "DOGGO01a"], "").json();
    assert_eq!(approved["certificate"], json!(true));
    daemon.enrollctl(&["certificate", "renew", "DOGGO01a", "--csr", csr], "");
    assert_eq!(count(&daemon, "certificate"), 2);
    let refused = run_refused(&mut daemon.home.enrollctl(&["person", "create", "CAT", "--certificate", csr]));
    assert!(refused.code == Some(1) && refused.stderr.contains("csr_mismatch"), "{refused:?}");
}

/// One connection: whoever enrolls is approved by the next line, which has to see the one before.
#[test]
fn what_is_certified_may_come_in_the_line_before() {
    let daemon = Daemon::start();
    let lines: String = (0..20)
        .flat_map(|number| {
            let name = format!("P{number}");
            [
                json!({"op": "enrollment.create", "args": {"callsign": name}}),
                json!({"op": "enrollment.approve", "args": {"enrollment": name, "certificate": "generate"}}),
                json!({"op": "certificate.renew", "args": {"person": name}}),
                json!({"op": "person.delete", "args": {"person": name}}),
            ]
        })
        .map(|line| format!("{line}\n"))
        .collect();
    let output = daemon.enrollctl(&["call"], &lines);
    assert_eq!(output.stdout.lines().count(), 80);
    for line in output.stdout.lines() {
        assert!(line.contains("\"ok\""), "{line}");
    }
    assert_eq!(count(&daemon, "certificate"), 40);
    expect_sound(&daemon);
}

/// Each certificate is for the key of the one before, so whoever comes second was prepared for another one.
#[test]
fn renewals_that_race_are_all_made_and_seen_by_what_follows_them() {
    let daemon = Daemon::start();
    let csr = include_str!("../../../requests/p256.pem");
    daemon.enrollctl(&["person", "create", "DOGGO01a", "--certificate", csr], "");
    let lines: String = (0..3)
        .flat_map(|number| {
            [
                json!({"op": "certificate.renew", "args": {"person": "DOGGO01a"}}),
                json!({"op": "person.update", "args": {"person": "DOGGO01a", "extra": {"number": number}}}),
            ]
        })
        .map(|line| format!("{line}\n"))
        .collect();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let (home, lines) = (&daemon.home, &lines);
            scope.spawn(move || {
                let output = run(&mut home.enrollctl(&["call"]), lines);
                assert_eq!(output.stdout.matches("\"ok\"").count(), 6, "{}", output.stdout);
            });
        }
    });
    assert_eq!(count(&daemon, "certificate"), 13);
    expect_sound(&daemon);
}

/// Verifies a JWT from standard input by the key set and the algorithm in its arguments, as a service in Python does.
const VERIFY: &str = r#"
import json, sys, jwt
token = sys.stdin.read().strip()
keys = {key["kid"]: key for key in json.loads(sys.argv[1])["keys"]}
key = jwt.PyJWK(keys[jwt.get_unverified_header(token)["kid"]])
claims = jwt.decode(token, key=key.key, algorithms=[sys.argv[2]], audience="enrolld", issuer="enrolld",
                    options={"require": ["exp", "iat", "nbf", "jti"]})
print(json.dumps(claims["sub"]))
"#;

#[test]
fn a_service_in_python_verifies_our_jwts_by_our_key_set() {
    let python = std::env::var("ENROLL_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let test = Command::new(&python).args(["-c", "import jwt, cryptography"]).output();
    if !test.is_ok_and(|output| output.status.success()) {
        return skipped("processes::identity, PyJWT", "python3 with pyjwt[crypto]; ENROLL_PYTHON names one");
    }
    for algorithm in ["EdDSA", "ES256"] {
        let home = Home::make();
        home.configure(&format!("[jwt]\nalgorithm = \"{algorithm}\""));
        let daemon = home.start();
        let code = daemon.enrollctl(&["--json", "code", "create", r#"{"sub":"DOGGO01a"}"#], "").json();
        let jwt = daemon.enrollctl(&["--json", "code", "use"], code["code"].as_str().expect("a code")).json();
        let keys = daemon.enrollctl(&["--json", "jwt", "keys"], "").stdout;
        let mut verify = Command::new(&python);
        verify.args(["-c", VERIFY, keys.trim(), algorithm]);
        let jwt = jwt["jwt"].as_str().expect("a JWT");
        let verified = run(&mut verify, jwt);
        assert_eq!((verified.code, verified.stdout.trim()), (Some(0), "\"DOGGO01a\""), "{verified:?}");
        let tampered = run(&mut verify, &jwt.replacen("ey", "eZ", 2));
        assert_ne!(tampered.code, Some(0));
    }
}
