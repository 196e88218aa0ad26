//! What may be stored of a host name. Pure.
//!
//! The last two labels, as the scripts of 2015 want it (`comcast.net`, but
//! also `co.uk`), and beside them the registrable domain by the public suffix
//! list (`example.co.uk`). Names of access networks often spell out the
//! address of the customer: a label that could do so becomes `#`.

use std::net::IpAddr;

use psl::Type;

/// What a record tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stored {
    /// `name`, or why there is none.
    pub(super) outcome: &'static str,
    pub(super) host: Option<String>,
    pub(super) domain: Option<String>,
}

impl Stored {
    pub(super) const fn nothing(outcome: &'static str) -> Self {
        Self {
            outcome,
            host: None,
            domain: None,
        }
    }
}

/// Of the name with these labels that `address` has.
pub(super) fn of(labels: &[Vec<u8>], address: IpAddr) -> Stored {
    let labels: Vec<String> = labels.iter().map(|label| clean(label)).collect();
    if labels.is_empty() {
        return Stored::nothing("no name");
    }
    let last = labels.len().saturating_sub(2);
    let shown = |from: usize| {
        let kept = labels.get(from..).unwrap_or_default();
        let kept = kept
            .iter()
            .map(|label| if mentions(label, address) { "#" } else { label });
        kept.collect::<Vec<_>>().join(".")
    };
    Stored {
        outcome: "name",
        host: Some(shown(last)),
        domain: registrable(&labels).map(shown),
    }
}

/// The first label of the registrable domain. Providers have suffixes of
/// their own on the list (`compute-1.amazonaws.com`), which say nothing of who
/// they are: only those of registries count.
fn registrable(labels: &[String]) -> Option<usize> {
    let mut from = 0;
    loop {
        let name = labels.get(from..)?.join(".");
        let suffix = psl::suffix(name.as_bytes())?;
        let length = suffix.as_bytes().split(|byte| *byte == b'.').count();
        let begins = labels.len().checked_sub(length)?;
        if suffix.typ() == Some(Type::Private) {
            from = begins + 1;
        } else {
            return begins.checked_sub(1);
        }
    }
}

/// Letters, digits, `-` and `_`; whatever else a server says becomes `?`.
fn clean(label: &[u8]) -> String {
    let clean = label.iter().map(|byte| match byte {
        b'-' | b'_' => char::from(*byte),
        byte if byte.is_ascii_alphanumeric() => char::from(byte.to_ascii_lowercase()),
        _ => '?',
    });
    clean.collect()
}

/// Whether `label` could spell out `address`, whole or for the most part.
fn mentions(label: &str, address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let octets = address.octets();
            let groups = label.split(|c: char| !c.is_ascii_digit());
            let mut groups: Vec<u64> = groups.filter_map(|group| group.parse().ok()).collect();
            let found = octets.iter().filter(|octet| {
                let place = groups.iter().position(|group| *group == u64::from(**octet));
                place.map(|place| groups.swap_remove(place)).is_some()
            });
            let [a, b, c, d] = octets;
            found.count() >= 3
                || label.contains(&format!("{a:02x}{b:02x}{c:02x}"))
                || label.contains(&format!("{d:02x}{c:02x}{b:02x}"))
                || label.contains(&format!("{a:03}{b:03}{c:03}"))
                || label.contains(&format!("{d:03}{c:03}{b:03}"))
                || label.contains(&u32::from(address).to_string())
        }
        IpAddr::V6(address) => {
            let digits = format!("{:032x}", u128::from(address));
            let label: Vec<char> = label.chars().filter(char::is_ascii_hexdigit).collect();
            let parts = label.windows(V6_DIGITS);
            parts
                .into_iter()
                .any(|part| digits.contains(&part.iter().collect::<String>()))
        }
    }
}

/// Digits in a row of an IPv6 address that are more than chance.
const V6_DIGITS: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(name: &str, address: &str) -> (String, Option<String>) {
        let labels: Vec<Vec<u8>> = name.split('.').map(|it| it.as_bytes().to_vec()).collect();
        let stored = of(&labels, address.parse().unwrap());
        assert_eq!(stored.outcome, "name");
        (stored.host.unwrap(), stored.domain)
    }

    #[test]
    fn last_labels_and_registrable_domain() {
        for (name, host, domain) in [
            (
                "c-1.hsd1.ca.comcast.net",
                "comcast.net",
                Some("comcast.net"),
            ),
            ("x.dsl.Example.CO.UK", "co.uk", Some("example.co.uk")),
            (
                "ec2-9.compute-1.amazonaws.com",
                "amazonaws.com",
                Some("amazonaws.com"),
            ),
            ("me.github.io", "github.io", Some("github.io")),
            ("a.b.c.kobe.jp", "kobe.jp", Some("b.c.kobe.jp")),
            ("router.lan", "router.lan", Some("router.lan")),
            ("localhost", "localhost", None),
            ("co.uk", "co.uk", None),
            (
                "w\u{e9}rd\n.example.net",
                "example.net",
                Some("example.net"),
            ),
        ] {
            let wanted = (host.to_owned(), domain.map(str::to_owned));
            assert_eq!(stored(name, "192.0.2.77"), wanted, "{name}");
        }
    }

    #[test]
    fn no_label_spells_out_the_address() {
        for name in [
            "192-0-2-77.net",
            "77.2-0-192.net",
            "p192x0x2x77.net",
            "c000024d.net",
            "4d0200c0.net",
            "192000002077.net",
            "077002000192.net",
            "3221226061.net",
        ] {
            assert_eq!(
                stored(name, "192.0.2.77").0.split('.').next(),
                Some("#"),
                "{name}"
            );
        }
        assert_eq!(stored("a.as6830.net", "192.0.2.77").0, "as6830.net");
        assert_eq!(stored("a.20010db8-1.net", "2001:db8::1").0, "#.net");
        assert_eq!(stored("a.telecom.net", "2001:db8::1").0, "telecom.net");
    }
}
