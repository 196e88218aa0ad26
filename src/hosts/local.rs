//! Local tracker discovery (BEP 22): the trackers that whoever runs our network
//! names in the DNS. Called by one thread of the runtime.

use std::net::IpAddr;

use super::lookup::{Answer, Lookup};
use super::message::Name;
use super::service::Service;

/// What is put before the name of the network.
const SERVICE: [&[u8]; 2] = [b"_bittorrent-tracker", b"_tcp"];

/// Names asked for in turn: each has a label less than the one before.
const NAMES_MAX: usize = 8;

/// Labels of the shortest name: nobody names trackers for a whole top-level
/// domain, and its servers are not asked.
const LABELS_MIN: usize = 2;

/// The announce URLs of the network in which `address` is, best first; none
/// when it has no name or its network no trackers.
pub(super) fn trackers(lookup: &Lookup<'_>, address: IpAddr) -> Vec<String> {
    let Answer::Name(own) = lookup.name_of(address) else {
        return Vec::new();
    };
    for name in names(&own) {
        let found = lookup.services_of(&name);
        if !found.is_empty() {
            return found.iter().filter_map(url).collect();
        }
    }
    Vec::new()
}

/// The names to ask for, the longest first.
fn names(own: &Name) -> impl Iterator<Item = Name> {
    let most = own.len().saturating_sub(LABELS_MIN);
    let from = (own.len() >= LABELS_MIN).then_some(0..=most);
    from.into_iter().flatten().take(NAMES_MAX).map(|from| {
        let service = SERVICE.iter().map(|label| label.to_vec());
        service.chain(own.iter().skip(from).cloned()).collect()
    })
}

/// BEP 22 says no path; that of BEP 3's example is what trackers have.
fn url(service: &Service) -> Option<String> {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let labels = service.target.iter().map(|label| {
        let plain = label.iter().all(is_plain);
        std::str::from_utf8(label).ok().filter(|_| plain)
    });
    let host = labels.collect::<Option<Vec<&str>>>()?.join(".");
    Some(format!("http://{host}:{}/announce", service.port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(name: &str) -> Name {
        let labels = name.split('.').filter(|label| !label.is_empty());
        labels.map(|label| label.as_bytes().to_vec()).collect()
    }

    #[test]
    fn names_grow_shorter_and_end_before_the_top() {
        let of = |name: &str| -> Vec<String> {
            let own = labels(name);
            names(&own)
                .map(|name| {
                    let labels = name.iter().map(|label| String::from_utf8_lossy(label));
                    labels.collect::<Vec<_>>().join(".")
                })
                .collect()
        };
        assert_eq!(
            of("c-1.dsl.example.net"),
            [
                "_bittorrent-tracker._tcp.c-1.dsl.example.net",
                "_bittorrent-tracker._tcp.dsl.example.net",
                "_bittorrent-tracker._tcp.example.net",
            ]
        );
        assert_eq!(of("localhost"), Vec::<String>::new());
        assert_eq!(of("a.b.c.d.e.f.g.h.i.j.k.l").len(), NAMES_MAX);
    }

    #[test]
    fn urls_of_plain_names() {
        let url_of = |target: &str| {
            url(&Service {
                priority: 1,
                port: 6969,
                target: labels(target),
            })
        };
        let wanted = Some("http://t.example.net:6969/announce".to_owned());
        assert_eq!(url_of("t.example.net"), wanted);
        assert_eq!(url_of("a/b.example.net"), None);
        assert_eq!(url_of("us er@x.net"), None);
    }
}
