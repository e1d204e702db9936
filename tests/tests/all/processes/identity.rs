//! Certificates and JWTs with real processes: killed in the middle, raced for, installed, and verified by others.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use enroll_protocol::{Envelope, Key, Operation as _, Pk, codec, person};
use enroll_tests::openssl::OpenSsl;
use enroll_tests::process::{Daemon, Home, run, run_refused};
use enroll_tests::skip::python_with_jwt;
use enroll_tests::socket::Socket;
use serde_json::json;

use super::{count, expect_sound};

const ROUNDS: usize = 6;
const IN_FLIGHT: usize = 16;

/// Keeps creations in flight on one connection until the daemon is killed after so many answers; the callsigns
/// answered.
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

/// One connection: each line approves the enrollment of the line before, which it has to see.
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

/// Each certificate is for the key of the one before, so the second call was prepared for another one.
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
                    options={"require": ["exp", "iat", "jti"]})
print(json.dumps(claims["sub"]))
"#;

#[test]
fn a_service_in_python_verifies_our_jwts_by_our_key_set() {
    const TEST: &str = "a_service_in_python_verifies_our_jwts_by_our_key_set";
    let Some(python) = python_with_jwt(TEST) else { return };
    for algorithm in ["EdDSA", "ES256", "RS256"] {
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
