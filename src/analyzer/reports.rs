//! What is done with the report of a visit beside its record: what the peer
//! told of our own address, whom else it named, and a line in the log. The
//! visiting threads.

use std::net::SocketAddr;

use crate::intake::Offer;
use crate::model::record::{Exchanged, Record, Told};
use crate::model::{Direction, Origin, Source, TorrentId, TrackerOrigin};

use crate::protocol::pex::NamedPeer;

use super::engine::Engine;
use super::evaluate::Moment;
use super::visit::Report;

impl Engine {
    /// What the peer at `address` told of us.
    pub(super) fn hear_of_us(&self, address: SocketAddr, report: &Report) {
        let theirs = report.heard.as_ref().and_then(|it| it.handshake.as_ref());
        if let Some(ip) = theirs.and_then(|theirs| theirs.your_ip) {
            self.scheduler.vote_own_ip(address.ip(), ip);
        }
    }

    pub(super) fn log(&self, direction: Direction, address: SocketAddr, report: &Report) {
        if !log::log_enabled!(log::Level::Debug) {
            return;
        }
        let name = self.name(address);
        let pieces = report
            .heard
            .as_ref()
            .map_or(0, |heard| heard.pieces.count().0);
        log::debug!(
            "peer={name} direction={} verdict={:?} pieces={pieces}",
            direction.as_str(),
            report.verdict
        );
    }

    /// What a line of the log calls the peer at `address`.
    pub(super) fn name(&self, address: SocketAddr) -> String {
        if self.settings.log.addresses {
            address.to_string()
        } else {
            self.pseudonyms.of(address.ip()).to_string()
        }
    }

    /// Hands on where the DHT node of a peer is, if it said so.
    pub(super) fn pass_node(&self, peer: SocketAddr, report: &Report) {
        let port = report.heard.as_ref().and_then(|heard| heard.dht_port);
        if let (Some(port), Some(nodes)) = (port, self.nodes.get()) {
            nodes.node(SocketAddr::new(peer.ip(), port));
        }
    }

    /// Takes the peers that one which was found by `source` named.
    pub(super) fn take_named(&self, torrent: TorrentId, source: Source, named: &[NamedPeer]) {
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
                origin: Origin::Pex,
                received,
                duplicates,
            }));
        }
    }

    /// Takes the trackers that the peer named.
    pub(super) fn take_trackers(&self, torrent: TorrentId, report: &Report) {
        let named = report.heard.iter().flat_map(|it| it.exchange.trackers());
        if let Some(intake) = self.found_trackers.get() {
            for url in named {
                intake.found(torrent, url, TrackerOrigin::Exchange);
            }
        }
    }

    /// With the time of the wall clock.
    pub(super) fn told(&self, moment: Moment) -> Told {
        let ago = self.clock.now().saturating_duration_since(moment.at);
        let at = self.clock.timestamp().minus(ago);
        Told {
            at,
            pieces: moment.pieces,
        }
    }
}
