//! Model tests of whole programs: answers, course enrollments with their modes, and course roles agree with a plain
//! model after every call, on every store.

mod history;
