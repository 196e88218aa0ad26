//! What is done with results behind a run: the commands `btda doctor`,
//! `btda combine` and `btda export`. Main thread only; everything that touches
//! a database is in [`crate::storage`], this says what it did.

pub mod combine;
pub mod doctor;
pub mod export;
