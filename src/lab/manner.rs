//! How a peer of the lab deals with requests for the metadata (BEP 9).
//!
//! The plan gives each peer one manner; `peer::metadata` acts it out for
//! torrents that are given by a magnet link only; the truth file names it.

/// One way to (not) give metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MetadataManner {
    /// Gives every block.
    Gives,
    /// Gives every other block and rejects the rest.
    GivesHalf,
    /// Rejects every request.
    Rejects,
    /// Gives every block with one byte changed.
    WrongBlock,
    /// Says that the metadata are 2 GiB long, and gives blocks of zeros.
    EndlessSize,
    /// Offers the metadata and answers no request.
    Silent,
    /// Does not know `ut_metadata`.
    Without,
}

impl MetadataManner {
    /// Every manner, in the order of their declaration.
    pub const ALL: [Self; 7] = [
        Self::Gives,
        Self::GivesHalf,
        Self::Rejects,
        Self::WrongBlock,
        Self::EndlessSize,
        Self::Silent,
        Self::Without,
    ];

    /// The word in options and in the truth file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gives => "gives",
            Self::GivesHalf => "gives-half",
            Self::Rejects => "rejects",
            Self::WrongBlock => "wrong-block",
            Self::EndlessSize => "endless-size",
            Self::Silent => "silent",
            Self::Without => "without",
        }
    }

    /// The manner of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == name)
    }

    /// Weights with every fault in it: half of the peers give all.
    pub fn usual_shares() -> Vec<(Self, u32)> {
        let weight = |manner| match manner {
            Self::Gives => 6,
            _ => 1,
        };
        Self::ALL.into_iter().map(|it| (it, weight(it))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_and_come_back() {
        for (index, manner) in MetadataManner::ALL.into_iter().enumerate() {
            assert_eq!(manner as usize, index);
            assert_eq!(MetadataManner::named(manner.as_str()), Some(manner));
        }
        assert_eq!(MetadataManner::named("nothing"), None);
    }
}
