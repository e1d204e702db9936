//! The pages for people, held to what they print: the README's five minutes and the commands of `docs/` are played through a
//! shell, the Python through Python, and every link leads somewhere. Blocks that need systemd are played in `booted`.

use std::path::Path;
use std::process::Command;

use enroll_tests::pages::{self, Page};
use enroll_tests::process::{Daemon, Home, Output, binary, run};
use enroll_tests::skip::{python_with_jwt, skipped};
use enrolld::config::{Config, EXAMPLE, Update};
use toml::{Table, Value};

/// Beginnings of blocks that are not played as a script: building, measuring for minutes, and a JWT of another issuer, which
/// has a test of its own.
const NOT_PLAYED: &[&str] =
    &["cargo ", "enrollctl changes run", "sudo tee /etc/enrolld/changes/", ".ci/", "printf %s \"$THEIRS\""];

/// The length of a README that people read to its end.
const README_LINES_MAX: usize = 155;

/// A page that goes on in the registry of the README's five minutes, and a text that its commands print.
const GOING_ON: &[(&str, &str)] = &[
    ("docs/certificates.md", "BEGIN X509 CRL"),
    ("docs/enrollctl.md", "refused, as it must be"),
    ("docs/events.md", "members"),
    ("docs/languages.md", "person\tcreate"),
    ("docs/migration.md", "all of them are there already"),
    ("docs/programs.md", "one row failed, the other is done"),
];

/// The commands of a page that need nothing but a daemon.
pub(super) fn script(page: &Page) -> String {
    let blocks = page.blocks_of("sh").into_iter().map(|block| block.code);
    blocks.filter(|code| !NOT_PLAYED.iter().any(|start| code.starts_with(start))).collect()
}

/// A program that finds `enrollctl` and the daemon by itself, as it does for somebody who follows the README.
pub(super) fn follow(daemon: &Daemon, program: &str) -> Command {
    let mut command = daemon.home.command(Path::new(program));
    let binaries = binary("enrollctl").parent().expect("a directory").to_owned();
    let path = std::env::var("PATH").expect("a path");
    command.env("PATH", format!("{}:{path}", binaries.display())).env("ENROLLD_SOCKET", daemon.home.socket());
    command.current_dir(daemon.home.path(""));
    command
}

/// Plays the commands of a page through a shell, which must not fail.
pub(super) fn play(daemon: &Daemon, page: &Page) -> Output {
    let output = run(follow(daemon, "sh").arg("-eu"), &script(page));
    assert_eq!(output.code, Some(0), "{}: {output:?}", page.path);
    output
}

#[test]
fn the_five_minutes_and_what_goes_on_from_them_work_as_printed() {
    let daemon = Daemon::start();
    let output = play(&daemon, &pages::page("README.md"));
    for printed in ["BOSS", "DOGGO01a", "nonce-4711", "sub\tDOGGO01a", "token_reuse"] {
        assert!(output.stdout.contains(printed), "{printed} is not in {}", output.stdout);
    }
    assert_eq!(output.stdout.matches("refused, as it must be").count(), 2, "{}", output.stdout);
    assert_eq!(output.stderr.matches("enrollctl: ").count(), 2, "{}", output.stderr);
    for page in pages::all().iter().skip(1).filter(|page| !script(page).is_empty()) {
        let (_, printed) =
            GOING_ON.iter().find(|(path, _)| *path == page.path).unwrap_or_else(|| panic!("{}", page.path));
        let output = play(&daemon, page);
        assert!(output.stdout.contains(printed), "{}: {printed} is not in {output:?}", page.path);
    }
}

#[test]
fn the_python_examples_work_as_printed() {
    let daemon = Daemon::start();
    let mut python = follow(&daemon, "python3");
    if Command::new("python3").arg("--version").output().is_err() {
        skipped("the_python_examples_work_as_printed", "needs python3");
        return;
    }
    let page = pages::page("docs/languages.md");
    let script: String = page.blocks_of("python").into_iter().map(|block| block.code).collect();
    let output = run(python.arg("-"), &script);
    assert_eq!(output.code, Some(0), "{output:?}");
    let lines: Vec<&str> = output.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{output:?}");
    assert_eq!(lines[0].split('.').count(), 3, "a JWT: {}", lines[0]);
    assert!(lines[1].starts_with("token_reuse: "), "{}", lines[1]);
    let page = pages::page("docs/enrollctl.md");
    let script: String = page.blocks_of("python").into_iter().map(|block| block.code).collect();
    let output = run(follow(&daemon, "python3").arg("-"), &script);
    assert_eq!((output.code, output.stdout.as_str()), (Some(0), "welcome\n"), "{output:?}");
}

#[test]
fn the_configuration_of_the_pages_is_valid() {
    for page in pages::all() {
        for block in page.blocks_of("toml") {
            Config::parse(block.code, []).unwrap_or_else(|err| panic!("{}: {err}", page.path));
        }
    }
}

/// The keys of another issuer, made where the page says that they are.
const ISSUER_KEYS: &str = r#"
from cryptography.hazmat.primitives import serialization as to
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
key = Ed25519PrivateKey.generate()
private = key.private_bytes(to.Encoding.PEM, to.PrivateFormat.PKCS8, to.NoEncryption())
public = key.public_key().public_bytes(to.Encoding.PEM, to.PublicFormat.SubjectPublicKeyInfo)
open("id.example.org.key", "wb").write(private)
open("id.example.org.pem", "wb").write(public)
"#;

