//! The `console` blocks of a page: `$ command` and what it printed. They are played in one shell, and compared with what the
//! page prints, with [holes](crate::holes) for what every run draws anew.

use std::process::Command;

use crate::holes::with_holes;
use crate::pages::Page;
use crate::process::run;

/// The info of a block that is a transcript.
pub const CONSOLE: &str = "console";

/// Separates in the shell's output what one command printed from its exit code and from the next command's.
const RECORD: char = '\u{1e}';

/// Exit codes of a command on a page: done, or refused.
const EXPECTED: [&str; 2] = ["0", "1"];

/// A page as it is when its commands are played now: with their output, or unchanged if nothing else came.
///
/// # Panics
/// When a command ends otherwise than with success or a refusal.
pub fn played(page: &Page, shell: &mut Command) -> String {
    let blocks = page.blocks_of(CONSOLE);
    let commands: Vec<String> = blocks.iter().flat_map(|block| commands(block.code)).collect();
    let script: String = commands.iter().map(|typed| format!("{typed}\nprintf '\\n\\036%s\\036' \"$?\"\n")).collect();
    let output = run(shell.args(["-u", "-c", &format!("exec 2>&1\n{script}")]), "");
    let records: Vec<&str> = output.stdout.split(RECORD).collect();
    assert_eq!(records.len(), commands.len() * 2 + 1, "{}: the shell ended early: {output:?}", page.path);
    let mut answers = records.chunks(2).zip(&commands).map(|(record, typed)| {
        assert!(EXPECTED.contains(&record[1]), "{}: {typed}\n{}", page.path, record[0]);
        let printed = with_holes(record[0].strip_suffix('\n').unwrap_or(record[0]), &page.text);
        if printed.is_empty() || printed.ends_with('\n') { printed } else { printed + "\n" }
    });
    let mut text = page.text.clone();
    for block in blocks {
        let now: String = commands_of(block.code, &mut answers);
        text = text.replacen(&format!("```{CONSOLE}\n{}```", block.code), &format!("```{CONSOLE}\n{now}```"), 1);
    }
    text
}

/// The block with the answers that came now.
fn commands_of(code: &str, answers: &mut impl Iterator<Item = String>) -> String {
    let with_prompt = |typed: String| format!("$ {}\n", typed.replace('\n', "\n> "));
    let steps = commands(code).into_iter().map(|typed| with_prompt(typed) + &answers.next().unwrap_or_default());
    steps.collect()
}

/// The commands that are typed in a block; a line after `> ` goes on with the command before it.
pub fn commands(code: &str) -> Vec<String> {
    let mut commands: Vec<String> = Vec::new();
    for line in code.lines() {
        if let Some(typed) = line.strip_prefix("$ ") {
            commands.push(typed.to_owned());
        } else if let (Some(more), Some(command)) = (line.strip_prefix("> "), commands.last_mut()) {
            command.push('\n');
            command.push_str(more);
        }
    }
    commands
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(text: &str) -> Page {
        Page { path: "page".to_owned(), text: text.to_owned() }
    }

    #[test]
    fn output_is_renewed_and_all_else_stays() {
        let before =
            "# Page\n\n```console\n$ X=1\n$ echo \"$X\"\nanother\n$ printf '%s\\n' \\\n>   a b; false\n```\nText.\n";
        let after =
            "# Page\n\n```console\n$ X=1\n$ echo \"$X\"\n1\n$ printf '%s\\n' \\\n>   a b; false\na\nb\n```\nText.\n";
        assert_eq!(played(&page(before), &mut Command::new("sh")), after);
        assert_eq!(played(&page(after), &mut Command::new("sh")), after);
    }

    #[test]
    #[should_panic(expected = "exit 3")]
    fn a_command_that_ends_otherwise_is_named() {
        played(&page("```console\n$ sh -c 'exit 3'\n```\n"), &mut Command::new("sh"));
    }
}
