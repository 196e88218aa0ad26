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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// libtorrent 2.0.8: extension protocol, DHT, fast.
    const LIBTORRENT: &[u8; 68] = b"\x13BitTorrent protocol\0\0\0\0\0\x10\0\x05\
        \x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\
        -LT2080-q7YpPg2lVc9k";
    /// transmission 3.00 with the DHT off: extension protocol, fast.
    const TRANSMISSION: &[u8; 68] = b"\x13BitTorrent protocol\0\0\0\0\0\x10\0\x04\
        \x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\
        -TR3000-4kz0d1x8a7ub";
    /// An old client without any extension and with a raw peer id.
    const PLAIN: &[u8; 68] = b"\x13BitTorrent protocol\0\0\0\0\0\0\0\0\
        \x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\
        M7-9-2--\xff\x00\x80\x7f\x0a\x0d\x01\x02\x03\x04\x05\x06";

    fn decode(bytes: &[u8]) -> HandshakeDecoder {
        let mut decoder = HandshakeDecoder::default();
        assert_eq!(decoder.feed(bytes), Ok(bytes.len().min(HANDSHAKE_LEN)));
        decoder
    }

    #[test]
    fn reads_handshakes_of_real_clients() {
        for (bytes, client, flags) in [
            (LIBTORRENT, "-LT2080-", [true, true, true]),
            (TRANSMISSION, "-TR3000-", [true, true, false]),
            (PLAIN, "M7-9-2--", [false, false, false]),
        ] {
            let handshake = decode(bytes).handshake().unwrap();
            let reserved = handshake.reserved;
            assert_eq!(handshake.peer_id.client().as_deref(), Some(client));
            assert_eq!(
                handshake.info_hash.to_string(),
                "0123456789abcdef0123456789abcdef01234567"
            );
            assert_eq!(
                flags,
                [
                    reserved.supports_extension(),
                    reserved.supports_fast(),
                    reserved.supports_dht()
                ]
            );
            assert_eq!(handshake.encode(), *bytes);
        }
    }

    #[test]
    fn every_bit_is_its_own() {
        let none = Reserved::default();
        assert_eq!(none.with_fast().as_bytes(), &[0, 0, 0, 0, 0, 0, 0, 4]);
        assert_eq!(none.with_dht().as_bytes(), &[0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(
            none.with_extension().as_bytes(),
            &[0, 0, 0, 0, 0, 0x10, 0, 0]
        );
        let foreign = Reserved::new([0xff; 8]);
        assert_eq!(foreign.with_fast(), foreign);
    }

    #[test]
    fn the_first_wrong_byte_fails_and_stays_failed() {
        for wrong_at in 0..PROTOCOL.len() {
            let mut bytes = *LIBTORRENT;
            bytes[wrong_at] ^= 0x20;
            let mut decoder = HandshakeDecoder::default();
            assert_eq!(decoder.feed(&bytes[..wrong_at]), Ok(wrong_at));
            assert_eq!(
                decoder.feed(&bytes[wrong_at..=wrong_at]),
                Err(NotBitTorrent)
            );
            assert_eq!(decoder.feed(&bytes[wrong_at + 1..]), Err(NotBitTorrent));
            assert_eq!(decoder.feed(&[]), Err(NotBitTorrent));
        }
        // The first byte of a TLS hello and of an HTTP request.
        for first in [0x16, b'G'] {
            assert!(HandshakeDecoder::default().feed(&[first]).is_err());
        }
    }

    #[test]
    fn the_header_comes_before_the_peer_id() {
        let mut decoder = decode(&LIBTORRENT[..47]);
        assert_eq!(decoder.header(), None);
        assert_eq!(decoder.feed(&LIBTORRENT[47..48]), Ok(1));
        let (reserved, info_hash) = decoder.header().unwrap();
        assert!(reserved.supports_fast());
        assert_eq!(info_hash.as_bytes()[..2], [0x01, 0x23]);
        assert_eq!(decoder.feed(&LIBTORRENT[48..67]), Ok(19));
        assert_eq!(decoder.handshake(), None);
        assert_eq!(
            decoder.feed(b"k\0\0\0\0"),
            Ok(1),
            "the rest is no handshake"
        );
        assert_eq!(decoder.feed(b"\0"), Ok(0));
        assert_eq!(decoder.handshake().unwrap().encode(), *LIBTORRENT);
    }

    proptest! {
        #[test]
        fn any_chunks_give_the_same(reserved: [u8; 8], hash: [u8; 20], peer_id: [u8; 20], chunks in prop::collection::vec(1_usize..30, 68)) {
            let sent = Handshake {
                reserved: Reserved::new(reserved),
                info_hash: InfoHash::new(hash),
                peer_id: PeerId::new(peer_id),
            };
            let bytes = sent.encode();
            let mut rest = &bytes[..];
            let mut decoder = HandshakeDecoder::default();
            for size in chunks {
                let chunk = &rest[..size.min(rest.len())];
                prop_assert_eq!(decoder.feed(chunk), Ok(chunk.len()));
                rest = &rest[chunk.len()..];
                prop_assert_eq!(decoder.handshake().is_some(), rest.is_empty());
            }
            prop_assert_eq!(decoder.handshake(), Some(sent));
        }

        #[test]
        fn garbage_never_panics(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..90), 0..5)) {
            let mut decoder = HandshakeDecoder::default();
            for chunk in chunks {
                if let Ok(taken) = decoder.feed(&chunk) {
                    prop_assert!(taken <= chunk.len());
                }
                let _ = (decoder.header(), decoder.handshake());
                prop_assert!(decoder.received().len() <= HANDSHAKE_LEN);
            }
        }
    }
}
