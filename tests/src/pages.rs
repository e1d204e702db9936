//! The Markdown pages of the repository (README, CONTRIBUTING, `docs/`), cut into headings, links and fenced code blocks,
//! for tests that play what the pages print.

use std::fs;
use std::path::{Path, PathBuf};

/// A page.
#[derive(Debug)]
pub struct Page {
    /// Its path in the repository.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// A fenced code block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block<'a> {
    /// The heading above it, without its marks.
    pub heading: &'a str,
    /// The words after the fence, such as `sh booted`.
    pub info: &'a str,
    /// Its lines, each with its end.
    pub code: &'a str,
}

/// Every page: README first, then the others by name.
pub fn all() -> Vec<Page> {
    let mut paths = vec!["CONTRIBUTING.md".to_owned()];
    for folder in ["docs", "docs/operations"] {
        for entry in fs::read_dir(root().join(folder)).expect("a folder") {
            let name = entry.expect("an entry").file_name().into_string().expect("a name");
            paths.extend(name.ends_with(".md").then(|| format!("{folder}/{name}")));
        }
    }
    paths.sort();
    paths.insert(0, "README.md".to_owned());
    paths.into_iter().map(|path| page(&path)).collect()
}

/// The page at this path in the repository.
pub fn page(path: &str) -> Page {
    let text = fs::read_to_string(root().join(path)).unwrap_or_else(|err| panic!("{path}: {err}"));
    Page { path: path.to_owned(), text }
}

/// The repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

impl Page {
    /// Its code blocks, in their order.
    pub fn blocks(&self) -> Vec<Block<'_>> {
        let (mut blocks, mut heading) = (Vec::new(), "");
        let mut rest = self.text.as_str();
        while let Some((line, after)) = rest.split_once('\n') {
            rest = after;
            if let Some(info) = line.strip_prefix("```") {
                let end = after.find("```").unwrap_or_else(|| panic!("{}: a block without an end", self.path));
                blocks.push(Block { heading, info, code: &after[..end] });
                rest = after[end..].split_once('\n').map_or("", |(_, rest)| rest);
            } else if line.starts_with('#') {
                heading = line.trim_start_matches('#').trim();
            }
        }
        blocks
    }

    /// Its blocks with this info.
    pub fn blocks_of(&self, info: &str) -> Vec<Block<'_>> {
        self.blocks().into_iter().filter(|block| block.info == info).collect()
    }

    /// The targets of its links that are no addresses of the web.
    pub fn links(&self) -> Vec<&str> {
        let targets = self.text.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
        targets.map(|(target, _)| target).filter(|target| !target.contains("://")).collect()
    }

    /// The anchors of its headings, as GitHub makes them.
    pub fn anchors(&self) -> Vec<String> {
        let headings = self.text.lines().filter_map(|line| line.trim_start_matches('#').strip_prefix(' '));
        let kept = |letter: &char| letter.is_alphanumeric() || "-_ ".contains(*letter);
        headings
            .map(|heading| heading.to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-"))
            .collect()
    }
}
