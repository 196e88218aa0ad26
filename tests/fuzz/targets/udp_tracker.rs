//! Hands libFuzzer's inputs to [`btda_fuzz::udp_tracker`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| btda_fuzz::udp_tracker::check(data));
