//! Hands libFuzzer's inputs to [`btda_fuzz::torrent_file`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| btda_fuzz::torrent_file::check(data));
