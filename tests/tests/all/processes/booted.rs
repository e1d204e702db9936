//! What the README has an administrator type on a machine with systemd, played there as printed: installing it, copies,
//! the stopped daemon's database, another key, and the way out where it was started too often.
//!
//! The blocks to be played are marked `sh booted` in the README, and stay there.

use enroll_tests::booted::{Booted, USER};
use enroll_tests::process::{Output, skipped};

const README: &str = include_str!("../../../../README.md");
const DOCS: &[&str] = &[
    include_str!("../../../../docs/access.md"),
    include_str!("../../../../docs/performance.md"),
    include_str!("../../../../docs/writes.md"),
];

const MARK: &str = "```sh booted\n";

/// The paragraphs that have marked blocks.
const PLAYED: &[&str] = &[
    "### Under systemd",
    "**Metrics**",
    "**Backup**",
    "**Export and import**",
    "**The stopped daemon's database**",
    "**Another secret key**",
];

/// How blocks begin that nobody plays in it: building, measuring for minutes, and what another service has signed.
const NOT_PLAYED: &[&str] = &["cargo ", "enrollctl bench ", "enroll-bench ", "printf %s \"$THEIRS\""];

/// The marked blocks of a paragraph, or of a section.
fn blocks(title: &str) -> Vec<&'static str> {
    let text = README.split_once(&format!("\n{title}")).unwrap_or_else(|| panic!("{title} is not there")).1;
    let end = text.find("\n**").into_iter().chain(text.find("\n##")).min().unwrap_or(text.len());
    let blocks = text[..end].split(MARK).skip(1);
    blocks.map(|block| block.split("```").next().expect("its end")).collect()
}

/// A block of a paragraph by its number.
fn block(title: &str, number: usize) -> &'static str {
    blocks(title).get(number).unwrap_or_else(|| panic!("{title} has no block {number}"))
}

#[test]
fn every_command_of_the_docs_is_played_somewhere() {
    let marked: usize = PLAYED.iter().map(|title| blocks(title).len()).sum();
    assert_eq!(marked, README.matches(MARK).count(), "a marked block is in a paragraph that is not played");
    let minutes = five_minutes();
    for document in DOCS.iter().chain([&README]) {
        for block in document.split("```sh\n").skip(1) {
            let block = block.split("```").next().expect("its end");
            let is_known = minutes.contains(&block) || NOT_PLAYED.iter().any(|start| block.starts_with(start));
            assert!(is_known, "nobody plays this; mark it with `sh booted`:\n{block}");
        }
    }
}

/// The blocks of the five minutes, which are not marked: they are played without systemd too.
fn five_minutes() -> Vec<&'static str> {
    let section = README.split("\n## ").find(|section| section.starts_with("Five minutes")).expect("the section");
    let blocks = section.split("```sh\n").skip(1).map(|block| block.split("```").next().expect("its end"));
    blocks.filter(|block| !block.starts_with("cargo")).collect()
}

/// A machine on which things are played one after the other.
struct Machine(Booted);

impl Machine {
    /// Does what must go well.
    fn play(&self, user: &str, script: &str) -> String {
        let Output { stdout, stderr, code } = self.0.play(user, script);
        if code != Some(0) {
            let log = self.0.play("root", "journalctl --no-pager -n 40 -u enrolld.service -u enrolld.socket").stdout;
            panic!("{code:?} of\n{script}\n{stdout}\n{stderr}\n{log}");
        }
        stdout
    }

