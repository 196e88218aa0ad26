//! Which torrents are announced to the neighbours, and when. Pure.
//!
//! BEP 14: each torrent every five minutes, one announce a minute at most;
//! with more than five torrents several in one announce.

use std::time::{Duration, Instant};

use crate::model::InfoHash;
use crate::protocol::lsd::TORRENTS_MAX;

/// Time between two announces of one torrent.
const INTERVAL: Duration = Duration::from_secs(300);

/// Shortest time between two announces.
const PAUSE: Duration = Duration::from_secs(60);

/// Announces in [`INTERVAL`] at most.
const ANNOUNCES: usize = 5;

/// Whose turn it is.
#[derive(Debug, Clone)]
pub(super) struct Turns {
    due: Instant,
    /// Place of the torrent that is told next.
    next: usize,
}

impl Turns {
    /// The first announce is due at `now`.
    pub(super) const fn new(now: Instant) -> Self {
        Self { due: now, next: 0 }
    }

    /// Whether the next announce may be sent.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.due <= now
    }

    /// The torrents of the announce that is due at `now`, out of `all`; none
    /// when there are none.
    pub(super) fn take(&mut self, all: &[InfoHash], now: Instant) -> Vec<InfoHash> {
        let together = all.len().div_ceil(ANNOUNCES).clamp(1, TORRENTS_MAX);
        let announces = all.len().div_ceil(together).max(1);
        let share = u32::try_from(announces).map_or(PAUSE, |announces| INTERVAL / announces);
        self.due = now + share.max(PAUSE);
        let from = if self.next < all.len() { self.next } else { 0 };
        let told: Vec<InfoHash> = all.iter().skip(from).take(together).copied().collect();
        self.next = from + told.len();
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hashes(count: u8) -> Vec<InfoHash> {
        (0..count).map(|n| InfoHash::new([n; 20])).collect()
    }

    /// Announces of `count` torrents in an hour: of each torrent, and in all.
    fn hour(count: u8) -> (Vec<usize>, usize) {
        let (start, all) = (Instant::now(), hashes(count));
        let mut turns = Turns::new(start);
        let mut told = vec![0; all.len()];
        let mut announces = 0;
        for second in 0..3600 {
            let now = start + Duration::from_secs(second);
            if !turns.is_due(now) {
                continue;
            }
            let group = turns.take(&all, now);
            assert!(group.len() <= TORRENTS_MAX);
            announces += usize::from(!group.is_empty());
            for hash in group {
                told[usize::from(hash.as_bytes()[0])] += 1;
            }
        }
        (told, announces)
    }

    #[test]
    fn each_torrent_every_five_minutes_and_no_more_than_one_a_minute() {
        for count in [0, 1, 2, 3, 5, 6, 26, 120] {
            let (told, announces) = hour(count);
            assert!(announces <= 60, "{count}: {announces}");
            assert!(
                told.iter().all(|times| (11..=13).contains(times)),
                "{count}: {told:?}"
            );
        }
    }

    #[test]
    fn very_many_take_longer_and_none_is_left_out() {
        let (told, announces) = hour(250);
        assert_eq!(announces, 60);
        assert!(told.iter().all(|times| (5..=6).contains(times)), "{told:?}");
    }
}
