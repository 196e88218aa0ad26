//! Node ids: distance (BEP 5) and the bond to the address (BEP 42).
//!
//! Pure.

use std::cmp::Ordering;
use std::fmt;
use std::net::IpAddr;

use super::random::Random;
use crate::model::InfoHash;

/// Bits of an id.
pub const BITS: usize = 160;

/// A node's place in the key space, or a target there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId([u8; 20]);

/// How far two ids are apart: their XOR, read as a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Distance([u8; 20]);

impl Distance {
    /// Farther than anything.
    pub const MAX: Self = Self([0xff; 20]);

    /// Its bytes, the highest first.
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }

    /// Bits that two ids have in common at their beginning; [`BITS`] for
    /// equal ones.
    pub fn common_bits(&self) -> usize {
        let whole = self.0.iter().take_while(|byte| **byte == 0).count();
        let rest = self.0.get(whole).map_or(0, |byte| byte.leading_zeros());
        whole * 8 + usize::try_from(rest).unwrap_or(0)
    }
}

impl NodeId {
    /// Wraps the bytes of a packet.
    pub const fn new(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// The raw bytes.
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }

    /// How far it is to `other`.
    pub fn distance(&self, other: &Self) -> Distance {
        let mut bytes = self.0;
        for (byte, other) in bytes.iter_mut().zip(other.0) {
            *byte ^= other;
        }
        Distance(bytes)
    }

    /// Which of two ids is closer to `target`, this one (`Less`) or `other`.
    pub fn closer(&self, other: &Self, target: &Self) -> Ordering {
        // Nearly always, the first bytes decide.
        let head = |id: &Self| {
            id.0.first_chunk()
                .map_or(0, |head| u64::from_be_bytes(*head))
        };
        let towards = head(target);
        let (this, that) = (head(self) ^ towards, head(other) ^ towards);
        this.cmp(&that)
            .then_with(|| self.distance(target).cmp(&other.distance(target)))
    }

    /// An id that a node at `ip` may have (BEP 42), random but for its first
    /// 21 bits.
    pub fn bound_to(ip: IpAddr, random: &mut Random) -> Self {
        Self::bound_at(ip, None, random)
    }

    /// The same in one of the eight places of the key space that an address
    /// leaves open: of `place`, the last three bits count.
    pub fn bound_at(ip: IpAddr, place: Option<u8>, random: &mut Random) -> Self {
        let mut bytes: [u8; 20] = random.bytes();
        if let (Some(place), [.., last]) = (place, &mut bytes) {
            *last = *last & 0xf8 | place & 0x07;
        }
        let [.., last] = bytes;
        let [first, second, third] = bond(ip, last);
        let [a, b, c, ..] = &mut bytes;
        *a = first;
        *b = second;
        *c = third & 0xf8 | *c & 0x07;
        Self(bytes)
    }

    /// A random id in one of the eighths of the key space: of `place`, the
    /// last three bits count. For several nodes whose address is not known.
    pub fn in_eighth(place: u8, random: &mut Random) -> Self {
        let mut bytes: [u8; 20] = random.bytes();
        let [first, ..] = &mut bytes;
        *first = *first & 0x1f | place << 5;
        Self(bytes)
    }

    /// Whether a node at `ip` may have this id (BEP 42); at addresses of
    /// local networks, which nobody can check, it may have any.
    pub fn is_bound_to(&self, ip: IpAddr) -> bool {
        if super::address::is_local(ip) {
            return true;
        }
        let [a, b, c, .., last] = self.0;
        let [first, second, third] = bond(ip, last);
        (a, b, c & 0xf8) == (first, second, third & 0xf8)
    }

    /// A random id that has the first `bits` bits in common with this one
    /// and differs in the next.
    #[must_use]
    pub fn random_beside(&self, bits: usize, random: &mut Random) -> Self {
        let mut bytes: [u8; 20] = random.bytes();
        for (index, (byte, own)) in bytes.iter_mut().zip(self.0).enumerate() {
            let keep = bits.saturating_sub(index * 8).min(8);
            let mask = u8::try_from(0xff00_u16 >> keep & 0xff).unwrap_or(0xff);
            *byte = own & mask | *byte & !mask;
            if bits / 8 == index {
                let bit = 0x80_u8 >> (bits % 8);
                *byte = *byte & !bit | !own & bit;
            }
        }
        Self(bytes)
    }
}

/// The first 21 bits that BEP 42 wants, in three bytes.
fn bond(ip: IpAddr, random: u8) -> [u8; 3] {
    const V4: [u8; 4] = [0x03, 0x0f, 0x3f, 0xff];
    const V6: [u8; 8] = [0x01, 0x03, 0x07, 0x0f, 0x1f, 0x3f, 0x7f, 0xff];
    let turn = (random & 0x07) << 5;
    let masked = |octets: &[u8], mask: &[u8]| {
        let mut bytes: Vec<u8> = octets.iter().zip(mask).map(|(a, b)| a & b).collect();
        if let Some(first) = bytes.first_mut() {
            *first |= turn;
        }
        let [first, second, third, _] = crc32c(&bytes).to_be_bytes();
        [first, second, third]
    };
    match ip {
        IpAddr::V4(v4) => masked(&v4.octets(), &V4),
        IpAddr::V6(v6) => masked(&v6.octets(), &V6),
    }
}

