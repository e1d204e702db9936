//! The operations in Python: an asynchronous method for each, in a class for each area. Those of the other client are
//! made from them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use enroll_protocol::Kind;

use crate::contract::{Contract, Field, LINES, Line};
use crate::python_type::PythonType;
use crate::{HEAD, class_name, docstring, ended, mark};

/// Names of options that every call takes, which no argument may have.
const OPTIONS: &[&str] = &["actor", "actor_jwt", "origin", "idempotency_key", "dry_run", "timeout"];

/// The module.
pub(crate) fn module(contract: &Contract) -> Result<String, String> {
    let mut text = format!(
        "{HEAD}\"\"\"Operations: a method for each, in a class for each area.\"\"\"\n\n\
         from __future__ import annotations\n\n\
         import builtins\n\
         from collections.abc import Mapping, Sequence\n\
         from datetime import datetime\n\
         from typing import Any, Literal, Unpack\n\n\
         from ._calls import AsyncCalls, AsyncPages, AsyncStream\n\
         from ._operation import Operation, Options\n\
         from ._records import *\n\
         from ._values import UNSET, JsonObject, Reference, Secret, Unset\n"
    );
    let mut table = String::from("\n");
    let mut areas: BTreeMap<&str, String> = BTreeMap::new();
    for line in LINES {
        table += &row(contract, line)?;
        areas.entry(line.row.area()).or_default().push_str(&method(contract, line)?);
    }
    text += &table;
    let rows: String = LINES.iter().map(|line| format!("    {},\n", constant(line))).collect();
    let _ = write!(
        text,
        "\nTABLE: dict[str, Operation[Any]] = {{row.name: row for row in (\n{rows})}}\n\
         \"\"\"Every operation by its name.\"\"\"\n"
    );
    let mut attributes = String::new();
    for (area, methods) in &areas {
        let class = format!("Async{}Operations", class_name(area));
        let _ = write!(
            text,
            "\n\nclass {class}:\n    \"\"\"The operations of the area `{area}`.\"\"\"\n\n    \
             __slots__ = (\"_calls\",)\n\n    def __init__(self, calls: AsyncCalls) -> None:\n        \
             self._calls = calls\n{methods}"
        );
        let _ = write!(
            attributes,
            "\n    @property\n    def {area}(self) -> {class}:\n        \"\"\"The operations of the area `{area}`.\"\"\"\n        \
             return {class}(self)\n"
        );
    }
    let _ = write!(text, "\n\nclass AsyncAreas(AsyncCalls):\n    \"\"\"The areas of a client.\"\"\"\n{attributes}");
    Ok(text)
}

/// The name of an operation's constant.
fn constant(line: &Line) -> String {
    line.row.name.to_uppercase().replace('.', "_")
}

fn row(contract: &Contract, line: &Line) -> Result<String, String> {
    let reply = reply(contract, line)?;
    let read = match &reply {
        PythonType::Page(item) => item.read("value"),
        other => other.read("value"),
    };
    let read = read.map_or_else(|| "None".to_owned(), |read| format!("lambda value: {read}"));
    let (number, name, is_write) = (line.row.number, line.row.name, python_bool(line.row.kind.is_write()));
    let of = match &reply {
        PythonType::Page(item) => item.received(),
        other => other.received(),
    };
    Ok(format!("{}: Operation[{of}] = Operation({number}, \"{name}\", {is_write}, {read})\n", constant(line)))
}

fn python_bool(value: bool) -> &'static str {
    if value { "True" } else { "False" }
}

fn reply(contract: &Contract, line: &Line) -> Result<PythonType, String> {
    let ty = syn::parse_str(line.reply).map_err(|err| err.to_string())?;
    PythonType::of(contract, line.module, &ty)
}

fn method(contract: &Contract, line: &Line) -> Result<String, String> {
    let request = contract.request(line)?;
    let name = line.row.verb();
    let mark = mark(name);
    if let Some(field) = request.fields.iter().find(|field| OPTIONS.contains(&field.name.as_str())) {
        return Err(format!("{} has an argument {}, which is an option", line.row.name, field.name));
    }
    let clearable = clearable(contract, line, &request.fields)?;
    let fields: Vec<&Field> =
        request.fields.iter().filter(|field| field.name != "clear" || clearable.is_empty()).collect();
    let (mut before, mut after, mut fill, mut given) = (String::new(), String::new(), String::new(), Vec::new());
    // Arguments without a name come first; one that may be absent ends them, unless all after it may be absent, too.
    let mut may_go_on = true;
    for field in &fields {
        let (annotation, default) = argument(contract, line, field, &clearable)?;
        let text = match default {
            Some(default) => format!("{}: {annotation} = {default}", field.name),
            None => format!("{}: {annotation}", field.name),
        };
        let is_first = field.is_positional && may_go_on;
        may_go_on &= field.is_positional && default.is_none();
        let _ = writeln!(if is_first { &mut before } else { &mut after }, "        {text},");
        let (name, key) = (&field.name, format!("\"{}\"", field.name));
        match default {
            None | Some("False") => given.push(format!("{key}: {name}")),
            Some("UNSET") => {
                let _ = write!(
                    fill,
                    "        if {name} is None:\n            clear.append({key})\n        \
                     elif not isinstance({name}, Unset):\n            args[{key}] = {name}\n"
                );
            }
            Some(_) => {
                let _ = write!(fill, "        if {name} is not None:\n            args[{key}] = {name}\n");
            }
        }
    }
    if !clearable.is_empty() {
        fill = format!("        clear: list[str] = []\n{fill}        if clear:\n            args[\"clear\"] = clear\n");
    }
    let star = if after.is_empty() { String::new() } else { "        *,\n".to_owned() };
    let arguments = format!("        self,\n{before}{star}{after}        **options: Unpack[Options],\n");
    let (opening, answer, last) = form(contract, line)?;
    Ok(format!(
        "\n    {opening} {name}{mark}(\n{arguments}    ) -> {answer}:\n{}        args: dict[str, Any] = {{{}}}\n{fill}{last}",
        docstring(&documentation(line, &request.doc, &fields), 8),
        given.join(", "),
    ))
}

