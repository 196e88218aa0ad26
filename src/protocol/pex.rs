//! Peer exchange (BEP 11): the message `ut_pex`, which names other peers of
//! the torrent. Pure. There is an encoder only for tests: we name nobody.

use std::net::Ipv6Addr;

use super::bencode::{Malformed, Value};
use crate::model::PeerAddress;

/// Its name in the extended handshake.
pub const UT_PEX: &[u8] = b"ut_pex";

/// A peer that another one names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NamedPeer {
    /// Where it is.
    pub address: PeerAddress,
    /// `added.f`; 0 where there is none.
    pub flags: u8,
}

impl NamedPeer {
    /// Whether it prefers encrypted connections (flag 1).
    pub const fn prefers_encryption(&self) -> bool {
        self.flags & 0x01 != 0
    }

    /// Whether it is said to be complete (flag 2).
    pub const fn is_seed(&self) -> bool {
        self.flags & 0x02 != 0
    }

    /// Whether it speaks uTP (flag 4).
    pub const fn speaks_utp(&self) -> bool {
        self.flags & 0x04 != 0
    }
}

/// The peers under `added` and `added6` of a message's payload, `most` of
/// them at the most; bytes beyond the last whole address are ignored, and so
/// is who was dropped.
///
/// # Errors
/// When it does not begin with bencoding.
pub fn added(payload: &[u8], most: usize) -> Result<Vec<NamedPeer>, Malformed> {
    let (value, _) = Value::parse_prefix(payload)?;
    let bytes = |key: &[u8]| value.get(key).and_then(Value::bytes).unwrap_or_default();
    let (v4, _) = bytes(b"added").as_chunks::<6>();
    let v4 = v4.iter().map(|compact| PeerAddress::from_compact(*compact));
    let (v6, _) = bytes(b"added6").as_chunks::<18>();
    let v6 = v6.iter().map(|[ip @ .., high, low]| {
        let port = u16::from_be_bytes([*high, *low]);
        PeerAddress::new(Ipv6Addr::from_octets(*ip).into(), port)
    });
    let flagged = |flags: &[u8], index: usize| flags.get(index).copied().unwrap_or(0);
    let (flags4, flags6) = (bytes(b"added.f"), bytes(b"added6.f"));
    let v4 = v4.enumerate().map(|(index, address)| NamedPeer {
        address,
        flags: flagged(flags4, index),
    });
    let v6 = v6.enumerate().map(|(index, address)| NamedPeer {
        address,
        flags: flagged(flags6, index),
    });
    Ok(v4.chain(v6).take(most).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::SocketAddr;

    fn address(text: &str) -> PeerAddress {
        text.parse::<SocketAddr>().unwrap().into()
    }

    #[test]
    fn both_families_with_their_flags() {
        let mut payload = b"d5:added13:".to_vec();
        payload.extend([9, 9, 9, 1, 0x1a, 0xe1, 9, 9, 9, 2, 0, 80, 7]);
        payload.extend(b"7:added.f2:\x03\x04");
        payload.extend(b"6:added618:");
        payload.extend("2a00::7".parse::<Ipv6Addr>().unwrap().octets());
        payload.extend([0x1a, 0xe1]);
        payload.extend(b"7:dropped6:abcdefe and more");
        let named = added(&payload, 50).unwrap();
        let wanted = [
            (address("9.9.9.1:6881"), 3),
            (address("9.9.9.2:80"), 4),
            (address("[2a00::7]:6881"), 0),
        ];
        let told: Vec<_> = named.iter().map(|it| (it.address, it.flags)).collect();
        assert_eq!(told, wanted);
        assert!(named[0].prefers_encryption() && named[0].is_seed() && !named[0].speaks_utp());
        assert!(!named[1].prefers_encryption() && !named[1].is_seed() && named[1].speaks_utp());
        assert_eq!(added(&payload, 1).unwrap().len(), 1);
    }

    #[test]
    fn nothing_and_nonsense() {
        assert_eq!(added(b"de", 50), Ok(Vec::new()));
        assert_eq!(added(b"d5:addedi6ee", 50), Ok(Vec::new()));
        assert_eq!(added(b"le", 50), Ok(Vec::new()));
        assert!(added(b"d5:added99:", 50).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(payload in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = added(&payload, 50);
        }
    }
}
