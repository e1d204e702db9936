//! The header of a CSV file, which maps columns to fields. The refusal of a wrong header suggests the likely cause.

use super::rows::Column;
use crate::failure::Failure;

/// Delimiters, the option's value for each, and their names.
const DELIMITERS: [(u8, &str, &str); 3] =
    [(b',', "','", "commas"), (b';', "';'", "semicolons"), (b'\t', "tab", "tabs")];

/// The columns of a file by their index.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) columns: Vec<Filling>,
    /// The number of columns up to the last one with a name.
    pub(super) named: usize,
}

/// The source of a field's value.
#[derive(Debug)]
pub(super) struct Filling {
    pub(super) field: String,
    /// The name of its column in messages.
    pub(super) column: String,
    /// The index of its column; `None` for a missing optional one.
    pub(super) at: Option<usize>,
    /// True if an empty value is none.
    pub(super) is_optional: bool,
}

/// Parses the delimiter option.
pub(crate) fn delimiter(text: &str) -> Result<u8, String> {
    match text {
        "," => Ok(b','),
        ";" => Ok(b';'),
        "\t" | "\\t" | "tab" => Ok(b'\t'),
        _ => Err("a delimiter is , or ; or tab".to_owned()),
    }
}

/// Refuses a file in UTF-16, which its first bytes show.
pub(super) fn expect_utf8(begin: &[u8]) -> Result<(), Failure> {
    let is_utf16 = begin.starts_with(b"\xff\xfe") || begin.starts_with(b"\xfe\xff");
    if is_utf16 || begin.iter().take(64).any(|byte| *byte == 0) {
        let why = "the file is in UTF-16, as spreadsheets save \"Unicode text\"; save it as CSV in UTF-8";
        return Err(Failure::Usage(why.to_owned()));
    }
    Ok(())
}

impl Header {
    /// Finds the columns by their names. Refuses unknown, repeated and missing ones.
    pub(super) fn read(names: &[String], columns: &'static [Column], delimiter: u8) -> Result<Self, Failure> {
        let of = |column: &Column, name: &String| column.names.contains(&name.as_str());
        let mut found = Vec::new();
        for column in columns {
            let mut indices = (0..names.len()).filter(|at| of(column, &names[*at]));
            let index = indices.next();
            if let (Some(first), Some(second)) = (index, indices.next()) {
                let (first, second) = (&names[first], &names[second]);
                return refuse(match first == second {
                    true => format!("the header has the column {first:?} twice"),
                    false => format!("the header has the columns {first:?} and {second:?}, which mean the same"),
                });
            }
            if index.is_none() && !column.is_optional {
                let needed = column.names.join(" or ");
                let form = written(columns);
                let other = other_delimiter(names, columns, delimiter).unwrap_or_default();
                return refuse(format!("the header has no column {needed}; it is written as {form}{other}"));
            }
            let (field, shown) = (column.field.to_owned(), column.names[0].to_owned());
            found.push(Filling { field, column: shown, at: index, is_optional: column.is_optional });
        }
        let is_unknown = |name: &&String| !name.is_empty() && !columns.iter().any(|column| of(column, name));
        let unknown: Vec<String> = names.iter().filter(is_unknown).map(|name| format!("{name:?}")).collect();
        if !unknown.is_empty() {
            let (plural, form) = (if unknown.len() == 1 { "" } else { "s" }, written(columns));
            let unknown = unknown.join(", ");
            return refuse(format!("the header has the unknown column{plural} {unknown}; it is written as {form}"));
        }
        Ok(Self { columns: found, named: named(names) })
    }

