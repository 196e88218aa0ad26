//! The DHT: peers without trackers (BEP 5), from an external node beside us
//! ([`pymdht`]) or from our own ([`node`]); [`requester`] is the thread that
//! asks.

pub mod finder;
pub mod node;
mod own;
pub mod pending;
pub mod pymdht;
pub mod requester;

pub use own::OwnNode;
