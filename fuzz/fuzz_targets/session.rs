//! Fuzzes `enroll_tests::fuzz::session`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| enroll_tests::fuzz::session(bytes));
