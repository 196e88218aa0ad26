//! Puts blocks of several peers together until their SHA-1 is the info hash.
//!
//! Peers that claim the same size work on the same copy, each at other
//! blocks. When such a copy turns out wrong, nobody knows whose block spoiled
//! it; from then on each of these peers has a copy of its own, so that the
//! first good copy tells who lied. A copy is never larger than the limit, and
//! only blocks that have come take memory.

mod copy;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::model::InfoHash;

use copy::{Block, Copy, block_len};

/// Requests that one peer may leave unanswered.
const PIPELINE_MAX: usize = 4;

/// Different sizes that are tried at one time.
const SIZES_MAX: usize = 4;

/// A peer as the caller numbers it; the same peer keeps its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerNumber(pub u32);

/// Why a peer cannot take part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinError {
    /// It sent a wrong block before.
    Excluded,
    /// The size that it claims is not positive.
    NoSize,
    /// The size that it claims is over the limit.
    TooLarge,
    /// As many other sizes as allowed are being tried.
    TooManySizes,
}

/// Why a block is of no use. Each of these excludes the peer, but for
/// [`BlockError::Unasked`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockError {
    /// The block was not asked from this peer.
    Unasked,
    /// Its `total_size` is another than the peer claimed before.
    WrongTotal,
    /// It is shorter or longer than its place in the info dictionary.
    WrongLength,
    /// The copy that it completed, all from this peer, is not the info
    /// dictionary that was wanted.
    WrongHash,
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Excluded => "the peer sent a wrong block before",
            Self::NoSize => "the peer claims no positive metadata size",
            Self::TooLarge => "the peer claims a metadata size over the limit",
            Self::TooManySizes => "too many other metadata sizes are being tried",
        })
    }
}

impl std::error::Error for JoinError {}

impl fmt::Display for BlockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unasked => "metadata block that was not asked for",
            Self::WrongTotal => "metadata block with another total size",
            Self::WrongLength => "metadata block of wrong length",
            Self::WrongHash => "metadata with another info hash",
        })
    }
}

impl std::error::Error for BlockError {}

/// What a good-looking block led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Blocks are missing.
    More,
    /// A copy of several peers was wrong; each of them goes on with its own.
    Spoiled,
    /// The info dictionary is there.
    Done,
}

/// Which copy a peer works on: all of one size together, or its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct CopyKey {
    size: usize,
    owner: Option<PeerNumber>,
}

/// A peer that takes part now.
#[derive(Debug)]
struct Member {
    size: usize,
    /// Asked and not yet answered.
    asked: BTreeSet<u32>,
    rejected: BTreeSet<u32>,
}

/// The info dictionary of one torrent while it is collected.
#[derive(Debug)]
pub struct MetadataAssembly {
    info_hash: InfoHash,
    size_max: usize,
    copies: BTreeMap<CopyKey, Copy>,
    /// Sizes of which every peer has its own copy.
    separate: BTreeSet<usize>,
    members: BTreeMap<PeerNumber, Member>,
    excluded: BTreeSet<PeerNumber>,
    metadata: Option<Vec<u8>>,
}

impl MetadataAssembly {
    /// An empty one, for info dictionaries of at most `size_max` bytes.
    pub const fn new(info_hash: InfoHash, size_max: usize) -> Self {
        Self {
            info_hash,
            size_max,
            copies: BTreeMap::new(),
            separate: BTreeSet::new(),
            members: BTreeMap::new(),
            excluded: BTreeSet::new(),
            metadata: None,
        }
    }

    /// What is wanted.
    pub const fn info_hash(&self) -> InfoHash {
        self.info_hash
    }

    /// A peer that claims this size takes part. A peer takes part once at a
    /// time.
    pub fn join(&mut self, peer: PeerNumber, claimed: i64) -> Result<(), JoinError> {
        if self.excluded.contains(&peer) {
            return Err(JoinError::Excluded);
        }
        let size = usize::try_from(claimed.max(0)).unwrap_or(usize::MAX);
        if size == 0 {
            return Err(JoinError::NoSize);
        }
        if size > self.size_max {
            return Err(JoinError::TooLarge);
        }
        self.make_room(size)?;
        let key = self.key(peer, size);
        self.copies.entry(key).or_insert_with(|| Copy::new(size));
        let member = Member {
            size,
            asked: BTreeSet::new(),
            rejected: BTreeSet::new(),
        };
        self.members.insert(peer, member);
        Ok(())
    }

    /// A further size takes the place of one that nobody works on.
    fn make_room(&mut self, size: usize) -> Result<(), JoinError> {
        let sizes: BTreeSet<usize> = self.copies.keys().map(|key| key.size).collect();
        if sizes.contains(&size) || sizes.len() < SIZES_MAX {
            return Ok(());
        }
        let busy = |size: usize| self.members.values().any(|member| member.size == size);
        let idle = sizes.into_iter().find(|&size| !busy(size));
        let idle = idle.ok_or(JoinError::TooManySizes)?;
        self.copies.retain(|key, _| key.size != idle);
        self.separate.remove(&idle);
        Ok(())
    }

    fn key(&self, peer: PeerNumber, size: usize) -> CopyKey {
        let owner = self.separate.contains(&size).then_some(peer);
        CopyKey { size, owner }
    }

