//! Packets of uTP, version 1 (BEP 29): header, extensions, payload.

use std::fmt;

/// Bytes of the header.
pub const HEADER_LENGTH: usize = 20;

/// Payload of the packets we send at most. With the header, a selective
/// acknowledgement, UDP and IPv6 this stays below 1,280 bytes, which every
/// path of IPv6 carries and nearly every one of IPv4.
pub const PAYLOAD_MAX: usize = 1_200;

/// Extension: selective acknowledgement.
const SELECTIVE: u8 = 1;

/// Extensions of one packet at most; only one is known.
const EXTENSIONS_MAX: usize = 8;

const VERSION: u8 = 1;

/// What a packet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Carries bytes.
    Data,
    /// The last of the stream.
    Fin,
    /// Acknowledges only.
    State,
    /// Ends the connection at once.
    Reset,
    /// Asks for a connection.
    Syn,
}

impl Kind {
    const ALL: [Self; 5] = [Self::Data, Self::Fin, Self::State, Self::Reset, Self::Syn];

    const fn code(self) -> u8 {
        match self {
            Self::Data => 0,
            Self::Fin => 1,
            Self::State => 2,
            Self::Reset => 3,
            Self::Syn => 4,
        }
    }
}

/// The fixed part of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// What it is.
    pub kind: Kind,
    /// Which connection between the two addresses.
    pub connection: u16,
    /// Clock of the sender when it was sent, in microseconds; wraps around.
    pub timestamp: u32,
    /// Difference of the two clocks at the last packet that the sender
    /// received, in microseconds: transmission time and an unknown constant.
    pub difference: u32,
    /// Bytes the sender has room for, those in flight included.
    pub window: u32,
    /// Number of the packet; of one without payload, that of the next.
    pub sequence: u16,
    /// Last packet that arrived in order.
    pub acknowledged: u16,
}

/// A packet as it was received; borrows from the datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// The fixed part.
    pub header: Header,
    /// Bits of the packets that arrived before their turn: the lowest bit of
    /// the first byte is packet `acknowledged + 2`. Empty without extension.
    pub selective: &'a [u8],
    /// The bytes it carries.
    pub payload: &'a [u8],
}

/// Why a datagram is no uTP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// Shorter than the header.
    Short,
    /// Another version of the protocol, or none of it.
    Version,
    /// A type above 4.
    Kind,
    /// An extension ends behind the datagram, or there are more than eight.
    Extension,
    /// A selective acknowledgement whose length is not a multiple of four
    /// above 0.
    Selective,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Short => "datagram shorter than a header",
            Self::Version => "other version",
            Self::Kind => "unknown type",
            Self::Extension => "broken extension",
            Self::Selective => "selective acknowledgement of wrong length",
        })
    }
}

impl std::error::Error for Malformed {}

impl<'a> Packet<'a> {
    /// Reads a datagram; unknown extensions are skipped.
    pub fn decode(datagram: &'a [u8]) -> Result<Self, Malformed> {
        let (head, mut rest) = datagram
            .split_first_chunk::<HEADER_LENGTH>()
            .ok_or(Malformed::Short)?;
        let (header, mut extension) = decode_header(head)?;
        let mut selective: &[u8] = &[];
        for _ in 0..EXTENSIONS_MAX {
            if extension == 0 {
                return Ok(Self {
                    header,
                    selective,
                    payload: rest,
                });
            }
            let (&[next, length], behind) = rest.split_first_chunk().ok_or(Malformed::Extension)?;
            let (content, behind) = behind
                .split_at_checked(length.into())
                .ok_or(Malformed::Extension)?;
            if extension == SELECTIVE {
                if content.is_empty() || content.len() % 4 != 0 {
                    return Err(Malformed::Selective);
                }
                selective = content;
            }
            (extension, rest) = (next, behind);
        }
        Err(Malformed::Extension)
    }
}

fn decode_header(head: &[u8; HEADER_LENGTH]) -> Result<(Header, u8), Malformed> {
    let [
        kind,
        extension,
        c0,
        c1,
        t0,
        t1,
        t2,
        t3,
        d0,
        d1,
        d2,
        d3,
        w0,
        w1,
        w2,
        w3,
        s0,
        s1,
        a0,
        a1,
    ] = *head;
    if kind & 0x0f != VERSION {
        return Err(Malformed::Version);
    }
    let kind = *Kind::ALL
        .get(usize::from(kind >> 4))
        .ok_or(Malformed::Kind)?;
    let header = Header {
        kind,
        connection: u16::from_be_bytes([c0, c1]),
        timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
        difference: u32::from_be_bytes([d0, d1, d2, d3]),
        window: u32::from_be_bytes([w0, w1, w2, w3]),
        sequence: u16::from_be_bytes([s0, s1]),
        acknowledged: u16::from_be_bytes([a0, a1]),
    };
    Ok((header, extension))
}

