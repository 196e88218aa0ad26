//! Finding peers without trackers.
//!
//! [`node`] is our own Kademlia node.

pub mod node;
