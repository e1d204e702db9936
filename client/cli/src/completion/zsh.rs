//! The adapter to zsh, which compares candidates with what was typed without regard to case.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;

use clap::Command;
use clap_complete::env::{self, EnvCompleter};

use super::loader;

/// Where the file of the loader is an autoloaded function, the first Tab calls it, and this function takes its place.
const FUNCTION: &str = r#"function _NAME() {
    local -a typed lines values directories
    local line
    local -x _CLAP_IFS=$'\n' _CLAP_COMPLETE_INDEX=$((CURRENT - 1))
    typed=("${(@)words[1,CURRENT]}")
    lines=("${(@f)$(VAR=zsh COMPLETER -- "${typed[@]}" 2>/dev/null)}")
    for line in $lines; do
        if [[ ${line%%:*} == */ ]]; then
            directories+=("${${line%%:*}%/}")
        else
            values+=("$line")
        fi
    done
    local any_case='m:{[:lower:][:upper:]}={[:upper:][:lower:]}'
    [[ -n $directories ]] && _describe -V 'directories' directories -S '/' -r '/'
    [[ -n $values ]] && _describe -V 'values' values -M "$any_case"
}
if [[ -n ${funcstack[(r)_NAME]} ]]; then
    _NAME "$@"
else
    compdef _NAME BIN
fi
"#;

/// The adapter.
pub(super) struct Zsh;

impl EnvCompleter for Zsh {
    fn name(&self) -> &'static str {
        env::Zsh.name()
    }

    fn is(&self, name: &str) -> bool {
        env::Zsh.is(name)
    }

    fn write_registration(
        &self,
        variable: &str,
        name: &str,
        bin: &str,
        completer: &str,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        out.write_all(loader(FUNCTION, variable, completer, name, bin).as_bytes())
    }

    fn write_complete(
        &self,
        command: &mut Command,
        words: Vec<OsString>,
        directory: Option<&Path>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        env::Zsh.write_complete(command, words, directory, out)
    }
}
