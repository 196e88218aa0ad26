//! Repeatable chance: the same seed gives the same story on every machine.
//!
//! `SplitMix64`; good enough to spread a plan, of no use for secrets.

/// A stream of numbers that looks random and depends only on its seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chance(u64);

impl Chance {
    /// The stream of `seed`.
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A stream of its own for the part `part` of the story, so that adding
    /// to one part leaves the others as they were.
    #[must_use]
    pub(super) fn fork(&self, part: u64) -> Self {
        let mut fork = Self(self.0 ^ part.wrapping_mul(0xd6e8_feb8_6659_fd93));
        fork.number();
        fork
    }

    /// Any number.
    pub(super) const fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to below `limit`; 0 when `limit` is 0.
    pub(super) const fn below(&mut self, limit: u64) -> u64 {
        // The high half of the product spreads evenly enough for any limit
        // that a plan uses.
        ((self.number() as u128 * limit as u128) >> 64) as u64
    }

    /// A number from `low` to `high`, both included; `low` when they are the
    /// wrong way round.
    pub(super) const fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low).saturating_add(1))
    }

    /// An index below `length` (0 for an empty list).
    pub(super) fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap_or(0)
    }

    /// True in `share` of 100 cases.
    pub(super) const fn percent(&mut self, share: u64) -> bool {
        self.below(100) < share
    }

    /// Puts `list` into a new order.
    pub(super) fn shuffle<T>(&mut self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            let other = self.index(last + 1);
            list.swap(last, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_vector() {
        // First outputs of SplitMix64 for seed 1234567.
        let mut chance = Chance::new(1_234_567);
        let first: Vec<u64> = (0..3).map(|_| chance.number()).collect();
        assert_eq!(
            first,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
    }

    #[test]
    fn stays_in_range_and_shuffles() {
        let mut chance = Chance::new(5);
        for _ in 0..1000 {
            assert!((3..=7).contains(&chance.between(3, 7)));
        }
        assert_eq!(chance.below(0), 0);
        let mut list: Vec<u32> = (0..50).collect();
        chance.shuffle(&mut list);
        assert_ne!(list, (0..50).collect::<Vec<_>>());
        list.sort_unstable();
        assert_eq!(list, (0..50).collect::<Vec<_>>());
    }
}
