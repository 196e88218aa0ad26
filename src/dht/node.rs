//! A node of the mainline DHT (BEP 5) of our own.

pub mod address;
pub mod id;
pub mod krpc;
pub mod random;
