//! The metadata exchange (BEP 9): info dictionaries from peers, in blocks of
//! 16 KiB.
//!
//! Pure. A message is a bencoded dictionary; the block of a `data` message
//! follows right behind it. [`MetadataAssembly`] puts blocks of several peers
//! together.

mod assembly;

use std::fmt;

use super::bencode::{Malformed, Value};
use super::message::{self, id};

pub use assembly::{BlockError, JoinError, MetadataAssembly, PeerNumber, Progress};

/// Bytes of every block but the last.
pub const BLOCK_LEN: usize = 16 * 1024;

/// A message of the metadata exchange.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum MetadataMessage<'a> {
    /// The peer wants a block. We have none to give.
    Request {
        /// Number of the block, from 0.
        piece: u32,
    },
    /// A block.
    Data {
        /// Number of the block, from 0.
        piece: u32,
        /// Bytes of the whole info dictionary, as claimed in this message.
        total_size: Option<i64>,
        /// The bytes, of any length.
        block: &'a [u8],
    },
    /// The peer does not give a block.
    Reject {
        /// Number of the block, from 0.
        piece: u32,
    },
    /// A type that BEP 9 does not know; to be ignored.
    Unknown,
}

impl fmt::Debug for MetadataMessage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request { piece } => write!(f, "Request({piece})"),
            Self::Data { piece, block, .. } => write!(f, "Data({piece}, {} bytes)", block.len()),
            Self::Reject { piece } => write!(f, "Reject({piece})"),
            Self::Unknown => f.write_str("Unknown"),
        }
    }
}

/// The payload is no message of the metadata exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvalidMessage {
    /// It does not begin with bencoding.
    Malformed(Malformed),
    /// It begins with something else than a dictionary, or `msg_type` is
    /// missing.
    NoType,
    /// `piece` is missing or no block number.
    NoPiece,
}

impl fmt::Display for InvalidMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(malformed) => malformed.fmt(f),
            Self::NoType => f.write_str("metadata message without type"),
            Self::NoPiece => f.write_str("metadata message without block number"),
        }
    }
}

impl std::error::Error for InvalidMessage {}

impl<'a> MetadataMessage<'a> {
    /// Reads the payload behind the number of the extension.
    ///
    /// ```
    /// use btda::protocol::metadata::MetadataMessage;
    /// let data = MetadataMessage::parse(b"d8:msg_typei1e5:piecei0e10:total_sizei3eexyz")?;
    /// assert_eq!(data, MetadataMessage::Data { piece: 0, total_size: Some(3), block: b"xyz" });
    /// # Ok::<(), btda::protocol::metadata::InvalidMessage>(())
    /// ```
    pub fn parse(payload: &'a [u8]) -> Result<Self, InvalidMessage> {
        let (header, block) = Value::parse_prefix(payload).map_err(InvalidMessage::Malformed)?;
        let number = |key: &[u8]| header.get(key).and_then(Value::integer);
        let kind = number(b"msg_type").ok_or(InvalidMessage::NoType)?;
        let piece = number(b"piece").and_then(|piece| u32::try_from(piece).ok());
        let piece = piece.ok_or(InvalidMessage::NoPiece);
        Ok(match kind {
            0 => Self::Request { piece: piece? },
            1 => Self::Data {
                piece: piece?,
                total_size: number(b"total_size"),
                block,
            },
            2 => Self::Reject { piece: piece? },
            _ => Self::Unknown,
        })
    }
}

/// Appends a request for block `piece`, under the number `their_number` that
/// the peer gave `ut_metadata`.
pub fn encode_request(their_number: u8, piece: u32, out: &mut Vec<u8>) {
    let mut payload = vec![their_number];
    payload.extend_from_slice(format!("d8:msg_typei0e5:piecei{piece}ee").as_bytes());
    message::encode_raw(id::EXTENDED, &payload, out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_examples_of_the_specification() {
        assert_eq!(
            MetadataMessage::parse(b"d8:msg_typei0e5:piecei0ee"),
            Ok(MetadataMessage::Request { piece: 0 })
        );
        assert_eq!(
            MetadataMessage::parse(b"d8:msg_typei1e5:piecei0e10:total_sizei34256eexxxxxxxx"),
            Ok(MetadataMessage::Data {
                piece: 0,
                total_size: Some(34_256),
                block: b"xxxxxxxx"
            })
        );
        assert_eq!(
            MetadataMessage::parse(b"d8:msg_typei2e5:piecei0ee"),
            Ok(MetadataMessage::Reject { piece: 0 })
        );
        let mut bytes = Vec::new();
        encode_request(3, 0, &mut bytes);
        assert_eq!(bytes, b"\0\0\0\x1b\x14\x03d8:msg_typei0e5:piecei0ee");
    }

    #[test]
    fn what_is_no_message() {
        for (payload, error) in [
            (&b"de"[..], InvalidMessage::NoType),
            (b"le", InvalidMessage::NoType),
            (b"d8:msg_type1:xe", InvalidMessage::NoType),
            (b"d8:msg_typei1ee", InvalidMessage::NoPiece),
            (b"d8:msg_typei1e5:piecei-1ee", InvalidMessage::NoPiece),
            (
                b"d8:msg_typei2e5:piecei4294967296ee",
                InvalidMessage::NoPiece,
            ),
        ] {
            assert_eq!(MetadataMessage::parse(payload), Err(error));
        }
        assert!(matches!(
            MetadataMessage::parse(b""),
            Err(InvalidMessage::Malformed(_))
        ));
        assert_eq!(
            MetadataMessage::parse(b"d8:msg_typei9ee"),
            Ok(MetadataMessage::Unknown)
        );
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = MetadataMessage::parse(&bytes);
        }

        #[test]
        fn requests_come_back(number: u8, piece: u32) {
            let mut bytes = Vec::new();
            encode_request(number, piece, &mut bytes);
            prop_assert_eq!(bytes[5], number);
            prop_assert_eq!(
                MetadataMessage::parse(&bytes[6..]),
                Ok(MetadataMessage::Request { piece })
            );
        }
    }
}
