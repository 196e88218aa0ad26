//! Hands libFuzzer's inputs to [`btda_fuzz::extension`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| btda_fuzz::extension::check(data));
