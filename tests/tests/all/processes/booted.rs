//! The commands for a machine with systemd, played as the pages print them in a Debian that is booted for them:
//! installing, copies, the stopped daemon's database, another key, and the way out after too many starts.
//!
//! The blocks to be played are marked `sh booted` on the pages, and stay there. Those of the examples are played by the
//! tests of the examples.

use enroll_tests::booted::{Booted, Missing, USER};
use enroll_tests::pages;
use enroll_tests::process::Output;
use enroll_tests::skip::{skipped, unsupported};

use super::readme::script;

/// The mark of a block that is played here.
const MARK: &str = "sh booted";

/// The headings with a marked block, in the order of the pages.
const PLAYED: &[(&str, &str)] = &[
    (BACKUP, "Back up"),
    (BACKUP, "Scheduled backups"),
    (BACKUP, "Restore"),
    (BACKUP, "Restore under systemd"),
    (BACKUP, "Export"),
    (BACKUP, "Import"),
    (ENROLLCTL, "Whose daemon answers"),
    (EXAMPLES, BEHIND_NGINX),
    (EXAMPLES, BEHIND_NGINX),
    (EXAMPLES, BEHIND_NGINX),
    (OPERATING, "Another secret key"),
    (OPERATING, "Metrics"),
    (OPERATING, "The stopped daemon's database"),
    (SYSTEMD, "Install by hand"),
    (SYSTEMD, "An image of a machine"),
    (SYSTEMD, "Crashes, and too many starts"),
];

const BACKUP: &str = "docs/backup.md";
const ENROLLCTL: &str = "docs/enrollctl.md";
const EXAMPLES: &str = "docs/examples.md";
const OPERATING: &str = "docs/operating.md";
const SYSTEMD: &str = "docs/systemd.md";

/// The heading whose blocks make the invitation service a unit.
const BEHIND_NGINX: &str = "Invitations, behind nginx";

/// The marked blocks that make the invitation service a unit, one after the other.
pub(super) fn invitations_behind_nginx() -> String {
    let page = pages::page(EXAMPLES);
    page.blocks_of(MARK).into_iter().filter(|block| block.heading == BEHIND_NGINX).map(|block| block.code).collect()
}

/// The marked block below a heading.
fn block(path: &str, heading: &str) -> String {
    let page = pages::page(path);
    let block = page.blocks_of(MARK).into_iter().find(|block| block.heading == heading);
    block.unwrap_or_else(|| panic!("{path} has no marked block below {heading}")).code.to_owned()
}

#[test]
fn every_marked_block_of_the_pages_is_played_here() {
    let mut marked = Vec::new();
    for page in pages::all() {
        let headings = page.blocks_of(MARK).into_iter().map(|block| (page.path.clone(), block.heading.to_owned()));
        marked.extend(headings);
    }
    let played: Vec<_> = PLAYED.iter().map(|(path, heading)| ((*path).to_owned(), (*heading).to_owned())).collect();
    assert_eq!(marked, played, "a marked block that nobody plays, or one that is gone");
}

