//! Hands libFuzzer's inputs to [`btda_fuzz::krpc`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| btda_fuzz::krpc::check(data));
