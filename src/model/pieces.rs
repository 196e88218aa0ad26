//! Piece numbers, counts and sets.

use std::fmt;

/// A number of pieces, 0 to the torrent's piece count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PieceCount(pub u32);

impl fmt::Display for PieceCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The index of a piece as a peer sent it; not yet known to be in range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PieceIndex(pub u32);

/// Why a bitfield was refused (BEP 3: exact length, spare bits zero).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WrongBitfield {
    /// The payload is not `ceil(pieces / 8)` bytes long.
    Length {
        /// Bytes wanted.
        expected: usize,
        /// Bytes received.
        received: usize,
    },
    /// A bit behind the last piece is set.
    SpareBits,
}

/// The distinct pieces that a peer announced for one torrent.
///
/// Bits are kept as they travel: piece 0 is the high bit of the first byte.
///
/// ```
/// use btda::model::{PieceCount, PieceIndex, PieceSet};
/// let mut set = PieceSet::new(PieceCount(10));
/// assert!(set.insert(PieceIndex(9)));
/// assert!(set.insert(PieceIndex(9)), "a repeated have is fine");
/// assert!(!set.insert(PieceIndex(10)), "out of range");
/// assert_eq!(set.count(), PieceCount(1));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PieceSet {
    bits: Vec<u8>,
    pieces: PieceCount,
    count: u32,
}

impl PieceSet {
    /// The empty set for a torrent of `pieces` pieces.
    pub fn new(pieces: PieceCount) -> Self {
        Self {
            bits: Vec::new(),
            pieces,
            count: 0,
        }
    }

    /// Bytes of a bitfield for `pieces` pieces.
    pub const fn bitfield_len(pieces: PieceCount) -> usize {
        pieces.0.div_ceil(8) as usize
    }

    /// Replaces the set by a bitfield; on error the set stays as it was.
    pub fn replace(&mut self, bitfield: &[u8]) -> Result<(), WrongBitfield> {
        let expected = Self::bitfield_len(self.pieces);
        if bitfield.len() != expected {
            return Err(WrongBitfield::Length {
                expected,
                received: bitfield.len(),
            });
        }
        if let Some(last) = bitfield.last()
            && last & self.spare_mask() != 0
        {
            return Err(WrongBitfield::SpareBits);
        }
        self.bits.clear();
        self.bits.extend_from_slice(bitfield);
        self.recount();
        Ok(())
    }

    /// Adds one piece, whether it was there or not; `false` when the index is
    /// not below the piece count (the set stays as it was).
    #[must_use]
    pub fn insert(&mut self, index: PieceIndex) -> bool {
        if index.0 >= self.pieces.0 {
            return false;
        }
        if self.bits.is_empty() {
            self.bits.resize(Self::bitfield_len(self.pieces), 0);
        }
        let mask = 0x80_u8 >> (index.0 % 8);
        if let Some(byte) = self.bits.get_mut((index.0 / 8) as usize)
            && *byte & mask == 0
        {
            *byte |= mask;
            self.count += 1;
        }
        true
    }

    /// Takes one piece out, whether it was there or not (`lt_donthave`, BEP
    /// 54); `false` when the index is not below the piece count (the set stays
    /// as it was).
    #[must_use]
    pub fn remove(&mut self, index: PieceIndex) -> bool {
        if index.0 >= self.pieces.0 {
            return false;
        }
        let mask = 0x80_u8 >> (index.0 % 8);
        if let Some(byte) = self.bits.get_mut((index.0 / 8) as usize)
            && *byte & mask != 0
        {
            *byte &= !mask;
            self.count -= 1;
        }
        true
    }

    /// The peer has every piece (`have all`, BEP 6).
    pub fn fill(&mut self) {
        self.bits.clear();
        self.bits.resize(Self::bitfield_len(self.pieces), 0xff);
        let spare = self.spare_mask();
        if let Some(last) = self.bits.last_mut() {
            *last &= !spare;
        }
        self.count = self.pieces.0;
    }

    /// The peer has no piece (`have none`, BEP 6).
    pub fn clear(&mut self) {
        self.bits.clear();
        self.count = 0;
    }

    /// How many distinct pieces are in the set.
    pub const fn count(&self) -> PieceCount {
        PieceCount(self.count)
    }

    /// Whether every piece of the torrent is in the set.
    pub const fn is_complete(&self) -> bool {
        self.count == self.pieces.0
    }

    /// Bits behind the last piece in the last byte.
    const fn spare_mask(&self) -> u8 {
        match self.pieces.0 % 8 {
            0 => 0,
            used => 0xff >> used,
        }
    }

    fn recount(&mut self) {
        let (words, rest) = self.bits.as_chunks::<8>();
        let ones: u32 = words
            .iter()
            .map(|word| u64::from_ne_bytes(*word).count_ones())
            .sum();
        self.count = ones + rest.iter().map(|byte| byte.count_ones()).sum::<u32>();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn refuses_wrong_length_and_spare_bits() {
        let mut set = PieceSet::new(PieceCount(9));
        assert_eq!(
            set.replace(&[0xff]),
            Err(WrongBitfield::Length {
                expected: 2,
                received: 1
            })
        );
        assert_eq!(set.replace(&[0xff, 0x40]), Err(WrongBitfield::SpareBits));
        assert_eq!(set.count(), PieceCount(0));
        assert_eq!(set.replace(&[0xff, 0x80]), Ok(()));
        assert!(set.is_complete());
    }

    proptest! {
        #[test]
        fn count_is_the_number_of_distinct_pieces(pieces in 1_u32..2_000, haves in prop::collection::vec(0_u32..2_100, 0..300)) {
            let mut set = PieceSet::new(PieceCount(pieces));
            let mut truth = std::collections::BTreeSet::new();
            for have in haves {
                prop_assert_eq!(set.insert(PieceIndex(have)), have < pieces);
                if have < pieces { truth.insert(have); }
            }
            prop_assert_eq!(set.count().0 as usize, truth.len());
            let mut copy = PieceSet::new(PieceCount(pieces));
            if !set.bits.is_empty() {
                copy.replace(&set.bits).unwrap();
                prop_assert_eq!(copy.count(), set.count());
            }
            set.fill();
            prop_assert!(set.is_complete());
            copy.replace(&set.bits).unwrap();
            prop_assert!(copy.is_complete());
        }
    }
}
