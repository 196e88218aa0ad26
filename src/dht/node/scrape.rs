//! Swarm sizes in the DHT (BEP 33): filters of addresses that many nodes can
//! fill and anybody can join and count.
//!
//! Pure. [`super::server`] answers with them; whoever wants to know the size
//! of a swarm asks the nodes around its info hash and hands their answers to
//! [`swarm_size`].

use std::net::IpAddr;

/// Bytes of a filter.
pub const FILTER_LEN: usize = 256;

/// Bits of a filter.
const BITS: u16 = 2048;

/// A Bloom filter of IP addresses with two bits for each.
#[derive(Clone, PartialEq, Eq)]
pub struct AddressBloom([u8; FILTER_LEN]);

impl AddressBloom {
    /// No address.
    pub const fn empty() -> Self {
        Self([0; FILTER_LEN])
    }

    /// The filter of these bytes, as they stand in a packet.
    pub const fn new(bytes: [u8; FILTER_LEN]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; FILTER_LEN] {
        &self.0
    }

    /// Adds an address; the port does not count.
    pub fn insert(&mut self, ip: IpAddr) {
        let digest = match ip {
            IpAddr::V4(v4) => sha1_smol::Sha1::from(v4.octets()).digest(),
            IpAddr::V6(v6) => sha1_smol::Sha1::from(v6.octets()).digest(),
        };
        let [a, b, c, d, ..] = digest.bytes();
        for pair in [[a, b], [c, d]] {
            let bit = u16::from_le_bytes(pair) % BITS;
            if let Some(byte) = self.0.get_mut(usize::from(bit / 8)) {
                *byte |= 1 << (bit % 8);
            }
        }
    }

    /// Adds all addresses of `other`; those in both count once.
    pub fn join(&mut self, other: &Self) {
        for (byte, more) in self.0.iter_mut().zip(other.0) {
            *byte |= more;
        }
    }

    /// How many addresses are likely in it. A full filter, of some 8,000
    /// addresses and more, cannot tell how many and gives the most it can.
    pub fn estimate(&self) -> f64 {
        let all = f64::from(BITS);
        let zeros: u32 = self.0.iter().map(|byte| byte.count_zeros()).sum();
        // At least one, so that a filter somebody filled with ones counts
        // finitely.
        let zeros = f64::from(zeros).max(1.0);
        (zeros / all).ln() / (2.0 * (1.0 - 1.0 / all).ln())
    }
}

impl std::fmt::Debug for AddressBloom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AddressBloom(about {:.0})", self.estimate())
    }
}

/// What one node knows of a swarm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scrape {
    /// `BFsd`: peers that said that they are complete.
    pub seeds: AddressBloom,
    /// `BFpe`: all others.
    pub peers: AddressBloom,
}

impl Default for Scrape {
    fn default() -> Self {
        Self {
            seeds: AddressBloom::empty(),
            peers: AddressBloom::empty(),
        }
    }
}

/// How large a swarm likely is, in IP addresses.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SwarmSize {
    /// Complete peers.
    pub seeds: f64,
    /// All others.
    pub peers: f64,
}

/// The size of the swarm that the answers of several nodes describe. A node
/// that answers with full filters makes the result too large: leave such out
/// before, or compare with what the others say.
pub fn swarm_size<'a>(answers: impl IntoIterator<Item = &'a Scrape>) -> SwarmSize {
    let mut all = Scrape::default();
    for answer in answers {
        all.seeds.join(&answer.seeds);
        all.peers.join(&answer.peers);
    }
    SwarmSize {
        seeds: all.seeds.estimate(),
        peers: all.peers.estimate(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;
    use std::net::{Ipv4Addr, Ipv6Addr};

    /// The test vector of BEP 33.
    const VECTOR: &str = "\
        F6C3F5EAA07FFD91BDE89F777F26FB2BFF37BDB8FB2BBAA2FD3DDDE7BACFFF75\
        EE7CCBAEFE5EEDB1FBFAFF67F6ABFF5E43DDBCA3FD9B9FFDF4FFD3E9DFF12D1B\
        DF59DB53DBE9FA5B7FF3B8FDFCDE1AFB8BEDD7BE2F3EE71EBBBFE93BCDEEFE14\
        8246C2BC5DBFF7E7EFDCF24FD8DC7ADFFD8FFFDFDDFFF7A4BBEEDF5CB95CE81F\
        C7FCFF1FF4FFFFDFE5F7FDCBB7FD79B3FA1FC77BFE07FFF905B7B7FFC7FEFEFF\
        E0B8370BB0CD3F5B7F2BD93FEB4386CFDD6F7FD5BFAF2E9EBFFFFEECD67ADBF7\
        C67F17EFD5D75EBA6FFEBA7FFF47A91EB1BFBB53E8ABFB5762ABE8FF237279BF\
        EFBFEEF5FFC5FEBFDFE5ADFFADFEE1FB737FFFFBFD9F6AEFFEEE76B6FD8F72EF";

    fn v4(number: u8) -> IpAddr {
        Ipv4Addr::new(192, 0, 2, number).into()
    }

    fn v6(number: u16) -> IpAddr {
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, number).into()
    }

    fn of(ips: impl IntoIterator<Item = IpAddr>) -> AddressBloom {
        let mut bloom = AddressBloom::empty();
        ips.into_iter().for_each(|ip| bloom.insert(ip));
        bloom
    }

    #[test]
    fn the_vector_of_the_specification() {
        let bloom = of((0..=255).map(v4).chain((0..=0x3e7).map(v6)));
        let hex = bloom
            .as_bytes()
            .iter()
            .fold(String::new(), |mut hex, byte| {
                let _ = write!(hex, "{byte:02X}");
                hex
            });
        assert_eq!(hex, VECTOR);
        assert!((bloom.estimate() - 1224.9308).abs() < 0.0001);
    }

    #[test]
    fn joined_answers_count_each_address_once() {
        let answer = |seeds: std::ops::Range<u8>, peers: std::ops::Range<u16>| Scrape {
            seeds: of(seeds.map(v4)),
            peers: of(peers.map(v6)),
        };
        let answers = [answer(0..60, 0..300), answer(30..90, 200..500)];
        let size = swarm_size(&answers);
        assert!((size.seeds - 90.0).abs() < 5.0, "{size:?}");
        assert!((size.peers - 500.0).abs() < 25.0, "{size:?}");
        assert_eq!(swarm_size(&[]), SwarmSize::default());
        assert_eq!(swarm_size([&Scrape::default()]), SwarmSize::default());
    }

    #[test]
    fn a_full_filter_is_finite() {
        let full = AddressBloom::new([0xff; FILTER_LEN]);
        assert!((7_000.0..9_000.0).contains(&full.estimate()), "{full:?}");
    }
}
