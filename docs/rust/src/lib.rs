//! The Rust of the book: each block `rust` of these pages is a documentation test, so one that does not compile, or
//! fails, fails the tests of the workspace.

#[cfg(doctest)]
#[doc = include_str!("../../languages.md")]
pub struct Languages;
