//! Last line of defence for addresses: whatever looks like one is replaced
//! before a line is written.
//!
//! Rather too much is replaced than too little: a version of four numbers
//! or a Rust path such as `a1::b` is taken for an address too.

/// What stands in place of an address.
pub const MASK: &str = "<address>";

/// `text` with everything that looks like an IPv4 or IPv6 address replaced;
/// ports stay.
///
/// ```
/// use btda::logging::mask_addresses;
/// assert_eq!(mask_addresses("from 192.0.2.1:6881"), "from <address>:6881");
/// assert_eq!(mask_addresses("from [2001:db8::1]:6881"), "from [<address>]:6881");
/// assert_eq!(mask_addresses("at 12:30:45, 0.5 s"), "at 12:30:45, 0.5 s");
/// ```
pub fn mask_addresses(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    let mut before = None;
    while let Some(start) = rest.find(is_address_part) {
        let (plain, from) = rest.split_at(start);
        let end = from.find(|c| !is_address_part(c)).unwrap_or(from.len());
        let (run, after) = from.split_at(end);
        masked.push_str(plain);
        let left = plain.chars().next_back().or(before);
        let bordered = is_letter(left) || is_letter(after.chars().next());
        mask_run(run, bordered, &mut masked);
        before = run.chars().next_back();
        rest = after;
    }
    masked.push_str(rest);
    masked
}

const fn is_address_part(c: char) -> bool {
    c.is_ascii_hexdigit() || c == ':' || c == '.'
}

fn is_letter(c: Option<char>) -> bool {
    c.is_some_and(|c| c.is_alphanumeric() || c == '_')
}

/// Masks one longest run of digits, `a` to `f`, colons and points.
fn mask_run(run: &str, bordered: bool, masked: &mut String) {
    if looks_like_v6(run, bordered) {
        let core = run.trim_end_matches('.');
        let core = match core.strip_suffix(':') {
            Some(shorter) if !shorter.ends_with(':') => shorter,
            _ => core,
        };
        masked.push_str(MASK);
        masked.push_str(run.get(core.len()..).unwrap_or_default());
    } else {
        mask_v4(run, masked);
    }
}

/// A double colon or seven colons, and something between them. Without a
/// digit it may as well be a path of identifiers, which letters beside it
/// give away.
fn looks_like_v6(run: &str, bordered: bool) -> bool {
    let shortened = run.contains("::");
    let full = run.matches(':').count() >= 7;
    let digit = run.bytes().any(|byte| byte.is_ascii_digit());
    let hex = run.bytes().any(|byte| byte.is_ascii_hexdigit());
    (shortened || full) && (digit || (hex && !bordered))
}

/// Masks each stretch of four or more numbers with points between.
fn mask_v4(run: &str, masked: &mut String) {
    let mut rest = run;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let (plain, from) = rest.split_at(start);
        let end = from
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(from.len());
        let (stretch, after) = from.split_at(end);
        masked.push_str(plain);
        let core = stretch.trim_end_matches('.');
        let has_four = core
            .split("..")
            .any(|part| part.split('.').filter(|number| !number.is_empty()).count() >= 4);
        masked.push_str(if has_four { MASK } else { core });
        masked.push_str(stretch.get(core.len()..).unwrap_or_default());
        rest = after;
    }
    masked.push_str(rest);
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn masks_addresses() {
        for (text, expected) in [
            ("192.0.2.1", "<address>"),
            ("192.0.2.1.", "<address>."),
            ("peer192.0.2.1x", "peer<address>x"),
            ("cafe192.0.2.1babe", "cafe<address>babe"),
            (
                "a=192.0.2.1:80,b=[2001:db8::1]:80",
                "a=<address>:80,b=[<address>]:80",
            ),
            ("http://192.0.2.1/announce", "http://<address>/announce"),
            ("2001:db8::1: timed out", "<address>: timed out"),
            ("2001:db8::1.", "<address>."),
            ("2001:db8:: closed", "<address> closed"),
            ("::ffff:192.0.2.1", "<address>"),
            ("fe80::1%eth0", "<address>%eth0"),
            ("fe80::abcd", "<address>"),
            ("fe::ab", "<address>"),
            ("1:2:3:4:5:6:7:8", "<address>"),
            ("x2001:db8::1y", "x<address>y"),
            ("4.3.2.1.in-addr.arpa", "<address>.in-addr.arpa"),
            ("001.002.003.004", "<address>"),
        ] {
            assert_eq!(mask_addresses(text), expected);
        }
    }

    #[test]
    fn leaves_the_rest() {
        for text in [
            "",
            "0.5",
            "1.2.3",
            "12:30:45",
            "2026-11-20_10-12-00",
            "std::io::Error",
            "::",
            "00:11:22:33:44:55",
            "0123456789abcdef0123456789abcdef01234567",
            "at src/net.rs:12:5",
            "1...2",
            "Ärger… :.:",
        ] {
            assert_eq!(mask_addresses(text), text);
        }
    }

    proptest! {
        #[test]
        fn no_ipv4_survives(bits: u32, port: u16, before in "\\PC{0,8}", after in "\\PC{0,8}") {
            let address = Ipv4Addr::from(bits);
            let masked = mask_addresses(&format!("{before}{}{after}", SocketAddrV4::new(address, port)));
            prop_assert!(!masked.contains(&address.to_string()), "{masked}");
        }

        #[test]
        fn no_ipv6_survives(
            groups in proptest::array::uniform8(prop_oneof![Just(0u16), any::<u16>()]),
            port: u16,
            before in "\\PC{0,8}",
            after in "\\PC{0,8}",
        ) {
            let address = Ipv6Addr::from(groups);
            let digits = address.to_string();
            prop_assume!(digits.bytes().any(|byte| byte.is_ascii_digit()));
            for written in [digits.clone(), SocketAddrV6::new(address, port, 0, 0).to_string()] {
                let masked = mask_addresses(&format!("{before}{written}{after}"));
                prop_assert!(!masked.contains(&digits), "{masked}");
            }
        }

        #[test]
        fn twice_is_once(text in "[0-9a-g:. \\[\\]ä]{0,40}") {
            let once = mask_addresses(&text);
            prop_assert_eq!(mask_addresses(&once), once);
        }
    }
}
