//! What an announce says and what its answer says, whatever carries them.
//!
//! Pure; used by the HTTP and UDP codecs.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::config::settings::TrackerSettings;
use crate::model::{InfoHash, PeerAddress, PeerId};

/// Why an announce is made besides asking for peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnnounceEvent {
    /// First announce of the run.
    Started,
    /// The run ends.
    Stopped,
}

impl AnnounceEvent {
    /// The word of BEP 3.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Stopped => "stopped",
        }
    }
}

/// Statistics that trackers want, in bytes.
///
/// They are invented from the `fake_*` keys: nothing is ever transferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// Bytes uploaded.
    pub uploaded: u64,
    /// Bytes downloaded.
    pub downloaded: u64,
    /// Bytes left, at least 1: we are never a seed.
    pub left: u64,
}

impl Totals {
    /// The configured shares of a torrent of `size` bytes, rounded.
    ///
    /// Unlike in 2015, where they were pieces, these are bytes, as BEP 3
    /// demands.
    pub fn of(size: u64, settings: &TrackerSettings) -> Self {
        Self {
            uploaded: share(size, settings.fake_uploaded),
            downloaded: share(size, settings.fake_downloaded),
            left: share(size, settings.fake_left).max(1),
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "casts from f64 saturate; the share is not negative"
)]
fn share(size: u64, share: f64) -> u64 {
    (size as f64 * share.max(0.0)).round() as u64
}

/// One announce.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnnounceRequest {
    /// Which torrent.
    pub info_hash: InfoHash,
    /// Our peer id of this run.
    pub peer_id: PeerId,
    /// Port on which we listen.
    pub port: u16,
    /// Our invented statistics.
    pub totals: Totals,
    /// First or last announce.
    pub event: Option<AnnounceEvent>,
    /// Peers wanted; `None` leaves it to the tracker.
    pub num_want: Option<u32>,
    /// Random number of this run by which the tracker knows us again when our
    /// address changes.
    pub key: u32,
    /// `tracker id` of an earlier answer, sent back as it came (HTTP only).
    pub tracker_id: Option<Vec<u8>>,
}

/// The answer to an announce.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AnnounceAnswer {
    /// Peers in their order, at most [`super::PEERS_MAX`].
    pub peers: Vec<PeerAddress>,
    /// Peer ids, where the tracker tells them: only in lists that are not
    /// compact.
    pub ids: HashMap<PeerAddress, PeerId>,
    /// Peers beyond that limit.
    pub left_out: usize,
    /// Seconds between announces that the tracker wants.
    pub interval: Option<u32>,
    /// Seconds that it demands.
    pub min_interval: Option<u32>,
    /// To be sent back in later announces.
    pub tracker_id: Option<Vec<u8>>,
    /// `complete`.
    pub seeders: Option<u32>,
    /// `incomplete`.
    pub leechers: Option<u32>,
    /// `warning message`, raw.
    pub warning: Option<Vec<u8>>,
    /// Our own address as the tracker sees it (BEP 24).
    pub external_ip: Option<IpAddr>,
}

impl AnnounceAnswer {
    /// Adds a peer while there is room.
    pub(super) fn push(&mut self, peer: PeerAddress) {
        if self.peers.len() < super::PEERS_MAX {
            self.peers.push(peer);
        } else {
            self.left_out += 1;
        }
    }

    /// The same for one whose id is told.
    pub(super) fn push_named(&mut self, peer: PeerAddress, id: Option<PeerId>) {
        if let Some(id) = id.filter(|_| self.peers.len() < super::PEERS_MAX) {
            self.ids.insert(peer, id);
        }
        self.push(peer);
    }
}

/// Peers of a compact list of IPv4 addresses (BEP 23); the caller has checked
/// the length, a cut-off entry at the end is ignored.
pub(super) fn compact_v4(bytes: &[u8]) -> impl Iterator<Item = PeerAddress> {
    let (entries, _) = bytes.as_chunks::<6>();
    entries
        .iter()
        .map(|&entry| PeerAddress::from_compact(entry))
}

/// Peers of a compact list of IPv6 addresses (BEP 7).
pub(super) fn compact_v6(bytes: &[u8]) -> impl Iterator<Item = PeerAddress> {
    let (entries, _) = bytes.as_chunks::<18>();
    entries.iter().filter_map(|entry| {
        let (ip, port) = entry.split_first_chunk::<16>()?;
        let port = u16::from_be_bytes(port.try_into().ok()?);
        Some(PeerAddress::new(IpAddr::from(*ip), port))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_rounded_bytes() {
        assert_eq!(share(1_001, 0.5), 501);
        assert_eq!(share(0, 0.5), 0);
        assert_eq!(share(5_000_000_000, 0.2), 1_000_000_000);
        assert_eq!(share(u64::MAX, 2.0), u64::MAX);
        assert_eq!(share(100, -1.0), 0);
        assert_eq!(share(100, f64::NAN), 0);
    }

    #[test]
    fn compact_lists() {
        let v4: Vec<_> = compact_v4(&[1, 2, 3, 4, 0, 5, 9, 9]).collect();
        assert_eq!(v4, [PeerAddress::from_compact([1, 2, 3, 4, 0, 5])]);
        let mut bytes = [0; 18];
        bytes[15] = 1;
        bytes[17] = 80;
        let v6: Vec<_> = compact_v6(&bytes).collect();
        assert_eq!(v6[0].ip(), "::1".parse::<IpAddr>().unwrap());
        assert_eq!(v6[0].port(), 80);
    }
}
