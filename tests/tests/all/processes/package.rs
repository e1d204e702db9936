//! The Debian package: what is in it, and its life from the first installation to the last purge, played by
//! `tests/package.sh` in a Debian that is booted for it.

use std::path::Path;

use enroll_tests::booted::{Booted, Missing, USER, play_in_image};
use enroll_tests::package::Packages;
use enroll_tests::pages;
use enroll_tests::process::Output;
use enroll_tests::skip::{skipped, unsupported};

const OLD: &str = "0.1.0-1";
const NEW: &str = "0.1.0-2";

/// The mark of the block of the page that installs the package.
const MARK: &str = "sh packaged";

/// In an image nothing runs: the package makes the user, and leaves the key to the first start.
const IN_IMAGE: &str = "
    dpkg -i old.deb </dev/null >told 2>&1
    cat told
    grep 'it starts at the next boot' told
    if grep 'secret key' told; then exit 1; fi
    test ! -e /etc/enrolld/enrolld.key -a ! -e /var/lib/enrolld
    getent passwd enrolld
    systemctl is-enabled enrolld.socket enrolld.service
";

#[test]
fn the_package_has_its_files_and_every_unit() {
    const TEST: &str = "the_package_has_its_files_and_every_unit";
    let packages = match Packages::prepare() {
        Ok(packages) => packages,
        Err(needs) => return skipped(TEST, &needs),
    };
    let package = packages.make(OLD);
    let listed = packages.ask("--contents", &package);
    let files: Vec<&str> = listed.lines().filter_map(|line| line.split_whitespace().last()).collect();
    let mut expected = vec![
        "./usr/bin/enrolld".to_owned(),
        "./usr/bin/enrollctl".to_owned(),
        "./etc/enrolld/enrolld.toml".to_owned(),
        "./usr/lib/sysusers.d/enrolld.conf".to_owned(),
        "./usr/lib/tmpfiles.d/enrolld.conf".to_owned(),
        "./usr/share/doc/enrolld/copyright".to_owned(),
        "./usr/share/doc/enrolld/changelog.gz".to_owned(),
        "./usr/share/doc/enrolld/changelog.Debian.gz".to_owned(),
        "./usr/share/doc/enrolld/examples/enrolld.toml".to_owned(),
        "./usr/share/bash-completion/completions/enrollctl".to_owned(),
    ];
    for entry in pages::root().join("systemd").read_dir().expect("a folder") {
        let name = entry.expect("an entry").file_name().into_string().expect("a name");
        let is_unit = [".service", ".socket", ".timer", ".target"].iter().any(|ending| name.ends_with(ending));
        expected.extend(is_unit.then(|| format!("./usr/lib/systemd/system/{name}")));
    }
    for file in expected {
        assert!(files.contains(&file.as_str()), "{file} is not in {files:#?}");
    }
    let needs = packages.ask("--field", &package);
    let depends = needs.lines().find(|line| line.starts_with("Depends: ")).unwrap_or_else(|| panic!("{needs}"));
    for library in depends.trim_start_matches("Depends: ").split(", ") {
        let is_expected = ["libc6 ", "libgcc-s1 ", "systemd "].iter().any(|name| library.starts_with(name));
        assert!(is_expected, "it depends on {library}");
    }
}

#[test]
fn the_package_is_installed_used_upgraded_removed_and_purged() {
    const TEST: &str = "the_package_is_installed_used_upgraded_removed_and_purged";
    let packages = match Packages::prepare() {
        Ok(packages) => packages,
        Err(needs) => return skipped(TEST, &needs),
    };
    let named = [(OLD, "old.deb"), (NEW, "new.deb"), (OLD, "enrolld_0.1.0-1_amd64.deb")].map(|(version, name)| {
        let made = packages.make(version);
        let named = made.with_file_name(name);
        std::fs::rename(made, &named).expect("renamed");
        named
    });
    let started = play_in_image(&[&named[0]], IN_IMAGE).and_then(|image| Ok((image, Booted::start()?)));
    let (image, machine) = match started {
        Ok(started) => started,
        Err(Missing::Tool(needs)) => return skipped(TEST, &needs),
        Err(Missing::Host(why)) => {
            return unsupported(TEST, &format!("{why}; play tests/package.sh in a virtual machine"));
        }
    };
    expect_success(&image);
    named.iter().for_each(|package| machine.put(package));
    machine.put(&packages.make_console(OLD));
    machine.put(&pages::root().join("tests/package.sh"));
    let play = |phase: &str| machine.play("root", &format!("sh package.sh old.deb new.deb {phase}"));
    let phases = play("phases").stdout;
    assert!(phases.split_whitespace().count() > 10, "{phases}");
    for phase in phases.split_whitespace() {
        expect_success(&play(phase));
    }
    as_the_page_says(&machine);
}

/// From the file to the first approved person, in the commands of the page.
fn as_the_page_says(machine: &Booted) {
    expect_success(&machine.play(
        "root",
        &format!("useradd --create-home {USER}; echo '{USER} ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/user"),
    ));
    let page = pages::page("docs/systemd.md");
    let blocks = page.blocks_of(MARK);
    assert_eq!(blocks.iter().map(|block| block.heading).collect::<Vec<_>>(), ["Install"]);
    assert!(blocks[0].code.lines().count() <= 6, "{}", blocks[0].code);
    expect_success(&machine.play(USER, blocks[0].code));
    expect_success(&machine.play("root", "enrollctl person get CAT02b"));
}

fn expect_success(output: &Output) {
    assert_eq!(output.code, Some(0), "{}\n{}", output.stdout, output.stderr);
}

/// Callers wait in the socket over an upgrade, so its address is never changed without saying so: a socket that listens
/// is dead after a change until it is restarted, and its callers are refused meanwhile.
#[test]
fn the_socket_of_the_package_listens_where_the_last_release_did() {
    let unit = pages::page("systemd/enrolld.socket").text;
    let listens: Vec<&str> = unit.lines().filter(|line| line.starts_with("Listen")).collect();
    assert_eq!(
        listens,
        ["ListenStream=/run/enrolld/enrolld.sock"],
        "postinst must restart it, and the changelog say so"
    );
}

/// The version of the package is that of the programs, and every unit that the package has to start, stop or tell of is
/// named in its scripts.
#[test]
fn the_scripts_and_the_changelog_of_the_package_fit_its_files() {
    let of_package = |name: &str| pages::page(&format!("daemon/debian/{name}")).text;
    let changelog = of_package("changelog");
    let first = changelog.lines().next().expect("a line");
    assert!(first.starts_with(&format!("enrolld ({}-", env!("CARGO_PKG_VERSION"))), "{first}");
    for entry in pages::root().join("systemd").read_dir().expect("a folder") {
        let name = entry.expect("an entry").file_name().into_string().expect("a name");
        let ending = Path::new(&name).extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        let scripts: &[&str] = match ending {
            "socket" | "timer" => &["preinst", "postinst", "prerm", "postrm"],
            "service" => &["preinst"],
            _ => &[],
        };
        for script in scripts {
            assert!(of_package(script).contains(&name), "daemon/debian/{script} does not name {name}");
        }
    }
    for script in ["preinst", "postinst", "prerm", "postrm"] {
        let text = of_package(script);
        assert!(text.starts_with("#!/bin/sh\n# ") && text.contains("\nset -e\n"), "{script}");
        assert!(!text.contains("restart enrolld.socket"), "{script} restarts the socket");
    }
}
