//! The refusals that each operation answers, as `tests/golden/refusals.txt` lists them. With `ENROLL_UPDATE=1` every refusal
//! that a test meets in the rules is added. It fails no test: random histories meet rare ones.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::{LazyLock, Mutex, PoisonError};

use enroll_protocol::{Code, OperationRow};

/// Refusals that any operation may answer, and that the list leaves out.
pub const OF_ALL: &[Code] = &[
    Code::INVALID_ARGUMENT,
    Code::PERMISSION_DENIED,
    Code::KEY_REUSED,
    Code::BUSY,
    Code::TOO_LARGE,
    Code::STORAGE,
    Code::OUTCOME_UNKNOWN,
    Code::UNAVAILABLE,
    Code::SHUTTING_DOWN,
    Code::INTERNAL,
    Code::UNKNOWN_OPERATION,
];

/// Operations whose refusals are those of the operations that they run.
pub const OF_OTHERS: &[&str] = &["transaction.run"];

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/refusals.txt");

/// Pairs of the number of an operation and of a code, and what the tests have added to those of the file.
static LISTED: LazyLock<Mutex<BTreeSet<(u16, u16)>>> = LazyLock::new(|| {
    let text = std::fs::read_to_string(PATH).unwrap_or_default();
    let lines = text.lines().filter_map(|line| line.split_once(' '));
    let pairs = lines.flat_map(|(name, codes)| {
        let row = OperationRow::by_name(name).unwrap_or_else(|| panic!("{PATH}: there is no operation {name}"));
        codes.split(' ').map(|code| (row.number, number_of(code)))
    });
    Mutex::new(pairs.collect())
});

/// The codes that an operation answers, beside those that all may answer, in the order of their numbers.
pub fn of(row: &OperationRow) -> Vec<Code> {
    let listed = LISTED.lock().unwrap_or_else(PoisonError::into_inner);
    listed.iter().filter(|(operation, _)| *operation == row.number).map(|(_, code)| Code(*code)).collect()
}

/// Adds a refusal that an operation has answered, in a run that updates the list.
pub(crate) fn met(operation: u16, code: Code) {
    if std::env::var_os("ENROLL_UPDATE").is_none() {
        return;
    }
    let Some(row) = OperationRow::by_number(operation) else { return };
    // The session that proves an actor may be invalid, whatever is asked.
    let is_of_actor = code == Code::JWT_INVALID && row.area() != "jwt";
    if OF_ALL.contains(&code) || OF_OTHERS.contains(&row.name) || is_of_actor {
        return;
    }
    let mut listed = LISTED.lock().unwrap_or_else(PoisonError::into_inner);
    if listed.insert((operation, code.0)) {
        std::fs::write(PATH, text_of(&listed)).expect("written");
    }
}

fn text_of(listed: &BTreeSet<(u16, u16)>) -> String {
    let mut text = String::new();
    for row in enroll_protocol::operations::TABLE {
        let codes: Vec<_> = listed.iter().filter(|(number, _)| *number == row.number).collect();
        if !codes.is_empty() {
            let names: Vec<String> = codes.iter().map(|(_, code)| Code(*code).to_string()).collect();
            writeln!(text, "{} {}", row.name, names.join(" ")).expect("written");
        }
    }
    text
}

fn number_of(name: &str) -> u16 {
    let known = Code::TABLE.iter().find(|(_, known, _)| *known == name);
    known.unwrap_or_else(|| panic!("{PATH}: there is no refusal {name}")).0.0
}
