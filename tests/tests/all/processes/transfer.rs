//! Exports and imports: an import restores the exported records, and half of a file restores nothing.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;

use enroll_core::model::export_schema::shapes;
use enroll_protocol::server::{Import, Imported};
use enroll_protocol::{Callsign, Code, enrollment, person};
use enroll_tests::process::{Daemon, Home, Output, run};
use enroll_tests::socket::Socket;
use serde_json::Value;

use super::{count, expect_enrolled, expect_sound, verbs};

const FILE: &str = "transfer.ndjson";

/// A signing request for `DOGGO01a`.
const REQUEST: &str = include_str!("../../../requests/p256.pem");

/// Records that exist only in the middle of a key rotation or another change.
pub(super) const RARE: [&str; 2] = ["hashing_key", "event_cause"];

fn name(callsign: &str) -> Callsign {
    callsign.parse().expect("a callsign")
}

pub(super) fn exported(daemon: &Daemon, options: &[&str]) -> String {
    let output = daemon.enrollctl(&[&["server", "export"], options].concat(), "");
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    output.stdout
}

fn import(daemon: &Daemon, text: &str) -> Output {
    std::fs::write(daemon.home.path(FILE), text).expect("written");
    daemon.enrollctl(&["server", "import", FILE, "--json"], "")
}

fn expect_refused(output: &Output, code: &str, words: &str) {
    let error = &output.json()["error"];
    assert_eq!((output.code, error["code"].as_str()), (Some(1), Some(code)), "{output:?}");
    assert!(error["message"].as_str().is_some_and(|message| message.contains(words)), "{words}: {output:?}");
}

/// A daemon with the key of another one.
fn with_key_of(other: &Daemon) -> Daemon {
    let home = Home::make();
    std::fs::create_dir(home.state_dir()).expect("a directory");
    std::fs::copy(other.home.state_dir().join("enrolld.key"), home.state_dir().join("enrolld.key")).expect("copied");
    home.start()
}

/// Everything but the first line, which says when.
fn records(text: &str) -> Vec<&str> {
    text.lines().skip(1).collect()
}

pub(super) fn kinds(text: &str) -> BTreeSet<String> {
    let kind = |line: &str| serde_json::from_str::<Value>(line).expect("json")["record"].as_str().map(str::to_owned);
    text.lines().filter_map(kind).collect()
}

pub(super) fn expect_same(first: &str, second: &str) {
    for (first, second) in records(first).iter().zip(records(second)) {
        assert_eq!(*first, second);
    }
    assert_eq!(records(first).len(), records(second).len());
}

/// A registry that has some of every kind of record.
fn full() -> Daemon {
    full_in(Home::make())
}

/// The same in a directory of one's own.
pub(super) fn full_in(home: Home) -> Daemon {
    let mut script = verbs::everything_in(home);
    script.run(include_str!("scripts/standing.txt"));
    let daemon = script.daemon;
    let create = enrollment::Create { csr: Some(REQUEST.to_owned()), ..enrollment::Create::new(name("DOGGO01a")) };
    Socket::connect(&daemon.home.socket()).call(&create).expect("an enrollment");
    for (args, stdin) in [
        (&["token", "use", "--audit", "{\"by\":\"x\",\"n\":1.50e3}"][..], "kept nonce"),
        (&["code", "create", "{\"sub\":\"x\"}", "--key", "019aab01-997b-774b-bfff-fffffffffff1"], ""),
        (&["person", "create", "SAILOR", "--extra", "{\"motto\":\"→ ü\\n\"}"], ""),
    ] {
        assert_eq!(daemon.enrollctl(args, stdin).code, Some(0), "{args:?}");
    }
    assert_eq!(daemon.enrollctl(&["code", "use"], "WRONGWRONG22").code, Some(1), "a guess, which is counted");
    expect_enrolled(&daemon);
    daemon
}

