//! btda, the BitTorrent Download Analyzer.

pub mod cli;
pub mod clock;
pub mod config;
pub mod deadline;
pub mod exit;
pub mod intake;
pub mod logging;
pub mod model;
pub mod net;
pub mod protocol;
pub mod stop;
