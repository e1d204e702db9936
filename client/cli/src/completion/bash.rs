//! The adapter to bash, which splits words at `:` and `=` and replaces only the last part of a word.

use std::ffi::OsString;
use std::io::{self, Write};

use clap::Command;
use clap_complete::engine;
use clap_complete::env::EnvCompleter;

use super::loader;

/// The variable with the characters at which bash splits words.
const WORDBREAKS: &str = "ENROLLCTL_WORDBREAKS";

/// Joins the words that bash has split, up to the cursor. `COMP_WORDS` holds them as they stand in the line.
const FUNCTION: &str = r#"_NAME() {
    local line=${COMP_LINE:0:COMP_POINT} gap word i
    local -a words=()
    for ((i = 0; i <= COMP_CWORD; i++)); do
        gap=${line%%[![:space:]]*}
        line=${line#"$gap"}
        word=${COMP_WORDS[i]}
        if ((i == COMP_CWORD)); then
            word=$line
        fi
        line=${line#"$word"}
        if ((i > 0)) && [[ -z $gap ]]; then
            words[${#words[@]} - 1]+=$word
        else
            words+=("$word")
        fi
    done
    mapfile -t COMPREPLY < <(VAR=bash WORDBREAKS=$COMP_WORDBREAKS COMPLETER -- "${words[@]}" 2>/dev/null)
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == */ ]]; then
        compopt -o nospace 2>/dev/null
    fi
}
complete -o bashdefault -o nosort -F _NAME BIN
"#;

/// The adapter.
pub(super) struct Bash;

impl EnvCompleter for Bash {
    fn name(&self) -> &'static str {
        "bash"
    }

    fn is(&self, name: &str) -> bool {
        name == "bash"
    }

    fn write_registration(
        &self,
        variable: &str,
        name: &str,
        bin: &str,
        completer: &str,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let function = FUNCTION.replace("WORDBREAKS=$", &format!("{WORDBREAKS}=$"));
        out.write_all(loader(&function, variable, completer, name, bin).as_bytes())
    }

    fn write_complete(
        &self,
        command: &mut Command,
        words: Vec<OsString>,
        directory: Option<&std::path::Path>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let typed = words.last().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
        let last = words.len().saturating_sub(1);
        let candidates = engine::complete(command, words, last, directory)?;
        let values =
            candidates.iter().filter_map(|candidate| candidate.get_value().to_str()).map(str::to_owned).collect();
        let breaks = std::env::var(WORDBREAKS).unwrap_or_default();
        for value in replies(&typed, values, &breaks) {
            writeln!(out, "{value}")?;
        }
        Ok(())
    }
}

/// The replies to bash (`COMPREPLY`): each replaces the last part of the word.
fn replies(typed: &str, values: Vec<String>, breaks: &str) -> Vec<String> {
    let replaced = typed.rfind(|c| matches!(c, ':' | '=') && breaks.contains(c)).map_or(0, |at| at + 1);
    let values = as_typed(typed, values).into_iter();
    values
        .filter(|value| !value.contains(char::is_control))
        .filter_map(|value| Some(escaped(value.get(replaced..)?)))
        .collect()
}

/// Candidates that differ in the case of what was typed begin as it was typed: else bash would take away what they do
/// not have in common.
fn as_typed(typed: &str, values: Vec<String>) -> Vec<String> {
    let begins_so = |value: &String| value.starts_with(typed);
    let have_one_case = values.windows(2).all(|two| two[0].get(..typed.len()) == two[1].get(..typed.len()));
    if have_one_case || values.iter().all(begins_so) {
        return values;
    }
    let again = |value: String| match value.get(..typed.len()) {
        Some(beginning) if beginning.eq_ignore_ascii_case(typed) => format!("{typed}{}", &value[typed.len()..]),
        _ => value,
    };
    values.into_iter().map(again).collect()
}

/// Puts a backslash before each character that could mean something to bash.
fn escaped(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+:@%=,".contains(c);
    text.chars().flat_map(|c| (!is_plain(c)).then_some('\\').into_iter().chain([c])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bash_is_told_only_what_it_replaces() {
        let breaks = " \t\n\"'><=;|&(:";
        for (typed, values, breaks, expected) in [
            ("dog", &["DOGGO01a"][..], breaks, &["DOGGO01a"][..]),
            ("--as=dog", &["--as=DOGGO01a"], breaks, &["DOGGO01a"]),
            ("--as=dog", &["--as=DOGGO01a"], " ", &["--as=DOGGO01a"]),
            ("a:b", &["a:bc", "A:bd"], breaks, &["bc", "bd"]),
            ("dog", &["DOGGO01a", "DOGGO02b"], breaks, &["DOGGO01a", "DOGGO02b"]),
            ("dog", &["Dog1", "DOG2"], breaks, &["dog1", "dog2"]),
            ("", &["Dog1", "CAT2"], breaks, &["Dog1", "CAT2"]),
            ("my", &["my file/", "my$(x)"], breaks, &["my\\ file/", "my\\$\\(x\\)"]),
            ("x", &["x\ny"], breaks, &[]),
        ] {
            let values = values.iter().map(|value| (*value).to_owned()).collect();
            assert_eq!(replies(typed, values, breaks), expected, "{typed}");
        }
    }
}
