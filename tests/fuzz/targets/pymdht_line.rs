//! Hands libFuzzer's inputs to [`btda_fuzz::pymdht_line`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| btda_fuzz::pymdht_line::check(data));
