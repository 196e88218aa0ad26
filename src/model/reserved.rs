//! Addresses at which nobody on the internet can be called.
//!
//! Pure. From the IANA registries of special-purpose addresses (RFC 6890 and
//! what came later, as of 2025; the tests have all of their blocks), and the
//! allocation of IPv6 unicast space (RFC 4291). What is not globally reachable
//! there is reserved here, and so are the few addresses of protocols within
//! `192.0.0.0/24` and `2001::/23` that are: no peer has one. Services elsewhere
//! (AS112, AMT) are not reserved.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// IPv4 blocks: first address and prefix length.
const RESERVED_V4: &[([u8; 4], u32)] = &[
    // "This network" (RFC 791).
    ([0, 0, 0, 0], 8),
    // Private use (RFC 1918).
    ([10, 0, 0, 0], 8),
    // Shared address space of carrier-grade NAT (RFC 6598).
    ([100, 64, 0, 0], 10),
    // Loopback (RFC 1122).
    ([127, 0, 0, 0], 8),
    // Link-local (RFC 3927).
    ([169, 254, 0, 0], 16),
    // Private use (RFC 1918).
    ([172, 16, 0, 0], 12),
    // IETF protocol assignments (RFC 6890).
    ([192, 0, 0, 0], 24),
    // Documentation (RFC 5737).
    ([192, 0, 2, 0], 24),
    // 6to4 relays, no longer in use (RFC 7526).
    ([192, 88, 99, 0], 24),
    // Private use (RFC 1918).
    ([192, 168, 0, 0], 16),
    // Benchmarking (RFC 2544).
    ([198, 18, 0, 0], 15),
    // Documentation (RFC 5737).
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    // Multicast (RFC 5771).
    ([224, 0, 0, 0], 4),
    // Reserved, and the limited broadcast (RFC 1112, RFC 919).
    ([240, 0, 0, 0], 4),
];

/// The only IPv6 space that is given out for global unicast (RFC 4291).
const GLOBAL_V6: ([u16; 2], u32) = ([0x2000, 0], 3);

/// IPv6 blocks within [`GLOBAL_V6`]; all prefixes are within 32 bits.
const RESERVED_V6: &[([u16; 2], u32)] = &[
    // IETF protocol assignments (RFC 2928), but for Teredo, see below.
    ([0x2001, 0], 23),
    // Documentation (RFC 3849, RFC 9637).
    ([0x2001, 0x0db8], 32),
    ([0x3fff, 0], 20),
];

/// Teredo (RFC 4380): hosts behind a NAT that are on the internet so.
const TEREDO: ([u16; 2], u32) = ([0x2001, 0], 32);

/// 6to4 (RFC 3056): the IPv4 address follows.
const SIX_TO_FOUR: u16 = 0x2002;

/// Whether `ip` is loopback, private, link-local, shared, multicast, for
/// documents or otherwise reserved, so that no peer on the internet has it.
/// An IPv4 address inside an IPv6 one (mapped, 6to4, NAT64) is judged as
/// itself.
pub const fn is_reserved(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => is_reserved_v4(v4),
        IpAddr::V6(v6) => is_reserved_v6(v6),
    }
}

const fn is_reserved_v4(ip: Ipv4Addr) -> bool {
    let bits = ip.to_bits();
    let mut rest = RESERVED_V4;
    while let [(first, length), tail @ ..] = rest {
        if shares_prefix(bits, u32::from_be_bytes(*first), *length) {
            return true;
        }
        rest = tail;
    }
    false
}

const fn is_reserved_v6(ip: Ipv6Addr) -> bool {
    if let Some(v4) = ip.to_ipv4_mapped() {
        return is_reserved_v4(v4);
    }
    let segments = ip.segments();
    // NAT64 (RFC 6052).
    if let [0x64, 0xff9b, 0, 0, 0, 0, high, low] = segments {
        return is_reserved_v4(Ipv4Addr::from_bits(join(high, low)));
    }
    let [first, second, third, ..] = segments;
    if first == SIX_TO_FOUR {
        return is_reserved_v4(Ipv4Addr::from_bits(join(second, third)));
    }
    let head = join(first, second);
    if !in_block(head, GLOBAL_V6) {
        return true;
    }
    if in_block(head, TEREDO) {
        return false;
    }
    let mut rest = RESERVED_V6;
    while let [block, tail @ ..] = rest {
        if in_block(head, *block) {
            return true;
        }
        rest = tail;
    }
    false
}

const fn in_block(head: u32, (first, length): ([u16; 2], u32)) -> bool {
    let [high, low] = first;
    shares_prefix(head, join(high, low), length)
}

const fn join(high: u16, low: u16) -> u32 {
    (high as u32) << 16 | low as u32
}

