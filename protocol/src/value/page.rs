//! Pagination: every list answers a bounded page and the cursor of the next one.

use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, de};

use super::{Cursor, Invalid};
use crate::limits::{PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX};

/// A part of a list. It may hold fewer items than asked for, even none, while `next` is set: a page also ends at
/// half a frame and after a bounded scan.
///
/// ```
/// use enroll_protocol::{Page, person};
///
/// // The next request of a list, until there is no more.
/// fn next_of<T>(mut list: person::List, page: &Page<T>) -> Option<person::List> {
///     list.after = Some(page.next.clone()?);
///     Some(list)
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page<T> {
    /// The items, in the list's order.
    pub items: Vec<T>,
    /// Pass this as `after` to go on; `None` at the end of the list.
    pub next: Option<Cursor>,
}

/// Items per page: 1 to 1000, 100 by default.
///
/// ```
/// use enroll_protocol::PageLimit;
///
/// assert_eq!(PageLimit::default().items(), 100);
/// assert!(PageLimit::new(1001).is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct PageLimit(u16);

impl PageLimit {
    /// The limit, if it is 1 to 1000.
    ///
    /// The example stands at [`PageLimit`].
    pub fn new(items: u64) -> Result<Self, Invalid> {
        match u16::try_from(items) {
            Ok(items @ 1..=PAGE_ITEMS_MAX) => Ok(Self(items)),
            _ => Err(Invalid(format!("limit must be 1 to {PAGE_ITEMS_MAX}; this is {items}"))),
        }
    }

    /// The number of items.
    ///
    /// The example stands at [`PageLimit`].
    pub fn items(self) -> usize {
        usize::from(self.0)
    }
}

impl Default for PageLimit {
    fn default() -> Self {
        Self(PAGE_ITEMS_DEFAULT)
    }
}

impl FromStr for PageLimit {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::new(text.parse().map_err(|_| Invalid(format!("limit must be a number, 1 to {PAGE_ITEMS_MAX}")))?)
    }
}

impl std::fmt::Display for PageLimit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for PageLimit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let items = if deserializer.is_human_readable() {
            u64::deserialize(deserializer)?
        } else {
            u64::from(u16::deserialize(deserializer)?)
        };
        Self::new(items).map_err(de::Error::custom)
    }
}
