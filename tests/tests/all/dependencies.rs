//! The table of dependencies: every library that the programs name, with the owner of its repository and its lines of
//! unsafe code, as docs/dependencies.md has them. `ENROLL_UPDATE=1` counts anew; the reasons are written by hand.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use enroll_tests::pages;
use enroll_tests::skip::skipped;
use serde_json::Value;

/// The packages of the programs that are shipped.
const SHIPPED: [&str; 3] = ["enrolld", "enrollctl", "enroll-console"];

const PAGE: &str = "docs/dependencies.md";

/// A line of the table.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    name: String,
    reason: String,
    owner: String,
    licence: String,
    unsafe_lines: usize,
}

#[test]
fn every_library_has_its_reason_and_its_figures() {
    let text = std::fs::read_to_string(pages::root().join(PAGE)).expect("the page");
    let table = rows_of(&text);
    let reasons: BTreeMap<&str, &str> = table.iter().map(|row| (&*row.name, &*row.reason)).collect();
    let Some(metadata) = metadata() else {
        return skipped("every_library_has_its_reason_and_its_figures", "needs packages that cargo has not fetched");
    };
    let (found, all, unsafe_lines) = find(&metadata, &reasons);
    let summary =
        format!("With what these need in turn they are {all} packages and {unsafe_lines} lines of unsafe code.");
    if std::env::var_os("ENROLL_UPDATE").is_some() {
        let rest = text.lines().filter(|line| !line.starts_with("| `") && !line.starts_with("With what these need"));
        let mut new = String::new();
        for line in rest {
            new += &format!("{line}\n");
            if line.starts_with("|---") {
                found.iter().for_each(|row| new += &format!("{}\n", row.line()));
            }
        }
        std::fs::write(pages::root().join(PAGE), new.trim_end().to_owned() + "\n\n" + &summary + "\n")
            .expect("written");
    }
    for row in &found {
        assert!(!row.reason.is_empty(), "{PAGE} does not say what {} is for", row.name);
    }
    assert_eq!(table, found, "ENROLL_UPDATE=1 writes {PAGE} anew");
    assert!(text.contains(&summary), "{PAGE} should say: {summary}");
}

impl Row {
    fn line(&self) -> String {
        let Self { name, reason, owner, licence, unsafe_lines } = self;
        format!("| `{name}` | {reason} | {owner} | {licence} | {unsafe_lines} |")
    }
}

/// The rows of the page.
fn rows_of(text: &str) -> Vec<Row> {
    let cells = |line: &str| line.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let rows = text.lines().filter(|line| line.starts_with("| `")).map(cells);
    rows.map(|cells| Row {
        name: cells[1].trim_matches('`').to_owned(),
        reason: cells[2].clone(),
        owner: cells[3].clone(),
        licence: cells[4].clone(),
        unsafe_lines: cells[5].parse().expect("a number"),
    })
    .collect()
}

/// The packages and what each needs, as cargo tells it. A build does not fetch all that cargo wants to see for that, so a
/// machine without a network may not have them.
fn metadata() -> Option<Value> {
    let asked = |more: &[&str]| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["metadata", "--locked", "--format-version=1", "--filter-platform=x86_64-unknown-linux-gnu"]);
        let output = cargo.args(more).current_dir(pages::root()).output().expect("cargo");
        output.status.success().then(|| serde_json::from_slice(&output.stdout).expect("JSON"))
    };
    asked(&["--offline"]).or_else(|| asked(&[]))
}

/// The libraries that the shipped packages of the workspace name, with these reasons; the number of all packages that are
/// built into the programs, and of their lines of unsafe code.
fn find(metadata: &Value, reasons: &BTreeMap<&str, &str>) -> (Vec<Row>, usize, usize) {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let by_id = |value: &Value| -> BTreeMap<String, Value> {
        list(value).into_iter().map(|one| (text(&one["id"]), one)).collect()
    };
    let (packages, nodes) = (by_id(&metadata["packages"]), by_id(&metadata["resolve"]["nodes"]));
    let ours: BTreeSet<String> = list(&metadata["workspace_members"]).iter().map(text).collect();
    let is_shipped = |id: &&String| SHIPPED.contains(&&*text(&packages[*id]["name"]));
    let mut open: Vec<String> = ours.iter().filter(is_shipped).cloned().collect();
    let (mut seen, mut direct) = (BTreeSet::new(), BTreeSet::new());
    while let Some(id) = open.pop() {
        if !seen.insert(id.clone()) {
            continue;
        }
        for needed in list(&nodes[&id]["deps"]) {
            // Those of tests and of build scripts are in no program.
            if list(&needed["dep_kinds"]).iter().any(|kind| kind["kind"].is_null()) {
                let needed = text(&needed["pkg"]);
                if ours.contains(&id) && !ours.contains(&needed) {
                    direct.insert(needed.clone());
                }
                open.push(needed);
            }
        }
    }
    let others: Vec<&Value> = seen.difference(&ours).map(|id| &packages[id]).collect();
    let unsafe_lines = others.iter().map(|package| unsafe_lines(package)).sum();
    let mut rows: Vec<Row> = direct.iter().map(|id| row(&packages[id], reasons)).collect();
    rows.sort_by(|one, other| one.name.cmp(&other.name));
    (rows, others.len(), unsafe_lines)
}

fn row(package: &Value, reasons: &BTreeMap<&str, &str>) -> Row {
    let name = text(&package["name"]);
    let repository = text(&package["repository"]);
    let owner = repository.split('/').nth(3).unwrap_or_default().to_owned();
    Row {
        reason: reasons.get(&*name).map(|reason| (*reason).to_owned()).unwrap_or_default(),
        owner: if owner.is_empty() { "its author".to_owned() } else { owner },
        licence: text(&package["license"]),
        unsafe_lines: unsafe_lines(package),
        name,
    }
}

/// Lines of a package's source with the word `unsafe` that are no comments.
fn unsafe_lines(package: &Value) -> usize {
    let manifest = text(&package["manifest_path"]);
    let source = Path::new(&manifest).parent().expect("a directory").join("src");
    let (mut open, mut lines) = (vec![source], 0);
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(&directory).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read(&path).expect("read");
                let text = String::from_utf8_lossy(&text);
                let words =
                    |line: &str| line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "unsafe");
                lines += text.lines().filter(|line| !line.trim_start().starts_with("//") && words(line)).count();
            }
        }
    }
    lines
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
