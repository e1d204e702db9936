//! Whole programs against a plain model of what linking is: what is answered for each key, who is in which course in
//! which mode, and who has which role agree after every call, on every store.

mod history;
mod model;
