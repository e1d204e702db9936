//! The mapping of the columns of a file to the fields of its kind.
//!
//! A column that has the name of a field fills it, unless the field is mapped to another column or set for all rows.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::fields::Fields;
use super::kind::Shape;
use crate::failure::Failure;

/// Columns without a field that are named at the end, at most.
const UNTAKEN_MAX: usize = 20;

/// The columns of a result file, or of JSON lines the member: no field takes them.
pub(super) const RESULT: &str = "import";

/// The source of each field.
pub(super) struct Mapping {
    /// Fields and the columns that fill them.
    columns: Vec<(String, String)>,
    /// Fields that are the same in all rows.
    constants: Vec<(String, String)>,
    /// Columns that no field takes.
    untaken: BTreeSet<String>,
}

impl Mapping {
    /// Reads the options `--map FIELD=COLUMN` and `--set FIELD=VALUE`. Refuses a field that the kind has not, and one that
    /// is given twice.
    pub(super) fn of(shape: &Shape, maps: &[String], sets: &[String]) -> Result<Self, Failure> {
        let mut mapping = Self { columns: Vec::new(), constants: Vec::new(), untaken: BTreeSet::new() };
        let options = maps.iter().map(|text| ("--map", "COLUMN", text));
        for (option, form, text) in options.chain(sets.iter().map(|text| ("--set", "VALUE", text))) {
            let Some((field, value)) = text.split_once('=').filter(|(_, value)| !value.is_empty()) else {
                return Err(Failure::Usage(format!("{option} {text}: expected FIELD={form}")));
            };
            if !shape.has(field) {
                let (fields, objects) = (shape.fields().join(", "), shape.objects.join(".NAME, "));
                let members = if objects.is_empty() { String::new() } else { format!(", {objects}.NAME") };
                let why = format!("{option} {text}: there is no field {field}; there are {fields}{members}");
                return Err(Failure::Usage(why));
            }
            let mut given = mapping.columns.iter().chain(&mapping.constants);
            if given.any(|(before, _)| before == field) {
                return Err(Failure::Usage(format!("the field {field} is given twice")));
            }
            let into = if option == "--map" { &mut mapping.columns } else { &mut mapping.constants };
            into.push((field.to_owned(), value.to_owned()));
        }
        for field in shape.fields() {
            let mut given = mapping.columns.iter().chain(&mapping.constants);
            if !given.any(|(before, _)| before == field) {
                mapping.columns.push((field.to_owned(), field.to_owned()));
            }
        }
        Ok(mapping)
    }

    /// Refuses a header without a column that was mapped or that fills a required field.
    pub(super) fn expect_columns(&self, shape: &Shape, header: &[String], delimiter: u8) -> Result<(), Failure> {
        for (field, column) in &self.columns {
            let is_wanted = field != column || shape.required.contains(&field.as_str());
            if is_wanted && !header.contains(column) {
                let mut why =
                    format!("the header has no column {column}, which fills {field}; it has {}", header.join(", "));
                if field == column {
                    why += &format!("; map it with --map {field}=COLUMN");
                }
                if header.len() == 1 && header[0].contains([',', ';', '\t']) {
                    why += &format!(
                        "; its columns do not seem to stand between {:?}, see --delimiter",
                        char::from(delimiter)
                    );
                }
                return Err(Failure::Usage(why));
            }
        }
        Ok(())
    }

    /// The fields of a row.
    pub(super) fn apply(&mut self, record: &Map<String, Value>) -> Fields {
        let mut fields = Fields::default();
        for (field, column) in &self.columns {
            if let Some(value) = value(record, column) {
                fields.set(field, value.clone());
            }
        }
        for (field, constant) in &self.constants {
            fields.set(field, constant.as_str().into());
        }
        for name in record.keys().filter(|name| name.split('.').next() != Some(RESULT)) {
            let takes = |(_, column): &(String, String)| {
                column == name || column.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with('.'))
            };
            if self.untaken.len() < UNTAKEN_MAX && !self.columns.iter().any(takes) && !self.untaken.contains(name) {
                self.untaken.insert(name.clone());
            }
        }
        fields
    }

    /// The columns, as far as they were read, that no field takes.
    pub(super) fn untaken(&self) -> Vec<&str> {
        self.untaken.iter().map(String::as_str).collect()
    }
}

/// A column, or in JSON lines a member of a member, between dots.
fn value<'a>(record: &'a Map<String, Value>, column: &str) -> Option<&'a Value> {
    record.get(column).or_else(|| {
        let (first, rest) = column.split_once('.')?;
        value(record.get(first)?.as_object()?, rest)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::kind::Kind;
    use super::*;

    fn of(maps: &[&str], sets: &[&str]) -> Result<Mapping, String> {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        Mapping::of(Kind::People.shape(), &owned(maps), &owned(sets)).map_err(|failure| failure.line())
    }

    #[test]
    fn columns_fill_the_fields_that_they_are_mapped_to() {
        let mut mapping = of(&["callsign=login", "extra.team=data.team"], &["roles=member"]).expect("a mapping");
        let record = json!({"login": "A", "data": {"team": "red"}, "callsign": "B", "email": "x", "import": {}});
        let fields = mapping.apply(record.as_object().expect("an object"));
        assert_eq!(fields.text("callsign"), Ok(Some("A".to_owned())));
        assert_eq!(fields.words("roles"), Ok(vec!["member".to_owned()]));
        assert_eq!(fields.object("extra", &[]).map(Value::from), Ok(json!({"team": "red"})));
        assert_eq!(mapping.untaken(), ["callsign", "email"]);
    }

    #[test]
    fn an_option_that_maps_nothing_is_refused() {
        for (maps, sets, words) in [
            (&["callsign"][..], &[][..], "expected FIELD=COLUMN"),
            (&[], &["roles="], "expected FIELD=VALUE"),
            (&["name=login"], &[], "no field name; there are callsign, roles, deleted, extra, pk"),
            (&["extra.=x"], &[], "no field extra."),
            (&["callsign=a"], &["callsign=b"], "given twice"),
        ] {
            let refused = of(maps, sets).err().unwrap_or_default();
            assert!(refused.contains(words), "{refused}");
        }
    }
}
