//! Tests that want the machine for themselves, one after the other: what they measure, or how much they do, would be at the
//! expense of others.

mod hostile;
mod linearizable;
mod power;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Waits until no other of these tests runs.
fn alone() -> MutexGuard<'static, ()> {
    static MACHINE: Mutex<()> = Mutex::new(());
    MACHINE.lock().unwrap_or_else(PoisonError::into_inner)
}
