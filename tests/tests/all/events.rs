//! Whole events against a plain model of what an event is: what is answered, who holds which place and who waits where
//! agree after every call, whatever happens in whichever order.

mod counts;
mod expect;
mod history;
mod model;
mod owner;
