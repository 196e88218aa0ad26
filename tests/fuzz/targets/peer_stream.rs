//! Hands libFuzzer's inputs to [`btda_fuzz::peer_stream`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| btda_fuzz::peer_stream::check(data));
