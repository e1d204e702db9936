//! Secrets from standard input. On the command line every process of the machine could read them.

use std::io::{BufRead, Read};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use enroll_client::protocol::limits::JWT_BYTES_MAX;
use enroll_client::protocol::{OperationRow, without_mark};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use crate::failure::Failure;
use crate::raw_object::{self, RawObject};

/// Secret fields of requests.
const SECRETS: [&str; 4] = ["token", "code", "jwt", "password"];

/// Fields with codes that people read and type. They may stand on the command line or come from standard input.
const CODES: [&str; 2] = ["invitecode", "approvecode"];

/// Areas in which an invite code may name a pool.
const POOL_AREAS: [&str; 2] = ["pool", "enrollment"];

/// The longest value that an error repeats, in characters.
const REPEATED_MAX: usize = 80;

/// The value that stands for standard input on the command line, in JSON.
const FROM_STDIN: &str = "\"-\"";

/// Replaces each secret field of the request by a line of `input`. Calls `ask` with the field's name before reading it.
/// All other fields stay the same text. Refuses a secret on the command line, an empty one, and one of several lines.
pub(crate) fn fill(
    row: &OperationRow,
    request: &str,
    input: &mut impl BufRead,
    is_typed: bool,
    ask: impl Fn(&str) -> Result<(), Failure>,
) -> Result<Box<RawValue>, Failure> {
    let broken = |err: serde_json::Error| Failure::Usage(err.to_string());
    let mut members = RawObject::new();
    raw_object::read(request, &mut members).map_err(broken)?;
    let mut filled = Vec::new();
    for (name, value) in members {
        let mut value = value.to_owned();
        let may_show = CODES.contains(&name.as_str()) || (name == "pool" && POOL_AREAS.contains(&row.area()));
        if SECRETS.contains(&name.as_str()) || (may_show && value.get() == FROM_STDIN) {
            if value.get() != FROM_STDIN {
                return Err(shows(row, &name));
            }
            ask(&name)?;
            value = to_raw_value(&read(&name, input, is_typed)?).map_err(broken)?;
        }
        filled.push(format!("{}:{value}", Value::String(name)));
    }
    RawValue::from_string(format!("{{{}}}", filled.join(","))).map_err(broken)
}

/// One secret from standard input, on a line of its own. Refuses an empty one, and one of several lines.
pub(crate) fn read(name: &str, input: &mut impl BufRead, is_typed: bool) -> Result<String, Failure> {
    // One byte more than the longest secret and its newline, so that a longer one is refused for its length.
    let bytes_max = JWT_BYTES_MAX as u64 + 2;
    let mut line = String::new();
    let reading = input.by_ref().take(bytes_max).read_line(&mut line);
    reading.map_err(|err| Failure::Usage(format!("the {name} can not be read from standard input: {err}")))?;
    if line.ends_with('\n') {
        line.pop();
        // A line from another system ends in both characters.
        if line.ends_with('\r') {
            line.pop();
        }
    }
    let line = without_mark(&line).to_owned();
    if line.is_empty() {
        return Err(Failure::Usage(format!("standard input is empty; it must hold the {name}, on one line")));
    }
    // In a pipe a second line means that the secret was not read whole. A person at a terminal may type on.
    if !is_typed && input.fill_buf().is_ok_and(|rest| !rest.is_empty()) {
        return Err(Failure::Usage(format!(
            "standard input has more than one line; it must hold the {name} and no more"
        )));
    }
    Ok(line)
}

/// The error of a command line, without any secret that stood there and with long values cut.
pub(crate) fn redacted(mut err: clap::Error) -> clap::Error {
    if let Some(ContextValue::String(value)) = err.get(ContextKind::InvalidValue)
        && let Some((at, _)) = value.char_indices().nth(REPEATED_MAX)
    {
        let cut = format!("{}...", &value[..at]);
        err.insert(ContextKind::InvalidValue, ContextValue::String(cut));
    }
    let argument = match err.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(argument)) => argument.trim_matches(|c| "<>[].".contains(c)).to_lowercase(),
        _ => return err,
    };
    if err.kind() != ErrorKind::ValueValidation || !SECRETS.contains(&argument.as_str()) {
        return err;
    }
    let message = format!(
        "a {argument} on the command line would show in the process list, and this one can not be one; \
         give it on standard input\n"
    );
    clap::Error::raw(ErrorKind::ValueValidation, message)
}

fn shows(row: &OperationRow, name: &str) -> Failure {
    Failure::Usage(format!(
        "a {name} on the command line would show in the process list; give it on standard input: \
         printf %s \"${}\" | enrollctl {} {}",
        name.to_uppercase(),
        row.area(),
        row.verb(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(operation: &str, request: &str, input: &str) -> Result<String, String> {
        let row = OperationRow::by_name(operation).expect("an operation");
        let filled = fill(row, request, &mut input.as_bytes(), false, |_| Ok(()));
        filled.map(|request| request.get().to_owned()).map_err(|failure| failure.line())
    }

    #[test]
    fn a_secret_is_one_line_of_standard_input() {
        let asked = r#"{"token":"-","audit":null}"#;
        let expected = |token: &str| Ok(format!(r#"{{"token":"{token}","audit":null}}"#));
        assert_eq!(filled("token.use", asked, "abc"), expected("abc"));
        assert_eq!(filled("token.use", asked, "abc\n"), expected("abc"));
        assert_eq!(filled("token.use", asked, " abc \r\n"), expected(" abc "));
        assert_eq!(filled("token.use", asked, "\u{feff}abc\r\n"), expected("abc"));
        let refused = filled("token.use", asked, "abc\nmore").expect_err("two lines");
        assert!(refused.contains("more than one line"), "{refused}");
        for empty in ["", "\n"] {
            let refused = filled("token.use", asked, empty).expect_err("nothing to read");
            assert!(refused.contains("the token"), "{refused}");
        }
    }

    #[test]
    fn a_code_that_people_type_is_read_where_it_is_not_given() {
        for (operation, field) in [
            ("pool.check", "invitecode"),
            ("pool.get", "pool"),
            ("enrollment.create", "pool"),
            ("enrollment.find", "approvecode"),
            ("enrollment.approve", "approvecode"),
        ] {
            let read = filled(operation, &format!(r#"{{"{field}":"-"}}"#), "\u{feff}K7QW\n");
            assert_eq!(read, Ok(format!(r#"{{"{field}":"K7QW"}}"#)), "{operation}");
            let given = format!(r#"{{"{field}":"K7QW"}}"#);
            assert_eq!(filled(operation, &given, ""), Ok(given), "{operation}");
        }
        let event_pool = r#"{"pool":"-"}"#;
        assert_eq!(filled("event.update_pool", event_pool, ""), Ok(event_pool.to_owned()));
    }

    #[test]
    fn what_is_no_secret_stays_the_text_it_is() {
        let claims = r#"{"claims":{"code":"x","a":1.50,"b":12345678901234567890123},"expires":null}"#;
        assert_eq!(filled("code.create", claims, ""), Ok(claims.to_owned()));
    }

    #[test]
    fn a_secret_on_the_command_line_is_refused_with_the_way_out() {
        let refused = filled("code.use", r#"{"code":"ABCD-EFGH"}"#, "").expect_err("it would show");
        assert!(refused.contains("printf %s \"$CODE\" | enrollctl code use"), "{refused}");
        assert!(!refused.contains("ABCD"), "{refused}");
    }
}
