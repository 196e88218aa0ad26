//! Our DHT node among libtorrent's on loopback: what they announce we find,
//! what we announce they find, and they call us.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on stops with a panic"
)]

mod common;

use std::collections::BTreeSet;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use btda::clock::SystemClock;
use btda::dht::node::address::Family;
use btda::dht::node::hook::{ChannelHook, QueryKind};
use btda::dht::node::{DhtHandle, DhtNode, DhtSettings, LookupEvent, LookupRequest};
use btda::model::{InfoHash, PeerAddress};
use btda::stop::{StopTrigger, stop_pair};
use common::libtorrent_dht::LibtorrentNode;
use common::process::wait_until;

const LIMIT: Duration = Duration::from_secs(90);

struct Node {
    handle: DhtHandle,
    address: SocketAddr,
    _trigger: StopTrigger,
}

impl Node {
    fn start(address: IpAddr, hook: Option<Arc<ChannelHook>>) -> Self {
        let (trigger, stop) = stop_pair();
        let clock = Arc::new(SystemClock::new());
        let hook = hook.map(|hook| hook as _);
        let base = DhtSettings::loopback(Ipv4Addr::LOCALHOST);
        let settings = match address {
            IpAddr::V4(v4) => DhtSettings::loopback(v4),
            IpAddr::V6(v6) => DhtSettings {
                address: None,
                address6: Some(v6),
                ..base
            },
        };
        let handle = DhtNode::start(settings, clock, &stop, hook).unwrap();
        let port = handle.port(Family::of(address)).unwrap();
        Self {
            handle,
            address: SocketAddr::new(address, port),
            _trigger: trigger,
        }
    }

    fn lookup(&self, hash: InfoHash, announce: Option<u16>) -> (BTreeSet<PeerAddress>, u32) {
        let request = LookupRequest {
            info_hash: hash,
            announce_port: announce,
            private: false,
            limit: Duration::from_secs(20),
        };
        let events = self.handle.lookup(&request).unwrap();
        let mut found = BTreeSet::new();
        loop {
            match events.recv_timeout(LIMIT).unwrap() {
                LookupEvent::Peers(peers) => found.extend(peers),
                LookupEvent::Done(summary) => return (found, summary.announced),
            }
        }
    }
}

#[test]
fn libtorrent_and_we_find_each_other() {
    find_each_other(|host| Ipv4Addr::new(127, 0, 1, host).into());
}

#[test]
fn libtorrent_and_we_find_each_other_by_ipv6() {
    if UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        eprintln!("skipped: this machine has no ::1");
        return;
    }
    find_each_other(|_| Ipv6Addr::LOCALHOST.into());
}

/// Two of our nodes and four of libtorrent's, each at the address of its
/// number.
fn find_each_other(at: impl Fn(u8) -> IpAddr) {
    let folder = tempfile::tempdir().unwrap();
    let (hook, events) = ChannelHook::new(100_000);
    // libtorrent keeps a node to begin with out of its table: it needs
    // another to become a part of the network.
    let first = Node::start(at(50), Some(hook));
    let second = Node::start(at(60), None);
    second.handle.add_node(first.address);
    wait_until("our nodes know each other", LIMIT, || {
        [&first, &second].map(|node| node.handle.status().nodes_good()) == [1, 1]
    });
    let mut theirs: Vec<LibtorrentNode> = (51..55)
        .map(|host| LibtorrentNode::start(at(host), first.address, folder.path()))
        .collect();
    wait_until("our second node knows the network", LIMIT, || {
        second.handle.status().nodes_good() >= 5
    });

    let announced = InfoHash::of(b"announced by libtorrent");
    let expected = PeerAddress::from(theirs[0].address());
    theirs[0].join(announced, folder.path());
    wait_until("we find what libtorrent announced", LIMIT, || {
        second.lookup(announced, None).0.contains(&expected)
    });
    assert_eq!(second.lookup(announced, None).0.len(), 1);

    let ours = InfoHash::of(b"announced by us");
    let listener = TcpListener::bind((at(60), 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let (_, takers) = second.lookup(ours, Some(port));
    assert!(takers >= 4, "all nodes take our announce: {takers}");
    let [.., last] = &mut theirs[..] else {
        panic!("no libtorrent");
    };
    last.wait_to_find(ours, listener.local_addr().unwrap());

    theirs[1].join(ours, folder.path());
    let handshake = accept(listener);
    assert_eq!(handshake[28..48], ours.as_bytes()[..], "it calls us");

    let kinds: Vec<QueryKind> = events.try_iter().map(|event| event.kind).collect();
    let has = |wanted: &dyn Fn(&QueryKind) -> bool| kinds.iter().any(wanted);
    assert!(has(&|kind| *kind == QueryKind::GetPeers(announced)));
    assert!(has(&|kind| matches!(kind, QueryKind::Announce(announce)
        if announce.info_hash == announced && announce.port == expected.port() && announce.token_valid)));
}

/// The handshake of the first caller.
fn accept(listener: TcpListener) -> [u8; 48] {
    let (send, receive) = crossbeam_channel::bounded(1);
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut handshake = [0; 48];
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.read_exact(&mut handshake).unwrap();
        let _ = send.send(handshake);
    });
    receive.recv_timeout(LIMIT).unwrap()
}
