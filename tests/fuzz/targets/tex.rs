//! Hands libFuzzer's inputs to [`btda_fuzz::tex`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| btda_fuzz::tex::check(data));
