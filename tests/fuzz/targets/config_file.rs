//! Hands libFuzzer's inputs to [`btda_fuzz::config_file`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| btda_fuzz::config_file::check(data));
