//! A node of the mainline DHT (BEP 5) of our own.

pub mod address;
pub mod id;
pub mod krpc;
pub mod lookup;
pub mod peers_store;
pub mod random;
pub mod rate;
pub mod routing;
pub mod tokens;
