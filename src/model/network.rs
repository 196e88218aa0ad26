//! Networks in CIDR form, and sets of them that answer quickly.
//!
//! Pure. No `Display` and an empty `Debug`: a network can be one address.

use std::fmt;
use std::net::IpAddr;

/// All addresses that share a prefix: `192.0.2.0/24`, `2001:db8::/32`, or one
/// address alone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Network {
    first: IpAddr,
    length: u32,
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Network(..)")
    }
}

/// Why a text is no network. Its words do not repeat the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkError {
    /// What stands before the slash is no IP address.
    Address,
    /// What stands behind it is no prefix length of that family.
    Length,
    /// The address has bits behind the prefix.
    HostBits,
}

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Address => {
                "not an IPv4 or IPv6 address; expected a network as 192.0.2.0/24 or one address"
            }
            Self::Length => "no prefix length: expected 0 to 32 (IPv4) or 0 to 128 (IPv6)",
            Self::HostBits => {
                "the address has bits behind its prefix length; write its first address"
            }
        })
    }
}

impl std::error::Error for NetworkError {}

impl std::str::FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let first: IpAddr = address.parse().map_err(|_| NetworkError::Address)?;
        // A mapped address is meant for its IPv4 form.
        let mapped = if first.to_canonical() == first { 0 } else { 96 };
        let first = first.to_canonical();
        let widest = if first.is_ipv4() { 32 } else { 128 };
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let length = match length {
            None => widest,
            Some(text) if digits(text) => text
                .parse::<u32>()
                .ok()
                .and_then(|length| length.checked_sub(mapped))
                .filter(|length| *length <= widest)
                .ok_or(NetworkError::Length)?,
            Some(_) => return Err(NetworkError::Length),
        };
        let network = Self { first, length };
        if network.bounds().0 == bits(first) {
            Ok(network)
        } else {
            Err(NetworkError::HostBits)
        }
    }
}

impl Network {
    /// First and last address as numbers.
    fn bounds(&self) -> (u128, u128) {
        let width = if self.first.is_ipv4() { 32 } else { 128 };
        let behind = u128::MAX
            .checked_shr(128 - width + self.length)
            .unwrap_or(0);
        let first = bits(self.first) & !behind;
        (first, first | behind)
    }
}

fn bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(v4) => v4.to_bits().into(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// A set of networks; a look-up is a binary search.
#[derive(Default, Clone, PartialEq, Eq)]
pub struct NetworkSet {
    v4: Vec<(u128, u128)>,
    v6: Vec<(u128, u128)>,
    listed: usize,
}

impl fmt::Debug for NetworkSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NetworkSet({} listed)", self.listed)
    }
}

/// A line that is no network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadLine {
    /// Its number, from 1.
    pub line: usize,
    /// What is wrong.
    pub error: NetworkError,
}

impl NetworkSet {
    /// The networks of a list: one a line, `#` begins a comment, empty lines
    /// do not count.
    ///
    /// # Errors
    /// Every line that is none of these.
    pub fn parse(text: &str) -> Result<Self, Vec<BadLine>> {
        let (mut networks, mut bad) = (Vec::new(), Vec::new());
        for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            let line = line
                .split_once('#')
                .map_or(line, |(before, _)| before)
                .trim();
            if line.is_empty() {
                continue;
            }
            match line.parse() {
                Ok(network) => networks.push(network),
                Err(error) => bad.push(BadLine {
                    line: index + 1,
                    error,
                }),
            }
        }
        if bad.is_empty() {
            Ok(networks.into_iter().collect())
        } else {
            Err(bad)
        }
    }

    /// Whether `ip` is in one of the networks.
    pub fn contains(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        let ranges = if ip.is_ipv4() { &self.v4 } else { &self.v6 };
        let number = bits(ip);
        let behind = ranges.partition_point(|(first, _)| *first <= number);
        behind
            .checked_sub(1)
            .and_then(|index| ranges.get(index))
            .is_some_and(|(_, last)| number <= *last)
    }

    /// Networks as they were listed.
    pub const fn listed(&self) -> usize {
        self.listed
    }
}

