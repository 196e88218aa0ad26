//! The sequence number of our answer to a call, made from a secret instead of
//! being remembered: until a caller has repeated it, and so shown that its
//! address is its own, it takes no memory. A flood of calls costs one short
//! answer each.

use std::net::IpAddr;

use crate::model::PeerAddress;

/// Data packets behind the first that may overtake it.
const REORDERED: u16 = 4;

/// Bytes that only we know, for one run.
#[derive(Clone)]
pub(super) struct Secret([u8; 16]);

/// What a packet of an unknown connection is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    /// The first packet of a caller that has our answer; ours is this number.
    First(u16),
    /// So many packets behind the call; the first is still under way.
    Later(u16),
    /// No such caller.
    Unknown,
}

impl Claim {
    /// How many packets it is behind the call.
    pub(super) const fn behind(self) -> Option<u16> {
        match self {
            Self::First(_) => Some(1),
            Self::Later(behind) => Some(behind),
            Self::Unknown => None,
        }
    }
}

impl Secret {
    pub(super) const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Number of our first packet to the caller at `from` whose packets have
    /// the connection `id` and whose call had the number `call`.
    pub(super) fn number(&self, from: PeerAddress, id: u16, call: u16) -> u16 {
        let mut hash = self.hash(b'n');
        let ip = match from.ip() {
            IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            IpAddr::V6(v6) => v6,
        };
        hash.update(&ip.octets());
        hash.update(&from.port().to_be_bytes());
        hash.update(&id.to_be_bytes());
        hash.update(&call.to_be_bytes());
        first_two(&hash)
    }

    /// Unpredictable numbers, one for each `count`.
    pub(super) fn random(&self, count: u64) -> u16 {
        let mut hash = self.hash(b'r');
        hash.update(&count.to_be_bytes());
        first_two(&hash)
    }

    fn hash(&self, purpose: u8) -> sha1_smol::Sha1 {
        let mut hash = sha1_smol::Sha1::new();
        hash.update(&self.0);
        hash.update(&[purpose]);
        hash
    }

    /// Judges a packet with these numbers.
    pub(super) fn claim(
        &self,
        from: PeerAddress,
        id: u16,
        sequence: u16,
        acknowledged: u16,
    ) -> Claim {
        let ours = acknowledged.wrapping_add(1);
        for behind in 1..=REORDERED {
            if self.number(from, id, sequence.wrapping_sub(behind)) == ours {
                return if behind == 1 {
                    Claim::First(ours)
                } else {
                    Claim::Later(behind)
                };
            }
        }
        Claim::Unknown
    }
}

fn first_two(hash: &sha1_smol::Sha1) -> u16 {
    let [first, second, ..] = hash.digest().bytes();
    u16::from_be_bytes([first, second])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_repeats_our_number_is_let_in() {
        let secret = Secret::new([7; 16]);
        let from = PeerAddress::from_compact([127, 0, 0, 1, 0, 9]);
        let other = PeerAddress::from_compact([127, 0, 0, 2, 0, 9]);
        let ours = secret.number(from, 5, u16::MAX);
        let told = ours.wrapping_sub(1);
        assert_eq!(secret.claim(from, 5, 0, told), Claim::First(ours));
        assert_eq!(secret.claim(from, 5, 2, told), Claim::Later(3));
        assert_eq!(secret.claim(from, 5, 9, told), Claim::Unknown);
        assert_eq!(secret.claim(from, 6, 0, told), Claim::Unknown);
        assert_eq!(secret.claim(other, 5, 0, told), Claim::Unknown);
        let guesses = (0..=u16::MAX)
            .filter(|told| secret.claim(from, 5, 0, *told) == Claim::First(told.wrapping_add(1)));
        assert_eq!(guesses.count(), 1);
        let different = Secret::new([8; 16]);
        assert_ne!(different.number(from, 5, u16::MAX), ours);
    }

    #[test]
    fn random_numbers_differ() {
        let secret = Secret::new([7; 16]);
        let numbers: std::collections::HashSet<u16> = (0..100).map(|n| secret.random(n)).collect();
        assert!(numbers.len() > 90);
    }
}
