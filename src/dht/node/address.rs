//! Addresses of nodes: compact forms (BEP 5, 32) and which of them are fit
//! to be called.
//!
//! Pure. Addresses are held as [`PeerAddress`], which prints nothing.

use std::net::{IpAddr, Ipv6Addr};

use super::id::NodeId;
use crate::model::{PeerAddress, is_reserved};

/// IPv4 or IPv6; each has a socket, a table and an id of its own (BEP 32).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// Compact addresses of 6 bytes, key `nodes`.
    V4,
    /// Compact addresses of 18 bytes, key `nodes6`.
    V6,
}

impl Family {
    /// The family of `ip`.
    pub const fn of(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::V4 => Self::V6,
            Self::V6 => Self::V4,
        }
    }

    /// What the thread of a node for it is called.
    pub const fn thread_name(self) -> &'static str {
        match self {
            Self::V4 => "dht4",
            Self::V6 => "dht6",
        }
    }

    /// Bytes of a compact address with its port.
    pub const fn compact_length(self) -> usize {
        match self {
            Self::V4 => 6,
            Self::V6 => 18,
        }
    }
}

/// A node and where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NodeInfo {
    /// Its id.
    pub id: NodeId,
    /// Its UDP address.
    pub address: PeerAddress,
}

/// The address of 6 or 18 bytes; `None` for any other length.
pub fn from_compact(bytes: &[u8]) -> Option<PeerAddress> {
    if let Ok(bytes) = <[u8; 6]>::try_from(bytes) {
        return Some(PeerAddress::from_compact(bytes));
    }
    let (ip, port) = bytes.split_first_chunk::<16>()?;
    let port = u16::from_be_bytes(port.try_into().ok()?);
    Some(PeerAddress::new(Ipv6Addr::from_octets(*ip).into(), port))
}

/// Appends the 6 or 18 bytes of `address`.
pub fn append_compact(out: &mut Vec<u8>, address: PeerAddress) {
    match address.ip() {
        IpAddr::V4(v4) => out.extend_from_slice(&v4.octets()),
        IpAddr::V6(v6) => out.extend_from_slice(&v6.octets()),
    }
    out.extend_from_slice(&address.port().to_be_bytes());
}

/// Reads a list of ids with compact addresses of `family`; bytes beyond the
/// last whole one are ignored, and IPv4 addresses in the form of IPv6.
pub fn nodes_from_compact(bytes: &[u8], family: Family) -> Vec<NodeInfo> {
    bytes
        .chunks_exact(20 + family.compact_length())
        .filter_map(|entry| {
            let (id, address) = entry.split_first_chunk::<20>()?;
            let address = from_compact(address)?;
            let id = NodeId::new(*id);
            (Family::of(address.ip()) == family).then_some(NodeInfo { id, address })
        })
        .collect()
}

/// Which addresses a node deals with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressFilter {
    /// The family of the socket.
    pub family: Family,
    /// Take loopback and other local addresses too.
    pub allow_private: bool,
}

impl AddressFilter {
    /// Whether packets may go there or be answered.
    pub fn admits(&self, address: PeerAddress) -> bool {
        let ip = address.ip();
        Family::of(ip) == self.family
            && address.is_callable()
            && (self.allow_private || !is_local(ip))
    }
}

/// Whether nobody on the internet has the address ([`is_reserved`]).
pub const fn is_local(ip: IpAddr) -> bool {
    is_reserved(ip)
}

/// The network that one person may own: /24 of IPv4, /64 of IPv6.
pub fn network(ip: IpAddr) -> [u8; 8] {
    match ip {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            // No IPv6 network of unicast addresses begins so.
            [0xff, 0xff, a, b, c, 0, 0, 0]
        }
        IpAddr::V6(v6) => {
            let octets = v6.octets();
            std::array::from_fn(|index| octets.get(index).copied().unwrap_or_default())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    fn address(text: &str) -> PeerAddress {
        text.parse::<SocketAddr>().unwrap().into()
    }

    #[test]
    fn compact_forms_are_read_back() {
        for (text, family) in [
            ("192.0.2.7:6881", Family::V4),
            ("[2a00::7]:6881", Family::V6),
        ] {
            let node = NodeInfo {
                id: NodeId::new([9; 20]),
                address: address(text),
            };
            let mut bytes = Vec::new();
            for node in [node, node] {
                bytes.extend(node.id.as_bytes());
                append_compact(&mut bytes, node.address);
            }
            assert_eq!(bytes.len(), 2 * (20 + family.compact_length()));
            bytes.extend([1, 2, 3]);
            assert_eq!(nodes_from_compact(&bytes, family), [node, node]);
        }
        assert_eq!(from_compact(&[0; 5]), None);
        assert_eq!(from_compact(&[0; 17]), None);
        assert_eq!(from_compact(&[0; 19]), None);
    }

    #[test]
    fn filter() {
        let admits = |text: &str, allow_private| {
            let family = Family::of(address(text).ip());
            AddressFilter {
                family,
                allow_private,
            }
            .admits(address(text))
        };
        for text in ["8.8.8.8:1", "[2a00::1]:1"] {
            assert!(admits(text, false) && admits(text, true), "{text}");
        }
        for text in [
            "127.0.0.1:1",
            "10.1.1.1:1",
            "100.64.0.1:1",
            "169.254.1.1:1",
            "[::1]:1",
            "[fd00::1]:1",
            "[fe80::1]:1",
        ] {
            assert!(!admits(text, false) && admits(text, true), "{text}");
        }
        for text in ["8.8.8.8:0", "0.0.0.0:1", "224.0.0.1:1", "[ff02::1]:1"] {
            assert!(!admits(text, false) && !admits(text, true), "{text}");
        }
        let v4_only = AddressFilter {
            family: Family::V4,
            allow_private: true,
        };
        assert!(!v4_only.admits(address("[2a00::1]:1")));
    }
}
