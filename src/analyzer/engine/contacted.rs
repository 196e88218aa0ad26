//! Who was evaluated by a call of ours; asked by caller threads.

use std::collections::HashSet;

use parking_lot::Mutex;

use crate::model::PeerKey;

/// The (address, torrent) pairs that an outgoing visit evaluated: a caller
/// from there is turned away, so that nobody is counted twice (thesis,
/// "Already in outgoing").
#[derive(Debug, Default)]
pub struct Contacted {
    set: Mutex<HashSet<PeerKey>>,
}

impl Contacted {
    /// Notes a peer that was evaluated by a call of ours.
    pub fn insert(&self, key: &PeerKey) {
        self.set.lock().insert(key.caller());
    }

    /// Whether the peer's address was evaluated for its torrent.
    pub fn contains(&self, key: &PeerKey) -> bool {
        self.set.lock().contains(&key.caller())
    }
}
