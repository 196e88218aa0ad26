//! What is known of a swarm in memory, for those who visit its peers, and
//! what their visits bring to the history.

use std::collections::HashMap;
use std::net::IpAddr;

use super::question::Question;
use super::{SWARMS_MAX, Slot, Tracking};
use crate::model::{InfoHash, PeerAddress, PieceCount, Timestamp};
use crate::storage::StorageError;
use crate::storage::history::{PeerVisit, TrackedPeer};

/// What a visit brings: the client, where it is known, and the rest.
pub(in crate::web) type Brought = (Option<String>, PeerVisit);

impl Tracking {
    /// Now.
    pub(in crate::web) fn now(&self) -> Timestamp {
        self.client.clock.timestamp()
    }

    /// Keeps what the question tells of the torrent.
    pub(super) fn note_size(&self, question: &Question) {
        let Some(pieces) = question.pieces else {
            return;
        };
        self.note(question.info_hash, (pieces, question.private));
    }

    /// Remembers a torrent's pieces and whether it is private.
    pub(in crate::web) fn note(&self, info_hash: InfoHash, size: (PieceCount, bool)) {
        let mut sizes = self.sizes.lock();
        if sizes.len() >= SWARMS_MAX {
            sizes.clear();
        }
        sizes.insert(info_hash, size);
    }

    /// The torrent's pieces and whether it is private, if its file was sent or
    /// a visit learned it.
    pub(in crate::web) fn size(&self, info_hash: InfoHash) -> Option<(PieceCount, bool)> {
        self.sizes.lock().get(&info_hash).copied()
    }

    /// The peers of the last answers of all who were asked for the torrent;
    /// none of answers that are in the history alone, which has no addresses.
    pub(in crate::web) fn peers(&self, info_hash: InfoHash) -> Vec<(PeerAddress, TrackedPeer)> {
        let mut found: HashMap<PeerAddress, TrackedPeer> = HashMap::new();
        let mut order = Vec::new();
        for slot in self.slots_of(info_hash) {
            // One that is being asked now is left out.
            let Ok(known) = slot.try_lock() else { continue };
            for peer in known.iter().flat_map(|entry| &entry.peers) {
                let Some(address) = address(peer).filter(PeerAddress::is_callable) else {
                    continue;
                };
                let known = found.entry(address).or_insert_with(|| {
                    order.push(address);
                    peer.clone()
                });
                if known.client.is_none() {
                    known.client.clone_from(&peer.client);
                }
            }
        }
        let peers = order.into_iter();
        peers
            .filter_map(|address| found.remove(&address).map(|peer| (address, peer)))
            .collect()
    }

    /// Adds what visits have shown to the last answers for the torrent, in
    /// memory and in the history. Not on the page's own thread.
    pub(in crate::web) fn add_visits(
        &self,
        info_hash: InfoHash,
        brought: &HashMap<PeerAddress, Brought>,
    ) -> Result<(), StorageError> {
        for slot in self.slots_of(info_hash) {
            let mut known = slot.blocking_lock();
            let Some(entry) = known.as_mut() else {
                continue;
            };
            let mut changed = false;
            for peer in &mut entry.peers {
                let new = address(peer).and_then(|address| brought.get(&address));
                if let Some((client, visit)) = new {
                    peer.visit = Some(visit.clone());
                    if client.is_some() {
                        peer.client.clone_from(client);
                    }
                    changed = true;
                }
            }
            if changed {
                self.history.set_peers(&self.to_store(entry))?;
            }
        }
        Ok(())
    }

    fn slots_of(&self, info_hash: InfoHash) -> Vec<Slot> {
        let slots = self.slots.lock();
        let of_it = slots.iter().filter(|((hash, _), _)| *hash == info_hash);
        let mut of_it: Vec<_> = of_it.collect();
        // Trackers, then the DHT, in an order that stays.
        of_it.sort_by(|(one, _), (other, _)| {
            let key = |name: &str| (name == super::DHT, name.to_owned());
            key(&one.1).cmp(&key(&other.1))
        });
        of_it.into_iter().map(|(_, slot)| slot.clone()).collect()
    }
}

/// Where it is; nothing for a pseudonym.
fn address(peer: &TrackedPeer) -> Option<PeerAddress> {
    let ip: IpAddr = peer.ip.parse().ok()?;
    Some(PeerAddress::new(ip, peer.port))
}
