//! Torrents made for a test, with data.

use bendy::encoding::{Error, SingleItemEncoder, ToBencode};
use btda::model::InfoHash;

/// A single-file torrent with its content.
pub(crate) struct TestTorrent {
    /// File name, also the name in the info dictionary.
    pub(crate) name: &'static str,
    /// The content.
    pub(crate) data: Vec<u8>,
    /// Bytes a piece; the last piece is shorter.
    pub(crate) piece_length: u32,
    hashes: Vec<u8>,
}

impl TestTorrent {
    /// Makes `pieces` pieces of noise; `seed` tells torrents apart.
    pub(crate) fn generate(name: &'static str, seed: u64, pieces: u32, piece_length: u32) -> Self {
        let length = u64::from(pieces) * u64::from(piece_length) - 1000;
        let data = noise(seed, usize::try_from(length).expect("fits"));
        let hashes = data
            .chunks(usize::try_from(piece_length).expect("fits"))
            .flat_map(|piece| sha1_smol::Sha1::from(piece).digest().bytes())
            .collect();
        Self {
            name,
            data,
            piece_length,
            hashes,
        }
    }

    /// Its info hash.
    pub(crate) fn hash(&self) -> InfoHash {
        InfoHash::of(&Info(self).to_bencode().expect("info dictionary is valid"))
    }

    /// Number of pieces.
    pub(crate) fn pieces(&self) -> u32 {
        u32::try_from(self.hashes.len() / 20).expect("fits")
    }

    /// The `.torrent` file, with one tier for each of `trackers`, if there
    /// are any.
    pub(crate) fn file(&self, trackers: &[String]) -> Vec<u8> {
        let torrent = self;
        let file = File { torrent, trackers };
        file.to_bencode().expect("torrent file is valid")
    }
}

struct Info<'a>(&'a TestTorrent);

impl ToBencode for Info<'_> {
    const MAX_DEPTH: usize = 1;

    fn encode(&self, encoder: SingleItemEncoder<'_>) -> Result<(), Error> {
        let torrent = self.0;
        encoder.emit_dict(|mut dict| {
            dict.emit_pair(b"length", torrent.data.len())?;
            dict.emit_pair(b"name", torrent.name)?;
            dict.emit_pair(b"piece length", torrent.piece_length)?;
            dict.emit_pair_with(b"pieces", |value| value.emit_bytes(&torrent.hashes))
        })
    }
}

struct File<'a> {
    torrent: &'a TestTorrent,
    trackers: &'a [String],
}

impl ToBencode for File<'_> {
    const MAX_DEPTH: usize = 3;

    fn encode(&self, encoder: SingleItemEncoder<'_>) -> Result<(), Error> {
        let tiers: Vec<&[String]> = self.trackers.chunks(1).collect();
        encoder.emit_dict(|mut dict| {
            if let Some(first) = self.trackers.first() {
                dict.emit_pair(b"announce", first)?;
                dict.emit_pair_with(b"announce-list", |value| {
                    value.emit_list(|list| tiers.iter().try_for_each(|tier| list.emit(*tier)))
                })?;
            }
            dict.emit_pair(b"info", Info(self.torrent))
        })
    }
}

/// Bytes of xorshift64: no two pieces alike, and the same in every run.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.flatten().take(length).collect()
}
