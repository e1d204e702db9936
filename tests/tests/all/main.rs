//! One test binary: linking is what takes long.

mod golden;
mod histories;
mod rules;