    /// The block that `peer` is to be asked for next, which then counts as
    /// asked. `None` when it has enough to do, nothing to give, or all is
    /// there.
    pub fn next_request(&mut self, peer: PeerNumber) -> Option<u32> {
        if self.metadata.is_some() {
            return None;
        }
        let member = self.members.get(&peer)?;
        if member.asked.len() >= PIPELINE_MAX {
            return None;
        }
        let key = self.key(peer, member.size);
        let others = |index: u32| {
            let others = self.members.iter().filter(|(other, fellow)| {
                **other != peer
                    && self.key(**other, fellow.size) == key
                    && fellow.asked.contains(&index)
            });
            others.count()
        };
        let free = |index: &u32| !member.asked.contains(index) && !member.rejected.contains(index);
        let missing = self.copies.get(&key)?.missing().filter(free);
        let (count, index) = missing
            .map(|index| (others(index), index))
            .min_by_key(|&(count, index)| (count, index))?;
        // What others were asked for is asked again only by idle peers, so
        // that one that drips does not hold up the rest.
        if count > 0 && !member.asked.is_empty() {
            return None;
        }
        self.members.get_mut(&peer)?.asked.insert(index);
        Some(index)
    }

    /// Requests that `peer` has not answered.
    pub fn unanswered(&self, peer: PeerNumber) -> usize {
        self.members
            .get(&peer)
            .map_or(0, |member| member.asked.len())
    }

    /// Takes a block.
    pub fn block(
        &mut self,
        peer: PeerNumber,
        index: u32,
        total_size: Option<i64>,
        data: &[u8],
    ) -> Result<Progress, BlockError> {
        let member = self.members.get_mut(&peer).ok_or(BlockError::Unasked)?;
        if !member.asked.remove(&index) {
            return Err(BlockError::Unasked);
        }
        let size = member.size;
        if total_size.is_some_and(|total| usize::try_from(total) != Ok(size)) {
            self.exclude(peer);
            return Err(BlockError::WrongTotal);
        }
        if block_len(size, index) != Some(data.len()) {
            self.exclude(peer);
            return Err(BlockError::WrongLength);
        }
        if self.metadata.is_some() {
            return Ok(Progress::Done);
        }
        let key = self.key(peer, size);
        let copy = self.copies.entry(key).or_insert_with(|| Copy::new(size));
        let data = data.to_vec();
        copy.put(index, Block { from: peer, data });
        if copy.missing > 0 {
            return Ok(Progress::More);
        }
        self.check(key)
    }

    /// A whole copy is there.
    fn check(&mut self, key: CopyKey) -> Result<Progress, BlockError> {
        let Some(copy) = self.copies.remove(&key) else {
            return Ok(Progress::More);
        };
        let bytes = copy.bytes();
        if InfoHash::of(&bytes) == self.info_hash {
            self.done(key.size, bytes);
            return Ok(Progress::Done);
        }
        let contributors = copy.contributors();
        if let Some(&only) = contributors.first()
            && contributors.len() == 1
        {
            self.exclude(only);
            self.renew_copies(key.size);
            return Err(BlockError::WrongHash);
        }
        self.separate.insert(key.size);
        for (index, block) in (0_u32..).zip(copy.blocks) {
            if let Some(block) = block {
                let own = self.key(block.from, key.size);
                let copy = self.copies.entry(own);
                copy.or_insert_with(|| Copy::new(key.size))
                    .put(index, block);
            }
        }
        self.renew_copies(key.size);
        Ok(Progress::Spoiled)
    }

    /// Every member of this size has a copy to work on.
    fn renew_copies(&mut self, size: usize) {
        let members = self
            .members
            .iter()
            .filter(|(_, member)| member.size == size);
        let keys: Vec<CopyKey> = members.map(|(&peer, _)| self.key(peer, size)).collect();
        for key in keys {
            self.copies.entry(key).or_insert_with(|| Copy::new(size));
        }
    }

    fn done(&mut self, size: usize, bytes: Vec<u8>) {
        let copies = self.copies.iter().filter(|(key, _)| key.size == size);
        let liars: Vec<PeerNumber> = copies.flat_map(|(_, copy)| copy.liars(&bytes)).collect();
        self.excluded.extend(liars);
        self.copies.clear();
        self.metadata = Some(bytes);
    }

    fn exclude(&mut self, peer: PeerNumber) {
        self.excluded.insert(peer);
        self.members.remove(&peer);
        self.copies.retain(|key, _| key.owner != Some(peer));
    }

    /// The peer does not give this block.
    pub fn reject(&mut self, peer: PeerNumber, index: u32) {
        if let Some(member) = self.members.get_mut(&peer)
            && member.asked.remove(&index)
        {
            member.rejected.insert(index);
        }
    }

    /// The peer is gone; what it was asked for can be asked from others. The
    /// blocks that it sent stay.
    pub fn leave(&mut self, peer: PeerNumber) {
        self.members.remove(&peer);
    }

    /// Whether `peer` sent a wrong block and is not to be asked again.
    pub fn is_excluded(&self, peer: PeerNumber) -> bool {
        self.excluded.contains(&peer)
    }

    /// The info dictionary, once it is there: its SHA-1 is the info hash.
    pub fn metadata(&self) -> Option<&[u8]> {
        self.metadata.as_deref()
    }
}

#[cfg(test)]
mod tests;
