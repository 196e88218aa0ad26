//! What the tests with whole programs share.
//!
//! A folder with `mod.rs` because a file `tests/common.rs` would be built as
//! a test of its own.
#![allow(
    dead_code,
    reason = "every test target builds this module and uses another part of it"
)]
#![allow(
    clippy::expect_used,
    clippy::print_stderr,
    reason = "tests fail by panicking and show the logs of programs"
)]

pub(crate) mod aria2;
pub(crate) mod browser;
pub(crate) mod btda_run;
pub(crate) mod capture;
pub(crate) mod client;
pub(crate) mod contract;
pub(crate) mod dnsmasq;
pub(crate) mod http;
pub(crate) mod leecher;
pub(crate) mod libtorrent;
pub(crate) mod libtorrent_dht;
pub(crate) mod load;
pub(crate) mod metadata_peer;
pub(crate) mod network;
pub(crate) mod observatory;
pub(crate) mod openapi;
pub(crate) mod opentracker;
pub(crate) mod page;
pub(crate) mod page_checks;
pub(crate) mod process;
pub(crate) mod results;
pub(crate) mod rise;
pub(crate) mod samples;
pub(crate) mod small_disk;
pub(crate) mod study;
pub(crate) mod swarm;
pub(crate) mod thesis;
pub(crate) mod torrent;
pub(crate) mod tracker6;
pub(crate) mod transmission;
pub(crate) mod trial;
