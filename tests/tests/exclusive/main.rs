//! Exclusive tests: they run one at a time, in a binary of their own, because they measure latency or load the machine.

mod hostile;
mod linearizable;
mod neighbours;
mod oracles;
mod power;
mod refused;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// A lock that lets one of these tests run at a time.
fn exclusive() -> MutexGuard<'static, ()> {
    static MACHINE: Mutex<()> = Mutex::new(());
    MACHINE.lock().unwrap_or_else(PoisonError::into_inner)
}