/// Whether the first `length` bits (1 to 32) are the same.
const fn shares_prefix(one: u32, other: u32, length: u32) -> bool {
    (one ^ other) >> (32 - length) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_edges_of_every_ipv4_block() {
        for (first, last) in [
            ("0.0.0.0", "0.255.255.255"),
            ("10.0.0.0", "10.255.255.255"),
            ("100.64.0.0", "100.127.255.255"),
            ("127.0.0.0", "127.255.255.255"),
            ("169.254.0.0", "169.254.255.255"),
            ("172.16.0.0", "172.31.255.255"),
            ("192.0.0.0", "192.0.0.255"),
            ("192.0.2.0", "192.0.2.255"),
            ("192.88.99.0", "192.88.99.255"),
            ("192.168.0.0", "192.168.255.255"),
            ("198.18.0.0", "198.19.255.255"),
            ("198.51.100.0", "198.51.100.255"),
            ("203.0.113.0", "203.0.113.255"),
            ("224.0.0.0", "255.255.255.255"),
        ] {
            let [first, last]: [Ipv4Addr; 2] = [first, last].map(|text| text.parse().unwrap());
            assert!(is_reserved(first.into()), "{first}");
            assert!(is_reserved(last.into()), "{last}");
            if let Some(before) = first.to_bits().checked_sub(1) {
                let before = Ipv4Addr::from_bits(before);
                assert!(!is_reserved(before.into()), "{before}");
            }
            if let Some(after) = last.to_bits().checked_add(1) {
                let after = Ipv4Addr::from_bits(after);
                assert!(!is_reserved(after.into()), "{after}");
            }
        }
    }

    /// Blocks of both registries that are not globally reachable: first and
    /// last address.
    const NOT_GLOBAL: [(&str, &str); 31] = [
        ("0.0.0.0", "0.255.255.255"),
        ("10.0.0.0", "10.255.255.255"),
        ("100.64.0.0", "100.127.255.255"),
        ("127.0.0.0", "127.255.255.255"),
        ("169.254.0.0", "169.254.255.255"),
        ("172.16.0.0", "172.31.255.255"),
        // All of the protocol assignments, with DS-Lite, the dummy address,
        // and discovery of NAT64.
        ("192.0.0.0", "192.0.0.8"),
        ("192.0.0.11", "192.0.0.255"),
        ("192.0.2.0", "192.0.2.255"),
        ("192.88.99.0", "192.88.99.255"),
        ("192.168.0.0", "192.168.255.255"),
        ("198.18.0.0", "198.19.255.255"),
        ("198.51.100.0", "198.51.100.255"),
        ("203.0.113.0", "203.0.113.255"),
        ("240.0.0.0", "255.255.255.255"),
        ("::", "::1"),
        ("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff"),
        ("100::", "100::ffff:ffff:ffff:ffff"),
        ("100:0:0:1::", "100::1:ffff:ffff:ffff:ffff"),
        ("2001:1::", "2001:1::"),
        ("2001:1::4", "2001:2:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("2001:2::", "2001:2:0:ffff:ffff:ffff:ffff:ffff"),
        ("2001:4::", "2001:4:111:ffff:ffff:ffff:ffff:ffff"),
        ("2001:5::", "2001:f:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("2001:10::", "2001:1f:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("2001:40::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ];

    /// Those that are globally reachable and not within the protocol
    /// assignments.
    const GLOBAL: [(&str, &str); 4] = [
        ("192.31.196.0", "192.31.196.255"),
        ("192.52.193.0", "192.52.193.255"),
        ("192.175.48.0", "192.175.48.255"),
        ("2620:4f:8000::", "2620:4f:8000:ffff:ffff:ffff:ffff:ffff"),
    ];

    #[test]
    fn the_registries() {
        for (blocks, wanted) in [(&NOT_GLOBAL[..], true), (&GLOBAL[..], false)] {
            for text in blocks.iter().flat_map(|(first, last)| [first, last]) {
                let ip: IpAddr = text.parse().unwrap();
                assert_eq!(is_reserved(ip), wanted, "{text}");
            }
        }
    }

    #[test]
    fn ipv6() {
        for text in [
            "::",
            "::1",
            "::7f00:1",
            "::ffff:10.0.0.1",
            "::ffff:127.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::1",
            "100::1",
            "1fff:ffff::1",
            "2001:2::1",
            "2001:10::1",
            "2001:1ff:ffff::1",
            "2001:db8::1",
            "2001:db8:ffff::1",
            "2002:7f00:1::1",
            "2002:a00:1::1",
            "3fff::1",
            "3fff:fff::1",
            "4000::1",
            "5f00::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(is_reserved(text.parse().unwrap()), "{text}");
        }
        for text in [
            "2000::1",
            "2001:0:4136:e378::1",
            "2001:200::1",
            "2001:4860:4860::8888",
            "2001:db7:ffff::1",
            "2001:db9::1",
            "2002:808:808::1",
            "2a00::1",
            "3ffe::1",
            "3fff:1000::1",
            "64:ff9b::8.8.8.8",
            "::ffff:8.8.8.8",
        ] {
            assert!(!is_reserved(text.parse().unwrap()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_forms_of_an_ipv4_address_are_judged_alike(bits in any::<u32>()) {
            let v4 = Ipv4Addr::from_bits(bits);
            let [a, b, c, d] = v4.octets();
            let [high, low] = [[a, b], [c, d]].map(u16::from_be_bytes);
            let wanted = is_reserved(v4.into());
            let nat64 = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low);
            let six_to_four = Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1);
            for ip in [v4.to_ipv6_mapped(), nat64, six_to_four] {
                prop_assert_eq!(is_reserved(ip.into()), wanted, "{}", ip);
            }
        }
    }
}
