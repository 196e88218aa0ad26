//! The torrents of a run, by number and by info hash. Torrents may join while
//! the run goes on (a magnet link whose metadata arrived).

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::model::{InfoHash, Torrent, TorrentId};
use crate::protocol::mse::{self, DIGEST_LEN, torrent_hash};

/// All torrents of a run; read by every thread.
#[derive(Debug)]
pub struct Directory {
    inner: RwLock<Inner>,
}

#[derive(Debug)]
struct Inner {
    torrents: Vec<Arc<Torrent>>,
    by_hash: HashMap<InfoHash, Arc<Torrent>>,
    /// By the name that an encrypted handshake uses.
    by_torrent_hash: HashMap<[u8; DIGEST_LEN], InfoHash>,
}

impl Directory {
    /// The directory of `torrents`, which stand in the order of their ids.
    pub fn new(torrents: Vec<Torrent>) -> Self {
        let torrents: Vec<Arc<Torrent>> = torrents.into_iter().map(Arc::new).collect();
        let by_hash = torrents
            .iter()
            .map(|torrent| (torrent.info_hash, Arc::clone(torrent)))
            .collect();
        let by_torrent_hash = torrents
            .iter()
            .map(|torrent| (torrent_hash(&torrent.info_hash), torrent.info_hash))
            .collect();
        Self {
            inner: RwLock::new(Inner {
                torrents,
                by_hash,
                by_torrent_hash,
            }),
        }
    }

    /// Adds the torrent of `info_hash` that `make` makes for the next number;
    /// `None` when it is there already or numbers have run out. `tell` is
    /// called before anybody can find it, in the order of the numbers: no
    /// record of a torrent may come before that of its joining.
    pub fn add(
        &self,
        info_hash: InfoHash,
        make: impl FnOnce(TorrentId) -> Torrent,
        tell: impl FnOnce(&Arc<Torrent>),
    ) -> Option<Arc<Torrent>> {
        let mut inner = self.inner.write();
        if inner.by_hash.contains_key(&info_hash) {
            return None;
        }
        let torrent = Arc::new(make(TorrentId::from_index(inner.torrents.len())?));
        tell(&torrent);
        inner.torrents.push(Arc::clone(&torrent));
        inner.by_hash.insert(info_hash, Arc::clone(&torrent));
        let name = torrent_hash(&info_hash);
        inner.by_torrent_hash.insert(name, info_hash);
        Some(torrent)
    }

    /// The torrent that a caller names in its handshake.
    pub fn find(&self, info_hash: &InfoHash) -> Option<Arc<Torrent>> {
        self.inner.read().by_hash.get(info_hash).cloned()
    }

    /// The torrent of that number.
    pub fn by_id(&self, id: TorrentId) -> Option<Arc<Torrent>> {
        self.inner.read().torrents.get(id.index()).cloned()
    }

    /// All there are now, in order of their ids.
    pub fn all(&self) -> Vec<Arc<Torrent>> {
        self.inner.read().torrents.clone()
    }
}

impl mse::Torrents for Directory {
    fn by_torrent_hash(&self, hash: &[u8; DIGEST_LEN]) -> Option<InfoHash> {
        self.inner.read().by_torrent_hash.get(hash).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::mse::Torrents;

    #[test]
    fn torrents_join_with_the_next_number_and_only_once() {
        let directory = Directory::new(vec![Torrent::sample(3)]);
        let hash = InfoHash::new([8; 20]);
        let make = |id| Torrent {
            id,
            info_hash: hash,
            ..Torrent::sample(4)
        };
        let joined = directory
            .add(hash, make, |torrent| assert_eq!(torrent.id.number(), 2))
            .unwrap();
        assert_eq!(joined.id.number(), 2);
        let never = |_: &Arc<Torrent>| panic!("it is there already");
        assert!(directory.add(hash, make, never).is_none());
        assert_eq!(directory.find(&hash), Some(Arc::clone(&joined)));
        assert_eq!(directory.by_id(joined.id), Some(joined));
        assert_eq!(directory.all().len(), 2);
        for hash in [hash, Torrent::sample(3).info_hash] {
            assert_eq!(directory.by_torrent_hash(&torrent_hash(&hash)), Some(hash));
        }
        let stranger = torrent_hash(&InfoHash::new([9; 20]));
        assert_eq!(directory.by_torrent_hash(&stranger), None);
        assert!(directory.find(&InfoHash::new([9; 20])).is_none());
    }
}