#[test]
fn with_secrets_everything_comes_back_and_works() {
    let source = full();
    let made = source.enrollctl(&["code", "create", "{\"sub\":\"y\"}", "--json"], "").json();
    let code = made["code"].as_str().expect("a code").to_owned();
    let jwt = source.enrollctl(&["code", "create", "{\"sub\":\"z\"}", "--json"], "").json();
    let jwt = source.enrollctl(&["code", "use", "--json"], jwt["code"].as_str().expect("a code")).json();
    let jwt = jwt["jwt"].as_str().expect("a JWT").to_owned();
    let authority = source.enrollctl(&["certificate", "ca"], "").stdout;
    let text = exported(&source, &["--with-secrets"]);
    let missing: Vec<_> = shapes().map(|shape| shape.name).filter(|name| !kinds(&text).contains(*name)).collect();
    assert!(missing.iter().all(|name| RARE.contains(name)), "the registry has no {missing:?}");

    let mut target = with_key_of(&source);
    let imported = import(&target, &text);
    assert_eq!(imported.code, Some(0), "{imported:?}");
    let counted: u64 = imported.json().as_object().expect("counts").values().filter_map(Value::as_u64).sum();
    assert_eq!(counted, text.lines().count() as u64 - 2);
    for _ in 0..2 {
        expect_same(&text, &exported(&target, &["--with-secrets"]));
        expect_sound(&target);
        target.terminate();
        target.restart();
    }
    assert!(target.enrollctl(&["token", "use"], "kept nonce").stderr.contains("token_reuse"));
    assert_eq!(target.enrollctl(&["code", "use"], &code).code, Some(0));
    expect_enrolled(&target);
    assert_eq!(target.enrollctl(&["jwt", "verify"], &jwt).code, Some(0));
    assert_eq!(target.enrollctl(&["certificate", "ca"], "").stdout, authority);
    expect_sound(&target);
    expect_refused(&import(&target, &text), "conflict", "an import needs an empty registry");
    expect_refused(&import(&Daemon::start(), &text), "conflict", "another secret key");
}

/// Files read at the start are read again, without a restart.
#[test]
fn what_an_import_has_brought_works_at_once() {
    let mut source = Daemon::start();
    assert_eq!(source.enrollctl(&["token", "use"], "nonce").code, Some(0));
    let made = source.enrollctl(&["code", "create", "{\"sub\":\"y\"}", "--json"], "").json();
    assert_eq!(source.enrollctl(&["person", "create", "BOSS", "--certificate", "generate"], "").code, Some(0));
    source.terminate();
    // Its hashes are from now on made with another key than the secret one.
    let state = source.home.state_dir().display().to_string();
    let rotated = run(&mut source.home.enrolld_with(&["rotate-key", "--state-dir", &state]), "");
    assert_eq!(rotated.code, Some(0), "{rotated:?}");
    source.restart();
    let text = exported(&source, &["--with-secrets"]);
    let target = with_key_of(&source);
    let authority = source.enrollctl(&["certificate", "ca"], "").stdout;
    assert_ne!(target.enrollctl(&["certificate", "ca"], "").stdout, authority);
    assert_eq!(import(&target, &text).code, Some(0));
    assert_eq!(target.enrollctl(&["certificate", "ca"], "").stdout, authority);
    assert_eq!(
        target.enrollctl(&["jwt", "keys"], "").stdout,
        source.enrollctl(&["jwt", "keys"], "").stdout,
        "it signs with the keys that came"
    );
    assert!(target.enrollctl(&["token", "use"], "nonce").stderr.contains("token_reuse"));
    assert_eq!(target.enrollctl(&["code", "use"], made["code"].as_str().expect("a code")).code, Some(0));
    let head = |daemon: &Daemon| daemon.enrollctl(&["server", "status", "--json"], "").json()["changes_head"].as_u64();
    assert!(head(&target) > head(&source));
    expect_sound(&target);
}

#[test]
fn without_secrets_everything_else_comes_back_under_any_key() {
    let source = full();
    let text = exported(&source, &[]);
    let secret = shapes().filter(|shape| shape.is_secret).find(|shape| kinds(&text).contains(shape.name));
    assert_eq!(secret.map(|shape| shape.name), None);
    let mut target = Daemon::start();
    assert_eq!(import(&target, &text).code, Some(0));
    for _ in 0..2 {
        expect_same(&text, &exported(&target, &[]));
        expect_sound(&target);
        target.terminate();
        target.restart();
    }
    assert_eq!(count(&target, "person"), count(&source, "person"));
    assert_eq!((count(&target, "token"), count(&target, "certificate")), (0, 0));
    assert_eq!(target.enrollctl(&["token", "use"], "kept nonce").code, Some(0), "as the help says");
    let made = ["person", "create", "TANKER", "--certificate", "generate"];
    assert_eq!(target.enrollctl(&made, "").code, Some(0), "the authority is its own");
    expect_sound(&target);
}

