//! Fuzzes `enroll_tests::fuzz::config`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| enroll_tests::fuzz::config(bytes));
