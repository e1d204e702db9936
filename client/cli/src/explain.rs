//! The command `explain-error`: the section of the errors page for a code of a refusal, and the list of the codes.

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgMatches, Command};
use enroll_client::protocol::Code;
use serde_json::json;

use crate::failure::Failure;
use crate::output::Output;

/// The page. Each of its headings of the third level is a code.
const PAGE: &str = include_str!("../../../docs/errors.md");

/// The command line. An unknown code is a usage error that names the most similar one.
pub(crate) fn command() -> Command {
    let names = PossibleValuesParser::new(Code::TABLE.iter().map(|(_, name, _)| *name));
    let code = Arg::new("code").value_name("CODE").help("The code of a refusal; without one, all codes are listed");
    Command::new("explain-error")
        .about("Explain a refusal: what it means, why it comes, and what to do")
        .after_help("Examples:\n  enrollctl explain-error token_reuse\n  enrollctl explain-error")
        .arg(code.value_parser(names).ignore_case(true).hide_possible_values(true))
}

/// Prints the section of the code, or the list of all codes with their default texts.
pub(crate) fn run(matches: &ArgMatches, output: &Output) -> Result<(), Failure> {
    let Some(asked) = matches.get_one::<String>("code") else {
        let codes = Code::TABLE.iter().map(|(code, name, text)| json!({"code": name, "number": code.0, "means": text}));
        return output.reply("explain-error", &json!(codes.collect::<Vec<_>>()).to_string());
    };
    // The parser accepts names of the table only, in any case.
    let known = Code::TABLE.iter().find(|(_, name, _)| name.eq_ignore_ascii_case(asked));
    let Some((code, name, text)) = known else { return Err(Failure::Usage(format!("there is no code {asked}"))) };
    let explanation = section(name).map(plain).unwrap_or_default();
    if output.is_json() {
        let record = json!({"code": name, "number": code.0, "means": text, "explanation": explanation});
        return output.json(format!("{record}\n").as_bytes());
    }
    output.raw(format!("{name}\n\n{explanation}").as_bytes())
}

/// The section of the errors page under the heading of this code, in Markdown.
pub fn section(name: &str) -> Option<&'static str> {
    let (_, rest) = PAGE.split_once(&format!("\n### {name}\n"))?;
    let end = rest.find("\n##").unwrap_or(rest.len());
    Some(rest[..end].trim())
}

/// Markdown as text: commands are indented in place of their fences, and nothing is bold.
fn plain(markdown: &str) -> String {
    let (mut text, mut is_code) = (String::new(), false);
    for line in markdown.lines() {
        if line.starts_with("```") {
            is_code = !is_code;
            continue;
        }
        let line = if is_code { format!("  {line}") } else { line.replace("**", "") };
        text.push_str(&line);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_section_with_its_three_parts_and_no_section_lacks_a_code() {
        let (_, rest) = PAGE.split_once("\n## Codes\n").expect("the codes");
        let sections = rest.split("\n## ").next().unwrap_or_default();
        let headings: Vec<&str> = sections.lines().filter_map(|line| line.strip_prefix("### ")).collect();
        let codes: Vec<&str> = Code::TABLE.iter().map(|(_, name, _)| *name).collect();
        assert_eq!(headings, codes);
        for code in codes {
            let section = section(code).unwrap_or_else(|| panic!("{code} has no section"));
            for part in ["\n**Why:** ", "\n**What to do:** "] {
                assert_eq!(section.matches(part).count(), 1, "{code}: {part}");
            }
            // It is printed as text, where a link would be noise.
            assert!(!section.contains("]("), "{code} has a link");
        }
    }

    #[test]
    fn a_section_is_text_with_its_commands_indented() {
        let markdown = "One.\n\n**Why:** two.\n\n```sh refused\na |\n  b\n```";
        assert_eq!(plain(markdown), "One.\n\nWhy: two.\n\n  a |\n    b\n");
        assert!(section("would_move").is_some_and(|last| last.ends_with("row out.")));
    }

    #[test]
    fn an_unknown_code_is_told_the_most_similar_one() {
        let err = command().try_get_matches_from(["explain-error", "not_fond"]).expect_err("no code").to_string();
        assert!(err.contains("'not_found'"), "{err}");
        assert!(command().try_get_matches_from(["explain-error", "NOT_FOUND"]).is_ok());
    }
}
