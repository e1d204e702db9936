//! The rate limit of wrong codes behind one mutex, shared by the sessions, which look codes up, and the writer, which
//! uses and spends them.
//!
//! The lock is held while the rule of a request that brings a code runs, and a wrong code counts before the lock is
//! released and the answer given: so counting is exact when reads and writes race. Other requests take no lock.

use std::sync::{Mutex, MutexGuard, PoisonError};

use enroll_core::context::Context;
use enroll_core::fault::Fault;
use enroll_core::rules::Call;
use enroll_core::rules::rate_limit::RateLimit;
use enroll_core::state::ReadTxn;
use enroll_protocol::OperationRow;

/// The rate limit that all threads share.
#[derive(Default)]
pub struct Guesses(Mutex<RateLimit>);

impl Guesses {
    /// The rate limit, until the guard is dropped.
    pub fn lock(&self) -> MutexGuard<'_, RateLimit> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs the rule of a request that brings a code, with the window of its source in the context, and notes a refused
    /// attempt.
    pub fn counted<T>(
        &self,
        row: &'static OperationRow,
        txn: &dyn ReadTxn,
        ctx: &mut Context,
        rule: impl FnOnce(&Context) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let mut limit = self.lock();
        ctx.guesses = Some(limit.window(ctx));
        let ran = rule(ctx);
        if let Err(Fault::Attempt { refusal, subject, guess }) = &ran {
            // The actor was found already, or the rule would not have got as far as the code.
            limit.note(&Call::begin(txn, ctx, row)?, refusal, *subject, *guess);
        }
        ran
    }
}
