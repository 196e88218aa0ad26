//! What the frames of a peer mean (BEP 3, 5, 6, 10), and the few messages
//! that are sent.
//!
//! Used by every visit, on the thread that does the visit. Only what tells
//! progress is read to the end; the rest is recognised so that it can be
//! counted. No function here makes a `request` or a `piece`: payload is
//! neither asked for nor given.

use std::fmt;

use super::frame::Frame;
use crate::model::PieceIndex;

/// Message ids.
pub mod id {
    /// BEP 3; no payload.
    pub const CHOKE: u8 = 0;
    /// BEP 3; no payload.
    pub const UNCHOKE: u8 = 1;
    /// BEP 3; no payload.
    pub const INTERESTED: u8 = 2;
    /// BEP 3; no payload.
    pub const NOT_INTERESTED: u8 = 3;
    /// BEP 3; one more piece: its index.
    pub const HAVE: u8 = 4;
    /// BEP 3; all pieces as bits, first bit of the first byte is piece 0.
    pub const BITFIELD: u8 = 5;
    /// BEP 3; index, begin, length.
    pub const REQUEST: u8 = 6;
    /// BEP 3; index, begin, then payload.
    pub const PIECE: u8 = 7;
    /// BEP 3; as [`REQUEST`].
    pub const CANCEL: u8 = 8;
    /// BEP 5; UDP port of the DHT node.
    pub const PORT: u8 = 9;
    /// BEP 6; an index.
    pub const SUGGEST: u8 = 13;
    /// BEP 6; no payload.
    pub const HAVE_ALL: u8 = 14;
    /// BEP 6; no payload.
    pub const HAVE_NONE: u8 = 15;
    /// BEP 6; as [`REQUEST`].
    pub const REJECT: u8 = 16;
    /// BEP 6; an index.
    pub const ALLOWED_FAST: u8 = 17;
    /// BEP 10; a byte that says which extension, then its payload.
    pub const EXTENDED: u8 = 20;
}

/// A message of a peer. Payloads that nobody here needs are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message<'a> {
    /// Length 0.
    KeepAlive,
    /// [`id::CHOKE`].
    Choke,
    /// [`id::UNCHOKE`].
    Unchoke,
    /// [`id::INTERESTED`].
    Interested,
    /// [`id::NOT_INTERESTED`].
    NotInterested,
    /// [`id::HAVE`]; the index is not yet known to be in range.
    Have(PieceIndex),
    /// [`id::BITFIELD`] as it came; length and spare bits are checked by
    /// [`crate::model::PieceSet::replace`].
    Bitfield(&'a [u8]),
    /// [`id::REQUEST`].
    Request,
    /// [`id::PIECE`] of any size.
    Piece,
    /// [`id::CANCEL`].
    Cancel,
    /// [`id::PORT`].
    Port(u16),
    /// [`id::SUGGEST`].
    Suggest,
    /// [`id::HAVE_ALL`]; valid only when both sides speak BEP 6.
    HaveAll,
    /// [`id::HAVE_NONE`]; valid only when both sides speak BEP 6.
    HaveNone,
    /// [`id::REJECT`].
    Reject,
    /// [`id::ALLOWED_FAST`].
    AllowedFast,
    /// [`id::EXTENDED`]: which extension and its payload. Empty when it was
    /// longer than what is kept; a real one has at least one byte.
    Extended(&'a [u8]),
    /// A bitfield longer than what is kept, and so than the torrent's.
    Oversized {
        /// [`id::BITFIELD`].
        id: u8,
        /// Bytes of payload.
        length: u32,
    },
    /// An id that none of the BEPs above knows, of any size.
    Unknown(u8),
}

/// A message of fixed size came with another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrongLength {
    /// Which message.
    pub id: u8,
    /// Bytes of payload that it must have.
    pub expected: u32,
    /// Bytes of payload that it has.
    pub received: u32,
}

impl fmt::Display for WrongLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            id,
            expected,
            received,
        } = self;
        write!(
            f,
            "message {id} has {received} bytes of payload instead of {expected}"
        )
    }
}

