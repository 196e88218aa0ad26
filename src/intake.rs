//! The border between what finds peers (trackers, DHT) and what visits them;
//! in both directions, since peers tell of DHT nodes and of trackers.

use std::net::{IpAddr, SocketAddr};

use crate::model::{PeerAddress, Source, TorrentId, TrackerOrigin};

/// What became of an address that was offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    /// Never seen before for this torrent in this run.
    New,
    /// Already offered in this run, or earlier in the same answer.
    Known,
    /// Our own address: neither received nor duplicate, it is not counted.
    Own,
    /// It may not be contacted (reserved, or opted out), or its torrent has as
    /// many peers as it may have: not counted as a peer, but by the scheduler.
    Barred,
    /// Nobody can be called there (port 0, multicast …): not a peer, and not
    /// counted as one.
    Uncallable,
}

/// Takes the peers that trackers and DHT name; the scheduler implements it.
pub trait PeerIntake: Send + Sync {
    /// Offers `address` for `torrent`, found by `source`.
    fn offer(&self, torrent: TorrentId, source: Source, address: PeerAddress) -> Offer;

    /// A tracker says that we come from `ip` (BEP 24): our listening port
    /// there is no peer.
    fn own_ip(&self, ip: IpAddr);
}

/// Takes the DHT nodes that peers name; our own node implements it.
pub trait NodeIntake: Send + Sync {
    /// A peer at that IP address says that its DHT node has that UDP port
    /// (BEP 5). Never waits; what there is no room for is dropped.
    fn node(&self, address: SocketAddr);
}

/// Takes the trackers that no torrent file names; the runtime implements it.
pub trait TrackerIntake: Send + Sync {
    /// A tracker of `torrent` is said to be at `url`, which is not looked at
    /// yet. Never waits for the network.
    fn found(&self, torrent: TorrentId, url: &str, origin: TrackerOrigin);
}
