//! Clients by the beginning of their peer ids.

use std::fmt;

/// A program as its peer id names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Client {
    /// `-UT3440-`: two characters of the Azureus style.
    Azureus([u8; 2]),
    /// `M7-9-2--`: one letter and a version with hyphens.
    Mainline(u8),
    /// Anything else.
    Other,
    /// The database has none.
    Unknown,
}

/// Names of the commoner codes.
const NAMES: &[(&str, &str)] = &[
    ("A2", "aria2"),
    ("AG", "Ares"),
    ("AZ", "Vuze (Azureus)"),
    ("BC", "BitComet"),
    ("BI", "BiglyBT"),
    ("BT", "BitTorrent"),
    ("DE", "Deluge"),
    ("FD", "Free Download Manager"),
    ("FW", "FrostWire"),
    ("KT", "KTorrent"),
    ("LT", "libtorrent (Rasterbar)"),
    ("MG", "MediaGet"),
    ("SD", "Xunlei (Thunder)"),
    ("TB", "Torch"),
    ("TR", "Transmission"),
    ("UM", "µTorrent for Mac"),
    ("UT", "µTorrent"),
    ("UW", "µTorrent Web"),
    ("WW", "WebTorrent"),
    ("XL", "Xunlei"),
    ("ZO", "Zona"),
    ("lt", "libTorrent (rTorrent)"),
    ("qB", "qBittorrent"),
    ("tT", "tTorrent"),
];

impl Client {
    /// From the first characters of a peer id.
    pub fn of(client: Option<&str>) -> Self {
        let Some(client) = client.filter(|it| !it.is_empty()) else {
            return Self::Unknown;
        };
        match client.as_bytes() {
            [b'-', a, b, digit, ..]
                if a.is_ascii_alphanumeric()
                    && b.is_ascii_alphanumeric()
                    && digit.is_ascii_alphanumeric() =>
            {
                Self::Azureus([*a, *b])
            }
            [letter, digit, b'-', ..] if letter.is_ascii_uppercase() && digit.is_ascii_digit() => {
                Self::Mainline(*letter)
            }
            _ => Self::Other,
        }
    }

    /// Its code as in peer ids.
    pub fn code(self) -> String {
        match self {
            Self::Azureus([a, b]) => format!("-{}{}", char::from(a), char::from(b)),
            Self::Mainline(letter) => char::from(letter).to_string(),
            Self::Other => "other".to_owned(),
            Self::Unknown => "unknown".to_owned(),
        }
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Azureus(code) => NAMES
                .iter()
                .find(|(known, _)| known.as_bytes() == code)
                .map(|(_, name)| *name),
            Self::Mainline(b'M') => Some("BitTorrent (Mainline)"),
            Self::Other => Some("other"),
            Self::Unknown => Some("unknown"),
            Self::Mainline(_) => None,
        };
        match name {
            Some(name) => f.write_str(name),
            None => f.write_str(&self.code()),
        }
    }
}

/// Peers of a client.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClientPeers {
    /// All.
    pub peers: u64,
    /// At or above the run's threshold at the first or latest visit.
    pub complete: u64,
    /// With every piece at the first or latest visit.
    pub whole: u64,
    /// Never complete, but at 90 % of the pieces or above.
    pub nearly: u64,
    /// Whose count of pieces once went down (`max_speed` below 0).
    pub fallen: u64,
}

impl ClientPeers {
    /// Complete peers from which on a client is judged.
    const ENOUGH: u64 = 30;

    /// Whether the client carries the signature of the fault of 2015: of its
    /// complete peers fewer than 5 % had every piece, since the pieces that
    /// it announces by have messages were counted wrongly.
    pub const fn is_suspect(&self) -> bool {
        self.complete >= Self::ENOUGH && self.whole * 20 < self.complete
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn styles_of_peer_ids() {
        for (id, code, name) in [
            (Some("-UT3440-"), "-UT", "µTorrent"),
            (Some("-qB3230-"), "-qB", "qBittorrent"),
            (Some("M7-9-2--"), "M", "BitTorrent (Mainline)"),
            (Some("-XQ0001-"), "-XQ", "-XQ"),
            (Some("TIX0288-"), "other", "other"),
            (Some("-"), "other", "other"),
            (Some(""), "unknown", "unknown"),
            (None, "unknown", "unknown"),
            (Some("-éé1"), "other", "other"),
        ] {
            let client = Client::of(id);
            assert_eq!((client.code().as_str(), &*client.to_string()), (code, name));
        }
    }

    #[test]
    fn the_signature_needs_a_sample() {
        let peers = |complete, whole| ClientPeers {
            complete,
            whole,
            ..ClientPeers::default()
        };
        assert!(peers(30, 1).is_suspect());
        assert!(!peers(29, 0).is_suspect());
        assert!(!peers(100, 5).is_suspect());
    }
}
