//! What is known of an address at the end: five classes, from a mere mention
//! to a download that was seen. Pure.

/// How much an address has shown for a torrent, least first. It never falls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Evidence {
    /// Somebody named it; nobody ever took a connection there.
    #[default]
    Listed,
    /// A connection was opened there (TCP, or uTP acknowledged); no handshake
    /// for the torrent.
    Answered,
    /// It did the handshake for the torrent (BEP 3), but told no progress.
    Handshake,
    /// It told which pieces it has, at least once.
    Progress,
    /// It was seen below the threshold and then at it or above.
    Crossing,
}

impl Evidence {
    /// How many classes there are.
    pub const COUNT: usize = 5;

    /// All, least first.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Listed,
        Self::Answered,
        Self::Handshake,
        Self::Progress,
        Self::Crossing,
    ];

    /// Its place in [`Evidence::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The word in table `evidence`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Listed => "listed",
            Self::Answered => "answered",
            Self::Handshake => "handshake",
            Self::Progress => "progress seen",
            Self::Crossing => "crossing seen",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_that_of_the_list() {
        assert!(Evidence::ALL.is_sorted());
        for (index, class) in Evidence::ALL.into_iter().enumerate() {
            assert_eq!(class.index(), index);
        }
        assert_eq!(Evidence::default(), Evidence::Listed);
    }
}
