//! Views as a test terminal shows them.
