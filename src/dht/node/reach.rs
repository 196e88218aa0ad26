//! Whether others reach us (BEP 43), and where they see us (BEP 42).
//!
//! Pure and bounded.

use std::collections::{HashSet, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::address::network;
use super::settings::ReadOnly;
use crate::model::PeerAddress;

/// Time without anybody who was not asked before, after which nobody can
/// reach us. A reachable node is asked several times a minute.
const UNREACHED: Duration = Duration::from_secs(20 * 60);

/// Time after which a read-only node tries again: as long as it is one,
/// nobody has a reason to ask it.
const RETRY: Duration = Duration::from_secs(30 * 60);

/// Time for which a firewall may let in whomever we asked.
const CONTACT: Duration = Duration::from_secs(5 * 60);

/// Addresses remembered in that time.
const CONTACTS_MAX: usize = 4096;

/// Finds out whether to be read-only.
#[derive(Debug)]
pub(super) struct Reach {
    mode: ReadOnly,
    read_only: bool,
    /// Since when `read_only` is what it is, or somebody reached us last.
    since: Option<Instant>,
    asked: [HashSet<PeerAddress>; 2],
    turned: Option<Instant>,
}

impl Reach {
    pub(super) fn new(mode: ReadOnly) -> Self {
        Self {
            mode,
            read_only: mode == ReadOnly::Always,
            since: None,
            asked: [HashSet::new(), HashSet::new()],
            turned: None,
        }
    }

    /// We asked somebody.
    pub(super) fn asked(&mut self, address: PeerAddress, now: Instant) {
        if self.mode != ReadOnly::Auto {
            return;
        }
        let turned = *self.turned.get_or_insert(now);
        if now.saturating_duration_since(turned) >= CONTACT {
            self.asked.swap(0, 1);
            let [current, _] = &mut self.asked;
            current.clear();
            self.turned = Some(now);
        }
        let [current, _] = &mut self.asked;
        if current.len() < CONTACTS_MAX {
            current.insert(address);
        }
    }

    /// Somebody answered: the network works.
    pub(super) fn answered(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    /// Somebody asked us.
    pub(super) fn queried(&mut self, by: PeerAddress, now: Instant) {
        if self.mode == ReadOnly::Auto && !self.asked.iter().any(|set| set.contains(&by)) {
            self.read_only = false;
            self.since = Some(now);
        }
    }

    /// Whether to be read-only.
    pub(super) fn is_read_only(&mut self, now: Instant) -> bool {
        if let (ReadOnly::Auto, Some(since)) = (self.mode, self.since) {
            let limit = if self.read_only { RETRY } else { UNREACHED };
            if now.saturating_duration_since(since) >= limit {
                self.read_only = !self.read_only;
                self.since = Some(now);
            }
        }
        self.read_only
    }
}

/// Votes that are remembered.
const VOTES_MAX: usize = 32;

/// Votes that agree before we believe them.
const AGREE_MIN: usize = 6;

/// Where nodes that answered us say that we are; each network has one vote.
#[derive(Debug, Default)]
pub(super) struct Votes {
    votes: VecDeque<([u8; 8], IpAddr)>,
    elected: Option<IpAddr>,
}

impl Votes {
    /// `voter` says that we are at `ip`. Returns our address when it is
    /// another than before.
    pub(super) fn vote(&mut self, voter: IpAddr, ip: IpAddr) -> Option<IpAddr> {
        let voter = network(voter);
        self.votes.retain(|(other, _)| *other != voter);
        if self.votes.len() >= VOTES_MAX {
            self.votes.pop_front();
        }
        self.votes.push_back((voter, ip));
        let agree = self.votes.iter().filter(|(_, other)| *other == ip).count();
        if agree < AGREE_MIN || agree * 2 <= self.votes.len() || self.elected == Some(ip) {
            return None;
        }
        self.elected = Some(ip);
        Some(ip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, ManualClock};
    use crate::model::Timestamp;

    fn at(number: u8) -> PeerAddress {
        PeerAddress::from_compact([20, 0, number, 1, 0, 1])
    }

    #[test]
    fn read_only_when_nobody_comes_by_himself() {
        let clock = ManualClock::new(Timestamp(0));
        let mut reach = Reach::new(ReadOnly::Auto);
        clock.advance(UNREACHED);
        assert!(!reach.is_read_only(clock.now()), "offline says nothing");
        reach.asked(at(1), clock.now());
        reach.answered(clock.now());
        clock.advance(Duration::from_secs(60));
        reach.queried(at(1), clock.now());
        assert!(!reach.is_read_only(clock.now()));
        clock.advance(UNREACHED);
        assert!(reach.is_read_only(clock.now()), "he was asked before");
        reach.queried(at(2), clock.now());
        assert!(!reach.is_read_only(clock.now()));
        clock.advance(UNREACHED);
        assert!(reach.is_read_only(clock.now()));
        clock.advance(RETRY);
        assert!(!reach.is_read_only(clock.now()), "tries again");
        clock.advance(UNREACHED);
        assert!(reach.is_read_only(clock.now()));
    }

    #[test]
    fn fixed_modes() {
        let clock = ManualClock::new(Timestamp(0));
        for (mode, expected) in [(ReadOnly::Always, true), (ReadOnly::Never, false)] {
            let mut reach = Reach::new(mode);
            reach.answered(clock.now());
            clock.advance(UNREACHED * 3);
            reach.queried(at(2), clock.now());
            assert_eq!(reach.is_read_only(clock.now()), expected);
        }
    }

    #[test]
    fn contacts_are_bounded() {
        let clock = ManualClock::new(Timestamp(0));
        let mut reach = Reach::new(ReadOnly::Auto);
        for port in 1..=20_000 {
            reach.asked(at(1).with_port(port), clock.now());
        }
        assert!(reach.asked.iter().all(|set| set.len() <= CONTACTS_MAX));
    }

    #[test]
    fn a_majority_of_networks_elects() {
        let [right, wrong] = [[8, 8, 8, 8], [9, 9, 9, 9]].map(IpAddr::from);
        let mut votes = Votes::default();
        for number in 0..200 {
            let same_network = IpAddr::from([30, 0, 0, number]);
            assert_eq!(votes.vote(same_network, wrong), None);
        }
        for number in 0..5 {
            assert_eq!(votes.vote(at(number).ip(), right), None);
        }
        assert_eq!(votes.vote(at(9).ip(), right), Some(right));
        assert_eq!(votes.vote(at(10).ip(), right), None, "no news");
        for number in 20..26 {
            assert_eq!(votes.vote(at(number).ip(), wrong), None, "no majority");
        }
    }
}
