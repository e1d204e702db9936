//! Constants: lists of the allowed values of a field in a person's `extra`, kept by moderators.

use serde::{Deserialize, Serialize};

use crate::value::{ConstantLabel, ConstantValue, ListName};

/// A value that is allowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Constant {
    /// The list, named like the field.
    pub list: ListName,
    /// The value.
    pub value: ConstantValue,
    /// Label, for people.
    pub label: Option<ConstantLabel>,
}

/// Allow a value; true if that is new
///
/// With its first value a list exists: from then on the field of that name in a person's extra must be one of its
/// values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Example:\n  enrollctl --as MODERATOR constant set country SE --label Sweden")
)]
#[serde(deny_unknown_fields)]
pub struct Set {
    /// The list, named like the field
    pub list: ListName,
    /// The value
    pub value: ConstantValue,
    /// Label, for people
    #[cfg_attr(feature = "cli", arg(long, value_name = "TEXT"))]
    pub label: Option<ConstantLabel>,
}

/// Allow a value no longer; true if it was allowed
///
/// People who have it keep it. With its last value a list is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Example:\n  enrollctl --as MODERATOR constant remove country SE")
)]
#[serde(deny_unknown_fields)]
pub struct Remove {
    /// The list
    pub list: ListName,
    /// The value
    pub value: ConstantValue,
}

/// List the values that are allowed
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::Args), command(after_help = "Example:\n  enrollctl constant list country"))]
#[serde(deny_unknown_fields)]
pub struct List {
    /// Only this list
    pub list: Option<ListName>,
}
