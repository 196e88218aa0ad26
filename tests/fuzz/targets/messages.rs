//! Hands libFuzzer's inputs to [`btda_fuzz::messages`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| btda_fuzz::messages::check(data));
