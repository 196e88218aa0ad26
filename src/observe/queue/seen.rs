//! A filter of torrents that were resolved: two Bloom filters in turn, so
//! that the oldest are forgotten and memory stays the same.
//!
//! Pure. A torrent may seem seen that was not, one in a hundred at most; one
//! that was seen is known until its filter goes.

use crate::model::InfoHash;

/// Bits of one filter: 1 MiB.
const BITS: u64 = 1 << 23;

/// Bits for each torrent.
const PROBES: u64 = 7;

/// Torrents in one filter; so full, it is wrong once in about 120 times.
const FULL_AT: u32 = 838_860;

/// The filter.
pub struct Seen {
    salt: [u8; 20],
    now: Box<[u8]>,
    before: Box<[u8]>,
    count: u32,
}

impl Seen {
    /// Nothing was seen. Without `salt` nobody can make torrents that fall
    /// together.
    pub fn new(salt: [u8; 20]) -> Self {
        Self {
            salt,
            now: empty(),
            before: empty(),
            count: 0,
        }
    }

    /// Whether it was seen, most likely.
    pub fn contains(&self, hash: &InfoHash) -> bool {
        let has = |filter: &[u8]| {
            self.places(hash).all(|(byte, bit)| {
                let byte = filter.get(byte).copied().unwrap_or(0);
                byte & bit != 0
            })
        };
        has(&self.now) || has(&self.before)
    }

    /// Remembers it.
    pub fn insert(&mut self, hash: &InfoHash) {
        if self.contains(hash) {
            return;
        }
        if self.count >= FULL_AT {
            self.before = std::mem::replace(&mut self.now, empty());
            self.count = 0;
        }
        self.count += 1;
        let places: Vec<(usize, u8)> = self.places(hash).collect();
        for (byte, bit) in places {
            if let Some(byte) = self.now.get_mut(byte) {
                *byte |= bit;
            }
        }
    }

    /// Byte and bit of each probe.
    fn places(&self, hash: &InfoHash) -> impl Iterator<Item = (usize, u8)> + use<> {
        let mut sha = sha1_smol::Sha1::from(self.salt);
        sha.update(hash.as_bytes());
        let digest = sha.digest().bytes();
        let number = |from: usize| {
            let bytes = digest.iter().skip(from).take(8);
            bytes.fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
        };
        let (first, step) = (number(0), number(8) | 1);
        (0..PROBES).map(move |probe| {
            let place = first.wrapping_add(probe.wrapping_mul(step)) % BITS;
            let byte = usize::try_from(place / 8).unwrap_or(0);
            (byte, 1 << (place % 8))
        })
    }
}

impl std::fmt::Debug for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Seen({})", self.count)
    }
}

fn empty() -> Box<[u8]> {
    let bytes = usize::try_from(BITS / 8).unwrap_or(0);
    vec![0; bytes].into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(number: u32) -> InfoHash {
        InfoHash::of(&number.to_be_bytes())
    }

    #[test]
    fn what_was_seen_is_known() {
        let mut seen = Seen::new([1; 20]);
        (0..20_000).for_each(|number| seen.insert(&hash(number)));
        assert!((0..20_000).all(|number| seen.contains(&hash(number))));
        let wrong = (20_000..40_000).filter(|number| seen.contains(&hash(*number)));
        assert_eq!(wrong.count(), 0, "nearly empty");
        assert_eq!(seen.count, 20_000);
        seen.insert(&hash(5));
        assert_eq!(seen.count, 20_000, "once");
    }

    #[test]
    fn the_oldest_are_forgotten_in_turn() {
        let mut seen = Seen::new([1; 20]);
        seen.insert(&hash(1));
        seen.count = FULL_AT;
        seen.insert(&hash(2));
        assert!(seen.contains(&hash(1)) && seen.contains(&hash(2)));
        seen.count = FULL_AT;
        seen.insert(&hash(3));
        assert!(!seen.contains(&hash(1)));
        assert!(seen.contains(&hash(2)) && seen.contains(&hash(3)));
    }
}
