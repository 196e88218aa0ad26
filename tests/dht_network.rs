//! Thirty nodes of our own on loopback: whatever is announced is found, also
//! after a third of the nodes vanished, and hostile packets hurt nobody.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on stops with a panic"
)]

mod common;

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use btda::clock::SystemClock;
use btda::dht::node::address::Family;
use btda::dht::node::hook::{ChannelHook, QueryHook, QueryKind};
use btda::dht::node::{
    DhtError, DhtHandle, DhtNode, DhtSettings, LookupEvent, LookupRefused, LookupRequest,
    LookupSummary,
};
use btda::model::{InfoHash, PeerAddress};
use btda::stop::{StopTrigger, stop_pair};
use common::process::wait_until;
use crossbeam_channel::{Receiver, RecvTimeoutError};

const LIMIT: Duration = Duration::from_secs(60);

/// Time for one look-up.
const LOOKUP: Duration = Duration::from_secs(20);

/// A node at `127.0.0.<host>` that begins with `bootstrap`.
struct Node {
    address: SocketAddr,
    handle: DhtHandle,
    trigger: StopTrigger,
}

impl Node {
    fn start(host: u8, bootstrap: &[SocketAddr]) -> Self {
        Self::with(settings(host, bootstrap), host, None)
    }

    fn with(settings: DhtSettings, host: u8, hook: Option<Arc<dyn QueryHook>>) -> Self {
        let (trigger, stop) = stop_pair();
        let clock = Arc::new(SystemClock::new());
        let handle = DhtNode::start(settings, clock, &stop, hook).unwrap();
        let port = handle.port(Family::V4).unwrap();
        Self {
            address: SocketAddr::new(Ipv4Addr::new(127, 0, 0, host).into(), port),
            handle,
            trigger,
        }
    }

    fn lookup(&self, hash: InfoHash, announce: Option<u16>) -> Found {
        collect(&self.begin(hash, announce))
    }

    fn begin(&self, hash: InfoHash, announce: Option<u16>) -> Receiver<LookupEvent> {
        let request = LookupRequest {
            info_hash: hash,
            announce_port: announce,
            private: false,
            limit: LOOKUP,
        };
        self.handle.lookup(&request).unwrap()
    }

    fn good(&self) -> usize {
        self.handle.status().nodes_good()
    }
}

type Found = (BTreeSet<PeerAddress>, LookupSummary);

fn collect(events: &Receiver<LookupEvent>) -> Found {
    let mut peers = BTreeSet::new();
    loop {
        match events.recv_timeout(LIMIT).unwrap() {
            LookupEvent::Peers(new) => {
                for peer in new {
                    assert!(peers.insert(peer), "named twice");
                }
            }
            LookupEvent::Done(summary) => return (peers, summary),
        }
    }
}

fn settings(host: u8, bootstrap: &[SocketAddr]) -> DhtSettings {
    DhtSettings {
        bootstrap: bootstrap.iter().map(SocketAddr::to_string).collect(),
        // Thirty look-ups at once are no test of patience.
        packets_per_second: 500,
        packets_burst: 500,
        ..DhtSettings::loopback(Ipv4Addr::new(127, 0, 0, host))
    }
}

fn network(size: u8) -> Vec<Node> {
    let first = Node::start(1, &[]);
    let bootstrap = [first.address];
    let mut nodes = vec![first];
    nodes.extend((2..=size).map(|host| Node::start(host, &bootstrap)));
    for node in &nodes {
        wait_until("a node knows eight others", LIMIT, || node.good() >= 8);
    }
    // Who has only just come knows those near its own id; nodes that have been
    // there for a while have looked all around.
    for node in &nodes {
        let around = (220..=255).step_by(7).map(|it| node.begin(hash(it), None));
        let around: Vec<_> = around.collect();
        for events in &around {
            collect(events);
        }
    }
    nodes
}

fn hash(number: u8) -> InfoHash {
    InfoHash::of(&[number])
}

