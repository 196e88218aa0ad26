//! The torrents of a run, by number and by info hash.

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::{InfoHash, Torrent, TorrentId};

/// All torrents of a run; read by every thread.
#[derive(Debug)]
pub struct Directory {
    torrents: Vec<Arc<Torrent>>,
    by_hash: HashMap<InfoHash, usize>,
}

impl Directory {
    /// The directory of `torrents`, which stand in the order of their ids.
    pub fn new(torrents: Vec<Torrent>) -> Self {
        let by_hash = torrents
            .iter()
            .enumerate()
            .map(|(index, torrent)| (torrent.info_hash, index))
            .collect();
        Self {
            torrents: torrents.into_iter().map(Arc::new).collect(),
            by_hash,
        }
    }

    /// The torrent that a caller names in its handshake.
    pub fn find(&self, info_hash: &InfoHash) -> Option<&Arc<Torrent>> {
        self.torrents.get(*self.by_hash.get(info_hash)?)
    }

    /// The torrent of that number.
    pub fn by_id(&self, id: TorrentId) -> Option<&Arc<Torrent>> {
        self.torrents.get(id.index())
    }

    /// All, in order of their ids.
    pub fn all(&self) -> &[Arc<Torrent>] {
        &self.torrents
    }
}
