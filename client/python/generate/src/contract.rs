//! The contract as its sources tell it (abstract syntax trees): records and enumerations with fields and sentences, and
//! the request and the reply of each operation.

use std::collections::BTreeMap;
use std::path::Path;

use enroll_protocol::OperationRow;
use syn::{Attribute, Expr, Fields, Item, Lit, Meta, Type};

/// The contract.
#[derive(Debug, Default)]
pub struct Contract {
    /// Records and requests, by module and name.
    structs: BTreeMap<(String, String), Struct>,
    /// Enumerations, by module and name.
    enums: BTreeMap<(String, String), Enum>,
    /// The type that a `type` stands for, by module and name.
    aliases: BTreeMap<(String, String), Type>,
}

/// A record or a request.
#[derive(Debug, Clone)]
pub(crate) struct Struct {
    pub(crate) doc: String,
    pub(crate) fields: Vec<Field>,
}

/// A field of a record or an argument of a request.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) doc: String,
    pub(crate) ty: Type,
    /// It may be absent in JSON.
    pub(crate) may_be_absent: bool,
    /// On the command line it stands without a name.
    pub(crate) is_positional: bool,
    /// A map in JSON, though it is a list of pairs.
    pub(crate) is_map: bool,
}

/// An enumeration: the words of its variants, and whether one of them carries something.
#[derive(Debug, Clone)]
pub(crate) struct Enum {
    pub(crate) words: Vec<String>,
    pub(crate) has_content: bool,
}

/// A thing that a type's name stands for.
pub(crate) enum Known<'c> {
    Struct(&'c (String, String), &'c Struct),
    Enum(&'c Enum),
    Alias(&'c str, &'c Type),
    None,
}

/// An operation with the names of its types.
pub(crate) struct Line {
    pub(crate) row: &'static OperationRow,
    pub(crate) module: &'static str,
    pub(crate) request: &'static str,
    pub(crate) reply: &'static str,
}

macro_rules! lines {
    ($($number:literal $kind:ident $access:ident $permission:literal $name:literal
       $area:ident::$request:ident => $reply:ty;)*) => {
        /// Every operation, in the order of the table.
        pub(crate) const LINES: &[Line] = &[$(Line {
            row: <enroll_protocol::$area::$request as enroll_protocol::Operation>::ROW,
            module: stringify!($area),
            request: stringify!($request),
            reply: stringify!($reply),
        }),*];
    };
}

enroll_protocol::operations!(lines);

impl Contract {
    /// Reads the sources in this directory.
    pub fn read(sources: &Path) -> Result<Self, String> {
        let mut contract = Self::default();
        contract.read_directory(sources, None)?;
        Ok(contract)
    }

