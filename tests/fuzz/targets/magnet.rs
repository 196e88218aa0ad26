//! Hands libFuzzer's inputs to [`btda_fuzz::magnet`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| btda_fuzz::magnet::check(data));