fn peer(node: &Node, port: u16) -> PeerAddress {
    PeerAddress::new(node.address.ip(), port)
}

#[test]
fn every_announced_peer_is_found_also_after_a_third_vanished() {
    let mut nodes = network(30);
    let mut announced = Vec::new();
    for torrent in 0..10_u8 {
        let port = 7000 + u16::from(torrent);
        let mut peers = BTreeSet::new();
        for offset in 0..3 {
            let node = &nodes[(usize::from(torrent) * 3 + offset) % 30];
            let (_, summary) = node.lookup(hash(torrent), Some(port));
            assert!(summary.announced >= 4, "{summary:?}");
            peers.insert(peer(node, port));
        }
        announced.push(peers);
    }
    for (torrent, peers) in announced.iter().enumerate() {
        for asker in [0, 11, 29] {
            let (found, summary) = nodes[asker].lookup(hash(u8::try_from(torrent).unwrap()), None);
            assert_eq!(&found, peers, "{summary:?}");
            assert!(summary.responded >= 8 && summary.announced == 0);
        }
    }
    // The first, through which all came, is among those that vanish.
    for node in nodes.drain(..10) {
        node.handle.stop();
    }
    // All at once, each from another node.
    let lookups: Vec<_> = (0..10_u8)
        .zip(&nodes)
        .map(|(torrent, node)| node.begin(hash(torrent), None))
        .collect();
    for (events, peers) in lookups.iter().zip(&announced) {
        let (found, summary) = collect(events);
        assert_eq!(&found, peers, "{summary:?}");
        assert!(summary.duration < LOOKUP, "{summary:?}");
    }
    let (found, _) = nodes[0].lookup(hash(200), None);
    assert_eq!(found, BTreeSet::new());
}

#[test]
fn private_torrents_are_refused_and_a_stop_ends_everything() {
    let node = Node::start(1, &[]);
    let mut request = LookupRequest {
        info_hash: hash(1),
        announce_port: None,
        private: true,
        limit: LOOKUP,
    };
    assert_eq!(
        node.handle.lookup(&request).unwrap_err(),
        LookupRefused::Private
    );
    let (found, summary) = node.lookup(hash(1), Some(1));
    assert_eq!((found.len(), summary.queried), (0, 0), "alone");
    assert!(node.handle.is_running());
    node.handle.stop();
    assert!(!node.handle.is_running());
    request.private = false;
    assert_eq!(
        node.handle.lookup(&request).unwrap_err(),
        LookupRefused::Stopped
    );
}

#[test]
fn the_end_of_the_run_ends_a_node_in_mid_lookup() {
    // Nobody answers there, and nobody else gets the port.
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let node = Node::start(1, &[silent.local_addr().unwrap()]);
    let request = LookupRequest {
        info_hash: hash(1),
        announce_port: None,
        private: false,
        limit: LOOKUP,
    };
    let events = node.handle.lookup(&request).unwrap();
    let Node {
        handle, trigger, ..
    } = node;
    trigger.stop();
    assert_eq!(
        events.recv_timeout(LIMIT),
        Err(RecvTimeoutError::Disconnected)
    );
    wait_until("the threads end", LIMIT, || !handle.is_running());
}

