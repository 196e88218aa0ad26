//! Hands libFuzzer's inputs to [`btda_fuzz::observe_record`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| btda_fuzz::observe_record::check(data));
