//! `btda report`: tables and figures of a study from finished results.

pub mod statistics;
pub mod tally;
