//! enrollctl.
fn main() {}
