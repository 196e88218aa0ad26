//! Random numbers of one node thread.
//!
//! Seeded once by the system and stretched by SHA-1 in counter mode: nobody
//! outside can foresee token secrets and transaction ids, tests with a seed
//! of their own can, and no packet costs a system call for it.

use super::id::NodeId;

/// The system gave no random numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoRandom;

/// A stream of random bytes.
pub struct Random {
    seed: [u8; 32],
    counter: u64,
    block: [u8; 20],
    used: usize,
}

impl Random {
    /// Seeded by the system.
    pub fn from_system() -> Result<Self, NoRandom> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|_| NoRandom)?;
        Ok(Self::from_seed(seed))
    }

    /// The same bytes for the same seed.
    pub const fn from_seed(seed: [u8; 32]) -> Self {
        Self {
            seed,
            counter: 0,
            block: [0; 20],
            used: 20,
        }
    }

    /// `N` bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        for byte in &mut bytes {
            *byte = self.byte();
        }
        bytes
    }

    /// A number below `limit`; 0 when that is 0. Slightly uneven, which is
    /// of no consequence for choosing among a few thousand things.
    pub fn below(&mut self, limit: usize) -> usize {
        let number = u64::from_be_bytes(self.bytes());
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        number
            .checked_rem(limit)
            .and_then(|rest| usize::try_from(rest).ok())
            .unwrap_or(0)
    }

    /// Any id.
    pub fn id(&mut self) -> NodeId {
        NodeId::new(self.bytes())
    }

    fn byte(&mut self) -> u8 {
        if self.used >= self.block.len() {
            let mut sha = sha1_smol::Sha1::from(self.seed);
            sha.update(&self.counter.to_be_bytes());
            self.block = sha.digest().bytes();
            self.counter = self.counter.wrapping_add(1);
            self.used = 0;
        }
        let byte = self.block.get(self.used).copied().unwrap_or_default();
        self.used += 1;
        byte
    }
}

impl std::fmt::Debug for Random {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Random(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_with_its_seed_only() {
        let take = |seed| Random::from_seed([seed; 32]).bytes::<50>();
        assert_eq!(take(1), take(1));
        assert_ne!(take(1), take(2));
        let mut random = Random::from_system().unwrap();
        assert_ne!(random.id(), random.id());
        assert_eq!(random.below(0), 0);
        let mut seen = [false; 7];
        for _ in 0..1000 {
            seen[random.below(7)] = true;
        }
        assert_eq!(seen, [true; 7]);
    }
}
