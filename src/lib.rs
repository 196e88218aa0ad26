//! btda, the BitTorrent Download Analyzer.

pub mod clock;
pub mod config;
pub mod deadline;
pub mod intake;
pub mod lab;
pub mod model;
pub mod net;
pub mod protocol;
pub mod stop;
pub mod threads;
