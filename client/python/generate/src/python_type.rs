//! Types of the contract in Python: its annotation, and the expression that reads it from JSON.

use syn::{GenericArgument, PathArguments, Type};

use crate::class_name;
use crate::contract::{Contract, Enum, Known};

/// Texts that are never shown.
const SECRETS: &[&str] = &["Token", "LoginCode", "InviteCode", "ApproveCode", "Jwt", "Password", "PrivateKey", "Pfx"];

/// Other texts, among them names, keys and codes of refusals.
const TEXTS: &[&str] = &[
    "String",
    "Pk",
    "Callsign",
    "CertificateSerial",
    "ChangeMac",
    "ConstantLabel",
    "ConstantValue",
    "CourseKey",
    "Cursor",
    "EventKind",
    "EventPoolName",
    "ExternalKey",
    "ListName",
    "MemberName",
    "NamePrefix",
    "Origin",
    "PermissionPath",
    "PkPrefix",
    "Reason",
    "RoleName",
    "Title",
    "Code",
    "Piece",
];

const NUMBERS: &[&str] = &["u8", "u16", "u32", "u64", "i8", "i16", "i32", "i64", "usize", "PageLimit"];

/// A type in Python.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PythonType {
    /// A type that is in Python what it is in JSON.
    Plain(String),
    /// A text that is never shown.
    Secret,
    /// A time.
    Time,
    /// A name of a record.
    Reference,
    /// A record, by the name of its class.
    Record(String),
    /// None, or this.
    Option(Box<Self>),
    /// A list of these.
    List(Box<Self>),
    /// A map from texts to these.
    Map(Box<Self>),
    /// A page of these.
    Page(Box<Self>),
}

impl PythonType {
    /// The Python of a type that stands in this module.
    pub(crate) fn of(contract: &Contract, module: &str, ty: &Type) -> Result<Self, String> {
        let path = match ty {
            Type::Path(path) => &path.path,
            Type::Tuple(tuple) if tuple.elems.is_empty() => return Ok(Self::Plain("None".to_owned())),
            _ => return Err(format!("a type of {module} has no Python")),
        };
        let mut names = path.segments.iter().rev();
        let last = names.next().ok_or("a type without a name")?;
        let module = names.next().map_or_else(|| module.to_owned(), |segment| segment.ident.to_string());
        let inner = match &last.arguments {
            PathArguments::AngleBracketed(arguments) => {
                arguments.args.iter().rev().find_map(|argument| match argument {
                    GenericArgument::Type(ty) => Some(Self::of(contract, &module, ty)),
                    _ => None,
                })
            }
            _ => None,
        };
        let inner = || inner.ok_or("a type without its content")?.map(Box::new);
        let name = last.ident.to_string();
        Ok(match name.as_str() {
            "Option" => Self::Option(inner()?),
            "Vec" => Self::List(inner()?),
            "BTreeMap" => Self::Map(inner()?),
            "Page" => Self::Page(inner()?),
            "bool" => Self::Plain("bool".to_owned()),
            "f64" => Self::Plain("float".to_owned()),
            "Time" => Self::Time,
            "Reference" => Self::Reference,
            "Json" => Self::Plain("JsonObject".to_owned()),
            "Any" => Self::Plain("Any".to_owned()),
            number if NUMBERS.contains(&number) => Self::Plain("int".to_owned()),
            secret if SECRETS.contains(&secret) => Self::Secret,
            text if TEXTS.contains(&text) => Self::Plain("str".to_owned()),
            "Reply" | "Unit" if module == "transaction" => Self::Plain("Any".to_owned()),
            name => match contract.known(&module, name) {
                Known::Struct((module, name), _) => Self::Record(record_name(module, name)),
                Known::Enum(found) => Self::Plain(words(found)),
                Known::Alias(module, ty) => Self::of(contract, module, ty)?,
                Known::None => return Err(format!("{module}::{name} has no Python")),
            },
        })
    }

    /// The annotation of a value that was received.
    pub(crate) fn received(&self) -> String {
        match self {
            Self::Plain(name) | Self::Record(name) => name.clone(),
            Self::Secret => "Secret".to_owned(),
            Self::Time => "datetime".to_owned(),
            Self::Reference => "str".to_owned(),
            Self::Option(inner) => format!("{} | None", inner.received()),
            Self::List(inner) => format!("list[{}]", inner.received()),
            Self::Map(inner) => format!("dict[str, {}]", inner.received()),
            Self::Page(inner) => format!("Page[{}]", inner.received()),
        }
    }

    /// The annotation of a value that is sent.
    pub(crate) fn sent(&self) -> String {
        match self {
            Self::Plain(name) if name == "JsonObject" => "Mapping[str, Any]".to_owned(),
            Self::Plain(name) => name.clone(),
            Self::Record(name) => format!("{name}Dict"),
            Self::Secret => "str".to_owned(),
            Self::Time => "datetime | str".to_owned(),
            Self::Reference => "Reference".to_owned(),
            Self::Option(inner) => format!("{} | None", inner.sent()),
            Self::List(inner) => format!("Sequence[{}]", inner.sent()),
            Self::Map(inner) => format!("Mapping[str, {}]", inner.sent()),
            Self::Page(inner) => inner.sent(),
        }
    }

    /// The expression that makes it from the JSON of `value`; `None` for JSON that stays as it is.
    pub(crate) fn read(&self, value: &str) -> Option<String> {
        match self {
            Self::Plain(_) | Self::Reference => None,
            Self::Secret => Some(format!("Secret({value})")),
            Self::Time => Some(format!("datetime.fromisoformat({value})")),
            Self::Record(name) => Some(format!("{name}.from_json({value})")),
            Self::Option(inner) => {
                inner.read("it").map(|read| format!("(None if (it := {value}) is None else {read})"))
            }
            Self::List(inner) => inner.read("item").map(|read| format!("[{read} for item in {value}]")),
            Self::Map(inner) => {
                inner.read("item").map(|read| format!("{{name: {read} for name, item in {value}.items()}}"))
            }
            Self::Page(inner) => inner.read("item"),
        }
    }

    /// The records in it.
    pub(crate) fn record(&self) -> Option<&str> {
        match self {
            Self::Record(name) => Some(name),
            Self::Option(inner) | Self::List(inner) | Self::Map(inner) | Self::Page(inner) => inner.record(),
            _ => None,
        }
    }
}

/// The class of a record. Names that several areas have begin with the area.
pub(crate) fn record_name(module: &str, name: &str) -> String {
    let area = class_name(module);
    match name {
        "Created" | "Exchanged" | "Used" | "Login" | "Spent" | "Failure" | "Granted" | "Imported" | "Issued" => {
            area + name
        }
        _ => name.to_owned(),
    }
}

/// A word of an enumeration, or another one of a newer daemon.
fn words(found: &Enum) -> String {
    let words: Vec<String> = found.words.iter().map(|word| format!("\"{word}\"")).collect();
    let texts = format!("Literal[{}] | str", words.join(", "));
    match (words.is_empty(), found.has_content) {
        (true, _) => "Mapping[str, Any]".to_owned(),
        (false, true) => format!("{texts} | Mapping[str, Any]"),
        (false, false) => texts,
    }
}
