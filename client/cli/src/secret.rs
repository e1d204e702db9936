//! Secrets come from standard input: on the command line every process of the machine could read them.

use std::io::{BufRead, Read};

use enroll_client::protocol::OperationRow;
use enroll_client::protocol::limits::JWT_BYTES_MAX;
use serde_json::Value;

use crate::failure::Failure;

/// The fields of requests that are secret.
const SECRETS: [&str; 4] = ["token", "code", "jwt", "password"];

/// What a secret is on the command line.
const FROM_STDIN: &str = "-";

/// Puts a line of `input` in the place of each secret field of the request; `ask` is told before one is read.
pub(crate) fn fill(
    row: &OperationRow,
    request: &mut Value,
    input: &mut impl BufRead,
    ask: impl Fn(&str),
) -> Result<(), Failure> {
    for name in SECRETS {
        let Some(field) = request.get_mut(name).filter(|field| field.is_string()) else { continue };
        if field != FROM_STDIN {
            return Err(Failure::Usage(format!(
                "a {name} on the command line would show in the process list; give it on standard input: \
                 printf %s \"${}\" | enrollctl {} {}",
                name.to_uppercase(),
                row.area(),
                row.verb(),
            )));
        }
        ask(name);
        *field = Value::String(read(name, input)?);
    }
    Ok(())
}

fn read(name: &str, input: &mut impl BufRead) -> Result<String, Failure> {
    // One byte more than the longest secret and its newline, so that a longer one is refused for its length.
    let bytes_max = JWT_BYTES_MAX as u64 + 2;
    let mut line = String::new();
    let reading = input.by_ref().take(bytes_max).read_line(&mut line);
    reading.map_err(|err| Failure::Usage(format!("the {name} can not be read from standard input: {err}")))?;
    if line.ends_with('\n') {
        line.pop();
    }
    if line.is_empty() {
        return Err(Failure::Usage(format!("standard input is empty; it must hold the {name}, on one line")));
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn filled(operation: &str, mut request: Value, input: &str) -> Result<Value, String> {
        let row = OperationRow::by_name(operation).expect("an operation");
        fill(row, &mut request, &mut input.as_bytes(), |_| {}).map_err(|failure| failure.line().unwrap_or_default())?;
        Ok(request)
    }

    #[test]
    fn a_secret_is_one_line_of_standard_input() {
        let asked = json!({"token": "-", "audit": null});
        let expected = |token: &str| Ok(json!({"token": token, "audit": null}));
        assert_eq!(filled("token.use", asked.clone(), "abc"), expected("abc"));
        assert_eq!(filled("token.use", asked.clone(), "abc\n"), expected("abc"));
        assert_eq!(filled("token.use", asked.clone(), " abc \n\nmore"), expected(" abc "));
        for empty in ["", "\n"] {
            let refused = filled("token.use", asked.clone(), empty).expect_err("nothing to read");
            assert!(refused.contains("the token"), "{refused}");
        }
        let claims = json!({"claims": {"code": "x"}});
        assert_eq!(filled("code.create", claims.clone(), ""), Ok(claims));
    }

    #[test]
    fn a_secret_on_the_command_line_is_refused_with_the_way_out() {
        let refused = filled("code.use", json!({"code": "ABCD-EFGH"}), "").expect_err("it would show");
        assert!(refused.contains("printf %s \"$CODE\" | enrollctl code use"), "{refused}");
        assert!(!refused.contains("ABCD"), "{refused}");
    }
}