impl std::error::Error for WrongLength {}

impl<'a> Message<'a> {
    /// Reads a frame. An unknown id is a [`Message::Unknown`], never an error.
    ///
    /// ```
    /// use btda::protocol::{frame::Frame, message::{Message, WrongLength}};
    /// let have = Frame::Message { id: 4, payload: &[0, 0, 1, 0] };
    /// assert_eq!(Message::parse(have), Ok(Message::Have(btda::model::PieceIndex(256))));
    /// let short = Frame::Message { id: 4, payload: &[0, 1] };
    /// assert_eq!(Message::parse(short), Err(WrongLength { id: 4, expected: 4, received: 2 }));
    /// ```
    pub fn parse(frame: Frame<'a>) -> Result<Self, WrongLength> {
        match frame {
            Frame::KeepAlive => Ok(Self::KeepAlive),
            Frame::Message { id, payload } => Self::parse_payload(id, payload),
            Frame::Oversized { id, length } => Self::parse_oversized(id, length),
        }
    }

    fn parse_payload(id: u8, payload: &'a [u8]) -> Result<Self, WrongLength> {
        Ok(match id {
            id::CHOKE => fixed::<0>(id, payload).map(|_| Self::Choke)?,
            id::UNCHOKE => fixed::<0>(id, payload).map(|_| Self::Unchoke)?,
            id::INTERESTED => fixed::<0>(id, payload).map(|_| Self::Interested)?,
            id::NOT_INTERESTED => fixed::<0>(id, payload).map(|_| Self::NotInterested)?,
            id::HAVE => Self::Have(PieceIndex(u32::from_be_bytes(*fixed(id, payload)?))),
            id::BITFIELD => Self::Bitfield(payload),
            id::REQUEST => fixed::<12>(id, payload).map(|_| Self::Request)?,
            id::PIECE => Self::Piece,
            id::CANCEL => fixed::<12>(id, payload).map(|_| Self::Cancel)?,
            id::PORT => Self::Port(u16::from_be_bytes(*fixed(id, payload)?)),
            id::SUGGEST => fixed::<4>(id, payload).map(|_| Self::Suggest)?,
            id::HAVE_ALL => fixed::<0>(id, payload).map(|_| Self::HaveAll)?,
            id::HAVE_NONE => fixed::<0>(id, payload).map(|_| Self::HaveNone)?,
            id::REJECT => fixed::<12>(id, payload).map(|_| Self::Reject)?,
            id::ALLOWED_FAST => fixed::<4>(id, payload).map(|_| Self::AllowedFast)?,
            id::EXTENDED => Self::Extended(payload),
            other => Self::Unknown(other),
        })
    }

    fn parse_oversized(id: u8, length: u32) -> Result<Self, WrongLength> {
        let message = match id {
            id::PIECE => Self::Piece,
            id::BITFIELD => Self::Oversized { id, length },
            id::EXTENDED => Self::Extended(&[]),
            other => Self::Unknown(other),
        };
        match fixed_length(id) {
            Some(expected) if expected != length => Err(WrongLength {
                id,
                expected,
                received: length,
            }),
            // Of the right size yet not kept: the limits are too small for
            // this message, whose payload is gone.
            _ => Ok(message),
        }
    }
}

/// Payload of the messages that have a fixed size.
const fn fixed_length(id: u8) -> Option<u32> {
    match id {
        id::CHOKE..=id::NOT_INTERESTED | id::HAVE_ALL | id::HAVE_NONE => Some(0),
        id::HAVE | id::SUGGEST | id::ALLOWED_FAST => Some(4),
        id::REQUEST | id::CANCEL | id::REJECT => Some(12),
        id::PORT => Some(2),
        _ => None,
    }
}

