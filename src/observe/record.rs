//! Records of the observatory: what was heard and what was resolved.
//!
//! Pure: values to lines of JSON and back, in the form of log version 4 of
//! the DHT monitor of 2018. Ids and hashes are upper-case hexadecimal, times
//! are milliseconds since 1970. Read on the thread of a replay, written on
//! the thread `observe-write`.

mod line;

use std::net::IpAddr;

use crate::dht::node::id::NodeId;
use crate::model::{InfoHash, Pseudonym, Timestamp};
use crate::storage::geo::Place;

pub use line::{LineError, parse, write_line};

/// `v`: the version of the form.
pub const VERSION: u32 = 4;

/// Bytes of a line that is read at most.
pub const LINE_MAX: usize = 64 * 1024;

/// Sources that a `resolve` record names at most.
pub const PEERS_MAX: usize = 10;

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// `get_peers` or `announce`.
    Heard(Box<Heard>),
    /// `resolve`.
    Resolved(Box<Resolved>),
}

/// What a heard query wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// `get_peers`: somebody looks for a torrent.
    Lookup,
    /// `announce`: somebody has it, or a part of it.
    Announce,
    /// `resolve`: we got its metadata.
    Resolve,
}

impl Kind {
    /// The word in the records and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lookup => "get_peers",
            Self::Announce => "announce",
            Self::Resolve => "resolve",
        }
    }
}

/// A person's address or id, or the name that stands for it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum Named<T> {
    /// As it is.
    Plain(T),
    /// Keyed name.
    Pseudonym(Pseudonym),
}

/// Nothing of a plain value, so that none slips into a log.
impl<T> std::fmt::Debug for Named<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Plain(_) => f.write_str("Plain(..)"),
            Self::Pseudonym(name) => write!(f, "Pseudonym({name})"),
        }
    }
}

/// A query that was sent to us.
#[derive(Debug, Clone, PartialEq)]
pub struct Heard {
    /// Look-up or announce.
    pub kind: Kind,
    /// The torrent.
    pub info_hash: InfoHash,
    /// Name of the torrent, when the announce carried one.
    pub name: Option<String>,
    /// The id of the node of ours that was asked.
    pub our_id: NodeId,
    /// The sender's id; `None` when it is left out.
    pub their_id: Option<Named<NodeId>>,
    /// The sender's address; `None` when it is left out.
    pub their_ip: Option<Named<IpAddr>>,
    /// The sender's program as sent (`v`), at most 64 bytes.
    pub version: Option<Box<[u8]>>,
    /// The announce says that it has everything (BEP 33).
    pub is_seed: bool,
    /// When it came.
    pub at: Timestamp,
    /// Where the sender is, as far as known.
    pub location: Option<Box<Place>>,
}

/// Metadata that we got.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    /// The torrent.
    pub info_hash: InfoHash,
    /// Its name; empty when it has none.
    pub name: String,
    /// The id of the node of ours that heard of it first.
    pub our_id: NodeId,
    /// When it was resolved.
    pub at: Timestamp,
    /// Bytes of all files.
    pub size: u64,
    /// Number of files.
    pub files: u64,
    /// Number of sources it was heard from.
    pub num_peers: u64,
    /// The latest of them, at most [`PEERS_MAX`].
    pub peers: Vec<SourcePeer>,
}

/// Who asked for a torrent that was resolved, or announced it.
#[derive(Debug, Clone, PartialEq)]
pub struct SourcePeer {
    /// Its address; `None` when it is left out.
    pub ip: Option<Named<IpAddr>>,
    /// Its node id; `None` when it is left out.
    pub node_id: Option<Named<NodeId>>,
    /// When we last called it for this torrent; 0 for never.
    pub last_send_time: Timestamp,
    /// When it was last heard.
    pub last_seen: Timestamp,
    /// Where it is, as far as known.
    pub location: Option<Box<Place>>,
}

impl Record {
    /// Its kind.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Heard(heard) => heard.kind,
            Self::Resolved(_) => Kind::Resolve,
        }
    }

    /// The torrent.
    pub const fn info_hash(&self) -> InfoHash {
        match self {
            Self::Heard(heard) => heard.info_hash,
            Self::Resolved(resolved) => resolved.info_hash,
        }
    }

    /// When it was made.
    pub const fn at(&self) -> Timestamp {
        match self {
            Self::Heard(heard) => heard.at,
            Self::Resolved(resolved) => resolved.at,
        }
    }

    /// The name of the torrent, where the record has one.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Heard(heard) => heard.name.as_deref(),
            Self::Resolved(resolved) => Some(&resolved.name),
        }
    }

    /// The place that counts: the sender's, or that of the first source.
    pub fn place(&self) -> Option<&Place> {
        match self {
            Self::Heard(heard) => heard.location.as_deref(),
            Self::Resolved(resolved) => resolved.peers.first()?.location.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests;