/// Annotation and default of an argument.
fn argument(
    contract: &Contract,
    line: &Line,
    field: &Field,
    clearable: &[String],
) -> Result<(String, Option<&'static str>), String> {
    if field.is_map {
        return Ok(("Mapping[str, Reference]".to_owned(), None));
    }
    let python = PythonType::of(contract, line.module, &field.ty)?;
    let sent = match &python {
        PythonType::Option(inner) => inner.sent(),
        other => other.sent(),
    };
    Ok(match &python {
        _ if clearable.contains(&field.name) => (format!("{sent} | Unset | None"), Some("UNSET")),
        PythonType::Plain(name) if name == "bool" && !field.is_positional => (sent, Some("False")),
        _ if field.may_be_absent => (format!("{sent} | None"), Some("None")),
        _ => (sent, None),
    })
}

/// The arguments that an update can clear.
fn clearable(contract: &Contract, line: &Line, fields: &[Field]) -> Result<Vec<String>, String> {
    let Some(clear) = fields.iter().find(|field| field.name == "clear") else { return Ok(Vec::new()) };
    let PythonType::List(words) = PythonType::of(contract, line.module, &clear.ty)? else { return Ok(Vec::new()) };
    let words = words.sent();
    let is_named = |field: &&Field| words.contains(&format!("\"{}\"", field.name));
    Ok(fields.iter().filter(is_named).map(|field| field.name.clone()).collect())
}

/// The first line of a method, the type of its answer, and its last line.
fn form(contract: &Contract, line: &Line) -> Result<(&'static str, String, String), String> {
    let (reply, row) = (reply(contract, line)?, constant(line));
    // A class with a method `list` has no other `list`.
    let received = |python: &PythonType| python.received().replace("list[", "builtins.list[");
    let items = |class: &str, item: String, method: &str| {
        let last = format!("        return self._calls.{method}({row}, args, options)\n");
        ("def", format!("{class}[{item}]"), last)
    };
    Ok(match (line.row.kind, &reply) {
        (Kind::Stream, _) => items("AsyncStream", received(&reply), "stream"),
        (Kind::Walk, _) => items("AsyncStream", received(&reply), "walk"),
        (_, PythonType::Page(item)) => items("AsyncPages", received(item), "pages"),
        _ => {
            let word = if reply.received() == "None" { "" } else { "return " };
            let last = format!("        {word}await self._calls.call({row}, args, options)\n");
            ("async def", received(&reply), last)
        }
    })
}

/// The sentences of an operation and of its arguments.
fn documentation(line: &Line, doc: &str, fields: &[&Field]) -> String {
    let (first, rest) = doc.split_once('\n').unwrap_or((doc, ""));
    let mut text = format!("{}\n{}", ended(first), rest.trim_end());
    let arguments: String = fields
        .iter()
        .filter(|field| !field.doc.is_empty())
        .map(|field| {
            let sentence = spoken(&field.doc);
            format!("\n- `{}`: {}", field.name, ended(&sentence))
        })
        .collect();
    if !arguments.is_empty() {
        let _ = write!(text, "\n{arguments}");
    }
    let permission = line.row.permission;
    let access = format!("{:?}", line.row.access).to_lowercase();
    let _ = write!(text, "\n\nNeeds the grant `{access}`");
    if permission.is_empty() {
        text.push('.');
    } else {
        let _ = write!(text, ", and of an actor the permission `{permission}` for what is not their own.");
    }
    while text.contains("\n\n\n") {
        text = text.replace("\n\n\n", "\n\n");
    }
    text
}

/// The sentence of an argument without what concerns a command line alone.
fn spoken(doc: &str) -> String {
    let one = doc.replace('\n', " ");
    let cut = ["; - reads", "; `-`", "; may be repeated", ", as JSON"].iter().filter_map(|mark| one.find(mark)).min();
    one[..cut.unwrap_or(one.len())].to_owned()
}
