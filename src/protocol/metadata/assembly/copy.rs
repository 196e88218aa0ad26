//! One copy of an info dictionary, block by block, with who sent what.

use std::collections::BTreeSet;

use super::PeerNumber;
use crate::protocol::metadata::BLOCK_LEN;

#[derive(Debug)]
pub(super) struct Copy {
    pub(super) blocks: Vec<Option<Block>>,
    pub(super) missing: usize,
}

#[derive(Debug)]
pub(super) struct Block {
    pub(super) from: PeerNumber,
    pub(super) data: Vec<u8>,
}

impl Copy {
    pub(super) fn new(size: usize) -> Self {
        let count = size.div_ceil(BLOCK_LEN);
        Self {
            blocks: std::iter::repeat_with(|| None).take(count).collect(),
            missing: count,
        }
    }

    pub(super) fn put(&mut self, index: u32, block: Block) {
        let slot = usize::try_from(index).ok();
        let slot = slot.and_then(|index| self.blocks.get_mut(index));
        if let Some(slot @ None) = slot {
            *slot = Some(block);
            self.missing = self.missing.saturating_sub(1);
        }
    }

    pub(super) fn missing(&self) -> impl Iterator<Item = u32> {
        let blocks = (0_u32..).zip(&self.blocks);
        blocks.filter_map(|(index, block)| block.is_none().then_some(index))
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let blocks = self.blocks.iter().flatten();
        blocks.flat_map(|block| &block.data).copied().collect()
    }

    pub(super) fn contributors(&self) -> BTreeSet<PeerNumber> {
        self.blocks
            .iter()
            .flatten()
            .map(|block| block.from)
            .collect()
    }

    /// Senders of blocks that differ from `truth`.
    pub(super) fn liars(&self, truth: &[u8]) -> impl Iterator<Item = PeerNumber> {
        let blocks = self.blocks.iter().zip(truth.chunks(BLOCK_LEN));
        blocks.filter_map(|(block, right)| {
            let block = block.as_ref()?;
            (block.data != right).then_some(block.from)
        })
    }
}

/// Bytes of block `index` of `size` bytes; `None` behind the end.
pub(super) fn block_len(size: usize, index: u32) -> Option<usize> {
    let start = usize::try_from(index).ok()?.checked_mul(BLOCK_LEN)?;
    let left = size.checked_sub(start).filter(|&left| left > 0)?;
    Some(left.min(BLOCK_LEN))
}
