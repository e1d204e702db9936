//! An authority that is brought along, by files of the configuration or by credentials as systemd passes them.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use enroll_tests::openssl::OpenSsl;
use enroll_tests::process::{Daemon, Home, run_refused};

use super::expect_sound;

const EXTENSIONS: &str =
    "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n";

/// A root, and two authorities below it: `middle` of P-384 and `other` of RSA.
fn authorities(test: &str) -> Option<OpenSsl> {
    let openssl = OpenSsl::find(test)?;
    openssl.write("ca.ext", EXTENSIONS);
    for (name, kind) in [
        ("root", &["-newkey", "rsa:2048"][..]),
        ("middle", &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"]),
        ("other", &["-newkey", "rsa:2048"]),
    ] {
        let (key, subject) = (format!("{name}.key"), format!("/O=Example/CN={name}"));
        openssl
            .output_of(&[&["req", "-new", "-nodes", "-keyout", &key, "-out", "csr", "-subj", &subject], kind].concat());
        certify(&openssl, name, "20");
    }
    Some(openssl)
}

/// Gives the authority of the last request its certificate.
fn certify(openssl: &OpenSsl, name: &str, days: &str) {
    let out = format!("{name}.pem");
    let by = match name {
        "root" => &["-signkey", "root.key"][..],
        _ => &["-CA", "root.pem", "-CAkey", "root.key", "-CAcreateserial"],
    };
    let made = ["x509", "-req", "-in", "csr", "-out", &out, "-days", days, "-extfile", "ca.ext"];
    openssl.output_of(&[&made, by].concat());
}

/// Puts the key of an authority and these certificates into a directory, as they must be there.
fn put(home: &Home, openssl: &OpenSsl, name: &str, certificates: &[&str]) -> (PathBuf, PathBuf) {
    let directory = home.path("brought");
    std::fs::create_dir_all(&directory).expect("a directory");
    let (key, chain) = (directory.join("enrolld.ca.key"), directory.join("enrolld.ca.pem"));
    std::fs::write(&key, openssl.read(&format!("{name}.key"))).expect("written");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).expect("a mode");
    let text: String = certificates.iter().map(|name| openssl.read(&format!("{name}.pem"))).collect();
    std::fs::write(&chain, text).expect("written");
    (key, chain)
}

/// Names them in the configuration.
fn bring(home: &Home, openssl: &OpenSsl, name: &str, certificates: &[&str]) {
    let (key, chain) = put(home, openssl, name, certificates);
    let (key, chain) = (key.display(), chain.display());
    home.configure(&format!("[certificates]\nauthority_key = \"{key}\"\nauthority_chain = \"{chain}\""));
}

/// Certificates and revocations of the intermediate verify under the root.
fn expect_issued_and_revoked(daemon: &Daemon, openssl: &OpenSsl, person: &str) {
    daemon.enrollctl(&["person", "create", person, "--certificate", "generate"], "");
    openssl.write("leaf.pem", &daemon.enrollctl(&["certificate", "get", person], "").stdout);
    openssl.write("chain.pem", &daemon.enrollctl(&["certificate", "ca"], "").stdout);
    openssl.run(&["verify", "-purpose", "sslclient", "-CAfile", "root.pem", "-untrusted", "chain.pem", "leaf.pem"]);
    daemon.enrollctl(&["person", "delete", person], "");
    openssl.write("crl.pem", &daemon.enrollctl(&["certificate", "crl"], "").stdout);
    let printed = openssl.output_of(&["crl", "-in", "crl.pem", "-CAfile", "middle.pem", "-noout", "-text"]);
    assert!(printed.contains("verify OK") && printed.contains("Privilege Withdrawn"), "{printed}");
    expect_sound(daemon);
}

/// The end of the intermediate in less than 90 days stands in status, metrics and the log.
fn expect_end_told(daemon: &Daemon) {
    let status = daemon.enrollctl(&["server", "status", "--json"], "").stdout;
    assert!(status.contains("\"topic\":\"authority\"") && status.contains("or one above it, ends at 20"), "{status}");
    let metrics = daemon.enrollctl(&["server", "metrics"], "").stdout;
    assert!(metrics.contains("enrolld_warnings{topic=\"authority\"} 1"), "{metrics}");
    let ends = metrics.lines().find_map(|line| line.strip_prefix("enrolld_authority_ends_timestamp_seconds "));
    let ends: f64 = ends.expect("a metric").parse().expect("a number");
    let seconds = ends - std::time::UNIX_EPOCH.elapsed().expect("a time").as_secs_f64();
    assert!((19.9 * 86_400.0..20.1 * 86_400.0).contains(&seconds), "{seconds}");
    assert!(daemon.log().contains("or one above it, ends at 20"), "{}", daemon.log());
}

