//! Magnet links and lists of them.

use std::collections::HashSet;

use btda::model::InfoHash;
use btda::torrent::magnet::{HASHES_MAX, Magnet, NOTES_MAX, PEERS_MAX, parse_list};

use super::input::is_harmless;

/// Reads `data` as a list, and its lines one by one.
pub fn check(data: &[u8]) {
    let list = parse_list(data);
    assert_eq!(list, parse_list(data), "not the same twice");
    assert!(list.notes.len() <= NOTES_MAX);
    assert!(list.notes.iter().all(|note| is_harmless(note)));
    let lines = data.split(|byte| *byte == b'\n').count();
    assert!(list.links.len() + list.skipped <= lines);
    let ordered = list.links.is_sorted_by(|one, next| one.line < next.line);
    assert!(ordered, "lines out of order");
    for link in &list.links {
        assert!((1..=lines).contains(&link.line));
        is_sane(&link.magnet);
        comes_back(&link.magnet);
    }
    match Magnet::parse(&String::from_utf8_lossy(data)) {
        Ok(magnet) => is_sane(&magnet),
        Err(error) => assert!(is_harmless(&error.to_string()), "{error}"),
    }
}

fn is_sane(magnet: &Magnet) {
    let hashes: HashSet<InfoHash> = magnet.info_hashes.iter().copied().collect();
    assert!(!hashes.is_empty() && hashes.len() <= HASHES_MAX);
    assert_eq!(hashes.len(), magnet.info_hashes.len(), "a hash twice");
    let trackers: HashSet<&String> = magnet.trackers.iter().collect();
    assert_eq!(trackers.len(), magnet.trackers.len(), "a tracker twice");
    assert!(magnet.trackers.iter().all(|url| is_harmless(url)));
    assert!(magnet.peers.len() <= PEERS_MAX);
    for peer in &magnet.peers {
        assert!(peer.port > 0 && !peer.host.is_empty() && peer.host.len() <= 255);
    }
    let name = magnet.display_name.as_deref().unwrap_or("a name");
    assert!(!name.is_empty() && is_harmless(name), "{name:?}");
    assert!(magnet.notes.iter().all(|note| is_harmless(note)));
}

/// Written as a plain link, the hashes are the same.
fn comes_back(magnet: &Magnet) {
    let topics = magnet.info_hashes.iter().enumerate();
    let topics: Vec<String> = topics
        .map(|(number, hash)| format!("xt.{number}=urn:btih:{hash}"))
        .collect();
    let plain = format!("magnet:?{}", topics.join("&"));
    let again = Magnet::parse(&plain).expect("the plain link is refused");
    assert_eq!(again.info_hashes, magnet.info_hashes);
}
