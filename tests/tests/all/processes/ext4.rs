//! A real ext4 file system that fails, under the real daemon. It needs root and a kernel that mounts.
//!
//! An ext4 lies in a file on a small memory disk. When that is full, the ext4 believes that it has space and its syncs
//! fail: what it shows afterwards is not what it has. The file is the platter, and a copy of it is what a power loss
//! leaves.
//!
//! The loop device reports a write as done if only a part of it was written, which no honest disk does; so it gets its
//! writes block by block, and each is done or fails.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use enroll_protocol::Code;
use enroll_tests::process::{Daemon, Home, PATIENCE, run_refused};
use enroll_tests::skip::{may_mount, skipped};
use tempfile::TempDir;

use super::disk::{expect_each_once, is_unknown, use_token, use_tokens_until_it_ends};
use super::expect_sound;

const ROUNDS: usize = 8;

/// Tokens that are used after the failure.
const LATE: Range<u32> = 1_000_000..1_000_050;

/// More than the thousand blocks of the journal need.
const JOURNAL_SYNCS: usize = 600;

/// Mounted file systems, below a directory of their own; unmounted at the end, whatever the end is.
pub(super) struct Mounts {
    mounted: Vec<PathBuf>,
    directory: TempDir,
}

impl Mounts {
    /// None yet, if this process may mount at all; says for this test what is missing otherwise.
    pub(super) fn make(test: &str) -> Option<Self> {
        let directory = tempfile::tempdir().expect("a directory");
        may_mount(test).then_some(Self { mounted: Vec::new(), directory })
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Mounts something there, and says whether that went well.
    pub(super) fn mount(&mut self, name: &str, what: &[&str]) -> bool {
        let path = self.path(name);
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&path).expect("a directory");
        let is_mounted = ran(Command::new("mount").args(what).arg(&path));
        if is_mounted {
            self.mounted.push(path);
        }
        is_mounted
    }

    /// Mounts the file system in this file on a loop device that takes one block at a time.
    fn mount_image(&mut self, name: &str, image: &Path) -> bool {
        let found = Command::new("losetup").args(["--find", "--show"]).arg(image).stderr(Stdio::null()).output();
        let Some(device) = found.ok().filter(|found| found.status.success()) else { return false };
        let device = String::from_utf8_lossy(&device.stdout).trim().to_owned();
        let limit = format!("/sys/block/{}/queue/max_sectors_kb", device.trim_start_matches("/dev/"));
        let is_mounted = std::fs::write(limit, "4").is_ok() && self.mount(name, &[&device]);
        // It is gone with its mount, or now.
        ran(Command::new("losetup").args(["--detach", &device]));
        is_mounted
    }

    fn unmount(&mut self, name: &str) {
        let path = self.path(name);
        assert!(ran(Command::new("umount").arg(&path)), "{} is not unmounted", path.display());
        self.mounted.retain(|mounted| *mounted != path);
    }
}

impl Drop for Mounts {
    fn drop(&mut self) {
        for path in self.mounted.iter().rev() {
            // A process that still works there is gone in a moment.
            if !ran(Command::new("umount").arg(path)) {
                ran(Command::new("umount").arg("-l").arg(path));
            }
        }
    }
}

fn ran(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Fills a disk until so many bytes are left; the file that does it.
fn fill(directory: &Path, left: usize) -> PathBuf {
    let path = directory.join("ballast");
    let mut file = OpenOptions::new().create(true).append(true).open(&path).expect("a file");
    for size in [64 << 10, 4 << 10] {
        while file.write(&vec![1; size]).is_ok_and(|written| written > 0) {}
    }
    let bytes = file.metadata().expect("metadata").len();
    file.set_len(bytes - left as u64).expect("cut");
    path
}

/// A home whose state lies in a directory elsewhere.
fn home_with_state_in(directory: &Path) -> Home {
    let home = Home::make();
    lead_to(&home, directory);
    home
}

fn lead_to(home: &Home, directory: &Path) {
    let state = directory.join("state");
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&state).expect("a directory");
    // There is none yet the first time.
    let _ = std::fs::remove_file(home.state_dir());
    symlink(state, home.state_dir()).expect("a link");
}

/// Syncs until ext4's own journal was overwritten once: it then has its blocks on the platter, so only writes of data
/// can fail to find any.
fn wear_in(directory: &Path) {
    let path = directory.join("wear");
    for number in 0..JOURNAL_SYNCS {
        let mut file = std::fs::File::create(&path).expect("a file");
        file.write_all(&vec![1; 4096 * (1 + number % 3)]).and_then(|()| file.sync_all()).expect("synced");
    }
    std::fs::remove_file(&path).expect("removed");
}

