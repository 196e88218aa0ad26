//! What peers say beyond their progress: where their DHT node is, where they
//! see us, whom else they know. Called by whoever settles a visit.

use std::net::SocketAddr;

use super::Engine;
use crate::analyzer::visit::Report;
use crate::intake::Offer;
use crate::model::record::{Exchanged, Record};
use crate::model::{Source, TorrentId};

impl Engine {
    /// Hands on where the DHT node of a peer is, if it said so.
    pub(super) fn pass_node(&self, peer: SocketAddr, report: &Report) {
        let port = report.heard.as_ref().and_then(|heard| heard.dht_port);
        if let (Some(port), Some(nodes)) = (port, self.nodes.get()) {
            nodes.node(SocketAddr::new(peer.ip(), port));
        }
    }

    /// What the peer at `address` told of us.
    pub(super) fn hear_of_us(&self, address: SocketAddr, report: &Report) {
        let theirs = report.heard.as_ref().and_then(|it| it.handshake.as_ref());
        if let Some(ip) = theirs.and_then(|theirs| theirs.your_ip) {
            self.scheduler.vote_own_ip(address.ip(), ip);
        }
    }

    /// Takes the peers that one which was found by `source` named.
    pub(super) fn take_named(&self, torrent: TorrentId, source: Source, report: &Report) {
        let named = report.heard.iter().flat_map(|it| it.exchange.named());
        let (mut received, mut duplicates) = (0_u32, 0_u32);
        for peer in named {
            match self.scheduler.offer_named(torrent, source, peer) {
                Offer::New => received += 1,
                Offer::Known => {
                    received += 1;
                    duplicates += 1;
                }
                Offer::Own | Offer::Barred | Offer::Uncallable => {}
            }
        }
        if received > 0 {
            self.record(Record::Exchange(Exchanged {
                torrent,
                received,
                duplicates,
            }));
        }
    }
}
