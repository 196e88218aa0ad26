//! Lets somebody watch the queries a node receives.
//!
//! Called on the UDP thread for each well-formed query, before the answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::id::NodeId;
use super::krpc::Method;
use crate::model::{InfoHash, PeerAddress, Timestamp};

/// Watches queries.
pub trait QueryHook: Send + Sync {
    /// A query has come. This runs between receiving and answering on the
    /// only thread of the node: it must return within microseconds, and
    /// never wait for a lock, a file or another thread. Use [`ChannelHook`]
    /// for anything that takes longer.
    fn query(&self, event: &QueryEvent);
}

/// One received query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryEvent {
    /// When it came.
    pub timestamp: Timestamp,
    /// Our id at that time.
    pub our_id: NodeId,
    /// The id the sender gives itself; see [`NodeId::is_bound_to`].
    pub sender_id: NodeId,
    /// Where it says it comes from; only an announce with a valid token is
    /// known to come from there.
    pub sender: PeerAddress,
    /// The sender answers no queries (BEP 43).
    pub read_only: bool,
    /// The sender's program, `v`, at most 64 bytes.
    pub version: Option<Box<[u8]>>,
    /// What was asked.
    pub kind: QueryKind,
    /// Whether it is within the limits, and so answered.
    pub answered: bool,
}

/// What was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueryKind {
    /// `ping`
    Ping,
    /// `find_node`
    FindNode(NodeId),
    /// `get_peers`
    GetPeers(InfoHash),
    /// `announce_peer`
    Announce(AnnounceEvent),
    /// `sample_infohashes`
    SampleInfohashes(NodeId),
    /// Another method, by its name.
    Other(Box<[u8]>),
}

/// An `announce_peer`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnnounceEvent {
    /// The torrent.
    pub info_hash: InfoHash,
    /// Port of the peer: the sender's when `implied_port` is set.
    pub port: u16,
    /// The announce leaves the port to us.
    pub implied_port: bool,
    /// Name of the torrent, at most 256 bytes.
    pub name: Option<Box<[u8]>>,
    /// Whether the peer is complete, when it says so.
    pub seed: Option<bool>,
    /// Whether the token is one of ours: if not, the address may be forged.
    pub token_valid: bool,
}

impl QueryKind {
    /// The kind of `method`, sent from `port`.
    pub(super) fn of(method: &Method<'_>, port: u16, token_valid: bool) -> Self {
        match method {
            Method::Ping => Self::Ping,
            Method::FindNode { target } => Self::FindNode(*target),
            Method::GetPeers { info_hash, .. } => Self::GetPeers(*info_hash),
            Method::SampleInfohashes { target } => Self::SampleInfohashes(*target),
            Method::Unknown(name) => Self::Other((*name).into()),
            Method::AnnouncePeer(announce) => Self::Announce(AnnounceEvent {
                info_hash: announce.info_hash,
                port: if announce.implied_port {
                    port
                } else {
                    announce.port
                },
                implied_port: announce.implied_port,
                name: announce.name.map(Into::into),
                seed: announce.seed,
                token_valid,
            }),
        }
    }
}

/// Hands events over to another thread. When that one is too slow, events
/// are dropped and counted.
#[derive(Debug)]
pub struct ChannelHook {
    events: Sender<QueryEvent>,
    dropped: AtomicU64,
}

impl ChannelHook {
    /// A hook and the receiver of its events, of which `capacity` may wait.
    pub fn new(capacity: usize) -> (Arc<Self>, Receiver<QueryEvent>) {
        let (events, receiver) = bounded(capacity);
        let hook = Self {
            events,
            dropped: AtomicU64::new(0),
        };
        (Arc::new(hook), receiver)
    }

    /// Events lost so far because too many waited, or nobody did; since the
    /// last [`Self::take_dropped`].
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// The same, counted from zero again.
    pub fn take_dropped(&self) -> u64 {
        self.dropped.swap(0, Ordering::Relaxed)
    }
}

impl QueryHook for ChannelHook {
    fn query(&self, event: &QueryEvent) {
        if self.events.try_send(event.clone()).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_channel_drops_and_counts() {
        let (hook, events) = ChannelHook::new(2);
        let event = QueryEvent {
            timestamp: Timestamp(1),
            our_id: NodeId::new([1; 20]),
            sender_id: NodeId::new([2; 20]),
            sender: PeerAddress::from_compact([1, 2, 3, 4, 5, 6]),
            read_only: false,
            version: None,
            kind: QueryKind::Ping,
            answered: true,
        };
        for _ in 0..5 {
            hook.query(&event);
        }
        assert_eq!(hook.dropped(), 3);
        assert_eq!(events.try_iter().count(), 2);
        drop(events);
        hook.query(&event);
        assert_eq!(hook.dropped(), 4);
        assert_eq!((hook.take_dropped(), hook.take_dropped()), (4, 0));
        assert!(!format!("{event:?}").contains("1.2.3"));
    }
}
