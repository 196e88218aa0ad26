//! The torrents of a run.

use std::path::PathBuf;

use super::{InfoHash, PieceCount};

/// Number of a torrent in its run: 1, 2, 3 … in order of import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TorrentId(u16);

impl TorrentId {
    /// The id of the torrent at `index` (from 0) in order of import; `None`
    /// beyond 65,534.
    pub fn from_index(index: usize) -> Option<Self> {
        u16::try_from(index).ok()?.checked_add(1).map(Self)
    }

    /// Position in the list of torrents, from 0.
    pub const fn index(self) -> usize {
        self.0 as usize - 1
    }

    /// The number as stored, from 1.
    pub const fn number(self) -> u16 {
        self.0
    }
}

impl std::fmt::Display for TorrentId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// One torrent that is measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Torrent {
    /// Its number in this run.
    pub id: TorrentId,
    /// SHA-1 of the original info dictionary.
    pub info_hash: InfoHash,
    /// Announce URLs, the main tracker first, none twice; may be empty.
    pub trackers: Vec<String>,
    /// Number of pieces, at least 1.
    pub pieces: PieceCount,
    /// Bytes a piece, at least 1.
    pub piece_length: u64,
    /// `ceil(pieces × torrent_complete_threshold)`: a peer with as many
    /// pieces counts as having the torrent (thesis, "confirmed download").
    pub threshold: PieceCount,
    /// The file it was read from.
    pub path: PathBuf,
    /// Name in the info dictionary, valid UTF-8 without control characters.
    pub display_name: Option<String>,
    /// BEP 27: peers only from the tracker.
    pub private: bool,
}

impl Torrent {
    /// `pieces × piece_length` in bytes: the last piece counts in full, as in
    /// 2015.
    pub const fn size(&self) -> u64 {
        (self.pieces.0 as u64).saturating_mul(self.piece_length)
    }

    /// Pieces wanted for completeness: `ceil(pieces × fraction)` in double
    /// precision, as the R scripts compute it.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "ceil of u32 × 0..=1 fits u32"
    )]
    pub fn threshold_of(pieces: PieceCount, fraction: f64) -> PieceCount {
        PieceCount((f64::from(pieces.0) * fraction.clamp(0.0, 1.0)).ceil() as u32)
    }
}

#[cfg(test)]
impl Torrent {
    /// The first torrent of a test: `pieces` pieces of 64 KiB, all of them
    /// wanted, info hash all sevens, no tracker.
    pub(crate) fn sample(pieces: u32) -> Self {
        Self {
            id: TorrentId(1),
            info_hash: InfoHash::new([7; 20]),
            trackers: Vec::new(),
            pieces: PieceCount(pieces),
            piece_length: 65_536,
            threshold: PieceCount(pieces),
            path: PathBuf::from("a.torrent"),
            display_name: None,
            private: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_dense_from_one() {
        assert_eq!(TorrentId::from_index(0).map(TorrentId::number), Some(1));
        assert_eq!(
            TorrentId::from_index(65_534).map(TorrentId::index),
            Some(65_534)
        );
        assert_eq!(TorrentId::from_index(65_535), None);
    }

    #[test]
    fn threshold_rounds_up() {
        let of = |pieces, fraction| Torrent::threshold_of(PieceCount(pieces), fraction).0;
        assert_eq!(of(1, 0.98), 1);
        assert_eq!(of(100, 0.98), 98);
        assert_eq!(of(101, 0.98), 99);
        assert_eq!(of(4108, 0.98), 4026);
        assert_eq!(of(10, 1.0), 10);
    }
}
