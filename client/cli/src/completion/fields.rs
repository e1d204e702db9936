//! Candidates for `--field`: the names in the schema of the operation's reply.

use std::ffi::OsStr;

use clap_complete::engine::CompletionCandidate;
use enroll_client::protocol::OperationRow;
use enroll_client::protocol::shape::Shape;

/// The fields of the operation's replies that begin so; of a list, those of its items.
pub(super) fn candidates(row: Option<&OperationRow>, typed: &OsStr) -> Vec<CompletionCandidate> {
    let (Some(row), Some(typed)) = (row, typed.to_str()) else { return Vec::new() };
    let mut names = Vec::new();
    collect("", item(&row.reply_shape()), &mut names);
    names.into_iter().filter(|name| name.starts_with(typed)).map(CompletionCandidate::new).collect()
}

fn collect(before: &str, shape: &Shape, names: &mut Vec<String>) {
    match shape {
        Shape::Record(members) => {
            for (name, below) in members {
                let name = format!("{before}{name}");
                names.push(name.clone());
                collect(&(name + "."), below, names);
            }
        }
        Shape::List(item) => collect(before, item, names),
        Shape::Value | Shape::Any => {}
    }
}

/// The shape of a page's items; another shape as it is.
fn item(shape: &Shape) -> &Shape {
    match shape {
        Shape::Record(members) => match members.as_slice() {
            [(items, Shape::List(item)), (next, _)] if items == "items" && next == "next" => item.as_ref(),
            _ => shape,
        },
        _ => shape,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_a_reply_are_offered() {
        for (operation, typed, expected) in [
            ("person.get", "ca", &["callsign"][..]),
            ("person.list", "rev", &["revocation", "revocation.reason", "revocation.at"]),
            ("event.get", "pools.na", &["pools.name"]),
            ("role.has", "", &[]),
            ("pool.list", "ne", &[]),
        ] {
            let candidates = candidates(OperationRow::by_name(operation), typed.as_ref());
            let names: Vec<_> = candidates.iter().map(|one| one.get_value().to_string_lossy().into_owned()).collect();
            assert_eq!(names, expected, "{operation}");
        }
    }
}
