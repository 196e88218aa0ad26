//! Names for addresses that do not give them away.

use std::fmt;
use std::net::IpAddr;

/// Key of one run's pseudonyms; it is never stored, so that pseudonyms cannot
/// be turned back after the run, nor joined across runs.
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
        let inner = self.hash(0x36, &octets);
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
}
