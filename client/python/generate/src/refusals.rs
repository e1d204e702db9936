//! The refusals in Python: an exception class for each code, with its HTTP status.

use std::fmt::Write as _;

use enroll_protocol::Code;

use crate::{HEAD, class_name, docstring};

/// The module.
pub(crate) fn module() -> String {
    let mut text = format!(
        "{HEAD}\"\"\"Refusals: an exception class for each code of the table.\"\"\"\n\n\
         from __future__ import annotations\n\nfrom ._errors import Refused\n"
    );
    let mut classes = String::new();
    let mut names: Vec<String> = Vec::new();
    for (code, name, sentence) in Code::TABLE {
        let class = class_name(name);
        let _ = write!(text, "\n\nclass {class}(Refused):\n{}\n", docstring(&format!("`{name}`: {sentence}"), 4));
        let _ = writeln!(text, "    http_status = {}", http_status(*code));
        let _ = writeln!(classes, "    \"{name}\": {class},");
        names.push(class);
    }
    let _ =
        write!(text, "\n\nREFUSALS: dict[str, type[Refused]] = {{\n{classes}}}\n\"\"\"The class of each code.\"\"\"\n");
    names.sort();
    let names: String = names.iter().map(|name| format!("    \"{name}\",\n")).collect();
    let _ = write!(text, "\n__all__ = [\n    \"REFUSALS\",\n{names}]\n");
    text
}

/// The status with which a web service passes a refusal on (RFC 9110).
fn http_status(code: Code) -> u16 {
    match code {
        Code::NOT_FOUND => 404,
        Code::DELETED | Code::EXPIRED => 410,
        Code::INVALID_ARGUMENT => 400,
        Code::JWT_INVALID => 401,
        Code::PERMISSION_DENIED | Code::FORBIDDEN_OPERATION | Code::NO_PERMISSION | Code::CODE_MISMATCH => 403,
        Code::TOO_LARGE => 413,
        Code::KEY_REUSED | Code::CSR_MISMATCH => 422,
        Code::TOO_MANY_ATTEMPTS => 429,
        Code::INTERNAL => 500,
        Code::UNKNOWN_OPERATION => 501,
        Code::BUSY | Code::OUTCOME_UNKNOWN | Code::UNAVAILABLE | Code::SHUTTING_DOWN => 503,
        Code::STORAGE => 507,
        _ => 409,
    }
}
