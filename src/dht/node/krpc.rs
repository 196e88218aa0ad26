//! KRPC packets (BEP 5) with the keys of BEP 32 (`nodes6`, `want`), 33
//! (`seed`, `noseed`, `scrape`, `BFsd`, `BFpe`), 42 (`ip`), 43 (`ro`) and 51
//! (`sample_infohashes`).
//!
//! Pure: bytes to values and back. Reading is tolerant (unsorted and unknown
//! keys, transaction ids of 1 to 20 bytes, `v` of any length) and never
//! copies a query; writing is canonical.

mod decode;
mod encode;

use super::address::NodeInfo;
use super::id::NodeId;
use super::scrape::Scrape;
use crate::model::{InfoHash, PeerAddress};
use crate::protocol::bencode;

/// Bytes of a packet that is read at most. The largest in use are below
/// 1,500; what is longer is no KRPC.
pub const PACKET_MAX: usize = 4096;

/// Bytes of a transaction id that is echoed at most.
pub const TRANSACTION_MAX: usize = 20;

/// Nodes taken from one list; a node that keeps to BEP 5 sends 8.
pub const NODES_MAX: usize = 20;

/// Peers taken from one reply: more do not fit a packet of 1,500 bytes.
pub const VALUES_MAX: usize = 200;

/// Bytes of the name of an announce, and of a method nobody knows.
pub const NAME_MAX: usize = 256;

/// The asker's mark by which it knows the reply, echoed byte for byte.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TransactionId {
    length: u8,
    bytes: [u8; TRANSACTION_MAX],
}

impl TransactionId {
    /// The id of 1 to [`TRANSACTION_MAX`] bytes, or `None`.
    pub fn new(id: &[u8]) -> Option<Self> {
        let length = u8::try_from(id.len()).ok().filter(|length| *length > 0)?;
        let mut bytes = [0; TRANSACTION_MAX];
        bytes.get_mut(..id.len())?.copy_from_slice(id);
        Some(Self { length, bytes })
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes
            .get(..usize::from(self.length))
            .unwrap_or_default()
    }
}

impl std::fmt::Debug for TransactionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TransactionId({})", self.as_bytes().escape_ascii())
    }
}

/// One packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message<'a> {
    /// `t`.
    pub transaction: TransactionId,
    /// `v`: two letters of the program and two bytes of its version, mostly.
    pub version: Option<&'a [u8]>,
    /// `ro`: the asker answers no queries (BEP 43).
    pub read_only: bool,
    /// `ip`: where the answering node sees us (BEP 42).
    pub ip: Option<PeerAddress>,
    /// What is said.
    pub body: Body<'a>,
}

/// `y` and what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body<'a> {
    /// `q`
    Query(Query<'a>),
    /// `r`
    Reply(Reply<'a>),
    /// `e`
    Error(ErrorReply<'a>),
}

/// A question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query<'a> {
    /// Who asks.
    pub sender: NodeId,
    /// Families of nodes that are wanted (BEP 32).
    pub want: Want,
    /// What is asked.
    pub method: Method<'a>,
}

/// `want`: neither means the family of the packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Want {
    /// `n4`
    pub v4: bool,
    /// `n6`
    pub v6: bool,
}

/// The methods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Method<'a> {
    /// Are you there?
    Ping,
    /// Who is near `target`?
    FindNode {
        /// A place in the key space.
        target: NodeId,
    },
    /// Who has this torrent?
    GetPeers {
        /// The torrent.
        info_hash: InfoHash,
        /// Leave complete peers out (BEP 33).
        noseed: bool,
        /// Send counting filters instead of peers (BEP 33).
        scrape: bool,
    },
    /// I have this torrent.
    AnnouncePeer(Announce<'a>),
    /// Which torrents do you know (BEP 51)?
    SampleInfohashes {
        /// Nodes near this place are wanted, too.
        target: NodeId,
    },
    /// Something else, by its name, cut off at [`NAME_MAX`] bytes.
    Unknown(&'a [u8]),
}

/// An `announce_peer`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announce<'a> {
    /// The torrent.
    pub info_hash: InfoHash,
    /// The port of the peer; only 0 when `implied_port` is set.
    pub port: u16,
    /// The peer's port is the one the packet came from.
    pub implied_port: bool,
    /// From our reply to `get_peers`.
    pub token: &'a [u8],
    /// The torrent's name, as some programs send it, at most [`NAME_MAX`]
    /// bytes.
    pub name: Option<&'a [u8]>,
    /// Whether the peer is complete, when it says so (BEP 33).
    pub seed: Option<bool>,
}

