//! Architecture tests, read from the sources: the module boundaries that crates do not enforce, as words that must not
//! stand in a folder; and the size and first line of every file.

use std::path::{Path, PathBuf};

/// A folder, the words that must not stand in it, and the files excepted.
const WALLS: &[(&str, &[&str], &[&str])] = &[
    ("daemon/src/rules", &["tokio", "redb", "SystemTime", "Instant", "std::fs", "std::net", "tracing", "HashMap"], &[]),
    ("daemon/src/model", &["tokio", "redb", "SystemTime", "Instant", "std::fs", "tracing", "HashMap", "rules::"], &[]),
    ("daemon/src/store", &["rules::", "net::", "tokio"], &[]),
    ("daemon/src", &["use redb", "redb::Database"], &["store/redb.rs"]),
    ("daemon/src", &["SystemTime", "SysRng", "rand::rng()"], &["context.rs"]),
    ("daemon/src", &["unsafe {"], &["sys.rs"]),
    ("daemon/src", &["bincode"], &[]),
    ("protocol/src", &["tokio", "std::fs", "std::net", "std::io::", "SystemTime", "async fn"], &[]),
    ("protocol/src", &["bincode::"], &["codec.rs"]),
    ("client/src", &["enrolld::"], &[]),
    ("client/cli/src", &["enrolld::", "println!", "print!("], &[]),
];

/// Lines of a file; a longer one holds two things.
const LINES_MAX: usize = 450;

#[test]
fn nobody_goes_through_a_wall() {
    let mut holes = Vec::new();
    for (folder, words, doors) in WALLS {
        for (path, text) in sources(folder) {
            if doors.iter().any(|door| path.ends_with(door)) {
                continue;
            }
            for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
                if let Some(word) = words.iter().find(|word| line.contains(**word)) {
                    holes.push(format!("{}:{}: {word}", path.display(), number + 1));
                }
            }
        }
    }
    assert_eq!(holes, Vec::<String>::new());
}

#[test]
fn every_file_says_what_lives_there_and_is_not_too_long() {
    let mut odd = Vec::new();
    for folder in [
        "daemon/src",
        "protocol/src",
        "protocol/socket/src",
        "client/src",
        "client/cli/src",
        "tests/src",
        "tests/tests",
    ] {
        for (path, text) in sources(folder) {
            if !text.starts_with("//! ") || text.lines().count() > LINES_MAX {
                odd.push(path);
            }
        }
    }
    assert_eq!(odd, Vec::<PathBuf>::new());
}

fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut folders = vec![root.join(folder)];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("a text");
                found.push((path, text));
            }
        }
    }
    assert!(!found.is_empty(), "{folder} has sources");
    found
}
