//! The DHT: peers without trackers (BEP 5), from a node beside us.

pub mod pymdht;
pub mod requester;
