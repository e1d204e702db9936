//! Standard input, for one reader: of two things that a command would read from it, one would get the other's bytes.

use std::io::{self, Stdin};
use std::sync::{Mutex, PoisonError};

use crate::failure::Failure;

static TAKEN: Mutex<Option<String>> = Mutex::new(None);

/// Standard input, to read this. Refuses where something else is read from it already.
pub(crate) fn take(what: &str) -> Result<Stdin, Failure> {
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    match &*taken {
        Some(before) => {
            let why = format!("standard input holds the {before}, so the {what} can not come from it as well");
            Err(Failure::Usage(why))
        }
        None => {
            *taken = Some(what.to_owned());
            Ok(io::stdin())
        }
    }
}