#[test]
fn a_file_is_made_for_its_owner_alone_and_never_written_over() {
    let daemon = Daemon::start();
    let export = || daemon.enrollctl(&["server", "export", FILE], "");
    assert_eq!(export().code, Some(0));
    let path = daemon.home.path(FILE);
    assert_eq!(std::fs::metadata(&path).expect("a file").permissions().mode() & 0o7777, 0o600);
    assert_eq!(export().code, Some(2));
    let piped = daemon.enrollctl(&["server", "import", "-"], &std::fs::read_to_string(&path).expect("text"));
    assert_eq!(piped.code, Some(0), "an empty registry may be read into an empty one: {piped:?}");
}

#[test]
fn what_is_no_export_is_told_by_its_line_and_changes_nothing() {
    let source = Daemon::start();
    for args in [["person", "create", "BOSS"], ["person", "create", "DOG"], ["course", "create", "Hiking"]] {
        let more: &[&str] = if args[0] == "course" { &["--mode", "audit"] } else { &[] };
        assert_eq!(source.enrollctl(&[&args, more].concat(), "").code, Some(0));
    }
    let text = exported(&source, &[]);
    let lines: Vec<&str> = text.lines().collect();
    let at = lines.iter().position(|line| line.starts_with("{\"record\":\"person\"")).expect("a person");
    let with = |line: &str| {
        let mut lines = lines.clone();
        lines[at] = line;
        lines.join("\n") + "\n"
    };
    let number = at + 1;
    let person = lines[at];
    let cases = [
        (String::new(), "line 1: this is no export"),
        ("no json\n".to_owned(), "line 1: this is no export"),
        ("{}".to_owned(), "line 1: this is no export"),
        (text.replacen("\"schema\":", "\"schema\":9", 1), "schema 9"),
        (with("no json"), &format!("line {number}: this is no record")),
        (with("{\"record\":\"cat\",\"value\":null}"), "there is no kind of record \"cat\""),
        (with(&person.replace("\"callsign\"", "\"name\"")), "unknown field `name`"),
        (with(&person.replace("\"pk\":\"", "\"pk\":\"x")), "this is not the key of a person"),
        (with(&person.replace("\"key\":{", "\"key\":{\"more\":1,")), "this is not the key of a person"),
        (with(lines[at + 1]), &format!("line {}: this person stands there twice", number + 1)),
        (with(""), &format!("line {number}: ")),
        (
            with(
                "{\"record\":\"signing_key\",\"key\":{\"pk\":\"00000000-0000-0000-0000-00000000000a\"},\"value\":\
                 {\"algorithm\":\"EdDSA\",\"sealed\":\"00\",\"public\":\"00\",\"created\":\"2026-01-01T00:00:00Z\"}}",
            ),
            "a signing_key in an export without secrets",
        ),
        (with(&person.replace("BOSS", "CAT")), "this export does not hold: I1"),
        (text.replacen(&format!("{person}\n"), "", 1), "records were written, and"),
        (lines[..lines.len() - 1].join("\n") + "\n", "cut off"),
        (text[..text.len() / 2].to_owned(), "cut off"),
        (format!("{text}{person}\n"), "something follows"),
    ];
    let target = Daemon::start();
    for (text, words) in &cases {
        let output = import(&target, text);
        assert_eq!(output.code, Some(1), "{words}: {output:?}");
        assert!((output.stdout.clone() + &output.stderr).contains(*words), "{words}: {output:?}");
        let is_half = target.enrollctl(&["server", "check"], "").stdout.contains("I25");
        assert!(is_half || count(&target, "person") == 0, "{words}: taken for done");
    }
    let done = import(&target, &text);
    assert_eq!(done.code, Some(0), "begun again, it is read: {done:?}");
    expect_same(&text, &exported(&target, &[]));
    expect_sound(&target);
}

