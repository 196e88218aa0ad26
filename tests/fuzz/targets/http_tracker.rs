//! Hands libFuzzer's inputs to [`btda_fuzz::http_tracker`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| btda_fuzz::http_tracker::check(data));
