//! One binary for each target: its name says which.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::find(env!("CARGO_BIN_NAME"))(data));
