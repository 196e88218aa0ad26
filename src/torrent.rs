//! Torrent files: reading them, importing a folder of them, writing them.
//!
//! [`import::import`] is called once at the start of a run, on the main
//! thread, before anything is measured. [`build`] makes the files of the
//! practice swarm and of tests.

mod build;
pub mod import;
pub mod magnet;
pub mod metadata;
pub mod metainfo;
mod name;
pub mod summary;
mod trackers;

pub use build::{NewTorrent, build};
pub use trackers::named_by_strangers;
