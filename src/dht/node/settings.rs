//! What a node needs to know.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

use super::address::Family;
use super::id::NodeId;
use super::peers_store::StoreLimits;

/// Well-known nodes through which a new one finds the others. Only a default
/// of the configuration: nothing asks them unless it is told to.
pub const BOOTSTRAP: [&str; 4] = [
    "router.bittorrent.com:6881",
    "dht.transmissionbt.com:6881",
    "router.utorrent.com:6881",
    "dht.libtorrent.org:25401",
];

/// When to be a read-only node (BEP 43), which asks and never answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadOnly {
    /// When nobody reaches us who was not asked before.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Settings of a node. The rates are for each address family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DhtSettings {
    /// UDP port of both families; 0 lets the system choose.
    pub port: u16,
    /// Where to bind IPv4; `None` is no IPv4.
    pub address: Option<Ipv4Addr>,
    /// Where to bind IPv6; `None` is no IPv6. A host without IPv6 does
    /// without, if it has IPv4.
    pub address6: Option<Ipv6Addr>,
    /// Announce in this family only, since our listener has no other; `None`
    /// is both.
    pub announce_in: Option<Family>,
    /// Nodes to begin with, `host:port` each.
    pub bootstrap: Vec<String>,
    /// A fixed id; `None` takes the saved one or one that suits the address
    /// (BEP 42).
    pub node_id: Option<NodeId>,
    /// Of the eight places that BEP 42 leaves to an address, the one for our
    /// id (0 to 7); `None` is any. For several nodes at one address.
    pub place: Option<u8>,
    /// Our own queries, a second on average.
    pub packets_per_second: u32,
    /// Our own queries, at once after a quiet time.
    pub packets_burst: u32,
    /// Answers to others, a second on average.
    pub answers_per_second: u32,
    /// Answers to others, at once after a quiet time.
    pub answers_burst: u32,
    /// Queries answered from one address, a second on average.
    pub per_address_per_second: u32,
    /// The same, at once after a quiet time.
    pub per_address_burst: u32,
    /// Time after which an unanswered query is lost.
    pub query_timeout: Duration,
    /// Look-ups under way at one time; others wait, with their deadline
    /// running.
    pub lookups_max: usize,
    /// Announced peers to keep.
    pub store: StoreLimits,
    /// How long the answer to `sample_infohashes` stays the same (BEP 51).
    pub sample_interval: Duration,
    /// Deal with loopback and other local addresses: for tests and the lab.
    pub allow_private: bool,
    /// Limit the nodes of one address or network in the routing table and in
    /// look-ups; off for networks of test nodes.
    pub restrict_addresses: bool,
    /// When to be read-only.
    pub read_only: ReadOnly,
    /// File that keeps the routing table from run to run (`.v4.json` and
    /// `.v6.json` are appended). It holds addresses of other nodes, so there
    /// is none unless somebody wants it.
    pub state_file: Option<PathBuf>,
}

impl Default for DhtSettings {
    /// A polite node on all addresses, without bootstrap nodes.
    fn default() -> Self {
        Self {
            port: 0,
            address: Some(Ipv4Addr::UNSPECIFIED),
            address6: Some(Ipv6Addr::UNSPECIFIED),
            announce_in: None,
            bootstrap: Vec::new(),
            node_id: None,
            place: None,
            packets_per_second: 50,
            packets_burst: 100,
            answers_per_second: 500,
            answers_burst: 1000,
            per_address_per_second: 10,
            per_address_burst: 50,
            query_timeout: Duration::from_secs(4),
            lookups_max: 16,
            store: StoreLimits {
                torrents: 5000,
                peers: 200,
                per_address: 4,
            },
            sample_interval: Duration::from_secs(300),
            allow_private: false,
            restrict_addresses: true,
            read_only: ReadOnly::Auto,
            state_file: None,
        }
    }
}

impl DhtSettings {
    /// For nodes on 127.0.0.0/8 that only know each other: local addresses
    /// are fine, and many nodes may share one.
    pub fn loopback(address: Ipv4Addr) -> Self {
        let defaults = Self::default();
        Self {
            per_address_per_second: 1000,
            per_address_burst: 2000,
            store: StoreLimits {
                per_address: defaults.store.peers,
                ..defaults.store
            },
            address: Some(address),
            address6: None,
            allow_private: true,
            restrict_addresses: false,
            read_only: ReadOnly::Never,
            ..defaults
        }
    }
}
