//! Lookups for torrents that are not known yet: magnet links (BEP 9).
//!
//! The threads that wait for metadata register their info hash here, and the
//! DHT thread ([`super::requester`]) looks it up. Nothing is announced for
//! it, and no row stored: it is no torrent of the run yet.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use parking_lot::Mutex;

use crate::model::{InfoHash, PeerAddress};

/// Info hashes to look up, and who wants the peers; clones share it.
#[derive(Debug, Clone, Default)]
pub struct PendingLookups {
    wanted: Arc<Mutex<HashMap<InfoHash, Wanted>>>,
}

#[derive(Debug)]
struct Wanted {
    peers: Sender<PeerAddress>,
    /// At once where nothing stands.
    due: Option<Instant>,
}

impl PendingLookups {
    /// Nothing to look up.
    pub fn new() -> Self {
        Self::default()
    }

    /// Looks `info_hash` up soon and then regularly, until
    /// [`Self::remove`]; peers that `peers` has no room for are dropped.
    pub fn add(&self, info_hash: InfoHash, peers: Sender<PeerAddress>) {
        let wanted = Wanted { peers, due: None };
        self.wanted.lock().insert(info_hash, wanted);
    }

    /// Does so no more.
    pub fn remove(&self, info_hash: InfoHash) {
        self.wanted.lock().remove(&info_hash);
    }

    /// One that is due at `now`; it is due again after `interval`.
    pub(super) fn next(
        &self,
        now: Instant,
        interval: Duration,
    ) -> Option<(InfoHash, Sender<PeerAddress>)> {
        let mut wanted = self.wanted.lock();
        let mut entries = wanted.iter_mut();
        let (hash, found) = entries.find(|(_, entry)| entry.due.is_none_or(|due| due <= now))?;
        found.due = now.checked_add(interval).or(Some(now));
        Some((*hash, found.peers.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossbeam_channel::unbounded;

    #[test]
    fn each_is_due_once_in_an_interval() {
        let lookups = PendingLookups::new();
        let (send, _peers) = unbounded();
        let hash = InfoHash::new([3; 20]);
        let (start, interval) = (Instant::now(), Duration::from_secs(300));
        assert!(lookups.next(start, interval).is_none());
        lookups.add(hash, send);
        assert_eq!(lookups.next(start, interval).unwrap().0, hash);
        assert!(lookups.next(start, interval).is_none());
        assert!(lookups.next(start + interval, interval).is_some());
        lookups.remove(hash);
        assert!(lookups.next(start + interval * 2, interval).is_none());
    }
}
