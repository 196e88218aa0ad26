//! What each fuzz target does with its bytes, and what must be true then.
//!
//! Every module has one `check`, which takes the bytes and panics when an
//! invariant is broken. `targets/` hands it what libFuzzer finds;
//! `tests/fuzz_findings.rs` of the package includes this file and hands it
//! the seeds and all former findings, so that plain `cargo test` checks them
//! without a fuzzer.
//!
//! The invariants are told from the outside where that is possible: by a
//! second, slow and simple reader of the same bytes.

pub mod config_file;
pub mod dns;
pub mod extension;
pub mod geolocation;
pub mod http_tracker;
pub mod input;
pub mod krpc;
pub mod lsd;
pub mod magnet;
pub mod messages;
pub mod mse;
pub mod observe_record;
pub mod peer_stream;
pub mod pymdht_line;
pub mod tex;
pub mod torrent_file;
pub mod udp_tracker;
pub mod utp;
