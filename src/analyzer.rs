//! The engine: what is visited when, what was heard, and how it all starts
//! and ends.

pub mod policy;
pub mod scheduler;
