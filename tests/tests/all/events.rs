//! Model tests of whole events: answers, places and waiting lists agree with a plain model after every call, in any
//! order of calls.

mod counts;
mod expect;
mod history;
mod owner;
mod past;
mod placing;
