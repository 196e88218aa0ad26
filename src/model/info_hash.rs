//! The info hash: SHA-1 of the bencoded info dictionary (BEP 3).

use std::fmt;
use std::str::FromStr;

/// SHA-1 of the info dictionary as found in the file, 20 raw bytes.
///
/// Displayed as 40 lower-case hexadecimal digits; read back in either case.
///
/// ```
/// use btda::model::InfoHash;
/// let hash: InfoHash = "0123456789ABCDEF0123456789abcdef01234567".parse()?;
/// assert_eq!(hash.to_string(), "0123456789abcdef0123456789abcdef01234567");
/// # Ok::<(), btda::model::InvalidInfoHash>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InfoHash([u8; 20]);

impl InfoHash {
    /// Wraps the 20 bytes of a digest.
    pub const fn new(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// The digest of `info`, the bytes of an info dictionary exactly as they
    /// stand in the file.
    pub fn of(info: &[u8]) -> Self {
        Self(sha1_smol::Sha1::from(info).digest().bytes())
    }

    /// The 20 raw bytes, as handshakes and trackers want them.
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }
}

impl fmt::Display for InfoHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for InfoHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InfoHash({self})")
    }
}

/// The text is not 40 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidInfoHash;

impl fmt::Display for InvalidInfoHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an info hash has 40 hexadecimal digits")
    }
}

impl std::error::Error for InvalidInfoHash {}

impl FromStr for InfoHash {
    type Err = InvalidInfoHash;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits: Vec<u8> = text
            .chars()
            .map(|digit| {
                digit
                    .to_digit(16)
                    .and_then(|value| u8::try_from(value).ok())
            })
            .collect::<Option<_>>()
            .ok_or(InvalidInfoHash)?;
        let (pairs, []) = digits.as_chunks::<2>() else {
            return Err(InvalidInfoHash);
        };
        let bytes: Vec<u8> = pairs.iter().map(|[high, low]| high << 4 | low).collect();
        bytes.try_into().map(Self).map_err(|_| InvalidInfoHash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_cases_and_refuses_everything_else() {
        let lower = "00ff10a0b0c0d0e0f0112233445566778899aabb";
        let hash: InfoHash = lower.to_uppercase().parse().unwrap();
        assert_eq!(hash.to_string(), lower);
        for wrong in [
            "",
            "00",
            &lower[1..],
            &format!("{lower}0"),
            &lower.replace('a', "g"),
        ] {
            assert_eq!(wrong.parse::<InfoHash>(), Err(InvalidInfoHash), "{wrong}");
        }
    }
}
