//! Access to etcd from a daemon: TLS with client certificates, and a user whose role has the prefix. What does not fit is
//! told in a sentence with the way out.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use enroll_tests::etcd::Etcd;
use enroll_tests::openssl::OpenSsl;
use enroll_tests::poll::until;
use enroll_tests::process::{Home, run, run_refused};
use enroll_tests::skip::skipped;

/// A host whose daemon asks this etcd with these keys of `[etcd]`.
fn host(endpoint: &str, keys: &[(&str, &str)]) -> Home {
    let home = Home::make();
    let keys = keys.iter().fold(String::new(), |mut all, (key, value)| {
        writeln!(all, "{key} = {value:?}").expect("written");
        all
    });
    home.configure(&format!(
        "store = \"etcd\"\n[etcd]\nendpoints = [{endpoint:?}]\ntimeout_ms = 1500\n{keys}[cluster]\nmember = \"a\"\n\
         lease_seconds = 2\ncopies = 1\n"
    ));
    home
}

fn expect_served(home: &Home) {
    let _daemon = home.spawn();
    until("it serves", || run(&mut home.enrollctl(&["person", "create", "DOGGO01a"]), "").code == Some(0));
}

/// The daemon waits for etcd, and its log says why.
fn expect_waiting(home: &Home, why: &str) {
    let _daemon = home.spawn();
    let log = || std::fs::read_to_string(home.path("log")).unwrap_or_default();
    until(why, || log().contains(why));
    assert!(!home.socket().exists(), "{}", log());
}

/// The daemon ends with this exit code and sentence.
fn expect_refused(home: &Home, code: i32, why: &str) {
    let output = run_refused(&mut home.enrolld());
    assert!(output.code == Some(code) && output.stderr.contains(why), "{why}: {output:?}");
}

#[test]
fn over_tls_both_ends_are_certified_or_it_is_told_which_is_not() {
    const TEST: &str = "over_tls_both_ends_are_certified_or_it_is_told_which_is_not";
    let Some(openssl) = OpenSsl::find(TEST) else { return };
    openssl.authority("ca");
    openssl.authority("other");
    openssl.certify("server", "ca");
    openssl.certify("client", "ca");
    openssl.certify("stranger", "other");
    let path = |name: &str| openssl.path(name).display().to_string();
    let (certificate, key, trusted) = (path("server.pem"), path("server.key"), path("ca.pem"));
    let flags = ["--cert-file", &certificate, "--key-file", &key, "--client-cert-auth", "--trusted-ca-file", &trusted];
    let Some(etcd) = Etcd::start(TEST, 1, &flags) else { return };
    let endpoint = etcd.endpoints().remove(0);
    assert!(endpoint.starts_with("https://"), "{endpoint}");
    let asked = |ca: &str, identity: Option<&str>| {
        let mut keys = vec![("ca", path(ca))];
        if let Some(name) = identity {
            keys.extend([("cert", path(&format!("{name}.pem"))), ("key", path(&format!("{name}.key")))]);
        }
        host(&endpoint, &keys.iter().map(|(key, value)| (*key, value.as_str())).collect::<Vec<_>>())
    };
    expect_served(&asked("ca.pem", Some("client")));
    expect_waiting(&asked("other.pem", Some("client")), "etcd.ca did not sign the certificate of this member");
    expect_waiting(&asked("ca.pem", None), "a client certificate that its trusted CA signed");
    expect_waiting(&asked("ca.pem", Some("stranger")), "a client certificate that its trusted CA signed");
    expect_refused(&asked("client.key", None), 2, "client.key: this file has no certificate");
    expect_refused(&asked("missing.pem", None), 2, "missing.pem: No such file");
}

#[test]
fn a_role_on_the_prefix_is_enough_and_less_is_told() {
    const TEST: &str = "a_role_on_the_prefix_is_enough_and_less_is_told";
    if Command::new("etcdctl").arg("version").output().is_err() {
        return skipped(TEST, "needs etcdctl");
    }
    let Some(etcd) = Etcd::start(TEST, 1, &[]) else { return };
    let endpoint = etcd.endpoints().remove(0);
    let etcdctl = |args: &[&str]| {
        let mut command = Command::new("etcdctl");
        command.env("ETCDCTL_API", "3").args(["--endpoints", &endpoint]).args(args);
        command.output().expect("etcdctl").status.success()
    };
    until("etcd answers", || etcdctl(&["role", "add", "enrolld"]));
    for args in [
        &["role", "grant-permission", "enrolld", "--prefix=true", "readwrite", "enrolld/"][..],
        &["user", "add", "enrolld:secret"],
        &["user", "grant-role", "enrolld", "enrolld"],
        &["user", "add", "nobody:secret"],
        &["user", "add", "root:secret"],
        &["user", "grant-role", "root", "root"],
        &["auth", "enable"],
    ] {
        assert!(etcdctl(args), "{args:?}");
    }
    let credentials = tempfile::tempdir().expect("a directory");
    let password = |text: &str| {
        let file = credentials.path().join("enrolld.etcd.password");
        std::fs::write(&file, text).expect("written");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("a mode");
    };
    let as_user = |user: &str| {
        let passed = credentials.path().display().to_string();
        host(&endpoint, &[("user", user)]).with("CREDENTIALS_DIRECTORY", &passed)
    };
    password("secret");
    expect_served(&as_user("enrolld"));
    const NEEDS: &str = "it needs a user whose role may read and write everything under the prefix, and its password";
    expect_refused(&as_user("nobody"), 1, NEEDS);
    expect_refused(&host(&endpoint, &[]), 1, NEEDS);
    password("wrong");
    expect_refused(&as_user("enrolld"), 1, NEEDS);
    expect_refused(&host(&endpoint, &[("user", "enrolld")]), 2, "the credential enrolld.etcd.password is not passed");
}
