//! Callers whose connection has ended lately: a late copy of their first
//! packet must not open it again, which would be a caller that never was.
//!
//! A new call with an old connection id is none: the 65,536 ids of an address
//! come again, and calls differ by the number that they begin with.

use std::collections::{HashSet, VecDeque};
use std::hash::Hash;
use std::time::{Duration, Instant};

/// Longest life of a packet on its way.
const LIFE: Duration = Duration::from_secs(60);

/// Remembered at most; of more, the oldest are forgotten.
const MOST: usize = 16_384;

/// Keys of the last minute.
#[derive(Debug)]
pub(super) struct Recent<K> {
    keys: HashSet<K>,
    ended: VecDeque<(Instant, K)>,
}

impl<K> Default for Recent<K> {
    fn default() -> Self {
        Self {
            keys: HashSet::new(),
            ended: VecDeque::new(),
        }
    }
}

impl<K: Copy + Eq + Hash> Recent<K> {
    /// Remembers a key.
    pub(super) fn insert(&mut self, key: K, now: Instant) {
        self.forget(now);
        if self.keys.insert(key) {
            self.ended.push_back((now, key));
        }
    }

    /// Whether the key was remembered within the last minute.
    pub(super) fn contains(&mut self, key: &K, now: Instant) -> bool {
        self.forget(now);
        self.keys.contains(key)
    }

    fn forget(&mut self, now: Instant) {
        while let Some((ended, key)) = self.ended.front().copied() {
            let old = now.saturating_duration_since(ended) >= LIFE;
            if !old && self.ended.len() < MOST {
                return;
            }
            self.ended.pop_front();
            self.keys.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgets_after_a_minute_and_when_there_are_too_many() {
        let now = Instant::now();
        let mut recent = Recent::default();
        recent.insert(1, now);
        assert!(recent.contains(&1, now + LIFE / 2));
        assert!(!recent.contains(&1, now + LIFE));
        for key in 0..=MOST {
            recent.insert(key, now);
        }
        assert!(!recent.contains(&0, now) && recent.contains(&MOST, now));
        assert!(recent.keys.len() <= MOST);
    }
}
