//! The code generator of the Python client: the operations table, its requests, records and refusals as typed Python.
//!
//! Names, types and sentences are read from the sources of the contract, where each of them stands once. What is made
//! is checked in; a test says when it is out of date and writes it anew.

mod contract;
mod operations;
mod python_type;
mod records;
mod refusals;

use std::path::{Path, PathBuf};

pub use contract::Contract;

/// The head of every file that is made.
const HEAD: &str = "# Generated from the operations table by client/python/generate. Do not change it by hand.\n";

/// The files of the package, each with its text. Fails where the contract has something that has no Python yet.
pub fn files() -> Result<Vec<(PathBuf, String)>, String> {
    let contract = Contract::read(&repository().join("protocol/src"))?;
    let package = repository().join("client/python/src/enrolld");
    let named = [
        ("_refusals.py", refusals::module()),
        ("_records.py", records::module(&contract)?),
        ("_operations.py", operations::module(&contract)?),
    ];
    Ok(named.into_iter().map(|(name, text)| (package.join(name), text)).collect())
}

/// The root of the repository.
pub fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(3).unwrap_or(here).to_path_buf()
}

/// A docstring, indented by so many blanks.
fn docstring(text: &str, indent: usize) -> String {
    let blanks = " ".repeat(indent);
    let text = text.trim().replace('\\', "\\\\").replace("\"\"\"", "'''");
    let lines: Vec<&str> = text.lines().collect();
    match lines[..] {
        [] => String::new(),
        [line] => format!("{blanks}\"\"\"{}\"\"\"\n", ended(line)),
        [first, ref rest @ ..] => {
            let rest = rest.iter().map(|line| match line.trim_end() {
                "" => "\n".to_owned(),
                line => format!("{blanks}{line}\n"),
            });
            format!("{blanks}\"\"\"{}\n{}{blanks}\"\"\"\n", first.trim_end(), rest.collect::<String>())
        }
    }
}

/// A sentence with its full stop.
fn ended(sentence: &str) -> String {
    let sentence = sentence.trim_end();
    if sentence.ends_with(['.', '`', ')']) { sentence.to_owned() } else { format!("{sentence}.") }
}

/// Words of Python that a verb or a field may be.
const KEYWORDS: &[&str] =
    &["assert", "class", "del", "for", "from", "import", "in", "is", "not", "pass", "raise", "with"];

/// An underscore behind a name that is a word of Python; nothing behind another.
fn mark(name: &str) -> &'static str {
    if KEYWORDS.contains(&name) { "_" } else { "" }
}

/// A name in the style of classes, from words with underscores.
fn class_name(words: &str) -> String {
    let capital = |word: &str| word.get(..1).unwrap_or_default().to_uppercase() + word.get(1..).unwrap_or_default();
    words.split('_').map(capital).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_python_client_is_up_to_date() {
        for (path, text) in files().expect("Python") {
            if std::env::var_os("ENROLL_UPDATE").is_some() {
                std::fs::write(&path, &text).expect("written");
            }
            let kept = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(kept == text, "{} is out of date; ENROLL_UPDATE=1 writes it anew", path.display());
        }
    }

    #[test]
    fn a_docstring_has_no_end_of_its_own() {
        assert_eq!(docstring("a \"\"\" b", 0), "\"\"\"a ''' b.\"\"\"\n");
        assert_eq!(docstring("a\n\n b\\", 2), "  \"\"\"a\n\n   b\\\\\n  \"\"\"\n");
    }
}