    /// Takes every column that has a name, as a field of that name. Refuses a repeated one, and a header without any.
    pub(super) fn of_any(names: &[String]) -> Result<Self, Failure> {
        let mut columns: Vec<Filling> = Vec::new();
        for (at, name) in names.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
            if columns.iter().any(|before| before.field == *name) {
                return refuse(format!("the header has the column {name:?} twice"));
            }
            let (field, column) = (name.clone(), name.clone());
            columns.push(Filling { field, column, at: Some(at), is_optional: false });
        }
        if columns.is_empty() {
            return refuse("the first line names no column; a CSV file begins with a header".to_owned());
        }
        Ok(Self { columns, named: named(names) })
    }
}

/// The number of columns up to the last one with a name.
fn named(names: &[String]) -> usize {
    names.iter().rposition(|name| !name.is_empty()).map_or(0, |last| last + 1)
}

fn refuse<T>(why: String) -> Result<T, Failure> {
    Err(Failure::Usage(why))
}

/// The expected header.
fn written(columns: &[Column]) -> String {
    columns.iter().map(|column| column.names[0]).collect::<Vec<_>>().join(",")
}

/// A hint at another delimiter that would make the header fit.
fn other_delimiter(names: &[String], columns: &[Column], delimiter: u8) -> Option<String> {
    let header = names.join(char::from(delimiter).to_string().as_str());
    let fits = |other: u8| {
        let names: Vec<&str> = header.split(char::from(other)).map(|name| name.trim().trim_matches('"')).collect();
        columns.iter().all(|column| column.is_optional || names.iter().any(|name| column.names.contains(name)))
    };
    let (_, option, called) = DELIMITERS.into_iter().find(|(other, ..)| *other != delimiter && fits(*other))?;
    Some(format!("; its columns seem to stand between {called}: give --delimiter {option}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: &[Column] = &[
        Column { field: "external_key", names: &["external_key"], is_optional: false },
        Column { field: "person", names: &["callsign", "person"], is_optional: false },
        Column { field: "curriculum", names: &["curriculum"], is_optional: true },
    ];

    fn read(header: &str, delimiter: u8) -> Result<usize, String> {
        let names: Vec<String> = header.split(char::from(delimiter)).map(str::to_owned).collect();
        Header::read(&names, COLUMNS, delimiter).map(|header| header.named).map_err(|failure| failure.line())
    }

    #[test]
    fn a_header_fits_or_is_refused_with_its_likely_cause() {
        for (header, delimiter, expected) in [
            ("external_key,callsign", b',', Ok(2)),
            ("person;external_key;curriculum", b';', Ok(3)),
            ("external_key,callsign,,", b',', Ok(2)),
            ("external_key", b',', Err("no column callsign or person")),
            ("external_key;callsign", b',', Err("between semicolons: give --delimiter ';'")),
            ("external_key\tcallsign", b',', Err("between tabs: give --delimiter tab")),
            ("external_key,callsign", b';', Err("between commas: give --delimiter ','")),
            ("external_key,callsign,external_key", b',', Err("the column \"external_key\" twice")),
            ("external_key,callsign,person", b',', Err("\"callsign\" and \"person\", which mean the same")),
            ("external_key,callsign,x,y", b',', Err("the unknown columns \"x\", \"y\"")),
        ] {
            match (read(header, delimiter), expected) {
                (Ok(named), Ok(expected)) => assert_eq!(named, expected, "{header}"),
                (Err(why), Err(words)) => assert!(why.contains(words), "{why}"),
                (read, _) => panic!("{header}: {read:?}"),
            }
        }
    }

    #[test]
    fn delimiters_and_encodings() {
        for (text, expected) in
            [(",", Some(b',')), (";", Some(b';')), ("tab", Some(b'\t')), ("\t", Some(b'\t')), ("|", None)]
        {
            assert_eq!(delimiter(text).ok(), expected, "{text}");
        }
        assert!(expect_utf8(b"external_key,callsign\n").is_ok());
        for other in [&b"\xff\xfee\0x\0"[..], b"\xfe\xff\0e\0x", b"e\0x\0t\0"] {
            assert!(expect_utf8(other).is_err_and(|failure| failure.line().contains("UTF-16")));
        }
    }
}
