//! Announces of neighbours (BEP 14).

use std::collections::HashSet;

use btda::protocol::lsd::{Announce, GROUP_V4, GROUP_V6, LENGTH_MAX, TORRENTS_MAX};

/// The bytes are a datagram, with and without the line that begins an
/// announce.
pub fn check(data: &[u8]) {
    a_datagram(data);
    a_datagram(&[b"BT-SEARCH * HTTP/1.1\r\nPort: 6881\r\n", data].concat());
}

fn a_datagram(datagram: &[u8]) {
    let read = Announce::parse(datagram);
    assert_eq!(read, Announce::parse(datagram), "not the same twice");
    let Ok(announce) = read else {
        return;
    };
    assert!(datagram.len() <= LENGTH_MAX);
    assert!(announce.port != 0);
    let distinct: HashSet<_> = announce.torrents.iter().collect();
    assert!((1..=TORRENTS_MAX).contains(&announce.torrents.len()));
    assert_eq!(
        distinct.len(),
        announce.torrents.len(),
        "one is there twice"
    );
    let text = datagram.to_ascii_lowercase();
    for hash in &announce.torrents {
        let digits = hash.to_string().into_bytes();
        let named = text.windows(digits.len()).any(|part| part == digits);
        assert!(named, "{hash} is not in it");
    }
    if announce.cookie.as_ref().is_some_and(|it| it.len() > 32) {
        return;
    }
    for group in [GROUP_V4, GROUP_V6] {
        let written = announce.encode(group);
        assert_eq!(Announce::parse(&written).as_ref(), Ok(&announce));
    }
}
