//! Who names a peer to the analyzer: trackers, the practice DHT, a magnet
//! link. Pure.

use std::net::Ipv4Addr;

use super::super::manner::MetadataManner;
use super::super::random::Chance;
use super::super::reach::Reach;
use super::parties::address;
use super::{LabOptions, PlannedParty, PlannedTorrent};

/// Node `i` of the DHT is on 127.120.0.0/16, its own address each.
const NODES_FROM: u32 = 0x7f78_0000;

/// A peer of the DHT is known to so many of the nodes that are closest to its
/// torrent: an announce of BEP 5 of which a few packets got through.
const HOLDERS: usize = 3;

/// The nodes that a lookup must reach (BEP 5).
pub(in super::super) const CLOSEST: usize = 8;

/// Peers that a magnet link names by `x.pe`.
const HINTS: usize = 3;

/// Who names a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NamedBy {
    /// The trackers of its torrent.
    Trackers,
    /// The DHT alone.
    Dht,
    /// Other peers alone (BEP 11).
    Pex,
    /// Trackers and DHT; only peers that no visit ever counts for, so that which of them
    /// was first never matters.
    Both,
}

impl NamedBy {
    /// The word in the output of `--only-swarm`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trackers => "trackers",
            Self::Dht => "dht",
            Self::Pex => "pex",
            Self::Both => "both",
        }
    }

    /// Whether trackers name it.
    pub const fn trackers(self) -> bool {
        matches!(self, Self::Trackers | Self::Both)
    }

    /// Whether the DHT names it.
    pub const fn dht(self) -> bool {
        matches!(self, Self::Dht | Self::Both)
    }
}

/// A node of the practice DHT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedNode {
    /// Its address, in 127.0.0.0/8, its own.
    pub ip: Ipv4Addr,
    /// Its id.
    pub id: [u8; 20],
    /// The peers (indices) that announced themselves to it.
    pub holds: Vec<usize>,
}

/// What a magnet link says besides the info hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedMagnet {
    /// Peers (indices) that it names by `x.pe`.
    pub hints: Vec<usize>,
}

/// Whether the torrent at `index` is given by a magnet link only: the last
/// ones are.
pub(super) fn is_magnet(options: &LabOptions, index: usize) -> bool {
    index + options.magnets >= options.torrents.max(1)
}

/// Whether the link of the magnet torrent at `index` is without trackers:
/// every other one, where there is a DHT.
pub(super) fn is_trackerless(options: &LabOptions, index: usize) -> bool {
    let number = options.torrents.max(1).saturating_sub(index + 1);
    options.dht > 0 && is_magnet(options, index) && number.is_multiple_of(2)
}

/// Decides for each peer who names it.
pub(super) fn name_peers(
    options: &LabOptions,
    torrents: &[PlannedTorrent],
    peers: &mut [PlannedParty],
    chance: &mut Chance,
) {
    for peer in peers {
        let drawn = chance.percent(options.dht.into());
        let torrent = torrents.get(peer.torrent);
        let trackerless = torrent.is_none_or(|torrent| torrent.trackers.is_empty());
        let hopeless = peer.behaviour.fails_before_messages().is_some();
        peer.named_by = if trackerless {
            NamedBy::Dht
        } else if !drawn {
            NamedBy::Trackers
        } else if hopeless && chance.percent(50) {
            NamedBy::Both
        } else {
            NamedBy::Dht
        };
    }
}

/// Gives each peer a manner; all with a weight occur in each magnet torrent
/// that has peers enough.
pub(super) fn deal_manners(
    options: &LabOptions,
    torrents: &[PlannedTorrent],
    peers: &mut [PlannedParty],
    chance: &mut Chance,
) {
    for (index, torrent) in torrents.iter().enumerate() {
        if torrent.magnet.is_none() {
            continue;
        }
        let of_torrent = peers.iter_mut().filter(|peer| peer.torrent == index);
        let mut of_torrent: Vec<&mut PlannedParty> = of_torrent.collect();
        let dealt = super::parties::deal(&options.manners, of_torrent.len(), chance);
        for (peer, manner) in of_torrent.iter_mut().zip(dealt) {
            peer.manner = manner.unwrap_or(MetadataManner::Gives);
        }
    }
}

/// The nodes, with the peers that each of them knows.
pub(super) fn plan_nodes(
    options: &LabOptions,
    torrents: &[PlannedTorrent],
    peers: &[PlannedParty],
    chance: &mut Chance,
) -> Vec<PlannedNode> {
    if options.dht == 0 {
        return Vec::new();
    }
    let count = options.dht_nodes.max(1);
    let mut nodes: Vec<PlannedNode> = (0..count)
        .map(|index| PlannedNode {
            ip: address(NODES_FROM, index),
            id: random_id(chance),
            holds: Vec::new(),
        })
        .collect();
    for (index, torrent) in torrents.iter().enumerate() {
        let target = torrent.info_hash.as_bytes();
        let mut closest = closest(&nodes, target);
        let of_torrent = peers.iter().enumerate();
        let named = of_torrent.filter(|(_, peer)| peer.torrent == index && peer.named_by.dht());
        for (peer, _) in named {
            chance.shuffle(&mut closest);
            for node in closest.iter().take(HOLDERS) {
                if let Some(node) = nodes.get_mut(*node) {
                    node.holds.push(peer);
                }
            }
        }
    }
    nodes
}

/// The nodes (indices) that are closest to `target`, by XOR (BEP 5).
pub(in super::super) fn closest(nodes: &[PlannedNode], target: &[u8; 20]) -> Vec<usize> {
    let mut all: Vec<usize> = (0..nodes.len()).collect();
    all.sort_by_cached_key(|index| {
        let mut distance = nodes.get(*index).map_or([0xff; 20], |node| node.id);
        let bytes = distance.iter_mut().zip(target);
        bytes.for_each(|(byte, wanted)| *byte ^= wanted);
        distance
    });
    all.truncate(CLOSEST);
    all
}

/// What the links say; only peers that can be reached are named.
pub(super) fn plan_hints(
    torrents: &mut [PlannedTorrent],
    peers: &[PlannedParty],
    chance: &mut Chance,
) {
    for (index, torrent) in torrents.iter_mut().enumerate() {
        let Some(magnet) = &mut torrent.magnet else {
            continue;
        };
        // A link without trackers is to be solved by the DHT.
        if torrent.trackers.is_empty() {
            continue;
        }
        let of_torrent = peers.iter().enumerate();
        let reachable = of_torrent
            .filter(|(_, peer)| {
                peer.torrent == index && peer.reach == Reach::Tcp && peer.behaviour.counts()
            })
            .map(|(peer, _)| peer);
        magnet.hints = reachable.collect();
        chance.shuffle(&mut magnet.hints);
        magnet.hints.truncate(HINTS);
    }
}

fn random_id(chance: &mut Chance) -> [u8; 20] {
    let mut id = [0; 20];
    for part in id.chunks_mut(8) {
        let number = chance.number().to_be_bytes();
        part.iter_mut()
            .zip(number)
            .for_each(|(to, from)| *to = from);
    }
    id
}
