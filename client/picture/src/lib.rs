//! Pictures of events and invite pools as data, with the sentences that tell them; `enrollctl event show` draws them
//! as text and the console as a page.
//!
//! Nothing here asks, reads a clock or knows a medium. A picture is made from replies of the daemon and a time.

pub mod event;
pub mod explanation;
pub mod past;
pub mod pool;