#[test]
fn half_an_import_is_nobodys_registry_until_it_is_begun_again() {
    let source = Daemon::start();
    for number in 0..30 {
        assert_eq!(source.enrollctl(&["person", "create", &format!("P{number}")], "").code, Some(0));
    }
    let text = exported(&source, &[]);
    let mut target = Daemon::start();
    let send = |target: &Daemon, at: usize, text: &str| {
        Socket::connect(&target.home.socket()).call(&Import { at: at as u64, text: text.to_owned() })
    };
    // In the middle of a line.
    let middle = text.len() / 2;
    let half = Imported { at: middle as u64, records: None };
    assert_eq!(send(&target, 0, &text[..middle]), Ok(half));
    for _ in 0..2 {
        let create = Socket::connect(&target.home.socket()).call(&person::Create::new(name("CAT")));
        assert_eq!(create.map_err(|refusal| refusal.code), Err(Code::CONFLICT));
        let check = target.enrollctl(&["server", "check"], "");
        assert_eq!(check.code, Some(1));
        assert!(check.stdout.contains("I25"), "{check:?}");
        let elsewhere = send(&target, middle - 1, &text[middle - 1..]).map_err(|refusal| refusal.code);
        assert_eq!(elsewhere, Err(Code::CONFLICT));
        target.kill9();
        target.restart();
    }
    // It may go on where it was, or begin again.
    let other = Daemon::start();
    assert_eq!(send(&other, 0, &text[..middle]).map(|imported| imported.at), Ok(middle as u64));
    assert_eq!(send(&other, middle, &text[middle..]).map(|imported| imported.at), Ok(text.len() as u64));
    assert!(send(&other, text.len(), "").expect("its end").records.is_some());
    assert_eq!(import(&target, &text).code, Some(0));
    for daemon in [&target, &other] {
        expect_same(&text, &exported(daemon, &[]));
        expect_sound(daemon);
        assert_eq!(daemon.enrollctl(&["person", "create", "CAT"], "").code, Some(0));
    }
}

/// Then neither authority nor revocation list is there, since the file brings its own.
#[test]
fn an_import_goes_on_after_a_kill_behind_its_first_line() {
    let source = Daemon::start();
    assert_eq!(source.enrollctl(&["person", "create", "DOG", "--certificate", "generate"], "").code, Some(0));
    let text = exported(&source, &["--with-secrets"]);
    let mut target = with_key_of(&source);
    let send = |target: &Daemon, at: usize, text: &str| {
        Socket::connect(&target.home.socket()).call(&Import { at: at as u64, text: text.to_owned() })
    };
    let (first, rest) = text.split_at(text.find('\n').expect("lines") + 1);
    assert_eq!(send(&target, 0, first).map(|imported| imported.at), Ok(first.len() as u64));
    target.kill9();
    target.restart();
    assert_eq!(send(&target, first.len(), rest).map(|imported| imported.at), Ok(text.len() as u64));
    assert!(send(&target, text.len(), "").expect("its end").records.is_some());
    assert_eq!(records(&text), records(&exported(&target, &["--with-secrets"])));
    expect_sound(&target);
    // The authority is that of the file, at once and after a start.
    for _ in 0..2 {
        let ca = |daemon: &Daemon| daemon.enrollctl(&["certificate", "ca"], "").stdout;
        assert_eq!(ca(&target), ca(&source));
        target.kill9();
        target.restart();
    }
}

/// What the daemon has made meanwhile in place of what was removed is its own.
#[test]
fn an_import_without_secrets_begins_where_one_with_secrets_was_killed() {
    let source = Daemon::start();
    assert_eq!(source.enrollctl(&["person", "create", "DOG"], "").code, Some(0));
    let (with, without) = (exported(&source, &["--with-secrets"]), exported(&source, &[]));
    let mut target = with_key_of(&source);
    let first = with.split_inclusive('\n').next().expect("a line").to_owned();
    let half = Socket::connect(&target.home.socket()).call(&Import { at: 0, text: first });
    assert_eq!(half.map(|imported| imported.records), Ok(None));
    target.kill9();
    target.restart();
    assert_eq!(import(&target, &without).code, Some(0));
    expect_same(&without, &exported(&target, &[]));
    expect_sound(&target);
}

#[test]
fn everything_is_for_those_only_who_may_do_everything() {
    let daemon = Daemon::start();
    let text = exported(&daemon, &[]);
    for (callsign, role) in [("BOSS", "superuser"), ("DOG", "admin")] {
        assert_eq!(daemon.enrollctl(&["person", "create", callsign, "--role", role], "").code, Some(0));
    }
    assert_eq!(daemon.enrollctl(&["--as", "BOSS", "server", "export"], "").code, Some(0));
    for args in [&["--as", "DOG", "server", "export"][..], &["--as", "DOG", "server", "import", "-"]] {
        let refused = daemon.enrollctl(args, &text);
        assert!(refused.stderr.contains("permission_denied"), "{refused:?}");
    }
    let dry = daemon.enrollctl(&["server", "import", "-", "--dry-run"], &text);
    assert_eq!(dry.code, Some(2), "{dry:?}");
}
