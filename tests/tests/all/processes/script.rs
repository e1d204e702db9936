//! Scripts: commands as somebody types them, each followed by what it prints.
//!
//! A line `$ person get BOSS` runs `enrollctl person get BOSS`; a blank separates arguments. `< text` after it is its
//! standard input, `! 1 not_found` its exit code and a part of its standard error; without, it exits with 0 and an
//! empty standard error. The lines that follow are its standard output: `..` stands for anything, `→` for a tab, and
//! `<NAME>` keeps what stands there, for `$NAME` in later commands and outputs. A line `...` stands for any lines.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use enroll_tests::pattern::matches;
use enroll_tests::process::Daemon;

/// A daemon and the scripts that run against it.
pub(super) struct Script {
    pub(super) daemon: Daemon,
    /// `area.verb` of what was run, and whether as JSON.
    pub(super) seen: BTreeSet<(String, bool)>,
    kept: Vec<(String, String)>,
}

impl Script {
    pub(super) fn of(daemon: Daemon) -> Self {
        Self { daemon, seen: BTreeSet::new(), kept: Vec::new() }
    }

    /// Runs every command of a script.
    pub(super) fn run(&mut self, script: &str) {
        let mut lines = script.lines().map(str::trim_start).filter(|line| !line.is_empty()).peekable();
        while let Some(line) = lines.next() {
            let command = line.strip_prefix("$ ").unwrap_or_else(|| panic!("no command: {line}"));
            let mut expected = Vec::new();
            while let Some(line) = lines.next_if(|line| !line.starts_with("$ ")) {
                expected.push(line);
            }
            self.step(command, &expected);
        }
    }

    fn step(&mut self, line: &str, expected: &[&str]) {
        let filled = self.filled(line);
        let (command, refusal) = filled.split_once(" ! ").unwrap_or((&filled, "0 "));
        let (code, words) = refusal.split_once(' ').unwrap_or((refusal, ""));
        let (command, stdin) = command.split_once(" < ").unwrap_or((command, ""));
        let args: Vec<&str> = command.split(' ').collect();
        self.see(&args);
        let output = self.daemon.enrollctl(&args, stdin);
        assert_eq!(output.code.map(|code| code.to_string()).as_deref(), Some(code), "{line}\n{output:?}");
        let has_words = if words.is_empty() { output.stderr.is_empty() } else { output.stderr.contains(words) };
        assert!(has_words, "{line}\n{output:?}");
        let mut printed: Vec<String> = output.stdout.lines().map(|line| line.replace('\t', "→")).collect();
        if let Some(gap) = expected.iter().position(|line| *line == "...") {
            let rest = printed.len().saturating_sub(expected.len() - gap - 1);
            printed.splice(gap.min(rest)..rest, ["...".to_owned()]);
        }
        assert_eq!(printed.len(), expected.len(), "{line}\n{}", printed.join("\n"));
        for (printed, expected) in printed.iter().zip(expected) {
            let expected = self.filled(expected);
            assert!(self.fits(printed, &expected), "{line}\n  printed  {printed}\n  expected {expected}");
        }
    }

    fn see(&mut self, args: &[&str]) {
        let words: Vec<&str> = args.iter().copied().filter(|arg| !arg.starts_with("--")).collect();
        if let [area, verb, ..] = words[..] {
            self.seen.insert((format!("{area}.{verb}"), args.contains(&"--json")));
        }
    }

    fn filled(&self, text: &str) -> String {
        self.kept.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("${name}"), value))
    }

    fn fits(&mut self, printed: &str, expected: &str) -> bool {
        let Some((before, rest)) = expected.split_once('<') else { return matches(printed, expected) };
        let Some((name, after)) = rest.split_once('>') else { return matches(printed, expected) };
        let literal = before.rsplit("..").next().unwrap_or_default();
        // After a gap the last match counts; without one the match must be here.
        let found = if before.contains("..") { printed.rfind(literal) } else { Some(0) };
        let Some(start) = found.map(|found| found + literal.len()) else { return false };
        if !printed.is_char_boundary(start) {
            return false;
        }
        let (printed_before, from) = printed.split_at(start);
        let literal = after.split("..").next().unwrap_or_default();
        let end = if after.is_empty() { Some(from.len()) } else { from.find(literal) };
        let Some(end) = end.filter(|end| matches(&from[*end..], after)) else { return false };
        if !matches(printed_before, before) {
            return false;
        }
        self.kept.push((name.to_owned(), from[..end].to_owned()));
        // The longest first: one name may begin another.
        self.kept.sort_by_key(|(name, _)| Reverse(name.len()));
        true
    }
}
