//! The statistics of the report: pure functions of numbers, each with the name
//! that the field gives it. They know neither files nor SQL nor the swarm.

pub mod capture;
pub mod counter;
pub mod follow_up;
pub mod hours;
pub mod proportion;
pub mod quantile;
