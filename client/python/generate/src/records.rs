//! The records in Python: a frozen dataclass for each that is received, and a typed dictionary for each that is sent.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::contract::{Contract, Known, LINES, Struct};
use crate::python_type::PythonType;
use crate::{HEAD, docstring, mark};

/// Records by the name of their class, each with its module.
type Records = BTreeMap<String, (String, Struct)>;

/// The module.
pub(crate) fn module(contract: &Contract) -> Result<String, String> {
    let (mut received, mut sent) = (Records::new(), Records::new());
    for line in LINES {
        let reply = syn::parse_str(line.reply).map_err(|err| err.to_string())?;
        collect(contract, line.module, &reply, &mut received)?;
        for field in contract.request(line)?.fields.iter().filter(|field| !field.is_map) {
            collect(contract, line.module, &field.ty, &mut sent)?;
        }
    }
    let mut text = format!(
        "{HEAD}\"\"\"Records that the daemon answers, and those that a request brings.\"\"\"\n\n\
         from __future__ import annotations\n\n\
         from collections.abc import Mapping, Sequence\n\
         from dataclasses import dataclass\n\
         from datetime import datetime\n\
         from typing import Any, Literal, Required, TypedDict\n\n\
         from ._values import JsonObject, Reference, Secret\n"
    );
    let mut names = BTreeSet::new();
    for (name, (module, record)) in &received {
        text += &dataclass(contract, name, module, record)?;
        names.insert(name.clone());
    }
    for (name, (module, record)) in &sent {
        text += &dictionary(contract, name, module, record)?;
        names.insert(format!("{name}Dict"));
    }
    let names: String = names.iter().map(|name| format!("    \"{name}\",\n")).collect();
    let _ = write!(text, "\n\n__all__ = [\n{names}]\n");
    Ok(text)
}

/// Adds the records of a type, and those in them.
fn collect(contract: &Contract, module: &str, ty: &syn::Type, records: &mut Records) -> Result<(), String> {
    let python = PythonType::of(contract, module, ty)?;
    let Some(class) = python.record().map(str::to_owned) else { return Ok(()) };
    let Some((module, name)) = innermost(module, ty) else { return Ok(()) };
    let (module, record) = match contract.known(&module, &name) {
        Known::Struct((module, _), record) => (module.clone(), record.clone()),
        Known::Alias(module, ty) => return collect(contract, module, ty, records),
        _ => return Err(format!("{class} is no record")),
    };
    match records.get(&class) {
        Some((known, _)) if *known != module => return Err(format!("{class} stands in {known} and in {module}")),
        Some(_) => return Ok(()),
        None => records.insert(class, (module.clone(), record.clone())),
    };
    record.fields.iter().try_for_each(|field| collect(contract, &module, &field.ty, records))
}

/// Module and name of the innermost type, such as that of the items of a list.
fn innermost(module: &str, ty: &syn::Type) -> Option<(String, String)> {
    let syn::Type::Path(path) = ty else { return None };
    let mut segments = path.path.segments.iter().rev();
    let last = segments.next()?;
    let module = segments.next().map_or_else(|| module.to_owned(), |segment| segment.ident.to_string());
    if let syn::PathArguments::AngleBracketed(arguments) = &last.arguments {
        let content = arguments.args.iter().rev().find_map(|argument| match argument {
            syn::GenericArgument::Type(ty) => Some(ty),
            _ => None,
        });
        return innermost(&module, content?);
    }
    Some((module, last.ident.to_string()))
}

fn dataclass(contract: &Contract, name: &str, module: &str, record: &Struct) -> Result<String, String> {
    let mut text = format!("\n\n@dataclass(frozen=True, slots=True, kw_only=True)\nclass {name}:\n");
    text += &docstring(&record.doc, 4);
    text.push('\n');
    let mut reads = String::new();
    for field in &record.fields {
        let (python, name) = (PythonType::of(contract, module, &field.ty)?, &field.name);
        let mark = mark(name);
        let _ = writeln!(text, "    {name}{mark}: {}", python.received());
        text += &docstring(&field.doc, 4);
        let value = format!("record[\"{name}\"]");
        let _ = writeln!(reads, "            {name}{mark}={},", python.read(&value).unwrap_or(value));
    }
    let _ = write!(
        text,
        "\n    @classmethod\n    def from_json(cls, record: Mapping[str, Any]) -> {name}:\n        \
         \"\"\"The record of this JSON. Members that are not known are ignored.\"\"\"\n        \
         return cls(\n{reads}        )\n"
    );
    Ok(text)
}

fn dictionary(contract: &Contract, name: &str, module: &str, record: &Struct) -> Result<String, String> {
    let mut text = format!("\n\nclass {name}Dict(TypedDict, total=False):\n");
    text += &docstring(&record.doc, 4);
    text.push('\n');
    for field in &record.fields {
        let python = PythonType::of(contract, module, &field.ty)?.sent();
        let python = if field.may_be_absent { python } else { format!("Required[{python}]") };
        let _ = writeln!(text, "    {}: {python}", field.name);
        text += &docstring(&field.doc, 4);
    }
    Ok(text)
}
