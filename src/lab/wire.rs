//! Bytes of handshakes and messages (BEP 3, BEP 6, BEP 10), written by hand.
//!
//! Used by every part of the lab that speaks to the analyzer. On purpose this
//! shares no line with `crate::protocol`: two independent readings of the
//! specification must agree before a test passes.

/// Bytes of a handshake.
pub const HANDSHAKE_LEN: usize = 68;

/// Reserved bits of a client that knows the fast extension (BEP 6) and the
/// extension protocol (BEP 10).
pub const FAST_AND_EXTENDED: [u8; 8] = [0, 0, 0, 0, 0, 0x10, 0, 0x04];

/// Reserved bits of a client without extensions.
pub const NO_EXTENSIONS: [u8; 8] = [0; 8];

/// Length byte and protocol name, the first 20 bytes of a handshake.
const PROTOCOL: &[u8; 20] = b"\x13BitTorrent protocol";

/// A handshake (BEP 3).
pub fn handshake(reserved: [u8; 8], info_hash: &[u8; 20], peer_id: &[u8; 20]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HANDSHAKE_LEN);
    bytes.extend_from_slice(PROTOCOL);
    bytes.extend_from_slice(&reserved);
    bytes.extend_from_slice(info_hash);
    bytes.extend_from_slice(peer_id);
    bytes
}

/// What a received handshake says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Greeting {
    /// The eight reserved bytes.
    pub reserved: [u8; 8],
    /// The torrent that is wanted.
    pub info_hash: [u8; 20],
    /// Who greets.
    pub peer_id: [u8; 20],
}

impl Greeting {
    /// Reads the 68 bytes; `None` when they are no handshake.
    pub fn parse(bytes: &[u8; HANDSHAKE_LEN]) -> Option<Self> {
        let rest = bytes.strip_prefix(PROTOCOL)?;
        let (reserved, rest) = rest.split_first_chunk::<8>()?;
        let (info_hash, rest) = rest.split_first_chunk::<20>()?;
        let peer_id = rest.first_chunk::<20>()?;
        Some(Self {
            reserved: *reserved,
            info_hash: *info_hash,
            peer_id: *peer_id,
        })
    }

    /// Whether the extension protocol is announced (BEP 10).
    pub const fn extended(&self) -> bool {
        self.reserved[5] & 0x10 != 0
    }

    /// Whether the fast extension is announced (BEP 6).
    pub const fn fast(&self) -> bool {
        self.reserved[7] & 0x04 != 0
    }
}

/// A keep-alive: a message without id and payload.
pub const KEEP_ALIVE: [u8; 4] = [0; 4];

/// Any message: length prefix, id, payload.
pub fn message(id: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len().saturating_add(1)).unwrap_or(u32::MAX);
    let mut bytes = Vec::with_capacity(payload.len() + 5);
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.push(id);
    bytes.extend_from_slice(payload);
    bytes
}

/// `have` for the piece `index`.
pub fn have(index: u32) -> Vec<u8> {
    message(4, &index.to_be_bytes())
}

/// `bitfield` with these bytes, whatever they are.
pub fn bitfield(bits: &[u8]) -> Vec<u8> {
    message(5, bits)
}

/// `have all` (BEP 6).
pub fn have_all() -> Vec<u8> {
    message(14, &[])
}

/// `have none` (BEP 6).
pub fn have_none() -> Vec<u8> {
    message(15, &[])
}

/// `piece` with a block of `length` zero bytes at the start of piece 0.
pub fn piece(length: usize) -> Vec<u8> {
    message(7, &vec![0; length.saturating_add(8)])
}

/// `port` (BEP 5).
pub fn port(number: u16) -> Vec<u8> {
    message(9, &number.to_be_bytes())
}

/// What a client tells of itself in its extended handshake (BEP 10).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Offer {
    /// Its number for requests for metadata, and their size in bytes (BEP 9).
    pub metadata: Option<(u8, usize)>,
    /// Its number for `ut_pex` (BEP 11).
    pub exchange: Option<u8>,
    /// Where it listens.
    pub port: Option<u16>,
}

/// The extended handshake of a client that offers this (BEP 10).
pub fn extended_handshake(offer: &Offer) -> Vec<u8> {
    let (mut extensions, mut size) = (String::new(), String::new());
    if let Some((number, bytes)) = offer.metadata {
        extensions = format!("11:ut_metadatai{number}e");
        size = format!("13:metadata_sizei{bytes}e");
    }
    if let Some(number) = offer.exchange {
        extensions = format!("{extensions}6:ut_pexi{number}e");
    }
    let port = offer.port;
    let port = port.map_or(String::new(), |port| format!("1:pi{port}e"));
    message(20, format!("\0d1:md{extensions}e{size}{port}e").as_bytes())
}

/// Bytes of a block of metadata (BEP 9).
pub const METADATA_BLOCK: usize = 16 * 1024;

