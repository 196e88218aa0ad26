//! The engine: what is visited when, what was heard, and how it all starts
//! and ends.

mod callback;
pub mod dial;
pub mod directory;
pub mod encrypted;
pub mod engine;
pub mod evaluate;
pub mod exchange;
pub mod inspector;
pub mod listener;
pub mod neighbours;
pub mod policy;
mod reports;
pub mod revisits;
pub mod runtime;
pub mod scheduler;
pub mod statistics;
pub mod stats;
pub mod stays;
pub mod visit;
pub mod workers;
