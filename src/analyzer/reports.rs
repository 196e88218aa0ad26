//! What is done with the report of a visit beside its record: what the peer
//! told of our own address, and a line in the log. The visiting threads.

use std::net::SocketAddr;

use crate::model::Direction;
use crate::model::record::Told;

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
        let name = if self.settings.log.addresses {
            address.to_string()
        } else {
            self.pseudonyms.of(address.ip()).to_string()
        };
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

    /// Hands on where the DHT node of a peer is, if it said so.
    pub(super) fn pass_node(&self, peer: SocketAddr, report: &Report) {
        let port = report.heard.as_ref().and_then(|heard| heard.dht_port);
        if let (Some(port), Some(nodes)) = (port, self.nodes.get()) {
            nodes.node(SocketAddr::new(peer.ip(), port));
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
