//! Addresses and identities of peers.

use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::TorrentId;

/// IP address and port of a peer in 18 bytes; IPv4 is held mapped.
///
/// No `Display` and an empty `Debug`, so that no address slips into a log:
/// use [`super::PseudonymKey`] to name a peer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PeerAddress {
    ip: [u8; 16],
    port: [u8; 2],
}

impl PeerAddress {
    /// An address as it came from a tracker, the DHT or `accept`; an
    /// IPv4-mapped IPv6 address equals its IPv4 form.
    pub const fn new(ip: IpAddr, port: u16) -> Self {
        let ip = match ip {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            IpAddr::V6(v6) => v6.octets(),
        };
        Self {
            ip,
            port: port.to_be_bytes(),
        }
    }

    /// IPv4 address and port from the six bytes of a compact list (BEP 23).
    pub const fn from_compact(bytes: [u8; 6]) -> Self {
        let [a, b, c, d, high, low] = bytes;
        Self::new(
            IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
            u16::from_be_bytes([high, low]),
        )
    }

    fn bytes(&self) -> [u8; 18] {
        let mut bytes = [0; 18];
        let (ip, port) = bytes.split_at_mut(16);
        ip.copy_from_slice(&self.ip);
        port.copy_from_slice(&self.port);
        bytes
    }

    /// The IP address, IPv4 where it is one.
    pub const fn ip(&self) -> IpAddr {
        Ipv6Addr::from_octets(self.ip).to_canonical()
    }

    /// The port, 0 where none was told.
    pub const fn port(&self) -> u16 {
        u16::from_be_bytes(self.port)
    }

    /// The same IP address with another port.
    #[must_use]
    pub const fn with_port(&self, port: u16) -> Self {
        Self {
            ip: self.ip,
            port: port.to_be_bytes(),
        }
    }

    /// For the calls that open a socket.
    pub const fn socket_addr(&self) -> SocketAddr {
        SocketAddr::new(self.ip(), self.port())
    }

    /// Whether anybody can be called there: a port, and neither the
    /// unspecified, a multicast nor the broadcast address.
    pub const fn is_callable(&self) -> bool {
        let ip = self.ip();
        let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
        self.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && !broadcast
    }
}

/// All bytes at once; see [`PeerKey`].
impl Hash for PeerAddress {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.bytes());
    }
}

impl From<SocketAddr> for PeerAddress {
    fn from(address: SocketAddr) -> Self {
        Self::new(address.ip(), address.port())
    }
}

impl std::fmt::Debug for PeerAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PeerAddress(..)")
    }
}

/// Identity of a contacted peer: address, port and torrent.
///
/// The port that a caller calls from says nothing: in 2015 its identity is
/// (address, torrent), here with port 0 ([`PeerKey::caller`]); else that with
/// the port on which it says it listens ([`PeerKey::at_port`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerKey {
    /// Where the peer is.
    pub address: PeerAddress,
    /// What it was visited for.
    pub torrent: TorrentId,
}

/// All bytes at once: the keyed hash of the standard library, which strangers
/// cannot aim at, begins anew for every part it is given.
impl Hash for PeerKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let mut bytes = [0; 20];
        let (address, torrent) = bytes.split_at_mut(18);
        address.copy_from_slice(&self.address.bytes());
        torrent.copy_from_slice(&self.torrent.number().to_ne_bytes());
        state.write(&bytes);
    }
}

impl PeerKey {
    /// The identity of the peer at `address` for `torrent`.
    pub const fn new(address: PeerAddress, torrent: TorrentId) -> Self {
        Self { address, torrent }
    }

    /// The same peer address with another port.
    #[must_use]
    pub const fn at_port(&self, port: u16) -> Self {
        Self {
            address: self.address.with_port(port),
            torrent: self.torrent,
        }
    }

    /// The same without the port.
    #[must_use]
    pub const fn caller(&self) -> Self {
        Self {
            address: self.address.with_port(0),
            torrent: self.torrent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_and_plain_ipv4_are_one() {
        let plain: SocketAddr = "192.0.2.1:6881".parse().unwrap();
        let mapped: SocketAddr = "[::ffff:192.0.2.1]:6881".parse().unwrap();
        assert_eq!(PeerAddress::from(plain), PeerAddress::from(mapped));
        assert_eq!(PeerAddress::from(mapped).socket_addr(), plain);
        assert_eq!(
            PeerAddress::from_compact([192, 0, 2, 1, 0x1a, 0xe1]),
            plain.into()
        );
    }

    #[test]
    fn hashes_tell_every_part() {
        let hash = |key: PeerKey| {
            let mut state = std::hash::DefaultHasher::new();
            key.hash(&mut state);
            state.finish()
        };
        let key = |ip: u8, port, torrent| {
            let address = PeerAddress::new(IpAddr::from([192, 0, 2, ip]), port);
            PeerKey::new(address, TorrentId::from_index(torrent).unwrap())
        };
        let different = [key(1, 1, 0), key(2, 1, 0), key(1, 2, 0), key(1, 1, 1)];
        let hashes: std::collections::HashSet<u64> = different.map(hash).into();
        assert_eq!(hashes.len(), different.len());
        assert_eq!(hash(key(1, 1, 0)), hash(key(1, 1, 0)));
    }

    #[test]
    fn uncallable_addresses() {
        for text in [
            "0.0.0.0:1",
            "1.2.3.4:0",
            "224.0.0.1:1",
            "255.255.255.255:1",
            "[::]:1",
            "[ff02::1]:1",
        ] {
            let address: SocketAddr = text.parse().unwrap();
            assert!(!PeerAddress::from(address).is_callable(), "{text}");
        }
        assert!(PeerAddress::from("127.0.0.1:1".parse::<SocketAddr>().unwrap()).is_callable());
    }

    #[test]
    fn no_address_in_debug_and_small_keys() {
        let key = PeerKey::new(
            PeerAddress::from_compact([10, 9, 8, 7, 0, 1]),
            TorrentId::from_index(0).unwrap(),
        );
        assert!(!format!("{key:?}").contains("10.9"));
        assert_eq!(size_of::<PeerKey>(), 20);
    }
}