fn fixed<const N: usize>(id: u8, payload: &[u8]) -> Result<&[u8; N], WrongLength> {
    payload.try_into().map_err(|_| WrongLength {
        id,
        expected: u32::try_from(N).unwrap_or(u32::MAX),
        received: u32::try_from(payload.len()).unwrap_or(u32::MAX),
    })
}

/// Appends a keep-alive.
pub fn encode_keep_alive(out: &mut Vec<u8>) {
    out.extend_from_slice(&[0; 4]);
}

/// Appends a `have`.
pub fn encode_have(index: PieceIndex, out: &mut Vec<u8>) {
    encode_raw(id::HAVE, &index.0.to_be_bytes(), out);
}

/// Appends a `bitfield` with the bits as they travel.
pub fn encode_bitfield(bits: &[u8], out: &mut Vec<u8>) {
    encode_raw(id::BITFIELD, bits, out);
}

/// Appends a `have all` (BEP 6).
pub fn encode_have_all(out: &mut Vec<u8>) {
    encode_raw(id::HAVE_ALL, &[], out);
}

/// Appends a `have none` (BEP 6).
pub fn encode_have_none(out: &mut Vec<u8>) {
    encode_raw(id::HAVE_NONE, &[], out);
}

/// Appends a `port` (BEP 5).
pub fn encode_port(port: u16, out: &mut Vec<u8>) {
    encode_raw(id::PORT, &port.to_be_bytes(), out);
}

