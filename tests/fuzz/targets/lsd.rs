//! Hands libFuzzer's inputs to [`btda_fuzz::lsd`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| btda_fuzz::lsd::check(data));
