//! The transcripts of the pages (their `console` blocks) are what the commands print today. `ENROLL_UPDATE=1` writes what
//! they print into the pages.

use enroll_tests::console::{CONSOLE, commands, played};
use enroll_tests::pages;
use enroll_tests::process::Daemon;

use super::readme::{follow, script};

/// The page whose registry others go on in.
const TOUR: &str = "docs/tour.md";

#[test]
fn transcripts_are_what_the_commands_print() {
    let mut stale = Vec::new();
    for page in pages::all().into_iter().filter(|page| !page.blocks_of(CONSOLE).is_empty()) {
        let daemon = Daemon::start();
        let now = played(&page, &mut follow(&daemon, "sh"));
        if std::env::var_os("ENROLL_UPDATE").is_some() {
            std::fs::write(pages::root().join(&page.path), &now).expect("written");
        } else if now != page.text {
            let differing = now.lines().zip(page.text.lines()).find(|(now, then)| now != then);
            stale.push(format!("{}: {differing:?}", page.path));
        }
    }
    assert_eq!(stale, Vec::<String>::new(), "ENROLL_UPDATE=1 writes what the commands print");
}

/// So a page that goes on from the tour goes on from the five minutes of the README, where the tests begin it.
#[test]
fn the_tour_makes_what_the_five_minutes_make() {
    let page = pages::page(TOUR);
    let typed: Vec<String> = page.blocks_of(CONSOLE).iter().flat_map(|block| commands(block.code)).collect();
    let readme = script(&pages::page("README.md"));
    for command in readme.lines().filter(|line| line.contains(" create ") || line.contains(" assign ")) {
        assert!(typed.iter().any(|line| line == command), "the tour has no {command}");
    }
}