#[test]
fn it_is_brought_along_with_its_chain_and_not_exchanged_for_another() {
    let Some(openssl) = authorities("processes::authority, by files") else { return };
    let home = Home::make();
    for (name, chain, said) in [
        ("middle", &["other", "root"][..], "another key"),
        ("middle", &["middle", "other"], "no chain"),
        ("middle", &[], "missing"),
    ] {
        bring(&home, &openssl, name, chain);
        let refused = run_refused(&mut home.enrolld());
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(refused.stderr.contains(said), "{refused:?}");
    }
    bring(&home, &openssl, "middle", &["middle", "root"]);
    let mut daemon = home.start();
    expect_issued_and_revoked(&daemon, &openssl, "DOGGO01a");
    expect_end_told(&daemon);
    assert_eq!(daemon.terminate(), Some(0));
    // Another authority could not revoke its certificates.
    bring(&daemon.home, &openssl, "other", &["other", "root"]);
    let refused = run_refused(&mut daemon.home.enrolld());
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("another authority"), "{refused:?}");
    daemon.home.configure("");
    let refused = run_refused(&mut daemon.home.enrolld());
    assert!(refused.stderr.contains("authority_key"), "{refused:?}");
    bring(&daemon.home, &openssl, "middle", &["middle", "root"]);
    daemon.restart();
    expect_sound(&daemon);
    assert!(!daemon.log().contains("PRIVATE KEY"));
}

#[test]
fn systemd_passes_it_as_two_credentials() {
    let Some(openssl) = authorities("processes::authority, by credentials") else { return };
    let home = Home::make();
    let (key, chain) = put(&home, &openssl, "middle", &["middle", "root"]);
    // As systemd leaves them: nobody writes there, the daemon neither.
    for (path, mode) in [(&key, 0o400), (&chain, 0o400), (&home.path("brought"), 0o500)] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a mode");
    }
    let passed = home.path("brought").display().to_string();
    let mut daemon = home.with("CREDENTIALS_DIRECTORY", &passed).start();
    expect_issued_and_revoked(&daemon, &openssl, "DOGGO01a");
    assert!(daemon.home.state_dir().join("enrolld.key").exists(), "the secret key was not among them");
    assert_eq!(daemon.terminate(), Some(0));
    daemon.restart();
    expect_issued_and_revoked(&daemon, &openssl, "PORA22b");
    assert_eq!(daemon.terminate(), Some(0));
    // One of them alone is a mistake, and no reason to found another authority.
    std::fs::set_permissions(daemon.home.path("brought"), std::fs::Permissions::from_mode(0o700)).expect("a mode");
    std::fs::remove_file(&chain).expect("removed");
    let refused = run_refused(&mut daemon.home.enrolld());
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("enrolld.ca.pem"), "{refused:?}");
}

#[test]
fn another_certificate_of_it_begins_another_list() {
    let Some(openssl) = authorities("processes::authority, renewed") else { return };
    let home = Home::make();
    bring(&home, &openssl, "other", &["other", "root"]);
    let mut daemon = home.start();
    daemon.enrollctl(&["person", "create", "DOGGO01a", "--certificate", "generate"], "");
    let list = |daemon: &Daemon| {
        openssl.write("crl.pem", &daemon.enrollctl(&["certificate", "crl"], "").stdout);
        openssl.run(&["crl", "-in", "crl.pem", "-noout", "-crlnumber"])
    };
    let first = list(&daemon);
    assert_eq!(daemon.terminate(), Some(0));
    // The same name and the same key, for longer.
    certify(&openssl, "other", "40");
    bring(&daemon.home, &openssl, "other", &["other", "root"]);
    daemon.restart();
    let second = list(&daemon);
    assert!(first < second, "{first} {second}");
    daemon.kill9();
    daemon.restart();
    assert_eq!(list(&daemon), second);
    expect_sound(&daemon);
}
