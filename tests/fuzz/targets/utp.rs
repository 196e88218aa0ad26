//! Hands libFuzzer's inputs to [`btda_fuzz::utp`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| btda_fuzz::utp::check(data));