/// An answer. Which keys it has depends on what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply<'a> {
    /// Who answers.
    pub sender: NodeId,
    /// `nodes`, at most [`NODES_MAX`].
    pub nodes: Option<Vec<NodeInfo>>,
    /// `nodes6`, likewise.
    pub nodes6: Option<Vec<NodeInfo>>,
    /// `values`: peers of both families, at most [`VALUES_MAX`].
    pub values: Option<Vec<PeerAddress>>,
    /// Needed for an announce to this node.
    pub token: Option<&'a [u8]>,
    /// Answer to `sample_infohashes`.
    pub samples: Option<Samples>,
    /// `BFsd` and `BFpe`, answer to a scrape (BEP 33); one that is missing is
    /// empty.
    pub scrape: Option<Box<Scrape>>,
}

impl Reply<'_> {
    /// A reply that only says who answers.
    pub const fn from(sender: NodeId) -> Self {
        Self {
            sender,
            nodes: None,
            nodes6: None,
            values: None,
            token: None,
            samples: None,
            scrape: None,
        }
    }
}

/// Some of the torrents a node knows (BEP 51).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Samples {
    /// Seconds after which asking again makes sense, at most 21,600.
    pub interval: u32,
    /// How many it knows.
    pub total: u64,
    /// Some of them.
    pub hashes: Vec<InfoHash>,
}

/// `e`: a refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorReply<'a> {
    /// Kind of error.
    pub code: i64,
    /// Text for people.
    pub message: &'a [u8],
}

/// The kinds of errors (BEP 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorCode {
    /// 201: none of the others.
    Generic,
    /// 202: the answering side has a problem.
    Server,
    /// 203: malformed packet, invalid arguments or a bad token.
    Protocol,
    /// 204: unknown method.
    MethodUnknown,
}

impl ErrorCode {
    /// The number in the packet.
    pub const fn number(self) -> i64 {
        match self {
            Self::Generic => 201,
            Self::Server => 202,
            Self::Protocol => 203,
            Self::MethodUnknown => 204,
        }
    }
}

/// A packet that is no KRPC message, or one with wrong parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Undecodable {
    /// What is wrong.
    pub problem: KrpcProblem,
    /// When it was recognisably a query: its transaction id, for an answer
    /// with [`ErrorCode::Protocol`].
    pub query: Option<TransactionId>,
}

/// What can be wrong with a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KrpcProblem {
    /// More than [`PACKET_MAX`] bytes.
    TooLong,
    /// No bencoding.
    Bencoding(bencode::Malformed),
    /// No dictionary, or `y` is missing or unknown.
    NoMessage,
    /// `t` is missing, empty or longer than [`TRANSACTION_MAX`].
    Transaction,
    /// This key is missing or its value is of the wrong kind or length.
    Key(&'static str),
}

impl std::fmt::Display for KrpcProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooLong => write!(f, "more than {PACKET_MAX} bytes"),
            Self::Bencoding(malformed) => malformed.fmt(f),
            Self::NoMessage => f.write_str("no KRPC message"),
            Self::Transaction => f.write_str("no usable transaction id"),
            Self::Key(key) => write!(f, "key '{key}' is missing or wrong"),
        }
    }
}

impl std::fmt::Display for Undecodable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.problem.fmt(f)
    }
}

impl std::error::Error for Undecodable {}

#[cfg(test)]
mod tests;
