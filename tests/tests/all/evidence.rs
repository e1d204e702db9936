//! Evidence: the tables of attacks, promises and faults in the pages, held to the tests that they name.

use std::fs;

use enroll_tests::pages;

/// The rows of the first table behind a heading, without their marks.
fn rows(page: &str, heading: &str) -> Vec<String> {
    let text = fs::read_to_string(pages::root().join(page)).expect("the page");
    let (_, table) = text.split_once(heading).unwrap_or_else(|| panic!("{page} has no {heading}"));
    let rows = table.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    rows.take_while(|line| line.starts_with('|')).map(|line| line.trim_matches('|').to_owned()).collect()
}

/// Each row has so many columns, of which this one names tests that are there.
fn expect_tests(rows: &[String], columns: usize, of_tests: usize) {
    let sources: String =
        ["tests/tests", "daemon/src", "daemon/core/src", "client"].iter().map(|of| texts_in(of)).collect();
    for row in rows {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        assert_eq!(cells.len(), columns, "{row}");
        let tests: Vec<&str> = cells[of_tests].split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty(), "no test: {row}");
        for test in tests {
            let name = test.rsplit("::").next().unwrap_or(test);
            assert!(sources.contains(&format!("fn {name}()")), "there is no test {name}: {row}");
        }
    }
}

#[test]
fn every_attack_of_the_table_has_a_test_that_is_there() {
    let rows = rows("docs/security.md", "## Attacks from the same host");
    assert!(rows.len() >= 20, "{rows:?}");
    expect_tests(&rows, 4, 3);
}

#[test]
fn every_promise_and_every_fault_of_the_evidence_has_a_test_that_is_there() {
    let [promises, faults] =
        ["## Promises", "## Faults that were found"].map(|heading| rows("docs/evidence.md", heading));
    assert!(promises.len() >= 10 && faults.len() >= 10, "{promises:?} {faults:?}");
    expect_tests(&promises, 4, 2);
    expect_tests(&faults, 2, 1);
}

/// The text of every Rust file below a directory of the workspace.
fn texts_in(directory: &str) -> String {
    let mut text = String::new();
    let mut open = vec![pages::root().join(directory)];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            match path.is_dir() {
                true => open.push(path),
                false if path.extension().is_some_and(|end| end == "rs") => {
                    text.push_str(&fs::read_to_string(path).expect("a file"));
                }
                false => {}
            }
        }
    }
    text
}
