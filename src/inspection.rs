//! The border between the page and what looks into a swarm for it: a look-up
//! in the DHT, the metadata of a torrent, the visit of one peer. Nothing of
//! it is a part of a run's results.
//!
//! The runtime implements it; threads of the page call it, and wait.

use std::sync::Arc;
use std::time::Duration;

use crate::model::{Encryption, InfoHash, PeerAddress, PieceCount, Reason, Transport};

/// Finds the peers of a torrent in the DHT.
pub trait FindPeers: Send + Sync {
    /// Looks `info_hash` up, for `limit` at most, beginnings of a node that
    /// was not there before included. What was found before a failure is
    /// found.
    ///
    /// # Errors
    /// Why nobody could be asked, in words without addresses.
    fn find(&self, info_hash: InfoHash, limit: Duration) -> Result<Vec<PeerAddress>, String>;
}

/// What peers are visited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject {
    /// The torrent.
    pub info_hash: InfoHash,
    /// Its pieces, where they are known. Without, a peer can only tell that
    /// it has all or none.
    pub pieces: Option<PieceCount>,
    /// BEP 27: nobody is told of anybody.
    pub private: bool,
}

/// What one visit has shown.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seen {
    /// Why the visit gave nothing of the peer's progress; nothing where it
    /// did.
    pub failure: Option<Reason>,
    /// Pieces it has, where it told them and the torrent's are known.
    pub pieces: Option<PieceCount>,
    /// Whether it has everything, where that is known.
    pub complete: Option<bool>,
    /// Client by its extended handshake (BEP 10, `v`), else by its peer id;
    /// one line, escaped.
    pub client: Option<String>,
    /// What the visit went over, if there was a handshake.
    pub over: Option<(Transport, Encryption)>,
}

/// Visits peers: asks for what they have, and for nothing else.
pub trait VisitPeers: Send + Sync {
    /// The number of pieces of `info_hash` and whether it is private, by
    /// metadata (BEP 9) that one of `peers` gives within `limit`; none is
    /// asked twice.
    fn pieces(
        &self,
        info_hash: InfoHash,
        peers: &[PeerAddress],
        limit: Duration,
    ) -> Option<(PieceCount, bool)>;

    /// Visits the peer at `address` within the limits of a run; waits as long
    /// as those of politeness demand, and never contacts whom the rules bar.
    fn visit(&self, subject: Subject, address: PeerAddress) -> Seen;
}

/// What the page can have done.
#[derive(Clone, Default)]
pub struct Inspection {
    /// The DHT; nothing where it is not to be used.
    pub finder: Option<Arc<dyn FindPeers>>,
    /// Visits; nothing where there are to be none.
    pub visitor: Option<Arc<dyn VisitPeers>>,
}
