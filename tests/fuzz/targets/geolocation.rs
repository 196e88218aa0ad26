//! Hands libFuzzer's inputs to [`btda_fuzz::geolocation`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| btda_fuzz::geolocation::check(data));
