//! Hands libFuzzer's inputs to [`btda_fuzz::mse`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| btda_fuzz::mse::check(data));
