//! Architecture tests, read from the sources: the module boundaries that crates do not enforce, as words that must not
//! stand in a folder; and the size and first line of every file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A folder, the words that must not stand in it, and the files excepted.
const WALLS: &[(&str, &[&str], &[&str])] = &[
    ("daemon/core/src", &["SystemTime", "Instant::", "std::fs", "std::thread", "std::os"], &[]),
    ("daemon/core/src/rules", &["HashMap"], &[]),
    ("daemon/core/src/model", &["HashMap"], &[]),
    ("daemon/src/storage", &["rules::", "tokio"], &[]),
    ("daemon/src", &["use redb", "redb::Database"], &["storage/redb.rs"]),
    ("daemon/src", &["SystemTime", "SysRng", "rand::rng()"], &["clock.rs"]),
    ("daemon/src", &["unsafe {"], &["sys.rs"]),
    ("daemon/src", &["bincode"], &[]),
    ("protocol/src", &["tokio", "std::fs", "std::net", "std::io::", "SystemTime", "async fn"], &[]),
    ("protocol/src", &["bincode::"], &["codec.rs"]),
    // The fake daemon runs the daemon's own writer and dispatch.
    ("client/src", &["enrolld::"], &["fake/mod.rs", "fake/registry.rs"]),
    ("client/cli/src", &["enrolld::", "println!", "print!("], &[]),
    ("client/bench/src", &["enrolld::", "println!", "print!("], &[]),
    ("client/picture/src", &["tokio", "std::fs", "SystemTime", "enroll_client", "enrolld::"], &[]),
    ("client/console/src", &["enrolld::", "println!", "print!("], &[]),
    ("examples/sessions/src", &["enrolld::", "enroll_protocol", "println!", "print!("], &[]),
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

/// Modules of the daemon, of its core and of the console import one another in one direction only: there is an order in which each
/// could be written before those that use it.
#[test]
fn no_modules_import_one_another_in_a_circle() {
    let mut circles = Vec::new();
    for folder in ["daemon/src", "daemon/core/src", "client/console/src"] {
        let mut imports: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (path, text) in sources(folder) {
            let relative = path.strip_prefix(root().join(folder)).expect("a source");
            let depth = relative.components().count() - usize::from(relative.ends_with("mod.rs"));
            let module = relative.components().next().expect("a name").as_os_str().to_string_lossy();
            let module = module.trim_end_matches(".rs").to_owned();
            if !matches!(&*module, "lib" | "main") {
                imports.entry(module).or_default().extend(imported(&text, depth));
            }
        }
        let modules: BTreeSet<String> = imports.keys().cloned().collect();
        imports.iter_mut().for_each(|(own, others)| others.retain(|other| other != own && modules.contains(other)));
        // Modules that import no others go first; a circle is what is left.
        while let Some(next) = imports.iter().find(|(_, others)| others.is_empty()).map(|(module, _)| module.clone()) {
            imports.remove(&next);
            imports.values_mut().for_each(|others| others.retain(|other| *other != next));
        }
        circles.extend(imports.into_iter().map(|(module, others)| format!("{folder}: {module} imports {others:?}")));
    }
    assert_eq!(circles, Vec::<String>::new());
}

/// The modules at the root of its crate that a source names, its tests aside: by `crate::`, or by as many `super::` as its
/// depth.
fn imported(text: &str, depth: usize) -> BTreeSet<String> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let code = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let mut found = BTreeSet::new();
    for to_root in ["crate::".to_owned(), "super::".repeat(depth)] {
        for (at, _) in code.match_indices(&to_root) {
            let rest = &code[at + to_root.len()..];
            if code[..at].ends_with("super::") || rest.starts_with("super::") {
                continue;
            }
            let words = match rest.strip_prefix('{') {
                Some(group) => group.split('}').next().unwrap_or_default().split(',').collect(),
                None => vec![rest],
            };
            let name =
                |word: &str| word.trim().split(|c: char| !c.is_alphanumeric() && c != '_').next().map(str::to_owned);
            found.extend(words.into_iter().filter_map(name));
        }
    }
    found
}

#[test]
fn every_file_says_what_lives_there_and_is_not_too_long() {
    let mut odd = Vec::new();
    for folder in [
        "daemon/src",
        "daemon/core/src",
        "protocol/src",
        "protocol/socket/src",
        "client/src",
        "client/cli/src",
        "client/bench/src",
        "client/console/src",
        "client/console/tests",
        "client/picture/src",
        "docs/man/src",
        "examples/sessions/src",
        "examples/sessions/tests",
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

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut folders = vec![root().join(folder)];
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