/// The datagram of a packet. `selective` has a length that is a multiple of
/// four below 256 (longer ones are left out, which loses no data).
pub fn encode(header: &Header, selective: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_LENGTH + 2 + selective.len() + payload.len());
    let length = u8::try_from(selective.len()).unwrap_or(0);
    bytes.push(header.kind.code() << 4 | VERSION);
    bytes.push(if length == 0 { 0 } else { SELECTIVE });
    bytes.extend_from_slice(&header.connection.to_be_bytes());
    bytes.extend_from_slice(&header.timestamp.to_be_bytes());
    bytes.extend_from_slice(&header.difference.to_be_bytes());
    bytes.extend_from_slice(&header.window.to_be_bytes());
    bytes.extend_from_slice(&header.sequence.to_be_bytes());
    bytes.extend_from_slice(&header.acknowledged.to_be_bytes());
    if length > 0 {
        bytes.extend_from_slice(&[0, length]);
        bytes.extend_from_slice(selective);
    }
    bytes.extend_from_slice(payload);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEADER: Header = Header {
        kind: Kind::State,
        connection: 0x0102,
        timestamp: 0x0304_0506,
        difference: 0x0708_090a,
        window: 0x0b0c_0d0e,
        sequence: 0x0f10,
        acknowledged: 0x1112,
    };

    /// Bytes written by hand from the table of BEP 29.
    #[test]
    fn the_layout_of_the_bep() {
        let plain =
            b"\x21\0\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12";
        assert_eq!(encode(&HEADER, &[], &[]), plain);
        let packet = Packet::decode(plain).unwrap();
        assert_eq!(
            (packet.header, packet.selective, packet.payload),
            (HEADER, &[][..], &[][..])
        );
        let mut extended = plain.to_vec();
        extended[1] = 1;
        extended.extend_from_slice(b"\0\x04\x01\0\0\x80");
        assert_eq!(encode(&HEADER, &[1, 0, 0, 0x80], &[]), extended);
        assert_eq!(
            Packet::decode(&extended).unwrap().selective,
            [1, 0, 0, 0x80]
        );
    }

    #[test]
    fn unknown_extensions_are_skipped() {
        let mut bytes = encode(&HEADER, &[], &[]);
        bytes[1] = 2;
        bytes.extend_from_slice(b"\x01\x08extended\0\x04\x02\0\0\0payload");
        let packet = Packet::decode(&bytes).unwrap();
        assert_eq!(
            (packet.selective, packet.payload),
            (&b"\x02\0\0\0"[..], &b"payload"[..])
        );
    }

    #[test]
    fn malformed_datagrams() {
        let good = encode(&HEADER, &[1, 2, 3, 4], b"x");
        let changed = |at: usize, to: u8| {
            let mut bytes = good.clone();
            bytes[at] = to;
            Packet::decode(&bytes).err()
        };
        assert_eq!(Packet::decode(&good[..19]).err(), Some(Malformed::Short));
        assert_eq!(changed(0, 0x22), Some(Malformed::Version));
        assert_eq!(changed(0, 0x51), Some(Malformed::Kind));
        assert_eq!(changed(21, 200), Some(Malformed::Extension));
        assert_eq!(changed(21, 0), Some(Malformed::Selective));
        assert_eq!(changed(21, 3), Some(Malformed::Selective));
        let mut endless = encode(&HEADER, &[], &[]);
        endless[1] = 9;
        endless.extend([9, 0].repeat(700));
        assert_eq!(Packet::decode(&endless), Err(Malformed::Extension));
    }

    proptest! {
        #[test]
        fn any_datagram_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(packet) = Packet::decode(&bytes) {
                prop_assert!(packet.payload.len() + HEADER_LENGTH <= bytes.len());
            }
        }

        #[test]
        fn what_is_written_is_read(
            kind in 0_usize..5, words: [u16; 3], longs: [u32; 3], four: [u8; 4],
            payload in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let header = Header {
                kind: Kind::ALL[kind],
                connection: words[0],
                timestamp: longs[0],
                difference: longs[1],
                window: longs[2],
                sequence: words[1],
                acknowledged: words[2],
            };
            let bytes = encode(&header, &four, &payload);
            let packet = Packet::decode(&bytes).unwrap();
            prop_assert_eq!(packet.header, header);
            prop_assert_eq!(packet.selective, &four[..]);
            prop_assert_eq!(packet.payload, &payload[..]);
        }
    }
}
