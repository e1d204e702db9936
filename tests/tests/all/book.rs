//! The book: every page is in its table of contents and begins with a question of its reader, every state of a record is
//! on its drawing, and `mdbook build` makes pages that load nothing from elsewhere.

mod drawing;
mod states;

use enroll_tests::pages::{self, Page};
use enroll_tests::skip::is_installed;

const SUMMARY: &str = "docs/SUMMARY.md";

/// The pages of the book, without its table of contents.
fn book() -> Vec<Page> {
    pages::all().into_iter().filter(|page| page.path.starts_with("docs/") && page.path != SUMMARY).collect()
}

#[test]
fn every_page_is_in_the_table_of_contents_once() {
    let summary = pages::page(SUMMARY);
    let mut listed = summary.links();
    let mut pages: Vec<_> = book().iter().map(|page| page.path.trim_start_matches("docs/").to_owned()).collect();
    listed.sort_unstable();
    pages.sort();
    assert_eq!(listed, pages);
}

#[test]
fn every_page_begins_with_a_question_of_its_reader() {
    for page in book() {
        let mut lines = page.text.lines();
        assert!(lines.next().is_some_and(|title| title.starts_with("# ")), "{} has no title", page.path);
        assert_eq!(lines.next(), Some(""), "{}", page.path);
        let paragraph: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
        let paragraph = paragraph.join(" ") + " ";
        let end = paragraph.find(['?', '!']).or_else(|| paragraph.find(". "));
        let is_question = end.is_some_and(|end| {
            paragraph[end..].starts_with('?') && !paragraph[..end].contains(". ") && !paragraph.starts_with('#')
        });
        assert!(is_question, "{} does not begin with a question: {paragraph}", page.path);
    }
}

/// Rust is compiled and run as documentation tests of a crate, which has each page with a block of it.
#[test]
fn the_rust_of_every_page_is_tested() {
    let tested = std::fs::read_to_string(pages::root().join("docs/rust/src/lib.rs")).expect("the crate");
    for page in pages::all() {
        let blocks = page.blocks();
        let included = format!("include_str!(\"../../{}\")", page.path.trim_start_matches("docs/"));
        let is_included = tested.contains(&included);
        let has_rust = blocks.iter().any(|block| block.info.starts_with("rust"));
        assert_eq!(has_rust, is_included, "{}", page.path);
        // A block without a language is Rust there.
        let is_run = |info: &str| info == "rust" || !(info.is_empty() || info.starts_with("rust"));
        let is_run = blocks.iter().all(|block| is_run(block.info));
        assert!(!is_included || is_run, "{}: a block that is not run", page.path);
    }
}

/// A link that leads out of the book's folder leads nowhere once the book is built.
#[test]
fn no_page_of_the_book_leads_out_of_it() {
    for page in book() {
        let depth = page.path.matches('/').count() - 1;
        for link in page.links() {
            let ups = link.matches("../").count();
            assert!(ups <= depth && !link.starts_with('/'), "{}: {link} leads out of docs/", page.path);
        }
    }
}

/// Each promise names the tests that hold it, which are there.
#[test]
fn promises_name_tests_that_are_there() {
    let page = pages::page("docs/security.md");
    let names: Vec<_> = page.text.split('`').filter(|name| name.contains("::")).collect();
    assert!(names.len() > 10, "{names:?}");
    for name in names {
        let path = pages::root().join("tests/tests/all").join(name.replace("::", "/")).with_extension("rs");
        assert!(path.exists(), "{name} is no test");
    }
}

#[test]
fn mdbook_builds_pages_that_load_nothing_from_elsewhere() {
    if !is_installed("mdbook_builds_pages_that_load_nothing_from_elsewhere", "mdbook") {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let mut mdbook = std::process::Command::new("mdbook");
    let output = mdbook.args(["build", "--dest-dir"]).arg(directory.path()).arg(pages::root().join("docs")).output();
    let output = output.expect("run");
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && !said.contains("WARN") && !said.contains("ERROR"), "{said}");
    for page in book() {
        let built = directory.path().join(page.path.trim_start_matches("docs/")).with_extension("html");
        let html = std::fs::read_to_string(&built).unwrap_or_else(|err| panic!("{}: {err}", built.display()));
        for loaded in html.split(['<', '>']).filter(|tag| !tag.starts_with("a ") && tag.contains("=\"")) {
            assert!(!loaded.contains("src=\"http") && !loaded.contains("href=\"http"), "{}: {loaded}", page.path);
        }
    }
}
