//! Tests of `lab::plan`.

use std::collections::HashSet;
use std::time::Duration;

use super::parties::CROWDED;
use super::*;
use crate::protocol::bencode::Value;

fn options(seed: u64) -> LabOptions {
    LabOptions {
        peers: 300,
        callers: 120,
        seed,
        ..LabOptions::default()
    }
}

#[test]
fn same_seed_same_story() {
    assert_eq!(Plan::new(options(7)), Plan::new(options(7)));
    let (one, other) = (Plan::new(options(7)), Plan::new(options(8)));
    assert_ne!(one.peers, other.peers);
    assert_ne!(one.calls, other.calls);
    assert_ne!(one.torrents, other.torrents);
    assert_eq!(Plan::new(options(7)).digest(), one.digest());
    assert_ne!(one.digest(), other.digest());
    assert_eq!(one.digest().to_string().len(), 40);
}

#[test]
fn everything_occurs_and_identities_are_distinct() {
    let plan = Plan::new(options(3));
    let seen: HashSet<_> = plan.peers.iter().map(|peer| peer.behaviour).collect();
    assert_eq!(seen.len(), Behaviour::ALL.len());
    let ips: HashSet<_> = plan.peers.iter().map(|peer| peer.ip).collect();
    assert_eq!(ips.len(), plan.peers.len());
    let evaluated = plan
        .callers
        .iter()
        .filter(|it| it.behaviour.fails_before_messages().is_none());
    let mut identities = HashSet::new();
    for caller in evaluated {
        assert!(caller.ip.is_loopback());
        assert!(identities.insert((caller.ip, caller.torrent, caller.listens)));
    }
    let of_peers: Vec<_> = plan
        .callers
        .iter()
        .filter(|it| ips.contains(&it.ip))
        .collect();
    assert!((2..20).contains(&of_peers.len()), "{}", of_peers.len());
    for caller in of_peers {
        let peer = plan.peers.iter().find(|peer| peer.ip == caller.ip);
        assert_eq!(peer.map(|peer| peer.torrent), Some(caller.torrent));
    }
    assert!(plan.callers.iter().filter(|it| it.ip == CROWDED).count() > 5);
    assert!(
        plan.callers
            .iter()
            .all(|it| !it.behaviour.is_for_peers_only())
    );
}

#[test]
fn the_last_part_is_without_calls() {
    let plan = Plan::new(LabOptions {
        ending: Duration::from_secs(20),
        ..options(3)
    });
    assert_eq!(plan.curfew(), 40_000);
    assert!(plan.calls.iter().all(|call| call.at < 40_000));
}

#[test]
fn calls_are_in_order_with_storms() {
    let plan = Plan::new(options(3));
    assert!(plan.calls.is_sorted());
    let storm = plan.calls.iter().filter(|call| call.at == 20_000).count();
    assert!(storm > 20, "{storm}");
    assert!(plan.calls.iter().all(|call| call.at < 60_000));
    let who: HashSet<_> = plan.calls.iter().map(|call| call.caller).collect();
    assert_eq!(who.len(), plan.callers.len());
}

#[test]
fn torrent_files_can_be_read() {
    let plan = Plan::new(options(3));
    for torrent in &plan.torrents {
        let urls = [
            "http://127.0.0.1:1/announce".to_owned(),
            "udp://b:2".to_owned(),
        ];
        let file = torrent.file(&urls);
        let value = Value::parse(&file).unwrap();
        let info = value.get(b"info").unwrap();
        assert_eq!(InfoHash::of(info.raw()), torrent.info_hash);
        let pieces = info.get(b"pieces").and_then(Value::bytes).unwrap();
        assert_eq!(pieces.len(), torrent.pieces as usize * 20);
        assert_eq!(
            value.get(b"announce-list").unwrap().list().unwrap().count(),
            2
        );
        assert!(Value::parse(&torrent.file(&[])).is_ok());
    }
}

#[test]
fn small_and_empty_stories() {
    for (torrents, peers, callers) in [(0, 0, 0), (1, 1, 1), (1, 0, 3)] {
        let plan = Plan::new(LabOptions {
            torrents,
            peers,
            callers,
            pieces: (1, 1),
            shares: Vec::new(),
            duration: Duration::ZERO,
            download: (Duration::ZERO, Duration::ZERO),
            ..LabOptions::default()
        });
        assert_eq!((plan.peers.len(), plan.callers.len()), (peers, callers));
    }
}