impl FromIterator<Network> for NetworkSet {
    fn from_iter<T: IntoIterator<Item = Network>>(networks: T) -> Self {
        let mut set = Self::default();
        for network in networks {
            set.listed += 1;
            if network.first.is_ipv4() {
                set.v4.push(network.bounds());
            } else {
                set.v6.push(network.bounds());
            }
        }
        join(&mut set.v4);
        join(&mut set.v6);
        set
    }
}

/// Sorts ranges and makes one of those that overlap, so that the one with the
/// greatest start below an address decides.
fn join(ranges: &mut Vec<(u128, u128)>) {
    ranges.sort_unstable();
    ranges.dedup_by(|next, before| {
        let overlap = next.0 <= before.1;
        if overlap {
            before.1 = before.1.max(next.1);
        }
        overlap
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_list_with_comments() {
        let text = "\u{feff}# asked us by mail\n192.0.2.0/24\n\n  2001:db8::/32 # a university\r\n\
                    198.51.100.7\n::ffff:203.0.113.0/120\n";
        let set = NetworkSet::parse(text).unwrap();
        assert_eq!(set.listed(), 4);
        for (text, inside) in [
            ("192.0.2.0", true),
            ("192.0.2.255", true),
            ("192.0.3.0", false),
            ("192.0.1.255", false),
            ("::ffff:192.0.2.9", true),
            ("198.51.100.7", true),
            ("198.51.100.8", false),
            ("203.0.113.77", true),
            ("2001:db8:ffff::1", true),
            ("2001:db9::1", false),
        ] {
            assert_eq!(set.contains(text.parse().unwrap()), inside, "{text}");
        }
        assert!(!NetworkSet::default().contains("192.0.2.1".parse().unwrap()));
    }

    #[test]
    fn bad_lines_are_named_and_not_repeated() {
        let text =
            "192.0.2.0/24\n192.0.2.0/33\nexample.org\n192.0.2.1/24\n10.0.0.0/+8\n::/129\n/8\n";
        let bad = NetworkSet::parse(text).unwrap_err();
        let bad: Vec<_> = bad.iter().map(|bad| (bad.line, bad.error)).collect();
        assert_eq!(
            bad,
            [
                (2, NetworkError::Length),
                (3, NetworkError::Address),
                (4, NetworkError::HostBits),
                (5, NetworkError::Length),
                (6, NetworkError::Length),
                (7, NetworkError::Address),
            ]
        );
        assert!(!NetworkError::HostBits.to_string().contains("192.0.2.1"));
    }

    #[test]
    fn everything_and_overlaps() {
        let set = NetworkSet::parse("0.0.0.0/0\n").unwrap();
        assert!(set.contains("255.255.255.255".parse().unwrap()));
        assert!(!set.contains("2a00::1".parse().unwrap()));
        let set = NetworkSet::parse("::/0").unwrap();
        assert!(set.contains("ffff::".parse().unwrap()));
        let set = NetworkSet::parse("10.0.0.0/8\n10.1.0.0/16\n10.200.0.0/16").unwrap();
        assert!(set.contains("10.255.0.1".parse().unwrap()));
    }

    proptest! {
        #[test]
        fn a_set_is_its_networks(
            networks in prop::collection::vec((any::<u32>(), 4_u32..=32), 0..20),
            ips in prop::collection::vec(any::<u32>(), 1..40),
        ) {
            let behind = |length: u32| u32::MAX.checked_shr(length).unwrap_or(0);
            let line = |(ip, length): &(u32, u32)| {
                format!("{}/{length}", std::net::Ipv4Addr::from_bits(ip & !behind(*length)))
            };
            let text = networks.iter().map(line).collect::<Vec<_>>().join("\n");
            let set = NetworkSet::parse(&text).unwrap();
            let first = networks.iter().map(|(ip, _)| *ip);
            for ip in ips.iter().copied().chain(first) {
                let wanted = networks.iter().any(|(first, length)| (ip ^ first) & !behind(*length) == 0);
                prop_assert_eq!(set.contains(std::net::Ipv4Addr::from_bits(ip).into()), wanted);
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[0-9a-f:./#\n ]{0,80}") {
            let _ = NetworkSet::parse(&text);
        }
    }
}
