//! The 68 bytes with which both sides of a peer connection begin (BEP 3).
//!
//! Layout: the byte 19, `BitTorrent protocol`, eight reserved bytes, the info
//! hash, the peer id. Used by every visit in both directions, on the thread
//! that does the visit. The peer id may come late: trackers and clients that
//! only test whether somebody listens stop after the info hash.

use std::fmt;

use crate::model::{InfoHash, PeerId};

/// Bytes of a whole handshake.
pub const HANDSHAKE_LEN: usize = 68;

/// Length byte and name of the protocol; every handshake begins with them.
pub const PROTOCOL: [u8; 20] = *b"\x13BitTorrent protocol";

/// Bytes up to and including the info hash.
const HEADER_LEN: usize = 48;

/// The eight reserved bytes: which extensions a side speaks.
///
/// ```
/// use btda::protocol::handshake::Reserved;
/// let ours = Reserved::default().with_fast().with_dht();
/// assert_eq!(ours.as_bytes(), &[0, 0, 0, 0, 0, 0, 0, 0x05]);
/// assert!(ours.supports_fast() && !ours.supports_extension());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reserved([u8; 8]);

impl Reserved {
    const EXTENSION: u8 = 0x10;
    const FAST: u8 = 0x04;
    const DHT: u8 = 0x01;

    /// Wraps the bytes of a handshake.
    pub const fn new(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }

    /// The bytes as they travel.
    pub const fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }

    /// The same with the fast extension (BEP 6).
    #[must_use]
    pub const fn with_fast(mut self) -> Self {
        self.0[7] |= Self::FAST;
        self
    }

    /// Whether the fast extension is spoken (BEP 6).
    pub const fn supports_fast(self) -> bool {
        self.0[7] & Self::FAST != 0
    }

    /// The same with the extension protocol (BEP 10).
    #[must_use]
    pub const fn with_extension(mut self) -> Self {
        self.0[5] |= Self::EXTENSION;
        self
    }

    /// Whether the extension protocol is spoken (BEP 10).
    pub const fn supports_extension(self) -> bool {
        self.0[5] & Self::EXTENSION != 0
    }

    /// The same with the DHT, which invites a `port` message (BEP 5).
    #[must_use]
    pub const fn with_dht(mut self) -> Self {
        self.0[7] |= Self::DHT;
        self
    }

    /// Whether a DHT node runs there (BEP 5).
    pub const fn supports_dht(self) -> bool {
        self.0[7] & Self::DHT != 0
    }
}

/// A whole handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handshake {
    /// Extensions spoken.
    pub reserved: Reserved,
    /// The torrent that is meant.
    pub info_hash: InfoHash,
    /// How the sender names itself.
    pub peer_id: PeerId,
}

impl Handshake {
    /// The bytes to send.
    pub fn encode(&self) -> [u8; HANDSHAKE_LEN] {
        let mut bytes = [0; HANDSHAKE_LEN];
        let parts = PROTOCOL
            .iter()
            .chain(self.reserved.as_bytes())
            .chain(self.info_hash.as_bytes())
            .chain(self.peer_id.as_bytes());
        for (slot, &byte) in bytes.iter_mut().zip(parts) {
            *slot = byte;
        }
        bytes
    }
}

/// The bytes do not begin with [`PROTOCOL`]: another protocol, an encrypted
/// handshake (MSE) or garbage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotBitTorrent;

impl fmt::Display for NotBitTorrent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the first bytes are not a BitTorrent handshake")
    }
}

impl std::error::Error for NotBitTorrent {}

/// Collects a handshake from chunks of any size; holds 68 bytes and no more.
///
/// ```
/// use btda::protocol::handshake::HandshakeDecoder;
/// let mut decoder = HandshakeDecoder::default();
/// assert_eq!(decoder.feed(b"\x13Bit"), Ok(4));
/// assert!(decoder.handshake().is_none());
/// assert!(decoder.feed(b"Coin").is_err());
/// ```
#[derive(Debug, Clone)]
pub struct HandshakeDecoder {
    bytes: [u8; HANDSHAKE_LEN],
    len: usize,
}

impl Default for HandshakeDecoder {
    fn default() -> Self {
        Self {
            bytes: [0; HANDSHAKE_LEN],
            len: 0,
        }
    }
}

impl HandshakeDecoder {
    /// Takes at most the bytes that are missing and returns how many it took;
    /// what follows belongs to [`super::frame::FrameDecoder`].
    ///
    /// Fails at the first byte that differs from [`PROTOCOL`], and again on
    /// every later call.
    pub fn feed(&mut self, input: &[u8]) -> Result<usize, NotBitTorrent> {
        let missing = self.bytes.get_mut(self.len..).unwrap_or_default();
        let mut taken = 0;
        for (slot, &byte) in missing.iter_mut().zip(input) {
            *slot = byte;
            taken += 1;
        }
        self.len += taken;
        let same = self
            .received()
            .iter()
            .zip(&PROTOCOL)
            .all(|(received, expected)| received == expected);
        if same { Ok(taken) } else { Err(NotBitTorrent) }
    }

    /// Reserved bytes and info hash, once 48 bytes have come.
    pub fn header(&self) -> Option<(Reserved, InfoHash)> {
        let header = self.received().get(PROTOCOL.len()..HEADER_LEN)?;
        let (reserved, info_hash) = header.split_first_chunk::<8>()?;
        let info_hash = info_hash.first_chunk::<20>()?;
        Some((Reserved::new(*reserved), InfoHash::new(*info_hash)))
    }

    /// The handshake, once all 68 bytes have come.
    pub fn handshake(&self) -> Option<Handshake> {
        let (reserved, info_hash) = self.header()?;
        let peer_id = self.received().get(HEADER_LEN..)?.first_chunk::<20>()?;
        Some(Handshake {
            reserved,
            info_hash,
            peer_id: PeerId::new(*peer_id),
        })
    }

    /// Bytes received so far; tells a silent peer from one that began.
    pub fn received(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}
