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

fn with_dht(seed: u64) -> LabOptions {
    LabOptions {
        torrents: 4,
        magnets: 3,
        dht: 30,
        ..options(seed)
    }
}

#[test]
fn the_last_torrents_are_magnet_links() {
    let plan = Plan::new(with_dht(5));
    let magnets: Vec<bool> = plan.torrents.iter().map(|it| it.magnet.is_some()).collect();
    assert_eq!(magnets, [false, true, true, true]);
    let trackerless: Vec<bool> = plan
        .torrents
        .iter()
        .map(|it| it.trackers.is_empty())
        .collect();
    assert_eq!(trackerless, [false, true, false, true]);
    for (index, torrent) in plan.torrents.iter().enumerate() {
        let blocks = torrent.metadata_blocks();
        let Some(magnet) = &torrent.magnet else {
            assert_eq!(blocks, 1);
            continue;
        };
        assert_eq!(blocks, 3);
        assert_eq!(magnet.hints.is_empty(), torrent.trackers.is_empty());
        for hint in &magnet.hints {
            let peer = &plan.peers[*hint];
            assert!(peer.torrent == index && peer.behaviour.counts());
        }
        let manners: HashSet<_> = plan
            .peers
            .iter()
            .filter(|peer| peer.torrent == index)
            .map(|peer| peer.manner)
            .collect();
        assert_eq!(manners.len(), MetadataManner::ALL.len());
    }
}

#[test]
fn links_can_be_read() {
    let plan = Plan::new(with_dht(5));
    let urls = ["http://127.0.0.1:1/b&c=d/announce".to_owned()];
    let hints = ["127.16.0.9:77".parse().unwrap()];
    let link = plan.torrents[2].link(&urls, &hints);
    let magnet = crate::torrent::magnet::Magnet::parse(&link).unwrap();
    assert_eq!(magnet.info_hashes, [plan.torrents[2].info_hash]);
    assert_eq!(magnet.trackers, urls);
    assert_eq!(magnet.peers.len(), 1);
    assert_eq!(
        (magnet.peers[0].host.as_str(), magnet.peers[0].port),
        ("127.16.0.9", 77)
    );
}

#[test]
fn who_is_named_by_whom() {
    let plan = Plan::new(with_dht(5));
    let count = |by| plan.peers.iter().filter(|peer| peer.named_by == by).count();
    for by in [NamedBy::Trackers, NamedBy::Dht, NamedBy::Both] {
        assert!(count(by) > 0, "{by:?}");
    }
    for peer in &plan.peers {
        let trackerless = plan.torrents[peer.torrent].trackers.is_empty();
        assert!(!trackerless || peer.named_by == NamedBy::Dht);
        let hopeless = peer.behaviour.fails_before_messages().is_some();
        assert!(peer.named_by != NamedBy::Both || hopeless);
    }
    assert_eq!(Plan::new(options(5)).nodes, []);
}

#[test]
fn every_class_occurs_among_those_that_behave() {
    let reach = Reach::usual_shares();
    let plan = Plan::new(LabOptions {
        reach,
        ..with_dht(5)
    });
    for reach in Reach::ALL {
        let of = |party: &&PlannedParty| party.reach == reach;
        let callers = plan.callers.iter().filter(of).count();
        assert!(plan.peers.iter().any(|it| of(&it)), "{reach:?}");
        assert_eq!(callers > 0, !reach.is_for_peers_only(), "{reach:?}");
    }
    for party in plan.peers.iter().chain(&plan.callers) {
        assert!(party.reach == Reach::Tcp || party.behaviour.is_steady());
        assert!(party.reach == Reach::Tcp || !party.is_translated());
    }
    // All else is as it would be without.
    let without = Plan::new(with_dht(5));
    assert_ne!(plan.digest(), without.digest());
    assert_eq!(plan.calls, without.calls);
    let who = |it: &PlannedParty| (it.ip, it.torrent, it.behaviour, it.progress.clone());
    let parties = |parties: &[PlannedParty]| parties.iter().map(who).collect::<Vec<_>>();
    assert_eq!(parties(&plan.peers), parties(&without.peers));
    assert_eq!(parties(&plan.callers), parties(&without.callers));
}

#[test]
fn who_is_known_to_other_peers_only_is_named_by_those_of_one_source() {
    let plan = Plan::new(LabOptions {
        reach: Reach::usual_shares(),
        ..with_dht(5)
    });
    let mut named = 0;
    for (index, peer) in plan.peers.iter().enumerate() {
        let tellers = plan.peers.iter().filter(|it| it.names.contains(&index));
        let tellers: Vec<_> = tellers.collect();
        assert_eq!(peer.named_by == NamedBy::Pex, !tellers.is_empty());
        assert_eq!(peer.named_by == NamedBy::Pex, peer.reach == Reach::Pex);
        for teller in &tellers {
            assert_eq!(teller.torrent, peer.torrent);
            assert_eq!(teller.named_by, tellers[0].named_by);
            assert!(matches!(teller.named_by, NamedBy::Trackers | NamedBy::Dht));
            named += 1;
        }
        let ipv6 = peer.reach == Reach::Ipv6;
        assert!(!ipv6 || peer.named_by == NamedBy::Trackers);
    }
    assert!(named > 3, "{named}");
}

#[test]
fn three_of_the_closest_nodes_know_each_peer_of_the_dht() {
    let plan = Plan::new(with_dht(5));
    assert_eq!(plan.nodes.len(), plan.options.dht_nodes);
    for (index, peer) in plan.peers.iter().enumerate() {
        let torrent = &plan.torrents[peer.torrent];
        let closest = closest(&plan.nodes, torrent.info_hash.as_bytes());
        let holders: Vec<usize> = (0..plan.nodes.len())
            .filter(|node| plan.nodes[*node].holds.contains(&index))
            .collect();
        assert_eq!(holders.len(), if peer.named_by.dht() { 3 } else { 0 });
        assert!(holders.iter().all(|node| closest.contains(node)));
    }
    let distance = |node: usize| {
        let id = plan.nodes[node].id;
        std::array::from_fn::<u8, 20, _>(|at| id[at] ^ plan.torrents[0].info_hash.as_bytes()[at])
    };
    let closest = closest(&plan.nodes, plan.torrents[0].info_hash.as_bytes());
    assert!(closest.is_sorted_by_key(|node| distance(*node)));
    assert_eq!(closest.len(), 8);
}

#[test]
fn dht_and_links_change_nothing_else() {
    let (with, without) = (
        Plan::new(with_dht(5)),
        Plan::new(LabOptions {
            torrents: 4,
            ..options(5)
        }),
    );
    assert_eq!(with.torrents[0], without.torrents[0]);
    for (one, other) in with.peers.iter().zip(&without.peers) {
        assert_eq!(
            (one.ip, one.behaviour, one.torrent),
            (other.ip, other.behaviour, other.torrent)
        );
    }
    assert_eq!(with.calls, without.calls);
    assert_ne!(with.digest(), without.digest());
}