    /// The daemon serves, its registry is sound and the one that the story began with, and every file of it is its own.
    fn expect_whole(&self) {
        self.play("root", "systemctl is-active enrolld.socket enrolld.service && enrollctl server check");
        self.play("root", r#"test -z "$(find /var/lib/enrolld ! \( -user enrolld -group enrolld \) -o -perm /077)""#);
        let refused = self.0.play("root", "printf nonce-4711 | enrollctl token use");
        assert!(refused.stderr.contains("token_reuse"), "{refused:?}");
    }
}

const STOP: &str = "systemctl stop enrolld.socket enrolld.service";
const START: &str = "systemctl start enrolld.socket enrolld.service";

#[test]
fn what_the_readme_says_for_systemd_works_as_printed() {
    let machine = match Booted::start() {
        Ok(booted) => Machine(booted),
        Err(needs) => return skipped("what_the_readme_says_for_systemd_works_as_printed", &needs),
    };
    machine.play(
        "root",
        &format!("useradd --create-home {USER}; echo '{USER} ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/user"),
    );
    machine.play("root", "echo 127.0.0.1 $(hostname) >> /etc/hosts");
    installing(&machine);
    starting_over_and_over(&machine);
    copies(&machine);
    the_stopped_database(&machine);
    another_key(&machine);
    another_registry(&machine);
}

fn installing(machine: &Machine) {
    machine.play(USER, block("### Under systemd", 0));
    let status = machine.play(USER, r#"sg enrolld "enrollctl --json server status""#);
    assert!(status.contains("\"topic\":\"registry\""), "a new registry under a key that was there: {status}");
    machine.play("root", &five_minutes().concat());
    machine.expect_whole();
}

fn starting_over_and_over(machine: &Machine) {
    machine.play("root", "test ! -e /bin/kill && systemctl reload enrolld");
    machine.play("root", "journalctl --no-pager -u enrolld | grep 'configuration'");
    machine.play("root", "for _ in 1 2 3 4 5 6 7; do systemctl restart enrolld; done");
    machine.expect_whole();
    let refused = machine.0.play("root", "for _ in $(seq 20); do systemctl restart enrolld 2>&1; done");
    assert!(refused.code == Some(1) && refused.stdout.contains("reset-failed"), "{refused:?}");
    machine.play(USER, block("### Under systemd", 1));
    machine.expect_whole();
}

fn copies(machine: &Machine) {
    machine.play("root", block("**Metrics**", 0));
    let rehearsed = machine.play("root", block("**Backup**", 0));
    assert!(rehearsed.contains("can be restored"), "{rehearsed}");
    machine.play("root", &format!("{STOP}; mv /var/lib/enrolld /var/lib/enrolld.first; mkdir -m 700 /var/lib/enrolld"));
    machine.play("root", "cp -p /etc/enrolld/enrolld.key /var/lib/enrolld");
    machine.play("root", block("**Backup**", 1));
    machine.play("root", &format!("rm /var/lib/enrolld/enrolld.key; {START}"));
    machine.expect_whole();
    machine.play(USER, block("**Backup**", 2));
    machine.expect_whole();
    machine.play("root", "rm -r /var/lib/enrolld.before /var/lib/enrolld.first");
}

fn the_stopped_database(machine: &Machine) {
    let checked = machine.play(USER, block("**The stopped daemon's database**", 0));
    assert!(checked.contains("sound") && checked.contains("the right one"), "{checked}");
    machine.expect_whole();
    machine.play("root", STOP);
    let as_unit =
        "systemd-run --quiet --pipe --wait -p User=enrolld -p LoadCredential=enrolld.key:/etc/enrolld/enrolld.key";
    for check in [
        format!("{as_unit} enrolld check --state-dir /var/lib/enrolld"),
        format!("{as_unit} enrolld restore - --check <registry.backup"),
        "mount --bind -o ro /var/lib/enrolld /mnt; ! touch /mnt/lock 2>&1; trap 'umount /mnt' EXIT; \
         enrolld check --state-dir /mnt --key-file /etc/enrolld/enrolld.key"
            .to_owned(),
    ] {
        let checked = machine.play("root", &check);
        assert!(checked.contains("the right one"), "{check}: {checked}");
    }
    machine.play("root", START);
    machine.expect_whole();
}

fn another_key(machine: &Machine) {
    let keys = "cat /etc/enrolld/enrolld.key; stat -c '%U %a' /etc/enrolld/enrolld.key";
    let before = machine.play("root", keys);
    machine.play(USER, block("**Another secret key**", 0));
    machine.expect_whole();
    let after = machine.play("root", keys);
    assert!(before != after && after.ends_with("root 600\n"), "another key, for root alone");
    let again = machine.0.play("root", &format!("{STOP}; enrolld rotate-key --key-file /etc/enrolld/enrolld.key"));
    assert!(again.code == Some(1) && again.stderr.contains("enrolld.key.old"), "{again:?}");
    machine.play("root", START);
    machine.expect_whole();
}

fn another_registry(machine: &Machine) {
    machine.play("root", block("**Export and import**", 0));
    machine.play("root", &format!("{STOP}; rm -r /var/lib/enrolld; {START}"));
    machine.play("root", block("**Export and import**", 1));
    machine.play("root", "enrollctl person get DOGGO01a && enrollctl server check");
}
