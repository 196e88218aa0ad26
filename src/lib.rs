//! btda, the BitTorrent Download Analyzer.

pub mod analyzer;
pub mod cli;
pub mod clock;
pub mod config;
pub mod deadline;
pub mod dht;
pub mod exit;
pub mod intake;
pub mod lab;
pub mod logging;
pub mod model;
pub mod net;
pub mod outside;
pub mod protocol;
pub mod signals;
pub mod stop;
pub mod storage;
pub mod threads;
pub mod torrent;
pub mod tracker;