/// One failed sync, a start after it, and a power loss after that. Whether the file system took writes all the while:
/// it may also find that its own notes failed, and then wants to be mounted anew.
fn fail_and_lose_power(mounts: &mut Mounts, round: usize) -> bool {
    // In the other rounds it is the database that finds no place, or the next segment.
    let is_journal_hollow = round.is_multiple_of(2);
    let [platter, disk, copied] = ["platter", "disk", "copied"].map(|name| format!("{name}{round}"));
    assert!(mounts.mount(&platter, &["-t", "tmpfs", "-o", "size=16m", "none"]));
    let image = mounts.path(&platter).join("image");
    std::fs::File::create(&image).and_then(|file| file.set_len(64 << 20)).expect("an image");
    let options = [
        "-q",
        "-F",
        "-b",
        "4096",
        "-N",
        "64",
        "-J",
        "size=4",
        "-E",
        "nodiscard,lazy_itable_init=0,lazy_journal_init=0",
    ];
    assert!(ran(Command::new("mkfs.ext4").args(options).arg(&image)), "no file system");
    assert!(mounts.mount_image(&disk, &image), "no loop device");

    wear_in(&mounts.path(&disk));
    let home = home_with_state_in(&mounts.path(&disk));
    // The ext4 knows nothing of its platter.
    home.configure("[database]\nfree_mib = 0\n");
    let mut daemon = home.start();
    if is_journal_hollow {
        // The journal has its place before it is needed. Where there are zeros, the platter takes it back.
        assert!(ran(&mut Command::new("sync")), "not synced");
        assert!(ran(Command::new("fallocate").arg("--dig-holes").arg(&image)), "no holes");
    }
    let ballast = fill(&mounts.path(&platter), round << 16);
    let answers = use_tokens_until_it_ends(&daemon);
    assert_eq!(daemon.ended(PATIENCE), Some(6), "{}", daemon.log());
    if is_journal_hollow {
        assert!(answers.values().any(is_unknown), "the journal was synced: {}", daemon.log());
    }

    std::fs::remove_file(ballast).expect("removed");
    let takes_writes = std::fs::create_dir(mounts.path(&disk).join("takes writes")).is_ok();
    if !takes_writes {
        mounts.unmount(&disk);
        assert!(mounts.mount_image(&disk, &image), "not mounted anew");
    }
    daemon.restart();
    let mut answers = expect_each_once(&daemon, &answers);
    for number in LATE {
        answers.extend(expect_each_once(&daemon, &[(number, None)].into()));
    }
    let copy = mounts.path(&format!("{copied}.image"));
    assert!(ran(Command::new("cp").arg("--sparse=always").arg(&image).arg(&copy)), "not copied");
    daemon.kill9();

    assert!(mounts.mount_image(&copied, &copy), "the copy is no file system");
    lead_to(&daemon.home, &mounts.path(&copied));
    daemon.restart();
    expect_each_once(&daemon, &answers);
    expect_sound(&daemon);
    daemon.kill9();
    for name in [&copied, &disk, &platter] {
        mounts.unmount(name);
    }
    takes_writes
}

#[test]
fn an_ext4_whose_syncs_fail_loses_nothing_that_was_acknowledged() {
    const TEST: &str = "an_ext4_whose_syncs_fail_loses_nothing_that_was_acknowledged";
    if !ran(Command::new("mkfs.ext4").arg("-V")) {
        return skipped(TEST, "needs mkfs.ext4 (package e2fsprogs)");
    }
    let Some(mut mounts) = Mounts::make(TEST) else { return };
    let kept_on = (0..ROUNDS).filter(|round| fail_and_lose_power(&mut mounts, *round)).count();
    let _ = writeln!(std::io::stderr(), "{kept_on} of {ROUNDS} file systems took writes after the failure");
    assert!(kept_on > 0, "no start met a file system that shows what it does not have");
}