/// Commands that need no systemd are played under it too, and make the registry of this story.
fn everything_else() -> String {
    pages::all().iter().map(script).collect()
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
fn what_the_pages_say_for_systemd_works_as_printed() {
    const TEST: &str = "what_the_pages_say_for_systemd_works_as_printed";
    let machine = match Booted::start() {
        Ok(booted) => Machine(booted),
        Err(Missing::Tool(needs)) => return skipped(TEST, &needs),
        Err(Missing::Host(why)) => return unsupported(TEST, &why),
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
    an_image(&machine);
}

fn installing(machine: &Machine) {
    machine.play(USER, &block(SYSTEMD, "Install by hand"));
    let status = machine.play(USER, r#"sg enrolld "enrollctl --json server status""#);
    assert!(!status.contains("\"topic\":\"registry\""), "a new registry under a new key: {status}");
    machine.play("root", &everything_else());
    machine.play("root", &block(ENROLLCTL, "Whose daemon answers"));
    let refused = machine.0.play("root", "enrollctl --require-peer daemon server status");
    assert!(refused.code == Some(3) && refused.stderr.contains("enrolld"), "{refused:?}");
    machine.expect_whole();
}

fn starting_over_and_over(machine: &Machine) {
    machine.play("root", "rm -f /bin/kill /usr/bin/kill && systemctl reload enrolld");
    machine.play("root", "journalctl --no-pager -u enrolld | grep 'configuration'");
    machine.play("root", "for _ in 1 2 3 4 5 6 7; do systemctl restart enrolld; done");
    machine.expect_whole();
    let refused = machine.0.play("root", "for _ in $(seq 20); do systemctl restart enrolld 2>&1; done");
    assert!(refused.code == Some(1) && refused.stdout.contains("reset-failed"), "{refused:?}");
    machine.play(USER, &block(SYSTEMD, "Crashes, and too many starts"));
    machine.expect_whole();
}

fn copies(machine: &Machine) {
    machine.play("root", &block(OPERATING, "Metrics"));
    let rehearsed = machine.play("root", &block(BACKUP, "Back up"));
    assert!(rehearsed.contains("can be restored"), "{rehearsed}");
    machine.play("root", "printf '[backup]\ndirectory = \"/var/backups/enrolld\"\n' >>/etc/enrolld/enrolld.toml");
    machine.play(USER, &block(BACKUP, "Scheduled backups"));
    machine.play("root", "ls /var/backups/enrolld/enrolld-*.backup");
    let status = machine.play("root", "enrollctl server status --json");
    assert!(status.contains("\"last_backup\":\"20"), "{status}");
    machine.play("root", &format!("{STOP}; mv /var/lib/enrolld /var/lib/enrolld.first; mkdir -m 700 /var/lib/enrolld"));
    machine.play("root", "cp -p /etc/enrolld/enrolld.key /var/lib/enrolld");
    machine.play("root", &block(BACKUP, "Restore"));
    machine.play("root", &format!("rm /var/lib/enrolld/enrolld.key; {START}"));
    machine.expect_whole();
    machine.play(USER, &block(BACKUP, "Restore under systemd"));
    machine.expect_whole();
    machine.play("root", "rm -r /var/lib/enrolld.before /var/lib/enrolld.first");
}

fn the_stopped_database(machine: &Machine) {
    let checked = machine.play(USER, &block(OPERATING, "The stopped daemon's database"));
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
    machine.play(USER, &block(OPERATING, "Another secret key"));
    machine.expect_whole();
    let after = machine.play("root", keys);
    assert!(before != after && after.ends_with("root 600\n"), "another key, for root alone");
    let again = machine.0.play("root", &format!("{STOP}; enrolld rotate-key --key-file /etc/enrolld/enrolld.key"));
    assert!(again.code == Some(1) && again.stderr.contains("enrolld.key.old"), "{again:?}");
    machine.play("root", START);
    machine.expect_whole();
}

fn another_registry(machine: &Machine) {
    machine.play("root", &block(BACKUP, "Export"));
    machine.play("root", &format!("{STOP}; rm -r /var/lib/enrolld; {START}"));
    machine.play("root", &block(BACKUP, "Import"));
    machine.play("root", "enrollctl person get DOGGO01a && enrollctl server check");
}

fn an_image(machine: &Machine) {
    let refused = machine.0.play(USER, &block(SYSTEMD, "An image of a machine"));
    assert!(refused.code == Some(1) && refused.stderr.contains("holds records"), "{refused:?}");
    machine.play("root", "rm -r /var/lib/enrolld && systemctl start enrolld.socket enrolld.service");
    let key = machine.play("root", "cat /etc/enrolld/enrolld.key");
    machine.play(USER, &block(SYSTEMD, "An image of a machine"));
    machine.play("root", "test ! -e /etc/enrolld/enrolld.key -a ! -e /var/lib/enrolld/enrolld.redb");
    machine.play("root", START);
    assert_ne!(machine.play("root", "cat /etc/enrolld/enrolld.key"), key);
    machine.play("root", "enrollctl server check");
}
