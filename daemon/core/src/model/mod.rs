//! The data model: storage keys, records, and their bytes. Stored records are versioned and are never the wire's types,
//! so either can change without the other.

pub mod certificate;
pub mod change;
pub mod event;
pub mod export_schema;
pub mod hex;
pub mod idempotency;
pub mod key;
mod older;
pub mod program;
pub mod record;
mod stored;
pub mod token;