#[test]
fn a_jwt_of_another_issuer_is_exchanged_as_printed() {
    let Some(python) = python_with_jwt("a_jwt_of_another_issuer_is_exchanged_as_printed") else { return };
    let page = pages::page("docs/jwt.md");
    let only = |info| page.blocks_of(info).into_iter().map(|block| block.code).collect::<String>();
    let home = Home::make();
    let keys = home.path("id.example.org.pem");
    home.configure(&only("toml").replace("/etc/enrolld/id.example.org.pem", &keys.display().to_string()));
    let make = run(Command::new(&python).arg("-c").arg(ISSUER_KEYS).current_dir(home.path("")), "");
    assert_eq!(make.code, Some(0), "{make:?}");
    let daemon = home.start();
    let theirs = run(follow(&daemon, &python).arg("-"), &only("python"));
    assert_eq!(theirs.code, Some(0), "{theirs:?}");
    let exchanged = run(follow(&daemon, "sh").arg("-eu").env("THEIRS", theirs.stdout.trim()), &only("sh"));
    assert!(exchanged.code == Some(0) && exchanged.stdout.contains("jwt"), "{exchanged:?}");
}

/// Keys of the configuration that only a restart applies: those that stay when everything else is replaced.
fn keys_that_need_a_restart() -> (Vec<String>, Vec<String>) {
    let mut table = Table::try_from(Config::default()).expect("a table");
    let mut keys = Vec::new();
    for (section, value) in &mut table {
        match value {
            Value::Table(values) => {
                for (key, value) in values {
                    keys.push(format!("{section}.{key}"));
                    replace(key, value);
                }
            }
            value => {
                keys.push(section.clone());
                replace(section, value);
            }
        }
    }
    let config = table.try_into().expect("a configuration");
    let update = Update::of(&Config::default(), &config).expect("an update");
    (keys, update.needs_restart)
}

fn replace(key: &str, value: &mut Value) {
    *value = match (key, &*value) {
        ("log_format", _) => "json".into(),
        ("algorithm", _) => "ES256".into(),
        ("store", _) => "etcd".into(),
        ("reads", _) => "local".into(),
        ("endpoints", _) => vec!["http://a:2379"].into(),
        (_, Value::String(_)) => "/another".into(),
        (_, Value::Integer(number)) => (number + 1).into(),
        (_, Value::Boolean(is_on)) => (!is_on).into(),
        (_, value) => value.clone(),
    };
}

#[test]
fn the_pages_list_the_keys_that_need_a_restart() {
    let (keys, needed) = keys_that_need_a_restart();
    for (text, start, end) in [
        (pages::page("docs/operating.md").text.as_str(), "only a restart can apply:", ". A configuration"),
        (EXAMPLE, "needs a restart:", ". Open connections"),
    ] {
        let text = text.replace("\n# ", " ").replace('\n', " ");
        let list = text.split_once(start).and_then(|(_, rest)| rest.split_once(end)).expect("a list").0;
        let names = list.split([' ', ',', '`']).filter(|word| !matches!(*word, "" | "and"));
        let mut listed = Vec::new();
        for name in names {
            let section = format!("{name}.");
            let is_meant = |key: &&String| match name.strip_suffix('*') {
                Some(start) => key.starts_with(start),
                None => *key == name || key.starts_with(&section),
            };
            let meant: Vec<_> = keys.iter().filter(is_meant).cloned().collect();
            assert!(!meant.is_empty(), "there is no key {name}");
            listed.extend(meant);
        }
        listed.sort();
        assert_eq!(listed, needed);
    }
}

#[test]
fn every_link_of_the_pages_leads_somewhere() {
    let pages = pages::all();
    let mut dead = Vec::new();
    for page in &pages {
        for link in page.links() {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let folder = Path::new(&page.path).parent().expect("a folder");
            let path = if file.is_empty() { Path::new(&page.path).to_owned() } else { folder.join(file) };
            let target = pages::root().join(path).canonicalize();
            let is_there = target.is_ok_and(|target| {
                let other = pages
                    .iter()
                    .find(|page| pages::root().join(&page.path).canonicalize().ok() == Some(target.clone()));
                anchor.is_empty() || other.is_some_and(|other| other.anchors().iter().any(|known| known == anchor))
            });
            if !is_there {
                dead.push(format!("{}: {link}", page.path));
            }
        }
    }
    assert_eq!(dead, Vec::<String>::new());
}

#[test]
fn the_readme_is_short_and_names_every_page() {
    let readme = pages::page("README.md");
    let lines = readme.text.lines().count();
    assert!(
        lines <= README_LINES_MAX,
        "the README has {lines} lines; {README_LINES_MAX} are enough, the rest is for docs/"
    );
    // Pages of areas are reached from the list of operations.
    let is_of_area = |page: &Page| page.path.starts_with("docs/operations/");
    for page in pages::all().iter().filter(|page| page.path != readme.path && !is_of_area(page)) {
        assert!(readme.links().contains(&&*page.path), "the README does not lead to {}", page.path);
    }
}
