//! What peers say of our own address (BEP 10, `yourip`). Pure; kept in memory
//! only, behind the scheduler's lock.
//!
//! A peer can name any address. One is believed when peers of three networks
//! name it, so that a single machine cannot make us pass over somebody.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

/// Networks that must agree.
const VOTES_NEEDED: usize = 3;

/// Addresses in the running; the one with the fewest votes leaves for a new
/// one.
const CANDIDATES_MAX: usize = 64;

/// Votes for addresses that may be ours.
#[derive(Debug, Default)]
pub(super) struct Votes {
    by_candidate: HashMap<IpAddr, HashSet<Network>>,
}

/// The first 24 bits of an IPv4 address, the first 48 of an IPv6 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Network {
    V4([u8; 3]),
    V6([u16; 3]),
}

impl Network {
    const fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => {
                let [a, b, c, _] = ip.octets();
                Self::V4([a, b, c])
            }
            IpAddr::V6(ip) => {
                let [first, second, third, ..] = ip.segments();
                Self::V6([first, second, third])
            }
        }
    }
}

impl Votes {
    /// The peer at `voter` says that we are at `ip`; tells whether that is to
    /// be believed.
    pub(super) fn cast(&mut self, voter: IpAddr, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        if ip.is_unspecified() || ip.is_multicast() {
            return false;
        }
        if !self.by_candidate.contains_key(&ip) && self.by_candidate.len() >= CANDIDATES_MAX {
            self.drop_weakest();
        }
        let voters = self.by_candidate.entry(ip).or_default();
        if voters.len() < VOTES_NEEDED {
            voters.insert(Network::of(voter));
        }
        voters.len() >= VOTES_NEEDED
    }

    fn drop_weakest(&mut self) {
        let weakest = self
            .by_candidate
            .iter()
            .min_by_key(|(_, votes)| votes.len());
        if let Some(ip) = weakest.map(|(&ip, _)| ip) {
            self.by_candidate.remove(&ip);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_network_has_one_vote() {
        let mut votes = Votes::default();
        let ours = ip("2001:db8:1::1");
        for voter in [
            "192.0.2.1",
            "::ffff:192.0.2.9",
            "2001:db8:2::1",
            "2001:db8:2:3::1",
        ] {
            assert!(!votes.cast(ip(voter), ours), "{voter}");
        }
        assert!(votes.cast(ip("203.0.113.5"), ours));
        assert!(votes.cast(ip("203.0.113.5"), ours), "and stays so");
        for _ in 0..4 {
            assert!(!votes.cast(ip("203.0.113.5"), ip("0.0.0.0")));
        }
    }

    #[test]
    fn liars_take_no_memory_and_do_not_push_out_the_truth() {
        let mut votes = Votes::default();
        let ours = ip("198.51.100.1");
        votes.cast(ip("192.0.2.1"), ours);
        votes.cast(ip("203.0.113.1"), ours);
        for n in 0..10_000_u32 {
            votes.cast(ip("10.0.0.1"), IpAddr::from(n.to_be_bytes()));
        }
        assert_eq!(votes.by_candidate.len(), CANDIDATES_MAX);
        assert!(votes.cast(ip("10.1.0.1"), ours));
    }
}