    /// The declaration behind the name in this module.
    pub(crate) fn known(&self, module: &str, name: &str) -> Known<'_> {
        let key = (module.to_owned(), name.to_owned());
        if let Some((key, found)) = self.structs.get_key_value(&key).or_else(|| only(&self.structs, name)) {
            return Known::Struct(key, found);
        }
        if let Some(found) = self.enums.get(&key).or_else(|| only(&self.enums, name).map(|(_, found)| found)) {
            return Known::Enum(found);
        }
        match self.aliases.get_key_value(&key).or_else(|| only(&self.aliases, name)) {
            Some(((module, _), ty)) => Known::Alias(module, ty),
            None => Known::None,
        }
    }

    /// The request of an operation. One that a macro has made is known from its command line, and names records.
    pub(crate) fn request(&self, line: &Line) -> Result<Struct, String> {
        if let Some(found) = self.structs.get(&(line.module.to_owned(), line.request.to_owned())) {
            return Ok(found.clone());
        }
        let command = line.row.command(empty_command());
        let text = |text: Option<String>| text.unwrap_or_default();
        let fields = command.get_arguments().map(|argument| {
            let ty = syn::parse_str(if argument.is_positional() { "Reference" } else { "Any" });
            Ok(Field {
                name: argument.get_id().to_string(),
                doc: text(argument.get_help().map(ToString::to_string)),
                ty: ty.map_err(|err| err.to_string())?,
                may_be_absent: !argument.is_required_set(),
                is_positional: argument.is_positional(),
                is_map: false,
            })
        });
        let about = command.get_long_about().or(command.get_about()).map(ToString::to_string);
        Ok(Struct { doc: text(about), fields: fields.collect::<Result<_, String>>()? })
    }

    fn read_directory(&mut self, directory: &Path, module: Option<&str>) -> Result<(), String> {
        let failed = |err: &dyn std::fmt::Display| format!("{}: {err}", directory.display());
        let entries = std::fs::read_dir(directory).map_err(|err| failed(&err))?;
        let mut paths: Vec<_> = entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<_, _>>()
            .map_err(|err| failed(&err))?;
        paths.sort();
        for path in paths {
            let name = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let module = module.unwrap_or(&name);
            if path.is_dir() {
                self.read_directory(&path, Some(module))?;
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).map_err(|err| failed(&err))?;
                let file = syn::parse_file(&text).map_err(|err| failed(&err))?;
                file.items.into_iter().for_each(|item| self.add(module, item));
            }
        }
        Ok(())
    }

    fn add(&mut self, module: &str, item: Item) {
        match item {
            Item::Struct(item) => {
                if let Fields::Named(fields) = item.fields {
                    let fields = fields.named.into_iter().map(field).collect();
                    let found = Struct { doc: doc(&item.attrs), fields };
                    self.structs.insert((module.to_owned(), item.ident.to_string()), found);
                }
            }
            Item::Enum(item) => {
                let words = item.variants.iter().filter(|variant| variant.fields.is_empty());
                let words: Vec<_> = words.map(|variant| snake(&variant.ident.to_string())).collect();
                let has_content = words.len() < item.variants.len();
                self.enums.insert((module.to_owned(), item.ident.to_string()), Enum { words, has_content });
            }
            Item::Type(item) => {
                self.aliases.insert((module.to_owned(), item.ident.to_string()), *item.ty);
            }
            _ => {}
        }
    }
}

/// A command to which a request adds its arguments.
fn empty_command() -> clap::Command {
    clap::Command::new("request")
}

/// The only thing of this name in all modules.
fn only<'m, T>(things: &'m BTreeMap<(String, String), T>, name: &str) -> Option<(&'m (String, String), &'m T)> {
    let mut found = things.iter().filter(|((_, known), _)| known == name);
    found.next().filter(|_| found.next().is_none())
}

fn field(field: syn::Field) -> Field {
    let tokens: Vec<String> = field
        .attrs
        .iter()
        .filter_map(|attribute| match &attribute.meta {
            Meta::List(list) => Some(list.tokens.to_string()),
            _ => None,
        })
        .collect();
    let has = |word: &str| {
        tokens.iter().any(|tokens| tokens.split(|c: char| !c.is_alphanumeric() && c != '_').any(|w| w == word))
    };
    let is_option =
        matches!(&field.ty, Type::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == "Option"));
    Field {
        name: field.ident.map(|ident| ident.to_string()).unwrap_or_default(),
        doc: doc(&field.attrs),
        may_be_absent: is_option || tokens.iter().any(|tokens| tokens.starts_with("default")),
        is_positional: !has("long"),
        is_map: tokens.iter().any(|tokens| tokens.contains("pairs")),
        ty: field.ty,
    }
}

/// The doc comment.
fn doc(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Str(line) => Some(line.value()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    });
    lines.map(|line| line.strip_prefix(' ').unwrap_or(&line).to_owned()).collect::<Vec<_>>().join("\n")
}

fn snake(name: &str) -> String {
    let mut snake = String::new();
    for (at, letter) in name.char_indices() {
        if letter.is_uppercase() && at > 0 {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}
