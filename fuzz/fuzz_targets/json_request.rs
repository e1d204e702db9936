//! Fuzzes `enroll_tests::fuzz::json_request`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| enroll_tests::fuzz::json_request(bytes));