/// Whether `bytes` are a handshake (BEP 3) so far; MSE begins with a key, of
/// which that is as good as impossible.
pub fn may_be_greeting(bytes: &[u8]) -> bool {
    bytes
        .iter()
        .zip(PROTOCOL)
        .all(|(byte, wanted)| byte == wanted)
}

/// The block `piece` of metadata of `size` bytes, to a client that calls
/// `ut_metadata` `number` (BEP 9).
pub fn metadata_data(number: u8, piece: u32, size: usize, block: &[u8]) -> Vec<u8> {
    let mut payload = vec![number];
    let header = format!("d8:msg_typei1e5:piecei{piece}e10:total_sizei{size}ee");
    payload.extend_from_slice(header.as_bytes());
    payload.extend_from_slice(block);
    message(20, &payload)
}

/// The refusal to give the block `piece` (BEP 9).
pub fn metadata_reject(number: u8, piece: u32) -> Vec<u8> {
    let mut payload = vec![number];
    let text = format!("d8:msg_typei2e5:piecei{piece}ee");
    payload.extend_from_slice(text.as_bytes());
    message(20, &payload)
}

/// The bits of a bitfield for `pieces` pieces in which those of `have` are
/// set; indices out of range are left out.
pub fn bits(pieces: u32, have: impl IntoIterator<Item = u32>) -> Vec<u8> {
    let mut bits = vec![0_u8; pieces.div_ceil(8) as usize];
    for index in have.into_iter().filter(|index| *index < pieces) {
        if let Some(byte) = bits.get_mut((index / 8) as usize) {
            *byte |= 1 << (7 - index % 8);
        }
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_those_of_the_specification() {
        assert_eq!(have(0x0102_0304), [0, 0, 0, 5, 4, 1, 2, 3, 4]);
        assert_eq!(bitfield(&[0xf0, 0x80]), [0, 0, 0, 3, 5, 0xf0, 0x80]);
        assert_eq!(have_all(), [0, 0, 0, 1, 14]);
        assert_eq!(have_none(), [0, 0, 0, 1, 15]);
        assert_eq!(port(6881), [0, 0, 0, 3, 9, 0x1a, 0xe1]);
        assert_eq!(piece(2), [0, 0, 0, 11, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        let handshake = b"\0\0\0\x12\x14\0d1:mde1:pi6881ee";
        let mut offer = Offer {
            port: Some(6881),
            ..Offer::default()
        };
        assert_eq!(extended_handshake(&offer), handshake);
        offer.exchange = Some(1);
        let longer = b"\0\0\0\x1d\x14\0d1:md6:ut_pexi1ee1:pi6881ee";
        assert_eq!(extended_handshake(&offer), longer);
        let nothing = extended_handshake(&Offer::default());
        assert_eq!(nothing.len(), handshake.len() - 9);
    }

    #[test]
    fn metadata_messages_are_those_of_the_specification() {
        let offer = |port| Offer {
            metadata: Some((3, 31_235)),
            exchange: None,
            port,
        };
        assert_eq!(
            extended_handshake(&offer(None)),
            b"\0\0\0\x31\x14\0d1:md11:ut_metadatai3ee13:metadata_sizei31235ee"
        );
        assert_eq!(
            extended_handshake(&offer(Some(6881))),
            b"\0\0\0\x3a\x14\0d1:md11:ut_metadatai3ee13:metadata_sizei31235e1:pi6881ee"
        );
        assert_eq!(
            metadata_data(3, 0, 34_256, b"xxxxxxxx"),
            b"\0\0\0\x37\x14\x03d8:msg_typei1e5:piecei0e10:total_sizei34256eexxxxxxxx"
        );
        assert_eq!(
            metadata_reject(3, 0),
            b"\0\0\0\x1b\x14\x03d8:msg_typei2e5:piecei0ee"
        );
    }

    #[test]
    fn high_bit_first() {
        assert_eq!(bits(10, [0, 7, 8]), [0x81, 0x80]);
        assert_eq!(bits(10, 0..10), [0xff, 0xc0]);
        assert_eq!(bits(8, [8, 900]), [0]);
    }

    #[test]
    fn handshakes_come_back() {
        let bytes = handshake(FAST_AND_EXTENDED, &[7; 20], b"-LB0100-abcdefghijkl");
        assert_eq!(bytes.len(), HANDSHAKE_LEN);
        assert!(bytes.starts_with(b"\x13BitTorrent protocol\0\0\0\0\0\x10\0\x04\x07"));
        let mut bytes: [u8; HANDSHAKE_LEN] = bytes.try_into().unwrap();
        let greeting = Greeting::parse(&bytes).unwrap();
        assert!(greeting.fast() && greeting.extended());
        assert_eq!(&greeting.peer_id, b"-LB0100-abcdefghijkl");
        bytes[3] ^= 1;
        assert_eq!(Greeting::parse(&bytes), None);
    }
}
