//! The errors page: each block of commands on it ends with the refusal under whose heading it stands, and each code of
//! the table of refusals is one that some source answers.

use std::fs;
use std::path::PathBuf;

use enroll_protocol::Code;
use enroll_tests::pages;
use enroll_tests::process::{Daemon, run};

use super::readme::{follow, play};

/// Folders whose sources answer refusals.
const ANSWERING: &[&str] = &["daemon/src", "daemon/core/src", "client/src", "client/cli/src"];

/// The info of a block that ends with a refusal.
const REFUSED: &str = "sh refused";

/// The exit code of `unavailable`; other refusals end with 1.
const UNREACHABLE: i32 = 3;

#[test]
fn the_commands_of_the_errors_page_are_refused_as_printed() {
    let daemon = Daemon::start();
    play(&daemon, &pages::page("README.md"));
    let page = pages::page("docs/errors.md");
    let blocks = page.blocks_of(REFUSED);
    for block in &blocks {
        let (code, output) = (block.heading, run(follow(&daemon, "sh").arg("-u"), block.code));
        // `call` answers in lines of JSON, and has done its work then.
        let answered = output.stdout.contains(&format!("\"code\":\"{code}\""));
        let line = output.stderr.lines().last().unwrap_or_default();
        let refused = line.ends_with(&format!("({code})"));
        let expected = if code == "unavailable" { UNREACHABLE } else { i32::from(refused) };
        assert!((answered || refused) && output.code == Some(expected), "{code}: {output:?}");
    }
    // What needs a full disk, a full queue or a daemon that ends can not be provoked by a line.
    assert!(blocks.len() * 4 >= Code::TABLE.len() * 3, "{} of {} codes have commands", blocks.len(), Code::TABLE.len());
}

#[test]
fn every_code_is_answered_somewhere() {
    let sources: String = ANSWERING.iter().flat_map(|folder| sources(folder)).collect();
    let table = fs::read_to_string(pages::root().join("protocol/src/refusal.rs")).expect("the table");
    let rows = table.lines().filter_map(|line| {
        let mut words = line.trim_start().split(' ');
        words.next()?.parse::<u16>().ok()?;
        words.next()
    });
    let constants: Vec<&str> = rows.collect();
    assert_eq!(constants.len(), Code::TABLE.len());
    let is_said = |constant: &&str, end| sources.contains(&format!("(Code::{constant}{end}"));
    let is_answered = |constant: &&str| is_said(constant, ',') || is_said(constant, ')');
    let unused: Vec<_> = constants.into_iter().filter(|constant| !is_answered(constant)).collect();
    assert_eq!(unused, Vec::<&str>::new());
}

/// The sources of a folder without their tests and blanks.
fn sources(folder: &str) -> Vec<String> {
    let (mut folders, mut found) = (vec![pages::root().join(folder)], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path: PathBuf = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a text");
                let code = text.split("#[cfg(test)]").next().unwrap_or_default();
                found.push(code.split_whitespace().collect());
            }
        }
    }
    found
}
