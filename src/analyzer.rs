//! The engine: what is visited when, what was heard, and how it all starts
//! and ends.

pub mod directory;
pub mod evaluate;
pub mod policy;
pub mod scheduler;
pub mod visit;