/// Appends a message with any id and a payload below 4 GiB, right or wrong:
/// the practice swarm plays misbehaving peers with it.
pub fn encode_raw(id: u8, payload: &[u8], out: &mut Vec<u8>) {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.saturating_add(1).to_be_bytes());
    out.push(id);
    out.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::frame::{FrameDecoder, FrameLimits};
    use proptest::prelude::*;

    /// Reads a stream as a visit does; results in their debug form.
    fn read(mut input: &[u8], keep: usize) -> Vec<String> {
        let mut decoder = FrameDecoder::new(FrameLimits {
            keep,
            max_length: 1 << 20,
        });
        let mut seen = Vec::new();
        while !input.is_empty() {
            let (taken, frame) = decoder.feed(input).unwrap();
            seen.extend(frame.map(|frame| format!("{:?}", Message::parse(frame).unwrap())));
            input = &input[taken..];
        }
        seen
    }

    /// What libtorrent 2.0 sends first to a peer with BEP 6 and BEP 10.
    #[test]
    fn reads_what_libtorrent_sends() {
        let mut bytes = b"\0\0\0\x3f\x14\0d1:ei0e4:ipv44:\x7f\0\x01\x021:md11:ut_metadatai2ee4:reqqi500e1:v3:LT2e".to_vec();
        assert_eq!(bytes.len(), 4 + 0x3f);
        bytes.extend_from_slice(b"\0\0\0\x03\x05\xff\xc0");
        bytes.extend_from_slice(b"\0\0\0\x05\x11\0\0\0\x03");
        bytes.extend_from_slice(b"\0\0\0\x01\x01\0\0\0\x01\x02\0\0\0\x05\x04\0\0\x10\x0b\0\0\0\0");
        bytes.extend_from_slice(b"\0\0\0\x0d\x06\0\0\0\x01\0\0\x40\0\0\0\x40\0");
        let seen = read(&bytes, 16);
        assert_eq!(
            seen,
            [
                "Extended([])",
                "Bitfield([255, 192])",
                "AllowedFast",
                "Unchoke",
                "Interested",
                "Have(PieceIndex(4107))",
                "KeepAlive",
                "Request"
            ]
        );
        assert!(read(&bytes, 100)[0].starts_with("Extended([0, 100, 49, 58, 101"));
    }

    /// transmission to a peer with BEP 6: have none or have all, and a port.
    #[test]
    fn reads_what_transmission_sends() {
        let bytes =
            b"\0\0\0\x01\x0f\0\0\0\x03\x09\xc8\xd5\0\0\0\x01\x00\0\0\0\x01\x03\0\0\0\x01\x0e\
            \0\0\0\x05\x0d\0\0\0\x01\0\0\0\x0d\x10\0\0\0\x01\0\0\x40\0\0\0\x40\0\
            \0\0\0\x0d\x08\0\0\0\x01\0\0\x40\0\0\0\x40\0";
        assert_eq!(
            read(bytes, 16),
            [
                "HaveNone",
                "Port(51413)",
                "Choke",
                "NotInterested",
                "HaveAll",
                "Suggest",
                "Reject",
                "Cancel"
            ]
        );
    }

    /// BEP 3, 5, 6, written down apart from the code.
    const FIXED: [(u8, u32); 13] = [
        (0, 0),
        (1, 0),
        (2, 0),
        (3, 0),
        (4, 4),
        (6, 12),
        (8, 12),
        (9, 2),
        (13, 4),
        (14, 0),
        (15, 0),
        (16, 12),
        (17, 4),
    ];

    #[test]
    fn every_id_in_every_short_length() {
        for id in 0..=u8::MAX {
            let fixed = FIXED.iter().find(|(fixed, _)| *fixed == id);
            for length in 0..=40_u32 {
                let payload = vec![0x5a; length as usize];
                let kept = Message::parse(Frame::Message {
                    id,
                    payload: &payload,
                });
                let oversized = Message::parse(Frame::Oversized { id, length });
                match fixed {
                    Some(&(_, expected)) if expected != length => {
                        let wrong = Err(WrongLength {
                            id,
                            expected,
                            received: length,
                        });
                        assert_eq!((kept, oversized), (wrong, wrong));
                    }
                    Some(_) => assert!(!matches!(kept, Err(_) | Ok(Message::Unknown(_)))),
                    None => {
                        let (kept, oversized) = (kept.unwrap(), oversized.unwrap());
                        match id {
                            5 => {
                                assert_eq!(kept, Message::Bitfield(&payload));
                                assert_eq!(oversized, Message::Oversized { id, length });
                            }
                            7 => assert_eq!((kept, oversized), (Message::Piece, Message::Piece)),
                            20 => {
                                assert_eq!(kept, Message::Extended(&payload));
                                assert_eq!(oversized, Message::Extended(&[]));
                            }
                            _ => {
                                let unknown = Message::Unknown(id);
                                assert_eq!((kept, oversized), (unknown, unknown));
                            }
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_written_is_as_the_beps_have_it() {
        let mut out = Vec::new();
        encode_keep_alive(&mut out);
        encode_have(PieceIndex(0x0102_0304), &mut out);
        encode_bitfield(&[0xf0], &mut out);
        encode_have_all(&mut out);
        encode_have_none(&mut out);
        encode_port(17_000, &mut out);
        assert_eq!(
            out,
            b"\0\0\0\0\0\0\0\x05\x04\x01\x02\x03\x04\0\0\0\x02\x05\xf0\0\0\0\x01\x0e\0\0\0\x01\x0f\0\0\0\x03\x09\x42\x68"
        );
    }

    #[test]
    fn errors_say_what_is_wrong() {
        let error = Message::parse(Frame::Oversized { id: 4, length: 17 }).unwrap_err();
        assert_eq!(
            error.to_string(),
            "message 4 has 17 bytes of payload instead of 4"
        );
    }

    proptest! {
        #[test]
        fn written_messages_come_back(index: u32, port: u16, bits in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut out = Vec::new();
            encode_have(PieceIndex(index), &mut out);
            encode_port(port, &mut out);
            encode_bitfield(&bits, &mut out);
            let sent = [Message::Have(PieceIndex(index)), Message::Port(port), Message::Bitfield(&bits)];
            prop_assert_eq!(read(&out, 64), sent.map(|message| format!("{message:?}")));
        }

        #[test]
        fn any_frame_is_read_without_panic(id: u8, payload in prop::collection::vec(any::<u8>(), 0..70), length: u32) {
            let _ = Message::parse(Frame::Message { id, payload: &payload });
            let _ = Message::parse(Frame::Oversized { id, length });
        }
    }
}