#[test]
fn a_disk_that_fills_up_stops_writes_and_not_reads() {
    let Some(mut mounts) = Mounts::make("a_disk_that_fills_up_stops_writes_and_not_reads") else { return };
    assert!(mounts.mount("disk", &["-t", "tmpfs", "-o", "size=24m", "none"]));
    let disk = mounts.path("disk");
    let home = home_with_state_in(&disk);
    home.configure("[database]\nfree_mib = 8\n");
    let mut daemon = home.start();
    let write = |daemon: &Daemon, nonce| daemon.enrollctl(&["token", "use"], nonce);
    let expect_reads_only = |daemon: &Daemon| {
        let refused = write(daemon, "late");
        assert!(refused.code == Some(1) && refused.stderr.contains("storage"), "{refused:?}");
        assert_eq!(daemon.enrollctl(&["token", "get"], "early").code, Some(0));
    };
    assert_eq!(write(&daemon, "early").code, Some(0));
    // All writes are in the database now, and nothing is left to be flushed.
    assert_eq!(daemon.terminate(), Some(0), "{}", daemon.log());
    daemon.restart();

    let ballast = fill(&disk, 4 << 20);
    expect_reads_only(&daemon);
    expect_reads_only(&daemon);
    assert_eq!(daemon.log().matches("too little free space").count(), 1, "{}", daemon.log());
    // Nothing at all is left now. A daemon that works reads on, and so does the next one.
    fill(&disk, 0);
    expect_reads_only(&daemon);
    daemon.kill9();
    daemon.restart();
    expect_reads_only(&daemon);
    fill(&disk, 4 << 20);
    assert_eq!(daemon.terminate(), Some(0), "{}", daemon.log());
    daemon.restart();
    expect_reads_only(&daemon);

    std::fs::remove_file(&ballast).expect("removed");
    let written = write(&daemon, "late");
    assert_eq!(written.code, Some(0), "{written:?}");
    assert!(daemon.log().contains("there is free space again"), "{}", daemon.log());
    expect_sound(&daemon);

    // A new registry finds no place, says where, and leaves nothing that would be in the way later.
    let full = mounts.path("full");
    assert!(mounts.mount("full", &["-t", "tmpfs", "-o", "size=1m", "none"]));
    let home = home_with_state_in(&full);
    let ballast = fill(&full, 8 << 10);
    let refused = run_refused(&mut home.enrolld());
    assert_eq!(refused.code, Some(6), "{refused:?}");
    assert!(refused.stderr.contains("enrolld.redb.new") && refused.stderr.contains("space"), "{refused:?}");
    std::fs::remove_file(&ballast).expect("removed");
    assert!(ran(Command::new("mount").args(["-o", "remount,size=16m"]).arg(&full)));
    expect_sound(&home.start());
}

/// Uses tokens until one is refused because there is too little space, and is answered until then; how many.
fn use_tokens_until_there_is_no_space(daemon: &Daemon, tokens: Range<u32>) -> usize {
    let client = daemon.client();
    let refused = tokens.clone().position(|number| match client.call(use_token(number)) {
        Ok(_) => false,
        Err(err) => {
            assert_eq!(err.refusal().map(|refusal| refusal.code), Some(Code::STORAGE), "{err}: {}", daemon.log());
            true
        }
    });
    refused.unwrap_or_else(|| panic!("{tokens:?}, and there is place: {}", daemon.log()))
}

#[test]
fn a_disk_without_place_for_the_next_segment_stops_writes_and_not_reads() {
    const TEST: &str = "a_disk_without_place_for_the_next_segment_stops_writes_and_not_reads";
    let Some(mut mounts) = Mounts::make(TEST) else { return };
    assert!(mounts.mount("disk", &["-t", "tmpfs", "-o", "size=40m", "none"]));
    let disk = mounts.path("disk");
    let home = home_with_state_in(&disk).with("ENROLLD_JOURNAL_SEGMENT_MIB", "4");
    home.configure("[database]\nfree_mib = 4\n");
    let mut daemon = home.start();
    let expect_reads = |daemon: &Daemon| assert_eq!(daemon.enrollctl(&["token", "get"], "token 0").code, Some(0));
    assert_eq!(daemon.client().call(use_token(0)).map(drop), Ok(()));
    // The configured free space is there, and a segment's is not.
    let ballast = fill(&disk, 7 << 20);
    assert_eq!(use_tokens_until_there_is_no_space(&daemon, 1..2), 0);
    expect_reads(&daemon);
    // Some segments are, until the database has taken their place.
    std::fs::remove_file(&ballast).expect("removed");
    let used = use_tokens_until_there_is_no_space(&daemon, 1..20_000);
    assert!(used > 1000, "{used}");
    expect_reads(&daemon);
    daemon.kill9();
    daemon.restart();
    expect_reads(&daemon);
    assert_eq!(daemon.terminate(), Some(0), "{}", daemon.log());
    daemon.restart();
    expect_reads(&daemon);
    expect_sound(&daemon);
}
