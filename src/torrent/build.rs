//! Writes torrent files (BEP 3, 12, 27) for the practice swarm and for tests.

use bendy::encoding::{AsString, Error, SingleItemEncoder, ToBencode};

/// What goes into a torrent file with a single file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewTorrent {
    /// `announce`, left out when `None`.
    pub announce: Option<String>,
    /// `announce-list` (BEP 12), left out when empty.
    pub tiers: Vec<Vec<String>>,
    /// `name`.
    pub name: String,
    /// `piece length` in bytes.
    pub piece_length: u64,
    /// SHA-1 of each piece.
    pub pieces: Vec<[u8; 20]>,
    /// `length` in bytes.
    pub length: u64,
    /// `private` = 1 (BEP 27), left out when false.
    pub private: bool,
}

/// The bytes of the torrent file, in canonical bencoding: the same values
/// give the same bytes and so the same info hash.
pub fn build(info: &NewTorrent) -> Vec<u8> {
    // Fails on unsorted keys and on depth only, and both are fixed below.
    info.to_bencode().unwrap_or_default()
}

impl ToBencode for NewTorrent {
    const MAX_DEPTH: usize = 3;

    fn encode(&self, encoder: SingleItemEncoder) -> Result<(), Error> {
        encoder.emit_dict(|mut file| {
            if let Some(announce) = &self.announce {
                file.emit_pair(b"announce", announce)?;
            }
            if !self.tiers.is_empty() {
                file.emit_pair(b"announce-list", &self.tiers)?;
            }
            file.emit_pair_with(b"info", |info| self.encode_info(info))
        })
    }
}

impl NewTorrent {
    fn encode_info(&self, encoder: SingleItemEncoder) -> Result<(), Error> {
        encoder.emit_dict(|mut info| {
            info.emit_pair(b"length", self.length)?;
            info.emit_pair(b"name", &self.name)?;
            info.emit_pair(b"piece length", self.piece_length)?;
            info.emit_pair(b"pieces", AsString(self.pieces.as_flattened()))?;
            if self.private {
                info.emit_pair(b"private", 1)?;
            }
            Ok(())
        })
    }
}
