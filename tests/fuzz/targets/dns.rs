//! Hands libFuzzer's inputs to [`btda_fuzz::dns`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| btda_fuzz::dns::check(data));