#[test]
fn the_hook_sees_every_query_and_hostile_packets_do_nothing() {
    let (hook, events) = ChannelHook::new(10_000);
    let node = Node::with(settings(1, &[]), 1, Some(hook.clone()));
    let asker = UdpSocket::bind("127.0.0.1:0").unwrap();
    asker.set_read_timeout(Some(LIMIT)).unwrap();
    let mut hostile: Vec<Vec<u8>> = vec![
        Vec::new(),
        vec![b'l'; 60_000],
        vec![b'd'; 4096],
        b"d1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re".to_vec(),
        b"d1:eli201e1:xe1:t2:aa1:y1:ee".to_vec(),
        b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t99999999999:aa1:y1:qe".to_vec(),
    ];
    let mut values = b"d1:rd2:id20:mnopqrstuvwxyz1234566:valuesl".to_vec();
    values.extend(b"6:axje.u".repeat(7000));
    values.extend(b"ee1:t2:aa1:y1:re");
    hostile.push(values);
    for packet in &hostile {
        asker.send_to(packet, node.address).unwrap();
    }
    let mut buffer = [0; 2000];
    for number in 0..20_u8 {
        let mut packet = b"d1:ad2:id20:abcdefghij01234567899:info_hash20:".to_vec();
        packet.extend([number; 20]);
        packet.extend(b"e1:q9:get_peers1:t7:longone1:v4:LT\x01\x021:y1:qe");
        asker.send_to(&packet, node.address).unwrap();
        let (length, _) = loop {
            // We are pinged in between.
            let received = asker.recv_from(&mut buffer).unwrap();
            if buffer[..received.0].ends_with(b"1:y1:re") {
                break received;
            }
        };
        let answer = &buffer[..length];
        assert!(answer.windows(11).any(|part| part == b"1:t7:longon"));
    }
    let mut heard = Vec::new();
    while heard.len() < 20 {
        let event = events.recv_timeout(LIMIT).unwrap();
        assert_eq!(event.version.as_deref(), Some(&b"LT\x01\x02"[..]));
        assert!(event.answered);
        assert_eq!(event.sender.port(), asker.local_addr().unwrap().port());
        heard.push(event.kind);
    }
    let expected: Vec<QueryKind> = (0..20)
        .map(|number| QueryKind::GetPeers(InfoHash::new([number; 20])))
        .collect();
    assert_eq!(heard, expected);
    assert_eq!(hook.dropped(), 0);
    wait_until("the counters are shown", LIMIT, || {
        let counts = node.handle.status().v4.unwrap().counts;
        counts.malformed >= 4 && counts.unasked >= 2 && counts.queries_in == 20
    });
    assert_eq!(node.handle.status().nodes_known(), 0, "named is not known");
}

#[test]
fn the_table_is_kept_for_the_next_run() {
    let folder = tempfile::tempdir().unwrap();
    let nodes = network(12);
    let keeping = DhtSettings {
        state_file: Some(folder.path().join("dht-nodes")),
        ..settings(20, &[nodes[3].address])
    };
    let node = Node::with(keeping.clone(), 20, None);
    wait_until("it knows eight others", LIMIT, || node.good() >= 8);
    node.handle.stop();
    let id = node.handle.status().v4.unwrap().id;
    let again = DhtSettings {
        bootstrap: Vec::new(),
        ..keeping
    };
    let node = Node::with(again.clone(), 20, None);
    wait_until("it knows them again", LIMIT, || node.good() >= 8);
    assert_eq!(node.handle.status().v4.unwrap().id, id);
    node.handle.stop();
    std::fs::write(folder.path().join("dht-nodes.v4.json"), "{").unwrap();
    let node = Node::with(again, 20, None);
    let (_, summary) = node.lookup(hash(1), None);
    assert_eq!(summary.queried, 0, "a broken file is an empty one");
}

#[test]
fn a_host_without_ipv6_does_with_ipv4_and_a_taken_port_is_no_such_host() {
    let both = |port, address6| DhtSettings {
        port,
        address6: Some(address6),
        ..DhtSettings::loopback(Ipv4Addr::LOCALHOST)
    };
    let start = |settings| {
        let (_trigger, stop) = stop_pair();
        DhtNode::prepare(settings, Arc::new(SystemClock::new()), &stop, None)
    };
    // A documentation address (RFC 3849): nobody has it.
    let nowhere = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
    let node = start(both(0, nowhere)).unwrap();
    assert_eq!(node.families().collect::<Vec<_>>(), [Family::V4]);
    let Ok(taken) = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)) else {
        return;
    };
    let port = taken.local_addr().unwrap().port();
    let Err(DhtError::Bind { port: named, .. }) = start(both(port, Ipv6Addr::LOCALHOST)) else {
        panic!("IPv6 is there, its port is not");
    };
    assert_eq!(named, port);
}
