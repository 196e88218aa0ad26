//! Names for addresses and node ids that do not give them away.

use std::fmt;
use std::hint::black_box;
use std::net::IpAddr;
use std::str::FromStr;

/// Key of one run's pseudonyms; it is never stored, so that pseudonyms cannot
/// be turned back after the run, nor joined across runs. Dropped, it is
/// overwritten in memory.
#[derive(Clone)]
pub struct PseudonymKey([u8; 20]);

/// First 64 bits of HMAC-SHA-1 (RFC 2104) of an address under the run's key.
///
/// Equal within a run for equal addresses; displayed as 16 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pseudonym(pub [u8; 8]);

impl PseudonymKey {
    /// A key of 20 random bytes.
    pub const fn new(random: [u8; 20]) -> Self {
        Self(random)
    }

    /// The pseudonym of an IP address.
    pub fn of(&self, ip: IpAddr) -> Pseudonym {
        let octets = match ip {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            IpAddr::V6(v6) => v6.octets(),
        };
        self.name(&octets)
    }

    /// The pseudonym of an address that somebody claims. It says nothing about
    /// [`Self::of`]: otherwise whoever claims an address could read there the
    /// name of the peer that has it.
    pub fn of_claimed(&self, ip: IpAddr) -> Pseudonym {
        let octets = match ip {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            IpAddr::V6(v6) => v6.octets(),
        };
        self.name(&[&[1], &octets[..]].concat())
    }

    /// The pseudonym of a DHT node id. It says nothing about that of an
    /// address: the hashed texts have other lengths.
    pub fn of_id(&self, id: &[u8; 20]) -> Pseudonym {
        self.name(id)
    }

    fn name(&self, text: &[u8]) -> Pseudonym {
        let inner = self.hash(0x36, text);
        let outer = self.hash(0x5c, &inner);
        Pseudonym(std::array::from_fn(|i| outer[i]))
    }

    fn hash(&self, pad: u8, text: &[u8]) -> [u8; 20] {
        let mut block = [pad; 64];
        block
            .iter_mut()
            .zip(self.0)
            .for_each(|(byte, key)| *byte ^= key);
        let mut sha = sha1_smol::Sha1::new();
        sha.update(&block);
        sha.update(text);
        sha.digest().bytes()
    }
}

impl Drop for PseudonymKey {
    fn drop(&mut self) {
        self.0 = [0; 20];
        // Without a reader the compiler would leave the key where it is.
        black_box(&self.0);
    }
}

impl fmt::Debug for PseudonymKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PseudonymKey(..)")
    }
}

impl fmt::Display for Pseudonym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The text is not 16 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidPseudonym;

impl FromStr for Pseudonym {
    type Err = InvalidPseudonym;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let all_digits = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u64::from_str_radix(text, 16).map_err(|_| InvalidPseudonym)?;
        if all_digits {
            Ok(Self(number.to_be_bytes()))
        } else {
            Err(InvalidPseudonym)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hmac_matches_rfc_2202() {
        // RFC 2202, test case 1: key 20 × 0x0b, data "Hi There".
        let key = PseudonymKey::new([0x0b; 20]);
        let outer = key.hash(0x5c, &key.hash(0x36, b"Hi There"));
        let expected = crate::model::InfoHash::new(outer).to_string();
        assert_eq!(expected, "b617318655057264e28bc0b6fb378c8ef146be00");
    }

    #[test]
    fn depends_on_key_and_address() {
        let ip: IpAddr = "192.0.2.1".parse().unwrap();
        let a = PseudonymKey::new([1; 20]).of(ip);
        assert_eq!(
            a,
            PseudonymKey::new([1; 20]).of("::ffff:192.0.2.1".parse().unwrap())
        );
        assert_ne!(a, PseudonymKey::new([2; 20]).of(ip));
        assert_ne!(
            a,
            PseudonymKey::new([1; 20]).of("192.0.2.2".parse().unwrap())
        );
    }

    #[test]
    fn a_claim_says_nothing_of_who_has_the_address() {
        let (key, ip) = (PseudonymKey::new([1; 20]), [192, 0, 2, 1].into());
        assert_eq!(key.of_claimed(ip), key.of_claimed(ip));
        assert_ne!(key.of_claimed(ip), key.of(ip));
    }

    #[test]
    fn is_read_back_from_its_text() {
        let name = PseudonymKey::new([1; 20]).of_id(&[7; 20]);
        assert_eq!(name.to_string().parse(), Ok(name));
        for wrong in [
            "",
            "+23456789abcdef0",
            "0123456789abcde",
            "0123456789abcdefg",
        ] {
            assert_eq!(wrong.parse::<Pseudonym>(), Err(InvalidPseudonym));
        }
    }
}