/// CRC-32C (Castagnoli), bit by bit: eight bytes at a time are all it gets,
/// too few for a table or a dependency.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0x82f6_3b78 * (crc & 1))
        })
    })
}

impl From<InfoHash> for NodeId {
    fn from(hash: InfoHash) -> Self {
        Self(*hash.as_bytes())
    }
}

impl From<NodeId> for InfoHash {
    fn from(id: NodeId) -> Self {
        Self::new(id.0)
    }
}

/// 40 lower-case hexadecimal digits.
impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        InfoHash::from(*self).fmt(f)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(text: &str) -> NodeId {
        text.parse::<InfoHash>().unwrap().into()
    }

    #[test]
    fn crc_of_the_catalogue() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(b""), 0);
    }

    /// The table of BEP 42.
    #[test]
    fn vectors_of_bep_42() {
        for (ip, text) in [
            ("124.31.75.21", "5fbfbff10c5d6a4ec8a88e4c6ab4c28b95eee401"),
            ("21.75.31.124", "5a3ce9c14e7a08645677bbd1cfe7d8f956d53256"),
            ("65.23.51.170", "a5d43220bc8f112a3d426c84764f8c2a1150e616"),
            ("84.124.73.14", "1b0321dd1bb1fe518101ceef99462b947a01ff41"),
            ("43.213.53.83", "e56f6cbf5b7c4be0237986d5243b87aa6d51305a"),
        ] {
            let ip: IpAddr = ip.parse().unwrap();
            assert!(id(text).is_bound_to(ip), "{text}");
            let next = match ip {
                IpAddr::V4(v4) => IpAddr::from((u32::from(v4) ^ 1).to_be_bytes()),
                IpAddr::V6(_) => ip,
            };
            assert!(!id(text).is_bound_to(next), "{text}");
        }
    }

    #[test]
    fn any_id_at_local_addresses() {
        for ip in ["127.0.0.1", "10.0.0.1", "192.168.1.1", "::1", "fe80::1"] {
            assert!(NodeId::new([7; 20]).is_bound_to(ip.parse().unwrap()));
        }
    }

    #[test]
    fn distance_is_symmetric_xor() {
        let (a, b) = (NodeId::new([0b1010_0000; 20]), NodeId::new([0xff; 20]));
        assert_eq!(a.distance(&b), b.distance(&a));
        assert_eq!(a.distance(&b).common_bits(), 1);
        assert_eq!(a.distance(&a).common_bits(), BITS);
        assert!(a.distance(&b) < Distance::MAX);
    }

    proptest! {
        #[test]
        fn made_ids_are_bound(ip: IpAddr, seed: [u8; 32]) {
            let made = NodeId::bound_to(ip, &mut Random::from_seed(seed));
            prop_assert!(made.is_bound_to(ip));
            let mut random = Random::from_seed(seed);
            let places = (0..8).map(|place| NodeId::bound_at(ip, Some(place), &mut random));
            let places: Vec<NodeId> = places.collect();
            prop_assert!(places.iter().all(|id| id.is_bound_to(ip)));
            let begin: std::collections::HashSet<_> = places.iter().map(|id| id.as_bytes()[0]).collect();
            prop_assert!(begin.len() > 1, "spread");
            let eighths = (0..=7).map(|place| NodeId::in_eighth(place, &mut random));
            let eighths = eighths.map(|id| id.as_bytes()[0] >> 5);
            prop_assert!(eighths.eq(0..=7), "one in each");
        }

        #[test]
        fn ids_beside_share_exactly_the_bits(own: [u8; 20], seed: [u8; 32], bits in 0..BITS) {
            let own = NodeId::new(own);
            let made = own.random_beside(bits, &mut Random::from_seed(seed));
            prop_assert_eq!(own.distance(&made).common_bits(), bits);
        }

        #[test]
        fn the_closer_one_is_less_far(a: [u8; 20], b: [u8; 20], target: [u8; 20], shared in 0_usize..=20) {
            let [a, mut b, target] = [a, b, target].map(NodeId::new);
            b.0[..shared].copy_from_slice(&a.0[..shared]);
            let order = a.distance(&target).cmp(&b.distance(&target));
            prop_assert_eq!(a.closer(&b, &target), order);
        }

        #[test]
        fn triangle_of_xor(a: [u8; 20], b: [u8; 20], c: [u8; 20]) {
            let [a, b, c] = [a, b, c].map(NodeId::new);
            let bits = |x: &NodeId, y: &NodeId| x.distance(y).common_bits();
            prop_assert!(bits(&a, &c) >= bits(&a, &b).min(bits(&b, &c)));
        }
    }
}
